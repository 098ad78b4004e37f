"""Hosts of a real Docker engine that never return, and those that do: what they leave at the engine."""
import json
import unittest

import docker_system
from docker_system import WithDocker, inspect, runs
from system import stays, wait_until


class HostThatNeverReturns(WithDocker):
    options, workers = {"pool.min_idle": 0, "host.ttl_ms": 3000}, 2

    @classmethod
    def prepare(cls):
        cls.first, cls.second = cls.system.workers
        cls.second.options["host.capacity"] = 1  # so that leases go to the first

    def hosts(self):
        return json.loads(self.system.cli("hosts", "--json").stdout)

    def restart_the_second(self, replaces):
        self.second.options["host.replaces"] = replaces
        if self.second.process.poll() is None:
            self.second.stop()
        self.second.start().wait_ready()

    def lease_on_the_first(self, request):
        """The name of the container."""
        for worker in self.system.workers:
            if worker.process.poll() is not None:
                worker.start().wait_ready()
        wait_until(lambda: all(self.hosts()["hosts"].get(w.name, {}).get("state") == "up" for w in self.system.workers), "both are up")
        leased = self.acquire(request)
        self.assertEqual((leased["status"], leased["host"]), ("assigned", self.first.name), leased)
        return leased["container_id"]

    def comes_back_and_destroys(self, container):
        self.first.start().wait_ready()
        wait_until(lambda: not inspect(container), lambda: f"{container} is destroyed: {self.first.log()[-2000:]}")
        self.assertNotRegex(self.first.log() + self.second.log(), "(?i)redis ha[sd] forgotten|remembers nothing|recovery_started")

    def test_a_host_that_comes_back_after_it_was_dropped_destroys_its_containers_and_nothing_was_forgotten(self):
        self.restart_the_second(replaces="")
        container = self.lease_on_the_first("r1")
        self.first.kill()
        self.assertRegex(self.answer("r1", "lost")["reason"], "^host_down: ")
        self.assertTrue(runs(container))
        self.comes_back_and_destroys(container)

    def test_one_that_was_stopped_and_keeps_its_containers_is_given_up_at_once(self):
        self.restart_the_second(replaces="")
        container = self.lease_on_the_first("r4")
        self.assertEqual(self.first.stop(), 0)
        self.assertEqual(self.hosts()["hosts"][self.first.name]["state"], "draining")
        given_up = self.system.cli("hosts", "forget", self.first.name)
        self.assertEqual(given_up.returncode, 0, given_up.stderr)
        self.assertRegex(self.answer("r4", "lost")["reason"], "^host_forgotten: ")
        self.assertTrue(runs(container))
        self.comes_back_and_destroys(container)

    def test_another_host_on_the_engine_removes_what_it_left_once_redis_has_forgotten_it(self):
        self.restart_the_second(replaces=f"nobody, {self.first.name}")
        container = self.lease_on_the_first("r2")
        self.first.kill()
        # While Redis knows the host its containers stay (its heartbeat lasts 3 s).
        stays(lambda: runs(container) or self.first.name not in self.hosts()["hosts"], f"{container} runs")
        wait_until(lambda: not inspect(container), lambda: f"{container} is removed: {self.second.log()[-2000:]}")
        self.assertNotIn(self.first.name, self.hosts()["hosts"])
        self.assertIn(f"event=replaced_removed container={container} host={self.first.name}", self.second.log())

    def test_one_that_lives_keeps_its_containers_though_another_replaces_it(self):
        self.restart_the_second(replaces=f"nobody, {self.first.name}")
        container = self.lease_on_the_first("r3")
        stays(lambda: runs(container), "it runs", 4)
        self.release("r3", reuse=False)


if __name__ == "__main__":
    docker_system.main()
