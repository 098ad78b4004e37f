"""A worker reads its configuration again at SIGHUP: all or nothing, and says what has changed."""
import json
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path

from client import Client
from system import WAIT_LIMIT, WARMPOOL, System, die_with_parent, wait_until

# Nobody listens there: what is tried here needs neither Kafka nor Redis.
NOWHERE = "[kafka]\nbootstrap.servers = 127.0.0.1:1\n[redis]\nurl = redis://:sesame@127.0.0.1:1\n[worker]\nstop_timeout_ms = 500\n"


class Alone:
    """A worker with a configuration file, on its own."""
    def __init__(self, text, *options, base=NOWHERE, inherit=lambda: None):
        self.folder = tempfile.TemporaryDirectory(prefix="warmpool-reload-")
        self.file = Path(self.folder.name, "warmpool.ini")
        self.base = base
        self.write(text)
        self.log_path = Path(self.folder.name, "log")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([WARMPOOL, "worker", "-c", str(self.file), "-o", "http.listen=127.0.0.1:0", *options],
                                            stderr=log, preexec_fn=lambda: (die_with_parent(), inherit()))

    def write(self, text):
        self.file.write_text(self.base + text)

    def lines(self, event):
        return [line for line in self.log_path.read_text().splitlines() if f" event={event} " in line + " "]

    def wait_line(self, event, count=1):
        wait_until(lambda: len(self.lines(event)) >= count or self.process.poll() is not None,
                   lambda: f"{count} lines of {event}:\n{self.log_path.read_text()}")
        return self.lines(event)[count - 1]

    def hang_up(self):
        self.process.send_signal(signal.SIGHUP)

    def reload(self, text=None, answer="reloaded"):
        """Returns the line that says how it went."""
        before = len(self.lines(answer))
        if text is not None:
            self.write(text)
        self.hang_up()
        return self.wait_line(answer, before + 1)

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(WAIT_LIMIT)
        self.folder.cleanup()
        return code

    def __enter__(self):
        self.wait_line("started")
        return self

    def __exit__(self, *_):
        self.end()


class Reload(unittest.TestCase):
    def test_a_level_applies_at_once(self):
        with Alone("[log]\nlevel = info\n") as worker:
            worker.reload("[log]\nlevel = warn\n", answer="config_changed")
            worker.write("[log]\nlevel = info\n")
            worker.hang_up()
            line = worker.wait_line("config_changed", 2)
            self.assertIn('key=log.level before=warn after=info applies="at once"', line)

    def test_what_needs_a_restart_keeps_its_value_and_is_named_until_then(self):
        with Alone("") as worker:
            for count in 1, 2:
                self.assertIn("changed=0 needs_restart=1", worker.reload("[topics]\npartitions = 9\n"))
                self.assertIn("level=warn", worker.wait_line("config_needs_restart", count))
            self.assertIn("key=topics.partitions before=6 after=9 applies=restart", worker.lines("config_needs_restart")[1])
            self.assertIn("changed=0 needs_restart=0", worker.reload(""))

    def test_secrets_are_in_no_line(self):
        with Alone("[docker]\nenvironment = TOKEN=sesame1,MODE=a\n") as worker:
            worker.base = NOWHERE.replace("sesame", "sesame2")
            worker.reload("[docker]\nenvironment = TOKEN=sesame3,MODE=b\nenvironment.react = TOKEN=sesame4\n[kafka]\nsasl.password = sesame5\n")
            text = worker.log_path.read_text()
            self.assertNotIn("sesame", text)
            self.assertIn("key=redis.url before=redis://:***@127.0.0.1:1 after=redis://:***@127.0.0.1:1", text)
            self.assertIn('key=docker.environment before="TOKEN=***,MODE=***" after="TOKEN=***,MODE=***"', text)
            self.assertIn('key=docker.environment.react before="(not set)" after="TOKEN=***"', text)
            self.assertIn('key=kafka.sasl.password before="(not set)" after=***', text)


class Running:
    """A system whose only worker has a configuration file beside its options."""
    def __init__(self, text="", **how):
        self.system = System(start=False, **how)
        self.worker = self.system.workers[0]
        self.file = Path(self.system.dir, "warmpool.ini")
        self.file.write_text(text)
        self.worker.arguments = ["-c", str(self.file)]
        del self.system.options["pool.prewarm"], self.worker.options["pool.prewarm"]  # options win over the file

    def reloads(self):
        return self.worker.log().count("event=reloaded ")

    def reload(self, text):
        before = self.reloads()
        self.file.write_text(text)
        self.worker.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.reloads() > before, lambda: "it is reloaded:\n" + self.worker.log()[-3000:])

    def __enter__(self):
        self.system.start()
        return self

    def __exit__(self, *_):
        self.system.close()


class Work(unittest.TestCase):
    def test_pools_and_the_host_follow(self):
        with Running("[pool]\nprewarm =\n") as running:
            running.reload("[pool]\nprewarm = react:2\n[host]\ncapacity = 7\n")
            running.system.wait_pool("react", available=2)
            running.reload("[pool]\nprewarm = react:2\nmin_idle.planner = 1\nsize = 4\n[process]\ncommand = exec sleep 4711\n[host]\ncapacity = 7\n")
            running.system.wait_pool("planner", available=1)
            wait_until(lambda: running.system.pool("react")["pool_size"] == 4, lambda: running.system.pool("react"))
            capacity = lambda: [host["capacity"] for host in json.loads(running.system.cli("hosts", "--json").stdout)["hosts"].values()]
            wait_until(lambda: capacity() == [7], capacity)
            client = Client(running.system)
            pid = client.acquire("r-1", philosophy="planner")["address"].partition(":")[2]
            self.assertIn("sleep\x004711", Path(f"/proc/{pid}/cmdline").read_text(), "new containers are what is configured now")
            pid = client.acquire("r-2", philosophy="react")["address"].partition(":")[2]
            self.assertIn("sleep\x00infinity", Path(f"/proc/{pid}/cmdline").read_text(), "those from before are left alone")

    def test_nothing_is_lost_or_answered_twice_while_it_reloads_again_and_again(self):
        versions = ["[pool]\nprewarm = react:4\nsize = 20\ntimeout_ms = 60000\n",
                    "[pool]\nprewarm = react:2\nsize = 8\ntimeout_ms = 50000\n[worker]\ncalls = 1\nbatch = 3\nsweep_interval_ms = 20\n"
                    "[host]\ncreates = 2\nttl_ms = 4000\n[memory]\nenabled = false\n[cache]\nmax_entries = 7\n",
                    "[pool]\nprewarm_interval = 0\nmin_idle = 3\nsize = 9\n[worker]\nwindow_bytes = 1048576\n[metrics]\ninterval = 1\n"
                    "[log]\nlevel = debug\n[tuning]\nmode = apply\ninterval = 1\n[process]\nready_after_ms = 1\n"]
        with Running(versions[0]) as running:
            client = Client(running.system)
            requests = [f"r-{number}" for number in range(300)]
            for number, request in enumerate(requests):
                client.send("container-acquire", {"request_id": request, "agent_id": "a", "philosophy": "react", "timeout_ms": 60000})
                if number >= 10:
                    client.send("container-release", {"request_id": requests[number - 10], "philosophy": "react"})
                if number % 10 == 0:
                    running.file.write_text(versions[number // 10 % 3])
                    running.worker.process.send_signal(signal.SIGHUP)
            for request in requests[-10:]:
                client.send("container-release", {"request_id": request, "philosophy": "react"})
            first = {}
            for answer in client.wait_all("container-assignment", lambda r: r["status"] in ("assigned", "rejected"), len(requests)):
                self.assertEqual(first.setdefault(answer["request_id"], answer.raw), answer.raw, "a second answer")
            self.assertEqual(set(first), set(requests))
            running.reload(versions[0])
            self.assertGreaterEqual(running.reloads(), 10)
            running.system.wait_pool("react", leased=0, waiting=0)
            self.assertEqual(running.worker.stop(), 0)


if __name__ == "__main__":
    unittest.main()
