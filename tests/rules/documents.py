#!/usr/bin/env python3
"""What the documents name is there: each link leads to a file and to a heading in it, each configuration key is in docs/configuration.md, each
subcommand of warmpool in main.c, and each chapter of docs/ in its table of contents. Prints what is wrong, a line each; the exit status is 1 then.
--test: sees what is planted."""
import os
import re
import sys
import tempfile
import unittest
from pathlib import Path

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)", re.S)
FENCE = re.compile(r"^(`{3,}).*?^\1\s*$", re.M | re.S)
OF_METRICS = ("worker.redis.ready", "worker.acquire_to_assignment", "tuning.applied", "memory.failures")  # parts of the metrics record
NOT_OURS = re.compile(r"^(build.*|\..*|node_modules|target|.*\.egg-info)$")  # folders with documents that others wrote


def anchors(text):
    """The names that a heading's link has, as GitHub makes them."""
    found = {}
    for heading in re.findall(r"^#{1,6}\s+(.*?)\s*#*$", FENCE.sub("", text), re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        count = found.get(name, 0)
        found[name] = count + 1
        yield f"{name}-{count}" if count else name


def look(root, files):
    """What is wrong with the links of these documents, one sentence each."""
    for path in files:
        text = FENCE.sub("", path.read_text(encoding="utf-8"))
        for target in LINK.findall(re.sub(r"`[^`\n]*`", "", text)):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            to = (path.parent / name).resolve() if name else path
            if not to.exists():
                yield f"{path.relative_to(root)}: {target}: there is no such file"
            elif anchor and (to.suffix != ".md" or anchor not in set(anchors(to.read_text(encoding="utf-8")))):
                yield f"{path.relative_to(root)}: {target}: there is no such heading"
    contents = root / "docs" / "README.md"
    listed = LINK.findall(contents.read_text(encoding="utf-8")) if contents.exists() else []
    for path in files:
        if path.parent == root / "docs" and path.name != "README.md" and path.name not in listed:
            yield f"docs/README.md does not name {path.name}"


def keys_of(reference):
    """The keys of the table: plain ones, and the beginnings of open families (pool.size.PHILOSOPHY)."""
    names = re.findall(r"^\| `([a-z_]+\.[^`]+)` \|", reference, re.M)
    return {name for name in names if name == name.lower()}, {re.split(r"[A-Z]", name)[0] for name in names if name != name.lower()}


def look_at_keys(root, files):
    reference = root / "docs" / "configuration.md"
    if not reference.exists():
        return
    plain, families = keys_of(reference.read_text(encoding="utf-8"))
    sections = {name.split(".")[0] for name in plain | families}
    for path in files:
        for code in re.findall(r"`([a-z]+\.[a-z][a-z_.]*[a-z])(?: = [^`]*)?`", FENCE.sub("", path.read_text(encoding="utf-8"))):
            if code.split(".")[0] in sections and not re.search(r"\.(c|h|lua|py|md|avsc|conf|acl|yaml|service|ini)$", code) and code not in plain and code not in OF_METRICS \
                    and not any(code.startswith(family) for family in families):
                yield f"{path.relative_to(root)}: {code} is no configuration key"


def look_at_commands(root, files):
    table = root / "worker" / "main.c"
    known = set(re.findall(r"wp_cli_([a-z]+)", table.read_text(encoding="utf-8"))) if table.exists() else None
    for path in files if known else ():
        for block in re.findall(r"^```(?:sh|console)\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S):
            for name in re.findall(r"^(?:.*[|&(] ?)?(?:build/)?warmpool ([a-z]+)", block, re.M):
                if name not in known:
                    yield f"{path.relative_to(root)}: warmpool {name}: there is no such subcommand"


def documents(root):
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not NOT_OURS.match(name))
        yield from (Path(folder, name) for name in sorted(names) if name.endswith(".md"))


class Planted(unittest.TestCase):
    def found(self, **files):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder).resolve()
            paths = []
            for name, text in files.items():
                path = root / (name.replace("__", "/") + ".md")
                path.parent.mkdir(exist_ok=True)
                path.write_text(text)
                paths.append(path)
            return [*look(root, paths), *look_at_keys(root, paths), *look_at_commands(root, paths)]

    def test_what_leads_somewhere_is_well(self):
        self.assertEqual(self.found(a="# One `two`, three\n[b](b.md#x-y) [here](#one-two-three) [out](https://example.org/x)", b="## X y\n"), [])

    def test_a_file_that_is_not_there(self):
        self.assertEqual(self.found(a="[b](b.md)"), ["a.md: b.md: there is no such file"])

    def test_a_heading_that_is_not_there(self):
        self.assertEqual(self.found(a="[b](b.md#z)", b="# X\n"), ["a.md: b.md#z: there is no such heading"])

    def test_code_is_no_link(self):
        self.assertEqual(self.found(a="`[b](b.md)`\n```\n[c](c.md)\n# Z\n```\n"), [])

    def test_a_key_that_no_table_has(self):
        table = "| `pool.size` | 10 |\n| `pool.size.PHILOSOPHY` | |\n"
        self.assertEqual(self.found(docs__README="[x](configuration.md)", docs__configuration=table, a="`pool.size` `pool.size.react = 3` `pool.wrong = 1` `pool.lua`"),
                         ["a.md: pool.wrong is no configuration key"])

    def test_a_chapter_that_is_not_listed(self):
        self.assertEqual(self.found(docs__README="[x](x.md)", docs__x="", docs__y=""), ["docs/README.md does not name y.md"])


if __name__ == "__main__":
    if sys.argv[1:] == ["--test"]:
        unittest.main(argv=sys.argv[:1])
    root = Path(__file__).resolve().parents[2]
    files = list(documents(root))
    wrong = [*look(root, files), *look_at_keys(root, files), *look_at_commands(root, files)]
    print("\n".join(wrong), end="\n" if wrong else "")
    sys.exit(1 if wrong else 0)
