"""The Python client as a package: strict types, a wheel without the network, and its own tests against what the wheel installs."""
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

from example import ROOT, skip

CLIENT = ROOT / "clients" / "python"


def run(*command, folder, **environment):
    return subprocess.run([sys.executable, "-B", *command], cwd=folder, env={**os.environ, **environment}, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)


class Package(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def succeeds(self, *command, folder, **environment):
        done = run(*command, folder=folder, **environment)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def test_types_are_strict(self):
        self.succeeds("-m", "mypy", "--strict", "--cache-dir", os.path.join(self.folder, "mypy"), folder=CLIENT)

    def test_a_wheel_has_all_that_the_client_needs(self):
        source, out, installed = (os.path.join(self.folder, name) for name in ("source", "out", "installed"))
        shutil.copytree(CLIENT, source, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
        self.succeeds("-m", "build", "--wheel", "--no-isolation", "--outdir", out, folder=source)
        wheel = next(Path(out).glob("warmpool_client-*-py3-none-any.whl"))
        names = zipfile.ZipFile(wheel).namelist()
        self.assertIn("warmpool_client/py.typed", names)
        self.assertEqual(len([name for name in names if name.endswith(".avsc")]), 6)
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(installed)
        text = self.succeeds(str(CLIENT / "tests" / "test_client.py"), folder=self.folder, PYTHONPATH=installed)
        self.assertIn("OK", text)
        self.assertNotIn("skipped", text)


if __name__ == "__main__":
    for module in ("mypy", "build", "setuptools"):
        if importlib.util.find_spec(module) is None:
            skip(f"{module} is not there: ./dev installs it (tests/e2e/requirements.txt)")
    unittest.main()
