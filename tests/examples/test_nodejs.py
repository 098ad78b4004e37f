"""The example in Node.js, and its types."""
import os
import shutil
import subprocess
import tempfile
import unittest

from example import CACHE, ROOT, Language, Runner, skip


class Nodejs(Language):
    command = ("node", "runner.js")

    @classmethod
    def build(cls):
        cls.folder = tempfile.mkdtemp(prefix="warmpool-example-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        shutil.copytree(ROOT / "examples" / "nodejs", cls.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
        cls.npm("ci", "--prefer-offline", "--no-audit", "--no-fund", "--cache", str(CACHE / "npm"))

    @classmethod
    def npm(cls, *words):
        done = subprocess.run(["npm", *words], cwd=cls.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                              env={**os.environ, "npm_config_update_notifier": "false"})
        if done.returncode:
            raise AssertionError(f"npm {words[0]}: {done.stdout}")


class Jobs(Nodejs, Runner, unittest.TestCase):
    def test_0_it_uses_the_events_as_the_schemas_have_them(self):
        self.npm("run", "check")


if __name__ == "__main__":
    if shutil.which("node") is None or shutil.which("npm") is None:
        skip("there is no node and npm: ./dev test installs nodejs and npm, with which the example in Node.js runs")
    unittest.main()
