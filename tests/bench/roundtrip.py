"""From an acquire sent to its assignment read, 1 and 16 under way; from a message sent to its copy read. Releases come in between, when
nothing is under way. The copy loop then shows its rate as in `stream`, so that a busy machine is noticed here, too."""
import streams
from contenders import Contender
from rounds import in_turn, measure, ratio

CONTENDERS = ["warmpool", "copy_loop", "durable_copy_loop"]
TRIPS, HELD = 2000, 200
RATE_PAIRS = 100_000
TARGETS = [("p50_of_durable_copy_loop", "", 1.35, True), ("p50_of_copy_loop", "", 2.2, True), ("p99_16_of_durable_copy_loop", "", 2, True)]


def trips(bench, name):
    contender = Contender(bench, name, bench.new_prefix(), containers=2 * HELD)
    count = max(HELD, bench.count(TRIPS))
    result = bench.client(contender.prefix, "trips", count, HELD, contender.outputs[0], contender.group)
    if name == "warmpool":
        bench.check_warm(contender.prefix, 2 * (count + HELD))
    if name == "copy_loop":
        pairs = bench.client(contender.prefix, "pairs", bench.count(RATE_PAIRS), 1, streams.WINDOW, streams.CONTAINERS, contender.outputs[0])
        result["rate"] = pairs["messages"] / pairs["seconds"]
    contender.stop()
    return result


def weigh(bench, sides):
    one = {"copy_loop_per_second": round(sides["copy_loop"]["rate"])}
    for window, suffix in (("1", ""), ("16", "_16")):
        for figure in ("p50", "p99"):
            took = {name: side[window][figure + "_ms"] for name, side in sides.items()}
            one |= {f"{name}_{figure}{suffix}_ms": ms for name, ms in took.items()}
            for other in ("copy_loop", "durable_copy_loop"):
                one[f"{figure}{suffix}_of_{other}"] = ratio(took["warmpool"], took[other])
    return streams.weighed(bench, one, one["copy_loop_per_second"])


def run(bench, rounds):
    return measure(bench, "roundtrip", rounds, lambda number: weigh(bench, in_turn(CONTENDERS, number, lambda name: trips(bench, name))), TARGETS)
