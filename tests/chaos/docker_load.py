"""What the fault tests of Docker engines share: systems whose containers an engine makes, and what must be there at the end."""
import json
import os
import urllib.parse

from load import POOL, chaos_system, stats, wait_until

# Ends when its engine tells it to, not when the child that it began after it was ready is ended (pool.clean).
COMMAND = "trap 'exit 0' TERM; while :; do sleep 100000 & wait; done"


def docker_system(**options):
    defaults = {"host__runtime": "docker", "docker__url": os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock",
                "docker__image": "warmpool-test:1", "docker__command": COMMAND, "host__reconcile_interval": 1, "pool__max_containers": 4,
                "pool__max_failures": 0}
    return chaos_system(**{**defaults, **options})


def label_of(system):
    return f"io.warmpool.prefix=wp/{system.prefix}"


def listed(engine, *labels):
    """Name -> state of the containers that have the labels; engine: tests/support/engine at some engine."""
    filters = urllib.parse.quote(json.dumps({"label": labels}))
    return {row["Names"][0][1:]: row["State"] for row in json.loads(engine("get", f"/containers/json?all=1&filters={filters}"))}


def known(system, host):
    return {name.decode() for name in system.redis.client.zrange(f"{POOL}:hc:{host}", 0, -1)}


def difference(system, engines, states=("running",)):
    """engines: host -> its engine. Each has what Redis has of its host, in one of these states, and that is what the pools say: then
    empty, else what differs."""
    found = {}
    for host, engine in engines.items():
        there, wanted = listed(engine, label_of(system), f"io.warmpool.host={host}"), known(system, host)
        if set(there) != wanted or set(there.values()) - set(states):
            found[host] = {"there": there, "known": sorted(wanted)}
    total = stats(system)["total"]
    count = sum(total[state] for state in ("available", "leased", "creating", "resetting"))
    there = sum(len(listed(engine, label_of(system), f"io.warmpool.host={host}")) for host, engine in engines.items())
    return found or ({"pools": total, "there": there} if count != there else {})


def expect_whole(system, engines):
    wait_until(lambda: not difference(system, engines),
               lambda: f"engines have what is known: {difference(system, engines)}; {[w.log()[-2000:] for w in system.workers]}")
