"""The client of the judge: draws events at random, sends them, reads all answers, and writes both into a history. It shares
nothing with warmpool but the schemas. One thread."""
import heapq
import json
import random
import time
import uuid

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from history import brief, digest
from load import decode, encode
from system import WAIT_LIMIT

SENT_TOPICS = ("container-acquire", "container-release", "usage-record", "cache", "pool-control")
READ_TOPICS = ("container-assignment", "cache-result", "prediction")
WIRES = ("avro", "avro", "json", "confluent")

USAGE_OF_ONE = 4000                       # records of a philosophy: fewer than predictor.history_size
NAMESPACES = ("tool", "pattern", "mine")  # each changed in one partition only, so that its changes have an order
BRIEF_NAMESPACE, BRIEF_TTL = "brief", (1, 2, 3)  # all of its entries expire soon
KEYS = 12                                 # of a namespace
UNCONFIRMED_MOST = 2000                   # events that Kafka has not confirmed: nothing is sent then

KEPT = {  # of the answers, what the checker asks for
    "container-assignment": ("request_id", "agent_id", "philosophy", "status", "container_id", "host", "warm_start", "tier",
                             "lease_epoch", "lease_expires_at", "reason"),
    "cache-result": ("event_id", "op", "namespace", "key", "hit", "reason", "count"),
    "prediction": ("philosophy", "samples", "requirements"),
}


class JudgeClient:
    philosophies = {"react": 1, "reflexion": 1, "planning": 1, "debate": 1}  # how often, against the others
    tenants = ("blue", "red")
    events = {"some_acquire": 34, "some_usage": 26, "some_cache_event": 38, "some_control": 0.5, "something_wrong": 1}
    bursts = {1: 50, 8: 30, 40: 15, 250: 2}
    hold_s = 0.15  # of a lease, on average
    waiting_most = 400  # acquires without an answer: no more are sent then

    def __init__(self, system, history, seed, rate):
        self.system, self.history, self.rate = system, history, rate
        self.random = random.Random(seed)
        self.run = uuid.uuid4().hex[:4]  # ids of two runs differ, so that a file cannot be mistaken for another
        self.number, self.answers = 0, 0
        self.failed, self.unconfirmed = [], 0
        self.acquires, self.cache_events = set(), set()  # not answered yet
        self.plans = {}      # of a request: what is done once it is assigned
        self.later = []      # heap of (time, number, function)
        self.usage = 0
        # A record must never be given up while a broker is away; Kafka drops what an idempotent producer repeats.
        self.producer = Producer({"bootstrap.servers": system.kafka.bootstrap, "log_level": 0, "enable.idempotence": True, "acks": "all",
                                  "linger.ms": 2, "delivery.timeout.ms": 600000, "reconnect.backoff.max.ms": 500,
                                  "max.in.flight": 1})  # worker/kafka/conf.c says why
        self.consumer = Consumer({"bootstrap.servers": system.kafka.bootstrap, "log_level": 0, "group.id": f"judge-{uuid.uuid4()}",
                                  "enable.auto.commit": False, "auto.offset.reset": "error", "reconnect.backoff.max.ms": 500})
        self.partitions = self.assign()

    def assign(self):
        topics = self.consumer.list_topics(timeout=WAIT_LIMIT).topics
        wanted = [TopicPartition(self.system.prefix + topic, number, OFFSET_BEGINNING)
                  for topic in SENT_TOPICS + READ_TOPICS + ("dead-letter",)
                  for number in topics[self.system.prefix + topic].partitions]
        self.consumer.assign(wanted)
        return len(topics[self.system.prefix + "cache"].partitions)

    # ---- sending ----

    def send(self, topic, event, wrong="", data=None, partition=-1, key=None):
        """event as it stands in the history; data: its bytes, when they are not the event's own."""
        self.number += 1
        self.history.write("send", n=self.number, topic=topic, event=event, wrong=wrong)
        self.unconfirmed += 1
        if data is None:
            data = encode(topic, event, self.random.choice(WIRES))
        self.producer.produce(self.system.prefix + topic, data, partition=partition, key=key, on_delivery=self.delivered,
                              headers={"n": str(self.number).encode()})
        self.producer.poll(0)

    def delivered(self, error, _):
        self.unconfirmed -= 1
        if error:
            self.failed.append(str(error))

    def name(self, what):
        self.number += 1
        return f"{what}{self.number}-{self.run}"

    def after(self, seconds, function, *arguments):
        self.number += 1
        heapq.heappush(self.later, (time.monotonic() + seconds, self.number, function, arguments))

    def some_event(self):
        kinds = dict(self.events)
        if len(self.acquires) > self.waiting_most:
            del kinds["some_acquire"]
        if kinds:
            getattr(self, self.draw(kinds))()

    def draw(self, weights):
        return self.random.choices(list(weights), list(weights.values()))[0]

    def some_acquire(self):
        draw, request = self.random.random(), self.name("r")
        event = {"request_id": request, "agent_id": self.random.choice(("a1", "a2", "a3")), "philosophy": self.draw(self.philosophies),
                 "tenant": self.random.choice(self.tenants), "timeout_ms": 120000}
        plan = self.random.expovariate(1 / self.hold_s)  # seconds until it is given back
        if draw < 0.03:
            event["timeout_ms"] = self.random.choice((1, 50, 500))
        elif draw < 0.06:
            event["lease_ms"], plan = self.random.choice((1000, 3000)), None  # never given back: the lease expires
        elif draw < 0.10:
            plan = None  # cancelled, before its answer is known
            self.after(self.random.choice((0, 0, 0.01, 0.1)), self.release, event, None)
        elif draw < 0.13:
            self.after(self.random.expovariate(1), self.send, "container-acquire", event)
        self.plans[request] = (event, plan)
        self.acquires.add(request)
        self.send("container-acquire", event)

    def release(self, acquire, container):
        event = {"request_id": acquire["request_id"], "philosophy": acquire["philosophy"], "reuse": self.random.random() > 0.04}
        if container and self.random.random() < 0.8:
            event["container_id"] = container
        self.send("container-release", event)
        if self.random.random() < 0.03:
            self.after(self.random.expovariate(1), self.send, "container-release", event)

    def some_usage(self):
        record = {"agent_id": "a1", "philosophy": f"usage-{self.run}-{self.usage // USAGE_OF_ONE}"}
        self.usage += 1
        # Far apart, so that a mean tells one record from another.
        for figure in self.random.sample(("cpu_percent", "memory_usage_mb", "execution_time"), self.random.randint(1, 3)):
            record[figure] = 100.0 * self.random.randint(1, 90000)
        if self.random.random() < 0.5:  # the others count as often as they are sent
            record["record_id"] = self.name("u")
            if self.random.random() < 0.1:
                self.after(self.random.expovariate(1), self.send, "usage-record", record)
        self.send("usage-record", record)

    def some_cache_event(self):
        namespace = self.random.choice(NAMESPACES + (BRIEF_NAMESPACE,))
        home = sum(namespace.encode()) % self.partitions
        event = {"event_id": self.name("e"), "op": self.random.choices(("get", "set", "invalidate", "clear"), (60, 33, 6, 0.5))[0],
                 "namespace": namespace}
        partition, data = home, None
        if event["op"] != "clear":
            event["key"] = f"k{self.random.randrange(KEYS)}"
        if event["op"] == "get" and self.random.random() < 0.5:
            partition = -1
        if event["op"] == "set":
            if namespace == BRIEF_NAMESPACE:
                event["ttl_seconds"] = self.random.choice(BRIEF_TTL)
            size = self.random.choices((0, 200, 5000, 60000), (60, 30, 9, 1))[0]
            value = f"{event['event_id']} ".encode() + b"." * self.random.randint(0, size)
            data = encode("cache", {**event, "value": value}, self.random.choice(("avro", "confluent")))
            event["value"] = brief(value)
        self.cache_events.add(event["event_id"])
        self.send("cache", event, data=data, partition=partition, key=namespace)

    def some_control(self):
        op = self.random.choice(("pre_warm", "pre_warm", "expire"))
        self.send("pool-control", {"control_id": self.name("c"), "philosophy": self.draw(self.philosophies), "op": op,
                                   "count": self.random.randint(1, 3)})

    def something_wrong(self):
        kind = self.random.choice(("acquire", "text", "cache", "usage"))
        if kind == "acquire":
            request = self.name("r")
            self.acquires.add(request)
            self.send("container-acquire", {"request_id": request, "agent_id": "a1", "philosophy": "no such name!"},
                      wrong="a philosophy has no spaces")
        elif kind == "text":
            self.send(self.random.choice(SENT_TOPICS), {}, wrong="it is no message", data=b"{\"request_id\": ")
        elif kind == "cache":
            self.send("cache", {"event_id": self.name("e"), "op": "get", "namespace": "tool"}, wrong="a get needs a key")
        else:
            self.send("usage-record", {"agent_id": "a1", "philosophy": "wrong", "cpu_percent": -1.0}, wrong="a figure is negative")

    def burst(self):
        """Sends some events at once, and says after how many seconds the next are due. While Kafka is away it waits."""
        if self.unconfirmed > UNCONFIRMED_MOST:
            return 0.1
        size = self.draw(self.bursts)
        for _ in range(size):
            self.some_event()
        return size / self.rate * self.random.uniform(0.5, 1.5)

    # ---- reading ----

    def pump(self, seconds=0.02):
        """Reads what has come, and does what is due."""
        for message in self.consumer.consume(500, seconds):
            if message.error():
                continue
            self.take(message)
        self.producer.poll(0)
        while self.later and self.later[0][0] <= time.monotonic():
            _, _, function, arguments = heapq.heappop(self.later)
            function(*arguments)

    def take(self, message):
        topic = message.topic()[len(self.system.prefix):]
        place = {"partition": message.partition(), "offset": message.offset(), "time": message.timestamp()[1]}
        if topic in SENT_TOPICS:
            number = dict(message.headers() or []).get("n")
            if number:
                self.history.write("sent", n=int(number), **place)
            return
        data = message.value() or b""
        record = self.dead_letter(message) if topic == "dead-letter" else self.answer(topic, data)
        self.history.write("read", topic=topic, **place, bytes=digest(data), record=record)
        self.answers += topic in ("container-assignment", "cache-result")
        if topic == "container-assignment":
            self.assigned(record)
        elif topic == "cache-result":
            self.cache_events.discard(record["event_id"])

    def dead_letter(self, message):
        headers = dict(message.headers())
        return {"topic": headers["topic"].decode()[len(self.system.prefix):], "partition": int(headers["partition"]),
                "offset": int(headers["offset"]), "reason": headers["reason"].decode()}

    @staticmethod
    def answer(topic, data):
        whole = decode(topic, data)
        record = {name: whole[name] for name in KEPT[topic]}
        if topic == "cache-result":
            record["value"] = brief(whole["value"])
        return record

    def assigned(self, record):
        request = record["request_id"]
        if record["status"] == "lost" or request not in self.acquires:
            return
        self.acquires.discard(request)
        event, plan = self.plans.pop(request, (None, None))
        if record["status"] == "assigned" and plan is not None:
            self.hold(event, record["container_id"], plan)

    def hold(self, event, container, seconds):
        self.after(seconds, self.release, event, container)

    # ---- the end ----

    def owed(self):
        """What must still come before the run can end."""
        return {"acquires": len(self.acquires), "cache events": len(self.cache_events), "events to send": len(self.later),
                "events not confirmed": self.unconfirmed}

    def read_to_end(self):
        """Reads until nothing has come for a while that lay in the topics when it was called."""
        ends = {}
        for part in self.consumer.assignment():
            ends[part.topic, part.partition] = self.consumer.get_watermark_offsets(part, WAIT_LIMIT)[1]
        limit = time.monotonic() + WAIT_LIMIT
        while time.monotonic() < limit:
            self.pump(0.1)
            left = [part for part in self.consumer.position(self.consumer.assignment())
                    if max(part.offset, 0) < ends[part.topic, part.partition]]
            if not left:
                return
        raise AssertionError(f"not read to their ends: {left}")

    def write_ends(self, parts):
        """What Redis and Kafka say when all is done; parts: (topic, partition, low, high, committed)."""
        for topic, number, low, high, committed in parts:
            self.history.write("partition", topic=topic, partition=number, low=low, high=high, committed=committed)
        redis = self.system.redis.client
        for number in range((self.usage + USAGE_OF_ONE - 1) // USAGE_OF_ONE):
            said = json.loads(redis.execute_command("FCALL_RO", "wp_predict", 1, "wp:{pool}", f"usage-{self.run}-{number}"))
            self.history.write("predicted", **{name: said[name] for name in KEPT["prediction"]})
        self.history.write("leases", count=self.leased())

    def leased(self):
        stats = json.loads(self.system.redis.client.execute_command("FCALL_RO", "wp_pool_stats", 1, "wp:{pool}"))
        return stats["total"]["leased"]

    def close(self):
        self.consumer.close()
