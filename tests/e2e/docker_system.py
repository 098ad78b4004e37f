"""A whole system whose containers a real Docker engine makes: what the tests of it share."""
import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

from client import Client
from system import ROOT, System, wait_until

SKIPPED = 77  # as tests/CMakeLists.txt says it to ctest

# Where a worker's own folder is while host.claims is empty: an engine elsewhere may see /tmp, but not this machine's /run.
os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="warmpool-e2e-")
atexit.register(shutil.rmtree, os.environ["XDG_RUNTIME_DIR"], ignore_errors=True)


def engine(*words, check=True):
    return subprocess.run([ROOT / "tests/support/engine", *words], check=check, capture_output=True, text=True).stdout


def inspect(container):
    """None when there is no such container."""
    text = engine("get", f"/containers/{container}/json", check=False)
    return json.loads(text) if text else None


def runs(container):
    seen = inspect(container)
    return bool(seen and seen["State"]["Running"])


class WithDocker(unittest.TestCase):
    options, workers = {}, 1

    @classmethod
    def setUpClass(cls):
        options = {"host.runtime": "docker", "docker.url": os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock",
                   "docker.image": "warmpool-test:1", "docker.command": "exec sleep 100000", "host.ttl_ms": 10000,
                   "host.reconcile_interval": 1, "pool.lease_ms": 600000, **cls.options}
        cls.system = System(workers=cls.workers, options=options, start=False)
        cls.label = f"io.warmpool.prefix=wp/{cls.system.prefix}"
        cls.addClassCleanup(engine, "clean", cls.label)
        cls.addClassCleanup(cls.system.close)
        cls.prepare()
        cls.system.start()
        cls.client = Client(cls.system)

    @classmethod
    def prepare(cls):
        """Before the workers start."""

    def acquire(self, request_id, philosophy="react", **fields):
        self.client.send("container-acquire", {"request_id": request_id, "agent_id": "a", "philosophy": philosophy, **fields})
        return self.answer(request_id)

    def answer(self, request_id, status=None):
        return self.client.wait("container-assignment", lambda r: r["request_id"] == request_id and status in (None, r["status"]))

    def release(self, request_id, philosophy="react", **fields):
        self.client.send("container-release", {"request_id": request_id, "philosophy": philosophy, **fields})

    def there_are(self, count):
        wait_until(lambda: int(engine("count", self.label)) == count,
                   lambda: f"{count} containers: {engine('count', self.label)}; {self.system.workers[0].log()[-2000:]}")

    def inside(self, container, *words):
        """What a program prints that is run in the container."""
        return engine("run", container, *words)


def main():
    if subprocess.run([ROOT / "tests/support/engine", "ping"], check=False).returncode:
        print("skipped: these tests need a Docker engine (DOCKER_HOST says where)", file=sys.stderr)
        sys.exit(SKIPPED)
    engine("image")
    unittest.main()
