"""What the process inherits from the one that starts it, and what becomes of its output."""
import fcntl
import os
import pty
import signal
import socket
import subprocess
import tempfile
import termios
import time
import unittest

from client import Client
from system import WAIT_LIMIT, WARMPOOL, System, die_with_parent, wait_until

PRINTING = (("--help",), ("--version",), ("worker", "--help"), ("worker", "--reference"))
NOBODY = ("-o", "kafka.bootstrap.servers=127.0.0.1:1", "-o", "redis.url=redis://127.0.0.1:1", "-o", "worker.stop_timeout_ms=500")


def run(*arguments, **how):
    return subprocess.run([WARMPOOL, *arguments], stderr=subprocess.PIPE, text=True, timeout=WAIT_LIMIT, **how)


def handles(pid, number):
    """True when the process has a handler of that signal."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        caught = next(line for line in status if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


class Output(unittest.TestCase):
    def test_what_cannot_be_written_is_an_error(self):
        for arguments in PRINTING:
            with open("/dev/full", "w") as full:
                result = run(*arguments, stdout=full)
            self.assertEqual(result.returncode, 1, arguments)
            self.assertIn("standard output cannot be written: No space left on device", result.stderr)
            result = run(*arguments, preexec_fn=lambda: os.close(1))
            self.assertEqual(result.returncode, 1, arguments)
            self.assertIn("standard output cannot be written: Bad file descriptor", result.stderr)

    def test_a_reader_that_went_away_is_none(self):
        for arguments in PRINTING:
            reader, writer = os.pipe()
            os.close(reader)
            result = run(*arguments, stdout=writer)
            os.close(writer)
            self.assertEqual((result.returncode, result.stderr), (0, ""), arguments)


class End(unittest.TestCase):
    """A broker that is not there is waited for no longer than it takes to end, whatever worker.stop_timeout_ms says."""
    def test_a_start_that_fails_ends_at_once(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            began = time.monotonic()
            result = run("worker", *NOBODY[:4], "-o", f"http.listen=127.0.0.1:{taken.getsockname()[1]}")
            self.assertLess(time.monotonic() - began, 4)
        self.assertEqual(result.returncode, 2)
        self.assertIn("Address already in use", result.stderr)

    def test_a_worker_that_never_reached_kafka_stops_at_once(self):
        with tempfile.TemporaryFile("w+") as log:
            worker = subprocess.Popen([WARMPOOL, "worker", *NOBODY[:4], "-o", "host.name=h", "-o", "http.listen=127.0.0.1:0",
                                       "-o", "worker.stop_timeout_ms=20000"],
                                      stderr=log, preexec_fn=die_with_parent)

            def said(what):
                log.seek(0)
                return what in log.read()
            wait_until(lambda: said("Connection refused"), "it has tried to reach a broker")
            began = time.monotonic()
            worker.terminate()
            self.assertEqual(worker.wait(WAIT_LIMIT), 0)
            self.assertLess(time.monotonic() - began, 5)
            self.assertTrue(said("event=stopped exit=0"))


class Inherited(unittest.TestCase):
    def test_closed_standard_descriptors_become_no_sockets(self):
        worker = subprocess.Popen([WARMPOOL, "worker", *NOBODY, "-o", "http.listen=127.0.0.1:0"],
                                  preexec_fn=lambda: (die_with_parent(), os.closerange(0, 3)))
        try:
            wait_until(lambda: handles(worker.pid, signal.SIGTERM), "its loop is there")
            self.assertEqual([os.readlink(f"/proc/{worker.pid}/fd/{fd}") for fd in range(3)], ["/dev/null"] * 3)
        finally:
            worker.terminate()
            self.assertEqual(worker.wait(WAIT_LIMIT), 0)

    def test_blocked_and_ignored_signals_are_taken_back(self):
        def inherit():
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGCHLD, signal.SIGALRM])
        with System(start=False) as system:
            worker = system.workers[0].start(inherit=inherit).wait_ready()
            client = Client(system)
            pid = int(client.acquire("r-1")["address"].partition(":")[2])
            os.kill(pid, signal.SIGKILL)
            client.wait("container-assignment", lambda r: r["request_id"] == "r-1" and r["status"] == "lost")
            self.assertEqual(worker.stop(), 0)

    def test_a_terminal_that_goes_away_is_a_stop(self):
        for ignored in False, True:  # as nohup does
            master, slave = pty.openpty()

            def begin_session():
                die_with_parent()
                os.setsid()
                fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
                if ignored:
                    signal.signal(signal.SIGHUP, signal.SIG_IGN)
            with tempfile.TemporaryFile("w+") as log:
                worker = subprocess.Popen([WARMPOOL, "worker", *NOBODY, "-o", "http.listen="], stderr=log, stdin=slave,
                                          pass_fds=[slave], preexec_fn=begin_session)
                os.close(slave)

                def said(event):
                    log.seek(0)
                    return f"event={event}" in log.read()
                wait_until(lambda: said("started"), "it starts")
                worker.send_signal(signal.SIGHUP)  # while the terminal is there
                wait_until(lambda: said("reloaded"), "it reads its configuration again")
                os.close(master)  # the kernel sends SIGHUP
                if ignored:
                    worker.terminate()
                self.assertEqual(worker.wait(WAIT_LIMIT), 0)
                self.assertTrue(said(f"stopping signal={signal.SIGTERM if ignored else signal.SIGHUP:d}"))


if __name__ == "__main__":
    unittest.main()
