"""Rounds: what one says, what all say, and whether a target is met."""
import json, statistics, subprocess, time

from harness import NotMeasured, say

MAX_RETRIES = 3  # of a figure


def in_turn(names, number, run):
    """{name: run(name)}, in an order that begins with another name each round."""
    start = number % len(names)
    return {name: run(name) for name in names[start:] + names[:start]}


def measure(bench, figure, rounds, one_round, targets, clean=True):
    """Rounds until enough are counted. one_round(number) returns the figures of a round; a key `not_counted` says why they do not count. clean: a round needs
    nothing of the one before."""
    seen, counted = [], []
    while len(counted) < rounds and len(seen) < rounds + MAX_RETRIES:
        running = list(bench.children)
        began = time.monotonic()
        try:
            one = one_round(len(seen))
        except (NotMeasured, subprocess.SubprocessError) as error:
            one = {"not_counted": str(error)}
            bench.stop_all(but=running)
        one["round_seconds"] = round(time.monotonic() - began, 1)
        say(f"{figure}: {json.dumps(one)}")
        seen.append(one)
        if "not_counted" not in one:
            counted.append(one)
        if clean:
            bench.clean()
    return summary(counted, seen, targets)


def summary(counted, seen, targets):
    keys = counted[0] if counted else {}
    medians = {key: middle([one[key] for one in counted]) for key in keys if all(isinstance(one.get(key), (int, float)) for one in counted)}
    return {**medians, "targets": [judge(medians, *each) for each in targets], "counted_rounds": len(counted), "rounds": seen}


def middle(values):
    value = statistics.median(values)
    return round(value) if all(isinstance(each, int) for each in values) else round(value, 3)


def judge(figures, figure, unit, bound, at_most):
    value = figures.get(figure)
    met = value is not None and (value <= bound if at_most else value >= bound)
    return {"figure": figure, "value": value, "target": f"at {'most' if at_most else 'least'} {bound}{unit}", "met": met}


def ratio(ours, theirs, digits=3):
    return round(ours / theirs, digits) if theirs else None


def table(results):
    rows = [("benchmark", "figure", "measured", "target", "met", "rounds counted")]
    for name, result in results.items():
        for each in result["targets"]:
            rows.append((name, each["figure"], str(each["value"]), each["target"], "yes" if each["met"] else "NO",
                         f"{result['counted_rounds']} of {len(result['rounds'])}"))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    for name, result in results.items():
        shown = {key: value for key, value in result.items() if key not in ("targets", "rounds", "counted_rounds")}
        print(f"{name}: " + ", ".join(f"{key} {value:,}" for key, value in shown.items() if isinstance(value, (int, float))))
        for kind, message in result.get("messages", {}).items():
            print(f"{name}: {kind} is the message {message}")
