#!/usr/bin/env python3
"""Warmpool against other ways to do the same on the same machine; docs/performance.md says what each figure means.

usage: ./dev bench [--json] [--rounds N] [--scale N] [--floor N] [--fsync always|everysec] [NAME...]

Each figure is the median of the rounds. In a round the contenders run one after the other, and the next round begins with another
one, because what a busy machine can do changes from minute to minute. A round that says nothing is shown with its reason, not counted
and run again, three times at most for a figure.
"""
import argparse, json, signal, sys

import growth, idle, redis_cost, roundtrip, scaling, streams, traces, values
from harness import Bench, NotMeasured, say
from rounds import table

COPY_FLOOR = 100_000  # messages a second

# name: the function (bench, rounds) that measures it
FIGURES = {name: (lambda bench, rounds, name=name: streams.run(bench, name, rounds)) for name in streams.TARGETS}
FIGURES |= {"roundtrip": roundtrip.run, "redis": redis_cost.run, "values": values.run, "growth": growth.run, "workers": scaling.run_workers,
            "backlog": scaling.run_backlog, "idle": idle.run, "traces": traces.run}


def options_of(words):
    parser = argparse.ArgumentParser(prog="./dev bench")
    parser.add_argument("--json", action="store_true", help="the last line is one object: all figures, targets and rounds")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="part of the events: 0.1 shows whether it runs; `usage`, `cache` and `mix` "
                        "need 0.4 on a machine that is free, or there is nothing to see between their first and their last commit")
    parser.add_argument("--floor", type=int, default=COPY_FLOOR,
                        help="messages a second of the copy loop below which a round is not counted: the machine is busy elsewhere")
    parser.add_argument("--fsync", choices=["always", "everysec"], default="always", help="of Redis; Kafka itself never waits for its disk")
    parser.add_argument("--python-codec", choices=["hand", "fastavro"], default="hand", help="how the Python worker reads and writes messages")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(FIGURES)}; or containers, for those of a Docker engine")
    options = parser.parse_args(words)
    for name in options.names:
        if name not in FIGURES:
            raise SystemExit(f"bench: no figure named {name}; there are {', '.join(FIGURES)}")
    return options


def figure(bench, name, rounds):
    """What it needs before its rounds may fail, too: the other figures are measured all the same."""
    try:
        return FIGURES[name](bench, rounds)
    except NotMeasured as error:
        say(f"{name}: not measured: {error}")
        bench.stop_all(but=[bench.redis_server])
        return {"targets": [], "counted_rounds": 0, "rounds": [{"not_counted": str(error)}]}


def end(*_):
    """Who asks twice, as `timeout` does, would leave a Kafka behind."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(143)


def main():
    options = options_of(sys.argv[1:])
    signal.signal(signal.SIGTERM, end)
    bench = Bench(options.fsync, options.scale, options.floor, options.python_codec)
    results = {}
    try:
        bench.open()
        if options.scale >= 0.2:  # less only shows that it runs
            say(f"warm-up: copy loop {streams.warm_up(bench):,.0f}/s")
        for name in options.names or FIGURES:
            results[name] = figure(bench, name, options.rounds)
    finally:
        bench.close()
    table(results)
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
