"""An engine that does what it is told after the worker gave up waiting for it."""
import os
import shutil
import tempfile
import time
import unittest

from docker_load import docker_system, expect_whole
from docker_system import engine, main
from engine_proxy import Proxy
from load import Load, wait_until


class Late(unittest.TestCase):
    def given_up(self, philosophy, is_late):
        """The first two such calls are done later than docker.timeout_ms."""
        folder = tempfile.mkdtemp(prefix="warmpool-engine-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        proxy, late = Proxy(folder, os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"), []
        self.addCleanup(proxy.close)

        def rule(method, path):
            if not is_late(method, path) or len(late) == 2:
                return None
            late.append(path)
            return ("delay", 6)
        proxy.rule = rule
        with docker_system(docker__url=f"unix://{proxy.path}", docker__timeout_ms=3000) as system:
            self.addCleanup(engine, "clean", f"io.warmpool.prefix=wp/{system.prefix}")
            began = time.monotonic()
            load = Load(system, (philosophy,), discard=2).send(8).wait_answered()
            self.assertEqual(len(late), 2)
            wait_until(lambda: time.monotonic() > began + 8, "the engine has done them, too")
            load.check()
            self.assertEqual(load.statuses(), {"assigned": 8})
            expect_whole(system, {"w1": engine})

    def test_creates_that_it_does_after_they_were_given_up(self):
        self.given_up("made", lambda method, path: "/containers/create" in path)

    def test_starts_that_it_does_after_they_were_given_up(self):
        self.given_up("started", lambda method, path: path.endswith("/start") and "/containers/wp-" in path)


if __name__ == "__main__":
    main()
