#!/usr/bin/env python3
"""A storm of containers: acquires and releases of several tenants against two workers on one Docker engine, while containers are killed,
removed, paused, filled and starved from inside, their image and definition change, workers die and the engine freezes and restarts; then
a verdict from what a client and an observer saw (checker.py, container_checks.py). `./dev chaos containers --minutes N --seed N`.

Kafka, Redis and the engine are of this run alone. Exit status: 0 without violations, 1 with some, 2 when the run proved nothing, 77 when
no engine can be started here."""
import sys
import time
from contextlib import contextmanager

from docker_load import difference, docker_system, label_of
from faults import SESSION_S
from judge import SETTLE_S, Judge
from load import stats
from observer import Observer
from own_engine import OwnEngine, need_engine
from storm_client import StormClient
from storm_faults import StormFaults

READY = {"react": 3, "planning": 2, "reflexion": 2, "debate": 2, "critic": 1, "single": 1}  # philosophy -> pool.min_idle
REUSE = {"react": "always", "planning": "always", "reflexion": "same_tenant", "debate": "same_tenant", "critic": "same_agent", "single": "never"}
SETTINGS = {"kafka__session.timeout.ms": SESSION_S * 1000, "pool__size": 6, "pool__max_containers": 9, "pool__memory_mb": 64, "docker__pids": 40, "pool__prewarm_interval": 0, "pool__clean": "true",
            "docker__log_lines": 5, "docker__timeout_ms": 30000, "host__ttl_ms": 8000, "host__reconcile_interval": 5, "pool__hot.debate": 1,
            **{f"pool__min_idle.{name}": count for name, count in READY.items()}, **{f"pool__reuse.{name}": how for name, how in REUSE.items()}}


class Storm(Judge):
    verb, rate, settings, client, faults = "chaos containers", 20, SETTINGS, StormClient, StormFaults
    least = {"acquires": 200, "assigned": 150, "successions": 50, "deaths": 30, "leases of containers that were seen": 150, "visits": 10,
             "newcomers": sum(READY.values())}
    least_faults = {"container": 8, "containers": 1, "image": 1, "definition": 1, "worker": 1, "engine": 1}

    @contextmanager
    def start_system(self):
        engine = OwnEngine("--live-restore")
        try:
            with docker_system(workers=2, start=False, docker__url=engine.url, **self.settings) as system:
                system.engine, system.label, system.philosophies = engine, label_of(system), sorted(READY)
                system.start()
                yield system
        finally:
            engine.close()

    @contextmanager
    def watched(self, system, history):
        system.observer = Observer(system, system.engine, history, system.label).start()
        try:
            yield
        finally:
            system.observer.stop()

    def settle(self, client, faults):
        super().settle(client, faults)
        system, history = client.system, client.history
        wait(client, lambda: all(stats(system)["pools"].get(name, {"ready": 0})["ready"] >= count for name, count in READY.items()))
        client.newcomers(READY)
        self.wait_settled(client)
        engines = {worker.name: system.engine.run for worker in system.workers}
        wait(client, lambda: not difference(system, engines, ("running", "paused")))
        history.write("whole", difference=difference(system, engines, ("running", "paused")))
        client.read_to_end()


def wait(client, condition):
    """For as long as a run may take to settle; what is not so then, the checker says."""
    end = time.monotonic() + SETTLE_S
    while time.monotonic() < end and not condition():
        client.pump(0.2)


if __name__ == "__main__":
    if "--check" not in sys.argv:
        need_engine()
    sys.exit(Storm().main())
