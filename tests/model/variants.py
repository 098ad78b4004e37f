"""The variants: the rules as they stand in several scopes, and each rule replaced by what else it could be.

A variant that replaces a rule is expected to fail, or to be equal (then the rule is there for another reason, which is said).
"""
from typing import NamedTuple

from rules import Rules


class Variant(NamedTuple):
    name: str
    expected: str    # 'pass'; or words of the reason why it fails
    rules: Rules
    note: str


def scope(events, faults, **rules):
    """faults: how many crashes, failures and rebalances, as '110'."""
    crashes, failures, rebalances = (int(f) for f in faults)
    return Rules(events=events, crashes=crashes, failures=failures, rebalances=rebalances, **rules)


# Scopes that bring out what a rule is for.
def dead_first(**rules):
    return scope('dw', '100', **rules)


def two_writes(**rules):
    return scope('ww', '110', **rules)


def bounded(events='www', faults='100', **rules):
    return scope(events, faults, bound=rules.pop('bound', 1), **rules)


def remade(faults='001', events='ww', **rules):
    return scope(events, faults, remade=1, **rules)


VARIANTS = [
    # --- the rules, in small scopes ---
    Variant('rules/crash', 'pass', scope('wrd', '110'), 'a worker dies, a call is lost or late'),
    Variant('rules/zombie', 'pass', scope('wr', '011'), 'another worker takes over; the first one does not know'),
    Variant('rules/dead', 'pass', scope('dqw', '100'), 'offsets that are never sent, answers without a record'),
    Variant('rules/bound', 'pass', bounded('wwW', '100'), 'stored results are bounded: calls stop early'),
    Variant('rules/bound-late', 'pass', bounded('ww', '010'), 'the same, with calls that are lost or late'),
    Variant('rules/full', 'pass', scope('wrw', '100', fills=1), 'Redis is out of memory until nothing is stored'),
    Variant('rules/remade', 'pass', remade('010', 'w'), 'the topic is made anew'),
    Variant('rules/durable', 'pass', scope('ww', '100', losses=1, durable=True, verify=True),
            'Redis loses writes of which nobody has a reply'),
    Variant('rules/tail-lost', 'pass', scope('ww', '000', losses=1, same=False, verify=True),
            'Redis loses its last writes: results may differ then'),
    Variant('rules/all-lost', 'pass', scope('ww', '000', losses=1, lose_all=True, same=False, verify=True),
            'Redis loses everything: what was committed is not done again'),

    Variant('rules/all-lost-late', 'pass',
            scope('ww', '010', losses=1, lose_all=True, lost_writes=0, same=False, verify=True),
            'the same, with a call of before that runs after it'),

    Variant('rules/reply-cut', 'pass', scope('wwW', '100', reply_bound=1, calls=1),
            'stored results in a reply are bounded'),

    Variant('rules/skip', 'pass', scope('wpw', '100', errors=2), 'a function fails on an event: it is skipped'),
    Variant('rules/skip-late', 'pass', scope('pw', '010', errors=2), 'the same, with a call that is lost or late'),

    # --- the chain ---
    Variant('no-gap-check', 'was never applied|nothing was published', two_writes(gap_check=False), 'rule 2'),
    Variant('first-call-unchecked', 'stands still',
            scope('ww', '100', losses=1, verify=True, same=False, first_prev='none'),
            'rule 3: matters when Redis has lost writes since the worker looked'),
    Variant('prev-goes-back', 'nothing was published',
            scope('www', '010', losses=1, lost_writes=1, verify=True, same=False, sent_grows=False, batch=1),
            'a call that goes again lies before what was acknowledged; the one behind it must name the latter'),
    Variant('retry-failed-call', 'stands still', bounded('www', '000', retry='failed call'),
            'rule 4: calls behind one that must go again are refused, and it waits for them to end'),
    Variant('skip-by-worker', 'two different', scope('p', '100', errors=2, skip='worker'),
            'rule 8: the next worker may apply the event that this one has given up'),
    Variant('checked-against-applied', 'taken to have lost', dead_first(position='applied'),
            'rule 2: after events that are never sent, `applied` alone is too low'),
    Variant('unstored-unanswered', 'stands still|spins', two_writes(unstored='nothing'), 'rule 2'),

    # --- results ---
    Variant('trim-when-answered', 'nothing was published', two_writes(told_floor='answered'), 'rule 5'),
    Variant('keep-last-only', 'nothing was published', two_writes(trim='all', batch=1), 'rule 2'),
    Variant('commit-own-floor', 'committed', two_writes(commit='complete'), 'rule 5'),
    Variant('commit-any-floor', 'pass', scope('ww', '101', commit='any acknowledged'),
            'equal: what another worker has completed is complete'),
    Variant('start-at-commit', 'pass', two_writes(start='committed'), 'equal unless Redis loses something'),

    # --- pure reads ---
    Variant('reads-stored', 'pass', scope('wr', '110', reads='stored'), 'equal, but needs more memory'),
    Variant('reads-finished', 'nothing was published', scope('wr', '110', reads='finished'),
            'a repeated read, of which nothing is stored, taken for finished'),

    # --- floors by a call of their own ---
    Variant('floor-lowers', 'Redis is|taken to have lost', scope('ww', '010', floor_call='lowers'), 'a late one takes it back'),
    Variant('floor-lowers-outside', 'pass', scope('ww', '010', floor_call='lowers', inner=False),
            'seen from outside: only repeated work'),
    Variant('floor-unchecked', 'stands still|was never applied|nothing was published',
            scope('ww', '000', floor_call='unchecked', losses=1, same=False, verify=True),
            'on a Redis that has lost writes it says that they are finished'),
    Variant('floor-unchecked-durable', 'pass', scope('ww', '010', floor_call='unchecked'), 'equal where nothing is ever lost'),

    # --- early stop ---
    Variant('stop-no-gap-check', 'was never applied|nothing was published|without an earlier',
            bounded('www', '000', gap_check=False, batch=2), 'the calls behind a stopped one are applied before what it left'),
    Variant('stop-trim-last', 'stands still', bounded('ww', '000', trim_first=False),
            'the floor given with a call must move before the bound is judged'),
    Variant('stop-strict-bound', 'stands still', bounded('W', '000', bound_spares_first=False),
            'one result larger than the bound'),
    Variant('stop-waits-strictly', 'stands still', bounded('ww', '010', after_stop='strictly'),
            'an event that was applied, but whose reply is lost, must go again before the floor can move'),
    Variant('stop-again-at-once', 'spins', bounded('ww', '000', after_stop='at once'),
            'it goes again before the floor has moved'),
    Variant('stop-waits-for-nothing', 'pass', bounded('wwW', '110', after_stop='nothing applied'),
            'equal: one call in vain more, where a call stopped after some of its events'),
    Variant('reply-strict-bound', 'stands still|spins', scope('W', '100', reply_bound=1, reply_spares_first=False),
            'a reply that may not hold even one chunk'),
    Variant('resend-later-chunks', 'later calls', scope('ww', '010', resend_answer='later', batch=1),
            'the answer grows with all that is stored'),

    # --- out of memory ---
    Variant('full-no-floor', 'stands still|spins', scope('w', '000', fills=1, full_floor=False), 'the floor must move'),
    Variant('full-no-replay', 'stands still|spins', scope('w', '100', fills=1, full_replay=False),
            'what was applied must be answered, or its floor never moves'),

    # --- begin and accept ---
    Variant('begin-always', 'the floor in Redis is|taken to have lost', scope('w', '110', begin='always'),
            'a late begin takes the floor back'),
    Variant('begin-always-outside', 'pass', scope('w', '110', begin='always', inner=False),
            'seen from outside: only repeated work'),
    Variant('begin-always-remade', 'nothing was published', remade('010', 'ww', begin='always', begin_checked=False, low=(1, 0), inner=False),
            'a late begin of the log before takes the floor of the new one forward: an event is lost'),
    Variant('begin-unchecked', 'was done again',
            scope('ww', '010', losses=1, lose_all=True, lost_writes=0, same=False, verify=True, begin_checked=False),
            'a begin that is older than the loss hides the loss: what was committed is done again'),
    Variant('accept-always', 'applied twice', remade('010', 'w', accept='always', generation_checked=False),
            'a late accept undoes its successor'),
    Variant('accept-by-floor', 'applied twice', remade('010', 'w', accept='floor', generation_checked=False),
            'a late accept finds the floor that it saw, in another log'),
    Variant('calls-without-generation', 'another log', remade('001', 'w', generation_checked=False),
            'a call of the log before is answered with, or taken for, an event of the new one'),
    Variant('call-without-floor', 'was done again',
            scope('ww', '010', losses=1, lose_all=True, lost_writes=0, same=False, verify=True, floor_needed=False,
                  generation_checked=False),
            'a late call is applied on a Redis that has forgotten, before the partition is begun again (the generation '
            'refuses it too)'),
]
