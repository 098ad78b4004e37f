"""The checker of the judge finds what is planted: a history without a fault, and each kind of violation put into it."""
import contextlib
import copy
import io
import json
import tempfile
import unittest
from pathlib import Path

import breaks
from checker import CONTAINER_KINDS, KINDS, check
from judge import Judge
from planting import expect_each_is_named


class History:
    """Builds the lines that a client would have written."""

    def __init__(self):
        self.lines, self.number, self.time = [], 0, 1_000_000
        self.ends = {}
        self.write("run", seed=0)

    def write(self, is_, **fields):
        self.lines.append({"is": is_, **fields})

    def place(self, topic, partition):
        offset = self.ends.get((topic, partition), 0)
        self.ends[topic, partition] = offset + 1
        self.time += 10
        return {"partition": partition, "offset": offset, "time": self.time}

    def send(self, topic, event, partition=0, wrong=""):
        self.number += 1
        self.write("send", n=self.number, topic=topic, event=event, wrong=wrong)
        place = self.place(topic, partition)
        self.write("sent", n=self.number, **place)
        return place

    def read(self, topic, record):
        self.write("read", topic=topic, **self.place(topic, 0), bytes=json.dumps(record, sort_keys=True), record=record)

    def acquire(self, request, **fields):
        self.send("container-acquire", {"request_id": request, "agent_id": "a1", "philosophy": "react", "tenant": "blue", **fields})

    def assigned(self, request, container, epoch):
        self.answer(request, "assigned", container_id=container, lease_epoch=epoch, lease_expires_at=self.time + 500)

    def answer(self, request, status, container_id=None, lease_epoch=0, lease_expires_at=0, reason=None):
        self.read("container-assignment", {"request_id": request, "agent_id": "a1", "philosophy": "react", "status": status, "reason": reason,
                                           "container_id": container_id, "lease_epoch": lease_epoch, "lease_expires_at": lease_expires_at})

    def release(self, request, **fields):
        self.send("container-release", {"request_id": request, "philosophy": "react", **fields})

    def cache(self, name, op, key="k", answer=None, partition=0, **fields):
        """An event of the cache and its answer: value, hit and others."""
        event = {"event_id": name, "op": op, "namespace": "tool", **({"key": key} if key else {}), **fields}
        self.send("cache", event, partition)
        if answer is not None:
            self.read("cache-result", {"event_id": name, "op": op, "namespace": "tool", "key": key or "", "hit": False, **answer})

    def usage(self, philosophy, cpu, **fields):
        self.send("usage-record", {"philosophy": philosophy, "cpu_percent": cpu, **fields})

    def end(self):
        self.write("load_ended")
        self.write("predicted", philosophy="u", samples=3, requirements={"cpu_percent": 240.0, "memory_mb": 256.0,
                                                                         "execution_time_seconds": 60.0})
        for (topic, partition), end in self.ends.items():
            if topic in ("container-acquire", "container-release", "usage-record", "cache"):
                self.write("partition", topic=topic, partition=partition, low=0, high=end, committed=end)
        self.write("leases", count=0)
        self.write("ended")
        return self.lines


def good():
    story = History()
    # One container serves three requests; the last lease expires. An answer is repeated.
    story.acquire("r1")
    story.assigned("r1", "c1", 5)
    story.release("r1", container_id="c1")
    story.acquire("r2")
    story.assigned("r2", "c1", 6)
    story.lines.append({**story.lines[-1], "offset": 90})
    story.release("r2")
    story.acquire("r3", lease_ms=500)
    story.assigned("r3", "c1", 7)
    story.time += 1000
    story.answer("r3", "lost", container_id="c1", lease_epoch=7, reason="lease_expired")
    # One is given back not to be used again, one is cancelled, one waits too long, one is not valid.
    story.acquire("r4")
    story.assigned("r4", "c2", 8)
    story.release("r4", reuse=False)
    story.acquire("r5")
    story.release("r5")
    story.answer("r5", "rejected", reason="cancelled")
    story.acquire("r6", timeout_ms=500)
    story.time += 5000
    story.answer("r6", "rejected", reason="timeout: 3 ahead")
    place = story.send("container-acquire", {"request_id": "r7", "agent_id": "a1", "philosophy": "no such"}, wrong="a name has no spaces")
    story.answer("r7", "rejected", reason="invalid: philosophy")
    story.read("dead-letter", {"topic": "container-acquire", "partition": place["partition"], "offset": place["offset"], "reason": "invalid"})
    # The cache: set, read from the same partition and another one, replaced, removed, expired.
    story.cache("g0", "get", answer={})
    story.cache("s1", "set", answer={}, value="s1/2/00")
    story.cache("g1", "get", answer={"hit": True, "value": "s1/2/00"})
    story.cache("s2", "set", answer={"hit": True}, value="s2/2/00")
    story.cache("g2", "get", answer={"hit": True, "value": "s2/2/00"}, partition=1)
    story.cache("i1", "invalidate", answer={"hit": True})
    story.cache("g3", "get", answer={}, partition=1)
    story.cache("s3", "set", answer={}, value="s3/2/00")
    story.cache("c1", "clear", key=None, answer={"hit": True, "count": 1})
    story.cache("g4", "get", answer={})
    story.cache("s4", "set", key="soon", answer={}, value="s4/2/00", ttl_seconds=1)
    story.time += 10000
    story.cache("g5", "get", key="soon", answer={})
    # Three records count: one has an id and is sent twice.
    story.usage("u", 100.0)
    story.usage("u", 200.0, record_id="x")
    story.usage("u", 200.0, record_id="x")
    story.usage("u", 300.0)
    story.read("prediction", {"philosophy": "u", "samples": 3, "requirements": {}})
    return story.end()


# ---- planting: each takes a history, and gives it back with one violation ----

def find(lines, is_, **fields):
    """Index of the first line like this; fields of its event or record, too."""
    for index, line in enumerate(lines):
        every = {**line.get("event", {}), **line.get("record", {}), **line}
        if line["is"] == is_ and all(every.get(name) == value for name, value in fields.items()):
            return index
    raise AssertionError(f"no line is {is_} with {fields}")


def read_of(lines, **fields):
    return lines[find(lines, "read", **fields)]["record"]


def without(lines, is_, **fields):
    del lines[find(lines, is_, **fields)]


def repeated(lines, is_, change, **fields):
    """The line once more at the end of what was read, changed."""
    line = copy.deepcopy(lines[find(lines, is_, **fields)])
    line["record"].update(change)
    line["bytes"] += str(change)
    lines.insert(find(lines, "load_ended"), line)


def swapped(lines, first, second):
    """The second line comes before the first."""
    lines.insert(first, lines.pop(second))


def unsend(lines, **fields):
    """The event was never sent."""
    index = find(lines, "send", **fields)
    topic, number = lines[index]["topic"], lines[index]["n"]
    del lines[index]
    partition = lines.pop(find(lines, "sent", n=number))["partition"]
    lines[find(lines, "partition", topic=topic, partition=partition)]["low"] += 1  # so that the history stays whole


PLANTS = [
    ("unanswered", "an acquire without an answer", lambda lines: without(lines, "read", request_id="r6")),
    ("unanswered", "a get without an answer", lambda lines: without(lines, "read", event_id="g0")),
    ("two answers", "another container the second time", lambda lines: repeated(lines, "read", {"container_id": "c9"}, request_id="r1")),
    ("two answers", "rejected after it was assigned",
     lambda lines: repeated(lines, "read", {"status": "rejected", "reason": "timeout"}, request_id="r1")),
    ("two answers", "another answer to a set", lambda lines: repeated(lines, "read", {"hit": True}, event_id="s1")),
    ("answer to nobody", "an unknown request", lambda lines: repeated(lines, "read", {"request_id": "r99"}, request_id="r1")),
    ("answer to nobody", "another agent", lambda lines: read_of(lines, request_id="r1").update(agent_id="a2")),
    ("answer to nobody", "an unknown event", lambda lines: repeated(lines, "read", {"event_id": "g99"}, event_id="g0")),
    ("wrong rejection", "no reason", lambda lines: read_of(lines, request_id="r6").update(reason="")),
    ("wrong rejection", "too early", lambda lines: lines[find(lines, "send", request_id="r6")]["event"].update(timeout_ms=60000)),
    ("wrong rejection", "cancelled by nobody", lambda lines: unsend(lines, topic="container-release", request_id="r5")),
    ("wrong rejection", "invalid although it was valid", lambda lines: read_of(lines, request_id="r6").update(reason="invalid: x")),
    ("two holders", "assigned before it was given back", lambda lines: swapped(
        lines, find(lines, "send", topic="container-release", request_id="r1"), find(lines, "read", request_id="r2"))),
    ("two holders", "the first holder never gave it back", lambda lines: unsend(lines, topic="container-release", request_id="r1")),
    ("two holders", "published before the broker had the release", lambda lines: [
        line.update(time=0) for line in lines if line["is"] == "read" and line["record"].get("request_id") == "r2"]),
    ("leased after its end", "assigned after it was lost", lambda lines: repeated(
        lines, "read", {"status": "lost", "reason": "died"}, request_id="r1")),
    ("leased after its end", "assigned after it was to be destroyed", lambda lines: lines[find(
        lines, "send", topic="container-release", request_id="r1")]["event"].update(reuse=False)),
    ("two tenants", "another tenant's", lambda lines: lines[find(lines, "send", request_id="r2")]["event"].update(tenant="red")),
    ("epoch", "one epoch twice", lambda lines: read_of(lines, request_id="r4").update(lease_epoch=7)),
    ("lost", "lost without a lease", lambda lines: repeated(lines, "read", {"status": "lost", "reason": "died"}, request_id="r6")),
    ("lost", "lost twice in other words", lambda lines: repeated(lines, "read", {"reason": "died"}, status="lost")),
    ("lost", "expired too early", lambda lines: lines[find(lines, "read", status="lost")].update(time=1)),
    ("lease never ended", "an expiry that nobody was told", lambda lines: without(lines, "read", status="lost")),
    ("lease never ended", "one is on at the end", lambda lines: lines[find(lines, "leases")].update(count=1)),
    ("stale value", "replaced, read in the same partition", lambda lines: lines.insert(find(lines, "read", event_id="g4"), {
        **lines[find(lines, "read", event_id="g1")], "record": {**read_of(lines, event_id="g4"), "hit": True, "value": "s2/2/00"}})),
    ("stale value", "replaced, read in another partition", lambda lines: read_of(lines, event_id="g2").update(value="s1/2/00")),
    ("stale value", "invalidated", lambda lines: read_of(lines, event_id="g3").update(hit=True, value="s2/2/00")),
    ("stale value", "cleared", lambda lines: read_of(lines, event_id="g4").update(hit=True, value="s3/2/00")),
    ("stale value", "expired", lambda lines: read_of(lines, event_id="g5").update(hit=True, value="s4/2/00")),
    ("missing value", "gone for no reason", lambda lines: read_of(lines, event_id="g2").update(hit=False, value=None)),
    ("value of nobody", "a value of another key", lambda lines: read_of(lines, event_id="g5").update(hit=True, value="s3/2/00")),
    ("value of nobody", "damaged", lambda lines: read_of(lines, event_id="g2").update(value="s2/2/01")),
    ("usage", "one counted twice", lambda lines: lines[find(lines, "predicted")].update(samples=4)),
    ("usage", "one instead of another", lambda lines: lines[find(lines, "predicted")]["requirements"].update(cpu_percent=200.0)),
    ("usage", "none counted", lambda lines: without(lines, "predicted")),
    ("usage", "more predicted from than were sent", lambda lines: read_of(lines, topic="prediction").update(samples=4)),
    ("dead letter", "a valid event", lambda lines: repeated(lines, "read", {"offset": 0}, topic="dead-letter")),
    ("dead letter", "an invalid event that is not there", lambda lines: without(lines, "read", topic="dead-letter")),
    ("not committed", "behind", lambda lines: lines[find(lines, "partition")].update(committed=1)),
    ("not committed", "never", lambda lines: lines[find(lines, "partition")].update(committed=None)),
    ("worker died", "by itself", lambda lines: lines.append({"is": "died", "worker": "w1", "code": -6})),
    ("worker not ready", "after all faults", lambda lines: lines.append({"is": "not_ready", "why": "w1: kafka: fenced"})),
]


class Checker(unittest.TestCase):
    def test_a_good_history_has_no_violation(self):
        judgement = check(good())
        self.assertEqual((judgement.violations, judgement.unproven), ([], []))
        self.assertEqual({name: judgement.counts[name] for name in ("acquires", "assigned", "repeats", "successions", "lost", "usage records")},
                         {"acquires": 7, "assigned": 4, "repeats": 1, "successions": 2, "lost": 1, "usage records": 3})
        self.assertEqual((judgement.counts["values compared"], judgement.counts["misses compared"]), (2, 4))

    def test_each_planted_violation_is_named(self):
        expect_each_is_named(self, good, PLANTS)

    def test_each_kind_is_planted(self):
        self.assertEqual({kind for kind, _, _ in PLANTS}, set(KINDS) - set(CONTAINER_KINDS))

    def test_a_history_that_is_not_whole_proves_nothing(self):
        cut, unsent, extra = good(), good(), good()
        del cut[-1]
        without(unsent, "sent", n=3)
        extra[find(extra, "partition", topic="cache", partition=0)]["high"] += 1
        for lines in ([], cut, unsent, extra):
            self.assertTrue(check(lines).unproven)

    def test_a_run_that_tested_nothing_fails(self):
        faults = {"worker killed": 5, "Redis killed": 5, "Kafka killed": 5}
        with contextlib.redirect_stdout(io.StringIO()) as out:
            self.assertEqual(Judge().report(check(good()), faults, minutes=2), 2)
            self.assertEqual(Judge().report(check(good()), faults, minutes=0), 0)
            self.assertEqual(Judge().report(check(good()), {}, minutes=1), 2)
        self.assertIn("unproven: acquires: 7 (at least 500)", out.getvalue())
        self.assertTrue(out.getvalue().endswith("violations: 0\n"))

    def test_violations_are_counted_in_the_last_line(self):
        lines = good()
        without(lines, "read", request_id="r6")
        with contextlib.redirect_stdout(io.StringIO()) as out:
            self.assertEqual(Judge().report(check(lines), {}, minutes=0), 1)
        self.assertTrue(out.getvalue().endswith("violations: 1\n"))


class Breaks(unittest.TestCase):
    def test_each_break_of_a_worker_can_still_be_made(self):
        for name in breaks.BREAKS:
            with self.subTest(name=name), tempfile.TemporaryDirectory(prefix="warmpool-break-") as folder:
                breaks.copy_sources(Path(folder))
                breaks.apply(Path(folder), name)


if __name__ == "__main__":
    unittest.main()
