"""Judges a history (history.py) and nothing else: which promises were broken, and whether the run showed anything.

    judgement = check(history.load(path))
    judgement.violations    list of (kind, text); the kinds are the keys of KINDS
    judgement.unproven      why the history does not allow a verdict; empty when it does
    judgement.sent          how many events of each topic were sent
    judgement.counts        what was compared
    judgement.figures       what was measured on the way, in words

What a client may conclude. A line that comes before another one happened before it. An event is "surely applied" before another
one when it was answered before the other was sent, or when it lies before it in the same partition. Leases of one container are
in the order of their epochs, which only grow.
"""
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict

from container_checks import KINDS as CONTAINER_KINDS, check_containers

KINDS = {
    "unanswered": "an acquire or a cache event without an answer at the end",
    "two answers": "an acquire, a set, an invalidate or a clear whose answers are not the same, byte for byte",
    "answer to nobody": "an answer to what was not asked, or that does not repeat what was asked",
    "wrong rejection": "a rejection without a reason, or with one that cannot be true",
    "two holders": "a container assigned while another request held it",
    "leased after its end": "a container assigned after it was lost or given back not to be used again",
    "two tenants": "a container that served two tenants",
    "epoch": "a lease epoch that two leases have",
    "lost": "a lost that belongs to no lease, came twice in different words, or an expiry before its time",
    "lease never ended": "a lease that is on although its time is over, or at the end",
    "stale value": "a get answered with a value that was surely replaced, removed or expired before",
    "missing value": "a get that found nothing although a set was surely applied and nothing removed it",
    "value of nobody": "a get answered with a value that nobody had set under this key",
    "usage": "usage records not counted, or counted twice",
    "dead letter": "a valid event in dead-letter, or one that is not valid and not there",
    "not committed": "an input partition whose committed offset is not its end",
    "worker died": "a worker that ended by itself",
    "worker not ready": "a worker that is not ready although all faults are over",
    **CONTAINER_KINDS,
}

EARLY_MS = 1000    # what Redis, the broker and a worker may disagree about the time
EXPIRED_S = 2      # after this long beyond its time to live nobody may see a value
BUFFER = 1.2       # predictor.buffer
DEFAULTS = {"cpu_percent": 50.0, "memory_mb": 256.0, "execution_time_seconds": 60.0}
FIGURES = {"cpu_percent": "cpu_percent", "memory_mb": "memory_usage_mb", "execution_time_seconds": "execution_time"}
ONLY_OURS = ("container-acquire", "container-release", "usage-record", "cache")  # topics to which nobody else writes


class Send:
    """An event that was sent. `at` and the other `..._at` are numbers of lines."""

    def __init__(self, at, line):
        self.at, self.t, self.topic, self.event, self.wrong = at, line.get("t", 0), line["topic"], line["event"], line["wrong"]
        self.partition = self.offset = self.time = None
        self.answers = []
        self.dead = False

    def __str__(self):
        return f"line {self.at}, {self.topic}/{self.partition}@{self.offset} {self.event}"


class Read:
    def __init__(self, at, line):
        self.at, self.t, self.record, self.bytes, self.time = at, line.get("t", 0), line["record"], line["bytes"], line["time"]
        self.place = f"{line['topic']}/{line['partition']}@{line['offset']}"

    def __str__(self):
        return f"line {self.at}, {self.place} {self.record}"


class Judgement:
    def __init__(self):
        self.violations, self.unproven, self.figures = [], [], []
        self.sent, self.counts = Counter(), Counter()

    def violation(self, kind, text):
        assert kind in KINDS
        self.violations.append((kind, text))


class Story:
    """The lines, sorted by what they are about."""

    def __init__(self, lines, judgement):
        self.sends, self.reads, self.others = {}, defaultdict(list), defaultdict(list)
        for at, line in enumerate(lines, start=1):
            what = line["is"]
            if what == "send":
                self.sends[line["n"]] = Send(at, line)
                judgement.sent[line["topic"]] += 1
            elif what == "sent":
                send = self.sends[line["n"]]
                send.partition, send.offset, send.time = line["partition"], line["offset"], line["time"]
            elif what == "read":
                self.reads[line["topic"]].append(Read(at, line))
            else:
                self.others[what].append({"at": at, **line})
        self.judgement = judgement

    def of(self, topic):
        return [send for send in self.sends.values() if send.topic == topic]


def check(lines):
    judgement = Judgement()
    story = Story(lines, judgement)
    check_proof(story)
    if not judgement.unproven:
        check_dead_letters(story)
        check_requests(story)
        check_leases(story)
        check_cache(story)
        check_usage(story)
        check_commits(story)
        if story.others["container"]:
            check_containers(story)
    for line in story.others["died"]:
        judgement.violation("worker died", f"line {line['at']}: {line['worker']} ended with {line['code']}")
    for line in story.others["not_ready"]:
        judgement.violation("worker not ready", line["why"])
    return judgement


def check_proof(story):
    """Is the history whole: was all that was sent received by Kafka, once, and did the run come to its end?"""
    unproven = story.judgement.unproven
    if not story.others["ended"]:
        unproven.append("the run did not come to its end")
    missing = [send for send in story.sends.values() if send.offset is None]
    if missing:
        unproven.append(f"{len(missing)} events were not confirmed by Kafka, the first: {missing[0]}")
    places = Counter((send.topic, send.partition, send.offset) for send in story.sends.values() if send.offset is not None)
    for line in story.others["partition"]:
        if line["topic"] not in ONLY_OURS:
            continue
        had = sum(count for place, count in places.items() if place[:2] == (line["topic"], line["partition"]))
        if had != line["high"] - line["low"]:
            unproven.append(f"{line['topic']}/{line['partition']} has {line['high'] - line['low']} records, {had} were sent")


# ---- requests: one answer each ----

def check_requests(story):
    judgement = story.judgement
    asked, releases = defaultdict(list), defaultdict(list)
    for send in story.of("container-acquire"):
        asked[send.event.get("request_id")].append(send)
    for send in story.of("container-release"):
        if not send.wrong:
            releases[send.event["request_id"]].append(send)
    answers, lost = defaultdict(list), defaultdict(list)
    for read in story.reads["container-assignment"]:
        request = read.record["request_id"]
        if request not in asked:
            judgement.violation("answer to nobody", str(read))
        else:
            (lost if read.record["status"] == "lost" else answers)[request].append(read)
    story.asked, story.releases, story.answers, story.lost = asked, releases, answers, lost
    for request, sends in asked.items():
        if request is None:
            continue  # not even the id can be read
        judgement.counts["acquires"] += 1
        if not answers[request]:
            judgement.violation("unanswered", str(sends[0]))
            continue
        check_answers(story, sends, answers[request], releases[request])


def check_answers(story, sends, answers, releases):
    judgement, first = story.judgement, answers[0]
    judgement.counts["answers"] += len(answers)
    judgement.counts["repeats"] += len(answers) - 1
    for other in answers[1:]:
        if other.bytes != first.bytes:
            judgement.violation("two answers", f"{first}; {other}")
    record, event = first.record, sends[0].event
    status, reason = record["status"], record.get("reason") or ""
    judgement.counts[status if status == "assigned" else f"{status}: {reason.split(':')[0]}"] += 1
    if sends[0].wrong:
        if (status, reason.split(":")[0]) != ("rejected", "invalid"):
            judgement.violation("wrong rejection", f"{first}, asked for with {sends[0].wrong}")
        return
    if (record["agent_id"], record["philosophy"]) != (event["agent_id"], event["philosophy"]) or first.at < sends[0].at:
        judgement.violation("answer to nobody", f"{first}, asked for at {sends[0]}")
    if status == "assigned":
        if not record["container_id"] or record["lease_epoch"] <= 0:
            judgement.violation("answer to nobody", f"{first} names no lease")
    elif status != "rejected" or not reason:
        judgement.violation("wrong rejection", str(first))
    elif reason.split(":")[0] == "invalid":
        judgement.violation("wrong rejection", f"{first}: it was valid")
    elif reason.split(":")[0] == "cancelled" and not any(release.at < first.at for release in releases):
        judgement.violation("wrong rejection", f"{first}: nobody had cancelled it")
    elif reason.split(":")[0] == "timeout" and "timeout_ms" in event:
        if first.time < min(send.time for send in sends) + event["timeout_ms"] - EARLY_MS:
            judgement.violation("wrong rejection", f"{first}: it was not over yet, {sends[0]} at {sends[0].time}")


# ---- leases: one holder at a time ----

class Lease:
    def __init__(self, story, request, answers, lost):
        self.request, self.answers, self.lost = request, answers, lost
        self.record = answers[0].record
        self.container, self.epoch = self.record["container_id"], self.record["lease_epoch"]
        self.at = min(read.at for read in answers)
        self.time = min(read.time for read in answers)
        self.event = story.asked[request][0].event
        self.releases = [send for send in story.releases[request]
                         if send.event.get("container_id") in (None, self.container)]

    def __str__(self):
        return f"{self.request} (epoch {self.epoch}, line {self.at}, {self.answers[0].place})"


def check_leases(story):
    judgement, of_container, epochs = story.judgement, defaultdict(list), {}
    story.leases = []
    for request, answers in story.answers.items():
        assigned = [read for read in answers if read.record["status"] == "assigned"]
        if not assigned:
            continue
        lease = Lease(story, request, assigned, story.lost[request])
        story.leases.append(lease)
        of_container[lease.container].append(lease)
        other = epochs.setdefault(lease.epoch, lease)
        if other is not lease:
            judgement.violation("epoch", f"{lease} and {other}")
        check_end(story, lease)
    for request, lost in story.lost.items():
        if lost and not any(read.record["status"] == "assigned" for read in story.answers[request]):
            judgement.violation("lost", f"{lost[0]}: it was not assigned")
    for container, leases in of_container.items():
        leases.sort(key=lambda lease: lease.epoch)
        for before, after in zip(leases, leases[1:]):
            judgement.counts["successions"] += 1
            check_succession(story, container, before, after)
    for line in story.others["leases"]:
        if line["count"]:
            judgement.violation("lease never ended", f"{line['count']} leases are on at the end")


def check_end(story, lease):
    judgement = story.judgement
    for lost in lease.lost:
        judgement.counts["lost"] += 1
        record = lost.record
        if lost.bytes != lease.lost[0].bytes:
            judgement.violation("lost", f"{lease.lost[0]}; {lost}")
        if (record["container_id"], record["lease_epoch"]) != (lease.container, lease.epoch) or not record.get("reason"):
            judgement.violation("lost", f"{lost}: it held {lease.container}, {lease}")
        elif record["reason"].startswith("lease_expired") and lost.time < lease.record["lease_expires_at"] - EARLY_MS:
            judgement.violation("lost", f"{lost}: it was not over yet")
    if not lease.lost and not lease.releases:
        judgement.violation("lease never ended", f"{lease} of {lease.container}: neither given back nor lost")


def check_succession(story, container, before, after):
    """Of two leases of a container, one directly after the other by their epochs."""
    judgement = story.judgement
    text = f"{container} was {before}'s, then {after}'s"
    if before.lost:
        judgement.violation("leased after its end", f"{text}; {before.lost[0]}")
        return
    given_back = [send for send in before.releases if send.at < after.at and send.time <= after.time]
    if not given_back:
        judgement.violation("two holders", f"{text}; releases of the first: {[str(send) for send in before.releases]}")
    elif not given_back[0].event.get("reuse", True):
        judgement.violation("leased after its end", f"{text}; {given_back[0]}")
    mixed = before.event.get("tenant") != after.event.get("tenant") and reuse_of(story, after.record["philosophy"]) != "always"
    if mixed or before.record["philosophy"] != after.record["philosophy"]:
        judgement.violation("two tenants", f"{text}: {before.event}, {after.event}")


def reuse_of(story, philosophy):
    """Whom a container of the philosophy may serve after its first use."""
    settings = story.others["run"][0].get("settings", {})
    return settings.get(f"pool__reuse.{philosophy}", settings.get("pool__reuse", "same_tenant"))


# ---- the cache: nothing stale ----

class Key:
    """What changed the value of one key, in the order of the log: all of a namespace's changes go to one partition."""

    def __init__(self):
        self.changes, self.offsets, self.removals, self.expires = [], [], [], False

    def add(self, change):
        if removes(change):
            self.removals.append(len(self.changes))
        self.changes.append(change)
        self.offsets.append(change.offset)
        self.expires = self.expires or change.event.get("ttl_seconds") is not None


def removes(change):
    """A set that is refused removes what was there."""
    return change.event["op"] != "set" or any(answer.record.get("reason") for answer in change.answers)


def check_cache(story):
    judgement, by_id = story.judgement, {}
    for send in story.of("cache"):
        if not send.wrong:
            by_id[send.event["event_id"]] = send
    for read in story.reads["cache-result"]:
        send = by_id.get(read.record["event_id"])
        said = send and [send.event.get(name) or "" for name in ("op", "namespace", "key")]
        if not send or [read.record[name] for name in ("op", "namespace", "key")] != said or read.at < send.at:
            judgement.violation("answer to nobody", str(read))
        else:
            send.answers.append(read)
    for send in by_id.values():
        judgement.counts["cache events"] += 1
        judgement.counts["cache answers"] += len(send.answers)
        if not send.answers:
            judgement.violation("unanswered", str(send))
        for other in send.answers[1:]:
            if other.bytes != send.answers[0].bytes and send.event["op"] != "get":
                judgement.violation("two answers", f"{send.answers[0]}; {other}")
    check_values(judgement, by_id)


def keys_of(sends):
    """(namespace, key) -> Key; a clear concerns each key of its namespace."""
    names = defaultdict(set)
    for send in sends:
        if send.event["op"] in ("get", "set", "invalidate"):
            names[send.event["namespace"]].add(send.event["key"])
    keys = defaultdict(Key)
    for send in sorted(sends, key=lambda send: send.offset):
        event = send.event
        for key in names[event["namespace"]] if event["op"] == "clear" else (event["key"],) if event["op"] != "get" else ():
            keys[event["namespace"], key].add(send)
    return keys


def check_values(judgement, by_id):
    keys = keys_of(by_id.values())
    for key in keys.values():
        # Newest change that had been answered by a line: line -> index, both growing.
        key.known_at, key.known, newest = [], [], -1
        answered = sorted((change.answers[0].at, index) for index, change in enumerate(key.changes) if change.answers)
        for at, index in answered:
            if index > newest:
                newest = index
                key.known_at.append(at)
                key.known.append(index)
    for send in by_id.values():
        if send.event["op"] == "get":
            for answer in send.answers:
                judgement.counts["gets compared"] += 1
                check_get(judgement, keys[send.event["namespace"], send.event["key"]], by_id, send, answer)


def surely_before(key, get):
    """Index of the newest change that was applied before the get, -1 for none."""
    known = bisect_left(key.known_at, get.at) - 1
    index = key.known[known] if known >= 0 else -1
    if key.changes and key.changes[0].partition == get.partition:
        index = max(index, bisect_right(key.offsets, get.offset) - 1)
    return index


def expired_by(change, moment):
    ttl = change.event.get("ttl_seconds")
    return ttl is not None and change.answers and moment > change.answers[0].time + (ttl + EXPIRED_S) * 1000


def check_get(judgement, key, by_id, get, answer):
    last = surely_before(key, get)
    if not answer.record["hit"]:
        return check_miss(judgement, key, get, answer, last)
    judgement.counts["values compared"] += 1
    value = answer.record.get("value") or ""
    setter = by_id.get(value.split("/")[0])
    if not setter or [setter.event.get(name) for name in ("op", "namespace", "key", "value")] != [
            "set", get.event["namespace"], get.event["key"], value]:
        return judgement.violation("value of nobody", f"{answer}, asked for at {get}")
    index = bisect_left(key.offsets, setter.offset)
    if index < last:
        judgement.violation("stale value", f"{answer}, asked for at {get}: {setter} was over by {key.changes[last]}")
    elif setter.at > answer.at:
        judgement.violation("value of nobody", f"{answer}: {setter} was sent later")
    elif expired_by(setter, get.time):
        judgement.violation("stale value", f"{answer}, asked for at {get}: {setter} had expired")


def check_miss(judgement, key, get, answer, last):
    judgement.counts["misses compared"] += 1
    if last < 0 or key.expires:
        return
    removal = bisect_left(key.removals, last)
    if removal == len(key.removals) or key.changes[key.removals[removal]].at > answer.at:
        judgement.violation("missing value", f"{answer}, asked for at {get}: {key.changes[last]} was applied before")


# ---- usage: each record once ----

def rounded(number):
    return int(number * 100 + 0.5) / 100


def check_usage(story):
    judgement, of = story.judgement, defaultdict(dict)
    for send in story.of("usage-record"):
        if not send.wrong:
            of[send.event["philosophy"]].setdefault(send.event.get("record_id") or send.at, send)
    predicted = {line["philosophy"]: line for line in story.others["predicted"]}
    for philosophy, records in of.items():
        judgement.counts["usage records"] += len(records)
        said = predicted.get(philosophy, {"samples": 0, "requirements": DEFAULTS})
        if said["samples"] != len(records):
            judgement.violation("usage", f"{philosophy}: {len(records)} records were sent, {said['samples']} were counted")
            continue
        for name, field in FIGURES.items():
            values = [send.event[field] for send in records.values() if send.event.get(field) is not None]
            wanted = rounded(sum(values) / len(values) * BUFFER) if values else DEFAULTS[name]
            if abs(said["requirements"][name] - wanted) > 0.011:
                judgement.violation("usage", f"{philosophy}: {name} is {said['requirements'][name]}, {wanted} follows from "
                                             f"{len(values)} records")
    lines = {philosophy: sorted(send.at for send in records.values()) for philosophy, records in of.items()}
    for read in story.reads["prediction"]:
        judgement.counts["predictions"] += 1
        if read.record["samples"] > bisect_left(lines.get(read.record["philosophy"], []), read.at):
            judgement.violation("usage", f"{read}: fewer were sent until then")


# ---- dead letters, offsets ----

def check_dead_letters(story):
    judgement = story.judgement
    at = {(send.topic, send.partition, send.offset): send for send in story.sends.values()}
    answered = {}
    for read in story.reads["container-assignment"]:
        answered.setdefault(read.record["request_id"], read.at)
    for read in story.reads["dead-letter"]:
        record = read.record
        send = at.get((record["topic"], record["partition"], record["offset"]))
        judgement.counts["dead letters"] += 1
        if not send:
            judgement.violation("dead letter", f"{read} was not sent by this client")
            continue
        send.dead = True
        # A release may come to a worker before the acquire that it was sent after: other topic, other partition.
        blind = send.topic == "container-release" and answered.get(send.event.get("request_id"), read.at) > send.at
        if not send.wrong and not blind:
            judgement.violation("dead letter", f"{read}: {send} is valid")
    for send in story.sends.values():
        if send.wrong and not send.dead:
            judgement.violation("dead letter", f"{send} is not there, although {send.wrong}")


def check_commits(story):
    for line in story.others["partition"]:
        story.judgement.counts["partitions"] += 1
        if line["committed"] != line["high"]:
            story.judgement.violation("not committed", f"{line['topic']}/{line['partition']} ends at {line['high']}, committed is "
                                                       f"{line['committed']}")
