"""With a real schema registry (Apicurio Registry) and the usual serializers (confluent-kafka): what they write is read, also
with an evolved schema, and what a worker writes they read by its id."""
import json
import struct
import unittest

from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from schema_registry import RawClient, SchemaRegistry, schema_text
from system import CONFLUENT_IDS, System


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

    def cli(self, system, *arguments, **how):
        done = system.cli(*arguments, **how)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout


class SchemaRegistryTest(WithRegistry):
    def test_the_usual_serializer_with_an_evolved_schema_and_the_usual_deserializer(self):
        system = self.started()
        client = RawClient(system)
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
        client = RawClient(system)
        schema = json.dumps({"title": "Acquire", "type": "object", "properties": {"request_id": {"type": "string"}}})
        number = self.registry.register(system.prefix + "container-acquire-value", schema, "JSON")
        record = {"request_id": "r1", "agent_id": "a1", "philosophy": "react"}
        client.send_raw("container-acquire", struct.pack(">bI", 0, number) + json.dumps(record).encode())
        self.assertEqual(self.answer(client, "r1")["status"], "assigned")

    def test_subcommands_write_and_read_with_it(self):
        system = self.started()
        self.cli(system, "send", "container-acquire", input='{"request_id": "r1", "agent_id": "a1", "philosophy": "react"}\n')
        records = self.cli(system, "tail", "--from-beginning", "--count", "2", "--timeout", "60", "container-acquire", "container-assignment")
        values = [json.loads(line)["value"] for line in records.splitlines()]
        self.assertEqual([value["request_id"] for value in values], ["r1", "r1"])
        status, answer = self.registry.ask(f"/subjects/{system.prefix}container-acquire-value/versions/latest")
        self.assertEqual((status, json.loads(answer["schema"])), (200, json.loads(schema_text("container-acquire"))))

    def test_without_leave_to_register_the_schemas_must_be_there(self):
        system = self.system(wire__registry__register="false")
        system.workers[0].start()
        self.assertEqual(system.workers[0].process.wait(), 2)
        self.assertIn("set wire.registry.register = true, or register it by hand", system.workers[0].log())
        for topic in CONFLUENT_IDS:
            self.registry.register(f"{system.prefix}{topic}-value", schema_text(topic))
        system.workers[0].start().wait_ready()

    def test_an_incompatible_subject_ends_the_worker_with_the_reason(self):
        system = self.system()
        subject = f"{system.prefix}container-assignment-value"
        other = {"type": "record", "name": "ContainerAssignment", "namespace": "warmpool", "fields": [{"name": "request_id", "type": "int"}]}
        self.registry.register(subject, json.dumps(other))
        status, answer = self.registry.ask(f"/config/{subject}", {"compatibility": "BACKWARD"}, "PUT")
        self.assertEqual(status, 200, answer)
        system.workers[0].start()
        self.assertEqual(system.workers[0].process.wait(), 2)
        self.assertRegex(system.workers[0].log(), f"schemas/container-assignment.avsc is not usable under the subject {subject}: .* answered 409")

    def test_check_says_what_a_worker_would_meet(self):
        system = self.system()
        said = system.cli("check").stdout
        self.assertRegex(said, r"(?m)^ok +registry +the schema registry answers$")
        self.assertRegex(said, r"(?m)^ok +registry +of the schemas that workers write 0 are there, 8 will be registered$")
        system.options["wire.registry.register"] = "false"
        self.assertRegex(system.cli("check").stdout, r"registry +schemas/cache\.avsc is not under the subject .*cache-value; set wire.registry.register = true")
        other = {"type": "record", "name": "Metrics", "namespace": "warmpool", "fields": [{"name": "x", "type": "int"}]}
        self.registry.register(f"{system.prefix}metrics-value", json.dumps(other))
        self.registry.ask(f"/config/{system.prefix}metrics-value", {"compatibility": "BACKWARD"}, "PUT")
        self.registry.register(f"{system.prefix}container-acquire-value", json.dumps(other))
        system.options["wire.registry.register"] = "true"
        said = system.cli("check").stdout
        self.assertRegex(said, "registry +schemas/metrics.avsc is not compatible with what is under the subject .*metrics-value: ")
        self.assertRegex(said, "registry +messages with the latest schema of the subject .*container-acquire-value would go to dead-letter: it is the schema of")
        system.options["wire.registry.url"] = self.registry.url.replace("/apis/ccompat/v7", "")
        self.assertRegex(system.cli("check").stdout, "registry +the schema registry at .* is its path missing in wire.registry.url")


if __name__ == "__main__":
    unittest.main()
