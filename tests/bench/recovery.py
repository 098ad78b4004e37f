#!/usr/bin/env python3
"""How long after a server works again, or a worker was killed, the answers come again.

usage: ./dev bench recovery [--json] [--rounds N] [NAME...]

redis_killed, redis_frozen    from Redis' first answer (after 3 s without) to the first assignment of an acquire sent meanwhile
kafka_killed, kafka_frozen    the same of Kafka: it works again when a client with nothing else to do has written a record. The workers have
                              a worker.id each, so they come back as the members that they were
kafka_killed_no_id            without: a broker that was away for longer than the session waits for its old members, over the session
                              timeout
worker_killed                 of two workers: from the kill to the last answer, of acquires sent to all partitions right after it, over
                              the session timeout
"""
import argparse, json, os, signal, statistics, subprocess, sys, time, uuid

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, "tests/e2e")]

from client import decode, encode  # noqa: E402
from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition  # noqa: E402
from system import KAFKA, System, pause, wait_until  # noqa: E402

AWAY_S, SESSION_S, PARTITIONS, ACQUIRES = 3, 6, 2, 40
QUICK = {"reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100, "log_level": 0}
TARGET_S = {"redis_killed": 1, "redis_frozen": 1, "kafka_killed": 3, "kafka_frozen": 3, "kafka_killed_no_id": 3, "worker_killed": 1}


class Load:
    """Acquires that are released as soon as they are answered. A client that reconnects quickly: its own time is not measured."""

    def __init__(self, system):
        self.system, self.waiting = system, set()
        self.producer = Producer({"bootstrap.servers": system.kafka.bootstrap, "linger.ms": 0, **QUICK})
        self.consumer = Consumer({"bootstrap.servers": system.kafka.bootstrap, "group.id": uuid.uuid4().hex, "fetch.wait.max.ms": 10,
                                  "enable.auto.commit": False, **QUICK})
        self.consumer.assign([TopicPartition(system.prefix + "container-assignment", number, OFFSET_END) for number in range(PARTITIONS)])
        self.consumer.poll(1)

    def produce(self, topic, record, partition=-1):
        self.producer.produce(self.system.prefix + topic, encode(topic, record, "avro"), partition=partition)
        self.producer.poll(0)

    def acquire(self, partition):
        request = uuid.uuid4().hex
        self.waiting.add(request)
        self.produce("container-acquire", {"request_id": request, "agent_id": request, "philosophy": "react", "timeout_ms": 300000}, partition)

    def take(self):
        """How many were answered."""
        count = 0
        for message in self.consumer.consume(100, 0.01):
            if message.error():
                continue
            answer = decode("container-assignment", message.value())
            if answer["request_id"] in self.waiting:
                self.waiting.discard(answer["request_id"])
                count += 1
                self.produce("container-release", {"request_id": answer["request_id"], "philosophy": "react",
                                                   "container_id": answer["container_id"]})
        self.producer.poll(0)
        return count

    def finish(self):
        wait_until(lambda: (self.take() or True) and not self.waiting, lambda: f"{len(self.waiting)} acquires are not answered")


def send(load, count):
    for number in range(count):
        load.acquire(number % PARTITIONS)


def settle(system, load):
    """Everybody works, and nothing is under way."""
    for worker in system.workers:
        worker.wait_ready()
    send(load, 2 * PARTITIONS)
    load.finish()


def first_answer(load, since):
    wait_until(load.take, "an answer")
    took = time.monotonic() - since
    load.finish()
    return took


class Probe:
    """A client with nothing else to do: it says when Kafka takes a record."""

    def __init__(self, system):
        self.producer = Producer({"bootstrap.servers": system.kafka.bootstrap, "linger.ms": 0, **QUICK})
        self.topic = system.prefix + "metrics"
        self.write()

    def write(self):
        done = []
        self.producer.produce(self.topic, b"{}", on_delivery=lambda error, _: done.append(error))
        wait_until(lambda: self.producer.poll(0.005) or done, "Kafka takes a record")


def redis_outage(stop, back):
    def measure(system, load):
        stop(system.redis)
        send(load, ACQUIRES)
        time.sleep(AWAY_S)
        back(system.redis)
        wait_until(system.redis.answers, "Redis answers")
        return first_answer(load, time.monotonic())
    return measure


def kafka_outage(stop, back):
    def measure(system, load):
        probe = Probe(system)
        stop(system.kafka)
        send(load, ACQUIRES)
        time.sleep(AWAY_S)
        back(system.kafka)
        probe.write()
        return first_answer(load, time.monotonic())
    return measure


def kafka_pid(kafka):
    with open(os.path.join(kafka.dir, "pid"), encoding="ascii") as file:
        return int(file.read())


def kill_kafka(kafka):
    os.kill(kafka_pid(kafka), signal.SIGKILL)
    subprocess.run([str(KAFKA), "stop", kafka.dir], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def kafka_killed_no_id(system, load):
    return max(KINDS["kafka_killed"](system, load) - SESSION_S, 0)


def worker_killed(system, load):
    victim = system.workers[0]
    victim.kill()
    since = time.monotonic()
    send(load, ACQUIRES)
    load.finish()
    took = time.monotonic() - since - SESSION_S
    victim.start().wait_ready()
    return max(took, 0)


KINDS = {
    "redis_killed": redis_outage(lambda server: server.kill(), lambda server: server.start()),
    "redis_frozen": redis_outage(lambda server: pause(server.process.pid), lambda server: server.process.send_signal(signal.SIGCONT)),
    "kafka_killed": kafka_outage(kill_kafka, lambda kafka: kafka.start()),
    "kafka_frozen": kafka_outage(lambda kafka: pause(kafka_pid(kafka)), lambda kafka: os.kill(kafka_pid(kafka), signal.SIGCONT)),
    "kafka_killed_no_id": kafka_killed_no_id,
    "worker_killed": worker_killed,
}
WITHOUT_ID = ("kafka_killed_no_id", "worker_killed")  # a killed member with an id is waited for in any case


def measure(name, rounds):
    seconds = []
    with System(workers=2, start=False, options={"kafka.session.timeout.ms": 1000 * SESSION_S, "pool.size": ACQUIRES, "pool.max_containers": ACQUIRES,
                                    "pool.prewarm": f"react:{ACQUIRES}", "pool.min_idle": 0, "host.ttl_ms": 10000, "process.command": "exec sleep 86400"}) as system:
        for worker in system.workers:
            worker.options["worker.id"] = "" if name in WITHOUT_ID else worker.name
        system.start()
        load = Load(system)
        for _ in range(rounds):
            settle(system, load)
            seconds.append(round(KINDS[name](system, load), 3))
            print(f"{name}: {seconds[-1]} s", file=sys.stderr, flush=True)
    return {"median_s": round(statistics.median(seconds), 3), "worst_s": max(seconds), "target_s": TARGET_S[name], "rounds": seconds}


def main():
    parser = argparse.ArgumentParser(prog="./dev bench recovery")
    parser.add_argument("--json", action="store_true", help="the last line is one object: all figures and rounds")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(KINDS)}")
    options = parser.parse_args([word for word in sys.argv[1:] if word != "recovery"])
    for name in options.names:
        if name not in KINDS:
            raise SystemExit(f"bench recovery: no figure named {name}; there are {', '.join(KINDS)}")
    results = {name: measure(name, options.rounds) for name in options.names or KINDS}
    for name, result in results.items():
        print(f"{name:18}  median {result['median_s']:6.3f} s  worst {result['worst_s']:6.3f} s  target {result['target_s']} s")
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
