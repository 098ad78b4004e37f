"""The client for asyncio. It belongs to the loop in which it was entered."""
from __future__ import annotations

import asyncio
from concurrent.futures import Future
from types import TracebackType
from typing import Mapping, Optional, TypeVar

from .base import Base, BaseLease, acquire_fields, assigned, done, usage_fields
from .errors import LeaseLost, NoAnswer
from .records import CacheResult
from .requests import Ticket

Result = TypeVar("Result")


class AsyncLease(BaseLease):
    """A container that is ours, as long as the block lasts."""


class Acquiring:
    """What `acquire` returns, for `async with`."""

    def __init__(self, client: "AsyncClient", philosophy: str, agent_id: str, request_id: Optional[str], timeout: Optional[float],
                 lease: Optional[float], fields: Mapping[str, object]) -> None:
        self._client = client
        self._arguments = (philosophy, agent_id, request_id, timeout, lease, fields)
        self._inside = self._interrupted = False
        self._cancelling = 0

    async def __aenter__(self) -> AsyncLease:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("acquire needs a task")
        self._task, loop, requests = task, asyncio.get_running_loop(), self._client.requests
        self._ticket = ticket = requests.acquire(*self._arguments)
        try:
            assigned(await self._client.wait(ticket.answer, ticket.timeout + self._client.grace, f"request {ticket.request_id}"))
        except (NoAnswer, asyncio.CancelledError):
            requests.release(ticket, True)  # delivered in the background: closing the client waits for it
            raise
        except BaseException:
            requests.forget(ticket)
            raise
        self.lease = AsyncLease(ticket)
        self._inside, self._cancelling = True, task.cancelling()
        ticket.lost.add_done_callback(lambda _: loop.is_closed() or loop.call_soon_threadsafe(self._on_lost))
        return self.lease

    def _on_lost(self) -> None:
        if self._inside:
            self._interrupted = True
            self._task.cancel()

    async def __aexit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException], _: Optional[TracebackType]) -> None:
        self._inside = False
        requests = self._client.requests
        if not self.lease.lost:
            await asyncio.shield(self._client.wait(requests.release(self._ticket, self.lease.reuse), self._client.grace,
                                                   f"the release of {self._ticket.request_id}"))
            return
        requests.forget(self._ticket)
        ours = self._interrupted and self._task.uncancel() <= self._cancelling and kind is not None and issubclass(kind, asyncio.CancelledError)
        if ours or kind is None:
            raise LeaseLost(self._ticket.lost.result()) from error


class AsyncClient(Base):
    async def __aenter__(self) -> "AsyncClient":
        await asyncio.to_thread(self._start)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._close)

    def acquire(self, philosophy: str, *, agent_id: str, request_id: Optional[str] = None, tenant: Optional[str] = None,
                timeout: Optional[float] = None, lease: Optional[float] = None, cpu_percent: Optional[float] = None,
                memory_mb: Optional[float] = None, claim: Optional[Mapping[str, str]] = None) -> Acquiring:
        """`async with client.acquire("react", agent_id="agent-7") as lease:` holds a container until the block ends.

        request_id: the request's identity: the same id sent again, say after a restart, is the same request; default a new one.
        timeout: seconds that warmpool lets it wait (its own default is 30). lease: seconds that it may be held, 0 = without end.
        cpu_percent, memory_mb: what the container must be allowed at least. claim: configuration for this agent alone.

        Raises Rejected, with the reason, when there is no container, and NoAnswer when no worker answers in time; the request is then
        cancelled. When the container dies or the lease expires, the block is interrupted at its current `await`, and LeaseLost is raised.
        """
        return Acquiring(self, philosophy, agent_id, request_id, timeout, lease, acquire_fields(tenant, cpu_percent, memory_mb, claim))

    async def record_usage(self, philosophy: str, *, agent_id: str, cpu_percent: Optional[float] = None,
                           memory_mb: Optional[float] = None, execution_time: Optional[float] = None,
                           record_id: Optional[str] = None) -> None:
        """What a run used: percent of one core, MiB, seconds. The same record_id counts once."""
        fields = usage_fields(cpu_percent, memory_mb, execution_time, record_id)
        await self.wait(self.requests.record_usage(agent_id, philosophy, fields), self.grace, "a usage record")

    async def cache_get(self, key: str, *, namespace: str = "tool") -> Optional[bytes]:
        """None when it is not there."""
        result = await self._cache("get", namespace, key)
        return result.value if result.hit else None

    async def cache_set(self, key: str, value: bytes, *, namespace: str = "tool", ttl: Optional[int] = None) -> None:
        """ttl: seconds; None = the namespace's own."""
        await self._cache("set", namespace, key, value, ttl)

    async def cache_invalidate(self, key: str, *, namespace: str = "tool") -> bool:
        """True when it was there."""
        return (await self._cache("invalidate", namespace, key)).hit

    async def _cache(self, op: str, namespace: str, key: str, value: Optional[bytes] = None, ttl: Optional[int] = None) -> CacheResult:
        waiting = self.requests.cache(op, namespace, key, {"value": value, "ttl_seconds": ttl})
        return done(await self.wait(waiting, self.grace, f"the {op} of {namespace}:{key}"))

    @staticmethod
    async def wait(future: "Future[Result]", timeout: float, what: str) -> Result:
        try:
            async with asyncio.timeout(timeout) as limit:
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise NoAnswer(f"{what} was not answered within {timeout:.0f} s: does a worker run (/readyz), with this topics.prefix?") from error
