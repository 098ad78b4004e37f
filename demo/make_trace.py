#!/usr/bin/env python3
"""Makes the demo's trace from a sample of the Azure Functions Trace 2019 (demo/README.md says where it is from).

    make_trace.py FOLDER > azure_functions_2019.csv

FOLDER holds invocations_100.csv, durations_100.csv and memory_100.csv. The same input gives the same output, byte for byte.
Each function becomes a philosophy named after its trigger; of its invocations every n-th is kept, at least one, so that the
shape of the day stays while about RUNS are left.
"""
import csv
import random
import sys
from pathlib import Path

RUNS = 20_000
MINUTE_MS = 60_000


def read(folder, name):
    with open(Path(folder) / name, newline="") as file:
        return list(csv.DictReader(file))


def quantile(points, u):
    """The value at u (0..1) of a distribution known by (u, value) points, straight lines between them."""
    for (u0, v0), (u1, v1) in zip(points, points[1:]):
        if u <= u1:
            return v0 + (v1 - v0) * (u - u0) / (u1 - u0)
    return points[-1][1]


def points(row, prefix, percents):
    return [(p / 100, float(row[f"{prefix}{p}"])) for p in percents]


def kept(total, wanted_share):
    return max(1, round(total * wanted_share))


def arrivals(row, minutes, count, rng):
    """`count` times in ms, evenly spaced among the function's invocations, those spread over their minute."""
    times = []
    for number, minute in enumerate(minutes):
        calls = int(row[minute])
        times += [number * MINUTE_MS + MINUTE_MS * (i + rng.random()) / calls for i in range(calls)]
    return [times[int((i + 0.5) * len(times) / count)] for i in range(count)]


def main(folder):
    functions = read(folder, "invocations_100.csv")
    durations = {row["HashFunction"]: row for row in read(folder, "durations_100.csv")}
    memory = {row["HashFunction"]: row for row in read(folder, "memory_100.csv")}
    minutes = [column for column in functions[0] if column.isdigit()]
    totals = {row["HashFunction"]: sum(int(row[m]) for m in minutes) for row in functions}
    functions.sort(key=lambda row: (-totals[row["HashFunction"]], row["HashFunction"]))
    share = RUNS / sum(totals.values())

    rng = random.Random(2019)
    runs, of_trigger = [], {}
    for row in functions:
        function = row["HashFunction"]
        of_trigger[row["Trigger"]] = of_trigger.get(row["Trigger"], 0) + 1
        philosophy = f"{row['Trigger']}-{of_trigger[row['Trigger']]:02}"
        hold = points(durations[function], "percentile_Average_", (0, 1, 25, 50, 75, 99, 100))
        used = points(memory[function], "AverageAllocatedMb_pct", (1, 5, 25, 50, 75, 95, 99, 100))
        cpu = rng.uniform(10, 75)  # the trace has no figures of CPU
        for at in arrivals(row, minutes, kept(totals[function], share), rng):
            runs.append((int(at), philosophy, round(quantile(hold, rng.random())), round(cpu * rng.uniform(0.8, 1.2), 1),
                         round(quantile(used, rng.random()), 1)))
    runs.sort()
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(("at_ms", "philosophy", "hold_ms", "cpu_percent", "memory_mb"))
    out.writerows(runs)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
