"""Memory is bounded in bytes: in a worker whose Redis is away, and in a Redis that large answers have filled."""
import signal
import unittest
from pathlib import Path

from load import wait_until
from client import Client, encode
from system import System, pause

VALUE = b"v" * 380_000


def peak_megabytes(pid):
    """The most resident memory that the process ever had."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


class Bounds(unittest.TestCase):
    def send_all(self, client, records):
        for record in records:
            client.producer.produce(client.system.prefix + "cache", encode("cache", record, client.wire))
            client.producer.poll(0)
        client.producer.flush(120)

    def test_a_worker_holds_no_more_than_its_window_of_large_values_while_redis_is_away(self):
        with System() as system:
            client = Client(system)
            client.acquire("first")
            pause(system.redis.process.pid)
            self.send_all(client, ({"event_id": f"s-{n}", "op": "set", "namespace": "large", "key": str(n % 20), "value": VALUE,
                                    "ttl_seconds": 600} for n in range(600)))
            worker = system.workers[0]
            wait_until(lambda: worker.http("/readyz")[0] == 503, worker.log)
            system.redis.process.send_signal(signal.SIGCONT)
            answers = client.wait_all("cache-result", lambda r: r["event_id"].startswith("s-"), count=600)
            self.assertEqual(len({r["event_id"] for r in answers}), 600)
            self.assertLess(peak_megabytes(worker.process.pid), 120)

    def test_a_small_redis_that_is_asked_for_large_values_drains_by_itself(self):
        with System() as system:
            client = Client(system)
            system.redis.client.config_set("maxmemory", "64mb")
            self.send_all(client, ({"event_id": f"s-{n}", "op": "set", "namespace": "large", "key": str(n), "value": VALUE,
                                    "ttl_seconds": 600} for n in range(20)))
            client.wait_all("cache-result", lambda r: r["op"] == "set", count=20)
            self.send_all(client, ({"event_id": f"g-{n}", "op": "get", "namespace": "large", "key": str(n % 20)} for n in range(500)))
            gets = client.wait_all("cache-result", lambda r: r["op"] == "get", count=500)
            self.assertTrue(all(r["hit"] for r in gets))
            self.assertEqual(client.acquire("after")["status"], "assigned")
            client.send("container-release", {"request_id": "after", "philosophy": "react"})
            wait_until(lambda: system.pool("react")["leased"] == 0, system.workers[0].log)
            self.assertLess(system.redis.client.info("memory")["used_memory"], 64 << 20)


if __name__ == "__main__":
    unittest.main()
