"""Several tenants share the pools: one that floods them delays the others by a turn, and limits hold for each."""
import json
import unittest

from client import Client
from system import System, wait_until

FLOOD = 60


class Sharing(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.system = System(options={"pool.max_containers": 2, "pool.size": 2, "tenant.max_leases.green": 1, "tenant.max_waiting.grey": 3})
        cls.addClassCleanup(cls.system.close)
        cls.client = Client(cls.system)

    def ask(self, request_id, philosophy, tenant):
        self.client.send("container-acquire", {"request_id": request_id, "agent_id": f"agent-{request_id}", "philosophy": philosophy, "tenant": tenant})

    def assigned(self, tenant):
        """The requests of the tenant that have got a container, in the order of their answers."""
        answers = [r for r in self.client.read("container-assignment") if r["request_id"].startswith(tenant) and r["status"] == "assigned"]
        return [r["request_id"] for r in sorted(answers, key=lambda r: r["lease_epoch"])]

    def answer(self, request_id):
        return self.client.wait("container-assignment", lambda r: r["request_id"] == request_id)

    def test_the_first_of_another_tenant_does_not_wait_for_a_flood(self):
        for number in range(FLOOD):
            self.ask(f"red-{number}", "flooded", "red")
        self.system.wait_pool("flooded", leased=2, waiting=FLOOD - 2)
        self.ask("blue-0", "flooded", "blue")
        self.system.wait_pool("flooded", waiting=FLOOD - 1)
        released = 0
        while not self.assigned("blue"):
            self.assertLess(released, 3, f"{released} of red were served, and blue waits")
            self.client.send("container-release", {"request_id": self.assigned("red")[released], "philosophy": "flooded"})
            released += 1
            wait_until(lambda: len(self.assigned("red") + self.assigned("blue")) == 2 + released, "one more is served")
        self.assertGreaterEqual(self.system.pool("flooded")["waiting"], FLOOD - 5)

    def test_beyond_its_limits_an_acquire_is_rejected_with_what_is_used(self):
        self.ask("green-0", "limited", "green")
        self.assertEqual(self.answer("green-0")["status"], "assigned")
        self.ask("green-1", "limited", "green")
        answer = self.answer("green-1")
        self.assertEqual((answer["status"], answer["reason"]), ("rejected", "limit: tenant green has 1 leases, tenant.max_leases is 1"))
        status = json.loads(self.system.cli("status", "--json").stdout)
        self.assertEqual(status["pool"]["tenants"]["green"], {"leases": 1, "waiting": 0, "creating": 0, "max_leases": 1})
        for number in range(6):
            self.ask(f"grey-{number}", "crowded", "grey")
        rejected = self.client.wait("container-assignment", lambda r: r["request_id"].startswith("grey") and r["status"] == "rejected")
        self.assertTrue(rejected["reason"].startswith("limit: tenant grey has 3 requests that wait"), rejected["reason"])


if __name__ == "__main__":
    unittest.main()
