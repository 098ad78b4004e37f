"""Two minutes of the storm of containers: no violation. What is planted into that very history is found."""
import os
import shutil
import tempfile
import unittest

from checker import check
from history import load
from own_engine import need_engine
from planting import expect_found_in
from storm import Storm
from test_checker import find

MINUTES, SEED = 2, 1
LONG_MS = 60000  # beyond what may be, on however slow a machine


def a_death_before_the_lease(lines):
    """A container had been started, and the engine had told of its end, long before somebody got it."""
    lease = next(line for line in lines if line["is"] == "read" and line["record"].get("status") == "assigned")
    name = lease["record"]["container_id"]
    started = next(line for line in lines if line["is"] == "container" and line["what"] == "start" and line["name"] == name)
    lines[:] = [line for line in lines if line["is"] != "fault" and (line["is"], line.get("name")) != ("container", name)]
    ended = lease["record"]["lease_epoch"] / 1000 - LONG_MS
    lines += [{**started, "time": ended - LONG_MS}, {**started, "what": "die", "time": ended}]


def a_container_that_stays(lines):
    lines[find(lines, "whole")]["difference"] = {"w1": "wp-react-1"}


class TwoMinutes(unittest.TestCase):
    def test_nothing_that_happens_to_containers_breaks_a_promise(self):
        folder = tempfile.mkdtemp(prefix="warmpool-storm-")
        path = os.path.join(folder, "history.jsonl")
        print(f"seed: {SEED}\nhistory: {path}", flush=True)
        storm = Storm()
        faults = storm.play(MINUTES, SEED, path)
        self.assertEqual(storm.report(check(load(path)), faults, MINUTES, path), 0, f"the history and the logs are in {folder}")
        expect_found_in(self, path, (("dead", a_death_before_the_lease), ("engine differs", a_container_that_stays)))
        shutil.rmtree(folder)


if __name__ == "__main__":
    need_engine()
    unittest.main()
