#!/usr/bin/env python3
"""Does the judge see a broken worker? Each break is a small change that undoes one rule of delivery; it is made in a copy of
the sources, the copy is built, and the judge, run against it, has to report a violation.

    tests/chaos/breaks.py [NAME ...] [--minutes N] [--seed N]        with the Python of ./dev: .cache/venv/bin/python

A break has one or more ways to make it, each a list of (files, what stands there, what stands there then). The first way all of
whose parts are found, each exactly once, is taken. When the code has changed so that none is, this says so: the break is then to be
written anew. `--apply` only tries that."""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

BREAKS = {
    "offsets": ("an event that was applied before is applied again", [
        [("redis/*.lua", r"while events\[known \+ 1\] and offset_of\(known \+ 1\) <= p\.a do known = known \+ 1 end", "")],
    ]),
    "delivery": ("offsets are committed, and results given up, before the answers are delivered", [
        [("worker/**/*.c", r"(snprintf\(draft->floor\[i\], sizeof draft->floor\[i\], \"%lld\", \(long long\))p->floor\)", r"\1(p->acked + 1))"),
         ("worker/**/*.c", r"p->floor <= p->floor_acked \|\|", "p->acked < p->floor_acked ||"),
         ("worker/**/*.c", r"return p->floor < p->floor_acked \? p->floor : p->floor_acked;", "return p->acked + 1;")],
        [("worker/delivery/*.c", r"event->state = event->pending > 0 \? EVENT_ANSWERED : EVENT_DONE", "event->state = EVENT_DONE"),
         ("worker/delivery/*.c", r"wp_assert\(event && event->pending > 0\);", "if (!event) return;")],
    ]),
    "assignment": ("late replies and reports of an older assignment are taken", [
        [("worker/**/*.c", r"part->p->state == PARTITION_RUNNING && part->epoch == part->p->epoch",
          "part->p->state == PARTITION_RUNNING")],
        [("worker/delivery/*.c", r"d->state == WP_DELIVERY_RUNNING && d->generation == generation",
          "(void)generation, d->state == WP_DELIVERY_RUNNING")],
    ]),
    "epoch": ("leases that are made together have the same epoch", [
        [("redis/*.lua", r"sequence < now and now or sequence \+ 1\b", "sequence < now and now or sequence")],
    ]),
}

# Without the check of the assignment nothing goes wrong that a client can see: Redis remembers what each call did, so a late reply
# says nothing untrue. Where taking it ends a worker, by an assertion, the judge says so.
USUAL = ("offsets", "delivery", "epoch")


def copy_sources(folder):
    shutil.copytree(ROOT, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".git", ".cache", "build*", "__pycache__"))


def find(folder, edit):
    """The one file in which what stands there is found once, else None."""
    hits = [path for path in sorted(folder.glob(edit[0])) for _ in re.finditer(edit[1], path.read_text())]
    return hits[0] if len(hits) == 1 else None


def apply(folder, name):
    for way in BREAKS[name][1]:
        if all(find(folder, edit) for edit in way):
            for edit in way:
                path = find(folder, edit)
                path.write_text(re.sub(edit[1], edit[2], path.read_text()))
            return
    raise SystemExit(f"breaks: {name}: what it changes is no longer found exactly once; write this break anew, as the code is now")


def build(folder):
    log = folder / "build.log"
    env = {**os.environ, "CCACHE_BASEDIR": str(folder), "CCACHE_NOHASHDIR": "1"}  # where a ccache is in use, little is compiled
    with open(log, "w") as out:
        for command in (["cmake", "--preset", "dev"], ["cmake", "--build", "build", "-j2", "--target", "warmpool"]):
            if subprocess.run(command, cwd=folder, env=env, stdout=out, stderr=out).returncode:
                raise SystemExit(f"breaks: the broken copy does not build:\n{log.read_text()[-3000:]}")
    return folder / "build" / "warmpool"


def judge(binary, name, options):
    """True when the judge reports violations; what it prints is shown."""
    command = [sys.executable, "-B", str(ROOT / "tests" / "chaos" / "judge.py"), "--minutes", str(options.minutes),
               "--seed", str(options.seed), "--history", str(ROOT / ".cache" / "chaos" / f"break-{name}.jsonl")]
    run = subprocess.run(command, env={**os.environ, "WARMPOOL_BIN": str(binary)}, stdout=subprocess.PIPE, text=True)
    print(run.stdout, flush=True)
    verdict = re.search(r"^violations: (\d+)$", run.stdout, re.MULTILINE)
    return bool(verdict) and int(verdict[1]) > 0


def main():
    parser = argparse.ArgumentParser(description="runs the judge against workers that are broken on purpose")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BREAKS)}; without one: {', '.join(USUAL)}")
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--seed", type=int, default=7, help="its first faults are those that these breaks need (7)")
    parser.add_argument("--apply", action="store_true", help="only try whether the breaks can still be made")
    options = parser.parse_args()
    unseen = []
    for name in options.names or (BREAKS if options.apply else USUAL):
        text = BREAKS[name][0]
        with tempfile.TemporaryDirectory(prefix="warmpool-break-") as folder:
            print(f"break {name}: {text}", flush=True)
            copy_sources(Path(folder))
            apply(Path(folder), name)
            if options.apply:
                continue
            seen = judge(build(Path(folder)), name, options)
        print(f"break {name}: {'seen' if seen else 'NOT SEEN'}", flush=True)
        if not seen:
            unseen.append(name)
    return 1 if unseen else 0


if __name__ == "__main__":
    sys.exit(main())
