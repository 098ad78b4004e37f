"""Messages a second of each contender, and the processor time that a worker takes for one.

stream  Acquires and their releases in a closed loop, WINDOW under way. An acquire is answered by an assignment, a release by nothing; a
        copy loop copies both, one record for each. In both there are at most CONTAINERS between an acquire and the end of its release.
usage   A usage record's effect is a sample in Redis, made durable there; Kafka gets a prediction now and then.
cache   Two gets and a set, of values of 1 KB; each is answered.
mix     20 % acquires, 20 % releases, 30 % usage records, 30 % cache events, in a closed loop.

`usage` and `cache` read a backlog in batches of at most 100 records, as many small producers leave it (one producer's large batches
make a copy loop up to four times as fast). Their rate, and that of `mix`, is the rate of the group's commits, seen from outside, alike
for all.
"""
from contenders import Contender
from harness import NotMeasured, cpu_seconds
from rounds import in_turn, measure, ratio

CONTENDERS = ["warmpool", "copy_loop", "durable_copy_loop", "python_worker", "python_copy_loop"]
PHILOSOPHIES = 5
WINDOW = 1000
CONTAINERS = 2000  # more than can be leased or on their way back
KEYS, VALUE = 500, 1024
BACKLOG = 1_000_000
# Events of a side of a round: each is at work for some five seconds.
EVENTS = {"warmpool": 300_000, "copy_loop": 600_000, "durable_copy_loop": 500_000, "python_worker": 80_000, "python_copy_loop": 250_000}
BACKLOG_EVENTS = {"warmpool": 500_000, "copy_loop": BACKLOG, "durable_copy_loop": 800_000, "python_worker": 150_000, "python_copy_loop": 400_000}

OF_COPY_LOOP = {"stream": 0.45, "usage": 0.8, "cache": 0.6, "mix": 0.55}
TARGETS = {name: [("of_copy_loop", "", bound, False)] for name, bound in OF_COPY_LOOP.items()}
TARGETS["stream"].append(("of_durable_copy_loop", "", 0.6, False))
for each in TARGETS.values():
    each += [("of_python_worker", "", 2.5, False), ("cpu_of_python_worker", "", 0.125, True), ("python_worker_of_its_copy_loop", "", 0.5, False)]


def run_stream(bench, name):
    contender = Contender(bench, name, bench.new_prefix(), containers=CONTAINERS, philosophies=PHILOSOPHIES)
    pairs = bench.count(EVENTS[name]) // 2
    before = cpu_seconds(contender.child.pid)
    result = bench.client(contender.prefix, "pairs", pairs, PHILOSOPHIES, WINDOW, contender.held, contender.outputs[0])
    cpu = (cpu_seconds(contender.child.pid) - before) / (2 * pairs)
    if name == "warmpool":
        bench.check_warm(contender.prefix, pairs)
    contender.stop()
    return {"rate": result["messages"] / result["seconds"], "cpu": cpu}


def run_mix(bench, name):
    contender = Contender(bench, name, bench.new_prefix(), containers=CONTAINERS, philosophies=PHILOSOPHIES)
    events = bench.count(EVENTS[name])
    watch = watcher(bench, contender, events * 99 // 100, "container-acquire", "container-release", "usage-record", "cache")
    bench.client(contender.prefix, "mix", events, PHILOSOPHIES, WINDOW, contender.held, *contender.outputs)
    result = rate_of(bench.client_result(watch))
    contender.stop()
    return result


def run_backlog(bench, name, prefix, topic):
    contender = Contender(bench, name, prefix, topics=[topic])
    result = rate_of(bench.client_result(watcher(bench, contender, bench.count(BACKLOG_EVENTS[name]), topic)))
    contender.stop()
    return result


def watcher(bench, contender, events, *topics):
    return bench.client_start(contender.prefix, "watch", contender.group, events, contender.child.pid, *(contender.prefix + topic for topic in topics))


def rate_of(result):
    return {"rate": result["messages"] / result["seconds"], "cpu": result["cpu_seconds"] / result["messages"]}


def fill_backlog(bench, topic, *load):
    prefix = bench.new_topics(topic)
    bench.client(prefix, "fill", *load[:1], 0, bench.count(BACKLOG), *load[1:])
    return prefix


def run_round(bench, figure, number):
    if figure == "stream":
        return in_turn(CONTENDERS, number, lambda name: run_stream(bench, name))
    if figure == "mix":
        return in_turn(CONTENDERS, number, lambda name: run_mix(bench, name))
    if figure == "usage":
        prefix = fill_backlog(bench, "usage-record", "usage", PHILOSOPHIES, 0)
        return in_turn(CONTENDERS, number, lambda name: run_backlog(bench, name, prefix, "usage-record"))
    prefix = fill_backlog(bench, "cache", "cache", 1, 0, KEYS, VALUE)
    return in_turn(CONTENDERS, number, lambda name: run_backlog(bench, name, prefix, "cache"))


def weigh(bench, sides):
    rates = {name: side["rate"] for name, side in sides.items()}
    ours, python = sides["warmpool"]["cpu"], sides["python_worker"]["cpu"]
    one = {name: round(rate) for name, rate in rates.items()}
    one["of_copy_loop"] = ratio(rates["warmpool"], rates["copy_loop"])
    one["of_durable_copy_loop"] = ratio(rates["warmpool"], rates["durable_copy_loop"])
    one["of_python_worker"] = ratio(rates["warmpool"], rates["python_worker"])
    one["python_worker_of_its_copy_loop"] = ratio(rates["python_worker"], rates["python_copy_loop"])
    for name, side in sides.items():
        one[f"{name}_cpu_us"] = round(side["cpu"] * 1e6, 2)
    one["cpu_of_python_worker"] = ratio(ours, python)
    one["copy_loop_cpu_of_python_worker"] = ratio(sides["copy_loop"]["cpu"], python)  # what the client library alone takes
    return weighed(bench, one, rates["copy_loop"])


def weighed(bench, one, copy_rate):
    """A copy loop that slow says that the machine was busy with something else."""
    if copy_rate < bench.floor:
        one["not_counted"] = f"the copy loop stayed under {bench.floor:,} messages a second"
    return one


def run(bench, figure, rounds):
    return measure(bench, figure, rounds, lambda number: weigh(bench, run_round(bench, figure, number)), TARGETS[figure])


def warm_up(bench):
    """A young broker is busy compiling itself, at the cost of whoever comes first. So each kind of load comes once before it is measured. Returns
    the second copy loop's rate."""
    try:
        for name in ("copy_loop", "warmpool", "copy_loop"):
            rate = run_stream(bench, name)["rate"]
    except NotMeasured as error:
        raise SystemExit(f"bench: {error}; the output above says why") from None
    bench.clean()
    return rate
