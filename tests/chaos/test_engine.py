"""A Docker engine that misbehaves, and hands that meddle: every request is answered once, and nothing is left that pools do not know."""
import json
import os
import shutil
import tempfile
import threading
import unittest
import uuid

from load import wait_committed, wait_until
from docker_system import WithDocker, engine, inspect, main, runs
from engine_proxy import Proxy

STATES = ("available", "leased", "creating", "resetting")


class Engine(WithDocker):
    options = {"pool.max_failures": 0}

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="warmpool-engine-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.proxy = Proxy(cls.folder, os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock")
        cls.addClassCleanup(cls.proxy.close)
        super().setUpClass()

    @classmethod
    def prepare(cls):
        for worker in cls.system.workers:
            worker.options["docker.url"] = f"unix://{cls.proxy.path}"

    def tearDown(self):
        self.proxy.rule = None

    def ask(self, philosophy, count=1, **fields):
        names = [f"{philosophy}-{uuid.uuid4()}" for _ in range(count)]
        for name in names:
            self.client.send("container-acquire", {"request_id": name, "agent_id": "a", "philosophy": philosophy, "timeout_ms": 110000, **fields})
        return names

    def answers(self, name):
        return [r for r in self.client.read("container-assignment") if r["request_id"] == name and r["status"] != "lost"]

    def expect_assigned_once(self, names):
        wait_until(lambda: all(self.answers(name) for name in names),
                   lambda: f"answers: {[len(self.answers(name)) for name in names]} {self.system.workers[0].log()[-3000:]}")
        for name in names:
            self.assertEqual([r["status"] for r in self.answers(name)], ["assigned"], name)

    def expect_nothing_leaked(self):
        """What the engine has is what the pools say."""
        def known():
            pools = json.loads(self.system.redis.client.fcall_ro("wp_pool_stats", 1, "wp:{pool}"))["pools"]
            return sum(pool[state] for pool in pools.values() for state in STATES)
        wait_until(lambda: int(engine("count", self.label)) == known(),
                   lambda: f"the engine has {engine('count', self.label)}, pools {known()}: {self.system.workers[0].log()[-3000:]}")

    def is_create(self, method, path):
        return method == "POST" and "/containers/create" in path

    # --- the engine ---

    def test_creates_that_it_refuses_for_a_while(self):
        self.proxy.rule = lambda method, path: ("answer", 500, "no space left on device") if self.is_create(method, path) else None
        names = self.ask("refused", 3)
        wait_until(lambda: "no space left on device" in self.system.workers[0].log(), "it is said")
        self.proxy.rule = None
        self.expect_assigned_once(names)
        self.expect_nothing_leaked()

    def test_starts_that_it_refuses_for_a_while(self):
        self.proxy.rule = lambda method, path: ("answer", 500, "no space left on device") if path.endswith("/start") else None
        names = self.ask("unstarted", 3)
        wait_until(lambda: [p for _, p in self.proxy.seen if p.endswith("/start")], "it is told to start one")
        wait_until(lambda: "it could not be started" in self.system.workers[0].log(), "it is said")
        self.proxy.rule = None
        self.expect_assigned_once(names)
        self.expect_nothing_leaked()

    def test_one_that_answers_after_30_s_delays_nobody_else(self):
        self.client.send("pool-control", {"philosophy": "quick", "op": "pre_warm", "count": 1})
        self.system.wait_pool("quick", available=1)
        slow = threading.Event()
        threading.Timer(30, slow.set).start()
        self.proxy.rule = lambda method, path: ("hold", slow) if self.is_create(method, path) else None
        names = self.ask("slow")
        wait_until(lambda: [path for method, path in self.proxy.seen if self.is_create(method, path) and "wp-slow" in path], "it is asked")
        self.expect_assigned_once(self.ask("quick"))
        self.assertFalse(slow.is_set(), "who is warm waits for nobody")
        self.expect_assigned_once(names)
        self.expect_nothing_leaked()

    def test_a_create_whose_answer_is_lost_is_adopted_or_removed(self):
        lost = []

        def rule(method, path):
            if self.is_create(method, path) and len(lost) < 2:
                lost.append(path)
                return ("cut",)
            return None
        self.proxy.rule = rule
        self.expect_assigned_once(self.ask("cut", 2))
        self.expect_nothing_leaked()

    # --- the worker ---

    def dies_while(self, philosophy, is_held):
        """The worker is killed while the engine works on a call."""
        held = threading.Event()
        self.addCleanup(held.set)
        before = len(self.proxy.seen)
        self.proxy.rule = lambda method, path: ("hold", held) if f"wp-{philosophy}" in path and is_held(method, path) else None
        names = self.ask(philosophy)
        wait_until(lambda: [1 for method, path in self.proxy.seen[before:] if f"wp-{philosophy}" in path and is_held(method, path)], "it is asked")
        worker = self.system.workers[0]
        worker.kill()
        self.proxy.rule = None
        held.set()
        worker.start().wait_ready()
        self.expect_assigned_once(names)
        self.expect_nothing_leaked()

    def test_a_worker_that_dies_between_create_and_start(self):
        self.dies_while("unstarted-yet", lambda method, path: path.endswith("/start"))

    def test_a_worker_that_dies_between_start_and_ready(self):
        self.dies_while("unready-yet", lambda method, path: method == "GET" and path.endswith("/json") and "/containers/wp-" in path)

    # --- hands ---

    def test_killed_by_hand_while_it_is_made(self):
        for worker in self.system.workers:
            self.assertEqual(worker.options["docker.command"], "exec sleep 100000")
        held = threading.Event()
        self.addCleanup(held.set)
        self.proxy.rule = lambda method, path: ("hold", held) if "wp-shot" in path and path.endswith("/json") else None
        names = self.ask("shot")
        wait_until(lambda: [path for _, path in self.proxy.seen if "wp-shot" in path and path.endswith("/json")], "it was started")
        (container,) = {path.split("/containers/")[1].split("/")[0] for _, path in self.proxy.seen if "/containers/wp-shot" in path}
        engine("delete", f"/containers/{container}?force=1")
        self.proxy.rule = None
        held.set()
        self.expect_assigned_once(names)
        self.assertNotEqual(self.answers(names[0])[0]["container_id"], container)
        self.expect_nothing_leaked()

    def test_a_create_that_is_told_twice_makes_one(self):
        names = self.ask("twice")
        command = self.client.wait("container-command", lambda r: r["philosophy"] == "twice" and r["op"] == "create")
        for _ in range(3):
            self.client.send_raw("container-command", command.raw, key=command.key, partition=command.partition)
        self.expect_assigned_once(names)
        self.assertEqual(self.system.pool("twice")["leased"], 1)
        self.expect_nothing_leaked()

    def test_one_of_somebody_else_with_such_a_name_lives_on(self):
        foreign = f"wp-react-{uuid.uuid4().int % 10**16}"
        engine("post", f"/containers/create?name={foreign}", json.dumps({"Image": "warmpool-test:1", "Cmd": ["sleep", "100000"], "HostConfig": {"NetworkMode": "none"}}))
        self.addCleanup(engine, "delete", f"/containers/{foreign}?force=1")
        engine("post", f"/containers/{foreign}/start")
        names = self.ask("react", 2)
        self.expect_assigned_once(names)
        self.client.send("pool-control", {"philosophy": "react", "op": "drain"})
        for name in names:
            self.release(name, reuse=False)
        self.system.wait_pool("react", leased=0, available=0)
        self.expect_nothing_leaked()
        self.assertTrue(runs(foreign))


class ImageGoes(WithDocker):
    IMAGE = f"warmpool-gone-{uuid.uuid4().hex[:8]}:1"
    options = {"docker.image.fleeting": IMAGE, "pool.max_failures": 1}

    @classmethod
    def prepare(cls):
        cls.tag()
        cls.addClassCleanup(engine, "delete", f"/images/{cls.IMAGE}?force=1", check=False)

    @classmethod
    def tag(cls):
        engine("post", f"/images/warmpool-test:1/tag?repo={cls.IMAGE.split(':')[0]}&tag=1")

    def test_an_image_that_is_removed_and_comes_back(self):
        held = self.acquire("i-1", "fleeting")
        self.assertEqual((held["status"], held["image"].partition("@")[0]), ("assigned", self.IMAGE))
        engine("delete", f"/images/{self.IMAGE}?force=1")
        self.release("i-1", "fleeting", reuse=False)
        wait_until(lambda: inspect(held["container_id"]) is None, "it is gone")
        refused = self.acquire("i-2", "fleeting", timeout_ms=100000)
        self.assertEqual(refused["status"], "rejected")
        self.assertIn(f"the image {self.IMAGE} is not on host", refused["reason"])
        self.assertEqual(self.acquire("o-1", "other")["status"], "assigned")
        self.tag()
        wait_until(lambda: self.acquire(f"i-{uuid.uuid4()}", "fleeting", timeout_ms=60000)["status"] == "assigned", "it is served again")


class RedisForgets(WithDocker):
    def test_the_leased_one_stays_and_the_one_that_was_used_goes(self):
        held, used = self.acquire("held"), self.acquire("used")
        self.release("used")
        self.system.wait_pool("react", leased=1, available=1)
        wait_committed(self.system)
        self.system.redis.client.flushall()
        wait_until(lambda: inspect(used["container_id"]) is None, "what was used is nobody's")
        self.system.wait_pool("react", leased=1)
        self.assertTrue(runs(held["container_id"]))
        self.release("held")
        self.system.wait_pool("react", leased=0, available=1)
        self.there_are(1)
        self.assertEqual(self.acquire("next")["container_id"], held["container_id"], "its own tenant may have it again")

    def test_the_same_while_no_worker_runs(self):
        held = self.acquire("kept", "kept")
        wait_committed(self.system)
        worker = self.system.workers[0]
        self.assertEqual(worker.stop(), 0)
        self.system.redis.client.flushall()
        worker.start().wait_ready()
        self.system.wait_pool("kept", leased=1)
        self.assertTrue(runs(held["container_id"]))
        self.release("kept", "kept", reuse=False)
        wait_until(lambda: inspect(held["container_id"]) is None, "its release works")


if __name__ == "__main__":
    main()
