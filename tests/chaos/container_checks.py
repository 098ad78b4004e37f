"""Judges what a history says of containers that an engine makes (storm.py): those that were handed out against what an observer saw of
them, and what the pools had ready. checker.py calls it, and judges requests and leases.

When a container was handed out: a lease's epoch is Redis' time in us at which it was decided. (One that lies outside of the request's time
is not believed; then it is the time of the answer's record.) What a worker does after that, such as publishing it again after a restart,
hands out nothing.

How long a dead one may be handed out: DEAD_MS after the engine's `die` event, and SILENT_MS after the end of its first process, of which
an engine may say nothing for a while. SILENT_MS after the event, too, where in between the engine was frozen or away, or the worker that drives the
container. On a machine that is too busy longer: twice what the records of that time took from Kafka to the client. The holder of a lease is told so
soon, too, but later of what ends while the engine says nothing, or while nobody reads the partition of another worker until its session is over.

How soon containers are ready again: while the engine answers and has the image, all workers run and no request waits for any pool, a
pool has less than `pool.min_idle` for at most READY_MS, or as long as READY_CREATES creates took the engine then.
"""
from bisect import bisect_left, bisect_right
from collections import defaultdict

KINDS = {
    "dead": "a container assigned although it had been dead for longer than may be",
    "death not told": "a lease whose container died before it was given back, and whose holder was not told",
    "paused": "a container assigned that had been paused before, and still was when that was said",
    "outdated": "a container of an old definition assigned after it was said that none is left",
    "traces": "what a holder left in a container, seen by the next one",
    "not kept ready": "a pool that had less ready for any tenant than `pool.min_idle` for too long, or not when a tenant came that was never there before",
    "engine differs": "containers of the engine that Redis does not know at the end, or the other way round",
}

DEAD_MS, SILENT_MS = 1000, 10000
READY_MS, READY_CREATES = 10000, 10
EARLY_MS = 1000        # what clocks may disagree
NEWCOMER = "newcomer"  # a tenant that comes at the end
BLIND = ("engine", "worker", "definition")  # first words of the faults during which nobody says what becomes of a container
BLOCKED = BLIND + ("image",)                # and of those during which none can be made


def check_containers(story):
    seen = Containers(story)
    for lease in story.leases:
        story.judgement.counts["leases of containers that were seen"] += bool(seen.lives[lease.container])
        check_dead(story, seen, lease)
        check_told(story, seen, lease)
        check_paused(story, seen, lease)
        check_outdated(story, seen, lease)
    check_traces(story)
    check_ready(story, seen)
    check_newcomers(story)
    story.judgement.counts["deaths"] = seen.deaths()
    for line in story.others["whole"]:
        if line["difference"]:
            story.judgement.violation("engine differs", str(line["difference"]))


class Life:
    """From the start of a container's first process to its end. A create that is tried again gives its container the name of before."""

    def __init__(self, line):
        self.start, self.generation, self.philosophy = line["time"], line.get("generation"), line["philosophy"]
        self.host = line["host"]
        self.died = self.ended = None  # when the engine said so, and when the process was gone

    def over(self):
        return self.died or self.ended


class Containers:
    """What was seen of them; times in ms."""

    def __init__(self, story):
        self.lives, self.pauses, self.creates = defaultdict(list), defaultdict(list), []
        created = {}
        for line in sorted(story.others["container"], key=lambda line: line["time"]):
            what, name, time = line["what"], line["name"], line["time"]
            if what == "create":
                created[name] = time
            elif what == "start":
                self.begin(line, created.pop(name, None))
            elif what in ("die", "ended") and self.lives[name]:
                self.end(self.lives[name], "died" if what == "die" else "ended", time)
            elif what == "pause":
                self.pauses[name].append([time, float("inf")])
            elif what == "unpause" and self.pauses[name] and self.pauses[name][-1][1] > time:  # else an engine has not told of its pause
                self.pauses[name][-1][1] = time
        self.creates.sort()
        self.reads = sorted((read.t, read.t - read.time) for read in story.reads["container-assignment"])
        self.faults = list(faults_of(story))

    def begin(self, line, created):
        lives = self.lives[line["name"]]
        if not lives or lives[-1].over():
            lives.append(Life(line))
            if created:
                self.creates.append((line["time"], line["time"] - created))

    @staticmethod
    def end(lives, how, time):
        """Of the first life whose end was not said so: the process of one may be seen to be gone after the next has begun."""
        for life in lives:
            if getattr(life, how) is None:
                setattr(life, how, time)
                return

    def life(self, name, at):
        """The one in which the container was handed out; None: it was not seen."""
        return next((life for life in reversed(self.lives[name]) if life.start <= at), None)

    def deaths(self):
        return sum(1 for lives in self.lives.values() for life in lives if life.died)

    def silences(self, host=None):
        """When nobody could say what became of a container of that host; without one: or somebody not hear it."""
        return [(begin, end) for what, on, begin, end in self.faults
                if what in BLIND and not (what == "worker" and host and on != host)]

    def may_be_unknown_ms(self, since, until, host=None):
        silent = any(begin <= until and end >= since for begin, end in self.silences(host))
        return (SILENT_MS if silent else DEAD_MS) + 2 * self.delay_ms(since, until)

    def delay_ms(self, since, until):
        """How long records took from Kafka to the client then: the longest of them."""
        first = bisect_left(self.reads, (since, 0))
        last = bisect_right(self.reads, (min(until, since + SILENT_MS) + DEAD_MS, float("inf")))
        return max((took for _, took in self.reads[first:last]), default=0)

    def known_by(self, life, until, host=None):
        """When its death must have been known, None while it need not be: what happens until then is looked at. host: to whoever hands
        containers out; without one: to everybody."""
        if not life:
            return None
        times = [life.died + self.may_be_unknown_ms(life.died, until, host)] if life.died else []
        return min(times + ([life.ended + SILENT_MS + 2 * self.delay_ms(life.ended, until)] if life.ended else []), default=None)

    def told_by(self, life, until):
        """When its holder must have been told."""
        known_by = self.known_by(life, until)
        spans = merged(self.silences())
        return known_by and known_by + sum(max(0, min(end, until) - max(begin, life.ended or life.died)) for begin, end in spans)

    def create_ms(self, at):
        """How long a create took around that time: the longest of the last ten."""
        last = bisect_right(self.creates, (at, float("inf")))
        return max((took for _, took in self.creates[max(0, last - 10):last]), default=0)


def faults_of(story):
    """(first word, on, begin, end) of each fault."""
    open_ = {}
    for line in story.others["fault"]:
        key = (line["what"], str(line["on"]))
        if line["step"] == "begin":
            open_[key] = line
        else:
            begun = open_.pop(key)
            yield line["what"].split()[0], line["on"], begun["t"], line["t"]
    for line in open_.values():
        yield line["what"].split()[0], line["on"], line["t"], float("inf")


def decided_ms(story, lease):
    """When the container was handed out."""
    asked, at = story.asked[lease.request][0].time, lease.epoch / 1000
    return at if asked - EARLY_MS <= at <= lease.time + EARLY_MS else lease.time


def check_dead(story, seen, lease):
    decided = decided_ms(story, lease)
    life = seen.life(lease.container, decided)
    known_by = seen.known_by(life, decided, life and life.host)
    if life and life.died and decided > life.died:
        story.judgement.counts["handed out after the engine's event"] += 1
    if known_by and decided > known_by:
        story.judgement.violation("dead", f"{lease} got {lease.container} {decided - known_by:.0f} ms after its death had to be known")


def check_told(story, seen, lease):
    """Whoever has given it back need not be told any more, nor one whose lease was over."""
    given_back = min((send.t for send in lease.releases), default=float("inf"))
    told_by = seen.told_by(seen.life(lease.container, decided_ms(story, lease)), given_back)
    if told_by and not lease.lost and given_back > told_by:
        story.judgement.violation("death not told", f"{lease} gave {lease.container} back {given_back - told_by:.0f} ms after its death had "
                                                    f"to be told, and was never told")


def check_paused(story, seen, lease):
    for begin, end in seen.pauses[lease.container]:
        decided = decided_ms(story, lease)
        allowed = seen.may_be_unknown_ms(begin, decided)
        if begin < decided - allowed and end > lease.time + allowed:
            story.judgement.violation("paused", f"{lease.container} had been paused for {decided - begin:.0f} ms when {lease} got it")


def check_outdated(story, seen, lease):
    life = seen.life(lease.container, decided_ms(story, lease))
    for line in story.others["rolled_out"]:
        if life and line["philosophy"] == life.philosophy and decided_ms(story, lease) > line["t"]:
            story.judgement.counts["leases after a definition was rolled out"] += 1
            if life.generation is not None and life.generation < line["generation"]:
                story.judgement.violation("outdated", f"{lease.container} is of generation {life.generation}, of which none was left at "
                                                      f"line {line['at']} ({line['generation']}), and {lease} got it")


def check_traces(story):
    settings = story.others["run"][0].get("settings", {})
    tenant_of = {line["left"]: line["tenant"] for line in story.others["visit"] if "left" in line}
    for line in story.others["visit"]:
        story.judgement.counts["visits"] += "left" in line
        for mark in line.get("saw", ()):
            if settings.get("pool__clean") or tenant_of.get(mark) != line["tenant"] and reuse(settings, story, line) != "always":
                story.judgement.violation("traces", f"{line['request']} of {line['tenant']} found {mark} in {line['container']}, which "
                                                    f"{tenant_of.get(mark)} had left")


def reuse(settings, story, visit):
    philosophy = story.asked[visit["request"]][0].event["philosophy"]
    return settings.get(f"pool__reuse.{philosophy}", "same_tenant")


# ---- kept ready ----

def min_idle(story):
    settings = story.others["run"][0].get("settings", {})
    return {key.removeprefix("pool__min_idle."): count for key, count in settings.items() if key.startswith("pool__min_idle.")}


def blocked_spans(story, seen):
    """When nothing could be made for what is kept ready: spans that do not overlap, in their order."""
    spans = [[begin, end] for what, _, begin, end in seen.faults if what in BLOCKED]
    waiting = None
    for line in story.others["pools"]:
        is_waiting = any(pool["waiting"] for pool in line["pools"].values())
        if is_waiting and waiting is None:
            waiting = line["t"]
        elif not is_waiting and waiting is not None:
            spans.append([waiting, line["t"]])
            waiting = None
    if waiting is not None:
        spans.append([waiting, float("inf")])
    return merged(spans)


def merged(spans):
    """Without overlaps, in their order."""
    found = []
    for begin, end in sorted(spans):
        if found and begin <= found[-1][1]:
            found[-1][1] = max(found[-1][1], end)
        else:
            found.append([begin, end])
    return found


def free_ms(spans, begin, end):
    """The part of a span of time in which nothing was blocked."""
    return end - begin - sum(max(0, min(end, to) - max(begin, since)) for since, to in spans)


def check_ready(story, seen):
    """How long each pool was short of what is to be ready, without the time in which that could not be helped."""
    spans, worst, times = blocked_spans(story, seen), 0, 0
    last = story.others["ended"][0].get("t", 0)
    for philosophy, count in min_idle(story).items():
        short = None
        for line in story.others["pools"] + [{"t": last, "pools": {}}]:
            ready = line["pools"].get(philosophy, {}).get("ready", 0)
            if ready < count and short is None and line["pools"]:
                short = line["t"]
            elif short is not None and (ready >= count or not line["pools"]):
                took, allowed = free_ms(spans, short, line["t"]), max(READY_MS, READY_CREATES * seen.create_ms(line["t"]))
                worst, times = max(worst, took), times + 1
                if took > allowed:
                    story.judgement.violation("not kept ready", f"{philosophy} had less than {count} ready for {took:.0f} ms from t={short} to "
                                                                f"t={line['t']} (at most {allowed:.0f})")
                short = None
    story.judgement.counts["times a pool was short"] = times
    if times:
        story.judgement.figures.append(f"a pool was short of what is kept ready for at most {worst / 1000:.1f} s in which more could be made")


def check_newcomers(story):
    for request, sends in story.asked.items():
        if sends[0].event.get("tenant") != NEWCOMER or not story.answers[request]:
            continue
        story.judgement.counts["newcomers"] += 1
        record = story.answers[request][0].record
        if record["status"] != "assigned" or not record["warm_start"]:
            story.judgement.violation("not kept ready", f"{request} of a tenant that came at the end was not given a container that was ready: "
                                                        f"{record}")
