"""How containers are handed out: warm and cold, waiting, leases that end, containers that die, and the flags."""
import io
import json
import os
import signal
import tempfile
import time
import unittest

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from client import SCHEMAS, Client
from system import WAIT_LIMIT, System, wait_until

SLOW_START = {"process.command": "sleep 1; echo ready >&$WARMPOOL_READY_FD; exec sleep infinity", "process.ready": "notify"}


def pid_of(answer):
    return int(answer["address"].removeprefix("pid:"))


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def first_word(answer):
    """What its reason begins with: what a program goes by; the rest says why, in words."""
    return answer["reason"].split(":")[0]


class WithSystem(unittest.TestCase):
    options, workers = {}, 1

    @classmethod
    def setUpClass(cls):
        cls.system = System(workers=cls.workers, options=cls.options)
        cls.addClassCleanup(cls.system.close)
        cls.client = Client(cls.system)

    def ask(self, request_id, philosophy="react", **fields):
        self.client.send("container-acquire", {"request_id": request_id, "agent_id": f"agent-{request_id}", "philosophy": philosophy, **fields})

    def answers(self, request_id):
        return [record for record in self.client.read("container-assignment") if record["request_id"] == request_id]

    def answer(self, request_id, status=None):
        return self.client.wait("container-assignment",
                                lambda r: r["request_id"] == request_id and status in (None, r["status"]))

    def acquire(self, request_id, philosophy="react", **fields):
        self.ask(request_id, philosophy, **fields)
        return self.answer(request_id)

    def release(self, request_id, philosophy="react", **fields):
        self.client.send("container-release", {"request_id": request_id, "philosophy": philosophy, **fields})

    def control(self, philosophy, op, count=None):
        self.client.send("pool-control", {"philosophy": philosophy, "op": op, "count": count})

    def release_and_wait(self, request_id, philosophy="react", **fields):
        idle = self.system.pool(philosophy)["available"]
        self.release(request_id, philosophy, **fields)
        self.system.wait_pool(philosophy, available=idle + 1)


class HandingOut(WithSystem):
    options = {"pool.max_containers": 3, "pool.size": 3, "pool.size.small": 1, "pool.lease_ms": 600000}

    def test_cold_then_warm(self):
        cold = self.acquire("w-1", "warmed")
        self.assertFalse(cold["warm_start"])
        self.assertTrue(alive(pid_of(cold)))
        self.release_and_wait("w-1", "warmed")
        warm = self.acquire("w-2", "warmed")
        self.assertTrue(warm["warm_start"])
        self.assertEqual((warm["container_id"], warm["address"]), (cold["container_id"], cold["address"]))
        self.assertGreater(warm["lease_epoch"], cold["lease_epoch"])
        self.assertEqual((self.system.pool("warmed")["warm_starts"], self.system.pool("warmed")["cold_starts"]), (1, 1))

    def test_a_released_container_that_is_not_to_be_reused_ends(self):
        first = self.acquire("d-1", "discarded")
        self.release("d-1", "discarded", reuse=False)
        wait_until(lambda: not alive(pid_of(first)), "its process ended")
        self.assertNotEqual(self.acquire("d-2", "discarded")["container_id"], first["container_id"])

    def test_who_waits_longest_gets_the_next(self):
        held = [self.acquire(f"q-{number}", "queued") for number in range(3)]
        for number in range(3, 6):
            self.ask(f"q-{number}", "queued")
            self.system.wait_pool("queued", waiting=number - 2)
        for number in range(3):
            self.release(f"q-{number}", "queued")
            answer = self.answer(f"q-{number + 3}")
            self.assertEqual((answer["container_id"], answer["warm_start"]), (held[number]["container_id"], True))
            self.assertGreater(answer["wait_ms"], 0)
            self.assertEqual(self.system.pool("queued")["waiting"], 2 - number)

    def test_who_waits_too_long_is_rejected(self):
        for number in range(3):
            self.acquire(f"t-{number}", "timed")
        began = time.monotonic()
        late = self.acquire("t-late", "timed", timeout_ms=700)
        self.assertEqual((late["status"], first_word(late)), ("rejected", "timeout"))
        self.assertGreaterEqual(time.monotonic() - began, 0.6)
        self.assertGreater(late["retry_after_ms"], 0)
        self.assertEqual(first_word(self.acquire("t-now", "timed", timeout_ms=0)), "timeout")
        self.release("t-0", "timed")
        self.system.wait_pool("timed", available=1, waiting=0)
        self.assertEqual(len(self.answers("t-late")), 1)

    def test_who_waits_is_cancelled_by_a_release(self):
        for number in range(3):
            self.acquire(f"c-{number}", "cancelled")
        self.ask("c-waits", "cancelled")
        self.system.wait_pool("cancelled", waiting=1)
        self.release("c-waits", "cancelled")
        answer = self.answer("c-waits")
        self.assertEqual((answer["status"], first_word(answer)), ("rejected", "cancelled"))
        self.system.wait_pool("cancelled", waiting=0)

    def test_a_release_before_its_acquire_cancels_it(self):
        self.release("early", "early")
        self.client.wait("dead-letter", lambda r: b"early" in r.raw)
        self.assertEqual(first_word(self.acquire("early", "early")), "cancelled")

    def test_a_lease_expires_and_its_container_ends(self):
        answer = self.acquire("e-1", "expired", lease_ms=500)
        self.assertAlmostEqual(answer["lease_expires_at"], time.time() * 1000 + 500, delta=120000)
        lost = self.answer("e-1", "lost")
        self.assertEqual((first_word(lost), lost["container_id"]), ("lease_expired", answer["container_id"]))
        wait_until(lambda: not alive(pid_of(answer)), "its process ended")
        self.release("e-1", "expired")  # too late, and only counted
        self.system.wait_pool("expired", leased=0, available=0)
        self.assertEqual([record["status"] for record in self.answers("e-1")], ["assigned", "lost"])

    def test_a_lease_without_end_has_none(self):
        self.assertEqual(self.acquire("n-1", "endless", lease_ms=0)["lease_expires_at"], 0)

    def test_a_killed_container_is_lost_when_leased(self):
        answer = self.acquire("k-1", "killed")
        os.kill(pid_of(answer), signal.SIGKILL)
        lost = self.answer("k-1", "lost")
        self.assertEqual((lost["container_id"], first_word(lost)), (answer["container_id"], "container_died"))
        self.assertEqual(lost["reason"], "container_died: killed: the process was ended by signal 9")
        self.system.wait_pool("killed", leased=0)
        self.assertEqual(self.acquire("k-2", "killed")["status"], "assigned")

    def test_a_killed_idle_container_is_never_handed_out(self):
        first = self.acquire("i-1", "idle")
        self.release_and_wait("i-1", "idle")
        os.kill(pid_of(first), signal.SIGKILL)
        self.system.wait_pool("idle", available=0)
        second = self.acquire("i-2", "idle")
        self.assertFalse(second["warm_start"])
        self.assertTrue(alive(pid_of(second)))
        self.assertEqual([record["status"] for record in self.answers("i-1")], ["assigned"])

    def test_a_used_container_is_not_handed_to_another_tenant(self):
        first = self.acquire("te-1", "shared", tenant="one")
        self.release_and_wait("te-1", "shared")
        other = self.acquire("te-2", "shared", tenant="two")
        self.assertNotEqual(other["container_id"], first["container_id"])
        self.assertFalse(other["warm_start"])
        again = self.acquire("te-3", "shared", tenant="one")
        self.assertEqual((again["container_id"], again["warm_start"]), (first["container_id"], True))

    def test_a_container_that_is_too_small_is_passed_over(self):
        self.acquire("s-1", "sized")
        self.release_and_wait("s-1", "sized")
        large = self.acquire("s-2", "sized", memory_mb=500.0, cpu_percent=80.0)
        self.assertFalse(large["warm_start"])
        self.assertGreaterEqual(large["limits"]["memory_mb"], 500)
        self.assertGreaterEqual(large["limits"]["cpu_percent"], 80)
        self.assertRegex(self.acquire("s-3", "sized", memory_mb=1e6)["reason"],
                         "^too_large: memory_mb is 1000000, pool.max_memory_mb is ")

    def test_what_is_beyond_the_size_is_not_kept(self):
        for number in range(2):
            self.acquire(f"b-{number}", "small")
        for number in range(2):
            self.release(f"b-{number}", "small")
        self.system.wait_pool("small", available=1, leased=0)


class ColdStarts(WithSystem):
    """Each container takes a second to be ready."""
    options = {**SLOW_START, "host.capacity": 300, "host.creates": 200}

    def test_a_hundred_at_once_are_as_fast_as_one_and_delay_no_warm_one(self):
        self.control("warm", "pre_warm", 3)
        self.system.wait_pool("warm", available=3)
        self.client.wait("container-command")
        alone = self.acquire("alone", "alone")
        self.assertGreater(alone["startup_time_ms"], 1000)
        began = time.monotonic()
        for number in range(100):
            self.client.producer.produce(self.system.prefix + "container-acquire", self.encoded(f"cold-{number}"))
        self.client.producer.flush(WAIT_LIMIT)
        wait_until(lambda: self.system.pool("cold")["waiting"] + self.system.pool("cold")["leased"], "they have come")
        self.ask("warm", "warm")
        warm = self.answer("warm")
        self.assertTrue(warm["warm_start"])

        def is_cold(record):
            return record["request_id"].startswith("cold-")
        self.assertLess(len([r for r in self.client.read("container-assignment") if is_cold(r)]), 100, "it did not wait for all of them")
        answers = self.client.wait_all("container-assignment", is_cold, 100)
        took = time.monotonic() - began
        self.assertEqual({(r["status"], r["warm_start"]) for r in answers}, {("assigned", False)})
        self.assertEqual(len({r["container_id"] for r in answers}), 100)
        self.assertLess(took, 40, "a hundred starts of a second each, side by side: one after the other takes 100 s")

    def encoded(self, request_id):
        out = io.BytesIO()
        out.write(b"\xc3\x01" + bytes.fromhex(fingerprint(to_parsing_canonical_form(SCHEMAS["container-acquire"]), "CRC-64-AVRO")))
        fastavro.schemaless_writer(out, SCHEMAS["container-acquire"], {"request_id": request_id, "agent_id": "a", "philosophy": "cold"})
        return out.getvalue()


class ReleasedFirst(WithSystem):
    """Only a large container is ever ready."""
    options = {"process.command": "[ $WARMPOOL_MEMORY_MB = 500 ] || sleep infinity; echo >&$WARMPOOL_READY_FD; exec sleep infinity",
               "process.ready": "notify", "process.ready_timeout_ms": 600000}

    def test_what_is_released_goes_to_who_waits_for_a_cold_start(self):
        first = self.acquire("r-1", "either", memory_mb=500.0)
        self.ask("r-2", "either", timeout_ms=600000)
        self.system.wait_pool("either", waiting=1, creating=1)
        self.release("r-1", "either")
        answer = self.answer("r-2")
        self.assertEqual((answer["container_id"], answer["warm_start"]), (first["container_id"], True))


class BrokenContainers(WithSystem):
    options = {"process.command": "exit 3", "process.ready": "notify"}

    def test_creates_that_fail_are_tried_again_until_those_who_wait_are_told_why(self):
        answer = self.acquire("broken", "broken", timeout_ms=100000)
        self.assertEqual((answer["status"], answer["reason"]),
                         ("rejected", "unavailable: the process exited with status 3 before it was ready"))
        creates = self.client.wait_all("container-command", lambda r: r["op"] == "create" and r["philosophy"] == "broken", 5)
        self.assertLess(len(creates), 10, "with pauses that grow")


class WithoutThePool(WithSystem):
    options = {"pool.enabled": "false", "pool.prewarm": "react:2", "cache.enabled": "false", "memory.enabled": "false",
               "memory.interval": 1, "metrics.interval": 1}

    def test_every_acquire_is_cold(self):
        ids = set()
        for number in range(3):
            answer = self.acquire(f"o-{number}")
            self.assertFalse(answer["warm_start"])
            ids.add(answer["container_id"])
            self.release(f"o-{number}")
            self.system.wait_pool("react", leased=0, available=0)
        self.assertEqual(len(ids), 3)

    def test_every_get_is_a_miss_and_answered(self):
        for number, event in enumerate(({"op": "set", "key": "k", "value": b"v"}, {"op": "get", "key": "k"}, {"op": "clear"})):
            self.client.send("cache", {"event_id": f"off-{number}", **event})
            answer = self.client.wait("cache-result", lambda r: r["event_id"] == f"off-{number}")
            self.assertEqual((answer["hit"], answer["reason"]), (False, "disabled"))

    def test_the_memory_optimizer_does_not_run(self):
        second = self.client.wait_all("metrics", count=3)[2]
        self.assertFalse(second["memory"]["enabled"])
        self.assertEqual(second["optimization_metrics"]["gc_collections"], 0)


class WithoutWarmStarts(WithSystem):
    options = {"pool.warm_start": "false"}

    def test_always_a_fresh_one(self):
        first = self.acquire("f-1")
        self.release("f-1")
        self.system.wait_pool("react", leased=0)
        second = self.acquire("f-2")
        self.assertFalse(second["warm_start"])
        self.assertNotEqual(second["container_id"], first["container_id"])


class EvolvedWriters(unittest.TestCase):
    def test_a_newer_schema_is_read_beside_the_current_one(self):
        newer = {"type": "record", "name": "ContainerAcquire", "namespace": "warmpool", "fields": [
            {"name": "labels", "type": {"type": "map", "values": "string"}, "default": {}},
            {"name": "request_id", "type": "string"}, {"name": "agent_id", "type": "string"},
            {"name": "philosophy", "type": "string"}, {"name": "timeout_ms", "type": ["null", "int"], "default": None}]}
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        with open(os.path.join(folder.name, "acquire-v2.avsc"), "w", encoding="utf-8") as file:
            json.dump(newer, file)
        with System(options={"wire.schemas": folder.name}) as system:
            client = Client(system)
            datum = io.BytesIO()
            fastavro.schemaless_writer(datum, newer, {"labels": {"team": "a"}, "request_id": "v2", "agent_id": "a",
                                                      "philosophy": "react", "timeout_ms": 20000})
            mark = bytes.fromhex(fingerprint(to_parsing_canonical_form(newer), "CRC-64-AVRO"))
            client.send_raw("container-acquire", b"\xc3\x01" + mark + datum.getvalue())
            answer = client.wait("container-assignment", lambda r: r["request_id"] == "v2")
            self.assertEqual((answer["status"], answer["agent_id"]), ("assigned", "a"))
            self.assertEqual(client.acquire("v1")["status"], "assigned")


class TwoHosts(WithSystem):
    options, workers = {"host.capacity": 4, "host.ttl_ms": 10000, "pool.size": 8, "kafka.session.timeout.ms": 6000}, 2

    def test_containers_spread_and_a_dead_host_loses_only_its_own(self):
        answers = [self.acquire(f"h-{number}", "spread") for number in range(8)]
        self.assertEqual(sorted(answer["host"] for answer in answers), ["w1"] * 4 + ["w2"] * 4)
        self.ask("h-waits", "spread", timeout_ms=60000)
        self.system.wait_pool("spread", waiting=1)
        self.system.workers[1].kill()
        own = {answer["request_id"] for answer in answers if answer["host"] == "w2"}

        def losses():  # the partitions of the dead worker begin again: an answer may come twice
            return [record for record in self.client.read("container-assignment") if record["status"] == "lost"]
        wait_until(lambda: {record["request_id"] for record in losses()} >= own, lambda: f"{own} are lost: {losses()}")
        lost = losses()
        self.assertEqual({record["request_id"] for record in lost}, own)
        self.assertEqual({first_word(record) for record in lost}, {"host_down"})
        self.release(next(a["request_id"] for a in answers if a["host"] == "w1"), "spread")
        self.assertEqual(self.answer("h-waits")["host"], "w1")
        for answer in answers:
            self.assertEqual(alive(pid_of(answer)), answer["host"] == "w1")


class PreWarming(unittest.TestCase):
    def test_at_the_start_and_then_what_runs_low(self):
        options = {"pool.prewarm": "react:2,chain_of_thought:6", "pool.size": 6, "pool.prewarm_interval": 1, "pool.prewarm_count": 1,
                   "pool.prewarm_below_percent": 100}
        with System(options=options) as system:
            client = Client(system)

            def pool(name):
                stats = json.loads(system.redis.client.fcall_ro("wp_pool_stats", 1, "wp:{pool}"))
                return stats["pools"].get(name, {"available": 0, "leased": 0, "creating": 0})

            wait_until(lambda: pool("chain_of_thought")["available"] == 6, lambda: f"six at the start: {pool('chain_of_thought')}")
            wait_until(lambda: pool("react")["available"] >= 2, lambda: f"two at the start: {pool('react')}")
            self.assertTrue(client.acquire("r-1")["warm_start"])
            wait_until(lambda: pool("react")["available"] == 6, lambda: f"rounds fill a pool in use: {pool('react')}")
            asked = client.wait_all("pool-control", lambda r: r["philosophy"] == "react", 2)
            self.assertTrue(all(r["op"] == "pre_warm" and r["control_id"].startswith("prewarm/") for r in asked), asked)


if __name__ == "__main__":
    unittest.main()
