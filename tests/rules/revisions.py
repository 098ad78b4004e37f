#!/usr/bin/env python3
"""Each text of a Redis function library has a revision of its own.

A worker replaces a library with a lower revision and uses one with a higher: a text that changed under its old revision would never be
loaded. redis/revisions has the revision and hash of each library as it was last; this compares them with what the files are now.

    revisions.py            says what does not fit, and fails
    revisions.py --write    raises the revision of each library whose text has changed, and writes redis/revisions
    revisions.py --test     tries this file itself
"""
import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLE = ROOT / "redis" / "revisions"
MARK = re.compile(r"^-- revision (\d+)$", re.M)


def libraries(source):
    """{name: files} of the table in worker/store/library.c."""
    table = source[source.index("libraries[] ="):source.index("};", source.index("libraries[] ="))]
    found = {}
    for entry in re.findall(r'\{\s*"(\w+)",\s*WP_SLOT_\w+,\s*\{([^}]*)\}\s*\}', table):
        found[entry[0]] = re.findall(r'"(\w+\.lua)"', entry[1])
    return found


def text_hash(data):
    """FNV-1a, as wp_str_hash64."""
    value = 0xcbf29ce484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 & 0xffffffffffffffff
    return "%016x" % value


def state_of(files, read):
    """(revision, hash) of a library. The revision's own line is no part of what is compared: raising it alone changes nothing."""
    texts = [read(name) for name in files]
    mark = MARK.search(texts[-1])
    texts[-1] = MARK.sub("-- revision", texts[-1], count=1)
    return int(mark.group(1)) if mark else 0, text_hash("".join(text + "\n" for text in texts).encode())


def parse(table):
    return {name: (int(revision), digest) for name, revision, digest in (line.split() for line in table.splitlines() if line and line[0] != "#")}


def fault(name, now, before):
    """What is wrong with a library, or None. now, before: (revision, hash); before: None when the table does not have it."""
    if before is None:
        return f"{name}: redis/revisions does not have it"
    if now == before:
        return None
    if now[1] != before[1] and now[0] <= before[0]:
        return f"{name}: its text has changed, and its revision is still {now[0]}"
    if now[0] < before[0]:
        return f"{name}: its revision went back from {before[0]} to {now[0]}"
    return f"{name}: redis/revisions has revision {before[0]}, the file has {now[0]}"


def read_lua(name):
    return (ROOT / "redis" / name).read_text()


def check():
    before = parse(TABLE.read_text()) if TABLE.exists() else {}
    all_files = libraries((ROOT / "worker/store/library.c").read_text())
    faults = [fault(name, state_of(files, read_lua), before.get(name)) for name, files in all_files.items()]
    return [text for text in faults if text]


def write():
    before = parse(TABLE.read_text()) if TABLE.exists() else {}
    lines = ["# Written by tests/rules/revisions.py --write: library, revision, hash of its text."]
    for name, files in libraries((ROOT / "worker/store/library.c").read_text()).items():
        revision, digest = state_of(files, read_lua)
        old = before.get(name)
        if old and digest != old[1] and revision <= old[0]:
            revision = old[0] + 1
            path = ROOT / "redis" / files[-1]
            path.write_text(MARK.sub(f"-- revision {revision}", path.read_text(), count=1))
        lines.append(f"{name} {revision} {digest}")
    TABLE.write_text("\n".join(lines) + "\n")


class Revisions(unittest.TestCase):
    def test_a_text_that_changed_needs_another_revision(self):
        self.assertIsNone(fault("a", (3, "x"), (3, "x")))
        self.assertIn("still 3", fault("a", (3, "y"), (3, "x")))
        self.assertIn("still 2", fault("a", (2, "y"), (3, "x")))
        self.assertIn("went back", fault("a", (2, "x"), (3, "x")))
        self.assertIn("has revision 3", fault("a", (4, "y"), (3, "x")))
        self.assertIn("does not have it", fault("a", (1, "x"), None))

    def test_a_revision_alone_changes_no_text(self):
        first = state_of(["a.lua", "b.lua"], {"a.lua": "one", "b.lua": "-- revision 1\ntwo"}.get)
        second = state_of(["a.lua", "b.lua"], {"a.lua": "one", "b.lua": "-- revision 2\ntwo"}.get)
        other = state_of(["a.lua", "b.lua"], {"a.lua": "One", "b.lua": "-- revision 2\ntwo"}.get)
        self.assertEqual((first[0], second[0]), (1, 2))
        self.assertEqual(first[1], second[1])
        self.assertNotEqual(second[1], other[1])

    def test_the_table_of_libraries_is_read_whole(self):
        found = libraries('x libraries[] = {\n {"wp_a",\n WP_SLOT_POOL,\n {"a.lua", "b.lua"}},\n {"wp_b", WP_SLOT_CACHE, {"c.lua"}},\n};')
        self.assertEqual(found, {"wp_a": ["a.lua", "b.lua"], "wp_b": ["c.lua"]})
        real = libraries((ROOT / "worker/store/library.c").read_text())
        self.assertTrue(all(real.values()) and len(real) >= 4, real)


def main():
    if "--write" in sys.argv:
        write()
        return 0
    if "--test" in sys.argv:
        return 0 if unittest.main(argv=sys.argv[:1], exit=False).result.wasSuccessful() else 1
    faults = check()
    for text in faults:
        print(text)
    if faults:
        print("run tests/rules/revisions.py --write")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
