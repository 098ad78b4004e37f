"""Makes docs/images/status-light.png and status-dark.png anew: the status page of a real worker under a small load. The charts' hour is made
up, since nobody waits an hour for a picture: a proxy puts it before the samples that the worker sends.

    TEST_WARMPOOL=build/warmpool .cache/venv/bin/python -B tests/e2e/pictures.py
"""
import http.client
import json
import math
import random
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from browser import Browser
from client import Client
from system import ROOT, System

IMAGES = ROOT / "docs" / "images"
WIDTH, HEIGHT = 1100, 930
STEP_MS, STEPS = 10000, 354
OPTIONS = {"metrics.interval": 1, "pool.prewarm": "react:6,chain_of_thought:4,multi_agent:2", "pool.size": 8, "worker.id": "worker-1",
           "tenant.max_leases.acme": 10, "tenant.max_leases.globex": 6, "host.capacity": 40,
           "pool.max_containers.multi_agent": 4, "pool.size.multi_agent": 4}


def an_hour(columns, last):
    """Samples before the last one: a busy and a quiet time, the counters growing up to the last one's."""
    dice, rows, now = random.Random(7), [], dict(zip(columns, last))
    for back in range(1, STEPS + 1):
        wave = 0.5 + 0.5 * math.sin(back / 40) + 0.15 * dice.random()
        starts, looked = round(14 * wave), round(30 * wave)
        cold = round(starts * (0.25 if 140 < back < 175 else 0.02) * dice.random())
        now["time_ms"] -= STEP_MS
        now["leased"], now["available"] = 6 + round(7 * wave), 12 - round(5 * wave)
        now["creating"], now["waiting"] = int(cold > 0), max(0, cold - 1)
        now["lag"] = dice.choice([0, 0, 0, round(6 * wave)])
        for name, grown in (("warm_starts", starts - cold), ("cold_starts", cold), ("hits", round(looked * 0.93)), ("misses", round(looked * 0.07))):
            now[name] -= grown
        rows.append([now[name] for name in columns])
    return rows[::-1]


def number_from_one(rows):
    for number, row in enumerate(rows, start=1):
        row[0] = number
    return rows


class Filling(BaseHTTPRequestHandler):
    """Passes a worker's answers on; the history with an hour before it, the other samples not at all."""
    port = None

    def do_GET(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", self.path)
        answer = connection.getresponse()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.getheader("Content-Type"))
        self.end_headers()
        name = ""
        try:
            while line := answer.readline():
                if line.startswith(b"event: "):
                    name = line[7:].strip().decode()
                if line.startswith(b"data: ") and name == "history":
                    event = json.loads(line[6:])
                    event["samples"] = number_from_one(an_hour(event["columns"], event["samples"][-1]) + event["samples"][-1:])
                    line = b"data: " + json.dumps(event).encode() + b"\n"
                if line.startswith(b"data: ") and name == "samples":
                    line = b"data: []\n"
                self.wfile.write(line)
                self.wfile.flush()
        except (OSError, http.client.HTTPException):
            pass  # the browser or the worker has gone

    def log_message(self, *_):
        pass


def load(client):
    """Warm pools in use, one of them with requests that wait, and a cache that is read."""
    def acquire(number, philosophy, tenant="acme"):
        client.send("container-acquire", {"request_id": f"{philosophy}-{number}", "agent_id": f"agent-{number}", "philosophy": philosophy,
                                          "tenant": tenant, "timeout_ms": 300000})
    for number in range(4):
        client.acquire(f"react-{number}", tenant="acme")
        client.acquire(f"chain_of_thought-{number}", philosophy="chain_of_thought", tenant="globex" if number < 2 else "initech")
    for number in range(6):
        acquire(number, "multi_agent")
    for number in range(120):
        client.send("cache", {"event_id": f"s-{number}", "op": "set", "namespace": ("tool", "pattern")[number % 2], "key": f"k-{number % 30}",
                              "value": b"v" * 200})
    for number in range(200):
        client.send("cache", {"event_id": f"g-{number}", "op": "get", "namespace": ("tool", "pattern")[number % 2], "key": f"k-{number % 30 if number % 13 else -1}"})
    client.wait("cache-result", lambda record: record["event_id"] == "g-199")


def main():
    with System(options=OPTIONS) as system, Browser() as browser:
        client, Filling.port = Client(system), system.workers[0].port()
        for philosophy, idle in (("react", 6), ("chain_of_thought", 4), ("multi_agent", 2)):
            system.wait_pool(philosophy, available=idle)
        load(client)
        server = ThreadingHTTPServer(("127.0.0.1", 0), Filling)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = browser.open(f"http://127.0.0.1:{server.server_address[1]}/", width=WIDTH, height=HEIGHT)
        page.wait("document.querySelector('#pool-rows [data-name=multi_agent]').cells[6].textContent === '2'")
        page.wait("document.querySelector('svg.chart path').getAttribute('d').length > 2000")
        for number in range(4, 7):
            client.acquire(f"react-{number}", tenant="initech")
        page.wait("/^[0-9]/.test(document.querySelector('#overview [data-name=\"Arrivals a second\"] dd').textContent)")
        for name, dark in (("light", False), ("dark", True)):
            page.set_dark(dark)
            page.picture(str(IMAGES / f"status-{name}.png"))
            print(IMAGES / f"status-{name}.png")


if __name__ == "__main__":
    main()
