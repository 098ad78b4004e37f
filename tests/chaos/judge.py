#!/usr/bin/env python3
"""The judge: random events against two workers on a real Kafka and Redis, under kills, freezes, rebalances and restarts; then a
verdict from what a client sent and read (checker.py). `./dev chaos --minutes N --seed N`; the last line is `violations: N`.

Exit status: 0 without violations, 1 with some, 2 when the run proved nothing."""
import argparse
import os
import random
import sys
import time

from checker import KINDS, check
from faults import SESSION_S, Faults
from history import Writer, load as load_history
from judge_client import SENT_TOPICS, JudgeClient
from load import chaos_system, group_positions
from system import ROOT, Worker

RATE = 150         # events a second
SETTLE_S = 120     # after the load, for what is still owed
PARTITIONS = 2
INPUTS = SENT_TOPICS + ("container-event",)
SETTINGS = {"kafka__session.timeout.ms": SESSION_S * 1000, "pool__size": 10, "pool__max_containers": 12, "pool__min_idle": 2,
            "host__ttl_ms": 8000,
            "process__ready_after_ms": 10,
            "predictor__history_size": 10000, "cache__default_ttl": 86400, "cache__ttl.tool": 86400, "cache__ttl.pattern": 86400,
            "redis__timeout_ms": 4000, "topics__partitions": PARTITIONS}


def progress(text):
    print(f"judge: {time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def start_system():
    system = chaos_system(workers=2, start=False, **SETTINGS)
    system.workers[0].options["worker.id"] = "judge-1"  # one is a static member of the group, the others come and go
    # One gives a record up before a frozen broker is back, so that its partitions start again with calls under way.
    system.workers[1].options.update({"kafka.delivery.timeout.ms": 3000, "kafka.request.timeout.ms": 1500})
    system.start()
    system.workers.append(Worker(system, "w3", {}))
    return system


def drive(client, faults, minutes):
    """The load, for so long, and where the machine is slow up to twice as long, until there were enough faults."""
    begin = due = told = time.monotonic()

    def over():
        taken = (time.monotonic() - begin) / 60
        return taken > 2 * minutes or taken > minutes and not faults_missing(faults.counts, minutes)
    while not over() and not client.failed and not faults.error:
        if time.monotonic() >= due:
            due = time.monotonic() + client.burst()
        client.pump()
        if time.monotonic() - told > 30:
            told = time.monotonic()
            progress(f"{client.number} sent; waiting: {client.owed()}; {sum(faults.counts.values())} faults")
    client.history.write("load_ended")
    progress(f"the load is over; waiting: {client.owed()}")


def settle(client, faults):
    """Heals, and waits for what is owed: the checker says what did not come."""
    faults.stopping.set()
    while not faults.healed.is_set():
        client.pump()
    try:
        faults.finish()
    except AssertionError as error:  # what the others answer is judged all the same
        client.history.write("not_ready", why=str(error))
        progress(f"a worker is not ready: {error}")
    progress(f"healed; waiting: {client.owed()}")
    end = time.monotonic() + SETTLE_S
    while time.monotonic() < end:
        client.pump(0.1)
        if not any(client.owed().values()) and not client.leased() and all_committed(client.system):
            break
    progress(f"settled; waiting: {client.owed()}")
    faults.look_for_deaths()
    client.read_to_end()


def all_committed(system):
    return all(high == committed for _, _, _, high, committed in group_positions(system, INPUTS))


def play(minutes, seed, path, rate=RATE):
    """Runs the system and writes its history; returns what was broken, by kind."""
    history = Writer(path)
    history.write("run", seed=seed, settings=SETTINGS)
    with start_system() as system:
        client = JudgeClient(system, history, seed, rate)
        faults = Faults(system, history, seed, lambda: client.answers).start()
        drive(client, faults, minutes)
        settle(client, faults)
        client.write_ends(group_positions(system, INPUTS))
        client.close()
        if not client.failed:
            history.write("ended")
        keep_logs(system, path)
    history.close()
    return faults.counts


def keep_logs(system, path):
    for worker in system.workers:
        if os.path.exists(worker.log_path):
            with open(worker.log_path, "rb") as log, open(f"{path}.{worker.name}.log", "wb") as copy:
                copy.write(log.read())


# What a run of two minutes always has, also on a slow machine; a shorter one proportionally less.
LEAST = {"acquires": 500, "assigned": 300, "successions": 150, "cache answers": 500, "values compared": 100, "misses compared": 10,
         "usage records": 300, "dead letters": 1, "partitions": 1}


LEAST_FAULTS = {"worker": 3, "Redis": 1, "Kafka": 1}


def tested_nothing(counts, faults, minutes):
    """Why the run shows too little."""
    few = [f"{name}: {counts[name]} (at least {share(least, minutes)})" for name, least in LEAST.items()
           if counts[name] < share(least, minutes)]
    return few + faults_missing(faults, minutes)


def faults_missing(faults, minutes):
    done = {group: sum(count for what, count in faults.items() if what.startswith(group)) for group in LEAST_FAULTS}
    return [f"faults of {group}: {done[group]} (at least {share(least, minutes)})" for group, least in LEAST_FAULTS.items()
            if done[group] < share(least, minutes)]


def share(least, minutes):
    return int(least * min(1, minutes / 2))


def report(judgement, faults, minutes):
    """Prints what was done and found; returns the exit status."""
    counts = judgement.counts
    print("sent: " + ", ".join(f"{count} {what}" for what, count in sorted(judgement.sent.items())))
    print("faults: " + ", ".join(f"{count} {what}" for what, count in sorted(faults.items())))
    print("compared: " + ", ".join(f"{count} {what}" for what, count in sorted(counts.items())))
    found = {kind: [text for other, text in judgement.violations if other == kind] for kind in KINDS}
    for kind, texts in found.items():
        for text in texts[:5]:
            print(f"violation: {kind}: {text}")
        if len(texts) > 5:
            print(f"violation: {kind}: {len(texts) - 5} more")
    unproven = judgement.unproven + tested_nothing(counts, faults, minutes)
    for text in unproven:
        print(f"unproven: {text}")
    print(f"violations: {len(judgement.violations)}")
    return 1 if judgement.violations else 2 if unproven else 0


def main():
    parser = argparse.ArgumentParser(prog="./dev chaos", description="random events under faults, judged from their history")
    parser.add_argument("--minutes", type=float, default=2, help="of load (2)")
    parser.add_argument("--seed", type=int, help="of the events and the faults; drawn and printed when it is not given")
    parser.add_argument("--rate", type=int, default=RATE, help=f"events a second ({RATE})")
    parser.add_argument("--history", help="where to write the history, and the workers' logs beside it (.cache/chaos/SEED.jsonl)")
    parser.add_argument("--check", metavar="HISTORY", help="judge a history that is there, and run nothing")
    options = parser.parse_args()
    if options.check:
        judgement = check(load_history(options.check))
        return report(judgement, count_faults(options.check), 0)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10 ** 6)
    path = options.history or str(ROOT / ".cache" / "chaos" / f"{seed}.jsonl")
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    print(f"seed: {seed}\nhistory: {path}", flush=True)
    faults = play(options.minutes, seed, path, options.rate)
    return report(check(load_history(path)), faults, options.minutes)


def count_faults(path):
    counts = {}
    for line in load_history(path):
        if line["is"] == "fault" and line["step"] == "begin":
            counts[line["what"]] = counts.get(line["what"], 0) + 1
    return counts


if __name__ == "__main__":
    sys.exit(main())
