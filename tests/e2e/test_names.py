"""Two live workers with one worker.id or one host.name: the older one goes on, the newer one waits until the name is free."""
import json
import os
import re
import signal
import unittest

from confluent_kafka import Consumer

from client import Client
from system import System, pause, stays, wait_until

LASTS_MS = 4000  # a heartbeat, in worker/store/names.c


def says(worker, *words):
    status, text = worker.http("/readyz")
    return status == 503 and all(word in text for word in words)


def waited_ms(worker):
    """From its start until it had its names, as its log says."""
    return int(wait_until(lambda: re.search(r"event=names_held .*?waited_ms=(\d+)", worker.log()), "names held")[1])


class Names(unittest.TestCase):
    def start(self, **options):
        self.system = System(workers=2, start=False, options=options)
        self.addCleanup(self.system.close)
        self.first, self.second = self.system.workers
        self.client = Client(self.system)

    def leases(self):
        return {lease["request_id"] for lease in json.loads(self.system.redis.client.fcall_ro("wp_leases", 1, "wp:{pool}"))}

    def both_run(self, name):
        if not self.first.process:
            self.first.start().wait_ready()
        self.second.start()
        wait_until(lambda: says(self.second, name, f"pid {self.first.process.pid} on"),
                   lambda: f"the newer one says who has the name: {self.second.http('/readyz')}\n{self.second.log()[-2000:]}")

    def goes_on(self, request, philosophy="react"):
        self.client.send("container-acquire", {"request_id": request, "agent_id": "a", "philosophy": philosophy})
        answer = self.client.wait("container-assignment", lambda record: record["request_id"] == request)
        self.assertEqual(answer["status"], "assigned")

    def undisturbed(self, name):
        """For longer than a heartbeat lasts: the newer one joins nothing, and the older one is no less ready for it."""
        def well():
            return not says(self.first, name) and says(self.second, name)
        stays(well, lambda: f"first {self.first.http('/readyz')}, second {self.second.http('/readyz')}", 2 * LASTS_MS / 1000)
        self.first.wait_ready()
        self.assertNotIn("event=subscribed", self.second.log())
        self.assertNotIn("event=partitions_revoked", self.first.log())
        self.assertIn("event=name_in_use", self.second.log())

    def test_a_newer_worker_of_the_same_id_waits_until_the_older_one_is_stopped(self):
        self.start(**{"worker.id": "one"})
        self.both_run("worker.id one")
        self.undisturbed("worker.id one")
        self.goes_on("r1")
        self.assertEqual(self.first.stop(), 0)
        self.second.wait_ready()
        self.goes_on("r2")

    def test_a_newer_host_of_the_same_name_waits_and_takes_over_when_the_older_one_dies(self):
        self.start()
        self.second.options["host.name"] = self.first.name
        self.first.start().wait_ready()
        self.goes_on("r0")
        self.both_run(f"host.name {self.first.name}")
        self.undisturbed(f"host.name {self.first.name}")
        self.goes_on("r1")
        self.assertEqual(self.leases(), {"r0", "r1"}, "no lease of the older one has ended")
        self.assertFalse([r for r in self.client.read("container-assignment") if r["status"] == "lost"])
        self.first.kill()
        self.second.wait_ready()
        self.goes_on("r2", "reflexion")

    def test_one_that_was_silent_for_longer_than_its_heartbeat_says_that_it_lost_its_name(self):
        self.start(**{"worker.id": "one"})
        self.both_run("worker.id one")
        pause(self.first.process.pid)
        self.second.wait_ready()
        os.kill(self.first.process.pid, signal.SIGCONT)

        def said():  # Kafka has fenced it, and says where the other one is
            return says(self.first, f"pid {self.first.process.pid} on", f"pid {self.second.process.pid} on", "worker.id one", "127.0.0.1")
        wait_until(said, lambda: f"the older one lost its name: {self.first.http('/readyz')}\n{self.first.log()[-2000:]}")
        stays(said, "it says that it lost its name")
        self.assertEqual(self.second.http("/readyz")[0], 200)
        self.goes_on("r1")
        self.assertEqual(self.first.stop(), 0)
        self.assertEqual(self.second.http("/readyz")[0], 200)

    def test_one_that_was_fenced_joins_again_when_the_other_member_is_gone(self):
        self.start(**{"worker.id": "one", "kafka.session.timeout.ms": 6000})
        self.first.start().wait_ready()
        other = Consumer({"bootstrap.servers": self.system.kafka.bootstrap, "group.id": self.system.prefix + "group", "group.instance.id": "one",
                          "session.timeout.ms": 6000, "partition.assignment.strategy": "roundrobin,range", "enable.auto.commit": False})
        other.subscribe([self.system.prefix + "usage-record"])
        wait_until(lambda: other.poll(0.1) or says(self.first, "worker.id one", "127.0.0.1"),
                   lambda: f"it is fenced: {self.first.http('/readyz')}\n{self.first.log()[-2000:]}")
        other.close()  # a member with an id does not leave: it is gone when its session is over
        self.first.wait_ready()
        self.goes_on("r1")
        self.assertIn("event=kafka_joining_again", self.first.log())
        self.assertEqual(self.first.stop(), 0)

    def test_a_stopped_worker_frees_its_names_at_once_and_a_killed_one_within_a_heartbeat(self):
        self.start(**{"worker.id": "one"})
        worker = self.first.start().wait_ready()
        self.assertEqual(worker.stop(), 0)
        worker.start().wait_ready()
        self.assertLess(waited_ms(worker), 1000)
        worker.kill()
        worker.start().wait_ready()
        self.assertLess(waited_ms(worker), LASTS_MS + 2000)  # it asks every second

    def test_workers_without_a_name_wait_for_nobody(self):
        self.start(**{"worker.id": ""})
        self.second.options["host.name"] = ""
        for worker in self.first, self.second:
            worker.start().wait_ready()
        self.assertNotIn("event=name_in_use", self.first.log() + self.second.log())


if __name__ == "__main__":
    unittest.main()
