"""Containers of a real Docker engine, from an acquire to its assignment, and what becomes of them when something dies."""
import json
import unittest
import uuid

from docker_system import WithDocker, engine, inspect, main, runs
from system import wait_until


class HandingOut(WithDocker):
    options = {"docker.image.missing": "nowhere/to-be-found:7", "pool.max_failures": 2}

    def test_cold_then_warm_and_gone_when_it_is_not_to_be_reused(self):
        cold = self.acquire("w-1", "warmed")
        self.assertEqual((cold["status"], cold["warm_start"]), ("assigned", False))
        self.assertTrue(runs(cold["container_id"]))
        self.assertEqual(cold["address"], "container:" + cold["container_id"])
        self.release("w-1", "warmed")
        self.system.wait_pool("warmed", available=1)
        warm = self.acquire("w-2", "warmed")
        self.assertEqual((warm["container_id"], warm["warm_start"]), (cold["container_id"], True))
        self.release("w-2", "warmed", reuse=False)
        wait_until(lambda: inspect(cold["container_id"]) is None, "it is gone")

    def test_its_limits_are_those_that_the_assignment_says(self):
        given = self.acquire("l-1", "limited", cpu_percent=70.0, memory_mb=300.0)
        limits = inspect(given["container_id"])["HostConfig"]
        self.assertEqual(limits["Memory"], given["limits"]["memory_mb"] * 1048576)
        self.assertEqual(limits["CpuQuota"], given["limits"]["cpu_percent"] * 1000)
        self.assertEqual((given["limits"]["cpu_percent"], given["limits"]["memory_mb"]), (70.0, 300.0))

    def test_a_leased_one_that_dies_is_told_to_its_holder(self):
        held = self.acquire("k-1", "killed")
        engine("post", f"/containers/{held['container_id']}/kill")
        lost = self.answer("k-1", "lost")
        self.assertEqual(lost["reason"], "container_died: killed: signal 9 was sent to it through the engine, and it ended with status 137")
        wait_until(lambda: inspect(held["container_id"]) is None, "nothing of it is left")

    def test_an_idle_one_that_somebody_removes_is_not_handed_out(self):
        first = self.acquire("i-1", "idle")
        self.release("i-1", "idle")
        self.system.wait_pool("idle", available=1)
        engine("delete", f"/containers/{first['container_id']}?force=1")
        self.system.wait_pool("idle", available=0)
        self.assertNotEqual(self.acquire("i-2", "idle")["container_id"], first["container_id"])

    def test_an_idle_one_that_somebody_pauses_runs_when_it_is_handed_out(self):
        first = self.acquire("p-1", "paused")
        self.release("p-1", "paused")
        self.system.wait_pool("paused", available=1)
        engine("post", f"/containers/{first['container_id']}/pause")
        wait_until(lambda: not inspect(first["container_id"])["State"]["Paused"], "its host resumes it")
        again = self.acquire("p-2", "paused")
        self.assertEqual((again["container_id"], again["warm_start"]), (first["container_id"], True))
        self.assertFalse(inspect(first["container_id"])["State"]["Paused"])

    def test_a_missing_image_is_named_and_other_philosophies_work(self):
        answer = self.acquire("m-1", "missing", timeout_ms=100000)
        self.assertEqual(answer["status"], "rejected")
        self.assertIn("unavailable: the image nowhere/to-be-found:7 is not on host", answer["reason"])
        self.assertGreater(answer["retry_after_ms"], 0)
        self.assertEqual(self.acquire("m-2", "present")["status"], "assigned")


class WorkerDies(WithDocker):
    workers = 2

    def test_leased_ones_stay_leased_and_idle_ones_are_handed_out_again(self):
        held, idle = self.acquire("s-1", "stays"), self.acquire("s-2", "stays")
        self.release("s-2", "stays")
        self.system.wait_pool("stays", available=1, leased=1)
        for worker in self.system.workers:
            worker.kill()
        for worker in self.system.workers:
            worker.start()
        for worker in self.system.workers:
            worker.wait_ready()
        warm = self.acquire("s-3", "stays")
        self.assertEqual((warm["container_id"], warm["warm_start"]), (idle["container_id"], True))
        self.assertTrue(runs(held["container_id"]))
        self.release("s-1", "stays")
        self.release("s-3", "stays")
        self.system.wait_pool("stays", available=2, leased=0)
        self.there_are(2)

    def test_orphans_are_removed_and_somebody_elses_are_not(self):
        names = [worker.name for worker in self.system.workers]
        orphan, foreign = f"wp-orphan-{self.system.prefix}", f"wp-foreign-{self.system.prefix}"
        body = {"Image": "warmpool-test:1", "Cmd": ["sleep", "100000"], "HostConfig": {"NetworkMode": "none"}}
        labels = dict([self.label.split("=", 1), ("io.warmpool.host", names[0]), ("io.warmpool.pool", "react")])
        engine("post", f"/containers/create?name={foreign}", json.dumps({**body, "Labels": {"io.warmpool.host": names[0]}}))
        self.addCleanup(engine, "delete", f"/containers/{foreign}?force=1")
        engine("post", f"/containers/create?name={orphan}", json.dumps({**body, "Labels": labels}))
        engine("post", f"/containers/{orphan}/start", check=False)  # it may be seen, and removed, before that
        engine("post", f"/containers/{foreign}/start")
        wait_until(lambda: inspect(orphan) is None, "nobody owns it")
        self.assertTrue(runs(foreign))


class TwoHosts(WithDocker):
    workers = 2

    @classmethod
    def prepare(cls):
        cls.system.workers[0].options["docker.image.special"] = "nowhere/to-be-found:7"

    def test_a_host_that_lacks_the_image_is_passed_over(self):
        names = [worker.name for worker in self.system.workers]
        wait_until(lambda: "image_missing" in self.system.workers[0].log(), "the first host knows what it lacks")
        # its heartbeat says so
        wait_until(lambda: self.acquire(f"s-{uuid.uuid4()}", "special", timeout_ms=100000)["host"] == names[1], "the second makes it")
        for number in range(4):
            self.assertEqual(self.acquire(f"t-{number}", "special")["host"], names[1])
        wait_until(lambda: self.acquire(f"o-{uuid.uuid4()}", "ordinary")["host"] == names[0], "it makes what it has the image of")


class KeptReady(WithDocker):
    """pool.min_idle, by default what is pre-warmed; no round of dynamic pre-warming helps."""

    options = {"pool.prewarm": "react:5", "pool.prewarm_interval": 0, "host.on_exit": "destroy", "pool.min_idle.rare": 2}

    def test_those_that_are_taken_or_die_are_made_up_for(self):
        self.system.wait_pool("rare", available=2)
        self.system.wait_pool("react", available=5)
        taken = [self.acquire(f"t-{number}")["container_id"] for number in range(5)]
        self.system.wait_pool("react", available=5, leased=5)
        for number in range(5):
            self.release(f"t-{number}", reuse=False)
        self.system.wait_pool("react", available=5, leased=0)
        wait_until(lambda: all(inspect(container) is None for container in taken), "they are gone")
        for name in self.system.redis.client.hkeys("wp:{pool}:is"):
            engine("post", f"/containers/{name.decode()}/kill", check=False)
        wait_until(lambda: "container_died" in self.system.workers[0].log(), "they have died")
        self.system.wait_pool("react", available=5)
        self.system.wait_pool("rare", available=2)

    def test_a_restart_of_the_only_worker_has_them_again(self):
        worker = self.system.workers[0]
        self.system.wait_pool("react", available=5)
        worker.stop()
        worker.start().wait_ready()
        self.system.wait_pool("react", available=5)
        self.system.wait_pool("rare", available=2)


class Stopping(WithDocker):
    options = {"pool.prewarm": "react:3", "host.on_exit": "destroy"}

    def test_a_worker_that_stops_leaves_no_container(self):
        self.system.wait_pool("react", available=3)
        self.there_are(3)
        self.system.workers[0].stop()
        self.there_are(0)


if __name__ == "__main__":
    main()
