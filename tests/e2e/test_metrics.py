"""The metrics topic and /metrics of a whole worker, in each wire format."""
import json
import subprocess
import time
import unittest

from client import Client
from system import WAIT_LIMIT, System, wait_until

FAST = {"metrics.interval": 1, "memory.interval": 1}


def numbers(text):
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))


class Metrics(unittest.TestCase):
    def check(self, wire):
        with System(wire=wire, options=FAST) as system:
            client, worker = Client(system, wire), system.workers[0]
            client.acquire("r-1")
            for number in range(20):
                client.send("cache", {"event_id": f"c-{number}", "op": "get", "namespace": "tool", "key": "none"})
            record = client.wait("metrics", lambda record: record["optimization_metrics"]["cold_starts"] == 1
                                 and record["optimization_metrics"]["cache_misses"] == 20
                                 and record["optimization_metrics"]["gc_collections"] >= 1
                                 and record["worker"]["kafka"]["ready"] and record["worker"]["redis"]["ready"])
            self.assertEqual(record.wire, wire)
            self.assertEqual(record.key.decode(), record["worker"]["id"])
            self.assertEqual(record["pool_stats"]["pools"]["react"]["leased"], 1)
            self.assertEqual(record["tracked_agents"], 1)
            self.assertTrue(record["memory"]["enabled"])
            self.assertEqual(record["worker"]["assigned"], 1)
            codes = {warning["code"]: warning for warning in record["warnings"]}
            self.assertIn("from 1000 to 2000", codes["cache_hit_rate_low"]["advice"])
            self.assertEqual(codes["pool_empty"]["subject"], "react")
            self.assertIn("event=warning_raised code=pool_empty subject=react", worker.log())
            status, page = worker.http("/metrics")
            self.assertEqual(status, 200)
            self.assertEqual(numbers(page)['warmpool_pool_leased{philosophy="react"}'], "1")
            promtool = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True)
            self.assertEqual((promtool.returncode, promtool.stdout + promtool.stderr), (0, ""))

    def test_avro_single_object(self):
        self.check("avro")

    def test_confluent_framing(self):
        self.check("confluent")

    def test_json(self):
        self.check("json")

    def test_the_last_record_has_all_that_was_finished(self):
        with System(options={"metrics.interval": 3600}) as system:
            client = Client(system)
            client.acquire("r-1")
            self.assertEqual(system.workers[0].stop(), 0)
            client.wait("metrics", lambda record: record["worker"]["assigned"] == 1)
            self.assertEqual(len(client.read("metrics")), 2, "one at the start, one at the stop")
            self.assertNotRegex(system.workers[0].log(), "event=warning_raised code=.*_not_ready", "of a start that went well")

    def test_a_worker_with_other_settings_is_named(self):
        with System(workers=2, options=FAST, start=False) as system:
            older, newer = system.workers
            newer.options["cache.max_entries"] = "77"
            for worker in (older, newer):
                worker.options["worker.id"] = worker.name
                worker.start().wait_ready()
            wait_until(lambda: "event=settings_differ slot=cache" in older.log() and "of=w2" in older.log(), older.log)
            self.assertNotIn("event=settings_differ", newer.log())
            record = Client(system).wait("metrics", lambda record: "settings_differ" in [w["code"] for w in record["warnings"]])
            self.assertEqual(record["worker"]["id"], "w1")
            self.assertIn("settings of the cache: those of worker w2 are in force; other ones have w1 ", system.cli("status").stdout)
            said = json.loads(system.cli("status", "--json").stdout)
            self.assertEqual((said["cache"]["settings"]["worker"], said["cache"]["settings"]["differ"]), ("w2", ["w1"]))
            self.assertNotIn("differ", said["pool"]["settings"])


class Tuning(unittest.TestCase):
    def test_two_workers_change_a_size_once_an_interval(self):
        options = {**FAST, "tuning.mode": "apply", "tuning.interval": 5, "tuning.max_pool_size": 100, "pool.size": 1}
        with System(workers=2, options=options) as system:
            client = Client(system)
            sizes, number, end = [1], 0, time.monotonic() + WAIT_LIMIT
            while sizes[-1] < 11 and time.monotonic() < end:
                for _ in range(30):  # every start is cold: nothing is released
                    number += 1
                    client.send("container-acquire", {"request_id": f"r-{number}", "agent_id": "a", "philosophy": "p0"})
                    client.wait("container-assignment", lambda record: record["request_id"] == f"r-{number}")
                    client.send("container-release", {"request_id": f"r-{number}", "philosophy": "p0", "reuse": False})
                for record in client.read("metrics"):
                    size = record["pool_stats"]["pools"].get("p0", {}).get("pool_size", 1)
                    if size not in sizes:
                        sizes.append(size)
            self.assertEqual(sizes[:3], [1, 6, 11], "five more a step, never ten")
            asked = client.wait_all("pool-control", lambda record: record["op"] == "resize", count=2)
            self.assertTrue(all(record["control_id"].startswith("tuning/pool/p0/") for record in asked), asked)
            applied = [text for record in client.read("metrics") for text in record["tuning"]["applied"]]
            self.assertTrue(any(text.startswith("size of pool p0 from 1 to 6: ") for text in applied), applied)

    def test_two_workers_change_the_cache_once_an_interval(self):
        options = {**FAST, "tuning.mode": "apply", "tuning.interval": 3, "cache.max_entries": 10, "tuning.max_cache_entries": 1000000}
        with System(workers=2, options=options) as system:
            client = Client(system)
            answers, number, end = {}, 0, time.monotonic() + 120

            def ids():
                return [record["event_id"] for record in client.read("cache") if record["op"] == "resize"]

            def answered_twice():
                return [one for one in answers if ids().count(one) == 2]

            while len(answered_twice()) < 2 and time.monotonic() < end:
                for _ in range(200):  # no get is a hit
                    number += 1
                    client.send("cache", {"event_id": f"g-{number}", "op": "get", "key": f"k-{number}"})
                client.wait("cache-result", lambda record: record["event_id"] == f"g-{number}")
                for record in client.read("cache-result"):
                    if record["op"] == "resize":
                        answers.setdefault(record["event_id"], record["count"])
                        self.assertEqual(answers[record["event_id"]], record["count"], "the second one changed it again")
            self.assertGreaterEqual(len(answered_twice()), 2, "both workers ask, in the same words")
            self.assertEqual(sorted(answers.values()), [20 * 2**step for step in range(len(answers))], answers)


if __name__ == "__main__":
    unittest.main()
