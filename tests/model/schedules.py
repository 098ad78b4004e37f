#!/usr/bin/env python3
"""Writes schedules for the delivery core in C: python3 schedules.py COUNT [SEED]. README.md has the format.

Each is a random walk through the model, as one worker lives it: what it is told, and what it has to do then.
"""
import random
import sys
from dataclasses import replace

import worker as work
from rules import Rules
from world import Model

STEPS = 120
SCOPES = [
    Rules(events='wrdwwq', batch=3, calls=3, failures=3, rebalances=1, crashes=1),
    Rules(events='wwwwww', batch=3, calls=3, failures=3, rebalances=1, crashes=1, bound=2),
    Rules(events='WwdWrwW', batch=4, calls=2, failures=2, rebalances=1, crashes=1, bound=3),
    Rules(events='wwqwrw', batch=2, calls=3, failures=2, rebalances=0, crashes=0, losses=1, lost_writes=3, same=False),
    Rules(events='wwrw', batch=2, calls=3, failures=2, rebalances=1, crashes=0, remade=1, low=(1, 0)),
]
# As the core in C has it: confirmations in any order; after a call that applied some of its events the rest goes at once.
AS_IN_C = dict(in_order=False, after_stop='nothing applied')


class Schedule:
    """Follows one worker through a walk and writes down its part."""

    def __init__(self, rules, number):
        self.rules, self.who, self.taken = rules, 'owner', 0
        self.lines = [f'schedule {number}']
        self.over = False

    def add(self, *words):
        self.lines.append(' '.join(str(word) for word in words))

    def step(self, label, before, after):
        if label[0] == 'the partition goes to another worker':
            self.who = 'zombie'
        elif label[0] == self.who:
            self.worker_step(label[1:], before, after)

    def worker_step(self, label, before, after):
        was, now = getattr(before, self.who), getattr(after, self.who)
        if now is None or label[0] == 'dies':
            self.over = True
            return
        kind = label[0]
        if kind == 'sends':
            self.on_send(was, now)
        elif kind == 'tells its floor':
            self.add('tell', now.calls[-1].prev, now.calls[-1].floor)
        elif kind == 'publishes':
            self.add('confirm', label[1])
        elif kind == 'commits':
            self.add('commit', label[1])
        elif kind == 'loses' and was.running:
            self.add('told' if label[1].kind == 'floor' else 'reply', 'lost')
        elif kind == 'finds another log':
            self.add('anew')
        elif kind == 'asked' and was.running:
            self.on_reply(label[1], label[2], was, now)
        if self.over:
            return
        if now.running and not was.running:
            self.add('begin', now.start, now.floor_acked, after.committed)
            self.taken = now.start
        if was.running and not now.running:
            self.add('restart')
        if now.running and now.dirty:
            self.add('wait')

    def on_send(self, was, now):
        while self.taken < now.next:
            self.add('take', self.taken)
            self.taken += 1
        changed = [o for o in range(len(now.events)) if was.events[o] == work.WAITING and now.events[o] != work.WAITING]
        events = [f'{o}:{"dead" if self.rules.events[o] == "d" else "sent"}' for o in changed]
        if changed:
            self.add('send', was.sent, work.told_floor(self.rules, was), *events)

    def on_reply(self, request, reply, was, now):
        if request.kind == 'floor':
            self.on_floor_reply(reply)
        elif reply.kind == 'old' or reply.kind == 'gap' and reply.floor < 0:
            self.add('reply', 'unknown')
        elif reply.kind == 'gap':
            self.over = not now.running and reply.applied >= was.acked  # by the floor: rule 7, not told to the core here
            self.add('reply', 'gap', reply.applied, reply.floor)
        else:
            results = [f'{o}:{"finished" if r < 0 else "result"}' for o, r in reply.results]
            self.add('reply', 'ok', reply.applied, reply.floor, *results)

    def on_floor_reply(self, reply):
        self.over = reply.kind != 'ok'  # the same
        if not self.over:
            self.add('told', reply.floor)


def wanted(model, world, schedule, label):
    """Leaves out what the core in C is not asked to do: to commit while a floor is still to be told."""
    if label[0] != schedule.who or label[1] != 'commits':
        return True
    worker = getattr(world, schedule.who)
    return work.completed(worker) <= worker.floor_acked


RARE = ('the partition goes to another worker', 'Redis loses its last writes', 'the topic is made anew')


def weight(label):
    if label[0] in RARE or label[1:2] == ('dies',):
        return 1
    return 4 if label[1:2] == ('loses',) else 12


def walk(rules, number, dice):
    model = Model(rules)
    world, schedule = model.first(), Schedule(rules, number)
    for _ in range(STEPS):
        steps = [s for s in model.steps(world) if s[2] != world and wanted(model, world, schedule, s[0])]
        if not steps or schedule.over:
            break
        label, _, after = dice.choices(steps, [weight(s[0]) for s in steps])[0]
        schedule.step(label, world, after)
        world = after
        wrong = model.wrong(world)
        if wrong:
            sys.exit('\n'.join(schedule.lines + [f'the model itself breaks its rules: {wrong}']))
    return schedule.lines


def main():
    count, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    dice = random.Random(seed)
    for number in range(count):
        rules = replace(SCOPES[number % len(SCOPES)], **AS_IN_C)
        print('\n'.join(walk(rules, number, dice)))


if __name__ == '__main__':
    main()
