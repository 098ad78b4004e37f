"""The status page in a browser: figures, live, in dark and light, by keyboard and screen reader, behind a proxy, and its stream."""
import http.client
import json
import re
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from browser import Browser, chromium
from client import Client
from system import System, wait_until

FAST = {"metrics.interval": 1, "pool.prewarm": "react:3", "tenant.max_leases.acme": 5, "kafka.sasl.password": "not-to-be-shown",
        "pool.max_containers.full": 1, "pool.size.full": 1}
STREAMS = 32  # STREAMS_MAX of worker/ops/streams.h


def overview(name):
    return f"document.querySelector('#overview [data-name=\"{name}\"] dd').textContent"


def cell(body, row, column):
    return f"document.querySelector('#{body} [data-name=\"{row}\"]').cells[{column}].textContent"


class Stream:
    """A client of the stream that is no browser."""

    def __init__(self, port, last_event_id=None, path="/figures"):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.connection.request("GET", path, headers={"Last-Event-ID": last_event_id} if last_event_id else {})
        self.answer = self.connection.getresponse()

    def event(self):
        """The next (name, id, data); None at the end of the stream."""
        fields = {}
        while True:
            line = self.answer.readline().decode()
            if not line:
                return None
            if line == "\n":
                if "data" in fields:
                    return fields.get("event"), fields.get("id"), json.loads(fields["data"])
                fields = {}
                continue
            name, _, value = line.rstrip("\n").partition(": ")
            fields[name] = value

    def close(self):
        self.answer.close()
        self.connection.close()


class Proxy(ThreadingHTTPServer):
    """A reverse proxy that serves a worker under /tools/warmpool/."""
    daemon_threads = True
    PREFIX = "/tools/warmpool"

    def __init__(self, port):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.server.asked.append(self.path)
                if not self.path.startswith(Proxy.PREFIX + "/"):
                    return self.send_error(404)
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                connection.request("GET", self.path[len(Proxy.PREFIX):])
                answer = connection.getresponse()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("transfer-encoding", "connection", "date"):
                        self.send_header(name, value)
                self.end_headers()
                try:
                    while data := answer.read1(65536):
                        self.wfile.write(data)
                        self.wfile.flush()
                except (OSError, http.client.HTTPException):
                    pass  # the browser or the worker has gone
                connection.close()

            def log_message(self, *_):
                pass
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}{self.PREFIX}/"


class StatusPage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.system = System(options=FAST)
        cls.addClassCleanup(cls.system.close)
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)
        cls.worker, cls.client = cls.system.workers[0], Client(cls.system)
        cls.system.wait_pool("react", available=3, creating=0)

    def open(self, url=None, **how):
        page = self.browser.open(url or f"http://127.0.0.1:{self.worker.port()}/", **how)
        self.addCleanup(page.close)
        page.wait("document.querySelector('#pool-rows [data-name=react]')")
        page.wait("document.getElementById('state').textContent === 'Live'")
        return page

    def leased(self):
        return json.loads(self.system.redis.client.fcall_ro("wp_pool_stats", 1, "wp:{pool}"))["total"]["leased"]

    def test_shows_the_figures_and_follows_them(self):
        page, leased = self.open(), self.leased()
        self.assertEqual(page.run(cell("pool-rows", "react", 8)), "10", "the size")
        self.assertEqual(page.run(cell("tenant-rows", "acme", 1)), "0 of 5")
        self.assertEqual(page.run(cell("host-rows", "w1", 2)), "up")
        self.client.acquire("live-1")
        page.wait(f"{cell('pool-rows', 'react', 4)} === '{self.system.pool('react')['leased']}' && {overview('Leased')} === '{leased + 1}'")
        self.client.send("cache", {"event_id": "c-1", "op": "set", "namespace": "tool", "key": "k", "value": b"v"})
        self.client.send("cache", {"event_id": "c-2", "op": "get", "namespace": "tool", "key": "k"})
        page.wait(f"{cell('cache-rows', 'tool', 1)} === '1' && {cell('cache-rows', 'all', 2)} === '1'")
        self.client.send("container-release", {"request_id": "live-1", "philosophy": "react"})
        page.wait(f"{overview('Leased')} === '{leased}'")
        page.wait(f"{overview('Arrivals a second')} !== 'none yet'")

    def test_shows_how_long_requests_wait(self):
        self.client.acquire("full-1", philosophy="full")
        page = self.open()
        self.client.send("container-acquire", {"request_id": "full-2", "agent_id": "a", "philosophy": "full"})
        page.wait(f"{cell('pool-rows', 'full', 6)} === '1' && /^\\d+ s$/.test({cell('pool-rows', 'full', 7)})")
        page.wait(f"/^1, up to \\d+ s$/.test({overview('Waiting')})")
        self.client.send("container-release", {"request_id": "full-2", "philosophy": "full"})  # cancels it
        page.wait(f"{overview('Waiting')} === '0' && {cell('pool-rows', 'full', 7)} === ''")

    def test_loads_nothing_from_elsewhere_and_breaks_no_policy(self):
        page = self.open()
        self.client.acquire("policy-1", philosophy="cold")
        page.wait("document.querySelectorAll('#warning-list li').length > 0")
        page.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        page.wait("document.querySelector('figure tbody tr')")
        self.assertEqual((page.run("violations"), page.troubles()), ([], []))
        own = f"http://127.0.0.1:{self.worker.port()}/"
        self.assertEqual({url for url in page.requests() if not url.startswith(own)}, set())
        # The policy is in force: what is not the worker's own does not run.
        page.run("document.body.append(Object.assign(document.createElement('img'), {src: 'http://127.0.0.1:1/x.png'}))")
        page.run("document.body.setAttribute('style', 'color: red')")
        page.wait("['img-src http://127.0.0.1:1/x.png', 'style-src-attr inline'].every((each) => violations.includes(each))")
        for code in ("document.body.innerHTML = '<p>'", "document.body.setAttribute('onclick', '1')"):
            self.assertEqual(page.run(f"(() => {{ try {{ {code}; return 'done'; }} catch {{ return 'refused'; }} }})()"), "refused", code)

    def test_shows_no_secret(self):
        self.client.acquire("secret-request", agent_id="agent-of-nobody")
        stream = Stream(self.worker.port())
        shown = json.dumps([stream.event() for _ in range(6)])
        stream.close()
        for text in ("not-to-be-shown", "agent-of-nobody", "secret-request", self.system.redis.socket):
            self.assertNotIn(text, shown)

    def colours(self, page):
        """{variable: (r, g, b)} of the page's palette."""
        names = ("--back", "--card", "--text", "--soft", "--link", "--good", "--bad", "--idle", "--leased", "--creating")
        read = "(n) => { const e = document.createElement('i'); e.style.color = `var(${n})`; document.body.append(e);" \
               " const c = getComputedStyle(e).color; e.remove(); return c; }"
        return {name: tuple(map(int, re.findall(r"\d+", page.run(f"({read})('{name}')"))[:3])) for name in names}

    def test_is_legible_in_light_and_in_dark(self):
        def luminance(colour):
            parts = [part / 255 for part in colour]
            linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
            return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

        def contrast(one, other):
            high, low = sorted((luminance(one), luminance(other)), reverse=True)
            return (high + 0.05) / (low + 0.05)

        page, backs = self.open(), []
        for dark in (False, True):
            page.set_dark(dark)
            colours = self.colours(page)
            backs.append(page.run("getComputedStyle(document.body).backgroundColor"))
            for back in ("--back", "--card"):
                for text in ("--text", "--soft", "--link", "--good", "--bad"):
                    self.assertGreaterEqual(contrast(colours[text], colours[back]), 4.5, (dark, text, back))
                for bar in ("--idle", "--leased", "--creating"):
                    self.assertGreaterEqual(contrast(colours[bar], colours[back]), 3, (dark, bar, back))
        self.assertEqual(backs, ["rgb(255, 255, 255)", "rgb(20, 23, 27)"])

    def test_fits_a_small_screen(self):
        page = self.open(width=320, height=640)
        self.assertLessEqual(page.run("document.documentElement.scrollWidth"), 320, "only tables scroll sideways")

    def test_is_used_by_keyboard(self):
        page, focus = self.open(), "document.activeElement.id || document.activeElement.textContent"
        page.key("Tab")
        self.assertEqual(page.run(focus), "Skip to the figures")
        self.assertNotEqual(page.run("getComputedStyle(document.activeElement).outlineStyle"), "none", "it is seen where one is")
        page.key("Enter")
        page.wait(f"({focus}) === 'main'")
        seen = []
        page.run("document.activeElement.blur(); document.querySelector('.skip').focus()")
        while seen[-1:] != ["A Skip to the "] and len(seen) < 100:
            page.key("Tab")
            seen.append(page.run(f"document.activeElement.tagName + ' ' + ({focus}).trim().slice(0, 12)"))
        self.assertEqual(seen[0], "BUTTON pause")
        self.assertEqual(sum(each.startswith("SUMMARY") for each in seen), 6, "a table for each chart")
        self.assertTrue(any(each.startswith("DIV") for each in seen), "tables that scroll are reached")
        page.run("document.getElementById('pause').focus()")
        page.key("Space")
        page.wait("document.getElementById('pause').getAttribute('aria-pressed') === 'true'")
        self.assertEqual(page.run("document.getElementById('state').textContent"), "Paused. Live")
        leased, number = self.leased(), page.run("performance.now()")
        self.client.acquire("paused-1")
        page.run("window.came = 0; const s = new EventSource('figures'); s.addEventListener('figures', (e) => {"
                 f" if (JSON.parse(e.data).total.leased > {leased}) {{ window.came++; s.close(); }} }})")
        page.wait("window.came")
        self.assertEqual(page.run(overview("Leased")), str(leased), f"held since {number}")
        page.key("Enter")
        page.wait(f"{overview('Leased')} === '{leased + 1}'")

    def test_tells_a_screen_reader_what_it_shows(self):
        page = self.open()
        page.wait("document.querySelector('svg.chart').getAttribute('aria-label')")
        tree = page.tree()
        roles = [role for role, _ in tree]
        for landmark in ("banner", "navigation", "main", "contentinfo"):
            self.assertEqual(roles.count(landmark), 1, landmark)
        self.assertEqual([name for role, name in tree if role == "table"][:2],
                         ["Containers and requests of each pool", "What each host holds, and may hold"])
        self.assertIn(("rowheader", "react"), tree)
        self.assertIn(("columnheader", "Longest wait"), tree)
        images = [name for role, name in tree if role == "image"]
        self.assertEqual(len(images), 6, "the charts; bars repeat figures and are hidden")
        self.assertRegex(images[2], r"^Containers, last hour: idle now \d+, lowest \d+, highest \d+; leased now ")
        levels = page.run("[...document.querySelectorAll('h1, h2')].map((each) => each.tagName).join(' ')")
        self.assertRegex(levels, r"^H1( H2)+$")
        # Figures change without a word: the live regions speak of the state and of new warnings alone.
        page.run("window.words = []; for (const each of document.querySelectorAll('[role=status], [aria-live]'))"
                 " new MutationObserver(() => words.push(each.textContent)).observe(each, {childList: true, characterData: true, subtree: true})")
        leased = self.leased()
        for number in range(2):
            self.client.acquire(f"quiet-{number}")
        page.wait(f"{overview('Leased')} === '{leased + 2}'")
        words = page.run("words")
        self.assertTrue(all(text.startswith("New warning: ") or text == "" for text in words), words)

    def test_works_behind_a_proxy_with_a_prefix(self):
        proxy = Proxy(self.worker.port())
        self.addCleanup(proxy.server_close)
        self.addCleanup(proxy.shutdown)
        page = self.open(proxy.url())
        leased = self.leased()
        self.client.acquire("proxy-1")
        page.wait(f"{overview('Leased')} === '{leased + 1}'")
        self.assertEqual({path for path in proxy.asked if not path.startswith(Proxy.PREFIX)}, set())
        self.assertIn(f"{Proxy.PREFIX}/figures", proxy.asked)
        self.assertEqual((page.run("violations"), page.troubles()), ([], []))

    def test_sends_its_streams_past_buffers_and_only_what_is_new(self):
        stream = Stream(self.worker.port())
        self.assertEqual(stream.answer.getheader("Content-Type"), "text/event-stream")
        self.assertEqual(stream.answer.getheader("X-Accel-Buffering"), "no")
        self.assertEqual(stream.answer.getheader("Cache-Control"), "no-store")
        name, number, history = stream.event()
        self.assertEqual((name, history["after"]), ("history", 0))
        self.assertGreater(len(history["samples"]), 0)
        self.assertEqual(len(history["samples"][0]), len(history["columns"]))
        self.assertEqual([stream.event()[0] for _ in range(4)], ["figures", "samples"] * 2)
        stream.close()
        again = Stream(self.worker.port(), last_event_id=number)
        _, _, rest = again.event()
        again.close()
        self.assertEqual(rest["after"], history["samples"][-1][0])
        self.assertLess(len(rest["samples"]), 3, "those since then")
        for wrong in ("1-1", "x", "-", "99999999999999999999-1", number.split("-")[0] + "-999999"):
            other = Stream(self.worker.port(), last_event_id=wrong)
            self.assertEqual(other.event()[2]["after"], 0, wrong)
            other.close()

    def test_has_a_bound_of_streams(self):
        streams = []

        def open_one():
            stream = Stream(self.worker.port())
            if stream.answer.status == 200:
                streams.append(stream)
            else:
                stream.close()
            return len(streams) == STREAMS
        wait_until(open_one, "those of the tests before are closed")
        refused = Stream(self.worker.port())
        self.assertEqual((refused.answer.status, refused.answer.getheader("Retry-After")), (503, "10"))
        self.assertIn(b"status pages of this worker are open already", refused.answer.read())
        self.assertEqual(self.worker.http("/readyz")[0], 200, "others are answered")
        for stream in streams[1:]:
            stream.close()
        self.assertEqual(streams[0].event()[0], "history", "it goes on")
        streams[0].close()

        def takes_one():
            stream = Stream(self.worker.port())
            status = stream.answer.status
            stream.close()
            return status == 200
        wait_until(takes_one, "closed streams make room")


class Restart(unittest.TestCase):
    def test_stops_with_open_streams_and_is_found_again(self):
        with System(options=FAST) as system, Browser() as browser:
            worker = system.workers[0]
            port = worker.port()
            page = browser.open(f"http://127.0.0.1:{port}/")
            page.wait("document.getElementById('state').textContent === 'Live' && document.getElementById('worker-name').textContent")
            stream = Stream(port)
            self.assertEqual(stream.event()[0], "history")
            self.assertEqual(worker.stop(), 0)
            self.assertIn("event=stopped exit=0", worker.log())
            while stream.event():
                pass  # ends, with no half event
            page.wait("document.getElementById('state').textContent.startsWith('The connection is lost')")
            worker.options["http.listen"] = f"127.0.0.1:{port}"
            worker.start().wait_ready()
            page.wait("document.getElementById('state').textContent === 'Live'")
            self.assertEqual(page.run("document.querySelector('#pool-rows [data-name=react] th').textContent"), "react")
            system.redis.kill()
            page.wait("document.getElementById('state').textContent.startsWith('Not ready. redis: ')")


if __name__ == "__main__":
    chromium()  # else there is nothing to test with
    unittest.main()
