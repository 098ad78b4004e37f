"""What systemd is told of a worker, on a socket of the test's own; and whether it takes the units."""
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from system import ROOT, WAIT_LIMIT, WARMPOOL, System, die_with_parent, pause, stays, wait_until

UNITS = ROOT / "packaging" / "systemd"


class Manager:
    """Where a service tells how it is."""
    def __init__(self, folder, name=None):
        self.name = name or os.path.join(folder, "notify.sock")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.name.replace("@", "\0"))
        self.socket.setblocking(False)
        self.heard = []

    def close(self):
        self.socket.close()

    def environment(self, **more):
        os.environ.update(NOTIFY_SOCKET=self.name, **more)

    def listen(self):
        while True:
            try:
                self.heard += self.socket.recv(4096).decode().splitlines()
            except BlockingIOError:
                return self.heard

    def wait(self, line, count=1):
        wait_until(lambda: self.listen().count(line) >= count, lambda: f"{count} times {line}: {self.heard}")

    def first(self, beginning):
        """What follows the beginning of the first line that has it."""
        wait_until(lambda: any(line.startswith(beginning) for line in self.listen()), lambda: f"{beginning}: {self.heard}")
        return next(line for line in self.heard if line.startswith(beginning))[len(beginning):]


class Notify(unittest.TestCase):
    def test_it_is_ready_when_it_can_work_and_says_what_it_does(self):
        with System(start=False) as system:
            manager, worker = Manager(system.dir), system.workers[0]
            self.addCleanup(manager.close)
            config = Path(system.dir, "warmpool.ini")
            config.write_text("[cache]\nmax_entries = 5\n")
            worker.arguments = ["-c", str(config)]
            system.redis.kill()
            worker.start(inherit=manager.environment)
            manager.first("STATUS=waiting for ")
            wait_until(lambda: "event=started" in worker.log(), worker.log)
            self.assertNotIn("READY=1", manager.listen())
            worker.process.send_signal(signal.SIGHUP)
            wait_until(lambda: "event=reloaded" in worker.log(), worker.log)
            self.assertNotIn("READY=1", manager.listen(), "a reload does not make it ready")
            self.assertNotIn("RELOADING=1", manager.heard)
            system.redis.start()
            manager.wait("READY=1")
            manager.wait("STATUS=ready")
            before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            worker.process.send_signal(signal.SIGHUP)
            manager.wait("READY=1", 2)
            self.assertLess(manager.heard.index("RELOADING=1"), len(manager.heard) - 1 - manager.heard[::-1].index("READY=1"))
            self.assertGreaterEqual(int(manager.first("MONOTONIC_USEC=")), before)
            config.write_text("nonsense\n")
            worker.process.send_signal(signal.SIGHUP)
            manager.wait("READY=1", 3)
            self.assertIn("neither [section] nor key = value", manager.first("STATUS=ready; the configuration was not taken over: "))
            self.assertEqual(worker.stop(), 0)
            self.assertIn("STOPPING=1", manager.listen())

    def test_a_loop_that_turns_feeds_the_watchdog_and_one_that_stands_still_does_not(self):
        with tempfile.TemporaryDirectory() as folder:
            manager = Manager(folder, f"@warmpool-test-{os.getpid()}")  # of the abstract namespace
            self.addCleanup(manager.close)
            with open(os.path.join(folder, "log"), "wb") as log:
                worker = subprocess.Popen(
                    [WARMPOOL, "worker", "-o", "kafka.bootstrap.servers=127.0.0.1:1", "-o", "redis.url=redis://127.0.0.1:1", "-o", "http.listen=",
                     "-o", "worker.stop_timeout_ms=500"], stderr=log,
                    preexec_fn=lambda: (die_with_parent(), manager.environment(WATCHDOG_USEC="100000", WATCHDOG_PID=str(os.getpid()))))
            manager.wait("WATCHDOG=1", 5)
            pause(worker.pid)
            heard = manager.listen().count("WATCHDOG=1")
            stays(lambda: manager.listen().count("WATCHDOG=1") == heard, "it is silent", seconds=0.5)
            worker.send_signal(signal.SIGCONT)
            worker.terminate()
            self.assertEqual(worker.wait(WAIT_LIMIT), 0)
            manager.listen()
            self.assertNotIn("READY=1", manager.heard)
            self.assertLess(manager.heard.index("WATCHDOG=1"), manager.heard.index("STOPPING=1"))

    def test_without_a_manager_nothing_is_told(self):
        for name in "", "relative", "/nowhere/notify.sock", "/" + "x" * 200:
            result = subprocess.run([WARMPOOL, "worker", "-o", "pool.size=x"], env={**os.environ, "NOTIFY_SOCKET": name}, capture_output=True, text=True)
            self.assertEqual(result.returncode, 2)


class Units(unittest.TestCase):
    def setUp(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("systemd-analyze is not here (the Debian package systemd)")
        folder = tempfile.TemporaryDirectory(prefix="warmpool-units-")
        self.addCleanup(folder.cleanup)
        self.units = []
        for unit in sorted(UNITS.glob("*.service")):
            here = Path(folder.name, unit.name.replace("@.", "@one."))
            here.write_text(unit.read_text().replace("/usr/bin/warmpool", str(Path(WARMPOOL).resolve())))
            self.units.append(str(here))

    def analyze(self, *arguments):
        result = subprocess.run(["systemd-analyze", *arguments, *self.units], capture_output=True, text=True, timeout=WAIT_LIMIT)
        return result.returncode, result.stdout + result.stderr

    def test_systemd_takes_them(self):
        code, said = self.analyze("verify", "--man=no")
        ours = [line for line in said.splitlines() if "warmpool" in line]
        self.assertEqual((code, ours), (0, []), said)

    def test_they_leave_little_open(self):
        code, said = self.analyze("security", "--offline=true", "--no-pager", "--threshold=25")
        if "unrecognized option" in said:
            self.skipTest("this systemd-analyze does not judge files")
        self.assertEqual(code, 0, said)

    def test_they_are_one_but_for_the_instance(self):
        one, several = ((UNITS / name).read_text().partition("[Unit]")[2] for name in ("warmpool.service", "warmpool@.service"))
        general = re.sub(r"warmpool-%i|%i(?=\.ini)", "warmpool", several.replace(" %i", "")).replace("edit warmpool@", "edit warmpool")
        self.assertEqual(general, one)


if __name__ == "__main__":
    unittest.main()
