"""What a worker sees of its group and its topics: other members, new partitions, offsets without records."""
import itertools
import re
import time
import unittest

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, ResourceType

from client import Client, encode
from system import System, wait_until

PARTITIONS = 2
INPUTS = ("container-acquire", "container-release", "usage-record", "cache", "pool-control", "container-event")


def admin(system):
    """One for each system: a client that is collected never completes its futures."""
    if not hasattr(system, "admin"):
        system.admin = AdminClient({"bootstrap.servers": system.kafka.bootstrap})
    return system.admin


def commits(system, topics=INPUTS, partitions=PARTITIONS):
    """{(topic, partition): offset} of the group, as a tool that scales by lag reads it; -1001 where there is none."""
    wanted = [TopicPartition(system.prefix + topic, n) for topic in topics for n in range(partitions)]
    group = ConsumerGroupTopicPartitions(system.prefix + "group", wanted)
    answer = admin(system).list_consumer_group_offsets([group])[system.prefix + "group"].result()
    return {(each.topic[len(system.prefix):], each.partition): each.offset for each in answer.topic_partitions}


def ends(system, topic, partition):
    consumer = Consumer({"bootstrap.servers": system.kafka.bootstrap, "group.id": "ends"})
    try:
        return consumer.get_watermark_offsets(TopicPartition(system.prefix + topic, partition), timeout=30)
    finally:
        consumer.close()


def grow(system, topic, partitions):
    admin(system).create_partitions([NewPartitions(system.prefix + topic, partitions)])[system.prefix + topic].result()


def figure(worker, name):
    found = re.search(rf"^{re.escape(name)} (\S+)$", worker.http("/metrics")[1], re.M)
    return float(found[1]) if found else None


class Group(unittest.TestCase):
    def test_four_workers_have_the_same_share(self):
        with System(workers=4, options={"topics.partitions": 6}) as system:
            def shares():
                return sorted(figure(worker, "warmpool_partitions") for worker in system.workers)
            wait_until(lambda: shares() == [9, 9, 9, 9], lambda: f"nine partitions each: {shares()}")

    def test_every_partition_has_a_commit(self):
        with System() as system:
            wait_until(lambda: all(offset >= 0 for offset in commits(system).values()), lambda: f"commits: {commits(system)}", 30)


    def test_a_session_that_the_broker_refuses_is_named(self):
        with System(start=False, options={"kafka.session.timeout.ms": 1000}) as system:
            worker = system.workers[0].start()
            wait_until(lambda: "group.min.session.timeout.ms" in worker.http("/readyz")[1], lambda: worker.http("/readyz"))
            self.assertIn("kafka.session.timeout.ms", worker.http("/readyz")[1])


class NewOnes(unittest.TestCase):
    def test_new_partitions_are_read_within_seconds(self):
        with System() as system:
            grow(system, "container-acquire", PARTITIONS + 1)
            sent = time.monotonic()
            client = Client(system)
            request = {"request_id": "r", "agent_id": "a", "philosophy": "react"}

            def sent_to_it():  # a broker may not know of it yet
                try:
                    client.send("container-acquire", request, partition=PARTITIONS)
                    return True
                except (AssertionError, KafkaException):
                    client.producer.list_topics(system.prefix + "container-acquire", 30)
                    return False
            wait_until(sent_to_it, "the new partition takes a record")
            client.wait("container-assignment", lambda record: record["request_id"] == "r")
            self.assertLess(time.monotonic() - sent, 25)  # 10 on a machine that does nothing else


class NoRecords(unittest.TestCase):
    """Offsets that hold no record: control records of transactions, and what was aborted."""

    def send_in_transactions(self, system, abort=False):
        producer = Producer({"bootstrap.servers": system.kafka.bootstrap, "transactional.id": system.prefix + "client"})
        producer.init_transactions(60)
        for number in range(3):
            producer.begin_transaction()
            usage = {"record_id": f"u{number}", "agent_id": "a", "philosophy": "react", "cpu_percent": 1}
            producer.produce(system.prefix + "usage-record", encode("usage-record", usage, "json"), partition=0)
            (producer.abort_transaction if abort else producer.commit_transaction)(60)

    def wait_all_read(self, system):
        worker = system.workers[0]
        wait_until(lambda: figure(worker, 'warmpool_consumer_lag{topic="usage-record"}') == 0, "no lag", 20)
        high = ends(system, "usage-record", 0)[1]
        wait_until(lambda: commits(system)["usage-record", 0] == high, lambda: f"{commits(system)}, the end is {high}", 20)
        return high

    def test_lag_comes_to_nothing_with_a_transactional_producer(self):
        with System() as system:
            for abort in False, True:
                self.send_in_transactions(system, abort)
                self.wait_all_read(system)

    def test_a_log_whose_records_are_all_deleted_blocks_nothing(self):
        with System() as system:
            self.send_in_transactions(system)
            high = self.wait_all_read(system)
            worker = system.workers[0]
            self.assertEqual(worker.stop(), 0)
            where = TopicPartition(system.prefix + "usage-record", 0, high)
            admin(system).delete_records([where])[where].result()
            worker.start().wait_ready()


class Refused(unittest.TestCase):
    def limit(self, system, topic, size):
        entry = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, system.prefix + topic, incremental_configs=[entry])
        admin(system).incremental_alter_configs([resource])[resource].result()

    def send_until_refused(self, client, worker):
        """A broker uses a topic's new limit some time after it was set. Returns the id of the event whose answer it refused first."""
        ids = (f"e{n}" for n in itertools.count())

        def said():
            status, text = worker.http("/readyz")
            return status == 503 and "cache-result" in text and "max.message.bytes" in text

        def refused():
            event = next(ids)
            client.send("cache", {"event_id": event, "op": "get", "key": "k" * 100})
            wait_until(lambda: said() or any(record["event_id"] == event for record in client.read("cache-result")),
                       lambda: f"an answer, or what refuses it: {worker.log()[-2000:]}")
            return said() and event
        return wait_until(refused, "the topic refuses an answer")

    def test_a_record_that_a_topic_does_not_take_is_tried_again_ever_more_seldom(self):
        with System() as system:
            worker, client = system.workers[0], Client(system)
            self.limit(system, "cache-result", 50)
            refused, began = self.send_until_refused(client, worker), time.monotonic()
            client.acquire("r1")  # the other topics go on
            wait_until(lambda: time.monotonic() > began + 10, "ten seconds")
            self.assertLessEqual(worker.log().count("event=partition_restarted"), 7)  # after 0.5, 1, 2, 4, 8 s
            self.limit(system, "cache-result", 1000000)
            client.wait("cache-result", lambda record: record["event_id"] == refused)
            worker.wait_ready()


class Deleted(unittest.TestCase):
    def test_an_output_that_is_deleted_holds_up_no_other(self):
        with System() as system:
            client, worker, name = Client(system), system.workers[0], system.prefix + "cache-result"
            admin(system).delete_topics([name])[name].result()
            numbers = itertools.count()

            def named():
                worker.start_if_its_library_crashed()
                client.send("cache", {"event_id": f"e{next(numbers)}", "op": "get", "key": "k"})
                return worker.http("/readyz")[0] == 503 and "cache-result" in worker.http("/readyz")[1]
            wait_until(named, lambda: f"{worker.http('/readyz')}\n{worker.log()[-2000:]}")
            for number in range(5):
                client.acquire(f"r{number}")
            admin(system).create_topics([NewTopic(name, PARTITIONS, 1)])[name].result()
            wait_until(lambda: len(admin(system).list_topics(name, 30).topics[name].partitions) == PARTITIONS, "brokers know of it")
            events = {f"e{number}" for number in range(next(numbers))}
            wait_until(lambda: worker.start_if_its_library_crashed() or {record["event_id"] for record in client.read("cache-result")} == events,
                       "all are answered")
            worker.wait_ready()


class Accept(unittest.TestCase):
    def test_blocked_partitions_begin_again_while_workers_run(self):
        with System(options={"wire.write": "json"}) as system:
            client = Client(system, "json")
            worker = system.workers[0]
            wait_until(lambda: all(offset >= 0 for offset in commits(system).values()), "commits")
            self.assertEqual(worker.stop(), 0)
            for number in range(10):
                client.send("cache", {"event_id": f"lost{number}", "op": "get", "key": "k"}, partition=0)
            where = TopicPartition(system.prefix + "cache", 0, 5)
            admin(system).delete_records([where])[where].result()
            worker.start()
            wait_until(lambda: "accept cache" in worker.http("/readyz")[1], lambda: f"blocked: {worker.http('/readyz')}")
            client.send("cache", {"event_id": "other", "op": "get", "key": "k"}, partition=1)
            client.wait("cache-result", lambda record: record["event_id"] == "other")
            done = system.cli("accept", "cache")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("[1]: well, left alone", done.stdout)
            self.assertIn("[0]: begins again at offset 5", done.stdout)
            worker.wait_ready()
            client.send("cache", {"event_id": "after", "op": "get", "key": "k"}, partition=0)
            client.wait("cache-result", lambda record: record["event_id"] == "after")

    def test_a_topic_without_commits_goes_on_although_others_have_theirs(self):
        """A new group, or one that Kafka forgot, whose first worker died before it had committed everything."""
        with System(options={"wire.write": "json"}) as system:
            client, worker = Client(system, "json"), system.workers[0]
            for number in range(3):
                client.send("cache", {"event_id": f"old{number}", "op": "get", "key": "k"}, partition=0)
            wait_until(lambda: commits(system)["cache", 0] == 3 and all(offset >= 0 for offset in commits(system).values()),
                       lambda: f"commits: {commits(system)}")
            self.assertEqual(worker.stop(), 0)
            group, others = system.prefix + "group", [topic for topic in INPUTS if topic != "cache"]
            admin(system).delete_consumer_groups([group])[group].result()
            offsets = [TopicPartition(system.prefix + topic, n, 0) for topic in others for n in range(PARTITIONS)]
            admin(system).alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, offsets)])[group].result()
            client.send("cache", {"event_id": "new", "op": "get", "key": "k"}, partition=0)
            worker.start().wait_ready()
            client.wait("cache-result", lambda record: record["event_id"] == "new")
            self.assertEqual(len(client.read("cache-result")), 4)  # and none twice
            self.assertIn("event=partition_without_commit topic=cache partition=0 offset=3", worker.log())


if __name__ == "__main__":
    unittest.main()
