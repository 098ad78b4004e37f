"""The manifests of packaging/kubernetes/autoscaling: valid by KEDA's and Kubernetes' schemas, and their queries say in a real Prometheus
what a real worker knows. KEDA's own figure (committed offsets against the topics' ends) is computed as KEDA does it."""
import copy
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, TopicPartition

from client import Client
from prometheus import Prometheus
from system import ROOT, WAIT_LIMIT, System, pause, wait_until

SKIPPED = 77
FOLDER = ROOT / "packaging" / "kubernetes" / "autoscaling"
KEDA = "github.com/kedacore/keda/v2@v2.16.1"
CACHE = Path(os.environ.get("TEST_CACHE", ROOT / ".cache"))

try:
    import jsonschema
    import kubernetes_validate
    import yaml
except ImportError as error:
    print(f"skipped: {error.name} is not there: ./dev installs it (tests/e2e/requirements.txt)", file=sys.stderr)
    sys.exit(SKIPPED)
if any(shutil.which(tool) is None for tool in ("go", "prometheus")):
    print("skipped: these tests need go (for KEDA's schema) and prometheus: ./dev test installs golang-go and prometheus", file=sys.stderr)
    sys.exit(SKIPPED)


def manifest(name):
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))


def documented(name):
    """A query of docs/autoscaling.md, by the word before it."""
    return re.search(rf"^{name}: +(\S.*)$", (ROOT / "docs" / "autoscaling.md").read_text(encoding="utf-8"), re.M)[1]


def default_of(key):
    row = re.search(rf"^\| `{re.escape(key)}` \| `([^`]*)`", (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8"), re.M)
    return row[1]


def closed(schema):
    """The same schema, where a property that it does not name is an error."""
    if isinstance(schema, dict):
        schema = {name: closed(part) for name, part in schema.items()}
        if "properties" in schema and isinstance(schema.get("type"), str) and "x-kubernetes-preserve-unknown-fields" not in schema:
            schema.setdefault("additionalProperties", False)
    elif isinstance(schema, list):
        schema = [closed(part) for part in schema]
    return schema


BEHIND, SHARE, WAITING, FULL = (documented(name) for name in ("behind", "share", "waiting", "full"))


class Keda(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-modcacherw", "GOPATH": str(CACHE / "go"), "GOMODCACHE": str(CACHE / "go" / "mod")}
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(["go", "mod", "download", "-json", KEDA], cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise AssertionError(f"KEDA's schema could not be fetched: {done.stdout}{done.stderr}")
        cls.source = Path(json.loads(done.stdout)["Dir"])
        crd = yaml.safe_load((cls.source / "config/crd/bases/keda.sh_scaledobjects.yaml").read_text(encoding="utf-8"))
        cls.schema = closed(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
        cls.schema["properties"]["metadata"] = {"type": "object"}
        cls.scaled = manifest("keda")

    def test_it_is_a_scaled_object_by_kedas_own_schema(self):
        jsonschema.validate(self.scaled, self.schema)
        for path, value in ((("spec", "maxReplicaCount"), "six"), (("spec", "maxReplicas"), 6), (("spec", "triggers"), [{"type": "kafka"}])):
            wrong = copy.deepcopy(self.scaled)
            wrong[path[0]][path[1]] = value
            self.assertRaises(jsonschema.ValidationError, jsonschema.validate, wrong, self.schema)

    def test_its_triggers_say_what_kedas_scalers_read(self):
        sources = {"kafka": "kafka_scaler.go", "cpu": "cpu_memory_scaler.go"}
        for trigger in self.scaled["spec"]["triggers"]:
            text = (self.source / "pkg/scalers" / sources[trigger["type"]]).read_text(encoding="utf-8")
            for name in trigger["metadata"]:
                self.assertIn(f'"{name}"' if trigger["type"] == "kafka" else name, text, trigger)

    def test_it_fits_the_defaults_of_warmpool(self):
        partitions = int(default_of("topics.partitions"))
        self.assertEqual(self.scaled["spec"]["maxReplicaCount"], partitions)
        self.assertEqual(manifest("hpa")["spec"]["maxReplicas"], partitions)
        group = re.search(r"group\.id=(\S+?)[,`]", default_of("kafka.PROPERTY") + "`")[1]
        topics = {path.stem for path in (ROOT / "schemas").glob("*.avsc")}
        kafka = [trigger["metadata"] for trigger in self.scaled["spec"]["triggers"] if trigger["type"] == "kafka"]
        for trigger in kafka:
            self.assertEqual(trigger["consumerGroup"], group)
            self.assertIn(trigger["topic"], topics)
        named = re.search(r'topic=~"([^"]+)"', manifest("prometheus-adapter")["externalRules"][0]["metricsQuery"])[1]
        self.assertEqual(sorted(named.split("|")), sorted(trigger["topic"] for trigger in kafka))
        self.assertEqual({trigger["lagThreshold"] for trigger in kafka}, {manifest("hpa")["spec"]["metrics"][0]["external"]["target"]["averageValue"]})


class Kubernetes(unittest.TestCase):
    def test_the_autoscaler_is_one_by_kubernetes_schema(self):
        hpa = manifest("hpa")
        kubernetes_validate.validate(hpa, "1.31", strict=True)
        hpa["spec"]["maxReplica"] = 3
        with self.assertRaises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(hpa, "1.31", strict=True)

    def test_the_adapters_metric_is_the_autoscalers(self):
        rule = manifest("prometheus-adapter")["externalRules"][0]
        self.assertEqual(rule["name"]["as"], manifest("hpa")["spec"]["metrics"][0]["external"]["metric"]["name"])


class Queries(unittest.TestCase):
    """One worker with a small window, and containers for one philosophy of which there may be two."""
    TAKEN = 8  # worker.window: events that a worker takes of a partition before the first of them is finished

    @classmethod
    def setUpClass(cls):
        cls.system = System(options={"worker.window": cls.TAKEN, "worker.batch": cls.TAKEN, "topics.partitions": 1, "pool.max_containers": 2, "pool.size": 2, "host.capacity": 2,
                                     "redis.timeout_ms": 600000})
        cls.addClassCleanup(cls.system.close)
        cls.worker = cls.system.workers[0]
        cls.client = Client(cls.system)
        cls.prometheus = Prometheus(cls.system.dir, f"127.0.0.1:{cls.worker.port()}")
        cls.addClassCleanup(cls.prometheus.close)
        rule = manifest("prometheus-adapter")["externalRules"][0]
        cls.behind = rule["metricsQuery"].replace("<<.Series>>", rule["seriesQuery"]).replace("<<.LabelMatchers>>", 'job="warmpool"')

    def figure(self, expression):
        """The one figure; None when there is none."""
        found = self.prometheus.query(expression).get("data", {}).get("result", [])
        self.assertLessEqual(len(found), 1, found)
        return float(found[0]["value"][1]) if found else None

    def becomes(self, expression, fits, what):
        wait_until(lambda: (value := self.figure(expression)) is not None and fits(value),
                   lambda: f"{what}: {self.figure(expression)} of {expression}")

    def kedas_lag(self, topic):
        """What the group has not committed, as KEDA's Kafka scaler counts it; None while the topic has no leader."""
        name = self.system.prefix + topic
        consumer = Consumer({"bootstrap.servers": self.system.kafka.bootstrap, "group.id": self.system.options["kafka.group.id"], "log_level": 0})
        try:
            committed = consumer.committed([TopicPartition(name, 0)], WAIT_LIMIT)[0].offset
            return consumer.get_watermark_offsets(TopicPartition(name, 0), WAIT_LIMIT)[1] - max(committed, 0)
        except KafkaException:
            return None
        finally:
            consumer.close()

    def keda_sees(self, topic, wanted):
        wait_until(lambda: self.kedas_lag(topic) == wanted, lambda: f"{wanted} are not committed: {self.kedas_lag(topic)}")

    def send_gets(self, topic, count):
        for number in range(count):
            event = {"event_id": f"{self.id()}-{number}", "op": "get", "namespace": "tool", "key": "k"}
            self.client.producer.produce(self.system.prefix + topic, json.dumps(event).encode())
        self.client.producer.flush(WAIT_LIMIT)

    def test_1_at_rest_nothing_is_asked_for(self):
        self.client.acquire("first", wire="json")  # the figures of a pool are there once it is
        self.client.send("container-release", {"request_id": "first", "philosophy": "react", "reuse": False}, wire="json")
        self.system.wait_pool("react", leased=0, available=0)
        for name in (self.behind, BEHIND, WAITING, FULL):
            self.becomes(name, lambda value: value == 0, "at rest")
        self.keda_sees("cache", 0)
        self.becomes(SHARE, lambda value: 0 < value < 1, "a worker with nothing to do")

    def test_2_a_backlog_is_seen_less_what_the_worker_has_taken(self):
        """The committed lag is all that is not finished; the worker's own figure leaves out what it took (worker.window a partition)."""
        pause(self.system.redis.process.pid)
        try:
            self.send_gets("cache", 200)
            self.becomes(self.behind, lambda value: value == 200 - self.TAKEN, "the backlog")
            self.becomes(BEHIND, lambda value: value == 200 - self.TAKEN, "the backlog")
            self.keda_sees("cache", 200)
        finally:
            os.kill(self.system.redis.process.pid, signal.SIGCONT)
        self.becomes(self.behind, lambda value: value == 0, "it is worked off")
        self.keda_sees("cache", 0)

    def test_3_requests_that_wait_for_containers_are_no_backlog(self):
        for number in range(5):
            self.client.send("container-acquire", {"request_id": f"w-{number}", "agent_id": "a", "philosophy": "react"}, wire="json")
        self.system.wait_pool("react", leased=2, waiting=3)
        self.becomes(WAITING, lambda value: value == 3, "those that wait")
        self.becomes(FULL, lambda value: value == 1, "the host is full")
        self.becomes(self.behind, lambda value: value == 0, "more workers would not help")
        for number in range(5):
            self.client.send("container-release", {"request_id": f"w-{number}", "philosophy": "react", "reuse": False}, wire="json")
        self.becomes(WAITING, lambda value: value == 0, "none waits")

    def test_4_without_a_worker_only_kafka_knows_of_the_backlog(self):
        self.worker.kill()
        self.send_gets("cache", 50)
        wait_until(lambda: self.figure(self.behind) is None, lambda: f"the figure is gone: {self.figure(self.behind)}")
        self.keda_sees("cache", 50)


if __name__ == "__main__":
    unittest.main()
