"""The functions in Redis: what is kept of one partition, and what each call does to it.

All functions here are pure: they take a Slot and give a new one. Calls nobody but rules.py.
"""
from typing import NamedTuple

from rules import FINISHED, NO_ANSWER, READ, SIZE, SKIPPED, STALE_READ, event_id


class Slot(NamedTuple):
    applied: int       # last offset applied; -1: none
    floor: int         # below it all is finished; -1: none was set yet
    generation: int    # counted up by `accept`; a Redis that has lost everything begins at another number
    chunks: tuple      # stored results: one tuple of (offset, result) a call, in offset order
    effects: tuple     # per event id: the attempt whose effect is in the state; 0: none
    log: int           # of which log all this is (only to judge; Redis does not know it)
    full: bool         # out of memory


class Request(NamedTuple):
    kind: str          # call, replay, skip, floor, begin, accept
    generation: int
    log: int           # of which log its offsets are (only to judge)
    prev: int
    floor: int         # of begin and accept: the floor to set
    offsets: tuple = ()


class Reply(NamedTuple):
    kind: str          # ok, gap, old (another generation), full (out of memory)
    applied: int
    floor: int
    generation: int
    results: tuple = ()   # (offset, result, FINISHED or NO_ANSWER)
    unasked: bool = False  # it held a chunk that covers nothing of the call


LIFE = 100  # more than there can be runs of `accept`


def empty(rules, logs, life=0):
    """life: how often Redis has lost everything."""
    return Slot(-1, -1, life * LIFE, (), (0,) * (len(rules.events) * logs), 0, False)


def position(rules, slot):
    """The last offset that needs no call any more."""
    return max(slot.applied, slot.floor - 1) if rules.position == 'floor' else slot.applied


def stored_size(rules, chunks):
    return sum(SIZE[rules.events[offset]] for chunk in chunks for offset, _ in chunk)


def run(rules, slot, attempts, request):
    """Runs a request. Gives the new slot, the new attempts, and the reply."""
    if request.kind == 'begin':
        slot = begin(rules, slot, request)
        return slot, attempts, answer(rules, slot)
    if request.kind == 'accept':
        slot = accept(rules, slot, request)
        return slot, attempts, answer(rules, slot)
    if slot.full and (request.kind == 'call' or request.kind == 'floor' and not rules.full_floor):
        return slot, attempts, answer(rules, slot, 'full')
    refusal = refuse(rules, slot, request)
    if refusal:
        return slot, attempts, answer(rules, slot, refusal)
    if request.kind == 'floor':
        slot = move_floor(rules, slot, request.floor, rules.floor_call == 'lowers')
        return drained(slot), attempts, answer(rules, slot)
    if request.kind == 'replay':
        return slot, attempts, replay(rules, slot, request)
    slot, attempts, reply = call(rules, slot, attempts, request)
    return drained(slot), attempts, reply


def answer(rules, slot, kind='ok', results=(), unasked=False):
    return Reply(kind, position(rules, slot), slot.floor, slot.generation, tuple(results), unasked)


def drained(slot):
    """Memory is free again when nothing is stored: here the worst case, in which only floors free it."""
    return slot._replace(full=False) if slot.full and not slot.chunks else slot


def begin(rules, slot, request):
    if rules.begin_checked and request.generation != slot.generation:
        return slot
    if slot.floor >= 0 and rules.begin == 'where none':
        return slot
    return slot._replace(floor=request.floor, log=slot.log if slot.floor >= 0 else request.log)


def accept(rules, slot, request):
    """Forgets what was known of the partition: its topic was made anew. `prev` is the floor that the worker saw."""
    if rules.accept == 'generation' and request.generation != slot.generation:
        return slot
    if rules.accept == 'floor' and request.prev != slot.floor:
        return slot
    return slot._replace(applied=-1, floor=request.floor, chunks=(), log=request.log, full=False,
                         generation=slot.generation + 1)


def refuse(rules, slot, request):
    if rules.generation_checked and request.generation != slot.generation:
        return 'old'
    if rules.floor_needed and slot.floor < 0:
        return 'gap'
    checked = rules.gap_check and not (request.kind == 'floor' and rules.floor_call != 'chained')
    return 'gap' if checked and request.prev > position(rules, slot) else None


def may_fail(rules, slot, request):
    """A call that would apply an event which the function may fail on."""
    return (request.kind == 'call' and not slot.full and not refuse(rules, slot, request) and
            any(o > position(rules, slot) and rules.events[o] == 'p' for o in request.offsets))


def move_floor(rules, slot, floor, lower=False):
    floor = floor if lower else max(slot.floor, floor)
    kept = tuple(chunk for chunk in slot.chunks if chunk[-1][0] >= floor)
    return slot._replace(floor=floor, chunks=kept)


def call(rules, slot, attempts, request):
    if rules.trim_first:
        slot = move_floor(rules, slot, request.floor)
    known = position(rules, slot)
    results, unasked, told = stored_answers(rules, slot, request, known)
    if told < known:
        return slot, attempts, answer(rules, slot, 'ok', results, unasked)._replace(applied=told)
    slot, attempts, applied, new = apply(rules, slot, attempts, request, known)
    if rules.trim == 'all':
        slot = slot._replace(chunks=slot.chunks[-1:])
    if not rules.trim_first:
        slot = move_floor(rules, slot, request.floor)
    reply = answer(rules, slot, 'ok', results + new, unasked)
    return slot, attempts, reply._replace(applied=max(applied, reply.applied))


def replay(rules, slot, request):
    """Answers what was applied, and writes nothing."""
    results, unasked, told = stored_answers(rules, slot, request, position(rules, slot))
    return answer(rules, slot, 'ok', results, unasked)._replace(applied=told)


def stored_answers(rules, slot, request, known):
    """The answers to the events of a request that were applied before, whether there are more, and how far they go."""
    asked = [offset for offset in request.offsets if offset <= known]
    if not asked:
        return [], False, known
    covering = [c for c in slot.chunks if any(c[0][0] <= offset <= c[-1][0] for offset in asked)]
    later = [c for c in slot.chunks if c[-1][0] >= asked[0]]
    chunks = later if rules.resend_answer == 'later' else covering
    given, told = cut(rules, chunks, known)
    results = [result for chunk in given for result in chunk]
    stored = {offset for offset, _ in results}
    for offset in asked:
        if offset not in stored and offset <= told:
            results.append((offset, unstored_answer(rules, slot, request, offset)))
    return results, len(chunks) > len(covering), told


def cut(rules, chunks, known):
    """The first chunks, up to the bound of a reply, and the offset up to which they answer."""
    size = 0
    for i, chunk in enumerate(chunks):
        size += stored_size(rules, (chunk,))
        if rules.reply_bound and size > rules.reply_bound and (i or not rules.reply_spares_first):
            return chunks[:i], chunk[0][0] - 1
    return chunks, known


def unstored_answer(rules, slot, request, offset):
    if rules.events[offset] == 'r' and rules.reads == 'again' and offset >= slot.floor:
        return read(rules, slot, request, offset)
    return FINISHED if rules.unstored == 'finished' else NO_ANSWER


def read(rules, slot, request, offset):
    """A read is right when it saw every earlier write of its log (or the log began later)."""
    n = len(rules.events)
    first = rules.low[request.log]
    seen = all(slot.effects[request.log * n + o] for o in range(first, offset) if rules.events[o] in 'wWq')
    return event_id(rules, request.log, offset) * 8 + (READ if seen else STALE_READ)


def apply(rules, slot, attempts, request, known):
    """Applies the events that are new, in order, until the bound stops it. Stores one chunk of results."""
    effects, attempts = list(slot.effects), list(attempts)
    applied, chunk, results = known, [], []
    size = stored_size(rules, slot.chunks)
    for offset in request.offsets:
        if offset <= known:
            continue
        kind = rules.events[offset]
        needed = 0 if kind == 'r' and rules.reads != 'stored' else SIZE[kind]
        if rules.bound and needed and size + needed > rules.bound and (size or not rules.bound_spares_first):
            break
        event = event_id(rules, request.log, offset)
        if kind == 'r':
            result = read(rules, slot._replace(effects=tuple(effects)), request, offset)
        else:
            attempts[event] += 1
            effects[event] = 99 if effects[event] else attempts[event]
            result = event * 8 + (SKIPPED if request.kind == 'skip' else attempts[event]) if kind != 'q' else FINISHED
        if needed:
            chunk.append((offset, result))
        size += needed
        results.append((offset, result))
        applied = offset
    if applied == known:
        return slot, tuple(attempts), known, results
    chunks = slot.chunks + (tuple(chunk),) if chunk else slot.chunks
    slot = slot._replace(applied=max(slot.applied, applied), chunks=chunks, effects=tuple(effects))
    return slot, tuple(attempts), applied, results
