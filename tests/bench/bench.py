#!/usr/bin/env python3
"""Warmpool against a plain consume-and-produce loop in C (copy_loop.c): the same broker, the same messages, the same
client, the same guarantees (idempotent producer, acks=all, offsets committed after delivery, every 0.5 s).

usage: bench.py [--json] [--rounds N] [--fsync always|everysec] [stream] [usage] [roundtrip] [idle]

Each figure is the median of the rounds; in a round both sides run one after the other, and the next round begins with
the other side, because what a busy machine can do changes from minute to minute. A round whose copy loop stays under
COPY_FLOOR says that the machine was busy elsewhere: it is shown, not counted, and run again, MAX_RETRIES times at most.

stream     An acquire is answered by an assignment, a release by nothing; the copy loop copies both, one record for each. In both
           there are at most STREAM_CONTAINERS between an acquire and the end of its release.
usage      A usage record's effect is a sample in Redis, made durable there; Kafka gets a prediction now and then. The copy
           loop's effect of a record is its copy in Kafka. Both read the same backlog: batches of at most 100 records, as
           many small producers leave it (one producer's large batches make a copy loop up to four times as fast). The rate
           is that of the group's commits, seen from outside, alike for both.
roundtrip  From an acquire sent to its assignment read, 1 and 16 under way; from a message sent to its copy read. Releases come
           in between, when nothing is under way. The copy loop then shows its rate as in `stream`, so that a busy machine
           is noticed here, too.
idle       Resident memory of a worker that holds IDLE_CONTAINERS and has nothing to do.
"""
import argparse, json, os, re, shutil, signal, socket, statistics, subprocess, sys, tempfile, time, urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("BENCH_BUILD", os.path.join(ROOT, "build"))
COPY_FLOOR = 100_000  # messages a second
MAX_RETRIES = 3  # of a benchmark
PARTITIONS = 6
PHILOSOPHIES = 5
STREAM_PAIRS = 150_000
STREAM_WINDOW = 1000
STREAM_CONTAINERS = 2000  # more than can be leased or on their way back
USAGE_RECORDS = 1_000_000
TRIPS = 2000
TRIPS_HELD = 200
IDLE_CONTAINERS = 10
IDLE_ROUNDS = 3  # of the memory optimiser, one a second: by then it has given back what the start took
OUTPUT = "container-assignment"

# name: [(figure, unit, bound, whether a lower one is better)]
TARGETS = {
    "stream": [("ratio", "", 0.40, False)],
    "usage": [("ratio", "", 0.60, False)],
    "roundtrip": [("p50_ratio", "", 1.5, True), ("p99_ratio", "", 1.5, True)],
    "idle": [("rss_mb", " MB", 32, True)],
}


def say(text):
    print(text, file=sys.stderr, flush=True)


class NotMeasured(Exception):
    """A round that says nothing, and why."""


class Bench:
    def __init__(self, fsync):
        self.fsync = fsync
        self.dir = tempfile.mkdtemp(prefix="warmpool-bench-")
        self.kafka_script = os.path.join(ROOT, "tests/support/kafka/kafka")
        self.children = []
        self.run_number = 0
        self.brokers = None

    def open(self):
        environment = dict(os.environ, KAFKA_FOLLOW=str(os.getpid()))
        self.brokers = subprocess.run([self.kafka_script, "start", self.dir + "/kafka"], check=True, text=True, env=environment,
                                      stdout=subprocess.PIPE).stdout.strip().splitlines()[-1]
        self.redis_socket, self.redis_connection = self.dir + "/redis.sock", None
        os.mkdir(self.dir + "/redis")
        self.start(["redis-server", os.path.join(ROOT, "redis/redis.conf"), "--port", "0", "--unixsocket", self.redis_socket,
                    "--dir", self.dir + "/redis", "--appendfsync", self.fsync, "--aclfile", "", "--daemonize", "no", "--logfile", self.dir + "/redis.log"])
        self.wait(lambda: os.path.exists(self.redis_socket), "redis-server")

    def start(self, command, **more):
        child = subprocess.Popen(command, **more)
        self.children.append(child)
        return child

    def stop(self, child):
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        self.children.remove(child)

    def wait(self, condition, what, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise NotMeasured(f"{what} did not come up within {seconds} s")
            time.sleep(0.02)

    def stop_all(self, but=()):
        for child in reversed(self.children):
            if child not in but:
                self.stop(child)

    def close(self):
        self.stop_all()
        subprocess.run([self.kafka_script, "stop", self.dir + "/kafka"], check=False, stdout=subprocess.DEVNULL)
        shutil.rmtree(self.dir, ignore_errors=True)

    def new_prefix(self):
        self.run_number += 1
        return f"b{self.run_number}."

    def worker(self, prefix, *options):
        """Port 0: the worker says in its log which one it has."""
        command = [os.path.join(BUILD, "warmpool"), "worker"]
        for option in (f"kafka.bootstrap.servers={self.brokers}", f"kafka.group.id={prefix}group", f"topics.prefix={prefix}",
                       f"redis.url=unix://{self.redis_socket}", f"redis.prefix={prefix}wp", "http.listen=127.0.0.1:0",
                       "host.name=bench", *options):
            command += ["-o", option]
        log = f"{self.dir}/{prefix}worker.log"
        with open(log, "w") as out:
            child = self.start(command, stdout=out, stderr=out)
        child.log = log
        self.wait(lambda: self.http(child, "/readyz"), "the worker")
        return child

    def http(self, worker, path):
        """What it answers; empty while it does not, or says that it is not ready."""
        with open(worker.log) as log:
            found = re.search(r"127\.0\.0\.1:[1-9][0-9]*", "".join(line for line in log if "event=http" in line))
        if worker.poll() is not None:
            raise SystemExit(f"bench: the worker ended: {open(worker.log).read()[-2000:]}")
        try:
            return urllib.request.urlopen(f"http://{found[0]}{path}", timeout=5).read().decode() if found else ""
        except OSError:
            return ""

    def optimizer_rounds(self, worker):
        found = re.search(r"^warmpool_optimizer_rounds_total(?:{[^}]*})? ([0-9]+)", self.http(worker, "/metrics"), re.MULTILINE)
        return int(found[1]) if found else 0

    def pool(self, prefix):
        return json.loads(self.redis("FCALL_RO", "wp_pool_stats", "1", prefix + "wp:{pool}"))["total"]

    def redis(self, *words):
        """The answer, which is a text. One connection, kept: a process for each question would take what is measured its time."""
        if self.redis_connection is None:
            self.redis_connection = socket.socket(socket.AF_UNIX)
            self.redis_connection.connect(self.redis_socket)
        self.redis_connection.sendall(b"".join([b"*%d\r\n" % len(words), *(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words)]))
        answer = self.redis_connection.makefile("rb")
        head = answer.readline()
        if not head.startswith(b"$"):
            raise NotMeasured(f"Redis answers {head.decode().strip()}")
        return answer.read(int(head[1:]) + 2)[:-2]

    def warm_worker(self, prefix, philosophies, containers, *options):
        """A worker with that many containers, all idle."""
        each = containers // philosophies
        worker = self.worker(prefix, f"host.capacity={containers + 100}", f"pool.size={each}", f"pool.max_containers={each}",
                             "pool.prewarm=" + ",".join(f"p{i}:{each}" for i in range(philosophies)), *options)
        self.wait(lambda: self.pool(prefix)["available"] >= containers, "the pool", 120)
        return worker

    def check_warm(self, prefix, acquires):
        total = self.pool(prefix)
        if total["warm_starts"] < acquires * 0.99:
            raise NotMeasured(f"of {acquires} acquires only {total['warm_starts']} were warm, {total['cold_starts']} cold and "
                              f"{total['rejected']} rejected: this is not what was meant")

    def client(self, prefix, *args):
        child = self.start([os.path.join(BUILD, "tests/bench_client"), self.brokers, prefix, *map(str, args)],
                           stdout=subprocess.PIPE, text=True)
        out, _ = child.communicate(timeout=240)
        self.children.remove(child)
        if child.returncode:
            raise NotMeasured("the load failed")
        return json.loads(out)

    def copy_loop(self, prefix, topics):
        return self.start([os.path.join(BUILD, "tests/bench_copy_loop"), self.brokers, prefix + "copy",
                           ",".join(prefix + t for t in topics), prefix + OUTPUT, "0"], stdout=subprocess.DEVNULL)

    def new_topics(self, *topics):
        prefix = self.new_prefix()
        self.client(prefix, "make-topics", PARTITIONS, *(prefix + t for t in topics))
        return prefix

    def warm_up(self):
        """A young broker is busy compiling itself, at the cost of whoever comes first."""
        try:
            say(f"warm-up: copy loop {self.stream_copy_loop():,.0f}/s")
        except NotMeasured as error:
            raise SystemExit(f"bench: {error}; the output above says why")

    # --- a side of a round each ---

    def stream_warmpool(self):
        prefix = self.new_prefix()
        worker = self.warm_worker(prefix, PHILOSOPHIES, STREAM_CONTAINERS)
        rate = self.pairs(prefix)
        self.check_warm(prefix, STREAM_PAIRS)
        self.stop(worker)
        return rate

    def stream_copy_loop(self):
        prefix = self.new_topics("container-acquire", "container-release", OUTPUT)
        copy = self.copy_loop(prefix, ["container-acquire", "container-release"])
        rate = self.pairs(prefix, STREAM_CONTAINERS)
        self.stop(copy)
        return rate

    def pairs(self, prefix, *held):
        result = self.client(prefix, "pairs", STREAM_PAIRS, PHILOSOPHIES, STREAM_WINDOW, prefix + OUTPUT, *held)
        return result["messages"] / result["seconds"]

    def backlog(self):
        """The worker makes its topics at its start."""
        prefix = self.new_prefix()
        self.stop(self.worker(prefix))
        self.client(prefix, "load-usage", USAGE_RECORDS, PHILOSOPHIES)
        return prefix

    def usage_warmpool(self, prefix):
        worker = self.worker(prefix)
        return self.drained(prefix, "group", worker)

    def usage_copy_loop(self, prefix):
        copy = self.copy_loop(prefix, ["usage-record"])
        return self.drained(prefix, "copy", copy)

    def drained(self, prefix, group, child):
        result = self.client(prefix, "watch", prefix + group, USAGE_RECORDS, prefix + "usage-record")
        self.stop(child)
        return result["messages"] / result["seconds"]

    def trips_warmpool(self):
        prefix = self.new_prefix()
        worker = self.warm_worker(prefix, 1, 2 * TRIPS_HELD)
        result = self.client(prefix, "trips", TRIPS, TRIPS_HELD, prefix + OUTPUT, prefix + "group")
        self.check_warm(prefix, 2 * (TRIPS + TRIPS_HELD))
        self.stop(worker)
        return result

    def trips_copy_loop(self):
        prefix = self.new_topics("container-acquire", "container-release", OUTPUT)
        copy = self.copy_loop(prefix, ["container-acquire", "container-release"])
        result = self.client(prefix, "trips", TRIPS, TRIPS_HELD, prefix + OUTPUT, prefix + "copy")
        result["rate"] = self.pairs(prefix, STREAM_CONTAINERS)
        self.stop(copy)
        return result

    # --- a round each ---

    def stream(self, first):
        return both(first, self.stream_warmpool, self.stream_copy_loop)

    def usage(self, first):
        prefix = self.backlog()
        return both(first, lambda: self.usage_warmpool(prefix), lambda: self.usage_copy_loop(prefix))

    def roundtrip(self, first):
        return both(first, self.trips_warmpool, self.trips_copy_loop)

    def idle(self, _):
        prefix = self.new_prefix()
        worker = self.warm_worker(prefix, 1, IDLE_CONTAINERS, "memory.interval=1")
        done = self.optimizer_rounds(worker)
        self.wait(lambda: self.optimizer_rounds(worker) >= done + IDLE_ROUNDS, "the memory optimiser")
        keepers = [pid for pid in children_of(worker.pid) if name_of(pid) == "warmpool-keeper"]
        result = {"rss_mb": rss_mb(worker.pid), "keeper_rss_mb": round(sum(rss_mb(pid) for pid in keepers), 1)}
        self.stop(worker)
        return result


def both(first, warmpool, copy_loop):
    sides = [("warmpool", warmpool), ("copy_loop", copy_loop)]
    return {name: run() for name, run in (sides if first else reversed(sides))}


def rss_mb(pid):
    with open(f"/proc/{pid}/status") as status:
        return round(next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024, 1)


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        return [int(child) for child in children.read().split()]


def name_of(pid):
    with open(f"/proc/{pid}/comm") as comm:
        return comm.read().strip()


# --- rounds: what one says, what all say ---


def weighed(one, copy_rate):
    if copy_rate < COPY_FLOOR:
        one["not_counted"] = f"the copy loop stayed under {COPY_FLOOR:,} messages a second"
    return one


def weigh_rates(result):
    ours, theirs = result["warmpool"], result["copy_loop"]
    return weighed({"warmpool": round(ours), "copy_loop": round(theirs), "ratio": round(ours / theirs, 3)}, theirs)


def weigh_trips(result):
    one = {"copy_loop_per_second": round(result["copy_loop"]["rate"])}
    for window, name in (("1", ""), ("16", "_16")):
        for figure in ("p50", "p99"):
            ours, theirs = (result[side][window][figure + "_ms"] for side in ("warmpool", "copy_loop"))
            one[f"warmpool_{figure}{name}_ms"], one[f"copy_loop_{figure}{name}_ms"] = ours, theirs
            one[f"{figure}{name}_ratio"] = round(ours / theirs, 3)
    return weighed(one, one["copy_loop_per_second"])


WEIGH = {"stream": weigh_rates, "usage": weigh_rates, "roundtrip": weigh_trips, "idle": lambda result: result}


def measure(bench, name, rounds):
    """Counted rounds until there are enough, and all that were run."""
    all_rounds, counted = [], []
    while len(counted) < rounds and len(all_rounds) < rounds + MAX_RETRIES:
        running = list(bench.children)
        began = time.monotonic()
        try:
            one = WEIGH[name](getattr(bench, name)(len(all_rounds) % 2 == 0))
        except (NotMeasured, subprocess.SubprocessError) as error:
            one = {"not_counted": str(error)}
            bench.stop_all(but=running)
        one["round_seconds"] = round(time.monotonic() - began, 1)
        say(f"{name}: {json.dumps(one)}")
        all_rounds.append(one)
        if "not_counted" not in one:
            counted.append(one)
    figures = {key: middle([one[key] for one in counted]) for key in (counted[0] if counted else {})}
    targets = [target(figures, *each) for each in TARGETS[name]]
    return {**figures, "targets": targets, "counted_rounds": len(counted), "rounds": all_rounds}


def middle(values):
    value = statistics.median(values)
    return round(value) if all(isinstance(each, int) for each in values) else round(value, 3)


def target(figures, figure, unit, bound, at_most):
    value = figures.get(figure)
    met = value is not None and (value <= bound if at_most else value >= bound)
    return {"figure": figure, "value": value, "target": f"at {'most' if at_most else 'least'} {bound}{unit}", "met": met}


def table(results):
    rows = [("benchmark", "figure", "measured", "target", "met", "warmpool", "copy loop", "rounds counted")]
    for name, result in results.items():
        for each in result["targets"]:
            figure = each["figure"].removesuffix("_ratio")
            ours, theirs = (result.get(f"{side}_{figure}_ms", result.get(side)) for side in ("warmpool", "copy_loop"))
            unit = " ms" if f"warmpool_{figure}_ms" in result else "/s"
            rows.append((name, each["figure"], str(each["value"]), each["target"], "yes" if each["met"] else "NO",
                         *("" if side is None else f"{side:,}{unit}" for side in (ours, theirs)),
                         f"{result['counted_rounds']} of {len(result['rounds'])}"))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def main():
    parser = argparse.ArgumentParser(prog="./dev bench")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--fsync", choices=["always", "everysec"], default="always", help="of Redis; Kafka itself never waits for its disk")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    names = options.names or list(TARGETS)
    for name in names:
        if name not in TARGETS:
            raise SystemExit(f"bench: no benchmark named {name}; there are {', '.join(TARGETS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    bench = Bench(options.fsync)
    results = {}
    try:
        bench.open()
        bench.warm_up()
        for name in names:
            results[name] = measure(bench, name, options.rounds)
    finally:
        bench.close()
    table(results)
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
