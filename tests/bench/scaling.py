"""workers: two workers of one group against one, acquires and releases a second in all. backlog: the memory of a worker that gets
through a million events that were waiting for it."""
import streams
from contenders import Contender
from harness import memory_mb, pool_options
from rounds import in_turn, measure, ratio

BACKLOG = 1_000_000
PAIRS = 150_000
WORKERS_TARGETS = [("two_of_one", "", 1, False)]
BACKLOG_TARGETS = [("rss_mb", " MB", 64, True)]


def rate_of(bench, workers):
    contender = Contender(bench, "warmpool", bench.new_prefix(), containers=streams.CONTAINERS, philosophies=streams.PHILOSOPHIES)
    for _ in range(workers - 1):
        bench.worker(contender.prefix, f"kafka.group.id={contender.group}", *pool_options(streams.PHILOSOPHIES, streams.CONTAINERS))
    pairs = bench.count(PAIRS)
    result = bench.client(contender.prefix, "pairs", pairs, streams.PHILOSOPHIES, streams.WINDOW, 0, contender.outputs[0])
    bench.check_warm(contender.prefix, pairs)
    contender.stop()
    return result["messages"] / result["seconds"]


def workers_round(bench, number):
    rates = in_turn([1, 2], number, lambda workers: rate_of(bench, workers))
    return {"one": round(rates[1]), "two": round(rates[2]), "two_of_one": ratio(rates[2], rates[1])}


def run_workers(bench, rounds):
    return measure(bench, "workers", rounds, lambda number: workers_round(bench, number), WORKERS_TARGETS)


def backlog_round(bench, _):
    """Half are usage records, half cache events of 1 KB."""
    prefix, half = bench.new_topics("usage-record", "cache"), bench.count(BACKLOG) // 2
    bench.client(prefix, "fill", "usage", 0, half, streams.PHILOSOPHIES, 0)
    bench.client(prefix, "fill", "cache", 0, half, 1, 0, streams.KEYS, streams.VALUE)
    contender = Contender(bench, "warmpool", prefix)
    bench.client(prefix, "await", contender.group, 2 * half, prefix + "usage-record", prefix + "cache")
    most, after = (memory_mb(contender.child.pid, what) for what in ("VmHWM", "VmRSS"))
    contender.stop()
    return {"rss_mb": most, "rss_after_mb": after}


def run_backlog(bench, _):
    return measure(bench, "backlog", 1, lambda number: backlog_round(bench, number), BACKLOG_TARGETS)
