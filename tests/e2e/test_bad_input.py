"""What cannot be handled goes to dead-letter, as it came and with the reason, and the stream goes on."""
import json
import struct
import unittest

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from client import FINGERPRINTS, Client, encode
from system import CONFLUENT_IDS, WAIT_LIMIT, System

AVRO = b"\xc3\x01"
NEGATIVE = b"\x01"  # -1 as a zigzag varint
HUGE = b"\x80\x80\x80\x80\x08"  # 1 GiB


def avro(topic, datum):
    return AVRO + FINGERPRINTS[topic] + datum


def text(value):
    return bytes([2 * len(value)]) + value  # of less than 64 bytes


class BadInput(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.system = System(options={"topics.partitions": 1, "cache.max_value_bytes": 200000, "deadletter.payload": "true"})
        cls.addClassCleanup(cls.system.close)
        cls.client = Client(cls.system)
        cls.sent = 0

    def good(self, topic):
        """An event that is answered, sent after a bad one: on one partition, so it waits behind that."""
        BadInput.sent += 1
        name = f"good-{self.sent}"
        if topic == "cache":
            self.client.send("cache", {"event_id": name, "op": "get", "key": "k"})
            self.client.wait("cache-result", lambda r: r["event_id"] == name)
        elif topic == "usage-record":
            self.client.send("usage-record", {"agent_id": "a", "philosophy": name, "cpu_percent": 1.0})
            self.client.wait("prediction", lambda r: r["philosophy"] == name)
        elif topic == "container-release":
            self.client.acquire(name, "goods")
            self.client.send("container-release", {"request_id": name, "philosophy": "goods", "reuse": False})
            self.client.send("container-release", {"request_id": name + "-unknown", "philosophy": "goods"})
            self.client.wait("dead-letter", lambda r: (name + "-unknown").encode() in r.raw)
        elif topic == "container-acquire":
            self.assertEqual(self.client.acquire(name, "goods")["status"], "assigned")
            self.client.send("container-release", {"request_id": name, "philosophy": "goods"})
        elif topic == "pool-control":
            self.client.send("pool-control", {"philosophy": name, "op": "pre_warm", "count": 1})
            self.client.wait("container-command", lambda r: r["philosophy"] == name)
        else:
            answer = self.client.acquire(name, "goods")
            self.client.send("container-event", {"container_id": answer["container_id"], "philosophy": "goods", "host": "w1",
                                                 "state": "died"})
            self.client.wait("container-assignment", lambda r: r["request_id"] == name and r["status"] == "lost")

    def letters(self, data):
        return [record for record in self.client.read("dead-letter") if record.raw == data]

    def refused(self, topic, data, reason, key=b"whose", headers=None):
        before = len(self.letters(data))
        self.client.send_raw(topic, data, key=key, headers={"traceparent": "00-1-2-03", **(headers or {})})
        self.good(topic)
        self.client.wait("dead-letter", lambda _: len(self.letters(data)) > before)
        letter = self.letters(data)[-1]
        self.assertEqual(letter.key, key)
        said = {name: value.decode() for name, value in letter.headers.items()}
        self.assertEqual((said["topic"], said["partition"], said["attempts"]), (self.system.prefix + topic, "0", "1"))
        self.assertEqual(said["traceparent"], "00-1-2-03")
        original = self.client.wait(topic, lambda r: r.raw == data and r.offset == int(said["offset"]))
        self.assertEqual(original.key, key)
        self.assertRegex(said["reason"], reason)
        return letter

    def refused_json(self, topic, event, reason):
        return self.refused(topic, json.dumps(event).encode(), reason)

    # --- bytes that are no event ---

    def test_bytes_of_no_format(self):
        for data, reason in ((b"", "empty"), (b"\x07\x00\x01", "first byte 07"), (b"\xc3", "malformed"), (b"{not json", "malformed"),
                             (b"[1, 2]", "one object"), (b"\xff\xfe\x00", "malformed"), (b'{"request_id": "\xff\xfe"}', "malformed"),
                             (b"[" * 5000, "malformed")):
            self.refused("container-acquire", data, reason)

    def test_headers_that_end_early(self):
        self.refused("cache", AVRO, "Avro header")
        self.refused("cache", AVRO + b"\x01\x02", "Avro header")
        self.refused("cache", b"\x00\x00\x01", "Confluent header")

    def test_unknown_schemas(self):
        self.refused("cache", AVRO + b"12345678" + text(b"x"), "fingerprint .*wire.schemas")
        self.refused("cache", struct.pack(">bI", 0, 4711), "4711.*wire.confluent_ids")
        release = encode("container-release", {"request_id": "r", "philosophy": "p"}, "avro")
        self.refused("container-acquire", release, "has the schema of container-release")
        self.refused("cache", struct.pack(">bI", 0, CONFLUENT_IDS["usage-record"]), "has the schema of usage-record")

    def test_every_cut_of_a_message(self):
        whole = encode("cache", {"event_id": "cut", "op": "set", "key": "k", "value": b"value", "ttl_seconds": 5}, "avro")
        for length in range(10, len(whole)):
            self.client.send_raw("cache", whole[:length])
        self.good("cache")
        self.assertFalse([r for r in self.client.read("cache-result") if r["event_id"] == "cut"])
        for length in range(10, len(whole)):
            self.client.wait("dead-letter", lambda r: r.raw == whole[:length])
        self.refused("cache", whole + b"\x00", "bytes follow")

    def test_impossible_lengths(self):
        for length in (NEGATIVE, HUGE, b"\xff" * 9 + b"\x01", b"\xff" * 11):
            for topic in ("container-acquire", "container-release", "usage-record", "cache", "pool-control", "container-event"):
                self.client.send_raw(topic, avro(topic, length + b"abc"), key=length)
        for topic in ("container-acquire", "container-release", "usage-record", "cache", "pool-control", "container-event"):
            self.good(topic)
            self.client.wait_all("dead-letter", lambda r: r.raw.startswith(avro(topic, b"")) and r.raw.endswith(b"abc"), 4)
        self.refused("cache", avro("cache", text(b"id") + text(b"get") + b"\x08"), "union")
        self.refused("container-release", avro("container-release", text(b"id") + text(b"p") + b"\x00" + b"\x05"), "boolean")

    # --- events that ask what cannot be done ---

    def test_wrong_types(self):
        self.refused_json("cache", {"event_id": 7, "op": "get", "key": "k"}, "field event_id must be a string")
        self.refused_json("cache", {"event_id": "t", "op": "get"}, "get needs the field key")
        self.refused_json("cache", {"event_id": "t", "op": "set", "key": "k"}, "set needs the field value")
        self.refused_json("cache", {"event_id": "t", "op": "set", "key": "k", "value_base64": "%%"}, "base64")
        self.refused_json("cache", {"event_id": "t", "op": "set", "key": "k", "value": "v", "ttl_seconds": 1.5}, "an integer")
        self.refused_json("usage-record", {"agent_id": "a", "philosophy": "p", "cpu_percent": "much"}, "cpu_percent must be a number")
        self.refused_json("usage-record", {"agent_id": "a", "philosophy": "p"}, "one of cpu_percent")
        self.refused_json("container-release", {"request_id": "r", "philosophy": "p", "reuse": 1}, "true or false")

    def test_unknown_words(self):
        self.refused_json("cache", {"event_id": "w", "op": "increment", "key": "k"}, "op .*increment")
        self.refused_json("pool-control", {"philosophy": "p", "op": "explode"}, "op .*explode")
        self.refused_json("container-event", {"container_id": "c", "philosophy": "p", "host": "w1", "state": "bored"}, "bored")

    def test_names_and_ids(self):
        for bad in ("", "a b", "ż", "a/b", "x" * 65):
            self.refused_json("cache", {"event_id": "n", "op": "get", "key": "k", "namespace": bad}, "namespace must be")
            self.refused_json("pool-control", {"philosophy": bad, "op": "drain"}, "philosophy must be")
        for bad in ("", "a\nb", "\x7f", "x" * 257):
            self.refused_json("cache", {"event_id": bad, "op": "get", "key": "k"}, "event_id must be")
        self.refused_json("cache", {"event_id": "n", "op": "get", "key": "x" * 513}, "key must be")
        self.refused("usage-record", encode("usage-record", {"agent_id": "a\x00b", "philosophy": "p", "cpu_percent": 1.0}, "avro"),
                     "agent_id must be")

    def test_figures_out_of_range(self):
        self.refused_json("cache", {"event_id": "f", "op": "set", "key": "k", "value": "v", "ttl_seconds": -1}, "ttl_seconds must be 0 to")
        self.refused_json("cache", {"event_id": "f", "op": "resize", "count": 0}, "count must be 1 to")
        self.refused_json("cache", {"event_id": "f", "op": "resize"}, "resize needs the field count")
        self.refused_json("cache", {"event_id": "f", "op": "set", "key": "k", "value": "v", "ttl_seconds": -2 ** 63}, "ttl_seconds")
        self.refused_json("cache", {"event_id": "f", "op": "set", "key": "k", "value": "v", "ttl_seconds": 2 ** 64},
                          f"ttl_seconds must be 0 to 3153600000, not {2 ** 64}")
        self.refused_json("pool-control", {"philosophy": "p", "op": "resize"}, "resize needs the field count")
        self.refused_json("pool-control", {"philosophy": "p", "op": "resize", "count": -3}, "count must be 0 to")
        for figure in (-1.0, float("nan"), float("inf"), 1e300):
            data = encode("usage-record", {"agent_id": "a", "philosophy": "p", "cpu_percent": figure}, "avro")
            self.refused("usage-record", data, "cpu_percent|a figure is not a number")

    # --- acquires and releases ---

    def test_an_invalid_acquire_is_answered_and_dead_lettered(self):
        for number, (fields, reason) in enumerate((({"philosophy": "not a name"}, "philosophy"), ({"timeout_ms": -5}, "timeout_ms"),
                                                   ({"lease_ms": 10 ** 15}, "lease_ms"), ({"cpu_percent": -1}, "cpu_percent"),
                                                   ({"agent_id": ""}, "agent_id"), ({"tenant": "a b"}, "tenant"),
                                                   ({"memory_mb": "much"}, "memory_mb"))):
            request_id = f"invalid-{number}"
            letter = self.refused_json("container-acquire", {"request_id": request_id, "agent_id": "a", "philosophy": "react", **fields}, reason)
            answer = self.client.wait("container-assignment", lambda r: r["request_id"] == request_id)
            self.assertEqual((answer["status"], answer["reason"], answer.key),
                             ("rejected", "invalid: " + letter.headers["reason"].decode(), b"whose"))
            self.assertIsNone(answer["container_id"])
            self.assertEqual(answer.headers, {"traceparent": b"00-1-2-03"})
        cut = encode("container-acquire", {"request_id": "invalid-cut", "agent_id": "a", "philosophy": "react", "timeout_ms": 5}, "avro")[:-3]
        self.refused("container-acquire", cut, "ends early|past the end|ends before|malformed")
        self.client.wait("container-assignment", lambda r: r["request_id"] == "invalid-cut" and r["reason"].startswith("invalid: "))

    def test_numbers_that_no_field_can_hold(self):
        acquire = '{"request_id": "%s", "agent_id": "a", "philosophy": "goods", %s}'
        for number, (field, reason) in enumerate((('"timeout_ms": 123456789012345678901', "timeout_ms must be 0 to .*, not 123456789012345678901"),
                                                  ('"cpu_percent": 1e400', "cpu_percent must be 0 to .*, not 1e400"))):
            self.refused("container-acquire", (acquire % (f"huge-{number}", field)).encode(), reason)
            answer = self.client.wait("container-assignment", lambda r: r["request_id"] == f"huge-{number}")
            self.assertEqual(answer["status"], "rejected")
            self.assertRegex(answer["reason"], "^invalid: field " + reason)
        self.client.send_raw("container-acquire", (acquire % ("huge-passes", '"trace": [123456789012345678901, 1e400]')).encode())
        self.client.wait("container-assignment", lambda r: r["request_id"] == "huge-passes" and r["status"] == "assigned")
        self.client.send("container-release", {"request_id": "huge-passes", "philosophy": "goods"})

    def test_a_value_comes_back_as_the_text_that_was_sent(self):
        value = '{"z": 123456789012345678901,  "a": [1e400, 0.10000000000000000000001, -0]}'
        self.client.send_raw("cache", ('{"event_id": "text-set", "op": "set", "key": "text", "value": %s}' % value).encode())
        self.client.send("cache", {"event_id": "text-get", "op": "get", "key": "text"})
        answer = self.client.wait("cache-result", lambda r: r["event_id"] == "text-get")
        self.assertEqual((answer["hit"], bytes(answer["value"])), (True, value.encode()))

    def test_an_invalid_acquire_with_the_id_of_a_lease_changes_nothing(self):
        self.assertEqual(self.client.acquire("twice-used", "goods")["status"], "assigned")
        self.refused_json("container-acquire", {"request_id": "twice-used", "agent_id": "a", "philosophy": "goods", "timeout_ms": -5}, "timeout_ms")
        self.assertEqual(len([r for r in self.client.read("container-assignment") if r["request_id"] == "twice-used"]), 1)
        self.client.send("container-release", {"request_id": "twice-used", "philosophy": "goods"})

    def test_an_acquire_without_a_readable_id_is_only_dead_lettered(self):
        before = len(self.client.read("container-assignment"))
        self.refused_json("container-acquire", {"request_id": "a\nb", "agent_id": "nobody", "philosophy": "react"}, "request_id")
        self.refused_json("container-acquire", {"agent_id": "nobody", "philosophy": "react"}, "request_id is missing")
        answers = self.client.read("container-assignment")[before:]
        self.assertFalse([r for r in answers if r["agent_id"] == "nobody"])

    def test_releases_of_what_is_not_held(self):
        self.refused_json("container-release", {"request_id": "never", "philosophy": "react"}, "unknown request")
        held = self.client.acquire("held", "holding")
        self.refused_json("container-release", {"request_id": "held", "philosophy": "holding", "container_id": "other"},
                          held["container_id"])
        self.refused_json("container-release", {"request_id": "held", "philosophy": "react"}, "of philosophy holding")
        self.assertEqual(self.client.acquire("held", "holding")["container_id"], held["container_id"])
        for _ in range(2):  # the second one is only counted
            self.client.send("container-release", {"request_id": "held", "philosophy": "holding"}, wire="json")
        self.good("container-release")
        done = json.dumps({"request_id": "held", "philosophy": "holding"}).encode()
        self.assertEqual(self.letters(done), [])

    # --- size ---

    def test_answers_have_the_key_of_their_event_unless_it_is_too_long(self):
        for wire in ("avro", "json"):
            for size in (64000, 64001):
                for op in ("set", "get", "invalidate"):
                    event, key = f"key-{wire}-{size}-{op}", b"k" * size
                    value = {"value": b"v" if wire == "avro" else "v"} if op == "set" else {}
                    self.client.send("cache", {"event_id": event, "op": op, "key": "keyed", **value}, wire=wire, key=key)
                    answer = self.client.wait("cache-result", lambda r: r["event_id"] == event)
                    self.assertEqual((answer.key, answer["reason"]), (key if size == 64000 else event.encode(), None))
                    self.assertEqual(answer["hit"], op != "set")

    def test_a_value_that_is_too_large_is_refused_and_the_old_one_is_gone(self):
        for size, reason in ((200000, None), (200001, "too_large")):
            self.client.send("cache", {"event_id": f"v-{size}", "op": "set", "key": "large", "value": b"x" * size})
            answer = self.client.wait("cache-result", lambda r: r["event_id"] == f"v-{size}")
            self.assertEqual(answer["reason"], reason)
        self.client.send("cache", {"event_id": "v-get", "op": "get", "key": "large"})
        self.assertFalse(self.client.wait("cache-result", lambda r: r["event_id"] == "v-get")["hit"])

    def big_producer(self):
        return Producer({"bootstrap.servers": self.system.kafka.bootstrap, "message.max.bytes": 20000000, "batch.size": 20000000,
                         "compression.type": "gzip"})

    def send_big(self, topic, data, **how):
        """As far as a broker's default goes: 1 MiB, and compressed much more."""
        failed = []
        producer = self.big_producer()
        producer.produce(self.system.prefix + topic, data, on_delivery=lambda error, _: failed.append(error) if error else None, **how)
        producer.flush(WAIT_LIMIT)
        self.assertFalse(failed)

    def test_a_dead_letter_that_is_too_large_is_cut(self):
        data = b"{" + b" " * 5000000
        self.send_big("cache", data, key=b"whose", headers={"large": b"x" * 2000000, "traceparent": "00-1-2-03"})
        letter = self.client.wait("dead-letter", lambda r: r.raw.startswith(b"{     "))
        self.assertTrue(data.startswith(letter.raw))
        said = {name: value.decode() for name, value in letter.headers.items()}
        self.assertEqual((letter.key, said["topic"], said["cut_from"]), (b"whose", self.system.prefix + "cache", str(len(data))))
        self.assertIn("malformed", said["reason"])
        self.assertNotIn("large", said)
        self.assertGreater(len(letter.raw), 10000)
        self.good("cache")

    def test_a_key_that_is_too_large_gives_way_to_the_id(self):
        event = {"event_id": "k-1", "op": "get", "key": "none"}
        self.send_big("cache", json.dumps(event), key=b"k" * 3000000, headers={"traceparent": b"t" * 3000000})
        answer = self.client.wait("cache-result", lambda r: r["event_id"] == "k-1")
        self.assertEqual((answer.key, answer.headers), (b"k-1", {}))
        self.send_big("cache", "{", key=b"k" * 3000000)
        self.good("cache")
        self.assertTrue([r for r in self.client.read("dead-letter") if r.key and r.key.startswith(b"kkkk")])


class LargeAnswers(unittest.TestCase):
    def test_a_value_that_grows_too_large_as_json_is_answered_so(self):
        """A control character is six in JSON."""
        with System(options={"topics.partitions": 1}) as system:
            def reason(name, **event):
                client.send("cache", {"event_id": name, "key": "k", **event})
                return client.wait("cache-result", lambda r: r["event_id"] == name).get("reason")

            client = Client(system, "avro")
            self.assertIsNone(reason("set", op="set", value=b"\x01" * 400000))
            self.assertIsNone(reason("get", op="get"))
            worker = system.workers[0]
            worker.stop()
            worker.options["wire.write"] = "json"
            worker.start().wait_ready()
            self.assertEqual(reason("get-json", op="get"), "too_large")
            self.assertEqual(reason("set-json", op="set", value=b"\x01" * 400000), "too_large")
            for wide in (b"\x01" * 166000, b"\xff" * 524288, b"\xc3\xa9" * 262144):
                name = wide[:2].hex()
                self.assertIsNone(reason("set" + name, op="set", value=wide))
                self.assertIsNone(reason("get" + name, op="get"))
            self.assertEqual(client.read("dead-letter"), [])


def make_topic(system, name, config):
    admin = AdminClient({"bootstrap.servers": system.kafka.bootstrap})
    admin.create_topics([NewTopic(name, 1, 1, config=config)])[name].result(30)


class ProducersTime(unittest.TestCase):
    def test_check_names_input_topics_whose_records_have_their_producers_time(self):
        with System(options={"topics.partitions": 1}, start=False) as system:
            name = system.prefix + "container-acquire"
            make_topic(system, name, {"message.timestamp.type": "CreateTime"})
            checked = system.cli("check", "-o", "http.listen=")
            self.assertRegex(checked.stdout, f"topic time.*{name} have.*CreateTime.*LogAppendTime")
            self.assertEqual(checked.returncode, 0, "a worker works with it")


class SmallTopic(unittest.TestCase):
    def test_a_topic_that_takes_less_than_the_producer_holds_nothing_up(self):
        with System(options={"topics.partitions": 1}, start=False) as system:
            name = system.prefix + "cache-result"
            make_topic(system, name, {"max.message.bytes": "20000"})
            system.start()
            self.assertIn(f"event=messages_limited topic={name}", system.workers[0].log())
            checked = system.cli("check", "-o", "http.listen=")
            self.assertRegex(checked.stdout, f"FAIL message size.*{name} takes 19900 bytes.*kafka.message.max.bytes = 19900")
            self.assertEqual(checked.returncode, 1)
            told = system.cli("check", "-o", "http.listen=", "-o", "kafka.message.max.bytes=19900")
            self.assertEqual((told.returncode, "FAIL" in told.stdout), (0, False), told.stdout)

            client = Client(system)
            for event, size in (("small", 15000), ("large", 50000)):
                client.send("cache", {"event_id": f"set-{event}", "op": "set", "key": event, "value": b"x" * size})
            for event in ("small", "large", "none"):
                client.send("cache", {"event_id": f"get-{event}", "op": "get", "key": event})
            many = [f"many-{number}" for number in range(20)]  # more than the topic takes in one batch
            for event in many:
                client.send("cache", {"event_id": event, "op": "get", "key": "small"})
            client.wait("cache-result", lambda r: r["event_id"] == many[-1])
            answered = {r["event_id"]: r for r in client.read("cache-result")}
            self.assertEqual(len(answered["get-small"]["value"]), 15000)
            self.assertFalse(answered["get-none"]["hit"])
            self.assertEqual([event for event in many if event not in answered], [])
            self.assertEqual(answered["set-large"]["reason"], "too_large")
            self.assertFalse(answered["get-large"]["hit"])
            self.assertLessEqual(len(client.read("dead-letter")), 1)


class RefusedFormats(unittest.TestCase):
    def test_a_format_that_is_not_read_is_named(self):
        with System(options={"wire.read": "avro"}) as system:
            client = Client(system)
            for wire in ("json", "confluent"):
                client.send("cache", {"event_id": wire, "op": "clear"}, wire=wire)
                client.wait("dead-letter", lambda r: f"in {wire}, but wire.read" in r.headers["reason"].decode())


if __name__ == "__main__":
    unittest.main()
