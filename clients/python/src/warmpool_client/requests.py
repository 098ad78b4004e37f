"""Requests and their answers, without blocking and without asyncio: each method publishes and returns futures.

`Client` and `AsyncClient` wait for these futures, each in its own way. All methods may be called from any thread.
"""
from __future__ import annotations

import collections
import threading
import uuid
from concurrent.futures import Future, InvalidStateError
from typing import Any, Mapping, Optional, Protocol, TypeVar

from .errors import UnreadableAnswer
from .records import Assignment, CacheResult, assignment, cache_result
from .wire import Codec

ACQUIRE, RELEASE, USAGE, CACHE = "container-acquire", "container-release", "usage-record", "cache"
ASSIGNMENT, CACHE_RESULT = "container-assignment", "cache-result"
ANSWERS = (ASSIGNMENT, CACHE_RESULT)
DEFAULT_TIMEOUT = 30.0  # seconds: what warmpool's pool.timeout_ms is where nobody changed it
REMEMBERED = 100_000  # answers of look_back that are kept at most, the latest ones

Result = TypeVar("Result")


class Publishes(Protocol):
    def publish(self, topic: str, key: str, value: bytes) -> "Future[None]": ...


class Ticket:
    """One acquire: `answer` is its one answer, `lost` is done if the lease ends against our will."""

    def __init__(self, request_id: str, philosophy: str, timeout: float) -> None:
        self.request_id, self.philosophy = request_id, philosophy
        self.timeout = timeout  # seconds that warmpool lets it wait
        self.answer: Future[Assignment] = Future()
        self.lost: Future[Assignment] = Future()


def settle(future: "Future[Result]", result: Result) -> None:
    """Who waited may have gone, and a repeated answer is none."""
    try:
        future.set_result(result)
    except InvalidStateError:
        pass


def fail(future: "Future[Any]", error: BaseException) -> None:
    try:
        future.set_exception(error)
    except InvalidStateError:
        pass


def fail_if_unpublished(future: "Future[Any]", published: "Future[None]") -> None:
    def on_report(report: "Future[None]") -> None:
        error = report.exception()
        if error is not None:
            fail(future, error)

    published.add_done_callback(on_report)


def unreadable(error: Exception) -> UnreadableAnswer:
    if isinstance(error, UnreadableAnswer):
        return error
    return UnreadableAnswer(f"an answer lacks a field, or has one of another type: {error}")


class Requests:
    def __init__(self, wire: str = "json", remember: bool = False) -> None:
        """remember: keep answers to requests that nobody here has made; for those made before a restart."""
        self._codec = Codec(wire)
        self._remember = remember
        self._lock = threading.Lock()
        self._tickets: dict[bytes, Ticket] = {}
        self._cache: dict[bytes, dict[str, Future[CacheResult]]] = {}  # record key: event id: who waits
        self._earlier: collections.OrderedDict[bytes, bytes] = collections.OrderedDict()  # request id: its latest record
        self._link: Optional[Publishes] = None

    def use(self, link: Publishes) -> None:
        self._link = link

    def publish(self, topic: str, key: str, record: Mapping[str, Any]) -> "Future[None]":
        if self._link is None:
            raise RuntimeError("the client is not started, or closed: use it in `with` or `async with`")
        return self._link.publish(topic, key, self._codec.encode(topic, record))

    # --- containers

    def acquire(self, philosophy: str, agent_id: str, request_id: Optional[str], timeout: Optional[float], lease: Optional[float],
                fields: Mapping[str, Any]) -> Ticket:
        ticket = Ticket(request_id or str(uuid.uuid4()), philosophy, DEFAULT_TIMEOUT if timeout is None else timeout)
        key = ticket.request_id.encode()
        with self._lock:
            if key in self._tickets:
                raise ValueError(f"request {ticket.request_id} is under way in this client already")
            self._tickets[key] = ticket
            earlier = self._earlier.pop(key, None)
        if earlier is not None and self._ended_earlier(ticket, earlier):
            return ticket
        event = {"request_id": ticket.request_id, "agent_id": agent_id, "philosophy": philosophy,
                 "timeout_ms": None if timeout is None else round(timeout * 1000),
                 "lease_ms": None if lease is None else round(lease * 1000), **fields}
        try:
            published = self.publish(ACQUIRE, ticket.request_id, event)
        except BaseException:
            self.forget(ticket)
            raise
        fail_if_unpublished(ticket.answer, published)
        return ticket

    def release(self, ticket: Ticket, reuse: bool) -> "Future[None]":
        """Also ends a request that waits."""
        self.forget(ticket)
        return self.publish(RELEASE, ticket.request_id, {"request_id": ticket.request_id, "philosophy": ticket.philosophy, "reuse": reuse})

    def forget(self, ticket: Ticket) -> None:
        with self._lock:
            self._tickets.pop(ticket.request_id.encode(), None)

    def _ended_earlier(self, ticket: Ticket, record: bytes) -> bool:
        """A request that ended is not answered again by warmpool, but one whose lease is held is: that one is sent again."""
        found = assignment(self._codec.decode(ASSIGNMENT, record))
        if found.status == "assigned":
            return False
        settle(ticket.answer, found)
        return True

    # --- usage and cache

    def record_usage(self, agent_id: str, philosophy: str, fields: Mapping[str, Any]) -> "Future[None]":
        return self.publish(USAGE, agent_id, {"agent_id": agent_id, "philosophy": philosophy, **fields})

    def cache(self, op: str, namespace: str, key: str, fields: Mapping[str, Any]) -> "Future[CacheResult]":
        """The operations on one key are answered in their order."""
        event_id, waiting = str(uuid.uuid4()), Future[CacheResult]()
        record_key = f"{namespace}:{key}"
        with self._lock:
            self._cache.setdefault(record_key.encode(), {})[event_id] = waiting
        waiting.add_done_callback(lambda _: self._forget_cache(record_key.encode(), event_id))
        try:
            published = self.publish(CACHE, record_key, {"event_id": event_id, "op": op, "namespace": namespace, "key": key, **fields})
        except BaseException as error:
            fail(waiting, error)
            raise
        fail_if_unpublished(waiting, published)
        return waiting

    def _forget_cache(self, record_key: bytes, event_id: str) -> None:
        with self._lock:
            waiting = self._cache.get(record_key, {})
            waiting.pop(event_id, None)
            if not waiting:
                self._cache.pop(record_key, None)

    # --- answers

    def deliver(self, topic: str, key: bytes, value: bytes) -> None:
        """A record from the reader's thread. What is not ours is left undecoded."""
        if topic == ASSIGNMENT:
            with self._lock:
                ticket = self._tickets.get(key)
                if ticket is None and self._remember:
                    self._earlier[key] = value
                    self._earlier.move_to_end(key)
                    if len(self._earlier) > REMEMBERED:
                        self._earlier.popitem(last=False)
            if ticket is not None:
                self._on_assignment(ticket, value)
        elif topic == CACHE_RESULT:
            with self._lock:
                waiting = dict(self._cache.get(key, {}))
            if waiting:
                self._on_cache_result(waiting, value)

    def _on_assignment(self, ticket: Ticket, value: bytes) -> None:
        try:
            record = assignment(self._codec.decode(ASSIGNMENT, value))
        except (UnreadableAnswer, KeyError, TypeError) as error:
            return fail(ticket.answer, unreadable(error))
        if record.request_id != ticket.request_id:
            return  # somebody else's key is our request's id
        if record.status == "lost":
            if not ticket.answer.done():
                settle(ticket.answer, record)  # answered and lost before a restart of ours
            settle(ticket.lost, record)
        else:
            settle(ticket.answer, record)

    def _on_cache_result(self, waiting: "dict[str, Future[CacheResult]]", value: bytes) -> None:
        try:
            record = cache_result(self._codec.decode(CACHE_RESULT, value))
        except (UnreadableAnswer, KeyError, TypeError) as error:
            for future in waiting.values():
                fail(future, unreadable(error))
            return
        if record.event_id in waiting:
            settle(waiting[record.event_id], record)
