"""Acquire to assignment, once for each wire format."""
import json
import os
import unittest

from client import Client
from system import System


class AcquireToAssignment(unittest.TestCase):
    def check(self, wire):
        with System(wire=wire) as system:
            answer = Client(system, wire).acquire("r-1")
            self.assertEqual(answer["status"], "assigned", answer)
            self.assertEqual(answer.wire, wire)
            self.assertEqual((answer["agent_id"], answer["philosophy"]), ("agent-r-1", "react"))
            self.assertFalse(answer["warm_start"])
            self.assertGreater(answer["startup_time_ms"], 0)
            self.assertEqual(answer["tier"], "cold")
            self.assertAlmostEqual(sum(answer["startup"].values()), answer["startup_time_ms"], places=2)

    def check_claim(self, wire):
        with System(wire=wire, start=False) as system:
            system.workers[0].options["host.claims"] = claims = os.path.join(system.dir, "claims")
            system.start()
            client, claim = Client(system, wire), {"token": "s3cret", "task": "a \"task\" \u00fc"}
            for number in (1, 2):  # cold, then warm
                answer = client.acquire(f"c-{number}", claim=claim)
                self.assertEqual((answer["status"], answer["warm_start"]), ("assigned", number == 2))
                file = os.path.join(claims, "w1", answer["container_id"], "claim.json")
                with open(file, encoding="utf-8") as text:
                    self.assertEqual(json.load(text), claim)
                client.send("container-release", {"request_id": f"c-{number}", "philosophy": "react"})
                system.wait_pool("react", available=1)
                self.assertFalse(os.path.exists(file), "it is wiped before the container is idle")

    def test_avro_single_object(self):
        self.check("avro")

    def test_confluent_framing(self):
        self.check("confluent")

    def test_json(self):
        self.check("json")

    def test_a_claim_in_avro(self):
        self.check_claim("avro")

    def test_a_claim_in_json(self):
        self.check_claim("json")


if __name__ == "__main__":
    unittest.main()
