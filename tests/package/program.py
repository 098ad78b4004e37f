"""What `warmpool --help` says: the subcommands, and the options of each."""
import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
WARMPOOL = os.environ.get("TEST_WARMPOOL") or str(ROOT / "build" / "warmpool")
SKIPPED = 77
OPTION = r"((?:-\w, )?--?[\w-]+)(?: (\S+))?"


def warmpool(*arguments):
    return subprocess.run([WARMPOOL, *arguments], capture_output=True, text=True, check=True).stdout


def subcommands():
    listed = warmpool("--help").split("Subcommands:\n")[1].split("\n\n")[0]
    return [line.split()[0] for line in listed.splitlines()]


def options(subcommand):
    """{"--timeout": "SECONDS", "--json": None, "-c": "FILE", ...}"""
    block = warmpool("help", subcommand).split("Options:\n")[1].split("\n\n")[0]
    return named(re.match(f"  {OPTION} ", line) for line in block.splitlines())


def named(matches):
    return {name: match[2] for match in matches for name in match[1].split(", ")}


def keys():
    """The keys of the table as completion has them: "pool.size", and "pool.size." of a family."""
    rows = re.findall(r"^\| `([^`]+)` \|", (ROOT / "docs" / "configuration.md").read_text(), re.M)
    return {re.sub(r"\.[A-Z]+$", ".", key) for key in rows}


def topics():
    # of the source, not of the program: the schemas, and the topic that has none
    return {path.stem for path in (ROOT / "schemas").glob("*.avsc")} | {"dead-letter"}
