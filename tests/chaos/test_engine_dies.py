"""Docker engines of the test's own: one is killed and comes back under load, and two of them serve two workers."""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from load import wait_until
from client import Client
from docker_system import SKIPPED
from system import ROOT, System

DOCKERD = shutil.which("dockerd")


class OwnEngine:
    """In a network namespace of its own: an engine takes others' default bridge away."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="warmpool-engine-")
        self.url = f"unix://{self.dir}/sock"
        self.process = None

    def start(self):
        if os.path.exists(f"{self.dir}/pid"):
            os.remove(f"{self.dir}/pid")
        words = ["unshare", "--net", DOCKERD, "--data-root", f"{self.dir}/data", "--exec-root", f"{self.dir}/exec", "--pidfile", f"{self.dir}/pid",
                 "-H", self.url, "--bridge=none", "--iptables=false", "--live-restore"]
        with open(f"{self.dir}/log", "ab") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        wait_until(lambda: self.process.poll() is not None or self.run("ping", check=False).returncode == 0, "the engine answers", 60)
        return self.process.poll() is None

    def log(self):
        return Path(f"{self.dir}/log").read_text(encoding="utf-8")[-1000:]

    def run(self, *words, check=True):
        return subprocess.run([ROOT / "tests/support/engine", *words], check=check, capture_output=True, text=True,
                              env={**os.environ, "DOCKER_HOST": self.url})

    def names(self, label):
        text = self.run("get", "/containers/json?all=1&filters=" + json.dumps({"label": [label]}).replace('"', "%22").replace(" ", "")).stdout
        return {each["Names"][0][1:] for each in json.loads(text)}

    def kill(self):
        """The engine and its containerd; the containers run on."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        own = f"{self.dir}/exec/containerd"
        with open(f"{own}/containerd.pid", encoding="utf-8") as pid, contextlib.suppress(ProcessLookupError):
            os.kill(int(pid.read()), signal.SIGKILL)
        for name in ("containerd.pid", "containerd.sock", "containerd.sock.ttrpc", "containerd-debug.sock"):
            with contextlib.suppress(FileNotFoundError):
                os.remove(f"{own}/{name}")

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait()
        for line in reversed(Path("/proc/mounts").read_text(encoding="utf-8").splitlines()):
            if line.split()[1].startswith(self.dir):
                subprocess.run(["umount", "-l", line.split()[1]], check=False)
        shutil.rmtree(self.dir, ignore_errors=True)


class Engines(unittest.TestCase):
    def open(self, count):
        engines = [OwnEngine() for _ in range(count)]
        for each in engines:
            self.addCleanup(each.close)
            self.assertTrue(each.start(), each.log())
            each.run("image")
        system = System(workers=count, start=False, options={
            "host.runtime": "docker", "docker.image": "warmpool-test:1", "docker.command": "exec sleep 100000", "host.reconcile_interval": 1,
            "host.ttl_ms": 60000, "pool.lease_ms": 600000, "pool.max_failures": 0})
        self.addCleanup(system.close)
        for worker, each in zip(system.workers, engines):
            worker.options["docker.url"] = each.url
        label = f"io.warmpool.prefix=wp/{system.prefix}"
        for each in engines:
            self.addCleanup(each.run, "clean", label, check=False)
        system.start()
        return system, Client(system), engines, label

    def acquire(self, client, names):
        for name in names:
            client.send("container-acquire", {"request_id": name, "agent_id": "a", "philosophy": "react", "timeout_ms": 110000})

    def wait_answered(self, client, names):
        def answers():
            return {r["request_id"] for r in client.read("container-assignment")}
        wait_until(lambda: answers() >= set(names), lambda: f"missing: {sorted(set(names) - answers())}")

    def test_one_that_is_killed_and_comes_back_under_load(self):
        system, client, (own,), label = self.open(1)
        first = [f"a-{number}" for number in range(4)]
        self.acquire(client, first)
        self.wait_answered(client, first)
        client.send("container-release", {"request_id": "a-0", "philosophy": "react"})
        self.acquire(client, [f"b-{number}" for number in range(4)])
        own.kill()
        self.acquire(client, [f"c-{number}" for number in range(4)])
        self.assertTrue(own.start(), own.log())
        names = first + [f"{letter}-{number}" for letter in "bc" for number in range(4)]
        self.wait_answered(client, names)
        assigned = [r for r in client.read("container-assignment") if r["status"] == "assigned"]
        self.assertEqual(sorted({(r["request_id"], r["container_id"]) for r in assigned}), sorted((r["request_id"], r["container_id"]) for r in assigned))
        self.assertEqual({r["request_id"] for r in assigned}, set(names), "none is rejected")

        def known():
            pool = system.pool("react")
            return pool["available"] + pool["leased"] + pool["creating"]
        wait_until(lambda: len(own.names(label)) == known(), lambda: f"{own.names(label)} {system.pool('react')}")

    def test_two_engines_serve_two_workers(self):
        system, client, engines, label = self.open(2)
        names = [f"t-{number}" for number in range(8)]
        self.acquire(client, names)
        self.wait_answered(client, names)
        answers = client.read("container-assignment")
        self.assertEqual({r["host"] for r in answers}, {worker.name for worker in system.workers})
        for worker, own in zip(system.workers, engines):
            mine = {r["container_id"] for r in answers if r["host"] == worker.name}
            self.assertLessEqual(mine, own.names(label))
        for name in names:
            client.send("container-release", {"request_id": name, "philosophy": "react", "reuse": False})
        wait_until(lambda: not any(own.names(label) for own in engines), "all are gone on both")


if __name__ == "__main__":
    why = "the program dockerd" if not DOCKERD else "root" if os.geteuid() != 0 else None
    if not why:
        probe = OwnEngine()
        try:
            if not probe.start():
                why = "a dockerd that can be started here: " + probe.log().replace("\n", " ")
        except AssertionError:
            why = "a dockerd that comes up here"
        probe.close()
    if why:
        print(f"skipped: these tests need {why}", file=sys.stderr)
        sys.exit(SKIPPED)
    unittest.main()
