"""The client without Kafka: a link that keeps what is published, and answers that the test hands in."""
import asyncio
import base64
import json
import threading
import unittest
from concurrent.futures import Future
from pathlib import Path

from warmpool_client import AsyncClient, CacheRefused, Client, KafkaUnavailable, LeaseLost, NoAnswer, Rejected, UnreadableAnswer, WarmpoolError

ANSWER = {"agent_id": "a", "philosophy": "react", "status": "assigned", "container_id": "c-1", "host": "h", "address": "container:c-1",
          "warm_start": True, "startup_time_ms": 1.5, "wait_ms": 0.0, "lease_epoch": 7, "lease_expires_at": 0,
          "limits": {"cpu_percent": 50.0, "memory_mb": 256.0}, "confidence": 0.0, "basis": "default",
          "requirements": {"cpu_percent": 50.0, "memory_mb": 256.0, "execution_time_seconds": 60.0},
          "recommended": {"cpu_percent": 50.0, "memory_mb": 256.0, "execution_time_seconds": 60.0}}


class FakeLink:
    """Answers each event as `replies` says: topic -> a function of the event, which returns records or None."""

    def __init__(self, client):
        self.client, self.sent, self.replies, self.error = client, [], {}, None
        self.published = threading.Event()

    def publish(self, topic, key, value):
        event = json.loads(value)
        self.sent.append((topic, key, event))
        self.published.set()
        done = Future()
        if self.error:
            done.set_exception(self.error)
            return done
        done.set_result(None)
        for reply in self.replies.get(topic, lambda _: [])(event):
            self.answer(reply, topic=topic, key=key)
        return done

    def answer(self, reply, topic="container-acquire", key=None):
        out = "cache-result" if topic == "cache" else "container-assignment"
        self.client.requests.deliver(out, (key or reply["request_id"]).encode(), json.dumps(reply).encode())

    def events(self, topic):
        return [event for name, _, event in self.sent if name == topic]

    def close(self):
        pass


def assigned(event, **more):
    return {**ANSWER, "request_id": event["request_id"], **more}


def rejected(event, reason, retry_after_ms=None):
    return assigned(event, status="rejected", reason=reason, retry_after_ms=retry_after_ms, container_id=None)


def linked(kind, **settings):
    client = kind(grace=0.2, **settings)
    client._start = lambda: None  # no Kafka
    link = FakeLink(client)
    client.requests.use(link)
    return client, link


class Sync(unittest.TestCase):
    def setUp(self):
        self.client, self.link = linked(Client)
        self.link.replies["container-acquire"] = lambda event: [assigned(event)]

    def test_a_lease_is_held_for_the_block_and_released(self):
        with self.client, self.client.acquire("react", agent_id="a", timeout=1.5, tenant="acme", claim={"k": "v"}) as lease:
            self.assertEqual((lease.container_id, lease.address, lease.epoch), ("c-1", "container:c-1", 7))
            self.assertEqual(self.link.events("container-release"), [])
        event = self.link.events("container-acquire")[0]
        self.assertEqual(event, {"request_id": lease.request_id, "agent_id": "a", "philosophy": "react", "timeout_ms": 1500,
                                 "tenant": "acme", "claim": {"k": "v"}})
        self.assertEqual(self.link.events("container-release"), [{"request_id": lease.request_id, "philosophy": "react", "reuse": True}])

    def test_a_lease_is_released_when_the_block_fails(self):
        with self.assertRaises(ZeroDivisionError), self.client.acquire("react", agent_id="a") as lease:
            lease.reuse = False
            1 / 0
        self.assertEqual([event["reuse"] for event in self.link.events("container-release")], [False])

    def test_rejected_says_why_and_when_to_try_again(self):
        self.link.replies["container-acquire"] = lambda event: [rejected(event, "limit: too many", 2500)]
        with self.assertRaises(Rejected) as raised, self.client.acquire("react", agent_id="a"):
            self.fail("entered")
        self.assertEqual((raised.exception.reason, raised.exception.retry_after), ("limit: too many", 2.5))
        self.assertEqual(self.link.events("container-release"), [])

    def test_no_answer_cancels_the_request(self):
        self.link.replies.clear()
        with self.assertRaises(NoAnswer), self.client.acquire("react", agent_id="a", request_id="r-1", timeout=0.05):
            self.fail("entered")
        self.assertEqual([event["request_id"] for event in self.link.events("container-release")], ["r-1"])
        self.link.answer(assigned({"request_id": "r-1"}))  # too late: nobody's

    def test_a_lost_lease_is_said_and_not_released(self):
        with self.assertRaises(LeaseLost) as raised, self.client.acquire("react", agent_id="a", request_id="r-1") as lease:
            self.assertFalse(lease.wait_lost(0))
            self.link.answer(assigned({"request_id": "r-1"}, status="lost", reason="container_died: killed"))
            self.assertTrue(lease.wait_lost(1))
            self.assertRaises(LeaseLost, lease.check)
        self.assertEqual(raised.exception.reason, "container_died: killed")
        self.assertEqual(self.link.events("container-release"), [])

    def test_a_repeated_answer_is_none(self):
        with self.client.acquire("react", agent_id="a", request_id="r-1") as lease:
            self.link.answer(assigned({"request_id": "r-1"}, lease_epoch=8))
            self.assertEqual(lease.epoch, 7)

    def test_the_same_request_twice_at_a_time_is_a_mistake(self):
        with self.client.acquire("react", agent_id="a", request_id="r-1"):
            with self.assertRaises(ValueError), self.client.acquire("react", agent_id="a", request_id="r-1"):
                self.fail("entered")

    def test_what_kafka_does_not_take_is_an_error(self):
        self.link.error = KafkaUnavailable("no broker")
        with self.assertRaises(KafkaUnavailable), self.client.acquire("react", agent_id="a"):
            self.fail("entered")
        self.assertRaises(KafkaUnavailable, self.client.cache_get, "k")
        self.assertRaises(KafkaUnavailable, self.client.record_usage, "react", agent_id="a", cpu_percent=1)

    def test_answers_that_cannot_be_read_are_errors_with_the_mend(self):
        for value, part in ((b"\0\0\0\0\1x", "wire.write"), (b"{", "not JSON"), (b"[]", "no JSON object"), (b"{}", "lacks a field"),
                            (b"\xc3\x01" + bytes(8), "another schema")):
            self.link.replies["container-acquire"] = lambda event: (
                self.client.requests.deliver("container-assignment", event["request_id"].encode(), value) or [])
            with self.assertRaises(UnreadableAnswer) as raised, self.client.acquire("react", agent_id="a"):
                self.fail("entered")
            self.assertIn(part, str(raised.exception))

    def test_other_peoples_answers_are_left_alone(self):
        self.client.requests.deliver("container-assignment", b"r-9", b"not even JSON")
        self.client.requests.deliver("cache-result", b"tool:x", b"not even JSON")
        self.client.requests.deliver("some-topic", b"", b"")

    def test_usage_needs_a_figure(self):
        self.assertRaises(ValueError, self.client.record_usage, "react", agent_id="a")
        self.client.record_usage("react", agent_id="a", memory_mb=180, record_id="u-1")
        self.assertEqual(self.link.events("usage-record"), [{"agent_id": "a", "philosophy": "react", "memory_usage_mb": 180, "record_id": "u-1"}])

    def test_cache(self):
        stored = {}

        def answer(event):
            key, result = event["key"], {name: event[name] for name in ("event_id", "op", "namespace", "key")}
            hit = key in stored
            if event["op"] == "set":
                stored[key] = event.get("value_base64") or event["value"]
                return [{**result, "hit": hit, "reason": "too_large" if stored[key] == "large" else None}]
            if event["op"] == "invalidate":
                return [{**result, "hit": stored.pop(key, None) is not None}]
            text = stored.get(key)
            return [{**result, "hit": hit, **({"value_base64": text} if key == "bytes" else {"value": text})}]
        self.link.replies["cache"] = answer
        self.assertIsNone(self.client.cache_get("k"))
        self.client.cache_set("k", b'{"a": 1}', ttl=5)
        self.assertEqual(self.client.cache_get("k"), b'{"a": 1}')
        self.client.cache_set("bytes", b"\xff\0")
        self.assertEqual(stored["bytes"], base64.b64encode(b"\xff\0").decode())
        self.assertEqual(self.client.cache_get("bytes"), b"\xff\0")
        self.assertTrue(self.client.cache_invalidate("k"))
        self.assertFalse(self.client.cache_invalidate("k"))
        with self.assertRaisesRegex(CacheRefused, "too_large"):
            self.client.cache_set("k", b"large")
        self.link.replies.clear()
        self.assertRaises(NoAnswer, self.client.cache_get, "k")

    def test_earlier_answers(self):
        self.client, self.link = linked(Client, look_back=600)
        for request_id, more in (("held", {}), ("lost", {}), ("lost", {"status": "lost", "reason": "host_down"}),
                                 ("full", {"status": "rejected", "reason": "timeout"})):
            self.link.answer(assigned({"request_id": request_id}, **more))
        self.link.replies["container-acquire"] = lambda event: [assigned(event)]
        with self.client.acquire("react", agent_id="a", request_id="held"):
            pass
        with self.assertRaises(LeaseLost), self.client.acquire("react", agent_id="a", request_id="lost"):
            self.fail("entered")
        with self.assertRaises(Rejected), self.client.acquire("react", agent_id="a", request_id="full"):
            self.fail("entered")
        self.assertEqual([event["request_id"] for event in self.link.events("container-acquire")], ["held"])

    def test_a_client_that_was_not_entered_says_so(self):
        with self.assertRaisesRegex(RuntimeError, "not started"):
            Client().cache_get("k")
        with self.assertRaisesRegex(ValueError, "json or avro"):
            Client(wire="xml")

    def test_no_broker_is_said(self):
        with self.assertRaisesRegex(KafkaUnavailable, "bootstrap.servers"), Client("127.0.0.1:1", start_timeout=1, kafka={"log_level": 0}):
            self.fail("entered")


class Async(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.client, self.link = linked(AsyncClient)
        self.link.replies["container-acquire"] = lambda event: [assigned(event)]

    async def test_a_lease_is_held_for_the_block_and_released(self):
        async with self.client, self.client.acquire("react", agent_id="a") as lease:
            self.assertFalse(lease.lost)
            self.assertEqual(self.link.events("container-release"), [])
        self.assertEqual(len(self.link.events("container-release")), 1)

    async def test_a_lost_lease_interrupts_the_block(self):
        with self.assertRaises(LeaseLost) as raised:
            async with self.client.acquire("react", agent_id="a", request_id="r-1"):
                threading.Timer(0.05, self.link.answer, [assigned({"request_id": "r-1"}, status="lost", reason="lease_expired")]).start()
                await asyncio.sleep(60)
        self.assertEqual(raised.exception.reason, "lease_expired")
        self.assertEqual(self.link.events("container-release"), [])
        self.assertEqual(asyncio.current_task().cancelling(), 0)
        await asyncio.sleep(0)  # no cancellation is left

    async def test_a_block_that_ends_in_spite_of_a_lost_lease_is_told(self):
        with self.assertRaises(LeaseLost):
            async with self.client.acquire("react", agent_id="a", request_id="r-1"):
                self.link.answer(assigned({"request_id": "r-1"}, status="lost", reason="lease_expired"))
        await asyncio.sleep(0)

    async def test_a_failing_block_keeps_its_error_when_the_lease_is_lost(self):
        with self.assertRaises(ZeroDivisionError):
            async with self.client.acquire("react", agent_id="a", request_id="r-1"):
                self.link.answer(assigned({"request_id": "r-1"}, status="lost", reason="lease_expired"))
                1 / 0

    async def test_a_cancelled_task_that_waits_cancels_its_request(self):
        self.link.replies.clear()

        async def wait():
            async with self.client.acquire("react", agent_id="a", request_id="r-1"):
                self.fail("entered")
        task = asyncio.create_task(wait())
        await asyncio.to_thread(self.link.published.wait, 5)
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        self.assertEqual([event["request_id"] for event in self.link.events("container-release")], ["r-1"])

    async def test_a_cancelled_task_that_holds_a_lease_releases_it(self):
        entered = asyncio.Event()

        async def hold():
            async with self.client.acquire("react", agent_id="a", request_id="r-1"):
                entered.set()
                await asyncio.sleep(60)
        task = asyncio.create_task(hold())
        await entered.wait()
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        self.assertEqual(len(self.link.events("container-release")), 1)

    async def test_no_answer_and_rejected(self):
        self.link.replies["container-acquire"] = lambda event: [rejected(event, "draining")]
        with self.assertRaises(Rejected):
            async with self.client.acquire("react", agent_id="a"):
                self.fail("entered")
        self.link.replies.clear()
        with self.assertRaises(NoAnswer):
            async with self.client.acquire("react", agent_id="a", timeout=0.05):
                self.fail("entered")
        with self.assertRaises(NoAnswer):
            await self.client.cache_get("k")

    async def test_many_at_once(self):
        async def one(number):
            async with self.client.acquire("react", agent_id="a", request_id=f"r-{number}") as lease:
                await asyncio.sleep(0)
                return lease.request_id
        self.assertEqual(len(set(await asyncio.gather(*(one(number) for number in range(200))))), 200)
        self.assertEqual(len(self.link.events("container-release")), 200)


class Schemas(unittest.TestCase):
    """What the package knows of the contract is what warmpool's schemas say (they are beside it in the repository only)."""

    def test_the_packaged_schemas_are_warmpools(self):
        packaged = Path(__file__).parents[1] / "src" / "warmpool_client" / "schemas"
        for path in packaged.glob("*.avsc"):
            self.assertEqual(path.read_text(), (Path(__file__).parents[3] / "schemas" / path.name).read_text(),
                             f"copy schemas/{path.name} to {packaged}")
        self.assertEqual(len(list(packaged.glob("*.avsc"))), 6)

    def test_the_classes_have_the_fields_of_the_schemas(self):
        import dataclasses
        from warmpool_client import records
        schemas = Path(__file__).parents[3] / "schemas"

        def compare(kind, schema):
            fields = {field.name: field for field in dataclasses.fields(kind)}
            self.assertEqual(set(fields), {field["name"] for field in schema["fields"]})
            for field in schema["fields"]:
                optional = isinstance(field["type"], list)
                self.assertEqual(fields[field["name"]].default is None, optional, field["name"])
                inner = [part for part in (field["type"] if optional else [field["type"]]) if isinstance(part, dict)]
                if inner:
                    compare(getattr(records, inner[0]["name"]), inner[0])
        for name, kind in (("container-assignment", records.Assignment), ("cache-result", records.CacheResult)):
            compare(kind, json.loads((schemas / f"{name}.avsc").read_text()))

    def test_avro_there_and_back(self):
        try:
            import fastavro  # noqa: F401
        except ImportError:
            with self.assertRaisesRegex(WarmpoolError, r"warmpool-client\[avro\]"):
                AsyncClient(wire="avro")
            self.skipTest("fastavro is not there")
        from warmpool_client.wire import Codec
        codec = Codec("avro")
        event = {"event_id": "e", "op": "set", "namespace": None, "key": "k", "value": b"\0\xff", "ttl_seconds": 3, "count": None}
        self.assertEqual(codec.decode("cache", codec.encode("cache", event)), event)
        self.assertEqual(codec.decode("cache", Codec("json").encode("cache", event))["value_base64"], base64.b64encode(b"\0\xff").decode())


if __name__ == "__main__":
    unittest.main()
