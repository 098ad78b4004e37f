"""A small issuer of OAuth tokens: answers the client credentials grant with unsecured JWTs (`alg` none), which Kafka's own
validator for tests takes. What it answers, and how long a token lives, can be changed while it runs."""
import base64
import http.server
import json
import threading
import time
import urllib.parse

CLIENT, SECRET = "warmpool-client", "s3cret/word"


def encoded(thing):
    return base64.urlsafe_b64encode(json.dumps(thing).encode()).rstrip(b"=").decode()


def token(subject, life):
    now = time.time()
    return f"{encoded({'alg': 'none'})}.{encoded({'sub': subject, 'iat': now, 'exp': now + life, 'scope': ['kafka']})}."


class Issuer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, life=3600):
        self.life, self.answer, self.asked, self.issued = life, None, [], 0
        super().__init__(("127.0.0.1", 0), Answers)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/token"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()


class Answers(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        issuer = self.server
        form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        user = base64.b64decode(self.headers.get("Authorization", "Basic Og==").split()[1]).decode()
        issuer.asked.append((user, form))
        if issuer.answer:
            status, body = issuer.answer
        elif user != f"{CLIENT}:{SECRET}":
            status, body = 401, json.dumps({"error": "invalid_client", "error_description": "Invalid client credentials"})
        else:
            issuer.issued += 1
            status, body = 200, json.dumps({"access_token": token("warmpool", issuer.life), "token_type": "Bearer", "expires_in": issuer.life})
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass
