"""How events are put together in calls of Redis' functions."""
import os
import signal
import time
import unittest

from client import Client
from system import System, pause, wait_until

EVENTS = 40


class EventsOfOneTopic(unittest.TestCase):
    def test_they_gather_while_a_call_is_under_way(self):
        with System(options={"redis.timeout_ms": 60000}) as system:
            client, worker, server = Client(system), system.workers[0], system.redis
            self.get(client, "before")
            server.client.config_set("slowlog-max-len", 10000)
            server.client.config_set("slowlog-log-slower-than", 0)
            pause(server.process.pid)
            for number in range(EVENTS):  # one by one: each is a record of its own on its way to the worker
                client.send("cache", {"event_id": f"e-{number}", "op": "get", "namespace": "tool", "key": f"k{number}"})
            self.wait_taken(worker)
            os.kill(server.process.pid, signal.SIGCONT)
            client.wait_all("cache-result", lambda record: record["event_id"].startswith("e-"), EVENTS)
            calls = [entry for entry in server.client.slowlog_get(10000) if entry["command"].startswith(b"FCALL wp_cache_v2 ")]
            self.assertLess(len(calls), 4, [entry["command"][:60] for entry in calls])

    def wait_taken(self, worker):
        """Until no event of the topic waits in Kafka, and none has for longer than the worker takes to notice one."""
        waited = time.monotonic()

        def taken():
            nonlocal waited
            if 'warmpool_consumer_lag{topic="cache"} 0\n' not in worker.http("/metrics")[1]:
                waited = time.monotonic()
            return time.monotonic() > waited + 3
        wait_until(taken, "all events are taken")

    def get(self, client, name):
        client.send("cache", {"event_id": name, "op": "get", "namespace": "tool", "key": name})
        client.wait("cache-result", lambda record: record["event_id"] == name)


if __name__ == "__main__":
    unittest.main()
