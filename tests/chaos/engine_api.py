"""A Docker engine's API for those that break containers or watch over them while the engine itself may be frozen or away: each call has a
deadline, and says how it failed."""
import importlib.machinery
import importlib.util
import json
import urllib.parse
from http.client import HTTPException
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[1] / "support" / "engine"
_loader = importlib.machinery.SourceFileLoader("engine", str(SCRIPT))
_engine = importlib.util.module_from_spec(importlib.util.spec_from_loader("engine", _loader))
_loader.exec_module(_engine)


class Refused(Exception):
    """The engine answers that it cannot, or not in time, or not at all."""


class EngineApi:
    def __init__(self, url, timeout=10):
        self.url, self.timeout = url, timeout

    def ask(self, method, path, body=None, kind="application/json"):
        connection = _engine.Connection(self.url, timeout=self.timeout)
        try:
            data = json.dumps(body) if isinstance(body, dict) else body
            connection.request(method, path, data, {"Content-Type": kind} if body is not None else {})
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, HTTPException) as error:
            raise Refused(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise Refused(f"{method} {path}: {answer.status} {text.decode(errors='replace').strip()}")
        return text

    def read(self, path):
        return json.loads(self.ask("GET", path))

    def containers(self, *labels, **filters):
        wanted = {**{name: [value] for name, value in filters.items()}, "label": labels}
        return self.read(f"/containers/json?all=1&filters={urllib.parse.quote(json.dumps(wanted))}")

    def events(self, since, *labels):
        """Yields the events of containers from that time (s) on, and ends when the engine does, or when none comes for the timeout."""
        connection = _engine.Connection(self.url, timeout=self.timeout)
        filters = urllib.parse.quote(json.dumps({"type": ["container"], "label": labels}))
        try:
            connection.request("GET", f"/events?since={since:.9f}&filters={filters}")
            answer = connection.getresponse()
            while line := answer.readline():
                yield json.loads(line)
        except (OSError, HTTPException, ValueError) as error:
            raise Refused(f"events: {error!r}") from error
        finally:
            connection.close()

    def run(self, container, *words, wait=True):
        """Runs a program in the container: what it prints; wait=False: nothing, at once."""
        made = json.loads(self.ask("POST", f"/containers/{container}/exec", {"AttachStdout": wait, "Tty": True, "Cmd": words}))
        text = self.ask("POST", f"/exec/{made['Id']}/start", {"Detach": not wait, "Tty": True}).decode(errors="replace")
        if "OCI runtime exec failed" in text:
            raise Refused(text.strip())
        return text.replace("\r\n", "\n")
