#!/usr/bin/env python3
"""Rooms of worker/ know each other one way, and no files call each other in a circle (docs/architecture.md).

usage: arrows.py [ROOT]      exit 1 with a line for each arrow or circle that is not in known.txt, and for each line of known.txt
                             that is true no longer: what was mended stays mended
       arrows.py --list      prints what known.txt would have to say

A file is `room/name`: its .c and its .h together. It knows another file when it includes its header, or calls a function that the other
defines. An arrow is what one room knows of another; a circle is a set of files of which each can be reached from each."""
import pathlib, re, sys

# Whom the files of a room may know, besides their own room. `cli` may know everybody, and is known by none.
ALLOWED = {
    "core": set(),
    "wire": {"core"},
    "kafka": {"core", "wire"},
    "store": {"core", "wire"},
    "delivery": {"core"},
    "sizing": {"core"},
    "pool": {"core", "wire", "store", "kafka"},
    "cache": {"core", "wire", "store", "kafka"},
    "predictor": {"core", "wire", "store", "kafka"},
    "pipeline": {"core", "wire", "kafka", "store", "delivery", "pool", "cache", "predictor", "trace"},
    "init": set(),
    "http": {"core"},
    "trace": {"core", "http"},
    "registry": {"core", "wire", "http"},
    "host": {"core", "wire", "kafka", "store", "pool", "init", "trace"},
    "host/docker": {"core", "host", "init", "http"},
    "host/process": {"core", "host", "init"},
    "host/kubernetes": {"core", "host", "http"},
    "top": {"core", "wire", "kafka", "store", "pool", "registry"},
    "ops": {"core", "wire", "kafka", "store", "sizing", "pool", "cache", "predictor"},
}
KNOWS_ALL = {"cli", ""}  # "": main.c
WORDS = re.compile(r"\b([A-Za-z_][A-Za-z0-9_]*)\s*\(")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)\.h"', re.M)
DEFINITION = re.compile(r"^(?!static\b|typedef\b|struct [a-z_]+ \{|#|\s)[A-Za-z_][\w \*]*?\b([a-z_][a-z0-9_]*)\((?:[^;{}]|\n)*?\)\s*\{", re.M)
STRIPPED = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'', re.S)


def read(root):
    """{file: (includes, functions it defines, words it calls)}"""
    files = {}
    for path in sorted((root / "worker").rglob("*.[ch]")):
        name = str(path.relative_to(root / "worker").with_suffix(""))
        text = path.read_text()
        code = STRIPPED.sub(lambda m: m[0] if m[0].startswith('"') and "\n" not in m[0] and text[: m.start()].endswith("include ") else " ", text)
        includes, defines, calls = files.setdefault(name, (set(), set(), set()))
        includes.update(i for i in INCLUDE.findall(text) if i != name)
        if path.suffix == ".c":
            defines.update(DEFINITION.findall(code))
            calls.update(WORDS.findall(code))
    return files


def room_of(name):
    return name.rpartition("/")[0]


def knows(files):
    """{file: the files that it knows}"""
    owner = {function: name for name, (_, defines, _) in files.items() for function in defines if function != "main"}  # two programs
    return {name: {i for i in includes if i in files} | {owner[w] for w in calls if owner.get(w, name) != name}
            for name, (includes, _, calls) in files.items()}


def wrong_arrows(graph):
    found = set()
    for name, others in graph.items():
        room = room_of(name)
        if room in KNOWS_ALL:
            continue
        for other in others:
            there = room_of(other)
            if there != room and there not in ALLOWED.get(room, set()):
                found.add(f"arrow {name} -> {other}")
    return found


def circles(graph):
    """Tarjan's strongly connected components of more than one file."""
    index, low, stack, on_stack, found, counter = {}, {}, [], set(), [], [0]

    def visit(node):
        index[node] = low[node] = counter[0]
        counter[0] += 1
        stack.append(node)
        on_stack.add(node)
        for other in sorted(graph[node]):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in on_stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            component = set()
            while True:
                other = stack.pop()
                on_stack.discard(other)
                component.add(other)
                if other == node:
                    break
            if len(component) > 1:
                found.append(component)

    sys.setrecursionlimit(10000)
    for node in sorted(graph):
        if node not in index:
            visit(node)
    return {"circle " + " ".join(sorted(c)) for c in found}


def look(root):
    graph = knows(read(root))
    return wrong_arrows(graph) | circles(graph)


def main(args):
    listing = args[:1] == ["--list"]
    root = pathlib.Path(args[-1] if args and not listing else __file__).resolve()
    root = root if root.is_dir() else root.parents[2]
    found = look(root)
    if listing:
        print("\n".join(sorted(found)))
        return 0
    known_file = root / "tests/rules/known.txt"
    known = set(known_file.read_text().split("\n")) - {""} if known_file.exists() else set()
    for line in sorted(found - known):
        print(f"new: {line}")
    for line in sorted(known - found):
        print(f"no longer true, take it out of tests/rules/known.txt: {line}")
    print(f"{len(found)} known, {len(found - known)} new, {len(known - found)} gone")
    return 1 if found != known else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
