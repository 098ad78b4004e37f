#!/usr/bin/env python3
"""Warmpool's containers against the engine itself, driven over the same socket with the body that warmpool sends.

usage: ./dev bench containers [--json] [--rounds N] [NAME...]

`--help` names the benches, and what each measures.
"""
import argparse, json, os, signal, statistics, subprocess, sys, threading, time, urllib.parse

from contenders import Contender
from engine_system import CREATES, Bare, System, engine
from harness import OUTPUT, Bench, NotMeasured, say
from rounds import in_turn, judge, middle, ratio
from streams import warm_up

COLD_PAIRS, PAUSED_PAIRS, WARM_UP = 8, 12, 2
CLAIMS, HELD = 240, 20
RATE, SECONDS = 200, 60
CLAIM_SECONDS, HOLD_MS, CLAIM_SEED = 30, 200, 1
PUBLISHED = {"per_second": 45, "p50_ms": 92, "p90_ms": 182, "p99_ms": 376}  # claims of warm containers, by others
NEIGHBOUR_SECONDS = 5
STORM, POOL, REFILL_RATE = 100, 20, 2
DEATHS = 20
RELEASES = 34
LEAVE = "setsid sleep 1000 >/dev/null 2>&1 & echo x >/tmp/.x; mkdir /tmp/d; echo x >/tmp/d/f; echo x >/dev/shm/x"
CLEAN = ("for each in /proc/[0-9]*; do read -r words <$each/cmdline 2>/dev/null; case $words in sleep?1000) kill -9 ${each#/proc/};; esac; done; "
         "rm -rf /tmp/* /tmp/.[!.]* /dev/shm/*; ls -A /tmp /dev/shm >/dev/null")
PARTS = ("queue_ms", "create_ms", "start_ms", "ready_ms", "bind_ms", "publish_ms")

# name: (figure, unit, bound, whether a lower one is better)
TARGETS = {
    "cold": ("ratio", "", 1.15, True),
    "paused": ("ratio", "", 1.5, True),
    "warm": ("ratio", "", 1.5, True),
    "sustained": ("p99_ms", " ms", 50, True),
    "claims_45": ("p99_ms", " ms", PUBLISHED["p99_ms"], True),
    "claims_300": ("p99_ms", " ms", PUBLISHED["p99_ms"], True),
    "neighbour": ("ratio", "", 2, True),
    "beside_refill": ("ratio", "", 2, True),
    "refill": ("ratio", "", 0.9, False),
    "refill_after_burst": ("ratio", "", 1.15, True),
    "release": ("ratio", "", 1, True),
    "death": ("p99_ms", " ms", 100, True),
}
CLAIMED = (f"from when an acquire was due until its assignment is read, open loop for {CLAIM_SECONDS} s: the times of arrival are a Poisson process, drawn "
           f"beforehand, and each holds its container for {HOLD_MS} ms")
MEANS = {
    "cold": "startup_time_ms of an acquire that has to make its container, over create + start at the engine",
    "paused": "startup_time_ms of an acquire that gets a paused container, over unpause at the engine; beyond the engine's part it holds the command's and the "
              "event's way through Kafka and Redis (queue_ms to publish_ms)",
    "warm": "from an acquire sent until its assignment is read, one under way, over a message and its copy by copy_loop.c; p50",
    "sustained": f"from when an acquire was due until its assignment is read, {RATE} a second for {SECONDS} s, whatever is under way",
    "claims_45": f"{PUBLISHED['per_second']} a second: {CLAIMED}",
    "claims_300": f"300 a second: {CLAIMED}",
    "neighbour": f"p99 of a warm pool while {STORM} acquires meet an empty pool of {POOL}, over the same beside bare creates at the engine",
    "beside_refill": f"p99 of a warm pool at {PUBLISHED['per_second']} a second, arriving as in claims_45 and released at once, while {POOL} containers of another are taken and made anew at "
                     f"{REFILL_RATE} a second (pool.refill_rate), over the same with nothing else to do; unbounded_ratio: without that bound",
    "refill": f"containers a second that become idle after a pre-warm, over create + start at the engine, {CREATES} at a time in both",
    "refill_after_burst": f"seconds from {POOL} acquires that take all that is kept ready (pool.min_idle) until as many are ready again, over create + start "
                          f"of as many at the engine, {CREATES} at a time in both",
    "release": "from a release sent until its container, in which a process and files were left, is idle again (pool.clean), over a shell that ends and "
               "removes the same in it, run by the engine; p50",
    "death": f"from the engine's `die` event of an idle container until Redis hands it out no more; {DEATHS} one by one, then as many at once",
}
ONCE = ("sustained", "claims_45", "claims_300")


class Containers(Bench):
    def __init__(self):
        super().__init__("always")
        self.labels, self.names, self.host = [], 0, f"bench-{os.getpid()}"

    def new_prefix(self):
        """Of this run alone: an engine may serve several."""
        self.run_number += 1
        self.prefixes.append(f"b{os.getpid()}-{self.run_number}.")
        return self.prefixes[-1]

    def close(self):
        super().close()
        for label in self.labels:
            engine.clean(label)

    def bare_name(self):
        self.names += 1
        return f"{self.host}-bare-{self.names}"

    def bare_body(self, body):
        """Not of the worker's prefix: it would remove what it does not know."""
        label = f"bench-{os.getpid()}"
        if f"io.warmpool.prefix={label}" not in self.labels:
            self.labels.append(f"io.warmpool.prefix={label}")
        record = json.loads(body)
        record["Labels"]["io.warmpool.prefix"] = label
        return json.dumps(record)

    # --- a round each ---

    def cold(self, first):
        system, bare, pairs = System(self, 0), Bare(), []
        request, answer = system.acquire("cold")
        body = self.bare_body(system.body_of(answer["container_id"]))
        system.release(request, False)

        def ours():
            request, answer = system.acquire("cold")
            system.release(request, False)
            self.wait(lambda: not engine.labelled(system.label), "the end of a container")
            return answer

        def theirs():
            name, began = self.bare_name(), time.monotonic()
            bare.make(name, body)
            took = (time.monotonic() - began) * 1000
            bare.remove(name)
            return took

        self.wait(lambda: not engine.labelled(system.label), "the end of a container")
        for i in range(COLD_PAIRS + WARM_UP):
            pairs.append(both((i % 2 == 0) == first, ours, theirs))
        system.close()
        return self.paired(pairs)

    def paused(self, first):
        system, bare, pairs = System(self, 4, "pool.hot=0"), Bare(), []
        request, answer = system.acquire("p0")
        name = self.bare_name()
        bare.make(name, self.bare_body(system.body_of(answer["container_id"])))
        system.release(request, True)

        def all_paused():
            states = [each["State"] for each in engine.labelled(system.label)]
            return len(states) >= 4 and all(state == "paused" for state in states)

        def ours():
            self.wait(all_paused, "pausing")
            request, answer = system.acquire("p0")
            if answer["tier"] != "paused":
                raise NotMeasured(f"the container was {answer['tier']}, not paused")
            system.release(request, True)
            self.wait(all_paused, "pausing")
            return answer

        def theirs():
            bare.ask("POST", f"/containers/{name}/pause")
            began = time.monotonic()
            bare.ask("POST", f"/containers/{name}/unpause")
            return (time.monotonic() - began) * 1000

        for i in range(PAUSED_PAIRS + WARM_UP):
            pairs.append(both((i % 2 == 0) == first, ours, theirs))
        bare.remove(name)
        system.close()
        return self.paired(pairs)

    def paired(self, pairs):
        pairs = pairs[WARM_UP:]
        one = figures(statistics.median(pair["warmpool"]["startup_time_ms"] for pair in pairs),
                      statistics.median(pair["copy_loop"] for pair in pairs))
        for part in PARTS:
            one[part] = round(statistics.median((pair["warmpool"].get("startup") or {}).get(part, 0) for pair in pairs), 2)
        return one

    def warm(self, first):
        system = System(self, 2 * HELD)

        def ours():
            return self.client(system.prefix, "trips", CLAIMS, HELD, system.prefix + OUTPUT, system.prefix + "group")

        def theirs():
            copy = Contender(self, "copy_loop", self.new_prefix())
            result = self.client(copy.prefix, "trips", CLAIMS, HELD, copy.outputs[0], copy.group)
            copy.stop()
            return result

        result = both(first, ours, theirs)
        self.check_warm(system.prefix, 2 * (CLAIMS + HELD))
        system.close()
        return figures(*(result[side]["1"]["p50_ms"] for side in ("warmpool", "copy_loop")))

    def sustained(self, _):
        system = System(self, 2 * HELD)
        result = self.client(system.prefix, "paced", RATE * SECONDS, RATE, system.prefix + OUTPUT)
        self.check_warm(system.prefix, RATE * SECONDS)
        system.close()
        return {**result, "per_second": round(result["claims"] / result["seconds"], 1)}

    def claims(self, rate):
        """As many containers as are never in use at once: twice the mean, and some."""
        system = System(self, 2 * rate * HOLD_MS // 1000 + HELD)
        count = rate * CLAIM_SECONDS
        result = self.client(system.prefix, "paced", count, rate, system.prefix + OUTPUT, HOLD_MS, CLAIM_SEED)
        self.check_warm(system.prefix, count)
        system.close()
        return {**result, "per_second": round(result["claims"] / result["seconds"], 1)}

    def claims_45(self, _):
        return self.claims(PUBLISHED["per_second"])

    def claims_300(self, _):
        return self.claims(300)

    def load_beside(self, system, seconds, rate, disturb, *more):
        """What an open loop of acquires of a warm pool saw, while `disturb` was done."""
        begun = self.pool(system.prefix)["warm_starts"]
        load = self.client_start(system.prefix, "paced", rate * seconds, rate, system.prefix + OUTPUT, *more)
        self.wait(lambda: self.pool(system.prefix)["warm_starts"] >= begun + rate, "the load's first second")  # it goes on afterwards
        disturb()
        return self.client_result(load)

    def neighbour(self, first):
        def beside(disturb):
            system = System(self, 2 * HELD, f"pool.size.storm={POOL}", f"pool.max_containers.storm={POOL}")
            body = self.bare_body(system.body_of(engine.labelled(system.label)[0]["Id"]))
            result = self.load_beside(system, NEIGHBOUR_SECONDS, RATE, lambda: disturb(system, body))
            system.close()
            return result["p99_ms"]

        def storm(system, _):
            system.burst("storm", STORM)

        result = both(first, lambda: beside(storm), lambda: beside(lambda _, body: self.make_many(POOL, body)))
        return figures(result["warmpool"], result["copy_loop"])

    def beside_refill(self, first):
        def beside(count, rate):
            """The burst's pool is there whether it is taken or not. A pre-warm fills it, which the bound does not slow down."""
            system = System(self, 2 * HELD, f"pool.prewarm=p0:{2 * HELD},burst:{POOL}", f"pool.min_idle.burst={POOL}",
                            f"pool.max_containers.burst={2 * POOL}", f"pool.refill_rate={rate}")
            self.wait(lambda: system.is_ready("burst", POOL), "the pool")
            result = self.load_beside(system, 1 + POOL // REFILL_RATE, PUBLISHED["per_second"], lambda: system.burst("burst", count), 0, CLAIM_SEED)
            self.wait(lambda: system.is_ready("burst", POOL, count), "what was taken")
            if self.pool_stats(system.prefix)["pools"]["p0"]["peak_leased"] >= 2 * HELD:
                raise NotMeasured("all containers were in use: claims waited for releases, on a machine that is too busy")
            system.close()
            return result

        conditions = {"alone": (0, 0), "unbounded": (POOL, 0), "bounded": (POOL, REFILL_RATE)}
        seen = in_turn(list(conditions), int(first), lambda name: beside(*conditions[name]))
        one = {f"{name}_{figure}": seen[name][figure] for name in conditions for figure in ("p50_ms", "p99_ms")}
        return {**one, "unbounded_ratio": ratio(seen["unbounded"]["p99_ms"], seen["alone"]["p99_ms"]),
                "ratio": ratio(seen["bounded"]["p99_ms"], seen["alone"]["p99_ms"])}

    def make_many(self, count, body):
        """Creates and starts, CREATES at a time; the seconds that it took."""
        names, began = [self.bare_name() for _ in range(count)], time.monotonic()

        def loop(mine):
            bare = Bare()
            for name in mine:
                bare.make(name, body)

        threads = [threading.Thread(target=loop, args=(names[i::CREATES],)) for i in range(CREATES)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.monotonic() - began

    def refill(self, first):
        system = System(self, 0)
        request, answer = system.acquire("seed")
        body = self.bare_body(system.body_of(answer["container_id"]))

        def fill(philosophy, count, available):
            began = time.monotonic()
            system.send("pool-control", {"philosophy": philosophy, "op": "pre_warm", "count": count})
            self.wait(lambda: self.pool(system.prefix)["available"] >= available, "the refill")
            return count / (time.monotonic() - began)

        fill("warm-up", 1, 1)  # the sender's start is no part of a refill

        def ours():
            return fill("refilled", POOL, POOL + 1)

        result = both(first, ours, lambda: POOL / self.make_many(POOL, body))
        system.close()
        engine.clean(f"io.warmpool.prefix=bench-{os.getpid()}")
        return figures(result["warmpool"], result["copy_loop"])

    def refill_after_burst(self, first):
        system = System(self, 0, f"pool.min_idle.burst={POOL}")
        self.wait(lambda: system.is_ready("burst", POOL), "the pool")
        request, answer = system.acquire("seed")
        body = self.bare_body(system.body_of(answer["container_id"]))

        def ours():
            began = time.monotonic()
            system.burst("burst", POOL)
            self.wait(lambda: system.is_ready("burst", POOL, POOL), "what was taken")
            return time.monotonic() - began

        result = both(first, ours, lambda: self.make_many(POOL, body))
        system.release(request, False)
        system.close()
        engine.clean(f"io.warmpool.prefix=bench-{os.getpid()}")
        return figures(result["warmpool"], result["copy_loop"])

    def release(self, first):
        system, bare = System(self, 2), Bare()
        request, answer = system.acquire("p0")
        name, container = self.bare_name(), answer["container_id"]
        body = json.loads(self.bare_body(system.body_of(container)))
        body["HostConfig"]["Init"] = True
        bare.make(name, json.dumps(body))

        def idle():
            until = time.monotonic() + 10
            while self.pool(system.prefix)["available"] < 2:
                if time.monotonic() > until:
                    raise NotMeasured("a container does not become idle again")

        def ours():
            nonlocal request, answer
            bare.run(answer["container_id"], LEAVE)
            began = time.monotonic()
            system.release(request, True)
            idle()
            took = (time.monotonic() - began) * 1000
            request, answer = system.acquire("p0")
            return took

        def theirs():
            bare.run(name, LEAVE)
            began = time.monotonic()
            bare.run(name, CLEAN)
            return (time.monotonic() - began) * 1000

        pairs = [both((i % 2 == 0) == first, ours, theirs) for i in range(RELEASES + WARM_UP)][WARM_UP:]
        one = figures(*(statistics.median(pair[side] for pair in pairs) for side in ("warmpool", "copy_loop")))
        bare.remove(name)
        system.close()
        for side, label in (("warmpool", "p99_ms"), ("copy_loop", "bare_p99_ms")):
            one[label] = round(sorted(pair[side] for pair in pairs)[int(len(pairs) * 0.99)], 2)
        return one

    def death(self, _):
        system = System(self, 2 * DEATHS)
        key = f"{system.prefix}wp:{{pool}}:is"
        names, gone = [each["Names"][0][1:] for each in engine.labelled(system.label)], {}

        def kill(some):
            threads = [threading.Thread(target=lambda name=name: Bare().ask("POST", f"/containers/{name}/kill")) for name in some]
            for thread in threads:
                thread.start()
            until = time.monotonic() + 30
            while len(left := [name for name in some if name not in gone]) > 0:
                for name in left:
                    if self.redis("HEXISTS", key, name) == "0":
                        gone[name] = time.time()
                if time.monotonic() > until:
                    raise NotMeasured(f"{len(left)} dead ones are still handed out after 30 s")
            for thread in threads:
                thread.join()

        since = time.time()
        for name in names[:DEATHS]:
            kill([name])
        kill(names[DEATHS:2 * DEATHS])
        filters = urllib.parse.quote(json.dumps({"event": ["die"], "label": [system.label]}))
        events = Bare().ask("GET", f"/events?since={int(since)}&until={int(time.time()) + 1}&filters={filters}").decode().split("\n")
        died = {event["Actor"]["Attributes"]["name"]: event["timeNano"] / 1e9 for event in map(json.loads, filter(None, events))}
        took = sorted((gone[name] - died[name]) * 1000 for name in gone)
        system.close()
        return {"p50_ms": round(statistics.median(took), 1), "p99_ms": round(took[int(len(took) * 0.99)], 1), "worst_ms": round(took[-1], 1)}


def both(first, warmpool, copy_loop):
    sides = [("warmpool", warmpool), ("copy_loop", copy_loop)]
    return {name: run() for name, run in (sides if first else reversed(sides))}


def figures(ours, theirs):
    return {"warmpool": round(ours, 2), "bare": round(theirs, 2), "ratio": round(ours / theirs, 3)}


def measure(bench, name, rounds):
    counted, seen = [], []
    for i in range(1 if name in ONCE else rounds):
        running = list(bench.children)
        try:
            one = getattr(bench, name)(i % 2 == 0)
            counted.append(one)
        except (NotMeasured, subprocess.SubprocessError) as error:
            one = {"not_counted": str(error)}
            bench.stop_all(but=running)
        say(f"{name}: {json.dumps(one)}")
        seen.append(one)
    medians = {key: middle([one[key] for one in counted]) for key in (counted[0] if counted else {})}
    return {"means": MEANS[name], **medians, "targets": [judge(medians, *TARGETS[name])], "counted_rounds": len(counted), "rounds": seen}


def table(results):
    print(f"{'benchmark':<18}  {'figure':<7}{'measured':<10}{'target':<16}{'met':<5}{'warmpool':<10}{'bare / copy':<12}rounds")
    for name, result in results.items():
        each = result["targets"][0]
        print(f"{name:<18}  {each['figure']:<7}{str(each['value']):<10}{each['target']:<16}{'yes' if each['met'] else 'NO':<5}"
              f"{str(result.get('warmpool', '')):<10}{str(result.get('bare', '')):<12}{result['counted_rounds']} of {len(result['rounds'])}")
    for name, result in results.items():
        if name.startswith("claims") and result["counted_rounds"]:
            print(f"{name}: p50 / p90 / p99 {percentiles(result)} ms; published elsewhere, at {PUBLISHED['per_second']} a second: {percentiles(PUBLISHED)} ms")
    if "beside_refill" in results and results["beside_refill"]["counted_rounds"]:
        seen = results["beside_refill"]
        print(f"beside_refill: p99 alone {seen['alone_p99_ms']}, unbounded {seen['unbounded_p99_ms']} ({seen['unbounded_ratio']} of it), "
              f"at {REFILL_RATE} a second {seen['bounded_p99_ms']} ms ({seen['ratio']})")


def percentiles(result):
    return " / ".join(str(result[f"p{each}_ms"]) for each in (50, 90, 99))


def main():
    parser = argparse.ArgumentParser(prog="./dev bench containers", formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="\n".join(f"{name}: {means}" for name, means in MEANS.items()))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("names", nargs="*", help="containers, and those to measure; none: all")
    options = parser.parse_intermixed_args()
    names = [name for name in options.names if name != "containers"] or list(TARGETS)
    for name in names:
        if name not in TARGETS:
            raise SystemExit(f"bench: containers has no {name}; there are {', '.join(TARGETS)}")
    try:
        engine.call("GET", "/_ping")
    except OSError as error:
        raise SystemExit(f"bench: no Docker engine answers at {engine.URL} ({error}); start one, or name it in DOCKER_HOST")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    engine.image()
    bench, results = Containers(), {}
    try:
        bench.open()
        warm_up(bench)
        for name in names:
            results[name] = measure(bench, name, options.rounds)
            if name.startswith("claims"):
                results[name]["published"] = PUBLISHED
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # whoever asks twice would leave containers behind
        bench.close()
    table(results)
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
