"""Two minutes of the judge: random events and faults, no violation. What is planted into that very history is found."""
import os
import shutil
import tempfile
import unittest

from checker import check
from history import load
from judge import Judge
from planting import expect_found_in
from test_checker import find

MINUTES, SEED = 2, 1


def an_answer_less(lines):
    request = next(line["record"]["request_id"] for line in lines if line["is"] == "read" and line["topic"] == "container-assignment")
    lines[:] = [line for line in lines if line["is"] != "read" or line["record"].get("request_id") != request]


def a_container_twice(lines):
    """The second of two leases of a container is assigned before the first is given back."""
    leases = {}
    for index, line in enumerate(lines):
        if line["is"] == "read" and line["record"].get("status") == "assigned":
            container, request = line["record"]["container_id"], line["record"]["request_id"]
            before = leases.setdefault(container, request)
            if before != request:
                release = find(lines, "send", topic="container-release", request_id=before)
                lines.insert(release, lines.pop(index))
                return
    raise AssertionError("no container was assigned twice")


def an_old_value(lines):
    """The last get that found something found the first value of its key."""
    first = {}
    for line in lines:
        if line["is"] == "send" and line["event"].get("op") == "set":
            first.setdefault((line["event"]["namespace"], line["event"]["key"]), line["event"]["value"])
    for line in reversed(lines):
        if line["is"] == "read" and line["topic"] == "cache-result" and line["record"]["op"] == "get" and line["record"]["hit"]:
            line["record"]["value"] = first[line["record"]["namespace"], line["record"]["key"]]
            return
    raise AssertionError("no get found anything")


def a_sample_more(lines):
    lines[find(lines, "predicted")]["samples"] += 1


class TwoMinutes(unittest.TestCase):
    def test_faults_break_no_promise(self):
        folder = tempfile.mkdtemp(prefix="warmpool-judge-")
        path = os.path.join(folder, "history.jsonl")
        print(f"seed: {SEED}\nhistory: {path}", flush=True)
        faults = Judge().play(MINUTES, SEED, path)
        self.assertEqual(Judge().report(check(load(path)), faults, MINUTES, path), 0, f"the history and the logs are in {folder}")
        expect_found_in(self, path, (("unanswered", an_answer_less), ("two holders", a_container_twice), ("stale value", an_old_value),
                                     ("usage", a_sample_more)))
        shutil.rmtree(folder)


if __name__ == "__main__":
    unittest.main()
