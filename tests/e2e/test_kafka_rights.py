"""A worker that lacks a right in Kafka is not ready, says which one, and goes on when it is given. A broker of its own, with
users and rights."""
import unittest

from confluent_kafka import Producer
from confluent_kafka.admin import AclBinding, AclBindingFilter, AclOperation, AclPermissionType, AdminClient, ResourcePatternType, ResourceType

from client import encode
from system import Kafka, System, stays, wait_until

ALL = AclOperation.ALL


def credentials(user):
    return {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": user, "sasl.password": user}


class Rights(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.kafka = Kafka(rights=True)
        cls.addClassCleanup(cls.kafka.close)
        cls.admin = AdminClient({"bootstrap.servers": cls.kafka.bootstrap, **credentials("admin")})

    def setUp(self):
        options = {f"kafka.{key}": value for key, value in credentials("worker").items()}
        self.system = System(options={**options, "metrics.interval": 3600}, start=False, kafka=self.kafka)
        self.addCleanup(self.system.close)
        self.worker = self.system.workers[0]

    def binding(self, kind, name, operation, permission=AclPermissionType.ALLOW):
        pattern = ResourcePatternType.PREFIXED if kind == ResourceType.TOPIC and name == self.system.prefix else \
            ResourcePatternType.LITERAL
        return AclBinding(kind, name, pattern, "User:worker", "*", operation, permission)

    def change(self, allow=(), deny=()):
        allowed = [self.binding(*what) for what in allow]
        denied = [self.binding(*what, permission=AclPermissionType.DENY) for what in deny]
        for future in self.admin.create_acls(allowed + denied).values() if allowed or denied else ():
            future.result()

    def all_topics(self):
        return (ResourceType.TOPIC, self.system.prefix, ALL)

    def group(self):
        return (ResourceType.GROUP, self.system.prefix + "group", ALL)

    def output(self):
        return (ResourceType.TOPIC, self.system.prefix + "container-assignment", AclOperation.WRITE)

    def delete(self, kind, name, pattern, operation, permission):
        what = AclBindingFilter(kind, name, pattern, "User:worker", "*", operation, permission)
        for future in self.admin.delete_acls([what]).values():
            self.assertEqual(len(future.result()), 1)

    def give_back(self, kind, name, operation):
        """Takes the prohibition away."""
        self.delete(kind, name, ResourcePatternType.LITERAL, operation, AclPermissionType.DENY)

    def take(self, kind, prefix, operation):
        self.delete(kind, prefix, ResourcePatternType.PREFIXED, operation, AclPermissionType.ALLOW)

    def send(self, topic, record):
        producer = Producer({"bootstrap.servers": self.kafka.bootstrap, **credentials("admin")})
        producer.produce(self.system.prefix + topic, encode(topic, record, "json"))
        self.assertEqual(producer.flush(60), 0)

    def wait_reason(self, *words):
        def said():
            status, text = self.worker.http("/readyz")
            return status == 503 and all(word in text for word in words)
        wait_until(said, lambda: f"{words} on /readyz: {self.worker.http('/readyz')}\n{self.worker.log()[-3000:]}")

    def test_without_read_on_the_group(self):
        self.change(allow=[self.all_topics()])
        self.worker.start()
        self.wait_reason("kafka.group.id", self.system.prefix + "group", "authorization")
        self.change(allow=[self.group()])
        self.worker.wait_ready()

    def test_without_read_on_an_input(self):
        topic = (ResourceType.TOPIC, self.system.prefix + "usage-record", AclOperation.READ)
        self.change(allow=[self.all_topics(), self.group()], deny=[topic])
        self.worker.start()
        self.wait_reason("usage-record", "authorization", "READ")
        stays(lambda: self.worker.http("/readyz")[0] == 503, "it says what it lacks")
        self.send("container-acquire", {"request_id": "r", "agent_id": "a", "philosophy": "react"})
        wait_until(lambda: self.system.pool("react")["leased"] == 1, "the other topics are read")
        self.give_back(*topic)
        self.worker.wait_ready()

    def test_without_a_right_to_write_at_all(self):
        self.change(allow=[self.all_topics(), self.group()])
        self.worker.start().wait_ready()  # its topics are there
        self.assertEqual(self.worker.stop(), 0)
        reads = [(ResourceType.TOPIC, self.system.prefix, operation)
                 for operation in (AclOperation.READ, AclOperation.DESCRIBE, AclOperation.DESCRIBE_CONFIGS)]
        self.change(allow=reads)
        self.take(*self.all_topics())
        self.worker.start()
        self.wait_reason("kafka.enable.idempotence", "authorization", "IDEMPOTENT_WRITE")
        self.change(allow=[self.all_topics()])
        self.worker.wait_ready()

    def test_without_write_on_an_output(self):
        self.change(allow=[self.all_topics(), self.group()], deny=[self.output()])
        self.worker.start().wait_ready()
        self.send("container-acquire", {"request_id": "r", "agent_id": "a", "philosophy": "react"})
        self.wait_reason("container-assignment", "authorization", "WRITE")
        # It gives way: 0.5, 1, 2, 4, ... seconds between two attempts.
        wait_until(lambda: self.worker.log().count("event=partition_restarted") >= 3, "three attempts")
        self.give_back(*self.output())
        self.worker.wait_ready()


if __name__ == "__main__":
    unittest.main()
