"""Containers that are not what the configuration and the images would make by now are replaced, while they are used."""
import json
import re
import signal
import threading
import uuid
from pathlib import Path

from docker_system import WithDocker, engine, inspect, main, runs
from system import wait_until

KEPT, AT_ONCE = 5, 2  # pool.min_idle of react; how many fewer may be ready for a moment where there is no room for more


class Rollout(WithDocker):
    """react keeps KEPT containers ready, of an image with a name of its own."""

    options = {"pool.min_idle.react": KEPT, "pool.prewarm_interval": 0, "metrics.interval": 1}

    @classmethod
    def prepare(cls):
        cls.image = f"warmpool-test-{cls.system.prefix}:1".replace(".", "")
        cls.system.options["docker.image"] = cls.image
        for worker in cls.system.workers:
            worker.options["docker.image"] = cls.image
        repo, tag = cls.image.split(":")
        engine("post", f"/images/warmpool-test:1/tag?repo={repo}&tag={tag}")
        cls.addClassCleanup(engine, "delete", f"/images/{cls.image}?force=1", check=False)

    def setUp(self):
        self.system.wait_pool("react", available=KEPT, creating=0)

    def there(self, philosophy="react"):
        """Names of those of a philosophy, whatever they do."""
        return {name.decode() for name in self.system.redis.client.hkeys("wp:{pool}:is") if name.startswith(f"wp-{philosophy}-".encode())}

    def inspected(self, *but):
        """What the engine says of them; those that end may be gone."""
        return list(filter(None, map(inspect, self.there() - set(but))))

    def watch(self):
        """Counts the containers of react that may be had until the returned function is called, which returns the fewest."""
        fewest, over = [KEPT], threading.Event()

        def look():
            while not over.wait(0.01):
                pool = self.system.pool("react")
                fewest[0] = min(fewest[0], pool["available"])

        thread = threading.Thread(target=look)
        thread.start()

        def end():
            over.set()
            thread.join()
            return fewest[0]
        self.addCleanup(end)
        return end

    def move_image(self, number):
        """The image's name means another one from now on, with that number in its environment."""
        container = f"wp-commit-{uuid.uuid4()}"
        engine("post", f"/containers/create?name={container}", json.dumps({"Image": "warmpool-test:1", "Cmd": ["true"]}))
        repo, tag = self.image.split(":")
        engine("post", f"/commit?container={container}&repo={repo}&tag={tag}", json.dumps({"Env": [f"NUMBER={number}"]}))
        engine("delete", f"/containers/{container}")

    def image_id(self):
        return json.loads(engine("get", f"/images/{self.image}/json"))["Id"]

    def wait_heartbeats(self, count):
        """Until Redis has heard the host so many times more."""
        def age():
            return json.loads(self.system.redis.client.fcall_ro("wp_hosts", 1, "wp:{pool}"))["hosts"]["w1"]["heartbeat_ms"]

        ages = [age()]

        def came():
            ages.append(age())
            return sum(later < earlier for earlier, later in zip(ages, ages[1:])) >= count
        wait_until(came, lambda: f"{count} heartbeats: {ages[-5:]}")

    def restart_with(self, **options):
        worker = self.system.workers[0]
        worker.options.update(options)
        worker.stop()
        worker.start().wait_ready()

    def wait_replaced(self, before, philosophy="react", outdated=0):
        wait_until(lambda: not self.there(philosophy) & before,
                   lambda: f"{self.there(philosophy) & before} go: {self.system.pool(philosophy)} {self.system.workers[0].log()[-3000:]}")
        self.system.wait_pool(philosophy, outdated=outdated)


class Reload(Rollout):
    """The worker goes on."""

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.file = Path(cls.system.dir, "warmpool.ini")
        cls.file.write_text("[docker]\nenvironment.react = GREETING=hi\n")
        cls.system.workers[0].arguments = ["-c", str(cls.file)]

    def test_all_idle_ones_are_new_and_none_fewer_is_ready(self):
        held = self.acquire("held")["container_id"]
        self.system.wait_pool("react", available=KEPT, creating=0)
        before, worker = self.there(), self.system.workers[0]
        end = self.watch()
        self.file.write_text("[docker]\nenvironment.react = GREETING=hello\npids = 99\n")
        worker.process.send_signal(signal.SIGHUP)
        self.wait_replaced(before - {held}, outdated=1)
        self.system.wait_pool("react", available=KEPT, creating=0, leased=1)
        self.assertGreaterEqual(end(), KEPT - AT_ONCE)
        for seen in self.inspected(held):
            self.assertIn("GREETING=hello", seen["Config"]["Env"])
            self.assertEqual(seen["HostConfig"]["PidsLimit"], 99)
        self.assertTrue(runs(held), "somebody uses it")
        self.assertIsNone(worker.process.poll())


class Definition(Rollout):
    options = {**Rollout.options, "pool.prewarm": "other:2", "pool.min_idle.other": 2}

    def test_with_another_environment_all_idle_ones_are_new_and_none_fewer_is_ready(self):
        self.system.wait_pool("other", available=2)
        before, others = self.there(), self.there("other")
        held = self.acquire("held")["container_id"]
        self.system.wait_pool("react", available=KEPT, creating=0)
        before |= self.there()
        end = self.watch()
        self.restart_with(**{"docker.environment.react": "GREETING=hello"})
        self.wait_replaced(before - {held}, outdated=1)
        self.system.wait_pool("react", available=KEPT, creating=0, leased=1)
        self.assertGreaterEqual(end(), KEPT - AT_ONCE)
        for seen in self.inspected(held):
            self.assertIn("GREETING=hello", seen["Config"]["Env"])
        self.assertEqual(self.there("other"), others, "its definition is the same")
        self.assertTrue(runs(held), "somebody uses it")
        self.release("held")
        wait_until(lambda: inspect(held) is None, "it ends at its release")
        self.system.wait_pool("react", available=KEPT, outdated=0)

    def test_with_another_user_and_limit_too(self):
        before = self.there()
        self.restart_with(**{"docker.user": "1234", "pool.memory_mb": 96})
        self.wait_replaced(before)
        self.system.wait_pool("react", available=KEPT, creating=0)
        for seen in self.inspected():
            self.assertEqual((seen["Config"]["User"], seen["HostConfig"]["Memory"]), ("1234", 96 * 1048576))

    def test_a_restart_with_the_same_configuration_keeps_them(self):
        before = self.there()
        self.restart_with()
        self.system.wait_pool("react", available=KEPT, outdated=0)
        self.assertEqual(self.there(), before)

    def test_those_of_a_version_without_the_label_are_replaced(self):
        worker = self.system.workers[0]
        seen = inspect(sorted(self.there())[0])
        name = f"{sorted(self.there())[0]}"
        worker.stop()
        labels = {key: value for key, value in seen["Config"]["Labels"].items() if key in ("io.warmpool.prefix", "io.warmpool.host", "io.warmpool.pool")}
        body = {"Image": self.image, "User": seen["Config"]["User"], "Env": seen["Config"]["Env"], "Entrypoint": ["/bin/sh", "-c"],
                "Cmd": ["exec sleep 100000"], "HostConfig": {"NetworkMode": "none"}, "Labels": labels}
        engine("delete", f"/containers/{name}?force=1")
        engine("post", f"/containers/create?name={name}", json.dumps(body))
        engine("post", f"/containers/{name}/start")
        worker.start().wait_ready()
        self.wait_replaced({name})
        self.system.wait_pool("react", available=KEPT)


class Image(Rollout):
    def test_while_the_worker_runs_its_name_moves(self):
        first, before = self.image_id(), self.there()
        given = self.acquire("i-1")
        self.assertEqual(given["image"], f"{self.image}@{first}")
        self.system.wait_pool("react", available=KEPT, creating=0)
        before |= self.there()  # what was made in place of the one that was taken
        end = self.watch()
        self.move_image(2)
        self.assertNotEqual(self.image_id(), first)
        self.wait_replaced(before - {given["container_id"]}, outdated=1)
        self.assertGreaterEqual(end(), KEPT - AT_ONCE)
        self.system.wait_pool("react", available=KEPT, creating=0)
        self.assertEqual({seen["Image"] for seen in self.inspected(given["container_id"])}, {self.image_id()})
        self.assertEqual(self.acquire("i-2")["image"], f"{self.image}@{self.image_id()}")
        log = self.system.workers[0].log()
        self.assertIn("the name of its image means another image by now", log)
        self.release("i-1")
        self.release("i-2")
        wait_until(lambda: inspect(given["container_id"]) is None, "it ends at its release")
        self.system.wait_pool("react", outdated=0)
        wait_until(lambda: re.search(r"event=rollout_done philosophy=react", self.system.workers[0].log()), "it is said")
        self.assertIn("event=rollout_begun philosophy=react", self.system.workers[0].log())

    def test_adopted_ones_say_the_image_that_they_were_made_of(self):
        worker, first = self.system.workers[0], self.image_id()
        held = self.acquire("a-1")
        self.system.wait_pool("react", available=KEPT, creating=0)
        before = self.there()
        worker.stop()
        self.move_image(3)
        worker.start().wait_ready()
        self.client.send("container-acquire", {"request_id": "a-1", "agent_id": "a", "philosophy": "react"})  # once more: the same answer
        again = self.client.wait("container-assignment", lambda r: r["request_id"] == "a-1" and r is not held)
        self.assertEqual(again["image"], f"{self.image}@{first}")
        self.wait_replaced(before - {held["container_id"]}, outdated=1)
        self.release("a-1")
        self.system.wait_pool("react", outdated=0)
        wait_until(lambda: inspect(held["container_id"]) is None, "it ends at its release")

    def test_while_it_is_missing_nothing_is_replaced_and_afterwards_all_are(self):
        before = self.there()
        engine("delete", f"/images/{self.image}?force=1")
        wait_until(lambda: "image_missing" in self.system.workers[0].log(), "its host knows")
        self.client.send("pool-control", {"philosophy": "react", "op": "rollout"})
        self.system.wait_pool("react", outdated=KEPT)
        self.wait_heartbeats(2)  # longer than two reconciles, in which nothing is to happen
        self.assertEqual(self.there(), before)
        self.move_image(4)
        self.wait_replaced(before)
        self.system.wait_pool("react", available=KEPT, creating=0)


class Paused(Rollout):
    options = {**Rollout.options, "pool.hot": 1}

    def test_paused_ones_are_replaced_too(self):
        self.system.wait_pool("react", available=KEPT, paused=KEPT - 1)
        before = self.there()
        self.restart_with(**{"docker.environment": "A=1"})
        self.wait_replaced(before)
        self.system.wait_pool("react", available=KEPT, paused=KEPT - 1)


class NoRoom(Rollout):
    options = {**Rollout.options, "pool.max_containers": KEPT, "pool.size": KEPT}

    def test_where_there_is_no_room_for_both_they_go_one_by_one(self):
        before, end = self.there(), self.watch()
        self.restart_with(**{"docker.environment": "A=1"})
        self.wait_replaced(before)
        self.assertGreaterEqual(end(), KEPT - AT_ONCE)
        self.system.wait_pool("react", available=KEPT, creating=0)

    def test_a_definition_that_cannot_be_made_does_not_eat_the_pool(self):
        before = self.there()
        self.restart_with(**{"docker.network": "there-is-none"})
        self.system.wait_pool("react", outdated=KEPT - 1, available=KEPT - 1, creating=0)
        wait_until(lambda: self.system.workers[0].log().count("container_failed") >= 3, "it is tried again and again")
        self.assertGreaterEqual(len(self.there() & before), KEPT - AT_ONCE)
        self.restart_with(**{"docker.network": "none"})
        self.system.wait_pool("react", available=KEPT, outdated=0, creating=0)


class Control(Rollout):
    workers = 2

    def test_all_that_are_there_are_replaced_on_both_hosts(self):
        held = self.acquire("c-1")["container_id"]
        self.system.wait_pool("react", available=KEPT, creating=0)
        before = self.there()
        self.client.send("pool-control", {"control_id": "one", "philosophy": "react", "op": "rollout"})
        self.wait_until_begun()
        self.client.send("pool-control", {"control_id": "two", "philosophy": "react", "op": "rollout"})  # meanwhile
        wait_until(lambda: not self.there() & (before - {held}), "the idle ones go")
        self.system.wait_pool("react", available=KEPT, outdated=1, creating=0)
        self.release("c-1")
        self.system.wait_pool("react", available=KEPT, outdated=0)

    def wait_until_begun(self):
        wait_until(lambda: self.system.pool("react")["outdated"] > 0, "it begins")


if __name__ == "__main__":
    main()
