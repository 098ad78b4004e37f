"""The delivery rules that a variant may change, and what is tried: the names of the other files' `rules`.

One object of Rules is one variant: which rule is in force where a rule could be another, and the scope (how many events,
how many faults). The defaults are the rules of docs/reliability.md.
"""
from dataclasses import dataclass


@dataclass(frozen=True)
class Rules:
    # --- the scope ---
    events: str = 'wrdw'     # the log, one letter an event; see below
    low: tuple = (0, 0)      # first offset of the log, and of the one that is made anew in its place
    batch: int = 2           # events in a call, at most
    calls: int = 2           # calls of a worker under way, at most
    window: int = 9          # events taken and not complete, at most
    in_order: bool = True    # Kafka confirms what a worker published in order; False: in any
    quiet: bool = True       # it tells its floor and commits while no call is under way; False: at any time

    # --- how many faults, at most ---
    crashes: int = 1         # a worker dies
    failures: int = 1        # a call is not run, loses its reply, or is run late
    rebalances: int = 1      # another worker takes over, and the first one does not know it yet
    losses: int = 0          # Redis comes back without its last writes
    lost_writes: int = 2     # so many of them
    durable: bool = False    # but none that somebody has a reply of (appendfsync always)
    lose_all: bool = False   # or without any
    remade: int = 0          # the topic is deleted and made anew
    errors: int = 0          # the function fails on an event `p`, though Redis is well
    fills: int = 0           # Redis is out of memory until nothing is stored of the partition

    # --- the function in Redis ---
    gap_check: bool = True       # a call whose `prev` is beyond what was applied is refused
    position: str = 'floor'      # what `prev` is checked against: max(applied, floor - 1), or 'applied' alone
    floor_needed: bool = True    # a call finds no floor: refused
    generation_checked: bool = True  # a call of another generation (before an accept) is refused
    unstored: str = 'finished'   # answer for an offset applied, of which nothing is stored; 'nothing': none
    reads: str = 'again'         # a pure read that is repeated: read again; 'stored'; 'finished'
    trim: str = 'floor'          # results go below the floor; 'all': all but those of the last call
    trim_first: bool = True      # the floor given with a call moves before its events are applied
    bound: int = 0               # size of the results stored; 0: no bound
    bound_spares_first: bool = True  # where nothing is stored one event is applied whatever its size
    reply_bound: int = 0         # size of the stored results in a reply, which says how far it goes; 0: no bound
    reply_spares_first: bool = True  # one chunk is given whatever its size
    resend_answer: str = 'covering'  # the stored chunks that cover the call's events; 'later': all from its first event on
    floor_call: str = 'chained'  # checked like a call; 'unchecked': no `prev`; 'lowers': sets, even to less
    begin: str = 'where none'    # sets a floor only where there is none; 'always'
    begin_checked: bool = True   # a begin of another generation (before Redis lost everything) is refused
    accept: str = 'generation'   # replaces only what the worker saw, told by its generation; 'floor': by its floor; 'always'
    full_floor: bool = True      # out of memory: the floor may move
    full_replay: bool = True     # out of memory: what was applied is answered

    # --- the worker ---
    first_prev: str = 'start'    # `prev` of the first call: start - 1; 'none': unchecked
    sent_grows: bool = True      # `prev` never lies before what was acknowledged, also behind a call that goes again
    start: str = 'floor'         # min(committed, floor); 'committed'
    told_floor: str = 'complete'  # the floor that it tells: all below is confirmed by Kafka; 'answered': has a result
    commit: str = 'acknowledged'  # commits up to its floor, as far as Redis acknowledged it; 'complete': up to its own;
    #                              'any acknowledged': up to that of Redis, which another worker may have moved
    after_stop: str = 'floor moved'  # when the rest of a call that stopped early goes again: when the floor has moved, but
    #                                  what was applied at once; 'strictly': only when it has moved; 'at once';
    #                                  'nothing applied': as the first, but at once too when the call applied something
    retry: str = 'from acknowledged'  # a refused call goes again with all that is unresolved; 'failed call': as it was
    skip: str = 'slot'       # who gives up an event that the function fails on alone: 'slot' stores that; 'worker' by itself
    verify: bool = False         # compares what Redis has with what it acknowledged

    # --- what must hold, beside what a client can see ---
    inner: bool = True       # nothing is committed above Redis' floor; no false alarm about lost writes; replies stay small
    same: bool = True            # all published results of an event are equal (except a read's)


# The letters of an event:
#   w  a write: it changes the state, has one result of size 1
#   W  the same with a result of size 3
#   q  a write without an answer: it changes the state, nothing is stored or published
#   p  a write that the function may fail on
#   r  a pure read: it changes nothing, and is answered
#   d  an event that cannot be decoded: never sent to Redis, a dead letter is published
SIZE = {'w': 1, 'p': 1, 'W': 3, 'q': 0, 'r': 1, 'd': 0}

# A result is named by a number: event id * 8 + attempt. Attempts from 1 on are applications of a write; the others:
SKIPPED, DEAD_LETTER, READ, STALE_READ = 4, 5, 6, 7
FINISHED, NO_ANSWER = -1, -2  # in a reply, in place of a result


def event_id(rules, log, offset):
    """Each event of each log has a number of its own: the offset, counted on over the logs."""
    return log * len(rules.events) + offset
