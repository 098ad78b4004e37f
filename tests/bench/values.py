"""Large values: sets and gets in turn in a closed loop, bytes of values a second, of the durable copy loop's. Either moves a set's value
in and, for a get or a copied set, a value out."""
from contenders import Contender
from rounds import in_turn, measure, ratio

CONTENDERS = ["warmpool", "durable_copy_loop"]
WINDOW = 32
BYTES = 40_000_000  # of sets
CASES = [(100_000, "avro"), (100_000, "json"), (380_000, "avro"), (380_000, "json")]
TARGETS = [(f"{size // 1000}_kb_{wire}", "", 0.5, False) for size, wire in CASES]


def side(bench, name, size, wire):
    contender = Contender(bench, name, bench.new_prefix(), topics=["cache"], options=[f"wire.write={wire}"])
    events = max(64, 2 * bench.count(BYTES) // size)
    result = bench.client(contender.prefix, "answers", events, WINDOW, size, contender.outputs[-1], wire=wire)
    contender.stop()
    bench.clean()
    return result["messages"] / 2 * size / result["seconds"] / 1e6


def one_round(bench, number):
    one = {}
    for size, wire in CASES:
        sides = in_turn(CONTENDERS, number, lambda name: side(bench, name, size, wire))
        case = f"{size // 1000}_kb_{wire}"
        one[case] = ratio(sides["warmpool"], sides["durable_copy_loop"])
        one |= {f"{case}_{name}_mb_per_second": round(rate, 1) for name, rate in sides.items()}
    return one


def run(bench, rounds):
    return measure(bench, "values", rounds, lambda number: one_round(bench, number), TARGETS)
