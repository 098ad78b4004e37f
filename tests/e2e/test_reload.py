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

    def port(self):
        return int(self.wait_line("http_listening").rpartition(":")[2])

    def hang_up(self):
        self.process.send_signal(signal.SIGHUP)

    def takes_hangups(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return any(int(line.split()[1], 16) & 1 for line in status.splitlines() if line.startswith(("SigBlk:", "SigCgt:")))

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

    def test_wrong_sources_change_nothing_and_say_why(self):
        good = "[log]\nlevel = debug\n[pool]\nsize = 11\n"
        wrong = {"nonsense\n": "neither [section] nor key = value (file {file}, line 7)",
                 "[pool]\nsice = 4\n": "configuration: pool.sice is not a known key; did you mean pool.size? (file {file}, line 8)",
                 "[pool]\nsize = x\n": 'pool.size = \\"x\\": a whole number from 0 to 100000 is wanted (file {file}, line 8)',
                 "[pool]\nsize = 200\n": "pool.size (200) is above pool.max_containers (100); raise the latter",
                 "[host]\nname = h\n[pool]\nreset = true\n": "pool.reset: host.runtime = process runs no command in a container"}
        with Alone(good, "-o", "host.name=h") as worker:
            for text, sentence in wrong.items():
                self.assertIn(sentence.format(file=worker.file), worker.reload(text, answer="reload_failed"))
            worker.file.unlink()
            worker.hang_up()
            self.assertIn(f"the file {worker.file} cannot be read: No such file or directory", worker.wait_line("reload_failed", len(wrong) + 1))
            worker.file.mkdir()
            worker.hang_up()
            self.assertIn(f"the file {worker.file} cannot be read", worker.wait_line("reload_failed", len(wrong) + 2))
            worker.file.rmdir()
            self.assertIn("changed=0 needs_restart=0", worker.reload(good))

    def test_no_signal_is_lost_whenever_it_comes(self):
        worker = Alone("")
        wait_until(worker.takes_hangups, "it is no longer the starter's program, which a hangup ends")
        while worker.process.poll() is None and not worker.lines("started"):
            worker.hang_up()
        worker.hang_up()  # it may have started before the first one
        worker.wait_line("reloaded")
        for size in range(20, 40):
            worker.write(f"[pool]\nsize = {size}\n")
            worker.hang_up()
        wait_until(lambda: any(" after=39 " in line for line in worker.lines("config_changed")), "the last one counts")
        worker.process.terminate()
        for _ in range(10):
            worker.hang_up()
        self.assertEqual(worker.end(), 0)

    def test_the_command_prints_what_came_of_it(self):
        with Alone("") as worker:
            where = ["-o", f"http.listen=127.0.0.1:{worker.port()}", "-o", "worker.stop_timeout_ms=500"]
            self.assertEqual(command("check", "--diff", "-c", str(worker.file), *where), (1, f"http.listen: the worker has 127.0.0.1:0, this configuration 127.0.0.1:{worker.port()} (restart)\n", ""))
            self.assertEqual(command("reload", *where), (0, f"reloaded {worker.file}: 0 changed, 0 wait for a restart\n", ""))
            worker.write("[pool]\nsize = 12\nsize.react = 20\n[topics]\npartitions = 9\n[redis]\nprefix = other\n")
            code, out, err = command("check", "--diff", "-c", str(worker.file), *where)
            self.assertIn("pool.size.react: the worker has none, this configuration 20 (at once)\n", out)
            self.assertEqual(command("reload", *where), (0, "redis.prefix: wp -> other (waits for a restart)\ntopics.partitions: 6 -> 9 (waits for a restart)\n"
                                                            "pool.size: 10 -> 12 (at once)\npool.size.react: (not set) -> 20 (at once)\n"
                                                            f"reloaded {worker.file}: 2 changed, 2 wait for a restart\n", ""))
            worker.write("[pool]\nsize = -1\n")
            code, out, err = command("reload", *where)
            self.assertEqual((code, out), (1, ""))
            self.assertIn('the worker goes on as before: configuration: pool.size = "-1": a whole number', err)
        code, out, err = command("reload", *where)
        self.assertEqual((code, out), (1, ""))
        self.assertIn("no worker answers at", err)


def command(*arguments):
    result = subprocess.run([WARMPOOL, *arguments], capture_output=True, text=True, timeout=WAIT_LIMIT)
    return result.returncode, result.stdout, result.stderr


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

    def test_its_log_becomes_json_line_by_line(self):
        with Running() as running:
            running.file.write_text("[log]\nlevel = debug\nformat = json\n[pool]\nsize = 4\n")
            running.worker.process.send_signal(signal.SIGHUP)
            wait_until(lambda: '"event":"reloaded"' in running.worker.log(), running.worker.log)
            client = Client(running.system)
            self.assertEqual(client.acquire("r-1")["status"], "assigned")
            client.send_raw("container-acquire", b"nonsense")
            client.wait("dead-letter")
            self.assertEqual(running.worker.stop(), 0)
            lines = running.worker.log().splitlines()
            lines = [json.loads(line) for line in lines[next(i for i, line in enumerate(lines) if line.startswith("{")):]]
            self.assertIn({"key": "pool.size", "before": "10", "after": "4", "applies": "at once"},
                          [{name: line.get(name) for name in ("key", "before", "after", "applies")} for line in lines])
            self.assertEqual({name: lines[-1][name] for name in ("level", "event", "exit")}, {"level": "info", "event": "stopped", "exit": 0})
            self.assertGreater(len({line["event"] for line in lines}), 5)

    def test_nothing_is_lost_or_answered_twice_while_it_reloads_again_and_again(self):
        versions = ["[pool]\nprewarm = react:4\nsize = 20\ntimeout_ms = 60000\n",
                    "[pool]\nprewarm = react:2\nsize = 8\ntimeout_ms = 50000\n[worker]\ncalls = 1\nbatch = 3\nsweep_interval_ms = 20\n"
                    "[host]\ncreates = 2\nttl_ms = 4000\n[memory]\nenabled = false\n[cache]\nmax_entries = 7\n",
                    "[pool]\nprewarm_interval = 0\nmin_idle = 3\nsize = 9\n[worker]\nwindow_bytes = 1048576\n[metrics]\ninterval = 1\n"
                    "[log]\nlevel = debug\n[tuning]\nmode = apply\ninterval = 1\n[process]\nready_after_ms = 1\n"]
        with Running(versions[0]) as running:
            client = Client(running.system)
            requests = [f"r-{number}" for number in range(200)]
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
