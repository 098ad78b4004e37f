"""A broker that is away or stuck: at the start, in flight, and for longer than a record may wait."""
import os
import re
import signal
import time
import unittest

from load import Load, chaos_system, check_away_at_start, reason, wait_reason, wait_until
from system import Kafka, pause


def broker_pid():
    with open(os.path.join(Kafka.get().dir, "pid")) as file:
        return int(file.read())


def signal_broker(number):
    os.kill(broker_pid(), number)


def bring_back():
    """After a test that failed while it was away."""
    try:
        signal_broker(0)
    except (FileNotFoundError, ProcessLookupError):
        Kafka.get().start()


class KafkaAway(unittest.TestCase):
    def setUp(self):
        self.addCleanup(bring_back)

    def test_not_there_at_start(self):
        with chaos_system(start=False) as system:
            check_away_at_start(system, system.kafka.stop, system.kafka.start, "Kafka")

    def test_killed_in_flight_and_started_again(self):
        with chaos_system() as system:
            load = Load(system).send(1500).wait_answered(200)
            signal_broker(signal.SIGKILL)
            system.kafka.stop()  # waits until it is gone
            wait_reason(system.workers[0], "kafka:")
            system.kafka.start()
            load.send(200).wait_answered()
            system.workers[0].wait_ready()
            load.check()
            self.assertEqual(load.statuses(), {"assigned": 1700})


class KafkaStuck(unittest.TestCase):
    def test_a_worker_ends_in_time_while_it_is_stuck(self):
        for stop_timeout_ms, seconds in (5000, 7), (0, 3):
            with self.subTest(stop_timeout_ms=stop_timeout_ms), chaos_system(worker__stop_timeout_ms=stop_timeout_ms) as system:
                Load(system).send(100).wait_answered()
                pause(broker_pid())
                try:
                    began = time.monotonic()
                    self.assertEqual(system.workers[0].stop(), 0)
                    self.assertLess(time.monotonic() - began, seconds)
                finally:
                    signal_broker(signal.SIGCONT)

    def test_records_that_waited_too_long_are_published_later(self):
        # The session outlasts the stop: a worker that has lost its partitions forgets what it could not publish.
        options = {"kafka__delivery.timeout.ms": 2000, "kafka__request.timeout.ms": 1000, "kafka__session.timeout.ms": 120000}
        with chaos_system(**options) as system:
            load = Load(system).send(500).wait_answered().check()
            # Redis refuses until Kafka is stuck, so that the worker holds requests which it answers only then.
            system.redis.client.config_set("min-replicas-to-write", "1")
            load.send(500)
            wait_until(lambda: re.search("event=redis_refuses function=wp_acquire_v2", system.workers[0].log()), load.logs)
            pause(broker_pid())
            try:
                system.redis.client.config_set("min-replicas-to-write", "0")
                wait_until(lambda: "event=partition_restarted" in system.workers[0].log(), load.logs)
                self.assertIn("could not be delivered to Kafka", system.workers[0].log())
            finally:
                signal_broker(signal.SIGCONT)
            load.wait_answered()
            system.workers[0].wait_ready()
            load.check()
            self.assertEqual(load.statuses(), {"assigned": 1000})
            self.assertFalse(reason(system.workers[0]))


if __name__ == "__main__":
    unittest.main()
