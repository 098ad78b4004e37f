"""What is judged of containers finds what is planted: a history of a storm without a fault, and each kind of violation put into it."""
import contextlib
import io
import json
import tempfile
import unittest

from checker import check
from container_checks import DEAD_MS, KINDS, READY_MS, SILENT_MS
from planting import expect_each_is_named
from storm import Storm
from test_checker import History, find, read_of, without

SETTINGS = {"pool__reuse.react": "same_tenant", "pool__reuse.open": "always", "pool__min_idle.react": 1}


class StormHistory(History):
    def __init__(self):
        super().__init__()
        self.lines[0]["settings"] = dict(SETTINGS)

    def write(self, is_, **fields):
        super().write(is_, t=self.time, **fields)

    def seen(self, what, name, **more):
        self.write("container", what=what, name=name, host="w1", philosophy="react", time=self.time, **more)

    def starts(self, name, generation=0):
        self.seen("create", name)
        self.time += 300
        self.seen("start", name, generation=generation, pid=1)

    def handed_out(self, request, container, **fields):
        self.acquire(request, **fields)
        self.assigned(request, container, self.time * 1000)
        self.time += 50

    def fault(self, what, seconds, on="engine"):
        self.write("fault", what=what, on=on, step="begin")
        self.time += seconds * 1000
        self.write("fault", what=what, on=on, step="end")

    def pools(self, ready, waiting=0):
        self.write("pools", pools={"react": {"ready": ready, "waiting": waiting}})


def good():
    story = StormHistory()
    for name in ("c1", "c2", "c3", "c4", "c5"):
        story.starts(name)
    story.pools(5)
    # c1 serves twice the same tenant, who finds his own traces; it dies in the hand of the second, who is told.
    story.handed_out("r1", "c1")
    story.write("visit", request="r1", container="c1", tenant="blue", saw=[], left="mark.blue.r1")
    story.release("r1")
    story.handed_out("r2", "c1")
    story.write("visit", request="r2", container="c1", tenant="blue", saw=["mark.blue.r1"], left="mark.blue.r2")
    story.time += 2000
    story.seen("die", "c1", exitCode="137")
    story.answer("r2", "lost", container_id="c1", lease_epoch=read_of(story.lines, request_id="r2")["lease_epoch"], reason="container_died: killed")
    story.time += 2000
    story.release("r2")
    # c2 dies idle, and is handed out a moment later; c3 does so while the engine is frozen. Both are told.
    story.seen("die", "c2")
    story.handed_out("r3", "c2")
    story.answer("r3", "lost", container_id="c2", lease_epoch=read_of(story.lines, request_id="r3")["lease_epoch"], reason="container_died: killed")
    story.seen("ended", "c3")
    story.write("fault", what="engine frozen", on="engine", step="begin")
    story.time += 4000
    story.handed_out("r4", "c3")
    story.time += 1000
    story.write("fault", what="engine frozen", on="engine", step="end")
    story.seen("die", "c3")
    story.answer("r4", "lost", container_id="c3", lease_epoch=read_of(story.lines, request_id="r4")["lease_epoch"], reason="container_died: killed")
    # The pool is short while the engine is away and while a request waits, and then for a moment.
    story.pools(0)
    story.fault("engine killed", 20)
    story.time += 3000
    story.pools(0, waiting=1)
    story.time += 20000
    story.pools(0)
    story.time += 2000
    story.pools(2)
    # c4 is paused by hand, resumed, and handed out; then the definition changes, and c5, an old one, goes.
    story.seen("pause", "c4")
    story.time += 5000
    story.seen("unpause", "c4")
    story.handed_out("r5", "c4")
    story.release("r5", reuse=False)
    story.fault("definition changed", 1, on="react")
    story.write("definition", philosophy="react", generation=1)
    story.handed_out("r6", "c5")
    story.release("r6", reuse=False)
    story.starts("c6", generation=1)
    story.write("rolled_out", philosophy="react", generation=1)
    story.handed_out("r7", "c6")
    story.release("r7")
    # c8 ends before it is ready, and is made again with its name.
    story.starts("c8", generation=1)
    story.seen("die", "c8")
    story.seen("ended", "c8")
    story.time += 2 * SILENT_MS
    story.starts("c8", generation=1)
    story.time += 5000
    story.handed_out("r9", "c8")
    story.release("r9")
    # At the end somebody comes who was never there.
    story.starts("c7", generation=1)
    story.handed_out("r8", "c7", tenant="newcomer")
    read_of(story.lines, request_id="r8", status="assigned")["warm_start"] = True
    story.release("r8")
    story.write("whole", difference={})
    return story.end()


def earlier(lines, ms, **line):
    """So was the container's start."""
    for what in {line["what"], "create", "start"}:
        lines[find(lines, "container", what=what, name=line["name"])]["time"] -= ms


def without_fault(lines, what):
    lines[:] = [line for line in lines if line["is"] != "fault" or line["what"] != what]


def other_worker(lines, name):
    """The fault was a worker's, not the engine's."""
    for line in lines:
        if line["is"] == "fault" and line["what"] == "engine frozen":
            line.update(what="worker killed", on=name)


def short_for(lines, ms):
    """The pool's last shortage lasts so much longer."""
    last = max(index for index, line in enumerate(lines) if line["is"] == "pools")
    for line in lines[last:]:
        line["t"] += ms


PLANTS = [
    ("dead", "its death was known for long", lambda lines: earlier(lines, DEAD_MS + 100, what="die", name="c2")),
    ("dead", "its first process had ended long before", lambda lines: lines.insert(find(lines, "load_ended"), {
        **lines[find(lines, "container", what="start", name="c5")], "what": "ended"})),
    ("dead", "the engine said so late", lambda lines: earlier(lines, SILENT_MS, what="ended", name="c3")),
    ("dead", "the engine was silent, but not for so long", lambda lines: earlier(lines, 2 * SILENT_MS, what="die", name="c3")),
    ("dead", "the engine was not silent", lambda lines: (earlier(lines, 5000, what="die", name="c3"), without_fault(lines, "engine frozen"))),
    ("dead", "the worker of another host was away", lambda lines: (earlier(lines, 5000, what="die", name="c3"), other_worker(lines, "w2"))),
    ("dead", "its second life was over, too", lambda lines: lines.insert(find(lines, "load_ended"), {
        **lines[find(lines, "container", what="start", name="c8")], "what": "die", "time": read_of(lines, request_id="r9")["lease_epoch"] / 1000 - 4000})),
    ("death not told", "nobody said that it was lost", lambda lines: without(lines, "read", request_id="r2", status="lost")),
    ("paused", "it stays paused", lambda lines: without(lines, "container", what="unpause")),
    ("outdated", "an old one after all were new", lambda lines: lines[find(lines, "container", what="start", name="c6")].update(generation=0)),
    ("traces", "of another tenant", lambda lines: lines[find(lines, "visit", request="r1")].update(tenant="red")),
    ("traces", "of his own, though all is cleaned", lambda lines: lines[0]["settings"].update({"pool__clean": True})),
    ("not kept ready", "short for long", lambda lines: short_for(lines, READY_MS + 1000)),
    ("not kept ready", "the engine was not away", lambda lines: without_fault(lines, "engine killed")),
    ("not kept ready", "a newcomer's was made for him", lambda lines: read_of(lines, request_id="r8", status="assigned").update(warm_start=False)),
    ("engine differs", "one that Redis does not know", lambda lines: lines[find(lines, "whole")].update(difference={"w1": "c9"})),
]


class Checks(unittest.TestCase):
    def test_a_good_history_has_no_violation(self):
        judgement = check(good())
        self.assertEqual((judgement.violations, judgement.unproven), ([], []))
        counts = ("deaths", "handed out after the engine's event", "leases of containers that were seen", "visits", "newcomers", "times a pool was short",
                  "leases after a definition was rolled out")
        self.assertEqual([judgement.counts[name] for name in counts], [4, 1, 9, 2, 1, 1, 3])

    def test_each_planted_violation_is_named(self):
        expect_each_is_named(self, good, PLANTS)

    def test_each_kind_is_planted(self):
        self.assertEqual({kind for kind, _, _ in PLANTS}, set(KINDS))

    def test_reuse_by_anybody_lets_traces_of_others_be_seen_unless_all_is_cleaned(self):
        lines = good()
        lines[find(lines, "visit", request="r1")]["tenant"] = "red"
        lines[0]["settings"]["pool__reuse.react"] = "always"
        self.assertEqual(check(lines).violations, [])

    def test_what_is_found_comes_with_all_that_the_history_says_of_it(self):
        lines = good()
        for line in lines:
            for place in (line, line.get("record", {}), line.get("event", {})):
                for name in ("name", "container_id", "container"):
                    if place.get(name):
                        place[name] = f"wp-react-{place[name][1:]}"
        earlier(lines, DEAD_MS + 100, what="die", name="wp-react-2")
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file, contextlib.redirect_stdout(io.StringIO()) as out:
            file.write("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
            file.flush()
            self.assertEqual(Storm().report(check(lines), {}, 0, file.name), 1)
        about = [line for line in out.getvalue().splitlines() if line.startswith("    ")]
        self.assertEqual(len([line for line in about if '"what":"die"' in line]), 1, about)
        self.assertTrue(any('"status":"assigned"' in line for line in about), about)


if __name__ == "__main__":
    unittest.main()
