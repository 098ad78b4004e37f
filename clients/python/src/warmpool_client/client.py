"""The client for programs with threads. It may be shared by any number of them."""
from __future__ import annotations

import concurrent.futures
import contextlib
from concurrent.futures import Future
from typing import Iterator, Mapping, Optional, TypeVar

from .base import Base, BaseLease, acquire_fields, assigned, done, usage_fields
from .errors import LeaseLost, NoAnswer
from .records import CacheResult
from .requests import Ticket

Result = TypeVar("Result")


class Lease(BaseLease):
    def check(self) -> None:
        """Raises LeaseLost when the container has died or the lease is over."""
        if self.lost:
            raise LeaseLost(self._ticket.lost.result())

    def wait_lost(self, timeout: float) -> bool:
        """True as soon as the lease is lost, False after so many seconds."""
        return bool(concurrent.futures.wait([self._ticket.lost], timeout).done)


class Client(Base):
    def __enter__(self) -> "Client":
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    @contextlib.contextmanager
    def acquire(self, philosophy: str, *, agent_id: str, request_id: Optional[str] = None, tenant: Optional[str] = None,
                timeout: Optional[float] = None, lease: Optional[float] = None, cpu_percent: Optional[float] = None,
                memory_mb: Optional[float] = None, claim: Optional[Mapping[str, str]] = None) -> Iterator[Lease]:
        """As AsyncClient.acquire, but a lost lease does not interrupt the block: ask `lease.check()`. LeaseLost is raised at its end."""
        ticket = self.requests.acquire(philosophy, agent_id, request_id, timeout, lease,
                                       acquire_fields(tenant, cpu_percent, memory_mb, claim))
        try:
            assigned(self._wait(ticket.answer, ticket.timeout + self.grace, f"request {ticket.request_id}"))
        except (NoAnswer, KeyboardInterrupt):
            self.requests.release(ticket, True)
            raise
        except BaseException:
            self.requests.forget(ticket)
            raise
        held = Lease(ticket)
        try:
            yield held
            held.check()
        finally:
            if held.lost:
                self.requests.forget(ticket)
            else:
                self._wait(self.requests.release(ticket, held.reuse), self.grace, f"the release of {ticket.request_id}")

    def record_usage(self, philosophy: str, *, agent_id: str, cpu_percent: Optional[float] = None, memory_mb: Optional[float] = None,
                     execution_time: Optional[float] = None, record_id: Optional[str] = None) -> None:
        """What a run used: percent of one core, MiB, seconds. The same record_id counts once."""
        fields = usage_fields(cpu_percent, memory_mb, execution_time, record_id)
        self._wait(self.requests.record_usage(agent_id, philosophy, fields), self.grace, "a usage record")

    def cache_get(self, key: str, *, namespace: str = "tool") -> Optional[bytes]:
        """None when it is not there."""
        result = self._cache("get", namespace, key)
        return result.value if result.hit else None

    def cache_set(self, key: str, value: bytes, *, namespace: str = "tool", ttl: Optional[int] = None) -> None:
        """ttl: seconds; None = the namespace's own."""
        self._cache("set", namespace, key, value, ttl)

    def cache_invalidate(self, key: str, *, namespace: str = "tool") -> bool:
        """True when it was there."""
        return self._cache("invalidate", namespace, key).hit

    def _cache(self, op: str, namespace: str, key: str, value: Optional[bytes] = None, ttl: Optional[int] = None) -> CacheResult:
        waiting = self.requests.cache(op, namespace, key, {"value": value, "ttl_seconds": ttl})
        return done(self._wait(waiting, self.grace, f"the {op} of {namespace}:{key}"))

    @staticmethod
    def _wait(future: "Future[Result]", timeout: float, what: str) -> Result:
        try:
            return future.result(timeout)
        except concurrent.futures.TimeoutError:
            if future.done():
                raise
            future.cancel()
            raise NoAnswer(f"{what} was not answered within {timeout:.0f} s: does a worker run (/readyz), with this topics.prefix?") from None
