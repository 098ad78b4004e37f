#!/usr/bin/env python3
"""The judge: random events against two workers on a real Kafka and Redis, under kills, freezes, rebalances and restarts; then a
verdict from what a client sent and read (checker.py). `./dev chaos --minutes N --seed N`; the last line is `violations: N`.

Exit status: 0 without violations, 1 with some, 2 when the run proved nothing."""
import argparse
import os
import random
import re
import sys
import time
from contextlib import nullcontext

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


class Judge:
    """A run: the system, the load, the faults, and what they come to at least in two minutes, also on a slow machine (in less time
    proportionally less); with fewer the run has shown nothing."""

    verb, rate, settings, client, faults = "chaos", RATE, SETTINGS, JudgeClient, Faults
    least = {"acquires": 500, "assigned": 300, "successions": 150, "cache answers": 500, "values compared": 100, "misses compared": 10,
             "usage records": 300, "dead letters": 1, "partitions": 1}
    least_faults = {"worker": 3, "Redis": 1, "Kafka": 1}  # by the first word of what they are called

    def start_system(self):
        system = chaos_system(workers=2, start=False, **self.settings)
        system.workers[0].options["worker.id"] = "judge-1"  # one is a static member of the group, the others come and go
        # One gives a record up before a frozen broker is back, so that its partitions start again with calls under way.
        system.workers[1].options.update({"kafka.delivery.timeout.ms": 3000, "kafka.request.timeout.ms": 1500})
        system.start()
        system.workers.append(Worker(system, "w3", {}))
        return system

    def play(self, minutes, seed, path, rate=None):
        """Runs the system and writes its history; returns what was broken, by kind."""
        history = Writer(path)
        history.write("run", seed=seed, settings=self.settings)
        with self.start_system() as system:
            try:
                with self.watched(system, history):
                    client = self.client(system, history, seed, rate or self.rate)
                    faults = self.faults(system, history, seed, lambda: client.answers).start()
                    self.drive(client, faults, minutes)
                    self.settle(client, faults)
                client.write_ends(group_positions(system, INPUTS))
                client.close()
                if not client.failed:
                    history.write("ended")
            finally:
                history.close()
                keep_logs(system, path)
        return faults.counts

    def watched(self, system, history):
        """Whoever else writes into the history meanwhile."""
        return nullcontext()

    def drive(self, client, faults, minutes):
        """The load, for so long, and where the machine is slow up to twice as long, until there were enough faults."""
        begin = due = told = time.monotonic()

        def over():
            taken = (time.monotonic() - begin) / 60
            return taken > 2 * minutes or taken > minutes and not self.faults_missing(faults.counts, minutes)
        while not over() and not client.failed and not faults.error:
            if time.monotonic() >= due:
                due = time.monotonic() + client.burst()
            client.pump()
            if time.monotonic() - told > 30:
                told = time.monotonic()
                progress(f"{client.number} sent; waiting: {client.owed()}; {sum(faults.counts.values())} faults")
        client.history.write("load_ended")
        progress(f"the load is over; waiting: {client.owed()}")

    def settle(self, client, faults):
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
        self.wait_settled(client)
        faults.look_for_deaths()
        client.read_to_end()

    def wait_settled(self, client):
        """Reads until nothing is owed, leased or uncommitted, or for SETTLE_S."""
        end = time.monotonic() + SETTLE_S
        while time.monotonic() < end:
            client.pump(0.1)
            if not any(client.owed().values()) and not client.leased() and all_committed(client.system):
                break
        progress(f"settled; waiting: {client.owed()}")

    def tested_nothing(self, counts, faults, minutes):
        """Why the run shows too little."""
        few = [f"{name}: {counts[name]} (at least {share(least, minutes)})" for name, least in self.least.items()
               if counts[name] < share(least, minutes)]
        return few + self.faults_missing(faults, minutes)

    def faults_missing(self, faults, minutes):
        done = {group: sum(count for what, count in faults.items() if what.startswith(group)) for group in self.least_faults}
        return [f"faults of {group}: {done[group]} (at least {share(least, minutes)})" for group, least in self.least_faults.items()
                if done[group] < share(least, minutes)]

    def report(self, judgement, faults, minutes, path=None):
        """Prints what was done and found, and what the history in path says of it; returns the exit status."""
        print("sent: " + ", ".join(f"{count} {what}" for what, count in sorted(judgement.sent.items())))
        print("faults: " + ", ".join(f"{count} {what}" for what, count in sorted(faults.items())))
        print("compared: " + ", ".join(f"{count} {what}" for what, count in sorted(judgement.counts.items())))
        for text in judgement.figures:
            print(f"measured: {text}")
        found = {kind: [text for other, text in judgement.violations if other == kind] for kind in KINDS}
        for kind, texts in found.items():
            for text in texts[:5]:
                print(f"violation: {kind}: {text}")
                print_lines_about(text, path)
            if len(texts) > 5:
                print(f"violation: {kind}: {len(texts) - 5} more")
        unproven = judgement.unproven + self.tested_nothing(judgement.counts, faults, minutes)
        for text in unproven:
            print(f"unproven: {text}")
        print(f"violations: {len(judgement.violations)}")
        return 1 if judgement.violations else 2 if unproven else 0

    def main(self):
        parser = argparse.ArgumentParser(prog=f"./dev {self.verb}", description="random events under faults, judged from their history")
        parser.add_argument("--minutes", type=float, default=2, help="of load (2)")
        parser.add_argument("--seed", type=int, help="of the events and the faults; drawn and printed when it is not given")
        parser.add_argument("--rate", type=int, default=self.rate, help=f"events a second ({self.rate})")
        parser.add_argument("--history", help="where to write the history, and the workers' logs beside it (.cache/chaos/SEED.jsonl)")
        parser.add_argument("--check", metavar="HISTORY", help="judge a history that is there, and run nothing")
        options = parser.parse_args()
        if options.check:
            judgement = check(load_history(options.check))
            return self.report(judgement, count_faults(options.check), 0, options.check)
        seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10 ** 6)
        path = options.history or str(ROOT / ".cache" / "chaos" / f"{seed}.jsonl")
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        print(f"seed: {seed}\nhistory: {path}", flush=True)
        faults = self.play(options.minutes, seed, path, options.rate)
        return self.report(check(load_history(path)), faults, options.minutes, path)


def all_committed(system):
    return all(high == committed for _, _, _, high, committed in group_positions(system, INPUTS))


def keep_logs(system, path):
    for worker in system.workers:
        if os.path.exists(worker.log_path):
            with open(worker.log_path, "rb") as log, open(f"{path}.{worker.name}.log", "wb") as copy:
                copy.write(log.read())


def share(least, minutes):
    return int(least * min(1, minutes / 2))


def print_lines_about(text, path):
    """All that the history says of the requests and containers that are named in the text."""
    names = set(re.findall(r"\b(?:wp-[\w.-]+-\d+|r\d+-[0-9a-f]{4})\b", text))
    if not names or not path:
        return
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if any(f'"{name}"' in line for name in names):
                print(f"    {number}: {line.strip()}")


def count_faults(path):
    counts = {}
    for line in load_history(path):
        if line["is"] == "fault" and line["step"] == "begin":
            counts[line["what"]] = counts.get(line["what"], 0) + 1
    return counts


if __name__ == "__main__":
    sys.exit(Judge().main())
