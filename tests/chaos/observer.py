"""Watches a Docker engine for the storm of containers, and is no worker: by the engine's event stream, by the first processes of its
containers (a descriptor each, which says at once that the process is gone, also while the engine says nothing), and by what the pools
are said to have. Writes it into the history."""
import os
import select
import threading
import time

from engine_api import EngineApi, Refused
from load import stats

QUIET_S = 5    # without an event, and the stream is opened anew: an engine that was frozen may have forgotten it
POOLS_S = 0.25  # between two looks at the pools
ROLLED_OUT_S = 3  # one host may be done before another has begun
GENERATION = "GENERATION"
KEPT = ("available", "ready", "leased", "creating", "waiting", "resetting", "outdated")


class Observer:
    def __init__(self, system, engine, history, label):
        self.system, self.history, self.label = system, history, label
        self.api = EngineApi(engine.url, QUIET_S)
        self.stopping = threading.Event()
        self.poll, self.lock, self.watched = select.poll(), threading.Lock(), {}  # descriptor -> (name, pid)
        self.seen = set()    # (time, what, name) of events: a stream that is opened anew repeats some
        self.pids = {}       # name -> its first process, while it lives
        self.rollouts = {}   # philosophy -> [generation, when outdated ones were seen last]
        self.threads = [threading.Thread(target=self.until_stopped, args=(work,), daemon=True)
                        for work in (self.follow_events, self.follow_processes, self.follow_pools)]

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(2 * QUIET_S)

    def until_stopped(self, work):
        while not self.stopping.is_set():
            try:
                work()
            except Refused:
                self.stopping.wait(0.1)

    # ---- events ----

    def follow_events(self):
        since = getattr(self, "since", time.time())
        for row in self.api.containers(self.label, status="running") + self.api.containers(self.label, status="paused"):
            self.started(row["Names"][0][1:], row["Labels"], row["Created"] * 1000)
        for event in self.api.events(since - 1, self.label):
            self.since = event["timeNano"] / 1e9
            self.take(event)
            if self.stopping.is_set():
                return

    def take(self, event):
        action, labels = event["Action"].split(":")[0], event["Actor"]["Attributes"]
        key = (event["timeNano"], action, labels["name"])
        if action.startswith("exec_") or key in self.seen:
            return
        self.seen.add(key)
        at = event["timeNano"] / 1e6
        if action == "start":
            self.started(labels["name"], labels, at)
        else:
            more = {name: labels[name] for name in ("exitCode", "signal") if name in labels}
            self.write(action, labels["name"], labels, at, **more)

    def write(self, what, name, labels, at, **more):
        self.history.write("container", what=what, name=name, host=labels.get("io.warmpool.host"), philosophy=labels.get("io.warmpool.pool"),
                           time=round(at, 3), **more)

    def started(self, name, labels, at):
        """A container that runs: whatever ends it is seen from now on."""
        if name in self.pids:
            return
        try:
            seen = self.api.read(f"/containers/{name}/json")
        except Refused:
            self.write("start", name, labels, at)
            return
        pid, environment = seen["State"]["Pid"], dict(text.split("=", 1) for text in seen["Config"]["Env"] or [])
        self.write("start", name, labels, at, pid=pid, generation=int(environment.get(GENERATION, 0)), image=seen["Image"])
        if pid:
            self.watch(name, pid)

    # ---- processes ----

    def watch(self, name, pid):
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:  # it has ended since
            return
        with self.lock:
            self.pids[name], self.watched[descriptor] = pid, (name, pid)
            self.poll.register(descriptor, select.POLLIN)

    def follow_processes(self):
        for descriptor, _ in self.poll.poll(100):
            with self.lock:
                self.poll.unregister(descriptor)
                name, pid = self.watched.pop(descriptor)
                del self.pids[name]
            os.close(descriptor)
            self.history.write("container", what="ended", name=name, pid=pid, time=round(time.time() * 1000, 3))

    # ---- pools ----

    def expect_rollout(self, philosophy, generation):
        """All workers have the new definition. It is done when outdated containers were seen, and then for ROLLED_OUT_S none."""
        self.rollouts[philosophy] = [generation, None]

    def follow_pools(self):
        pools = {name: {what: pool.get(what, 0) for what in KEPT} for name, pool in stats(self.system)["pools"].items()}
        if pools != getattr(self, "pools", None):
            self.pools = pools
            self.history.write("pools", pools=pools)
        for philosophy, rollout in list(self.rollouts.items()):
            if pools.get(philosophy, {}).get("outdated", 0) > 0:
                rollout[1] = time.monotonic()
            elif rollout[1] and time.monotonic() > rollout[1] + ROLLED_OUT_S:
                self.history.write("rolled_out", philosophy=philosophy, generation=rollout[0])
                self.rollouts.pop(philosophy)
        self.stopping.wait(POOLS_S)
