"""A worker reads its configuration again at SIGHUP: all or nothing, and says what has changed."""
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path

from system import WAIT_LIMIT, WARMPOOL, die_with_parent, wait_until

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


if __name__ == "__main__":
    unittest.main()
