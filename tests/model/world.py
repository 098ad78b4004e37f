"""Everything together: Kafka, Redis, the worker that owns the partition, one that does not know yet that it does not,
and the requests that run late. Says what may happen next, what must never be, and what is to be reached.
"""
from functools import lru_cache, partial
from typing import NamedTuple

import slot as redis
import worker as work
from rules import DEAD_LETTER, READ, STALE_READ

MOST_LATE = 2  # requests that run late, at most


class Faults(NamedTuple):
    """How many of each may still happen."""
    crashes: int
    failures: int
    rebalances: int
    losses: int
    remade: int
    fills: int
    errors: int


class World(NamedTuple):
    log: int           # 0; 1: the topic was made anew
    committed: int     # of the consumer group; -1: nothing
    published: tuple   # per event id: which results were published, as bits
    attempts: tuple    # per event id: how often it was applied, by whomever
    slot: redis.Slot
    before: tuple      # the slot before its last writes, the latest first: what a loss may bring back
    owner: object      # the worker that the group gave the partition to; None: it died
    zombie: object     # the one before it, if it still runs
    late: tuple        # requests that nobody waits for any more, and that may still run
    left: Faults
    forgiven: int      # below this offset a Redis that forgot all has nothing to give back
    fault: str         # what was seen in a step that must not be


class Model:
    def __init__(self, rules):
        self.rules = rules
        self.logs = 1 + rules.remade
        self.most_stored = 0
        self.run_request = lru_cache(maxsize=100_000)(partial(redis.run, rules))
        # Nothing that Redis keeps goes back, as the rules want it: then late requests can be told to be spent.
        self.only_grows = (rules.losses == 0 and rules.floor_call != 'lowers' and rules.begin == 'where none' and
                           rules.accept == 'generation' and rules.generation_checked)

    def first(self):
        r = self.rules
        n = len(r.events) * self.logs
        left = Faults(r.crashes, r.failures, r.rebalances, r.losses, r.remade, r.fills, r.errors)
        return World(0, -1, (0,) * n, (0,) * n, redis.empty(r, self.logs), (), work.looking(r, 0), None, (), left, 0, '')

    # ---- what must be ----------------------------------------------------------------------------------------------

    def wrong(self, world):
        """What must never be. None: nothing is wrong."""
        if world.fault:
            return world.fault
        return self.wrong_event(world) or self.wrong_commit(world)

    def wrong_event(self, world):
        for event, bits in enumerate(world.published):
            name = self.name(event)
            if world.slot.effects[event] == 99:
                return f'{name} was applied twice'
            if bits >> STALE_READ & 1 and not world.forgiven:
                return f'{name} was answered without an earlier write'
            results = bits & ~(1 << READ | 1 << STALE_READ)
            if self.rules.same and results & (results - 1):
                return f'{name} was published with two different results'
        return None

    def wrong_commit(self, world):
        r, slot = self.rules, world.slot
        lost = r.losses > world.left.losses
        if r.inner and not lost and slot.log == world.log and r.start == 'floor' and world.committed > slot.floor:
            return f'committed {world.committed}, but the floor in Redis is {slot.floor}'
        for offset in range(r.low[world.log], world.committed):
            event = world.log * len(r.events) + offset
            if not self.is_published(world, event) and offset >= world.forgiven:
                return f'committed {world.committed}, but nothing was published for {self.name(event)}'
            if not lost and not self.is_applied(world, event):
                return f'committed {world.committed}, but {self.name(event)} was never applied'
        return None

    def name(self, event):
        log, offset = divmod(event, len(self.rules.events))
        return f'event {offset}' + (' of the new log' if log else '')

    def kind(self, event):
        return self.rules.events[event % len(self.rules.events)]

    def is_published(self, world, event):
        return self.kind(event) == 'q' or world.published[event] != 0

    def is_applied(self, world, event):
        return self.kind(event) in 'rdp' or world.slot.effects[event] != 0

    def reached(self, world):
        """All is published, applied and committed."""
        n = len(self.rules.events)
        events = range(world.log * n + max(self.rules.low[world.log], world.forgiven), world.log * n + n)
        return (world.committed == n and world.slot.log == world.log and
                all(self.is_published(world, e) and self.is_applied(world, e) for e in events))

    # ---- what may happen -------------------------------------------------------------------------------------------

    def steps(self, world):
        """Yields (what happened, whether it is an ordinary step of the owner, the world after it)."""
        if world.fault:
            return
        if world.owner is None:
            yield ('a worker starts',), True, world._replace(owner=work.looking(self.rules, world.log))
        else:
            yield from self.worker_steps(world, 'owner')
        if world.zombie is not None:
            yield from self.worker_steps(world, 'zombie')
        yield from self.faults(world)

    def worker_steps(self, world, who):
        rules, worker, good = self.rules, getattr(world, who), who == 'owner'

        def after(new, **changes):
            return world._replace(**{who: new and work.again(rules, new)}, **changes)

        if worker.calls:
            yield from self.request_steps(world, who)
        elif not worker.running and good:
            seen = work.look(rules, worker, world.log, world.committed, world.slot)
            forgot = world.slot.floor < 0 and world.committed > 0 and self.logs == 1
            forgiven = max(world.forgiven, world.committed) if forgot else world.forgiven
            yield (who, 'looks where to begin'), True, after(seen, forgiven=forgiven)
        if work.may_send(rules, worker):
            seen = None
            for most in range(rules.batch + 1):
                new = work.send(rules, worker, most)
                if new is None or new == seen:
                    continue
                seen = new
                yield (who, 'sends', new.calls[len(worker.calls):]), good, after(new)
        if worker.memory == work.ASKED and not worker.calls and not world.slot.full:
            yield (who, 'tries again'), good, after(work.try_again(rules, worker))
        new = work.tell_floor(rules, worker)
        if new:
            yield (who, 'tells its floor', new.calls[-1].floor), good, after(new)
        yield from self.publish_steps(world, who, after)
        yield from self.end_steps(world, who)

    def publish_steps(self, world, who, after):
        rules, worker = self.rules, getattr(world, who)
        answered = [offset for offset, state in enumerate(worker.events) if state >= work.ANSWERED]
        for offset in answered[:1] if rules.in_order else answered:
            state = worker.events[offset]
            event, attempt = divmod(state - work.ANSWERED, 8)
            fault = world.fault
            if event != worker.log * len(rules.events) + offset:
                fault = f'event {offset} was published with the result of another log\'s event'
            bits = list(world.published)
            bits[event] |= 1 << attempt
            yield ((who, 'publishes', offset, 'dead letter' if attempt == DEAD_LETTER else f'result {attempt}'),
                   who == 'owner', after(work.published(worker, offset), published=tuple(bits), fault=fault))

    def end_steps(self, world, who):
        """A commit, a look at what Redis has (rule 7), a new log, a crash."""
        rules, worker, good = self.rules, getattr(world, who), who == 'owner'
        if good and worker.running and not (rules.quiet and worker.calls):
            floor = work.told_floor(rules, worker)
            if rules.commit == 'acknowledged':
                floor = min(floor, worker.floor_acked)
            elif rules.commit == 'any acknowledged':
                floor = worker.floor_acked
            if floor > world.committed and worker.log == world.log:
                yield (who, 'commits', floor), True, world._replace(committed=floor)
        if worker.running and rules.verify:
            slot = world.slot
            if redis.position(rules, slot) < worker.acked or slot.floor < worker.floor_acked:
                yield (who, 'sees that Redis knows less'), good, self.begin_again(world, who)
        if good and worker.log != world.log:
            yield (who, 'finds another log'), True, self.begin_again(world, who)
        if good and world.left.crashes:
            left = world.left._replace(crashes=world.left.crashes - 1)
            yield (who, 'dies'), False, self.begin_again(world._replace(left=left), who)._replace(owner=None)

    def begin_again(self, world, who):
        """The worker drops what it has; its requests under way may still run. One that owns nothing just ends."""
        worker = getattr(world, who)
        late = self.with_late(world.late, worker.calls)
        new = work.looking(self.rules, world.log) if who == 'owner' else None
        return world._replace(**{who: new}, late=late)

    @staticmethod
    def with_late(late, requests):
        return tuple(sorted(late + requests)[:MOST_LATE]) if requests else late

    def request_steps(self, world, who):
        """The first request under way runs, or its worker takes it for lost: then it runs at once, late, or never."""
        rules, worker, good = self.rules, getattr(world, who), who == 'owner'
        request = worker.calls[0]
        rest = worker._replace(calls=worker.calls[1:])
        ran, reply = self.run(world, request)
        replied = ran._replace(before=()) if rules.durable else ran
        new = work.on_reply(rules, rest, request, reply)
        if reply.unasked and rules.inner:
            replied = replied._replace(fault='a reply held results of later calls')
        if new is None:
            if work.knows_less(rest, reply) and self.is_false_alarm(world, worker):
                replied = replied._replace(fault='Redis was taken to have lost what it had acknowledged')
            replied = self.begin_again(replied._replace(**{who: rest}), who)
        else:
            replied = replied._replace(**{who: work.again(rules, new)})
        yield (who, 'asked', request, reply), good, replied
        if world.left.errors and redis.may_fail(rules, world.slot, request):
            left = world.left._replace(errors=world.left.errors - 1)
            failed = work.again(rules, work.on_function_error(rules, rest, request))
            yield (who, 'asked, the function fails', request), False, world._replace(**{who: failed}, left=left)
        if world.left.failures and len(world.late) < MOST_LATE:
            left = world.left._replace(failures=world.left.failures - 1)
            failed = work.again(rules, work.on_failure(rest, request))
            late = self.with_late(world.late, (request,))
            yield (who, 'loses', request), False, world._replace(**{who: failed}, left=left, late=late)

    def is_false_alarm(self, world, worker):
        """Redis lost nothing: it is about the worker's log, and no loss is in the scope."""
        return self.rules.inner and not self.rules.losses and world.log == worker.log == world.slot.log

    def run(self, world, request):
        slot, attempts, reply = self.run_request(world.slot, world.attempts, request)
        self.most_stored = max(self.most_stored, redis.stored_size(self.rules, slot.chunks))
        before = world.before
        if world.left.losses and slot != world.slot:
            before = ((world.slot,) + before)[:self.rules.lost_writes]
        late = tuple(r for r in world.late if not self.is_spent(slot, r)) if self.only_grows else world.late
        ran = world._replace(slot=slot, attempts=attempts, before=before, late=late)
        return ran._replace(fault=world.fault or self.done_again(world, ran)), reply

    def done_again(self, world, ran):
        """What was committed is done again, though no Redis that still knows some of it asks for that."""
        if not self.rules.lose_all or self.rules.lost_writes:
            return ''
        for event in range(world.committed):
            if ran.attempts[event] > world.attempts[event]:
                return f'committed {world.committed}, and {self.name(event)} was done again'
        return ''

    def is_spent(self, slot, request):
        """A late request that would change nothing now, nor ever: it need not be followed."""
        if request.generation < slot.generation or request.kind == 'replay':
            return True
        if request.kind == 'begin':
            return slot.floor >= 0
        applied = not request.offsets or request.offsets[-1] <= redis.position(self.rules, slot)
        return request.kind != 'accept' and applied and request.floor <= slot.floor

    def faults(self, world):
        rules, left = self.rules, world.left
        for request in sorted(set(world.late)):
            late = list(world.late)
            late.remove(request)
            ran, reply = self.run(world._replace(late=tuple(late)), request)
            yield ('late', request, reply), False, ran
        if left.rebalances and world.owner is not None and world.zombie is None and (world.owner.running or world.owner.calls):
            yield (('the partition goes to another worker',), False, world._replace(
                owner=work.looking(rules, world.log), zombie=world.owner, left=left._replace(rebalances=left.rebalances - 1)))
        if left.losses:
            fewer = left._replace(losses=left.losses - 1)
            for n, slot in enumerate(world.before):
                before = world.before[n + 1:] if fewer.losses else ()
                yield ('Redis loses its last writes', n + 1), False, world._replace(slot=slot, before=before, left=fewer)
            if rules.lose_all:
                lost = redis.empty(rules, self.logs, world.slot.generation // redis.LIFE + 1)
                yield ('Redis loses everything',), False, world._replace(slot=lost, before=(), left=fewer)
        if left.remade and world.slot.floor >= 0:
            yield (('the topic is made anew',), False, world._replace(
                log=world.log + 1, committed=-1, left=left._replace(remade=left.remade - 1)))
        if left.fills and not world.slot.full and world.slot.chunks:
            yield (('Redis is out of memory',), False, world._replace(
                slot=world.slot._replace(full=True), left=left._replace(fills=left.fills - 1)))
