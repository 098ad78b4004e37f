"""What the storm of containers breaks: containers, by hand and from inside, their image and their definition, the workers, the engine."""
import os
import signal
import time
from contextlib import contextmanager

from engine_api import EngineApi, Refused
from faults import Faults
from observer import GENERATION

IMAGE = "warmpool-test:1"
BOMB = "while :; do sleep 1000 & done"          # bounded by docker.pids
EATER = "dd if=/dev/zero of=/dev/null bs=300M count=1"  # more than any container's limit


class StormFaults(Faults):
    kinds = (("container_killed",) * 4 + ("several_killed",) * 2 + ("container_removed",) * 2 + ("container_paused",) * 2 +
             ("container_unpaused", "memory_eaten", "memory_eaten", "forks", "process_killed", "image_removed", "definition_changed",
              "worker_killed", "worker_stopped", "engine_frozen", "engine_killed", "engine_stopped"))
    pairs = (("engine_frozen", "process_killed"), ("worker_killed", "engine_frozen"), ("image_removed", "several_killed"),
             ("worker_killed", "container_killed"))
    answers_between, answers_s, seconds_between = 10, 5, (0, 1)

    def __init__(self, system, history, seed, answers):
        super().__init__(system, history, seed, answers)
        self.engine, self.observer, self.label = system.engine, system.observer, system.label
        self.api = EngineApi(self.engine.url)
        self.image = self.api.ask("GET", f"/images/{IMAGE}/get")
        self.generation = 0

    # ---- containers ----

    def names(self, **filters):
        try:
            return [row["Names"][0][1:] for row in self.api.containers(self.label, **filters)]
        except Refused:
            return []

    def ask(self, method, path):
        """What the engine refuses has not happened: the container was gone, or is as it should become."""
        try:
            self.api.ask(method, path)
        except Refused as error:
            self.history.write("refused", why=str(error)[:200])

    @contextmanager
    def to_some(self, what, action, count=1, **filters):
        """action(name) for so many containers; gives their names."""
        there = sorted(self.names(**filters))
        some = self.random.sample(there, min(count, len(there)))
        if not some:
            yield some
            return
        with self.told(what, some):
            for name in some:
                action(name)
            yield some

    @contextmanager
    def container_killed(self):
        with self.to_some("container killed", lambda name: self.ask("POST", f"/containers/{name}/kill"), status="running"):
            yield 0

    @contextmanager
    def several_killed(self):
        with self.to_some("containers killed at once", lambda name: self.ask("POST", f"/containers/{name}/kill"), 6, status="running"):
            yield 0

    @contextmanager
    def container_removed(self):
        with self.to_some("container removed", lambda name: self.ask("DELETE", f"/containers/{name}?force=1&v=1")):
            yield 0

    @contextmanager
    def container_paused(self):
        with self.to_some("container paused", lambda name: self.ask("POST", f"/containers/{name}/pause"), status="running") as some:
            yield self.random.uniform(0, 3)
            if self.random.random() < 0.5:
                for name in some:
                    self.ask("POST", f"/containers/{name}/unpause")

    @contextmanager
    def container_unpaused(self):
        with self.to_some("container unpaused", lambda name: self.ask("POST", f"/containers/{name}/unpause"), status="paused"):
            yield 0

    @contextmanager
    def process_killed(self):
        """Its first process, by its number: works while the engine is frozen."""
        there = sorted(self.observer.pids.items())
        for name, pid in self.random.sample(there, min(2, len(there))):
            with self.told("container's process killed", [name]):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        yield 0

    def inside(self, script):
        def action(name):
            try:
                self.api.run(name, "sh", "-c", script, wait=False)
            except Refused as error:
                self.history.write("refused", why=str(error)[:200])
        return action

    @contextmanager
    def memory_eaten(self):
        with self.to_some("container out of memory", self.inside(EATER), status="running"):
            yield 0

    @contextmanager
    def forks(self):
        with self.to_some("container full of processes", self.inside(BOMB), status="running"):
            yield 0

    # ---- image and definition ----

    @contextmanager
    def image_removed(self):
        """The containers that run keep it; nothing can be made of it until it is loaded again."""
        with self.told("image removed", IMAGE):
            self.ask("DELETE", f"/images/{IMAGE}?force=1")
            try:
                yield self.random.uniform(1, 4)
            finally:
                self.api.ask("POST", "/images/load", self.image, "application/x-tar")

    @contextmanager
    def definition_changed(self):
        """The environment of a philosophy; the workers get it one after the other."""
        philosophy = self.random.choice(self.system.philosophies)
        self.generation += 1
        with self.told("definition changed", philosophy):
            for worker in self.system.workers[:2]:
                worker.options[f"docker.environment.{philosophy}"] = f"{GENERATION}={self.generation}"
                self.end(worker)
                self.begin(worker)
            self.history.write("definition", philosophy=philosophy, generation=self.generation)
            self.observer.expect_rollout(philosophy, self.generation)
            yield 0

    # ---- workers and engine ----

    def begin(self, worker):
        super().begin(worker)
        worker.wait_ready()

    @contextmanager
    def engine_frozen(self):
        with self.told("engine frozen", "engine"):
            self.engine.freeze()
            try:
                yield self.random.choice((1, 3, 8, 14))
            finally:
                self.engine.thaw()

    @contextmanager
    def engine_killed(self):
        with self.told("engine killed", "engine"):
            self.engine.kill()
            try:
                yield self.random.uniform(0, 2)
            finally:
                self.engine.start()

    @contextmanager
    def engine_stopped(self):
        with self.told("engine stopped", "engine"):
            self.engine.stop()
            try:
                yield self.random.uniform(0, 2)
            finally:
                self.engine.start()

    def is_up(self):
        """The engine answers, and the image is there."""
        try:
            self.api.read(f"/images/{IMAGE}/json")
            return True
        except Refused:
            return False
