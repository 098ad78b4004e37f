"""What stands between an idle container and its next agent, with a real Docker engine: claims, resets, the paused tier."""
import json
import os
import random
import shutil
import string
import tempfile
import unittest

from docker_system import WithDocker, inspect, main
from system import wait_until

SECRET = "s3cret-of-the-agent"


class Claims(WithDocker):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="warmpool-claims-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.options = {"host.claims": cls.folder}
        super().setUpClass()

    def test_the_agent_finds_its_claim_in_a_warm_container_and_the_next_one_does_not(self):
        self.client.send("pool-control", {"philosophy": "claimed", "op": "pre_warm", "count": 1})
        self.system.wait_pool("claimed", available=1)
        given = self.acquire("c-1", "claimed", claim={"token": SECRET, "task": "\u00fc \"x\""})
        self.assertEqual((given["status"], given["warm_start"], given["tier"]), ("assigned", True, "hot"))
        container = given["container_id"]
        read = json.loads(self.inside(container, "cat", "/run/warmpool/claim.json"))
        self.assertEqual(read, {"token": SECRET, "task": "\u00fc \"x\""})
        self.assertIn("Read-only", self.inside(container, "touch", "/run/warmpool/mine"))
        self.assertNotIn(SECRET, json.dumps(inspect(container)))
        self.release("c-1", "claimed")
        self.system.wait_pool("claimed", available=1)
        again = self.acquire("c-2", "claimed")
        self.assertEqual(again["container_id"], container)
        self.assertIn("No such file", self.inside(container, "cat", "/run/warmpool/claim.json"))

    def test_a_claim_appears_nowhere_else(self):
        self.acquire("n-1", "silent", claim={"token": SECRET})
        self.client.send("container-acquire", {"request_id": "n-2", "agent_id": "a", "philosophy": "not a name", "claim": {"token": SECRET}})
        self.answer("n-2", "rejected")
        letter = self.client.wait("dead-letter", lambda r: r.headers["topic"].decode().endswith("container-acquire"))
        self.assertEqual(letter.raw, b"")
        self.assertGreater(int(letter.headers["blanked_bytes"]), len(SECRET))
        self.client.wait("metrics", lambda r: r["pool_stats"]["pools"].get("silent", {}).get("leased"))
        for topic in ("container-assignment", "container-command", "container-event", "dead-letter", "metrics"):
            for record in self.client.read(topic):
                self.assertNotIn(SECRET.encode(), record.raw + repr(record.headers).encode(), topic)
        self.assertNotIn(SECRET, self.system.workers[0].log())
        keys = self.system.redis.client.hkeys("wp:{pool}:claims")
        self.assertEqual(keys, [], "Redis has forgotten it, too")

    def test_a_claim_survives_its_worker_between_the_assignment_and_the_release(self):
        given = self.acquire("k-1", "kept", claim={"token": SECRET})
        worker = self.system.workers[0]
        worker.kill()
        worker.start().wait_ready()
        self.assertIn(SECRET, self.inside(given["container_id"], "cat", "/run/warmpool/claim.json"))
        self.release("k-1", "kept", reuse=False)
        wait_until(lambda: inspect(given["container_id"]) is None, "it is gone")
        place = os.path.join(self.folder, worker.name, given["container_id"])
        wait_until(lambda: not os.path.exists(place), "and its folder, too")

    def test_too_large_a_claim_is_refused(self):
        self.client.send("container-acquire", {"request_id": "l-1", "agent_id": "a", "philosophy": "large", "claim": {"k": "x" * 65536}})
        self.assertEqual(self.answer("l-1")["reason"], "invalid: field claim must be 65536 bytes at most, keys and values together, not 65537")


class LastWords(WithDocker):
    """What a container wrote before it ended by itself is in its host's log, its claim is not."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="warmpool-claims-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.options = {"host.claims": cls.folder, "docker.log_lines": 10,
                       "docker.command": "echo before its claim; busybox mkfifo /tmp/end; read line < /tmp/end;"
                                         " cat /run/warmpool/claim.json; echo; echo cannot go on >&2; exit 4"}
        super().setUpClass()

    def test_no_part_of_a_long_value_is_logged_that_the_engine_has_cut(self):
        lines = ["".join(random.choices(string.ascii_letters + string.digits, k=64)) for _ in range(400)]
        container = self.acquire("w-2", "long", claim={"key": "\n".join(lines)})["container_id"]
        self.inside(container, "sh", "-c", "echo > /tmp/end")
        self.answer("w-2", "lost")
        wait_until(lambda: inspect(container) is None, "it is removed after that")
        log = self.system.workers[0].log()
        self.assertIn(f'event=container_output container={container} philosophy=long line="cannot go on"', log)
        self.assertEqual([line for line in lines if line in log], [])

    def test_its_last_lines_are_logged_and_no_value_of_its_claim(self):
        self.acquire("w-0", "warm-up")  # its first lines are written by then
        container = self.acquire("w-1", claim={"token": SECRET})["container_id"]
        self.inside(container, "sh", "-c", "echo > /tmp/end")
        self.assertEqual(self.answer("w-1", "lost")["reason"], "container_died: exited: it exited with status 4")
        wait_until(lambda: inspect(container) is None, "it is removed after that")
        log = self.system.workers[0].log()
        self.assertIn(f'event=container_output container={container} philosophy=react line="cannot go on"', log)
        self.assertIn('line="(a line with a value of its claim)"', log)
        self.assertNotIn(SECRET, log)
        self.assertNotIn("before its claim", log)
        wait_until(lambda: 'warmpool_containers_ended_total{reason="exited"} 1' in self.system.workers[0].http("/metrics")[1], "it is counted")


class Resets(WithDocker):
    options = {"pool.reset.tidy": "rm -f /tmp/mine", "pool.reset.broken": "exit 7"}

    def test_the_reset_command_runs_before_the_next_use(self):
        first = self.acquire("t-1", "tidy")
        self.inside(first["container_id"], "touch", "/tmp/mine")
        self.release("t-1", "tidy")
        self.system.wait_pool("tidy", available=1)
        second = self.acquire("t-2", "tidy")
        self.assertEqual(second["container_id"], first["container_id"])
        self.assertIn("No such file", self.inside(second["container_id"], "cat", "/tmp/mine"))

    def test_one_whose_reset_fails_is_destroyed(self):
        first = self.acquire("b-1", "broken")
        self.release("b-1", "broken")
        wait_until(lambda: inspect(first["container_id"]) is None, "it is gone")
        self.system.wait_pool("broken", available=0, resetting=0)
        self.assertIn("its reset command ended with status 7", self.system.workers[0].log())


class Pauses(WithDocker):
    options = {"pool.hot": 1, "pool.prewarm": "react:3", "pool.min_idle": 0}

    def paused(self):
        stats = self.system.pool("react")
        rows = [inspect(name.decode()) for name in self.system.redis.client.hkeys("wp:{pool}:is")]
        return stats, [row["Name"][1:] for row in rows if row and row["State"]["Paused"]]

    def test_idle_ones_beyond_the_hot_number_are_paused_and_run_again_when_they_are_assigned(self):
        self.system.wait_pool("react", available=3, paused=2)
        wait_until(lambda: len(self.paused()[1]) == 2, "two of three are paused")
        names = self.paused()[1]
        hot, woken = self.acquire("p-1"), self.acquire("p-2")
        self.assertEqual([hot["tier"], woken["tier"]], ["hot", "paused"])
        self.assertIn(woken["container_id"], names)
        self.assertTrue(woken["warm_start"])
        self.assertGreater(woken["startup"]["bind_ms"], 0)
        state = inspect(woken["container_id"])["State"]
        self.assertEqual((state["Running"], state["Paused"]), (True, False))
        self.release("p-1", reuse=False)
        wait_until(lambda: inspect(hot["container_id"]) is None, "it is gone")
        worker = self.system.workers[0]
        worker.kill()  # the next one finds one leased and one paused
        worker.start().wait_ready()
        third = self.acquire("p-3")
        self.assertEqual((third["tier"], third["container_id"] in names), ("paused", True))
        self.assertFalse(inspect(third["container_id"])["State"]["Paused"])
        self.release("p-2")
        self.release("p-3")

        def all_but_one_are_paused():
            stats, names = self.paused()
            return stats["leased"] == 0 and stats["paused"] == stats["available"] - 1 == len(names)
        wait_until(all_but_one_are_paused, lambda: f"all but one are paused again: {self.paused()}")
        self.client.send("pool-control", {"philosophy": "react", "op": "drain"})
        self.there_are(0)


if __name__ == "__main__":
    main()
