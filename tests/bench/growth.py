"""What an event costs Redis when there is little and when there is much: the cache's entries, containers, waiting requests, philosophies
that exist. The events are the same on both sides, and as many a call: topics of one partition, EVENTS at a time."""
from backlog import Driven
from rounds import measure, ratio

PHILOSOPHIES = 4  # that the events name
EVENTS, TIMES = 80, 8  # fewer than the least number of containers
CACHE_EVENTS = 9_000
FEW, MANY = 100, 100_000
WAITING_FOR = 9  # p9
ONE_BATCH = ("topics.partitions=1", "worker.calls=1")
TARGETS = [(figure, "", 1.3, True) for figure in ("entries", "containers", "waiting", "philosophies")]


def mean(costs):
    """Of an event, in us: Redis' own time, and its thread's processor time in all."""
    return [sum(cost[what] for cost in costs) / sum(cost["events"] for cost in costs) for what in ("us", "cpu")]


def pool_cost(driven):
    """us of an event: acquires, their releases, usage records. The first turn warms up."""
    costs = []
    for i in range(TIMES + 1):
        first = driven.next.get("acquire", 0)
        turn = [driven.drive("acquire", EVENTS, PHILOSOPHIES), driven.drive("release", EVENTS, PHILOSOPHIES, first=first),
                driven.drive("usage", EVENTS, PHILOSOPHIES)]
        costs += turn if i > 0 else []
    return mean(costs)


def with_containers(bench, count, *options):
    return Driven(bench, count, PHILOSOPHIES, [*ONE_BATCH, *options])


def compare(name, few, many):
    return {name: ratio(many[0], few[0]), f"{name}_few_us": round(few[0], 2), f"{name}_many_us": round(many[0], 2),
            f"{name}_few_thread_us": round(few[1], 2), f"{name}_many_thread_us": round(many[1], 2)}


def containers(bench):
    costs = []
    for count in (FEW, max(FEW, bench.count(MANY))):
        driven = with_containers(bench, count)
        costs.append(pool_cost(driven))
        driven.stop()
    return compare("containers", *costs)


def waiting(bench):
    """All wait for one container of another philosophy."""
    driven = with_containers(bench, FEW, f"pool.size.p{WAITING_FOR}=0", f"pool.max_containers.p{WAITING_FOR}=1", "pool.timeout_ms=86400000")
    few = pool_cost(driven)
    driven.drive("acquire", bench.count(MANY), 1, WAITING_FOR, first=10_000_000)
    bench.wait(lambda: bench.pool(driven.prefix)["waiting"] >= bench.count(MANY) - 1, "waiting")
    many = pool_cost(driven)
    driven.stop()
    return compare("waiting", few, many)


def philosophies(bench):
    """Each has a container."""
    costs = []
    for count in (PHILOSOPHIES, 1000):
        more = ",".join(f"p{i}:1" for i in range(PHILOSOPHIES, count))
        each = ",".join(f"p{i}:{FEW // PHILOSOPHIES}" for i in range(PHILOSOPHIES))
        driven = with_containers(bench, FEW, "pool.prewarm=" + ",".join(filter(None, (each, more))))
        bench.wait(lambda: len(bench.pool_stats(driven.prefix)["pools"]) >= count, "the philosophies", 600)
        costs.append(pool_cost(driven))
        driven.stop()
    return compare("philosophies", *costs)


def entries(bench):
    """Sets and gets over all of them, one to two."""
    costs, count = [], bench.count(1_000_000)
    driven = Driven(bench, options=[*ONE_BATCH, f"cache.max_entries={2 * count}", "cache.default_ttl=86400"])
    for keys in (1000, count):
        driven.drive("set", keys - driven.sent.get("cache", 0) if not costs else count, keys=keys, value=100, first=0)
        events = [driven.drive("cache", CACHE_EVENTS, keys=keys, value=100, first=i * keys) for i in range(4)]
        costs.append(mean(events[1:]))
    driven.stop()
    return compare("entries", *costs)


def one_round(bench):
    one = {}
    for part in (entries, containers, waiting, philosophies):
        one |= part(bench)
        bench.clean()
    return one


def run(bench, _):
    """Once: what is compared are sums of many calls."""
    return measure(bench, "growth", 1, lambda _: one_round(bench), TARGETS)
