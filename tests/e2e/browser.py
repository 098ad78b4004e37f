"""A Chromium without a window, driven by its DevTools protocol over a pipe (https://chromedevtools.github.io/devtools-protocol/): no
port, and no package of Python's.

    with Browser() as browser:
        page = browser.open("http://127.0.0.1:9464/")
        page.wait("document.title === 'warmpool'")
"""
import base64
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from system import wait_until

SKIPPED = 77  # as tests/CMakeLists.txt says it to ctest
LIMIT = 60  # seconds: it only ends a test that hangs


def chromium():
    found = shutil.which("chromium")
    if not found:
        print("skipped: no Chromium here (apt-get install --no-install-recommends chromium)", file=sys.stderr)
        sys.exit(SKIPPED)
    return found


class Browser:
    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="warmpool-chromium-")
        read_commands, self.commands = os.pipe()
        self.answers, write_answers = os.pipe()

        def inherit():  # Chromium reads commands from descriptor 3 and answers on 4
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
            high_in, high_out = os.dup2(read_commands, 103), os.dup2(write_answers, 104)
            os.dup2(high_in, 3)
            os.dup2(high_out, 4)

        # no-sandbox: it needs user namespaces, which root in a container has not got; only our own pages are opened.
        command = [chromium(), "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                   "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
                   "--hide-scrollbars", "--lang=en-GB", f"--user-data-dir={self.profile}", "about:blank"]
        self.log = open(os.path.join(self.profile, "log"), "wb")
        self.process = subprocess.Popen(command, preexec_fn=inherit, close_fds=False, stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, env={**os.environ, "TZ": "UTC"})
        os.close(read_commands)
        os.close(write_answers)
        self.rest, self.number, self.events = b"", 0, []

    def read(self, seconds):
        """The next message; None when there is none within that time."""
        end = time.monotonic() + seconds
        while b"\0" not in self.rest:
            if not select.select([self.answers], [], [], max(0, end - time.monotonic()))[0]:
                return None
            got = os.read(self.answers, 1 << 20)
            if not got:
                with open(self.log.name, errors="replace") as log:
                    raise AssertionError(f"Chromium has ended: {log.read()[-2000:]}")
            self.rest += got
        message, _, self.rest = self.rest.partition(b"\0")
        return json.loads(message)

    def call(self, method, session=None, **parameters):
        self.number += 1
        number, end = self.number, time.monotonic() + LIMIT
        message = {"id": number, "method": method, "params": parameters, **({"sessionId": session} if session else {})}
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        while time.monotonic() < end:
            answer = self.read(1)
            if answer is None:
                continue
            if answer.get("id") != number:
                self.events.append(answer)
            elif "error" in answer:
                raise AssertionError(f"{method}: {answer['error']}")
            else:
                return answer["result"]
        raise AssertionError(f"{method} is not answered")

    def open(self, url, dark=False, width=1100, height=900):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return Page(self, target, session, url, dark, width, height)

    def close(self):
        self.process.kill()
        self.process.wait()
        for descriptor in (self.commands, self.answers):
            os.close(descriptor)
        self.log.close()
        shutil.rmtree(self.profile, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Page:
    def __init__(self, browser, target, session, url, dark, width, height):
        self.browser, self.target, self.session = browser, target, session
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility", "Audits"):
            self.call(f"{domain}.enable")
        self.set_dark(dark)
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        # A report for each violation of the page's policy, from the start.
        self.call("Page.addScriptToEvaluateOnNewDocument", source="window.violations = [];"
                  "addEventListener('securitypolicyviolation', (e) => violations.push(e.violatedDirective + ' ' + e.blockedURI));")
        self.call("Page.navigate", url=url)

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def close(self):
        """Its stream ends, too: a browser has no more than six connections to one server."""
        self.browser.call("Target.closeTarget", targetId=self.target)

    def set_dark(self, dark):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def run(self, expression):
        """The value of an expression of JavaScript, by the page's own rules (no eval inside it)."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise AssertionError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait(self, expression, limit=LIMIT):
        """Until the expression is true; one that throws is not."""
        test = f"(() => {{ try {{ return Boolean({expression}); }} catch (e) {{ return false; }} }})()"
        wait_until(lambda: self.run(test), lambda: f"{expression}\n{self.text()[:3000]}\n{self.troubles()}", limit)

    def text(self):
        return self.run("document.body ? document.body.innerText : ''") or ""

    def key(self, key, code=None, modifiers=0):
        text = {"Enter": "\r", "Space": " "}.get(key)
        name = " " if key == "Space" else key
        virtual = {"Tab": 9, "Enter": 13, "Space": 32}[key]
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=code or key, windowsVirtualKeyCode=virtual, modifiers=modifiers,
                      **({"text": text} if text and kind == "keyDown" else {}))

    def tree(self):
        """[(role, name)] of what a screen reader is told."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes
                if not node.get("ignored") and "role" in node]

    def troubles(self):
        """What the browser has complained about: exceptions, errors in its log and issues such as breaches of the policy."""
        self.run("1")  # what came before is read
        found = []
        for event in self.browser.events:
            if event.get("sessionId") != self.session:
                continue
            method, about = event["method"], event["params"]
            if method == "Runtime.exceptionThrown":
                found.append(json.dumps(about["exceptionDetails"]))
            elif method == "Log.entryAdded" and about["entry"]["level"] == "error":
                found.append(about["entry"]["text"] + " " + about["entry"].get("url", ""))
            elif method == "Audits.issueAdded":
                found.append(json.dumps(about["issue"]))
        return found

    def requests(self):
        """The addresses that were asked for."""
        self.run("1")
        return [event["params"]["request"]["url"] for event in self.browser.events
                if event.get("sessionId") == self.session and event["method"] == "Network.requestWillBeSent"]

    def picture(self, path, clip=None):
        more = {"clip": {**clip, "scale": 1}} if clip else {}
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("Page.captureScreenshot", format="png", **more)["data"]))
