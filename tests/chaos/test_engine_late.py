"""An engine that does what it is told after the worker gave up waiting for it."""
import os
import shutil
import tempfile
import time
import unittest

from docker_load import docker_system, expect_whole
from docker_system import engine, inspect, main
from engine_proxy import Proxy
from load import Load, decode, wait_until


class Late(unittest.TestCase):
    def begin_proxy(self):
        folder = tempfile.mkdtemp(prefix="warmpool-engine-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        proxy = Proxy(folder, os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock")
        self.addCleanup(proxy.close)
        return proxy

    def given_up(self, philosophy, is_late):
        """The first two such calls are done later than docker.timeout_ms."""
        proxy, late = self.begin_proxy(), []

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

    def test_a_paused_one_of_before_that_is_assigned_before_the_engine_has_said_so(self):
        proxy = self.begin_proxy()
        with docker_system(workers=2, start=False, pool__hot=0, host__ttl_ms=60000) as system:
            self.addCleanup(engine, "clean", f"io.warmpool.prefix=wp/{system.prefix}")
            worker = system.workers[0]
            worker.options["docker.url"] = f"unix://{proxy.path}"
            system.start()
            load = Load(system, ("react",), release=False)
            while len({host for host, _ in self.containers(load)}) < 2:
                load.send(1).wait_answered()
            load.give_back_held()
            wait_until(lambda: all(inspect(container)["State"]["Paused"] for _, container in self.containers(load)), "all are paused")
            worker.kill()
            proxy.rule = lambda method, path: ("delay", 8) if path.endswith("/json") and "/containers/wp-" in path else None
            second = Load(system, ("react",), release=False).send(len(load.sent))
            system.wait_pool("react", available=0)
            worker.start()
            second.wait_answered()
            given = self.containers(second)
            self.assertIn(worker.name, [host for host, _ in given])
            self.assertEqual([container for _, container in given if inspect(container)["State"]["Paused"]], [])

    @staticmethod
    def containers(load):
        answers = [decode("container-assignment", data) for data in load.answers.values()]
        return [(answer["host"], answer["container_id"]) for answer in answers]


if __name__ == "__main__":
    main()
