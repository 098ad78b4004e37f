"""The history of a run: all that a client sent and read, and what was broken meanwhile, one JSON object a line, in the order in
which the client saw it. The checker (checker.py) judges from these lines alone.

Each line has its time, t (ms).

    run        seed, what the system was set to
    send       n, topic, event, wrong       written before the event is handed to the Kafka client; wrong: why it must be refused
    sent       n, partition, offset, time   the broker has it; time: its append time, ms
    read       topic, partition, offset, time, bytes, record   an output record; bytes: a digest of what lay there
    fault      what, on, step               step: begin or end
    died       worker, code                 a worker ended that nobody had ended
    load_ended
    not_ready  why                          all faults are over, and a worker does not become ready
    predicted  philosophy, samples, requirements               what wp_predict says at the end
    partition  topic, partition, low, high, committed          of an input topic, at the end; committed: null when there is none
    leases     count                                           that are on at the end
    ended

What a storm of containers adds (storm.py), told by an observer that is not a worker (observer.py). time: the engine's own, or when the
observer saw it.

    container  what, name, host, philosophy, time, ...         an event of the engine (start has pid, generation and image); or, as what,
                                                               ended: the container's first process is gone
    pools      pools                                           philosophy -> what wp_pool_stats says of it, when it has changed
    visit      request, container, tenant, saw, left           the holder looked into the container's /tmp, and left a file there
    definition philosophy, generation                          all workers run with it from now on
    rolled_out philosophy, generation                          it was reported that no container of an older one is left
    whole      difference                                      of the engine and Redis at the end; empty when there is none

Values of the cache are written as brief() has them, in events and in answers.
"""
import hashlib
import json
import threading
import time
import zlib


def brief(value):
    """A cached value in few characters: its beginning (up to a space), length and checksum. None stays None."""
    if value is None:
        return None
    return f"{value[:80].decode(errors='replace').split(' ')[0]}/{len(value)}/{zlib.crc32(value):08x}"


def digest(data):
    return hashlib.sha1(data).hexdigest()[:16]


class Writer:
    """Appends lines to a file; any thread may write."""

    def __init__(self, path):
        self.path = path
        self.file = open(path, "w", encoding="utf-8", buffering=1 << 16)
        self.lock = threading.Lock()

    def write(self, is_, **fields):
        line = json.dumps({"is": is_, "t": round(time.time() * 1000), **fields}, separators=(",", ":"))
        with self.lock:
            self.file.write(line + "\n")

    def close(self):
        self.file.close()


def load(path):
    """One line after the other: a long run has a million of them."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
