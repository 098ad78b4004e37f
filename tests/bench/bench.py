#!/usr/bin/env python3
"""Warmpool against a plain consume-and-produce loop in C: the same broker, the same messages, the same guarantees.

usage: bench.py [--json] [--rounds N] [stream] [usage] [roundtrip] [idle]

Each figure is the median of the rounds' ratios; in a round the two run one after the other on the same Kafka. A round in
which the copy loop stays under 100,000 messages a second says that the machine was busy elsewhere: it is run again.
"""
import argparse, json, os, shutil, signal, statistics, subprocess, sys, tempfile, time, urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("WARMPOOL_BUILD", os.path.join(ROOT, "build"))
COPY_FLOOR = 100_000
MESSAGES = 300_000
PHILOSOPHIES = 5
CONTAINERS = 2000
WINDOW = 1000
MAX_RETRIES = 5


def say(text):
    print(text, file=sys.stderr, flush=True)


class Bench:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="warmpool-bench-")
        self.kafka_script = os.path.join(ROOT, "tests/support/kafka/kafka")
        self.children = []
        self.run_number = 0
        self.brokers = subprocess.run([self.kafka_script, "start", self.dir + "/kafka"], check=True, text=True,
                                      stdout=subprocess.PIPE).stdout.strip().splitlines()[-1]
        self.redis_socket = self.dir + "/redis.sock"
        os.mkdir(self.dir + "/redis")
        self.start(["redis-server", os.path.join(ROOT, "redis/redis.conf"), "--port", "0", "--unixsocket", self.redis_socket,
                    "--dir", self.dir + "/redis", "--aclfile", "", "--daemonize", "no", "--logfile", self.dir + "/redis.log"])
        self.wait(lambda: os.path.exists(self.redis_socket), "redis-server")

    def start(self, command, **more):
        child = subprocess.Popen(command, **more)
        self.children.append(child)
        return child

    def stop(self, child):
        child.send_signal(signal.SIGTERM)
        child.wait(30)
        self.children.remove(child)

    def wait(self, condition, what, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise SystemExit(f"bench: {what} does not come up; see {self.dir}")
            time.sleep(0.02)

    def close(self):
        for child in list(self.children):
            self.stop(child)
        subprocess.run([self.kafka_script, "stop", self.dir + "/kafka"], check=False, stdout=subprocess.DEVNULL)
        shutil.rmtree(self.dir, ignore_errors=True)

    def new_prefix(self):
        self.run_number += 1
        return f"b{self.run_number}."

    def worker(self, prefix, *options):
        port = 20000 + os.getpid() % 20000 + self.run_number
        command = [os.path.join(BUILD, "warmpool"), "worker"]
        for option in (f"kafka.bootstrap.servers={self.brokers}", f"kafka.group.id={prefix}group", f"topics.prefix={prefix}",
                       f"redis.url=unix://{self.redis_socket}", f"redis.prefix={prefix}wp", f"http.listen=127.0.0.1:{port}",
                       "log.level=warn", *options):
            command += ["-o", option]
        child = self.start(command)
        child.url = f"http://127.0.0.1:{port}"
        return child

    def is_ready(self, worker):
        try:
            return urllib.request.urlopen(worker.url + "/readyz", timeout=5).status == 200
        except OSError:
            return False

    def pool(self, prefix):
        text = subprocess.run(["redis-cli", "-s", self.redis_socket, "FCALL_RO", "wp_pool_stats", "1", prefix + "wp:{pool}"], check=True,
                              text=True, stdout=subprocess.PIPE).stdout
        return json.loads(text)["total"]

    def client(self, prefix, *args, background=False):
        command = [os.path.join(BUILD, "tests/bench_client"), self.brokers, prefix, *map(str, args)]
        if background:
            return self.start(command, stdout=subprocess.PIPE, text=True)
        return json.loads(subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout)

    def finish(self, child):
        out, _ = child.communicate(timeout=180)
        self.children.remove(child)
        if child.returncode:
            raise SystemExit("bench: the load failed")
        return json.loads(out)

    def copy(self, prefix, topics, total):
        command = [os.path.join(BUILD, "tests/bench_copy_loop"), self.brokers, prefix + "copy",
                   ",".join(prefix + t for t in topics), prefix + "copy-out", str(total)]
        if total == 0:
            return self.start(command, stdout=subprocess.PIPE, text=True)
        result = json.loads(subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout)
        return result["messages"] / result["seconds"]

    def make_topics(self, prefix):
        """The worker makes its topics at start; the copy loop's output is made beside them."""
        worker = self.worker(prefix)
        self.wait(lambda: self.is_ready(worker), "the worker")
        self.stop(worker)
        self.client(prefix, "make-topic", 6, prefix + "copy-out")

    def stream(self):
        """Warm acquires and their releases in a closed loop, the same client against both: each request is released when its answer
        is read, WINDOW of them are under way, and there are more containers than that."""
        prefix = self.new_prefix()
        each = CONTAINERS // PHILOSOPHIES
        worker = self.worker(prefix, "host.name=bench", f"host.capacity={CONTAINERS + 100}", f"pool.size={each}", f"pool.max_containers={each}",
                             "pool.prewarm=" + ",".join(f"p{i}:{each}" for i in range(PHILOSOPHIES)))
        self.wait(lambda: self.is_ready(worker) and self.pool(prefix)["available"] >= CONTAINERS, "the pool")
        self.client(prefix, "make-topic", 6, prefix + "copy-out")
        ours = self.client(prefix, "pairs", MESSAGES // 2, PHILOSOPHIES, WINDOW, prefix + "container-assignment")
        total = self.pool(prefix)
        self.stop(worker)
        say(f"stream: {total['warm_starts']} warm, {total['cold_starts']} cold, {total['rejected']} rejected")
        if total["warm_starts"] < MESSAGES // 2 * 0.9:
            raise SystemExit("bench: under 90 % of the acquires were warm: this is not the stream that was meant")
        copy = self.copy(prefix, ["container-acquire", "container-release"], 0)
        theirs = self.client(prefix, "pairs", MESSAGES // 2, PHILOSOPHIES, WINDOW, prefix + "copy-out")
        self.stop(copy)
        return ours["messages"] / ours["seconds"], theirs["messages"] / theirs["seconds"]

    def usage(self):
        prefix = self.new_prefix()
        self.make_topics(prefix)
        self.client(prefix, "load-usage", MESSAGES, PHILOSOPHIES)
        watch = self.client(prefix, "watch", prefix + "group", MESSAGES, prefix + "usage-record", background=True)
        worker = self.worker(prefix)
        result = self.finish(watch)
        self.stop(worker)
        return result["messages"] / result["seconds"], self.copy(prefix, ["usage-record"], MESSAGES)

    def roundtrip(self):
        prefix = self.new_prefix()
        self.make_topics(prefix)
        worker = self.worker(prefix, "host.name=bench", "pool.prewarm=p0:5")
        self.wait(lambda: self.is_ready(worker) and self.pool(prefix)["available"] >= 5, "the pool", 60)
        ours = self.client(prefix, "rtt", 2000)
        self.stop(worker)
        copy = self.copy(prefix, ["container-acquire"], 0)
        theirs = self.client(prefix, "rtt-copy", 2000, prefix + "copy-out")
        self.stop(copy)
        return ours, theirs

    def idle(self):
        worker = self.worker(self.new_prefix())
        self.wait(lambda: self.is_ready(worker), "the worker")
        end = time.monotonic() + 3  # let it settle: what it holds when nothing happens
        self.wait(lambda: time.monotonic() > end, "time")
        with open(f"/proc/{worker.pid}/status") as status:
            rss = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
        self.stop(worker)
        return rss / 1024


def throughput(bench, name, rounds):
    ratios, rates = [], []
    retries = 0
    while len(ratios) < rounds:
        ours, copy = getattr(bench, name)()
        counted = copy >= COPY_FLOOR
        say(f"{name}: warmpool {ours:,.0f}/s, copy loop {copy:,.0f}/s, ratio {ours / copy:.3f}{'' if counted else ' (not counted)'}")
        if not counted:
            retries += 1
            if retries > MAX_RETRIES:
                raise SystemExit(f"bench: the copy loop stays under {COPY_FLOOR:,} messages a second; this machine is too busy")
            continue
        ratios.append(ours / copy)
        rates.append((ours, copy))
    return {"ratio": round(statistics.median(ratios), 3), "ratios": [round(r, 3) for r in ratios],
            "warmpool_per_second": round(statistics.median(r[0] for r in rates)),
            "copy_loop_per_second": round(statistics.median(r[1] for r in rates))}


def roundtrip(bench, rounds):
    p50, p99 = [], []
    for _ in range(rounds):
        ours, theirs = bench.roundtrip()
        p50.append(ours["p50_ms"] / theirs["p50_ms"])
        p99.append(ours["p99_ms"] / theirs["p99_ms"])
        say(f"roundtrip: warmpool p50 {ours['p50_ms']:.2f} ms p99 {ours['p99_ms']:.2f} ms, copy loop p50 {theirs['p50_ms']:.2f} ms "
            f"p99 {theirs['p99_ms']:.2f} ms")
    return {"p50_ratio": round(statistics.median(p50), 3), "p99_ratio": round(statistics.median(p99), 3),
            "p50_ratios": [round(r, 3) for r in p50], "p99_ratios": [round(r, 3) for r in p99]}


def main():
    parser = argparse.ArgumentParser(prog="./dev bench")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    known = ["stream", "usage", "roundtrip", "idle"]
    names = options.names or known
    for name in names:
        if name not in known:
            raise SystemExit(f"bench: no benchmark named {name}; there are {', '.join(known)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    bench = Bench()
    try:
        results = {}
        for name in names:
            if name == "roundtrip":
                results[name] = roundtrip(bench, options.rounds)
            elif name == "idle":
                results[name] = {"rss_mb": round(bench.idle(), 1)}
            else:
                results[name] = throughput(bench, name, options.rounds)
    finally:
        bench.close()
    if options.json:
        print(json.dumps(results))
    else:
        targets = {"stream": ("ratio", "at least 0.40"), "usage": ("ratio", "at least 0.60"), "roundtrip": ("p50_ratio", "at most 1.5"),
                   "idle": ("rss_mb", "under 32")}
        for name, result in results.items():
            figure, target = targets[name]
            print(f"{name:10} {figure} {result[figure]}  (target: {target})  {json.dumps(result)}")


if __name__ == "__main__":
    main()
