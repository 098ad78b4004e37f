"""Acquire to assignment, once for each wire format."""
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

    def test_avro_single_object(self):
        self.check("avro")

    def test_confluent_framing(self):
        self.check("confluent")

    def test_json(self):
        self.check("json")


if __name__ == "__main__":
    unittest.main()
