"""A worker that has nothing to do: its processor time and the broker's, in percent of a core, against a bare consumer and a bare
producer of librdkafka on the same topics with librdkafka's own settings. And its memory, once the memory optimiser has given back what
the start took."""
import re, time

from harness import ALL_INPUTS, HOST, cpu_seconds, memory_mb
from rounds import in_turn, measure

CONTAINERS = 10
SETTLE_SECONDS, SECONDS = 5, 30
OPTIMIZER_ROUNDS = 3  # one a second
TARGETS = [("cpu_points_more", " points", 0.3, True), ("broker_points_more", " points", 0.3, True), ("rss_mb", " MB", 24, True)]


def host_worker(bench, *options):
    prefix = bench.new_prefix()
    return prefix, bench.warm_worker(prefix, 1, CONTAINERS, f"host.name={HOST}", f"host.capacity={2 * CONTAINERS}", *options)


def points(bench, pid):
    """Percent of a core, of the process and of the broker."""
    time.sleep(SETTLE_SECONDS)  # what a start leaves to be done
    pids, began = (pid, bench.broker_pid), time.monotonic()
    before = [cpu_seconds(each) for each in pids]
    time.sleep(bench.count(SECONDS))
    took = time.monotonic() - began
    return [100 * (cpu_seconds(each) - earlier) / took for each, earlier in zip(pids, before)]


def cpu_of(bench, name):
    if name == "bare":
        prefix = bench.new_topics(*ALL_INPUTS)
        child = bench.client_start(prefix, "idle", prefix + "idle", *(prefix + topic for topic in ALL_INPUTS))
    else:
        prefix, child = host_worker(bench)
    result = points(bench, child.pid)
    bench.stop(child)
    return result


def memory(bench):
    _, worker = host_worker(bench, "memory.interval=1")
    done = optimizer_rounds(bench, worker)
    bench.wait(lambda: optimizer_rounds(bench, worker) >= done + OPTIMIZER_ROUNDS, "the memory optimiser")
    result = {"rss_mb": memory_mb(worker.pid)}
    bench.stop(worker)
    return result


def optimizer_rounds(bench, worker):
    found = re.search(r"^warmpool_optimizer_rounds_total(?:{[^}]*})? ([0-9]+)", bench.http(worker, "/metrics"), re.MULTILINE)
    return int(found[1]) if found else 0


def one_round(bench, number):
    cpu = in_turn(["worker", "bare"], number, lambda name: cpu_of(bench, name))
    (ours, broker), (bare, broker_bare) = cpu["worker"], cpu["bare"]
    return {"cpu_points": round(ours, 2), "bare_cpu_points": round(bare, 2), "cpu_points_more": round(ours - bare, 2),
            "broker_points": round(broker, 2), "broker_points_bare": round(broker_bare, 2), "broker_points_more": round(broker - broker_bare, 2),
            **memory(bench)}


def run(bench, rounds):
    return measure(bench, "idle", rounds, lambda number: one_round(bench, number), TARGETS)
