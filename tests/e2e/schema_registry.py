"""Schema registries for tests: a real one (Apicurio Registry, tests/support/registry), and one that does what a test says."""
import http.server
import json
import ssl
import threading
import urllib.error
import urllib.request

from client import Client
from system import ROOT, ScriptServer

TYPE = "application/vnd.schemaregistry.v1+json"


def schema_text(topic):
    return (ROOT / "schemas" / f"{topic}.avsc").read_text()


class RawClient(Client):
    """Records stay bytes (.raw): the ids are not those that a test gave."""

    def decode(self, topic, data):
        return {}


class SchemaRegistry(ScriptServer):
    """The real one."""
    script = ROOT / "tests" / "support" / "registry" / "registry"

    @property
    def url(self):
        return self.address

    def ask(self, path, body=None, method=None):
        """(status, JSON) of a GET, or of a POST when there is a body."""
        request = urllib.request.Request(self.url + path, None if body is None else json.dumps(body).encode(), {"Content-Type": TYPE},
                                         method=method)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def register(self, subject, schema, kind="AVRO"):
        """The id."""
        status, answer = self.ask(f"/subjects/{subject}/versions", {"schema": schema, "schemaType": kind})
        assert status == 200, answer
        return answer["id"]


class Scripted:
    """Answers by a dictionary {path: (status, body, headers)}, and counts. What is not in it is an unknown id. hold: requests wait."""

    def __init__(self, tls=None):
        """tls: (certificate, key) files, and that of the authority whose certificates clients must have, if they must."""
        self.answers, self.requests, self.authorizations, self.bodies = {}, [], [], []
        self.go = threading.Event()
        self.go.set()
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                registry.requests.append(self.path)
                registry.authorizations.append(self.headers.get("Authorization"))
                registry.bodies.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
                registry.go.wait()
                status, body, *headers = registry.answers.get(self.path) or registry.answers.get("*") or (
                    404, {"error_code": 40403, "message": "Schema not found"})
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(data)))
                    for name, value in (headers[0] if headers else {}).items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:
                    pass  # the client did not wait

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self.handler, self.tls, self.server = Handler, tls, None
        self.port = 0
        self.start()

    def start(self):
        http.server.ThreadingHTTPServer.allow_reuse_address = True
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), self.handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # such as a client that does not trust its certificate
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.tls[:2])
            if len(self.tls) > 2:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(self.tls[2])
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.url = f"{'https' if self.tls else 'http'}://{'localhost' if self.tls else '127.0.0.1'}:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        self.go.set()
        self.server.shutdown()
        self.server.server_close()

    def schema(self, number, schema, **more):
        self.answers[f"/schemas/ids/{number}"] = (200, {"schema": schema, **more})

    def asked(self, number):
        return self.requests.count(f"/schemas/ids/{number}")
