"""What the fault tests share: a load of acquires whose answers are released at once, and what must be true of it at the end,
whatever broke in between."""
import json
import sys
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from client import Client, decode, encode  # noqa: E402
from confluent_kafka import Consumer, TopicPartition  # noqa: E402
from system import WAIT_LIMIT, Redis, System, wait_until  # noqa: E402

POOL = "wp:{pool}"
# A dead member is noticed as early as a broker allows; few containers, so that requests also wait.
OPTIONS = {"kafka.session.timeout.ms": 6000, "pool.size": 4, "pool.max_containers": 12, "pool.timeout_ms": 120000,
           "host.ttl_ms": 10000, "process.command": "exec sleep 86400"}


def chaos_system(workers=1, start=True, redis=Redis, **options):
    return System(workers=workers, start=start, redis=redis, options={**OPTIONS, **{key.replace("__", "."): value for key, value in options.items()}})


def stats(system):
    return json.loads(system.redis.client.execute_command("FCALL_RO", "wp_pool_stats", 1, POOL))


def reason(worker):
    """What /readyz says while it is 503, else nothing."""
    status, text = worker.http("/readyz")
    return text if status == 503 else ""


def wait_reason(worker, part):
    return wait_until(lambda: part in reason(worker) and reason(worker), lambda: f"/readyz says {part!r}: {worker.http('/readyz')}")


def check_away_at_start(system, stop, start, part):
    """A worker that begins while a server is away says so, and works when it is there."""
    stop()
    system.workers[0].start()
    wait_reason(system.workers[0], part)
    start()
    system.workers[0].wait_ready()
    Load(system).send(50).wait_answered().check()


class Load:
    """Its own acquires and releases, sent without waiting; pump() takes the answers and releases what they assign."""

    def __init__(self, system, philosophies=("react", "reflexion"), release=True, discard=0, **fields):
        """discard: the container of each so-many'th answer is not to be used again."""
        self.system, self.philosophies, self.fields, self.release, self.discard = system, philosophies, fields, release, discard
        self.client = Client(system)
        self.sent, self.mine, self.answers, self.lost, self.held, self.repeats = [], set(), {}, [], {}, 0
        self.failed = []
        self.client.read("container-assignment")

    def produce(self, topic, record):
        self.client.producer.produce(self.system.prefix + topic, encode(topic, record, "avro"), key=record["philosophy"],
                                     on_delivery=lambda error, _: self.failed.append(error) if error else None)

    def send(self, count):
        for _ in range(count):
            request = f"q{len(self.sent)}-{uuid.uuid4().hex[:6]}"
            philosophy = self.philosophies[len(self.sent) % len(self.philosophies)]
            self.sent.append(request)
            self.mine.add(request)
            self.produce("container-acquire", {"request_id": request, "agent_id": f"a-{request}", "philosophy": philosophy, **self.fields})
            self.client.producer.poll(0)
        return self

    @staticmethod
    def decode(message):
        return decode("container-assignment", message.value())

    def take(self, message):
        """Answers of other loads in the same system are not ours."""
        data, record = message.value(), self.decode(message)
        request = record["request_id"]
        if request not in self.mine:
            return
        if record["status"] == "lost":
            self.lost.append(record)
            self.held.pop(record["container_id"], None)
            return
        if request in self.answers:
            self.repeats += 1
            assert self.answers[request] == data, f"a second answer differs: {decode('container-assignment', self.answers[request])} {record}"
            return
        self.answers[request] = data
        if record["status"] != "assigned":
            return
        container = record["container_id"]
        assert container not in self.held, f"{container} is leased to {self.held[container]} and to {request}"
        if self.release:
            self.give_back(request, reuse=not self.discard or len(self.answers) % self.discard != 0)
        else:
            self.held[container] = request

    def give_back(self, request, reuse=True):
        record = decode("container-assignment", self.answers[request])
        self.held.pop(record["container_id"], None)
        self.produce("container-release", {"request_id": request, "philosophy": record["philosophy"],
                                           "container_id": record["container_id"], "reuse": reuse})

    def give_back_held(self):
        for request in list(self.held.values()):
            self.give_back(request)
        self.client.producer.flush(WAIT_LIMIT)

    def wait_sent(self):
        """Until the broker has everything."""
        assert not self.client.producer.flush(WAIT_LIMIT) and not self.failed, self.failed[:3]
        return self

    def pump(self):
        for message in self.client.consumer.consume(1000, 0.02):
            if not message.error():
                self.take(message)
        self.client.producer.poll(0)
        return self

    def answered(self):
        self.pump()
        return len(self.answers)

    def wait_answered(self, count=None):
        wait_until(lambda: self.answered() >= (count or len(self.sent)),
                   lambda: f"{len(self.answers)} of {count or len(self.sent)} answers; {stats(self.system)['total']}; {self.logs()}")
        return self

    def logs(self):
        return "\n".join(worker.log()[-1500:] for worker in self.system.workers if worker.process)

    def statuses(self):
        count = {}
        for data in self.answers.values():
            record = decode("container-assignment", data)
            text = record["status"] + (" " + record["reason"].split(":")[0] if record["reason"] else "")
            count[text] = count.get(text, 0) + 1
        return count

    def check(self, counters=True):
        """After the last answer: one for each, everything given back, and figures that agree with what was seen."""
        self.wait_sent()
        assert set(self.answers) == set(self.sent), set(self.sent) ^ set(self.answers)

        def settled():
            self.pump()
            total = stats(self.system)["total"]
            used = sum(host["used"] for host in stats(self.system)["hosts"].values())
            return total["leased"] == total["waiting"] == total["creating"] == 0 and used == total["available"] and total
        total = wait_until(settled, lambda: f"nothing is leased, waiting, being made or ended: {stats(self.system)}; {self.logs()}")
        if counters:
            assert total["warm_starts"] + total["cold_starts"] == self.statuses().get("assigned", 0), (total, self.statuses())
        assert not dead_letters(self.system), dead_letters(self.system)
        return self


def group_positions(system, topics):
    """(topic, partition, low, high, committed) of each partition, for the workers' group; committed is None without a commit."""
    group = Consumer({"bootstrap.servers": system.kafka.bootstrap, "group.id": system.options["kafka.group.id"]})
    try:
        parts = group.committed([TopicPartition(system.prefix + topic, number) for topic in topics
                                 for number in range(system.options["topics.partitions"])], WAIT_LIMIT)
        return [(part.topic[len(system.prefix):], part.partition, *group.get_watermark_offsets(part, WAIT_LIMIT),
                 part.offset if part.offset >= 0 else None) for part in parts]
    finally:
        group.close()


def wait_committed(system, topics=("container-acquire", "container-release")):
    """Until the workers' group has committed all that lies in the topics."""
    def left():
        return sum(high - (committed or 0) for _, _, _, high, committed in group_positions(system, topics))
    wait_until(lambda: left() == 0, lambda: f"{left()} records are not committed")


def dead_letters(system, client=None):
    """The reasons of all that went to dead-letter."""
    client = client or Client(system)
    name = system.prefix + "dead-letter"
    partitions = client.consumer.list_topics(name, WAIT_LIMIT).topics[name].partitions
    wanted = sum(client.consumer.get_watermark_offsets(TopicPartition(name, number), WAIT_LIMIT)[1] for number in partitions)
    if not wanted:
        return []
    return [dict(record.headers)["reason"].decode() for record in client.wait_all("dead-letter", count=wanted)]
