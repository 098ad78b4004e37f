"""A worker and its one partition: what it sends, and what it makes of the replies.

All functions here are pure: they take a Worker and give a new one. Calls rules.py and slot.py's Request only.
"""
from typing import NamedTuple

from rules import DEAD_LETTER, FINISHED, NO_ANSWER, event_id
from slot import Request

# What becomes of an event. From ANSWERED on: its result (ANSWERED + the number of the result), not confirmed by Kafka yet.
WAITING, SENT, DONE, ANSWERED = 0, 1, 2, 10


class Worker(NamedTuple):
    running: bool      # False: it asks where to begin
    log: int           # of which log its events are
    generation: int    # of the partition, as Redis had it when it began
    start: int         # where it began
    next: int          # the first offset that it has not sent (again)
    acked: int         # last offset that Redis acknowledged to it
    sent: int          # last offset sent
    events: tuple      # per offset of the log: what becomes of it
    calls: tuple       # requests under way, in order
    dirty: bool        # a call failed: let the calls under way end, then send again
    stopped: tuple     # a call stopped early, when Redis had this (applied, floor); (): none did
    memory: int        # ENOUGH, REFUSED or ASKED, below
    floor_acked: int   # the floor that Redis acknowledged
    alone: int         # the function failed: events up to this offset go one by one
    skip: int          # the event that it failed on alone; -1: none


# Redis is out of memory: first what was applied is asked for (a replay), then the worker waits.
ENOUGH, REFUSED, ASKED = 0, 1, 2


def looking(rules, log, calls=()):
    """One that asks where to begin."""
    return Worker(False, log, 0, 0, 0, -1, -1, (WAITING,) * len(rules.events), tuple(calls), False, (), ENOUGH, -1,
                  -1, -1)


def begun(rules, worker, start, floor, generation):
    prev = -2 if rules.first_prev == 'none' else start - 1
    return worker._replace(running=True, generation=generation, start=start, next=start, acked=prev, sent=prev,
                           floor_acked=floor, calls=())


def completed(worker, answered=False):
    """The floor: its completed prefix. The first offset that is not finished (answered: that has no result)."""
    floor = worker.start
    for state in worker.events[floor:]:
        if state != DONE and not (answered and state >= ANSWERED):
            break
        floor += 1
    return floor


def told_floor(rules, worker):
    return completed(worker, rules.told_floor == 'answered')


def under_way(worker, *kinds):
    return sum(1 for request in worker.calls if request.kind in kinds)


# ---- where to begin ------------------------------------------------------------------------------------------------

def look(rules, worker, log, committed, slot):
    """Rule 6. What it sees of Kafka and of Redis decides; where Redis has no floor it sets one first."""
    worker = looking(rules, log)
    low = rules.low[log]
    if slot.floor >= 0 and slot.log != log:   # its log ends below the floor: `warmpool accept`
        request = Request('accept', slot.generation, log, slot.floor, low)
        return worker._replace(calls=(request,), generation=slot.generation)
    if slot.floor < 0:
        start = low if committed < 0 else committed
        request = Request('begin', slot.generation, log, -1, start)
        return worker._replace(calls=(request,), generation=slot.generation)
    start = slot.floor if committed < 0 else min(committed, slot.floor)
    if rules.start == 'committed':
        start = low if committed < 0 else committed
    return begun(rules, worker, start, slot.floor, slot.generation)


def on_begin_reply(rules, worker, request, reply):
    """The floor in force is in the reply. Another generation than it saw: somebody accepted meanwhile, look again."""
    expected = request.generation + (1 if request.kind == 'accept' else 0)
    if rules.accept == 'generation' and reply.generation != expected:
        return looking(rules, worker.log)
    return begun(rules, worker, min(request.floor, reply.floor), reply.floor, reply.generation)


# ---- sending -------------------------------------------------------------------------------------------------------

def send(rules, worker, most):
    """The next call, of at most so many events; what cannot be decoded is dead-lettered on the way. None: nothing to send."""
    events, offsets, offset = list(worker.events), [], worker.next
    floor = completed(worker)
    while offset < len(events) and offset < floor + rules.window:
        if rules.events[offset] != 'd' and (len(offsets) == most or offsets and offsets[0] <= worker.alone):
            break
        if events[offset] == WAITING and rules.events[offset] == 'd':
            events[offset] = ANSWERED + event_id(rules, worker.log, offset) * 8 + DEAD_LETTER
        elif events[offset] == WAITING:
            events[offset] = SENT
            offsets.append(offset)
        offset += 1
    if offset == worker.next:
        return None
    worker = worker._replace(events=tuple(events), next=offset)
    if not offsets:
        return worker
    kind = 'replay' if worker.memory == REFUSED else 'skip' if offsets == [worker.skip] else 'call'
    request = Request(kind, worker.generation, worker.log, worker.sent, told_floor(rules, worker), tuple(offsets))
    sent = max(worker.sent, offsets[-1]) if rules.sent_grows else offsets[-1]
    return worker._replace(calls=worker.calls + (request,), sent=sent)


def may_send(rules, worker):
    most = 1 if worker.next <= worker.alone else rules.calls
    return worker.running and not worker.dirty and under_way(worker, 'call', 'replay', 'skip') < most


def tell_floor(rules, worker):
    """The call that only tells the floor. None: there is nothing to tell, or calls under way will tell it."""
    floor = told_floor(rules, worker)
    if not worker.running or floor <= worker.floor_acked or under_way(worker, 'floor'):
        return None
    if rules.quiet and worker.calls:
        return None
    request = Request('floor', worker.generation, worker.log, worker.acked, floor)
    return worker._replace(calls=worker.calls + (request,))


def again(rules, worker):
    """Rule 4: when its calls have ended, all that is unresolved goes again."""
    if not worker.dirty or under_way(worker, 'call', 'replay', 'skip') or must_wait(rules, worker):
        return worker
    events = tuple(WAITING if e == SENT else e for e in worker.events)
    first = next((o for o in range(worker.start, worker.next) if events[o] == WAITING), worker.next)
    return worker._replace(events=events, next=first, sent=worker.acked, dirty=False, stopped=())


def must_wait(rules, worker):
    """After a stop: until the floor has moved. But what Redis had applied then goes again at once: only so the floor moves.
    After a refusal for want of memory: until the timer (try_again)."""
    if worker.memory == ASKED:
        return True
    if not worker.stopped or rules.after_stop == 'at once':
        return False
    applied, floor = worker.stopped
    return completed(worker) <= floor and (rules.after_stop == 'strictly' or
                                           not is_unanswered(worker, worker.events, applied))


def is_unanswered(worker, events, applied):
    """Whether an event that Redis had applied waits for its answer still: its call was lost."""
    return SENT in events[worker.start:max(applied, worker.start - 1) + 1]


def try_again(rules, worker):
    """The timer after a refusal for want of memory."""
    return again(rules, worker._replace(stopped=(), memory=ENOUGH))


# ---- replies -------------------------------------------------------------------------------------------------------

def on_failure(worker, request):
    """The request was not run, or nobody knows: its reply is lost."""
    if request.kind in ('begin', 'accept'):
        return worker._replace(running=False, calls=())
    return worker._replace(dirty=worker.dirty or request.kind != 'floor')


def on_function_error(rules, worker, request):
    """Rule 8: one by one, until it fails on an event alone; that one is skipped."""
    if len(request.offsets) > 1 or request.offsets[0] > worker.alone:
        return worker._replace(dirty=True, alone=max(worker.alone, request.offsets[-1]))
    offset = request.offsets[0]
    if rules.skip == 'slot':
        return worker._replace(dirty=True, skip=offset)
    letter = ANSWERED + event_id(rules, worker.log, offset) * 8 + DEAD_LETTER
    return worker._replace(dirty=True, events=worker.events[:offset] + (letter,) + worker.events[offset + 1:])


def knows_less(worker, reply):
    """Redis has lost what it acknowledged."""
    return reply.kind == 'gap' and (reply.applied < worker.acked or reply.floor < worker.floor_acked)


def on_reply(rules, worker, request, reply):
    """None: it begins again, by rule 6."""
    if request.kind in ('begin', 'accept'):
        return on_begin_reply(rules, worker, request, reply)
    if reply.kind == 'old' or knows_less(worker, reply):
        return None
    if reply.kind == 'full':
        return on_full(rules, worker, request)
    if reply.kind == 'gap' and request.kind != 'floor' and rules.retry == 'failed call':
        return worker._replace(calls=worker.calls + (request,))
    if reply.kind == 'gap':
        return worker._replace(dirty=worker.dirty or request.kind != 'floor')
    worker = worker._replace(floor_acked=max(worker.floor_acked, reply.floor))
    return worker if request.kind == 'floor' else on_results(rules, worker, request, reply)


def on_full(rules, worker, request):
    if request.kind == 'floor':
        return worker
    memory = REFUSED if rules.full_replay else ASKED
    return worker._replace(dirty=True, memory=memory)


def on_results(rules, worker, request, reply):
    """What lies in the call and was applied is answered; the reply may hold more, which is left alone."""
    events, dirty, stopped = list(worker.events), worker.dirty, worker.stopped
    last = min(reply.applied, request.offsets[-1])
    for offset, result in reply.results:
        if offset not in request.offsets or offset > last or events[offset] != SENT:
            continue
        if result == NO_ANSWER:
            dirty = True
        else:
            events[offset] = DONE if result == FINISHED else ANSWERED + result
    if reply.applied < request.offsets[-1]:
        dirty = True
        if rules.after_stop != 'nothing applied' or reply.applied < request.offsets[0]:
            stopped = (reply.applied, reply.floor)
    memory = worker.memory
    if request.kind == 'replay' and dirty and not is_unanswered(worker, events, reply.applied):
        memory = ASKED
    return worker._replace(events=tuple(events), dirty=dirty, stopped=stopped, memory=memory,
                           acked=max(worker.acked, last))


def published(worker, offset):
    """Kafka has confirmed the event's record: it is complete."""
    return worker._replace(events=worker.events[:offset] + (DONE,) + worker.events[offset + 1:])
