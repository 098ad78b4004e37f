"""Redis loses everything: what is leased stays leased, nothing that was used is handed out, and it goes on by itself."""
import json
import os
import unittest

from load import wait_committed, wait_until
from client import Client
from system import System


def alive(address):
    return os.path.exists(f"/proc/{address.removeprefix('pid:')}")


class OfTwoWorkers(unittest.TestCase):
    options = {"host.ttl_ms": 2000, "pool.lease_ms": 600000, "cache.default_ttl": 3600}

    def setUp(self):
        self.system = System(workers=2, options=self.options)
        self.addCleanup(self.system.close)
        self.client = Client(self.system)

    def answers(self, request_id):
        return [r for r in self.client.read("container-assignment") if r["request_id"] == request_id]

    def leases(self):
        rows = json.loads(self.system.redis.client.fcall_ro("wp_leases", 1, "wp:{pool}", "0", "1000"))
        return {row["request_id"]: (row["container_id"], row["lease_epoch"], row["lease_expires_at"]) for row in rows}

    def release(self, request_id):
        self.client.send("container-release", {"request_id": request_id, "philosophy": "react"})

    def wait_all_ready(self):
        for worker in self.system.workers:
            worker.wait_ready()


class Forgotten(OfTwoWorkers):
    def test_leases_survive_and_used_containers_are_not_handed_out_again(self):
        held = {name: self.client.acquire(name) for name in ("h-1", "h-2", "h-3")}
        used = self.client.acquire("u-1")
        self.release("u-1")
        self.system.wait_pool("react", available=1, leased=3)
        before = self.leases()
        wait_committed(self.system)
        self.system.redis.client.flushall()
        wait_until(lambda: set(self.leases()) == set(held), lambda: f"the leases are back: {self.leases()} {self.system.workers[0].log()[-3000:]}")
        self.wait_all_ready()
        self.assertEqual(self.leases(), before)
        wait_until(lambda: not alive(used["address"]), "what was idle is nobody's any more")
        for name, answer in held.items():
            self.assertTrue(alive(answer["address"]), name)
            self.assertEqual(len(self.answers(name)), 1, "nobody was told anything")
        fresh = self.client.acquire("f-1")
        self.assertEqual(fresh["status"], "assigned")
        self.assertNotIn(fresh["container_id"], [used["container_id"], *(a["container_id"] for a in held.values())])
        self.client.send("container-acquire", {"request_id": "h-1", "agent_id": "agent-h-1", "philosophy": "react"})
        again = wait_until(lambda: self.answers("h-1")[1:], "asked again, it has the same answer")[0]
        self.assertEqual((again["container_id"], again["lease_epoch"]), (held["h-1"]["container_id"], held["h-1"]["lease_epoch"]))
        self.release("h-1")
        wait_until(lambda: "h-1" not in self.leases(), "its lease is over")
        self.assertTrue(alive(held["h-2"]["address"]))
        self.client.send("container-acquire", {"request_id": "u-1", "agent_id": "a", "philosophy": "react"})
        self.client.acquire("f-2")
        self.assertEqual(len(self.answers("u-1")), 1, "it had its answer")
        logs = "".join(worker.log() for worker in self.system.workers)
        self.assertIn("event=state_recovered leases=3", logs)
        self.assertIn("event=partition_forgotten", logs)

    def test_the_cache_begins_again_empty(self):
        self.client.send("cache", {"event_id": "c-1", "op": "set", "key": "k", "value": b"v"})
        self.client.wait("cache-result", lambda r: r["event_id"] == "c-1")
        wait_committed(self.system, ["cache"])
        self.system.redis.client.flushall()
        self.client.send("cache", {"event_id": "c-2", "op": "get", "key": "k"})
        self.assertFalse(self.client.wait("cache-result", lambda r: r["event_id"] == "c-2")["hit"])
        self.wait_all_ready()


class ForgottenWhileSomeWait(OfTwoWorkers):
    options = {**OfTwoWorkers.options, "pool.max_containers": 1, "pool.size": 1}

    def test_who_waits_is_answered_once_all_the_same(self):
        held = self.client.acquire("held")
        names = [f"w-{number}" for number in range(4)]
        for name in names:
            self.client.send("container-acquire", {"request_id": name, "agent_id": "a", "philosophy": "react", "timeout_ms": 100000})
        self.system.wait_pool("react", waiting=4)
        wait_committed(self.system)
        self.system.redis.client.flushall()
        self.system.wait_pool("react", leased=1, waiting=4)
        self.assertTrue(alive(held["address"]))
        self.release("held")
        while names:  # one after the other: there is one container
            answered = wait_until(lambda: [name for name in names if self.answers(name)], "the next has it")
            for name in answered:
                names.remove(name)
                self.assertEqual([r["status"] for r in self.answers(name)], ["assigned"], name)
                self.release(name)
        self.assertEqual(len(self.answers("held")), 1)


if __name__ == "__main__":
    unittest.main()
