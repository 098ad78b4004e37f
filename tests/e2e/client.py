"""A client that shares nothing with warmpool but the schemas: confluent-kafka and fastavro."""
import io
import json
import struct
import time
import uuid

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from fastavro.schema import fingerprint, load_schema, to_parsing_canonical_form

from system import CONFLUENT_IDS, ROOT, TOPICS, WAIT_LIMIT

SCHEMAS = {topic: load_schema(str(ROOT / "schemas" / f"{topic}.avsc")) for topic in TOPICS}
FINGERPRINTS = {topic: bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))
                for topic, schema in SCHEMAS.items()}


OUTPUT_TOPICS = ("container-assignment", "container-command", "cache-result", "prediction", "metrics")


def encode(topic, record, wire):
    if wire == "json":
        return json.dumps(record).encode()
    out = io.BytesIO()
    out.write(b"\xc3\x01" + FINGERPRINTS[topic] if wire == "avro" else struct.pack(">bI", 0, CONFLUENT_IDS[topic]))
    fastavro.schemaless_writer(out, SCHEMAS[topic], record)
    return out.getvalue()


def wire_of(data):
    return "avro" if data[:2] == b"\xc3\x01" else "confluent" if data[:1] == b"\x00" else "json"


def decode(topic, data):
    wire = wire_of(data)
    if wire == "json":
        return json.loads(data)
    if wire == "avro":
        assert data[2:10] == FINGERPRINTS[topic], "the fingerprint is not that of the schema"
        body = data[10:]
    else:
        assert struct.unpack(">I", data[1:5])[0] == CONFLUENT_IDS[topic], "the schema id is not the topic's"
        body = data[5:]
    stream = io.BytesIO(body)
    record = fastavro.schemaless_reader(stream, SCHEMAS[topic])
    assert not stream.read(), "bytes are left after the datum"
    return record


def decode_sent(topic, data):
    """Nothing for what a test sent to be refused: it lies in the input topic, too, and its bytes in dead-letter."""
    if topic in OUTPUT_TOPICS:
        return decode(topic, data)
    try:
        record = decode(topic, data) if topic != "dead-letter" else {}
        return record if isinstance(record, dict) else {}
    except Exception:  # whatever fastavro makes of it
        return {}


class Record(dict):
    """A decoded record; .wire, .key, .headers, .partition, .offset and .raw say how it lay there."""


class Client:
    def __init__(self, system, wire="avro"):
        self.system, self.wire = system, wire
        config = {"bootstrap.servers": system.kafka.bootstrap, "log_level": 0}
        self.producer = Producer({**config, "linger.ms": 0})
        self.consumer = Consumer({**config, "group.id": f"e2e-{uuid.uuid4()}", "enable.auto.commit": False,
                                  "auto.offset.reset": "earliest", "fetch.wait.max.ms": 10})
        self.records = {}

    def send(self, topic, record, wire=None, **how):
        self.send_raw(topic, encode(topic, record, wire or self.wire), **how)

    def send_raw(self, topic, data, key=None, headers=None, partition=-1):
        failed = []
        self.producer.produce(self.system.prefix + topic, data, key=key, headers=headers, partition=partition,
                              on_delivery=lambda error, _: failed.append(error) if error else None)
        self.producer.flush(WAIT_LIMIT)
        assert not failed, failed

    def read(self, topic):
        """All records of the topic so far, oldest first per partition."""
        if topic not in self.records:
            self.records[topic] = []
            name = self.system.prefix + topic
            partitions = self.consumer.list_topics(name, WAIT_LIMIT).topics[name].partitions
            self.consumer.incremental_assign([TopicPartition(name, number, OFFSET_BEGINNING) for number in partitions])
        self.take(0)
        return self.records[topic]

    def decode(self, topic, data):
        return decode_sent(topic, data)

    def take(self, timeout):
        for message in self.consumer.consume(1000, timeout):
            if message.error():
                continue
            topic = message.topic()[len(self.system.prefix):]
            data = message.value() or b""
            record = Record(self.decode(topic, data))
            record.raw, record.wire, record.key = data, wire_of(data), message.key()
            record.headers = dict(message.headers() or [])
            record.partition, record.offset = message.partition(), message.offset()
            self.records[topic].append(record)

    def wait_all(self, topic, matches=lambda record: True, count=1):
        """The records that match, at least `count` of them."""
        end = time.monotonic() + WAIT_LIMIT
        while True:
            found = [record for record in self.read(topic) if matches(record)]
            if len(found) >= count:
                return found
            if time.monotonic() > end:
                raise AssertionError(f"{len(found)} of {count} records on {topic} within {WAIT_LIMIT} s; all that came: "
                                     f"{self.records[topic][-10:]}\n{self.system.workers[0].log()[-3000:]}")
            self.take(0.02)

    def wait(self, topic, matches=lambda record: True):
        return self.wait_all(topic, matches)[0]

    def acquire(self, request_id, philosophy="react", wire=None, **fields):
        """Sends an acquire and waits for its answer."""
        self.send("container-acquire", {"request_id": request_id, "agent_id": f"agent-{request_id}", "philosophy": philosophy,
                                        **fields}, wire=wire)
        return self.wait("container-assignment", lambda record: record.get("request_id") == request_id)
