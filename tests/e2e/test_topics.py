"""What each input topic promises comes out, in each wire format, with the key and the trace of what asked for it."""
import base64
import itertools
import time
import unittest

from confluent_kafka.admin import AdminClient, ConfigResource

from client import Client
from system import CONFLUENT_IDS, WAIT_LIMIT, System, wait_until

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACED = {"key": b"the key", "headers": {"traceparent": TRACE, "other": "stays behind"}}


class EveryTopic:
    """Its subclasses say the wire format; each has one system."""
    wire = None

    @classmethod
    def setUpClass(cls):
        cls.system = System(wire=cls.wire, options={"predictor.interval_ms": 1500, "metrics.interval": 1, "memory.interval": 1,
                                                    "pool.max_containers": 20})
        cls.addClassCleanup(cls.system.close)
        cls.client = Client(cls.system, cls.wire)

    def assert_carried(self, record, key=b"the key"):
        self.assertEqual((record.wire, record.key), (self.wire, key))
        self.assertEqual(record.headers, {"traceparent": TRACE.encode()})

    def answer(self, request_id, status="assigned"):
        return self.client.wait("container-assignment", lambda r: r["request_id"] == request_id and r["status"] == status)

    def acquire(self, request_id, philosophy="react", **how):
        self.client.send("container-acquire", {"request_id": request_id, "agent_id": "a", "philosophy": philosophy}, **how)
        return self.answer(request_id)

    def release(self, request_id, philosophy, **fields):
        self.client.send("container-release", {"request_id": request_id, "philosophy": philosophy, **fields})

    # --- containers ---

    def test_acquire_and_release(self):
        before = time.time() * 1000
        cold = self.acquire("ar-1", "acquired", **TRACED)
        self.assert_carried(cold)
        self.assertEqual((cold["status"], cold["warm_start"], cold["host"], cold.get("reason")), ("assigned", False, "w1", None))
        self.assertGreaterEqual(cold["startup_time_ms"], cold["wait_ms"])
        self.assertGreater(cold["wait_ms"], 0)
        self.assertGreater(cold["lease_epoch"], 0)
        self.assertAlmostEqual(cold["lease_expires_at"], before + 3600000, delta=30000)
        self.assertEqual(cold["limits"], {"cpu_percent": 50, "memory_mb": 256})
        self.assertEqual(cold["requirements"], {"cpu_percent": 50, "memory_mb": 256, "execution_time_seconds": 60})
        self.assertEqual((cold["confidence"], cold["basis"]), (0, "default"))
        self.release("ar-1", "acquired")
        self.system.wait_pool("acquired", available=1, leased=0)
        warm = self.acquire("ar-2", "acquired")
        self.assertEqual((warm["container_id"], warm["warm_start"], warm["wait_ms"]), (cold["container_id"], True, 0))
        self.assertGreater(warm["lease_epoch"], cold["lease_epoch"])
        self.assertEqual((warm.key, warm.headers), (b"ar-2", {}))
        self.release("ar-2", "acquired", container_id=warm["container_id"], reuse=False)
        self.system.wait_pool("acquired", available=0, leased=0)

    def test_the_same_request_gets_the_same_answer(self):
        first = self.acquire("same", "twice", **TRACED)
        self.client.send("container-acquire", {"request_id": "same", "agent_id": "b", "philosophy": "twice"})
        answers = self.client.wait_all("container-assignment", lambda r: r["request_id"] == "same", count=2)
        self.assertEqual(answers[0].raw, answers[1].raw)
        self.assertEqual(first["agent_id"], "a")

    def test_a_command_goes_to_the_host_with_the_key_of_its_name(self):
        answer = self.acquire("co-1", "commanded", **TRACED)
        command = self.client.wait("container-command", lambda r: r["container_id"] == answer["container_id"])
        self.assertEqual((command["op"], command["host"], command["philosophy"]), ("create", "w1", "commanded"))
        self.assertEqual((command.wire, command.key), (self.wire, b"w1"))

    def test_a_container_that_died_is_told_as_lost_and_is_no_second_answer(self):
        answer = self.acquire("ev-1", "died", key=b"the key of the acquire")
        self.client.send("container-event", {"container_id": answer["container_id"], "philosophy": "died", "host": "w1",
                                             "state": "died", "detail": "exit status 1"}, **TRACED)
        lost = self.answer("ev-1", "lost")
        self.assertEqual((lost["container_id"], lost["lease_epoch"]), (answer["container_id"], answer["lease_epoch"]))
        self.assertIn("died", lost["reason"])
        self.assertEqual(lost.key, b"the key of the acquire")
        self.system.wait_pool("died", leased=0)

    # --- pool-control ---

    def control(self, philosophy, op, count=None, control_id=None):
        event = {"philosophy": philosophy, "op": op}
        event.update({"count": count} if count is not None else {})
        event.update({"control_id": control_id} if control_id else {})
        self.client.send("pool-control", event)

    def test_pre_warm_means_at_least_and_never_past_the_size(self):
        self.control("pre", "pre_warm", 3)
        self.system.wait_pool("pre", available=3, creating=0)
        self.control("pre", "pre_warm", 2)
        self.control("pre", "pre_warm", 50, "pre-50")
        self.system.wait_pool("pre", available=10, creating=0)
        self.assertTrue(self.acquire("pre-r", "pre")["warm_start"])

    def test_resize_wins_over_the_configuration(self):
        self.control("sized", "pre_warm", 5)
        self.system.wait_pool("sized", available=5)
        self.control("sized", "resize", 2)
        self.system.wait_pool("sized", available=2, pool_size=2)
        self.control("sized", "pre_warm", 5)
        self.control("sized", "resize", 4)
        self.system.wait_pool("sized", pool_size=4, available=2)
        self.control("sized", "pre_warm", 5)
        self.system.wait_pool("sized", available=4)

    def test_expire_destroys_the_idle_and_refills(self):
        self.control("old", "pre_warm", 2)
        self.system.wait_pool("old", available=2)
        self.control("old", "expire", control_id="expire-old")
        destroyed = self.client.wait_all("container-command", lambda r: r["op"] == "destroy" and r["philosophy"] == "old", 2)
        self.system.wait_pool("old", available=2, creating=0)
        answer = self.acquire("old-r", "old")
        self.assertNotIn(answer["container_id"], [command["container_id"] for command in destroyed])

    def test_drain_refuses_until_the_next_resize(self):
        held = self.acquire("dr-1", "drained")
        self.control("drained", "pre_warm", 2)
        self.system.wait_pool("drained", available=2)
        self.control("drained", "drain")
        self.system.wait_pool("drained", available=0, draining=True, leased=1)
        self.client.send("container-acquire", {"request_id": "dr-2", "agent_id": "a", "philosophy": "drained"}, **TRACED)
        refused = self.answer("dr-2", "rejected")
        self.assert_carried(refused)
        self.assertRegex(refused["reason"], "^draining: ")
        self.assertGreater(refused["retry_after_ms"], 0)
        self.assertIsNone(refused.get("container_id"))
        self.release("dr-1", "drained", container_id=held["container_id"])
        self.system.wait_pool("drained", available=0, leased=0)
        self.control("drained", "resize", 3)
        self.system.wait_pool("drained", draining=False)  # topics are not ordered among each other
        self.assertEqual(self.acquire("dr-3", "drained")["status"], "assigned")

    # --- cache ---

    def cache(self, event_id, op, how=None, **fields):
        self.client.send("cache", {"event_id": event_id, "op": op, **fields}, **(how or {}))
        return self.client.wait("cache-result", lambda r: r["event_id"] == event_id)

    def value_in(self, data):
        if self.wire != "json":
            return {"value": data}
        return {"value_base64": base64.b64encode(data).decode()}

    def value_of(self, result):
        if "value_base64" in result:
            return base64.b64decode(result["value_base64"])
        return result["value"].encode() if self.wire == "json" else result["value"]

    def test_what_is_set_is_got_until_it_is_invalidated(self):
        done = self.cache("c-1", "set", TRACED, namespace="tool", key="weather", **self.value_in(b'{"a": 1}'))
        self.assert_carried(done)
        self.assertEqual((done["op"], done["namespace"], done["key"], done["hit"]), ("set", "tool", "weather", False))
        got = self.cache("c-2", "get", TRACED, namespace="tool", key="weather")
        self.assert_carried(got)
        self.assertTrue(got["hit"])
        self.assertEqual(self.value_of(got), b'{"a": 1}')
        self.assertTrue(self.cache("c-3", "invalidate", namespace="tool", key="weather")["hit"])
        gone = self.cache("c-4", "get", namespace="tool", key="weather")
        self.assertFalse(gone["hit"])
        self.assertIsNone(gone.get("value"))
        self.assertEqual((gone.key, gone.headers), (b"c-4", {}))

    def test_namespaces_have_their_own_ttl_and_keys(self):
        for namespace, ttl in (("tool", 600), ("pattern", 300), ("mine", 300)):
            set_ = self.cache(f"ttl-{namespace}", "set", namespace=namespace, key="ttl", **self.value_in(namespace.encode()))
            self.assertEqual(set_["ttl_seconds"], ttl)
        got = self.cache("ttl-get", "get", namespace="tool", key="ttl")
        self.assertEqual(self.value_of(got), b"tool")
        self.assertLessEqual(got["ttl_seconds"], 600)
        self.assertGreater(got["ttl_seconds"], 500)
        own = self.cache("ttl-own", "set", namespace="tool", key="ttl", ttl_seconds=17, **self.value_in(b"x"))
        self.assertEqual(own["ttl_seconds"], 17)

    def test_an_entry_expires(self):
        self.cache("x-1", "set", namespace="mine", key="now", ttl_seconds=0, **self.value_in(b"x"))
        self.assertFalse(self.cache("x-2", "get", namespace="mine", key="now")["hit"])
        stored = self.cache("x-3", "set", namespace="mine", key="soon", ttl_seconds=1, **self.value_in(b"x"))
        self.assertEqual(stored["ttl_seconds"], 1)
        numbers = itertools.count()
        wait_until(lambda: not self.cache(f"x-4-{next(numbers)}", "get", namespace="mine", key="soon")["hit"], "it expires")

    def test_any_bytes_are_a_value(self):
        for number, data in enumerate((b"", b"\x00", bytes(range(256)), "żółw 🐢".encode(), b"x" * 100000)):
            self.cache(f"b-set-{number}", "set", namespace="bytes", key=str(number), **self.value_in(data))
            got = self.cache(f"b-get-{number}", "get", namespace="bytes", key=str(number))
            self.assertTrue(got["hit"], data[:20])
            self.assertEqual(self.value_of(got), data)

    def test_clear_takes_a_namespace_or_all(self):
        for number, namespace in enumerate(("one", "one", "two")):
            self.cache(f"cl-{number}", "set", namespace=namespace, key=str(number), **self.value_in(b"x"))
        cleared = self.cache("cl-one", "clear", namespace="one")
        self.assertEqual((cleared["hit"], cleared["count"], cleared["namespace"]), (True, 2, "one"))
        self.assertTrue(self.cache("cl-get", "get", namespace="two", key="2")["hit"])
        everything = self.cache("cl-all", "clear")
        self.assertGreaterEqual(everything["count"], 1)
        self.assertEqual(everything["namespace"], "")
        self.assertFalse(self.cache("cl-get-2", "get", namespace="two", key="2")["hit"])

    def test_resize_evicts_the_least_recently_used(self):
        self.cache("re-0", "clear")
        for key in "abcd":
            self.cache(f"re-{key}", "set", namespace="lru", key=key, **self.value_in(b"x"))
        self.cache("re-get", "get", namespace="lru", key="a")
        resized = self.cache("re-size", "resize", count=2)
        self.assertEqual(resized["count"], 2)
        left = [key for key in "abcd" if self.cache(f"re-left-{key}", "get", namespace="lru", key=key)["hit"]]
        self.assertEqual(left, ["a", "d"])
        self.assertEqual(self.cache("re-back", "resize", count=1000)["count"], 1000)

    # --- usage and prediction ---

    def use(self, philosophy, record_id=None, cpu=45.0, memory=180.0, seconds=25.0):
        event = {"agent_id": "a", "philosophy": philosophy, "cpu_percent": cpu, "memory_usage_mb": memory, "execution_time": seconds}
        self.client.send("usage-record", {name: value for name, value in {**event, "record_id": record_id}.items() if value is not None})

    def test_usage_is_predicted_from(self):
        self.use("learned", "u-1")
        said = self.client.wait("prediction", lambda r: r["philosophy"] == "learned" and r["samples"] == 1)
        self.assertEqual(said["requirements"], {"cpu_percent": 54, "memory_mb": 216, "execution_time_seconds": 30})
        self.assertEqual(said["recommended"], {"cpu_percent": 50, "memory_mb": 256, "execution_time_seconds": 60})
        self.assertEqual((said["confidence"], said["basis"]), (0.01, "low"))
        self.assertEqual((said.wire, said.key), (self.wire, b"learned"))
        answer = self.acquire("u-r", "learned")
        self.assertEqual(answer["requirements"], said["requirements"])
        self.assertEqual(answer["limits"], {"cpu_percent": 50, "memory_mb": 256})

    def test_a_record_counts_once_and_a_missing_figure_is_missing(self):
        self.use("counted", "once", cpu=10.0, memory=None, seconds=None)
        self.use("counted", "once", cpu=10.0, memory=None, seconds=None)
        self.use("counted", None, cpu=20.0, memory=100.0, seconds=None)
        said = self.client.wait("prediction", lambda r: r["philosophy"] == "counted" and r["samples"] == 2)
        self.assertEqual(said["requirements"], {"cpu_percent": 18, "memory_mb": 120, "execution_time_seconds": 60})

    def test_predictions_are_published_at_most_once_an_interval(self):
        """1.5 s here: many records are one prediction at once and one an interval, not one each."""
        began = time.monotonic()
        for number in range(50):
            self.client.producer.poll(0)
            self.use("often", f"often-{number}")
        last = self.client.wait("prediction", lambda r: r["philosophy"] == "often" and r["samples"] == 50)
        said = [record for record in self.client.read("prediction") if record["philosophy"] == "often"]
        self.assertLessEqual(len(said), 2 + (time.monotonic() - began) / 1.5, said)
        self.assertEqual((last["basis"], last["confidence"]), ("medium", 0.5))
        self.assertEqual(last["recommended"], {"cpu_percent": 67.5, "memory_mb": 270, "execution_time_seconds": 37.5})

    # --- metrics ---

    def test_the_metrics_record_has_the_documented_names(self):
        self.acquire("m-1", "measured")
        self.cache("m-2", "get", namespace="tool", key="missing")
        record = self.client.wait("metrics", lambda r: "measured" in r["pool_stats"]["pools"])
        self.assertEqual(record.wire, self.wire)
        for name in ("cache_hits", "cache_misses", "warm_starts", "cold_starts", "gc_collections", "memory_released_mb"):
            self.assertIn(name, record["optimization_metrics"])
        for name in ("size", "max_size", "hits", "misses", "hit_rate_percent"):
            self.assertIn(name, record["cache_stats"])
        for name in ("pool_size", "warm_start_enabled", "pools"):
            self.assertIn(name, record["pool_stats"])
        for name in ("available", "utilization_percent", "leased", "pool_size", "warm_starts", "cold_starts"):
            self.assertIn(name, record["pool_stats"]["pools"]["measured"])
        self.assertGreater(record["tracked_agents"], 0)
        self.assertGreater(record["worker"]["assigned"], 0)
        self.assertAlmostEqual(record["timestamp_ms"], time.time() * 1000, delta=120000)


class AvroSingleObject(EveryTopic, unittest.TestCase):
    wire = "avro"


class ConfluentFraming(EveryTopic, unittest.TestCase):
    wire = "confluent"


class Json(EveryTopic, unittest.TestCase):
    wire = "json"

    def test_any_json_value_is_a_value_as_the_text_that_was_sent(self):
        for number, (value, text) in enumerate((({"b": [1, 2]}, '{"b": [1, 2]}'), (7, "7"), (True, "true"), ("", ""))):
            self.cache(f"j-{number}", "set", namespace="json", key=str(number), value=value)
            self.assertEqual(self.cache(f"j-get-{number}", "get", namespace="json", key=str(number))["value"], text)


class Formats(unittest.TestCase):
    def test_each_format_is_read_beside_the_others_and_one_is_written(self):
        with System(wire="avro", options={"wire.read": "avro,json"}) as system:
            client = Client(system)
            self.assertEqual(client.acquire("f-1", wire="avro").wire, "avro")
            self.assertEqual(client.acquire("f-2", wire="json").wire, "avro")
            client.send("cache", {"event_id": "f-3", "op": "clear"}, wire="confluent")
            letter = client.wait("dead-letter")
            self.assertIn("wire.read", letter.headers["reason"].decode())
            client.send("cache", {"event_id": "f-4", "op": "clear"}, wire="json")
            client.wait("cache-result", lambda r: r["event_id"] == "f-4")
            self.assertEqual(len(client.read("cache-result")), 1)


class TopicsAsConfigured(unittest.TestCase):
    def test_what_is_missing_is_made_with_its_configuration(self):
        with System(options={"topics.partitions": 3}) as system:
            admin = AdminClient({"bootstrap.servers": system.kafka.bootstrap})
            made = {name: topic for name, topic in admin.list_topics(timeout=WAIT_LIMIT).topics.items() if name.startswith(system.prefix)}
            self.assertEqual({name[len(system.prefix):] for name in made}, set(CONFLUENT_IDS) | {"dead-letter"})
            self.assertEqual({len(topic.partitions) for topic in made.values()}, {3})
            asked = {name: ConfigResource(ConfigResource.Type.TOPIC, name) for name in made}
            answers = admin.describe_configs(list(asked.values()))
            config = {name[len(system.prefix):]: answers[resource].result(WAIT_LIMIT) for name, resource in asked.items()}
            timed = {name for name, of in config.items() if of["message.timestamp.type"].value == "LogAppendTime"}
            self.assertEqual(timed, {"container-acquire", "container-release", "usage-record", "cache", "pool-control", "container-event", "metrics"})
            self.assertEqual({name for name, of in config.items() if of["cleanup.policy"].value == "compact"}, {"prediction"})


class FirstStart(unittest.TestCase):
    """Topics are made, their partitions get leaders, a group is joined: every start waits for that."""

    def test_it_warns_of_nothing_that_passes_by_itself(self):
        with System() as system:
            self.assertEqual([line for line in system.workers[0].log().splitlines() if " level=info " not in line], [])


if __name__ == "__main__":
    unittest.main()
