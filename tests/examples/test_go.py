"""The example in Go, without cgo."""
import os
import shutil
import subprocess
import tempfile
import unittest

from example import CACHE, ROOT, Language, Runner, skip

FOLDER = ROOT / "examples" / "go"
BUILD = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly -modcacherw", "GOPATH": str(CACHE / "go"),
         "GOMODCACHE": str(CACHE / "go" / "mod"), "GOCACHE": str(CACHE / "go" / "build")}


class Go(Language):
    folder = FOLDER

    @classmethod
    def build(cls):
        folder = tempfile.mkdtemp(prefix="warmpool-example-")
        cls.addClassCleanup(shutil.rmtree, folder)
        cls.command = (os.path.join(folder, "runner"),)
        for words in (["vet", "."], ["build", "-o", cls.command[0], "."]):
            done = subprocess.run(["go", *words], cwd=FOLDER, env=BUILD, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            if done.returncode:
                raise AssertionError(f"go {words[0]}: {done.stdout}")


class Jobs(Go, Runner, unittest.TestCase):
    def test_0_its_source_is_formatted(self):
        done = subprocess.run(["gofmt", "-l", *FOLDER.glob("*.go")], capture_output=True, text=True, check=True)
        self.assertEqual(done.stdout, "", "gofmt would change these")


if __name__ == "__main__":
    if shutil.which("go") is None or shutil.which("gofmt") is None:
        skip("there is no go: ./dev test installs golang-go, with which the example in Go is built")
    unittest.main()
