"""A broker that is away or stuck: at the start, in flight, and for longer than a record may wait."""
import os
import signal
import unittest

from load import Load, chaos_system, reason, wait_reason, wait_until
from system import Kafka


def signal_broker(number):
    with open(os.path.join(Kafka.get().dir, "pid")) as file:
        os.kill(int(file.read()), number)


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
            system.kafka.stop()
            system.workers[0].start()
            wait_reason(system.workers[0], "Kafka")
            system.kafka.start()
            system.workers[0].wait_ready()
            Load(system).send(50).wait_answered().check()

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


def calls_wait(redis):
    """A worker's call waits for the end of a CLIENT PAUSE."""
    return any(each["cmd"].startswith("fcall") and "b" in each["flags"] for each in redis.client_list())


class KafkaStuck(unittest.TestCase):
    def test_records_that_waited_too_long_are_published_later(self):
        with chaos_system(**{"kafka__delivery.timeout.ms": 2000, "kafka__request.timeout.ms": 1000}) as system:
            load = Load(system).send(1500).wait_answered(200)
            redis = system.redis.client
            redis.execute_command("CLIENT", "PAUSE", 30000, "WRITE")  # so that there is something to publish when Kafka is stuck
            load.send(200).client.producer.flush(30)
            wait_until(lambda: calls_wait(redis), "the worker's calls wait", 60)
            signal_broker(signal.SIGSTOP)
            try:
                redis.execute_command("CLIENT", "UNPAUSE")
                wait_until(lambda: "event=partition_restarted" in system.workers[0].log(), load.logs, 60)
                self.assertIn("could not be delivered to Kafka", system.workers[0].log())
            finally:
                signal_broker(signal.SIGCONT)
            load.wait_answered()
            system.workers[0].wait_ready()
            load.check()
            self.assertEqual(load.statuses(), {"assigned": 1700})
            self.assertFalse(reason(system.workers[0]))


if __name__ == "__main__":
    unittest.main()
