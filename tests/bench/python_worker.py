#!/usr/bin/env python3
"""A contender of the benchmark: a worker as one would write it in Python. It does what warmpool does for acquires, releases, usage
records and cache events in a simple form, with the same durability: one Lua script a batch changes Redis (python_worker.lua), the
producer is idempotent, and offsets are committed after delivery.

usage: python_worker.py BROKERS PREFIX GROUP REDIS-SOCKET [--containers N --philosophies N] [--codec hand|fastavro]
       python_worker.py BROKERS PREFIX GROUP --copy OUTPUT          a bare copy loop: what Python can do at all

It reads the four topics of PREFIX until SIGTERM, and prints a line when it has its partitions. What makes it fast: batches without
waiting for more, one JSON argument a call, reports of failed deliveries only, a flush before each commit instead of a look at every
delivery, and with `--codec hand` messages that are read and written by hand (python_codec.py).
"""
import argparse, json, os, signal, time

import redis
from confluent_kafka import Consumer, KafkaException, Producer

import python_codec as codec

BATCH = 500
COMMIT_SECONDS = 0.5
PREDICTION_SECONDS = 1.0
LEASE_MS = 3600000
CACHE_TTL = {"tool": 600, "pattern": 300}
DEFAULT_TTL = 300


def on_delivery(error, _):
    raise KafkaException(error)


class Loop:
    """Kafka's side: batches in, records out, offsets after delivery."""

    def __init__(self, brokers, group, topics):
        self.stopped = False
        self.consumer = Consumer({"bootstrap.servers": brokers, "group.id": group, "enable.auto.commit": False,
                                  "auto.offset.reset": "earliest", "fetch.wait.max.ms": 250, "socket.nagle.disable": True,
                                  "partition.assignment.strategy": "range"})
        self.producer = Producer({"bootstrap.servers": brokers, "enable.idempotence": True, "acks": "all", "linger.ms": 0,
                                  "socket.nagle.disable": True, "queue.buffering.max.messages": 1000000,
                                  "delivery.report.only.error": True, "on_delivery": on_delivery})
        self.consumer.subscribe(topics, on_assign=lambda *_: print("ready", flush=True))
        signal.signal(signal.SIGTERM, self.stop)

    def stop(self, *_):
        self.stopped = True

    def take(self):
        """What is there, without waiting for more."""
        messages = self.consumer.consume(BATCH, 0)
        if not messages:
            first = self.consumer.poll(0.1)
            messages = [first] + self.consumer.consume(BATCH - 1, 0) if first else []
        return [message for message in messages if not message.error()]

    def commit(self):
        self.producer.flush()
        offsets = [each for each in self.consumer.position(self.consumer.assignment()) if each.offset >= 0]
        if offsets:
            self.consumer.commit(offsets=offsets, asynchronous=True)

    def run(self, handle):
        committed_at = time.monotonic()
        while not self.stopped:
            messages = self.take()
            if messages:
                handle(messages)
                self.producer.poll(0)
            if time.monotonic() - committed_at > COMMIT_SECONDS:
                self.commit()
                committed_at = time.monotonic()
        self.commit()
        self.consumer.close()


class Worker:
    def __init__(self, loop, prefix, redis_socket, codec_name):
        self.loop, self.prefix, self.root = loop, prefix, prefix + "py"
        self.codec = codec.CODECS[codec_name]()
        self.topic_of = {prefix + topic: topic for topic in codec.TOPICS}
        self.redis = redis.Redis(unix_socket_path=redis_socket)
        here = os.path.dirname(os.path.abspath(__file__))
        with open(os.path.join(here, "python_worker.lua"), encoding="utf-8") as script:
            self.script = self.redis.register_script(script.read())
        self.predicted_at = {}

    def fill(self, containers, philosophies):
        for i in range(philosophies):
            ids = [f"c-{i}-{n}" for n in range(containers // philosophies)]
            for first in range(0, len(ids), 1000):
                self.redis.rpush(f"{self.root}:idle:p{i}", *ids[first:first + 1000])

    def handle(self, messages):
        """events: of each message its kind and what the script needs; values: of the sets; records: what the answers need."""
        events, values, records, used = [], [], [], set()
        for message in messages:
            topic = self.topic_of[message.topic()]
            record = self.codec.decode(topic, message.value())
            records.append(record)
            if topic == "container-acquire":
                events.append(("acquire", record[0], record[2]))
            elif topic == "container-release":
                events.append(("release", *record))
            elif topic == "usage-record":
                events.append(("usage", record[0], *(figure or 0 for figure in record[1:])))
                used.add(record[0])
            else:
                events.append(self.cache_event(record, values))
        answers, found = self.call(events, values, self.due(used))
        for message, event, record, answer in zip(messages, events, records, answers):
            if event[0] == "acquire":
                # an empty pool is a rejection: this worker makes no containers
                self.loop.producer.produce(self.prefix + "container-assignment", self.codec.assignment(*record, *answer), message.key())
            elif answer:
                self.loop.producer.produce(self.prefix + "cache-result", self.cache_result(event, record, answer, found), message.key())

    @staticmethod
    def cache_event(record, values):
        _, op, namespace, key, value, ttl = record
        name = f"{namespace or 'default'}:{key}"
        if op == "get":
            return ("get", name)
        values.append(value)
        return ("set", name, ttl or CACHE_TTL.get(namespace, DEFAULT_TTL))

    def due(self, philosophies):
        """Those of which a prediction is to be published: one a second, at most."""
        now = time.monotonic()
        due = [each for each in philosophies if now - self.predicted_at.get(each, 0) >= PREDICTION_SECONDS]
        self.predicted_at.update(dict.fromkeys(due, now))
        return due

    def call(self, events, values, due):
        reply, *found = self.script(keys=[self.root], args=[json.dumps([events, due]), *values])
        answers, now, means = json.loads(reply)
        self.codec.begin(now + LEASE_MS, means or {})
        for philosophy in due:
            self.loop.producer.produce(self.prefix + "prediction", codec.write_prediction(philosophy, means[philosophy]), philosophy)
        return answers, iter(found)

    def cache_result(self, event, record, answer, found):
        hit, ttl = answer
        value = next(found) if hit and event[0] == "get" else None
        return self.codec.cache_result(*record[:4], hit, value, ttl)


def copy_to(loop, output):
    def copy(messages):
        for message in messages:
            loop.producer.produce(output, message.value(), message.key())
    return copy


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("brokers")
    parser.add_argument("prefix")
    parser.add_argument("group")
    parser.add_argument("redis_socket", nargs="?")
    parser.add_argument("--copy")
    parser.add_argument("--containers", type=int, default=0)
    parser.add_argument("--philosophies", type=int, default=1)
    parser.add_argument("--codec", choices=codec.CODECS, default="hand")
    options = parser.parse_args()
    codec.check()
    loop = Loop(options.brokers, options.group, [options.prefix + topic for topic in codec.TOPICS])
    if options.copy:
        loop.run(copy_to(loop, options.copy))
    else:
        worker = Worker(loop, options.prefix, options.redis_socket, options.codec)
        worker.fill(options.containers, options.philosophies)
        loop.run(worker.handle)


if __name__ == "__main__":
    main()
