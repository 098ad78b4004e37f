"""With a real schema registry (Apicurio Registry) and the usual serializers (confluent-kafka): what they write is read, also
with an evolved schema, and what a worker writes they read by its id."""
import json
import struct
import unittest

import fastavro
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from client import Client
from schema_registry import SchemaRegistry, schema_text
from system import CONFLUENT_IDS, WAIT_LIMIT, System, wait_until


def evolved(name="ContainerAcquire", fields=()):
    """As a team writes it today: without most of the optional fields, with some of its own, in another order."""
    return json.dumps({"type": "record", "name": name, "namespace": "warmpool", "fields": [
        {"name": "team", "type": "string"}, {"name": "philosophy", "type": "string"}, {"name": "request_id", "type": "string"},
        {"name": "agent_id", "type": "string"}, {"name": "labels", "type": {"type": "map", "values": "int"}}, *fields]})


class WithRegistry(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.registry = SchemaRegistry.get()
        cls.api = SchemaRegistryClient({"url": cls.registry.url})

    def system(self, **options):
        system = System(start=False, options={
            "wire.write": "confluent", "wire.confluent_ids": "", "wire.registry.url": self.registry.url, "wire.registry.register": "true",
            "topics.partitions": 1, **{name.replace("__", "."): value for name, value in options.items()}})
        self.addCleanup(system.close)
        return system

    def started(self, **options):
        system = self.system(**options)
        system.start()
        return system

    def serialize(self, system, topic, record, schema):
        return AvroSerializer(self.api, schema)(record, SerializationContext(system.prefix + topic, MessageField.VALUE))

    def answer(self, client, request_id):
        """The assignment, read by confluent-kafka's deserializer, which looks its id up."""
        read = AvroDeserializer(self.api)
        name = client.system.prefix + "container-assignment"

        def decoded(record):
            return read(record.raw, SerializationContext(name, MessageField.VALUE))
        return decoded(client.wait("container-assignment", lambda record: decoded(record)["request_id"] == request_id))


class Reader(Client):
    """Records stay bytes: the deserializers of the registry read them."""
    def take(self, timeout):
        import client as module
        keep, module.decode_sent = module.decode_sent, lambda topic, data: {}
        try:
            super().take(timeout)
        finally:
            module.decode_sent = keep


class SchemaRegistryTest(WithRegistry):
    def test_the_usual_serializer_with_an_evolved_schema_and_the_usual_deserializer(self):
        system = self.started()
        client = Reader(system)
        record = {"team": "red", "philosophy": "react", "request_id": "r1", "agent_id": "a1", "labels": {"x": 1}}
        client.send_raw("container-acquire", self.serialize(system, "container-acquire", record, evolved()))
        self.assertEqual(self.answer(client, "r1")["status"], "assigned")
        # A newer version of the same writer: another id, looked up in turn.
        newer = evolved(fields=[{"name": "timeout_ms", "type": "int"}])
        client.send_raw("container-acquire", self.serialize(system, "container-acquire", {**record, "request_id": "r2", "timeout_ms": 60000}, newer))
        answer = self.answer(client, "r2")
        self.assertEqual((answer["status"], answer["agent_id"]), ("assigned", "a1"))
        # The current schema, as other programs register it: known, and read without avro-c.
        usual = {"request_id": "r3", "agent_id": "a3", "philosophy": "react"}
        client.send_raw("container-acquire", self.serialize(system, "container-acquire", usual, schema_text("container-acquire")))
        self.assertEqual(self.answer(client, "r3")["status"], "assigned")

    def test_json_schema(self):
        system = self.started()
        client = Reader(system)
        schema = json.dumps({"title": "Acquire", "type": "object", "properties": {"request_id": {"type": "string"}}})
        number = self.registry.register(system.prefix + "container-acquire-value", schema, "JSON")
        record = {"request_id": "r1", "agent_id": "a1", "philosophy": "react"}
        client.send_raw("container-acquire", struct.pack(">bI", 0, number) + json.dumps(record).encode())
        self.assertEqual(self.answer(client, "r1")["status"], "assigned")


if __name__ == "__main__":
    unittest.main()
