"""README's examples run as they are printed, on a real system: only addresses, topic names and the program's path are this system's."""
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from client import Client
from system import ROOT, TOPICS, WAIT_LIMIT, WARMPOOL, System, wait_until

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    """The code blocks of a language, in the order of the text."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.M | re.S)


def block(language, part):
    """The one block that has this part."""
    found = [text for text in blocks(language) if part in text]
    assert len(found) == 1, f"{len(found)} {language} blocks of README.md have {part!r}"
    return found[0]


class Examples(unittest.TestCase):
    def setUp(self):
        self.system = System(wire="json", start=False, options={"http.listen": "127.0.0.1:0", "metrics.interval": 1})
        self.addCleanup(self.system.close)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        os.mkdir(os.path.join(self.folder, "build"))
        os.symlink(os.path.abspath(WARMPOOL), os.path.join(self.folder, "build", "warmpool"))

    def environment(self):
        """This system's options, which win over a file's."""
        options = {f"WARMPOOL_{key.upper().replace('.', '_')}": str(value) for key, value in self.system.options.items()
                   if key != "host.runtime"}
        return {**os.environ, **options, "PATH": f"{self.folder}/build:{os.environ['PATH']}"}

    def shell(self, commands):
        """Runs in the background until the test ends; what it prints is in the file that is returned."""
        out = tempfile.NamedTemporaryFile("w+")
        self.addCleanup(out.close)
        process = subprocess.Popen(["sh", "-c", commands], cwd=self.folder, env=self.environment(), stdin=subprocess.DEVNULL, stdout=out,
                                   stderr=subprocess.STDOUT, start_new_session=True)

        def end():
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
        self.addCleanup(end)
        return out.name

    def wait_printed(self, path, *parts):
        def text():
            with open(path, encoding="utf-8") as file:
                return file.read()
        return wait_until(lambda: all(part in text() for part in parts) and text(), lambda: f"{parts} in {text()[-3000:]}")

    def wait_leased(self, count):
        def leased():
            return json.loads(self.system.redis.client.fcall_ro("wp_pool_stats", 1, "wp:{pool}"))["total"]["leased"]
        wait_until(lambda: leased() == count, f"{count} containers are leased")

    def ours(self, text):
        """The example, with this system's address and topics."""
        for topic in (*TOPICS, "dead-letter"):
            text = text.replace(f'"{topic}"', f'"{self.system.prefix}{topic}"')
        return text.replace("localhost:9092", self.system.kafka.bootstrap).replace("my-service", self.system.prefix + "my-service")

    def run_example(self, *command):
        result = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=WAIT_LIMIT)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return result.stdout

    def test_a_worker_runs_and_hands_a_container_out_and_takes_it_back(self):
        worker = self.shell(block("sh", "cat >warmpool.ini"))
        self.wait_printed(worker, "event=kafka_assigned")
        answer = self.wait_printed(self.shell(block("sh", "send container-acquire") + "wait"), "container-assignment", "assigned")
        self.assertIn("agent-7", answer)
        self.wait_leased(1)
        self.shell(block("sh", "send container-release"))
        self.wait_leased(0)

    def test_command_line_for_every_topic(self):
        self.system.start()
        out = self.shell(block("sh", "send usage-record"))
        self.wait_printed(out, '"topic":"' + self.system.prefix + 'metrics"')
        client = Client(self.system)
        self.assertEqual(client.wait("cache-result")["event_id"], "e-2")
        self.assertEqual(client.wait("prediction")["philosophy"], "react")
        wait_until(lambda: json.loads(self.system.redis.client.fcall_ro("wp_pool_stats", 1, "wp:{pool}"))["pools"]
                   .get("react", {}).get("pool_size") == 20, "the pool has its new size")
        self.assertFalse(client.read("dead-letter"))

    def test_python(self):
        self.system.start()
        with open(os.path.join(self.folder, "publish.py"), "w", encoding="utf-8") as file:
            file.write(self.ours(block("python", "")))
        Client(self.system).send_raw("container-assignment", b"\xc3\x01an answer in Avro, of a worker before", key=b"another")
        printed = self.run_example(sys.executable, "-B", "publish.py")
        self.assertIn("'status': 'assigned'", printed)
        began = time.monotonic()
        printed = self.run_example(sys.executable, "-B", "publish.py")
        self.assertIn("'status': 'assigned'", printed)
        self.assertLess(time.monotonic() - began, 15, "it waited until the session of the first run was over")
        self.wait_leased(0)
        client = Client(self.system)
        self.assertEqual(client.wait("cache-result")["event_id"], "e-1")
        self.assertEqual(client.wait("prediction")["philosophy"], "react")
        self.assertFalse(client.read("dead-letter"))

    def test_c(self):
        self.system.start()
        with open(os.path.join(self.folder, "publish.c"), "w", encoding="utf-8") as file:
            file.write(self.ours(block("c", "int main")))
        self.run_example("cc", "publish.c", "-lrdkafka")
        self.run_example("./a.out")
        answer = Client(self.system).wait("container-assignment")
        self.assertEqual((answer["request_id"], answer["status"]), ("r-1", "assigned"))


if __name__ == "__main__":
    unittest.main()
