"""What traces cost: the processor time of a worker for an event of `stream`, with a tenth of the acquires traced and with none, one after
the other on the same broker. The collector takes what it gets and looks at nothing."""
import http.server, re, threading

from contenders import Contender
from harness import NotMeasured, cpu_seconds
from rounds import in_turn, measure, ratio
from streams import CONTAINERS, EVENTS, PHILOSOPHIES, WINDOW

SHARE, SPANS = 0.1, 3  # of a warm acquire
TARGETS = [("cpu_of_untraced", "", 1.05, True)]


class Sink(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def figure(bench, worker, name):
    return int(re.search(rf"^warmpool_trace_{name}_total ([0-9]+)", bench.http(worker, "/metrics"), re.MULTILINE)[1])


def check_traced(bench, worker, pairs):
    """Most of the spans were made, or nothing was measured; a queue that is full may have dropped some of them."""
    exported, dropped = (figure(bench, worker, name) for name in ("spans_exported", "spans_dropped"))
    if exported + dropped < 0.8 * pairs * SHARE * SPANS:
        raise NotMeasured(f"only {exported + dropped} spans of {pairs} acquires")
    return {"exported": exported, "dropped": dropped}


def run_side(bench, url):
    options = [f"trace.url={url}", f"trace.sample={SHARE}"] if url else []
    contender = Contender(bench, "warmpool", bench.new_prefix(), containers=CONTAINERS, philosophies=PHILOSOPHIES, options=options)
    pairs = bench.count(EVENTS["warmpool"]) // 2
    before = cpu_seconds(contender.child.pid)
    bench.client(contender.prefix, "pairs", pairs, PHILOSOPHIES, WINDOW, contender.held, contender.outputs[0])
    side = {"cpu": (cpu_seconds(contender.child.pid) - before) / (2 * pairs)}
    bench.check_warm(contender.prefix, pairs)
    if url:
        side |= check_traced(bench, contender.child, pairs)
    contender.stop()
    return side


def one_round(bench, number, url):
    sides = in_turn(["traced", "untraced"], number, lambda name: run_side(bench, url if name == "traced" else ""))
    traced, untraced = sides["traced"], sides["untraced"]
    return {"traced_cpu_us": round(traced["cpu"] * 1e6, 2), "untraced_cpu_us": round(untraced["cpu"] * 1e6, 2),
            "cpu_of_untraced": ratio(traced["cpu"], untraced["cpu"]), "spans_exported": traced["exported"], "spans_dropped": traced["dropped"]}


def run(bench, rounds):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        result = measure(bench, "traces", rounds, lambda number: one_round(bench, number, url), TARGETS)
        server.shutdown()
    return result
