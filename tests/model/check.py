"""Visits every world that can be reached, and judges them.

A variant passes when nothing wrong can be reached, when from every world the owner alone, without a further fault, reaches
the end ("all is published, applied and committed"), and when it cannot go round for ever on the way.
"""
import time
from array import array
from collections import deque
from typing import NamedTuple

from world import Model


class Verdict(NamedTuple):
    passed: bool
    why: str
    trace: list      # what happened, one line a step; empty when it passed
    worlds: int
    seconds: float
    most_stored: int
    whole: bool      # False: stopped at the limit


class Search:
    def __init__(self, rules, limit):
        self.model = Model(rules)
        self.limit = limit
        self.began = time.process_time()
        self.number = {}
        self.worlds = []
        self.parent = array('l')
        self.steps_from, self.steps_to = array('l'), array('l')  # the owner's ordinary steps
        self.ends = []

    def run(self):
        self.add(self.model.first(), -1)
        whole, i = True, 0
        while i < len(self.worlds):
            world = self.worlds[i]
            wrong = self.model.wrong(world)
            if wrong:
                return self.verdict(False, wrong, i)
            if self.model.reached(world):
                self.ends.append(i)
            whole = self.visit(i, world) and whole
            i += 1
        if not whole:
            return self.verdict(True, f'nothing wrong in the first {self.limit} worlds; the rest was not looked at')
        return self.judge_progress()

    def visit(self, i, world):
        whole = True
        for _, ordinary, after in self.model.steps(world):
            j = self.number.get(after)
            if j is None:
                if len(self.worlds) >= self.limit:
                    whole = False
                    continue
                j = self.add(after, i)
            if ordinary:
                self.steps_from.append(i)
                self.steps_to.append(j)
        return whole

    def add(self, world, parent):
        j = self.number[world] = len(self.worlds)
        self.worlds.append(world)
        self.parent.append(parent)
        return j

    # ---- progress --------------------------------------------------------------------------------------------------

    def judge_progress(self):
        stuck = self.without_end()
        if stuck is not None:
            return self.verdict(False, 'stands still: the owner cannot reach the end any more', stuck)
        circle = self.circle()
        if circle:
            verdict = self.verdict(False, 'spins: the owner comes back to where it was', circle[0])
            turn = [self.step_between(i, j) for i, j in zip(circle, circle[1:])]
            return verdict._replace(trace=verdict.trace + ['and from there round and round:'] + turn)
        return self.verdict(True, 'nothing wrong')

    def neighbours(self, sources, targets):
        """Of each world the worlds at the other side of its steps, as a linked list: first[i], then next[step]."""
        first, following = array('l', [-1]) * len(self.worlds), array('l', [-1]) * len(sources)
        for step, i in enumerate(sources):
            following[step], first[i] = first[i], step
        return first, following

    def without_end(self):
        """The first world from which the owner cannot reach the end."""
        first, following = self.neighbours(self.steps_to, self.steps_from)
        good, stack = bytearray(len(self.worlds)), list(self.ends)
        for i in stack:
            good[i] = 1
        while stack:
            step = first[stack.pop()]
            while step >= 0:
                i = self.steps_from[step]
                if not good[i]:
                    good[i] = 1
                    stack.append(i)
                step = following[step]
        i = good.find(0)
        return None if i < 0 else i

    def circle(self):
        """Worlds that the owner's ordinary steps lead round: in what is left when all that lead nowhere are taken away."""
        left = self.without_dead_ends()
        if not left:
            return None
        first, following = self.neighbours(self.steps_from, self.steps_to)
        way, seen, i = [], {}, min(left)
        while i not in seen:
            seen[i] = len(way)
            way.append(i)
            step = first[i]
            while self.steps_to[step] not in left:
                step = following[step]
            i = self.steps_to[step]
        return way[seen[i]:] + [i]

    def without_dead_ends(self):
        first, following = self.neighbours(self.steps_to, self.steps_from)
        out = array('l', [0]) * len(self.worlds)
        for i in self.steps_from:
            out[i] += 1
        ready = deque(i for i in range(len(self.worlds)) if out[i] == 0)
        while ready:
            step = first[ready.popleft()]
            while step >= 0:
                i = self.steps_from[step]
                out[i] -= 1
                if out[i] == 0:
                    ready.append(i)
                step = following[step]
        return {i for i in range(len(self.worlds)) if out[i] > 0}

    # ---- the verdict -----------------------------------------------------------------------------------------------

    def verdict(self, passed, why, i=None):
        return Verdict(passed, why, self.trace(i) if i is not None else [], len(self.worlds), time.process_time() - self.began,
                       self.model.most_stored, len(self.worlds) < self.limit)

    def trace(self, i):
        lines = [f'then: {describe_world(self.worlds[i])}']
        while self.parent[i] >= 0:
            lines.append(self.step_between(self.parent[i], i))
            i = self.parent[i]
        return lines[::-1]

    def step_between(self, i, j):
        after = self.worlds[j]
        return describe(next(label for label, _, world in self.model.steps(self.worlds[i]) if world == after))


def describe(label):
    return ' '.join(describe_part(part) for part in label)


def describe_part(part):
    if isinstance(part, tuple) and hasattr(part, '_fields'):
        name = type(part).__name__.lower()
        return name + '(' + ' '.join(f'{k}={shown(v)}' for k, v in zip(part._fields, part)) + ')'
    if isinstance(part, tuple):
        return ', '.join(describe_part(p) for p in part)
    return str(part)


def shown(value):
    return '[' + ','.join(shown(v) for v in value) + ']' if isinstance(value, tuple) else str(value)


def describe_world(world):
    s = world.slot
    return (f'committed={world.committed} published={shown(world.published)} applied={s.applied} floor={s.floor} '
            f'generation={s.generation} stored={shown(s.chunks)} effects={shown(s.effects)}')


def check(rules, limit=3_000_000):
    return Search(rules, limit).run()
