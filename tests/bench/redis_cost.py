"""What an event costs Redis at 500 events a call: its own time (INFO commandstats) and bytes of its append-only file. Beside them the
processor time of Redis' thread in all, with what reading, answering and writing the file takes: a machine that is busy with something
else makes the former longer, not this."""
import json

from backlog import Driven
from rounds import measure

PHILOSOPHIES = 4
CONTAINERS = 12_000
EVENTS = {"acquire": CONTAINERS, "release": CONTAINERS, "usage": 24_000, "set": 12_000, "get": 12_000}
KEYS, VALUE = 500, 1024
MESSAGES = {
    "acquire": {"request_id": "r-000000001", "agent_id": "agent-1", "philosophy": "p1"},
    "release": {"request_id": "r-000000001", "philosophy": "p1", "reuse": True},
    "usage": {"record_id": "u-000000001", "agent_id": "agent-1", "philosophy": "p1", "cpu_percent": 6, "memory_usage_mb": 101, "execution_time": 2},
    "set": {"event_id": "c-000000001", "op": "set", "namespace": "tool", "key": "k-1", "value": f"{VALUE} bytes", "ttl_seconds": 3600},
    "get": {"event_id": "c-000000001", "op": "get", "namespace": "tool", "key": "k-1"},
}
TARGETS = [("acquire_us", " us", 6, True), ("acquire_file_bytes", "", 450, True), ("release_us", " us", 4.5, True), ("release_file_bytes", "", 260, True),
           ("usage_us", " us", 2, True), ("get_us", " us", 3, True), ("get_file_bytes", "", 150, True)]


def one_round(bench, driven):
    one, acquires = {}, driven.next.get("acquire", 0)
    for kind, events in EVENTS.items():
        first = acquires if kind == "release" else None
        philosophies = 1 if kind in ("set", "get") else PHILOSOPHIES
        cost = driven.drive(kind, max(1000, bench.count(events)), philosophies, keys=KEYS, value=VALUE, first=first)
        one[f"{kind}_us"] = round(cost["us"] / cost["events"], 2)
        one[f"{kind}_thread_us"] = round(cost["cpu"] / cost["events"], 2)
        one[f"{kind}_file_bytes"] = round(cost["file"] / cost["events"])
        one[f"{kind}_events_for_a_call_of_any_kind"] = round(cost["events"] / cost["calls"])
    return one


def run(bench, rounds):
    """One worker for all rounds; the first warms up and is not looked at. One call at a time: the next one is full by the time that it may go."""
    bench.redis("CONFIG", "SET", "auto-aof-rewrite-percentage", "0")
    driven = Driven(bench, CONTAINERS, PHILOSOPHIES, ["worker.batch=500", "worker.calls=1"])
    one_round(bench, driven)
    result = measure(bench, "redis", rounds, lambda _: one_round(bench, driven), TARGETS, clean=False)
    driven.stop()
    bench.clean()
    bench.redis("CONFIG", "SET", "auto-aof-rewrite-percentage", "100")
    return {**result, "messages": {kind: json.dumps(message) for kind, message in MESSAGES.items()}}
