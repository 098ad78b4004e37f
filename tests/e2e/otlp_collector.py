"""A collector of OTLP/HTTP that keeps what it gets, read by opentelemetry-proto and not by us. How it answers can be changed
while it runs.

    with Collector() as collector:
        system = System(options={"trace.url": collector.url})
        collector.wait("acquire", "r-1")
"""
import http.server
import ssl
import threading

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

from system import wait_until

NONE = "00" * 8


def value_of(value):
    return getattr(value, value.WhichOneof("value"))


def attributes_of(pairs):
    return {pair.key: value_of(pair.value) for pair in pairs}


class Span:
    def __init__(self, span, resource):
        self.trace, self.id = span.trace_id.hex(), span.span_id.hex()
        self.parent = span.parent_span_id.hex() or NONE
        self.state, self.name, self.kind = span.trace_state, span.name, span.kind
        self.start, self.end = span.start_time_unix_nano, span.end_time_unix_nano
        self.attributes = attributes_of(span.attributes)
        self.failed, self.why = span.status.code == 2, span.status.message
        self.instance, self.resource = resource["service.instance.id"], resource

    def __repr__(self):
        return f"<{self.name} {self.id} below {self.parent} of {self.trace} by {self.instance} {self.attributes} {self.why}>"


class Collector:
    def __init__(self, port=0, tls=None):
        """tls: (certificate, key) files."""
        self.spans, self.requests, self.sizes, self.headers = [], 0, [], {}
        self.answer = None  # handler -> None: instead of taking the spans
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.requests += 1
                collector.headers, self.collector = dict(self.headers), collector
                if collector.answer:
                    collector.answer(self)
                else:
                    self.take()
                    self.reply(200, ExportTraceServiceResponse().SerializeToString())

            def take(self):
                assert self.path == "/v1/traces", self.path
                assert self.headers["Content-Type"] == "application/x-protobuf", self.headers
                request = ExportTraceServiceRequest.FromString(self.body)
                found = []
                for resource in request.resource_spans:
                    assert resource.resource.attributes, request
                    for scope in resource.scope_spans:
                        assert scope.scope.name == "warmpool", scope
                        found += [Span(span, attributes_of(resource.resource.attributes)) for span in scope.spans]
                collector.sizes.append(len(found))
                collector.spans += found
                return found

            def reply(self, status, body=b"", headers=None):
                self.send_response(status)
                for name, value in {"Content-Type": "application/x-protobuf", **(headers or {})}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # a worker that ends, or does not trust the certificate

        self.server = Server(("127.0.0.1", port), Handler)
        self.scheme = "http"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
            self.scheme = "https"
        self.port = self.server.server_address[1]
        self.url = f"{self.scheme}://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def of(self, trace):
        return [span for span in self.spans if span.trace == trace]

    def of_request(self, request_id):
        """The spans of the trace in which that request was answered; empty until it was."""
        traces = {span.trace for span in self.spans if span.attributes.get("warmpool.request_id") == request_id}
        assert len(traces) <= 1, traces
        return self.of(traces.pop()) if traces else []

    def wait(self, request_id, *names):
        """The spans of the request by name, once those of all names are there."""
        def found():
            spans = {span.name: span for span in self.of_request(request_id)}
            return spans if set(names) <= set(spans) else None
        return wait_until(found, lambda: f"{names} of {request_id} are there: {self.spans}")

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
