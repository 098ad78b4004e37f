"""The contenders: warmpool, and what does parts of its work on the same broker with the same messages and client settings.

warmpool           a worker with warm containers that cost nothing
copy_loop          copy_loop.c: consumes and produces, nothing else
durable_copy_loop  the same with one durable write to Redis a batch before it produces: what any design has to do that publishes only
                   what is durable
python_worker      python_worker.py: the same jobs in simple form
python_copy_loop   python_worker.py --copy: what Python can do at all
"""
import os, subprocess, sys

from harness import BUILD, INPUTS, OUTPUT

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = os.environ.get("TEST_PYTHON", sys.executable)
PYTHON_OUTPUTS = ("container-assignment", "cache-result", "prediction")
COPIES = ("copy_loop", "durable_copy_loop", "python_copy_loop")


class Contender:
    """A process at work on the topics of a prefix. `group` is its consumer group, `outputs` where its answers appear, `held` how
    many requests may be out at a time (0: its containers say so)."""

    def __init__(self, bench, name, prefix, topics=INPUTS, containers=0, philosophies=1, options=()):
        self.bench, self.name, self.prefix = bench, name, prefix
        self.group = prefix + name
        self.outputs = [prefix + OUTPUT] if name in COPIES else [prefix + OUTPUT, prefix + "cache-result"]
        self.held = 0 if name in ("warmpool", "python_worker") else containers
        self.others = list(bench.children)
        getattr(self, "start_" + name)([prefix + topic for topic in topics], containers, philosophies, options)

    def start_warmpool(self, _, containers, philosophies, options):
        options = (f"kafka.group.id={self.group}", *options)
        if containers:
            self.bench.add_host(self.prefix)
            self.child = self.bench.warm_worker(self.prefix, philosophies, containers, *options)
        else:
            self.child = self.bench.worker(self.prefix, "pool.prewarm=", *options)

    def start_copy_loop(self, topics, *_, redis=()):
        self.bench.make_topics(self.prefix, *INPUTS, OUTPUT)
        self.child = self.bench.start([os.path.join(BUILD, "tests/bench_copy_loop"), self.bench.brokers, self.group, ",".join(topics),
                                       self.prefix + OUTPUT, *redis])

    def start_durable_copy_loop(self, topics, *_):
        self.start_copy_loop(topics, redis=(self.bench.redis_socket,))

    def start_python_worker(self, _, containers, philosophies, __):
        self.start_python(self.bench.redis_socket, "--containers", containers, "--philosophies", philosophies, "--codec", self.bench.python_codec)

    def start_python_copy_loop(self, *_):
        self.start_python("--copy", self.prefix + OUTPUT)

    def start_python(self, *args):
        self.bench.make_topics(self.prefix, *INPUTS, *PYTHON_OUTPUTS)
        self.child = self.bench.start([PYTHON, os.path.join(HERE, "python_worker.py"), self.bench.brokers, self.prefix, self.group, *map(str, args)],
                                      stdout=subprocess.PIPE, text=True)
        if not self.child.stdout.readline():  # else it has its partitions
            raise SystemExit("bench: the Python worker ended; the output above says why")

    def stop(self):
        """With all that it needed."""
        self.bench.stop_all(but=self.others)
