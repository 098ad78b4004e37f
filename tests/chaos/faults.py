"""What the judge breaks: each fault is a context manager, so that another one can happen inside it. They run in a thread of
their own, beside the client."""
import os
import random
import signal
import threading
import time
from contextlib import contextmanager

from load import WAIT_LIMIT
from system import pause

SESSION_S = 6  # kafka.session.timeout.ms of the system: a worker that is frozen for longer comes back as a zombie


class Faults:
    """Breaks things one after the other; finish() ends that. answers(): how many the client has had."""

    kinds = ("worker_killed", "worker_frozen", "worker_stopped", "worker_joins", "redis_killed", "redis_frozen", "redis_refuses",
             "kafka_killed", "kafka_stopped", "kafka_frozen")
    pairs = (("redis_frozen", "worker_joins"), ("kafka_frozen", "worker_killed"), ("worker_frozen", "redis_killed"),
             ("redis_frozen", "worker_killed"), ("worker_frozen", "worker_killed"))
    # So many answers come, but for no longer, before the next fault, and then some seconds pass: what stands still is not tested.
    answers_between, answers_s, seconds_between = 200, 30, (1, 4)

    def __init__(self, system, history, seed, answers):
        self.system, self.history, self.answers = system, history, answers
        self.random = random.Random(f"faults {seed}")
        self.stopping, self.healed = threading.Event(), threading.Event()
        self.error = None
        self.down = set()   # names of workers that we have ended
        self.counts = {}
        self.thread = threading.Thread(target=self.run, daemon=True)

    def start(self):
        self.thread.start()
        return self

    def run(self):
        try:
            deck = []
            while not self.stopping.is_set():
                if not deck:
                    deck = list(self.kinds + self.pairs)
                    self.random.shuffle(deck)
                self.work(self.random.uniform(*self.seconds_between))
                self.one(deck.pop())
        except BaseException as error:  # told to the main thread
            self.error = error
        self.healed.set()
        threading.Event().wait()  # what a thread has started with die_with_parent() ends with that thread

    def one(self, kinds):
        """A fault, or a pair of them: the second happens while the first one lasts."""
        first, *inner = kinds if isinstance(kinds, tuple) else (kinds,)
        with getattr(self, first)() as seconds:
            if inner:
                self.breathe(self.random.uniform(0, 1))
                with getattr(self, inner[0])() as more:
                    self.breathe(more)
            self.breathe(seconds)

    def work(self, seconds):
        """Lets the system work between two faults."""
        wanted, end = self.answers() + self.answers_between, time.monotonic() + self.answers_s
        while self.answers() < wanted and time.monotonic() < end and not self.stopping.is_set():
            self.breathe(0.1)
        self.breathe(seconds)

    def breathe(self, seconds):
        """Waits, and watches over the workers."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.look_for_deaths()
            time.sleep(0.1)

    @contextmanager
    def told(self, what, on):
        self.counts[what] = self.counts.get(what, 0) + 1
        self.history.write("fault", what=what, on=on, step="begin")
        try:
            yield
        finally:
            self.history.write("fault", what=what, on=on, step="end")

    def look_for_deaths(self):
        """A worker that ended by itself is written down, and started again."""
        for worker in self.system.workers:
            if worker.process and worker.name not in self.down and worker.process.poll() is not None:
                self.history.write("died", worker=worker.name, code=worker.process.returncode)
                worker.start()

    def worker(self):
        """One that runs, and is one of the two that are always there."""
        return self.random.choice([worker for worker in self.system.workers[:2] if worker.name not in self.down])

    # ---- the faults; each gives the seconds that it should last ----

    @contextmanager
    def worker_killed(self):
        worker = self.worker()
        with self.told("worker killed", worker.name):
            self.down.add(worker.name)
            worker.kill()
            try:
                yield self.random.choice((0, 1, SESSION_S + 2))
            finally:
                self.begin(worker)

    @contextmanager
    def worker_frozen(self):
        worker = self.worker()
        with self.told("worker frozen", worker.name):
            self.down.add(worker.name)
            pause(worker.process.pid)
            try:
                yield self.random.uniform(SESSION_S + 1, SESSION_S + 7)
            finally:
                worker.process.send_signal(signal.SIGCONT)
                self.down.discard(worker.name)

    @contextmanager
    def worker_stopped(self):
        worker = self.worker()
        with self.told("worker stopped", worker.name):
            self.end(worker)
            try:
                yield self.random.uniform(0, 2)
            finally:
                self.begin(worker)

    @contextmanager
    def worker_joins(self):
        worker = self.system.workers[2]
        with self.told("worker joins", worker.name):
            self.begin(worker)
            try:
                yield self.random.uniform(2, 6)
            finally:
                self.end(worker)

    def begin(self, worker):
        worker.start()
        self.down.discard(worker.name)

    def end(self, worker):
        """SIGTERM. One that does not end in time is killed: how long a stop may take is for other tests."""
        self.down.add(worker.name)
        worker.process.terminate()
        try:
            worker.process.wait(15)
        except Exception:
            worker.kill()

    @contextmanager
    def redis_killed(self):
        with self.told("Redis killed", "redis"):
            self.system.redis.kill()
            try:
                yield self.random.uniform(0, 2)
            finally:
                self.system.redis.start()

    @contextmanager
    def redis_frozen(self):
        process = self.system.redis.process
        with self.told("Redis frozen", "redis"):
            pause(process.pid)
            try:
                yield self.random.choice((0.5, 2, 3, 6))
            finally:
                process.send_signal(signal.SIGCONT)

    @contextmanager
    def redis_refuses(self):
        """It takes one write and refuses the next (NOREPLICAS), so that a call may be taken after the one before it was refused."""
        with self.told("Redis refuses", "redis"):
            yield self.flicker(time.monotonic() + self.random.uniform(1, 3))

    def flicker(self, end):
        while time.monotonic() < end:
            for replicas in (1, 0):
                self.system.redis.client.config_set("min-replicas-to-write", replicas)
                time.sleep(self.random.choice((0, 0.001, 0.01, 0.05)))
        return 0

    def broker_pid(self):
        with open(os.path.join(self.system.kafka.dir, "pid")) as file:
            return int(file.read())

    @contextmanager
    def kafka_killed(self):
        with self.told("Kafka killed", "kafka"):
            os.kill(self.broker_pid(), signal.SIGKILL)
            self.system.kafka.stop()  # waits until it is gone
            try:
                yield self.random.uniform(0, 1)
            finally:
                self.system.kafka.start()

    @contextmanager
    def kafka_stopped(self):
        with self.told("Kafka stopped", "kafka"):
            self.system.kafka.stop()
            try:
                yield self.random.uniform(0, 1)
            finally:
                self.system.kafka.start()

    @contextmanager
    def kafka_frozen(self):
        pid = self.broker_pid()
        with self.told("Kafka frozen", "kafka"):
            pause(pid)
            try:
                yield self.random.choice((1, 3, SESSION_S + 1))
            finally:
                os.kill(pid, signal.SIGCONT)

    # ---- the end ----

    def finish(self):
        """Lets the fault under way end, and waits until all workers are ready."""
        self.stopping.set()
        assert self.healed.wait(WAIT_LIMIT), "a fault does not end"
        if self.error:
            raise self.error
        for worker in self.system.workers[:2]:
            worker.wait_ready()
