"""Acquire to assignment, once for each wire format."""
import json
import os
import time
import unittest

from client import Client
from system import System, wait_until


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


class StuckLog(unittest.TestCase):
    def full_pipe(self):
        """(reader, writer) of a pipe that takes nothing more."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        os.set_blocking(writer, False)
        for size in (4096, 1):
            try:
                while os.write(writer, b"x" * size):
                    pass
            except BlockingIOError:
                pass
        os.set_blocking(writer, True)
        return reader, writer

    def test_a_log_that_nobody_reads_holds_up_neither_events_nor_the_stop(self):
        with System(options={"log.level": "debug"}) as system:
            client, worker = Client(system), system.workers[0]
            self.assertEqual(worker.stop(), 0)
            _, writer = self.full_pipe()
            worker.start(stderr=writer)
            os.close(writer)
            self.assertEqual(client.acquire("r-1")["status"], "assigned")
            self.assertEqual(worker.stop(), 0)


class Backlog(unittest.TestCase):
    def test_of_a_backlog_only_those_in_time_are_served(self):
        with System(options={"kafka.linger.ms": 2000}) as system:  # so that Kafka's clock is known late
            worker, client, sent = system.workers[0], Client(system), time.monotonic()
            self.assertEqual(worker.stop(), 0)
            requests = {f"{kind}-{number}": timeout for number in range(20) for kind, timeout in (("late", 15000), ("patient", 600000))}
            for request, timeout in requests.items():
                client.send("container-acquire", {"request_id": request, "agent_id": "a", "philosophy": "react", "timeout_ms": timeout})
            wait_until(lambda: time.monotonic() > sent + 17, "those that wait for 15 seconds are late")
            worker.start()
            answers = {}

            def all_answered():
                for record in client.read("container-assignment"):
                    answers[record["request_id"]] = record["status"], record["reason"].split(":")[0] if record["reason"] else ""
                return len(answers) == len(requests)
            wait_until(all_answered, lambda: f"{len(answers)} answers: {answers}")
            wrong = {request: answer for request, answer in answers.items()
                     if answer != (("rejected", "timeout") if request.startswith("late") else ("assigned", ""))}
            self.assertEqual(wrong, {})


if __name__ == "__main__":
    unittest.main()
