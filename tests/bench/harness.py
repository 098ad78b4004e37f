"""What all figures of the benchmark share: a Kafka and a Redis of its own, the processes that it starts, and what can be seen of
them from outside. Everything ends with the process.

Nothing here depends on how a worker calls Redis: workers are driven through Kafka, and what an event costs Redis is read from
`INFO commandstats`. BENCH_BUILD names another build folder than `build`, WARMPOOL_BIN another binary of the worker.
"""
import ctypes, json, os, re, shutil, signal, socket, subprocess, sys, tempfile, time, urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("BENCH_BUILD", os.path.join(ROOT, "build"))
WARMPOOL = os.environ.pop("WARMPOOL_BIN", os.path.join(BUILD, "warmpool"))  # a worker would take it for a setting
KAFKA = os.path.join(ROOT, "tests/support/kafka/kafka")
PARTITIONS = 6
INPUTS = ("container-acquire", "container-release", "usage-record", "cache")
ALL_INPUTS = INPUTS + ("pool-control", "container-event")
OUTPUT = "container-assignment"
TICKS = os.sysconf("SC_CLK_TCK")
HOST = "bench"  # of containers that cost nothing
HOST_CAPACITY = 100_000


def say(text):
    print(text, file=sys.stderr, flush=True)


class NotMeasured(Exception):
    """A round that says nothing, and why."""


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Bench:
    def __init__(self, fsync="always", scale=1.0, floor=0, python_codec="hand"):
        """floor: messages a second of the copy loop below which a round is not counted."""
        self.fsync, self.scale, self.floor, self.python_codec = fsync, scale, floor, python_codec
        self.dir = tempfile.mkdtemp(prefix="warmpool-bench-")
        self.children, self.prefixes = [], []
        self.run_number = 0
        self.brokers = None

    def count(self, number):
        """Of events: smaller in a quick run."""
        return max(1, int(number * self.scale))

    # --- the servers ---

    def open(self):
        environment = dict(os.environ, KAFKA_FOLLOW=str(os.getpid()))
        self.brokers = subprocess.run([KAFKA, "start", self.dir + "/kafka"], check=True, text=True, env=environment,
                                      stdout=subprocess.PIPE).stdout.strip().splitlines()[-1]
        with open(self.dir + "/kafka/pid", encoding="ascii") as pid:
            self.broker_pid = int(pid.read())
        self.redis_socket, self.redis_connection = self.dir + "/redis.sock", None
        os.mkdir(self.dir + "/redis")
        self.redis_server = self.start(
            ["redis-server", os.path.join(ROOT, "redis/redis.conf"), "--port", "0", "--unixsocket", self.redis_socket, "--dir", self.dir + "/redis",
             "--appendfsync", self.fsync, "--aclfile", "", "--daemonize", "no", "--logfile", self.dir + "/redis.log"])
        self.wait(lambda: os.path.exists(self.redis_socket), "redis-server")

    def close(self):
        self.stop_all()
        subprocess.run([KAFKA, "stop", self.dir + "/kafka"], check=False, stdout=subprocess.DEVNULL)
        shutil.rmtree(self.dir, ignore_errors=True)

    def clean(self):
        """Nothing of the rounds before is left: topics are deleted, Redis is empty (but for its functions)."""
        for prefix in self.prefixes:
            self.client(prefix, "delete-topics")
        self.prefixes.clear()
        self.redis("FLUSHALL")

    # --- processes ---

    def start(self, command, **more):
        child = subprocess.Popen(command, preexec_fn=die_with_parent, **more)
        self.children.append(child)
        return child

    def stop(self, child, how=signal.SIGTERM):
        child.send_signal(how)
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        self.children.remove(child)

    def stop_all(self, but=()):
        for child in reversed(self.children):
            if child not in but:
                child.send_signal(signal.SIGCONT)
                self.stop(child)

    def wait(self, condition, what, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise NotMeasured(f"{what} did not come up within {seconds} s")
            time.sleep(0.02)

    def client_start(self, prefix, *args, wire="avro"):
        return self.start([os.path.join(BUILD, "tests/bench_client"), self.brokers, prefix, wire, *map(str, args)], stdout=subprocess.PIPE, text=True)

    def client_result(self, child, seconds=240):
        try:
            out, _ = child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.stop(child, signal.SIGKILL)
            raise NotMeasured("the load takes too long") from None
        self.children.remove(child)
        if child.returncode:
            raise NotMeasured("the load failed")
        return json.loads(out)

    def client(self, prefix, *args, wire="avro"):
        return self.client_result(self.client_start(prefix, *args, wire=wire))

    def new_prefix(self):
        self.run_number += 1
        prefix = f"b{self.run_number}."
        self.prefixes.append(prefix)
        return prefix

    def new_topics(self, *topics):
        prefix = self.new_prefix()
        self.make_topics(prefix, *topics)
        return prefix

    def make_topics(self, prefix, *topics):
        """Those that are there stay as they are."""
        self.client(prefix, "make-topics", PARTITIONS, *(prefix + topic for topic in topics))

    # --- Redis ---

    def redis(self, *words):
        """The answer as text. One connection, kept: a process for each question would take what is measured its time."""
        if self.redis_connection is None:
            self.redis_connection = socket.socket(socket.AF_UNIX)
            self.redis_connection.connect(self.redis_socket)
        self.redis_connection.sendall(b"".join([b"*%d\r\n" % len(words), *(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words)]))
        answer = self.redis_connection.makefile("rb")
        head = answer.readline()
        if head[:1] in b"+:":
            return head[1:].strip().decode()
        if head[:1] != b"$":
            raise NotMeasured(f"Redis answers {head.decode().strip()}")
        return answer.read(int(head[1:]) + 2)[:-2].decode()

    def redis_info(self, section):
        lines = self.redis("INFO", section).splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def function_cost(self):
        """(calls, us) of all function calls so far, the commands in them included."""
        stat = self.redis_info("commandstats").get("cmdstat_fcall", "calls=0,usec=0")
        fields = dict(field.split("=") for field in stat.split(","))
        return int(fields["calls"]), int(fields["usec"])

    def redis_cpu_us(self):
        """Of the thread that does Redis' work, so far."""
        with open(f"/proc/{self.redis_server.pid}/schedstat", encoding="ascii") as stat:
            return int(stat.read().split()[0]) // 1000

    def pool(self, prefix):
        return self.pool_stats(prefix)["total"]

    def pool_stats(self, prefix):
        """Of all pools: the pages of wp_pool_stats in one."""
        whole = page = self.pool_stats_page(prefix)
        while "next" in page:
            page = self.pool_stats_page(prefix, page["next"])
            whole["pools"].update(page["pools"])
            for name, value in page["total"].items():
                whole["total"][name] += value
        return whole

    def pool_stats_page(self, prefix, *cursor):
        return json.loads(self.redis("FCALL_RO", "wp_pool_stats", "1", prefix + "wp:{pool}", *cursor))

    # --- workers ---

    def worker(self, prefix, *options):
        """Port 0: the worker says in its log which one it has. Nothing is cleaned where the containers cost nothing, or are those of
        the process runtime: what is measured is the worker."""
        command = [WARMPOOL, "worker"]
        for option in (f"kafka.bootstrap.servers={self.brokers}", f"kafka.group.id={prefix}group", f"topics.prefix={prefix}",
                       f"topics.partitions={PARTITIONS}", f"redis.url=unix://{self.redis_socket}", f"redis.prefix={prefix}wp",
                       "http.listen=127.0.0.1:0", "pool.clean=false", *options):
            command += ["-o", option]
        log = f"{self.dir}/{prefix}{len(self.children)}-worker.log"
        with open(log, "w", encoding="utf-8") as out:
            child = self.start(command, stdout=out, stderr=out)
        child.log = log
        self.wait(lambda: self.http(child, "/readyz"), "the worker")
        return child

    def http(self, worker, path):
        """What it answers; empty while it does not, or says that it is not ready."""
        with open(worker.log, encoding="utf-8") as log:
            found = re.search(r"127\.0\.0\.1:[1-9][0-9]*", "".join(line for line in log if "event=http" in line))
        if worker.poll() is not None:
            with open(worker.log, encoding="utf-8") as log:
                raise SystemExit(f"bench: the worker ended: {log.read()[-2000:]}")
        try:
            return urllib.request.urlopen(f"http://{found[0]}{path}", timeout=5).read().decode() if found else ""
        except OSError:
            return ""

    def add_host(self, prefix):
        """A host whose containers cost nothing. It is made known by a worker of a group of its own, which is then killed: nobody says
        that the host stops, and its heartbeat is good for a day. bench_client answers in its place."""
        worker = self.worker(prefix, f"kafka.group.id={prefix}host", f"host.name={HOST}", f"host.capacity={HOST_CAPACITY}",
                             "host.ttl_ms=86400000", "pool.prewarm=")
        self.wait(lambda: HOST in self.pool_stats(prefix)["hosts"], "the host")
        self.stop(worker, signal.SIGKILL)
        return self.client_start(prefix, "host", HOST)

    def warm_worker(self, prefix, philosophies, containers, *options):
        """A worker with that many containers, all idle."""
        worker = self.worker(prefix, *pool_options(philosophies, containers), *options)
        self.wait(lambda: self.pool(prefix)["available"] >= containers // philosophies * philosophies, "the pool", 600)
        return worker

    def check_warm(self, prefix, acquires):
        total = self.pool(prefix)
        if total["warm_starts"] < acquires * 0.99:
            raise NotMeasured(f"of {acquires} acquires only {total['warm_starts']} were warm, {total['cold_starts']} cold and "
                              f"{total['rejected']} rejected: this is not what was meant")


def pool_options(philosophies, containers):
    """Philosophies p0, p1, ... of so many containers each, and no more."""
    each = containers // philosophies
    return (f"pool.size={each}", f"pool.max_containers={each}", "pool.timeout_ms=600000", "pool.min_idle=0",
            "pool.prewarm=" + ",".join(f"p{i}:{each}" for i in range(philosophies)))


# --- what can be seen of a process ---


def cpu_seconds(pid):
    """User and system time of all its threads."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mb(pid, what="VmRSS"):
    """VmRSS: resident now. VmHWM: the most that was."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        return round(next(int(line.split()[1]) for line in status if line.startswith(what + ":")) / 1024, 1)
