"""The demo with containers of the tests' engine, as a new user starts it; the shortest that shows something."""
import json
import os
import subprocess
import tempfile
import unittest

from docker_system import engine, main
from system import ROOT, WAIT_LIMIT, WARMPOOL

DEFAULT_IMAGE = "debian:trixie-slim"


def images():
    return {tag for image in json.loads(engine("get", "/images/json")) for tag in image["RepoTags"] or []}


def demo(*options, **environment):
    return subprocess.run(["bash", ROOT / "demo/run", *options], env={**os.environ, "WARMPOOL_BIN": WARMPOOL, **environment}, check=False,
                          capture_output=True, text=True, timeout=2 * WAIT_LIMIT)


class Demo(unittest.TestCase):
    def test_it_needs_no_image_answers_each_acquire_and_leaves_nothing(self):
        before = images()
        with tempfile.TemporaryDirectory() as folder:
            ended = demo("--docker", "--json", "--seconds", "5", TMPDIR=folder)
            self.assertEqual(os.listdir(folder), [])
        self.assertEqual(ended.returncode, 0, ended.stderr)
        figures = json.loads(ended.stdout.splitlines()[-1])
        self.assertGreater(figures["assigned"], 0, ended.stderr)
        self.assertEqual((figures["acquires"], figures["unanswered"]), (figures["assigned"] + figures["rejected"], 0))
        self.assertEqual("is made from Debian's busybox" in ended.stderr, DEFAULT_IMAGE not in before, ended.stderr)
        left = [names for row in json.loads(engine("get", "/containers/json?all=1"))
                if row["Labels"].get("io.warmpool.host", "").startswith("demo-") for names in row["Names"]]
        self.assertEqual((left, {tag for tag in images() if tag.startswith("warmpool-demo")}), ([], set()))

    def test_an_engine_that_is_not_there_is_named_with_what_to_do(self):
        ended = demo("--docker", DOCKER_HOST="unix:///nowhere.sock")
        self.assertEqual(ended.returncode, 1, ended.stderr)
        self.assertRegex(ended.stderr, r"FAIL docker +the Docker engine at unix:///nowhere.sock does not answer: .*; start it, or set docker.url")
        self.assertNotIn("Traceback", ended.stderr)


if __name__ == "__main__":
    main()
