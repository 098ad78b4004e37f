"""A whole system for one test: a Redis and workers of its own, on a real Kafka shared by the tests of one process (each
system has its own topic prefix and consumer group). Everything ends with the process, even with a killed one.

    with System(options={"pool.size": 5}) as system:
        client = Client(system, wire="avro")
        client.send("container-acquire", {"request_id": "r1", ...})
        answer = client.wait("container-assignment", lambda record: record["request_id"] == "r1")
"""
import atexit
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import redis

ROOT = Path(__file__).resolve().parents[2]
# WARMPOOL_BIN: an earlier build, or a changed one; a worker would take it for a setting. TEST_WARMPOOL: the build of the test.
WARMPOOL = os.environ.pop("WARMPOOL_BIN", "") or os.environ.get("TEST_WARMPOOL", str(ROOT / "build" / "warmpool"))
KAFKA = ROOT / "tests" / "support" / "kafka" / "kafka"
TOPICS = ("container-acquire", "container-release", "usage-record", "cache", "pool-control", "container-event",
          "container-assignment", "container-command", "cache-result", "prediction", "metrics")
CONFLUENT_IDS = {topic: number for number, topic in enumerate(TOPICS, start=1)}


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


WAIT_LIMIT = 120  # seconds: it only ends a test that hangs


def wait_until(condition, what, timeout=WAIT_LIMIT):
    """Polls condition() until it gives something true, and returns that."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout:.0f} s: {what() if callable(what) else what}")
        time.sleep(0.02)


def stays(condition, what, seconds=3):
    """Looks again and again for so long, and fails at the first time that condition() gives nothing true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not condition():
            raise AssertionError(f"no longer: {what() if callable(what) else what}")
        time.sleep(0.02)


def pause(pid):
    """SIGSTOP, and back when the last thread stands still: until then it still answers."""
    def still():
        states = [path.read_text().rpartition(")")[2].split()[0] for path in Path(f"/proc/{pid}/task").glob("*/stat")]
        return set(states) <= {"T", "Z", "X"}
    os.kill(pid, signal.SIGSTOP)
    wait_until(still, f"process {pid} stops")


class ScriptServer:
    """A server that a script of tests/support starts and stops. A process whose standard input ends with ours stops it and removes its
    folder."""
    shared = None
    script = None  # of the subclass

    def __init__(self, environment=None, files=None):
        """files: name -> text, in its folder before the first start."""
        self.dir = tempfile.mkdtemp(prefix=f"warmpool-{self.script.name}-")
        for name, text in (files or {}).items():
            Path(self.dir, name).write_text(text, encoding="utf-8")
        self.environment = {**os.environ, **(environment or {})}
        self.keeper = subprocess.Popen(["sh", "-c", 'cat >/dev/null; "$0" stop "$1"; rm -rf "$1"', str(self.script), self.dir],
                                       stdin=subprocess.PIPE, start_new_session=True)
        self.address = self.start()
        atexit.register(self.close)

    def start(self):
        return subprocess.run([str(self.script), "start", self.dir], check=True, stdout=subprocess.PIPE, text=True,
                              env=self.environment).stdout.strip()

    def stop(self):
        subprocess.run([str(self.script), "stop", self.dir], check=True)

    def close(self):
        self.keeper.stdin.close()
        self.keeper.wait()

    @classmethod
    def get(cls):
        """The one that the tests of a process share, started at first use."""
        if cls.shared is None:
            cls.shared = cls()
        return cls.shared


class Kafka(ScriptServer):
    """The real broker."""
    script = KAFKA
    extra = "extra.properties"

    def __init__(self, rights=False, protocol=None, properties=""):
        """rights: clients need a user and rights; protocol: what they speak, with the node's properties for it. See
        tests/support/kafka/kafka."""
        environment = {"KAFKA_ACL": "1"} if rights else {}
        if protocol:
            environment.update(KAFKA_PROTOCOL=protocol)
        super().__init__(environment, {self.extra: properties} if protocol else {})

    def start(self):
        if "KAFKA_PROTOCOL" in self.environment:
            self.environment["KAFKA_PROPERTIES"] = os.path.join(self.dir, self.extra)
        return super().start()

    @property
    def bootstrap(self):
        return self.address


class Redis:
    def __init__(self, folder):
        self.dir = folder
        self.socket = os.path.join(folder, "redis.sock")
        self.url = f"unix://{self.socket}"
        self.client = redis.Redis(unix_socket_path=self.socket)
        self.process = None
        self.start()

    def start(self):
        command = ["redis-server", str(ROOT / "redis" / "redis.conf"), "--port", "0", "--unixsocket", self.socket, "--aclfile", "",
                   "--dir", self.dir, "--logfile", os.path.join(self.dir, "redis.log")]
        self.process = subprocess.Popen(command, preexec_fn=die_with_parent)
        wait_until(self.answers, "redis-server answers")

    def answers(self):
        try:
            return self.client.ping()
        except redis.exceptions.RedisError:
            return False

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process.poll() is None:
            self.kill()


class Worker:
    def __init__(self, system, name, options):
        self.system, self.name = system, name
        self.options = {**system.options, "http.listen": "127.0.0.1:0", "host.name": name, **options}
        self.log_path = os.path.join(system.dir, f"{name}.log")
        self.arguments = []  # before its options, such as -c FILE
        self.process = None

    def start(self, stderr=None, inherit=lambda: None):
        """stderr: a file descriptor instead of the log's file; inherit: called in the new process before the worker."""
        command = [WARMPOOL, "worker", *self.arguments]
        for key, value in self.options.items():
            command += ["-o", f"{key}={value}"]
        self.log_start = os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stderr=log if stderr is None else stderr, stdout=log,
                                            preexec_fn=lambda: (die_with_parent(), inherit()))
        return self

    def log(self):
        with open(self.log_path, "rb") as file:
            file.seek(self.log_start)
            return file.read().decode(errors="replace")

    def port(self):
        """Of its HTTP server, None until it listens."""
        found = re.search(r"event=http_listening\b.*?\baddress=127\.0\.0\.1:(\d+)", self.log())
        return int(found[1]) if found else None

    def http(self, path):
        """(status, text) of a GET; (0, "") while nobody listens."""
        if not self.port():
            return 0, ""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port()}{path}", timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def wait_ready(self):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"{self.name} ended with {self.process.returncode}:\n{self.log()[-3000:]}")
            return self.http("/readyz")[0] == 200
        wait_until(ready, lambda: f"{self.name} is ready: {self.http('/readyz')}\n{self.log()[-3000:]}")
        return self

    def start_if_its_library_crashed(self):
        """A topic that is made anew may crash librdkafka 2.4 to 2.8 (its issue 4778), and the worker in it."""
        if self.process.poll() == -signal.SIGSEGV:
            version = re.search(r"event=started .*librdkafka=(\d+)\.(\d+)", self.log())
            if (2, 4) <= tuple(map(int, version.groups())) <= (2, 8):
                print(f"librdkafka {version[1]}.{version[2]} has crashed, and the worker with it: it is started again", file=sys.stderr)
                self.start()

    def stop(self):
        """SIGTERM; returns the exit code."""
        self.process.terminate()
        return self.process.wait(WAIT_LIMIT)

    def kill(self):
        self.process.kill()
        self.process.wait()


class System:
    def __init__(self, workers=1, options=None, wire="avro", start=True, kafka=None, redis=Redis):
        """redis: makes the Redis, given a folder of its own."""
        self.prefix = f"t{uuid.uuid4().hex[:8]}."
        self.dir = tempfile.mkdtemp(prefix="warmpool-e2e-")
        self.kafka = kafka or Kafka.get()
        self.redis = redis(self.dir)
        self.options = {
            "kafka.bootstrap.servers": self.kafka.bootstrap,
            "kafka.group.id": self.prefix + "group",
            "redis.url": self.redis.url,
            "topics.prefix": self.prefix,
            "topics.partitions": 2,
            "wire.write": wire,
            "wire.confluent_ids": ",".join(f"{number}={topic}" for topic, number in CONFLUENT_IDS.items()),
            "host.runtime": "process",
            "pool.prewarm": "",
            **(options or {}),
        }
        self.workers = [Worker(self, f"w{number}", {}) for number in range(1, workers + 1)]
        if start:
            self.start()

    def start(self):
        try:
            for worker in self.workers:
                worker.start()
            for worker in self.workers:
                worker.wait_ready()
        except BaseException:
            self.close()
            raise

    def command(self, *arguments):
        """The command line of a subcommand with this system's options."""
        command = [WARMPOOL, arguments[0]]
        for key, value in self.options.items():
            command += ["-o", f"{key}={value}"]
        return command + list(arguments[1:])

    def cli(self, *arguments, input=None):
        """Runs it: a CompletedProcess with text."""
        return subprocess.run(self.command(*arguments), input=input, capture_output=True, text=True, timeout=WAIT_LIMIT)

    def pool(self, philosophy):
        """The pool as a service that can reach Redis reads it."""
        try:
            pools = json.loads(self.redis.client.fcall_ro("wp_pool_stats", 1, "wp:{pool}"))["pools"]
        except redis.exceptions.ResponseError as error:
            if "not found" not in str(error):
                raise
            pools = {}  # no worker has loaded its functions yet
        return pools.get(philosophy, {"available": 0, "leased": 0, "creating": 0, "waiting": 0, "paused": 0, "resetting": 0})

    def wait_pool(self, philosophy, **wanted):
        wait_until(lambda: {name: self.pool(philosophy)[name] for name in wanted} == wanted,
                   lambda: f"{philosophy} has {wanted}: {self.pool(philosophy)}")

    def close(self):
        for worker in self.workers:
            if worker.process and worker.process.poll() is None:
                worker.kill()
        self.redis.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
