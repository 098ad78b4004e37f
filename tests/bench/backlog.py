"""A worker that is driven by backlogs: it is stopped (SIGSTOP) while events are put into its topics, goes on, and what it then makes
Redis do is read from Redis' own counters. So calls are as full as the settings allow, and nothing depends on how functions are called.

What is counted is FCALL as a whole: all commands in it, the partitions' own bookkeeping, the calls that only tell what is finished.
Calls that come by the clock (sweeps) are in it, too: some ten a second, of a few microseconds each."""
import signal

from contenders import Contender

TOPIC_OF = {"acquire": "container-acquire", "release": "container-release", "usage": "usage-record", "get": "cache", "set": "cache", "cache": "cache"}


class Driven:
    def __init__(self, bench, containers=0, philosophies=1, options=()):
        self.bench = bench
        self.contender = Contender(bench, "warmpool", bench.new_prefix(), containers=containers, philosophies=philosophies, options=options)
        self.prefix, self.sent, self.next = self.contender.prefix, {}, {}

    def drive(self, kind, count, philosophies=1, first_philosophy=0, keys=1, value=1, first=None):
        """The cost of that many events. They have numbers of their own, or begin with `first`: releases name the acquires of those."""
        topic = TOPIC_OF[kind]
        if first is None:
            first = self.next.get(kind, 0)
            self.next[kind] = first + count
        self.sent[topic] = self.sent.get(topic, 0) + count
        self.contender.child.send_signal(signal.SIGSTOP)
        before = self.seen()
        self.bench.client(self.prefix, "fill", kind, first, count, philosophies, first_philosophy, keys, value)
        self.contender.child.send_signal(signal.SIGCONT)
        self.bench.client(self.prefix, "await", self.contender.group, self.sent[topic], self.prefix + topic)
        calls, us, cpu, file = (after - earlier for after, earlier in zip(self.seen(), before))
        return {"calls": calls, "us": us, "cpu": cpu, "file": file, "events": count}

    def seen(self):
        """Function calls, their us, us of Redis' thread in all, bytes of the append-only file. It must not be rewritten meanwhile."""
        return (*self.bench.function_cost(), self.bench.redis_cpu_us(), int(self.bench.redis_info("persistence")["aof_current_size"]))

    def stop(self):
        self.contender.stop()
