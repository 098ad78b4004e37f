"""What the two clients share: settings, the start and the end, and the fields of an acquire."""
from __future__ import annotations

from typing import Any, Mapping, Optional

from .errors import CacheRefused, LeaseLost, Rejected
from .link import Link
from .records import Assignment, CacheResult
from .requests import ANSWERS, Requests, Ticket

GRACE = 10.0  # seconds that an answer may take beyond the time that warmpool lets the request wait


class Base:
    def __init__(self, bootstrap_servers: str = "localhost:9092", *, topics_prefix: str = "", wire: str = "json", look_back: float = 0.0,
                 start_timeout: float = 30.0, grace: float = GRACE, kafka: Optional[Mapping[str, Any]] = None) -> None:
        """Nothing is sent before the client is entered with `with` or `async with`.

        topics_prefix: the worker's setting `topics.prefix`.
        wire: what is sent, "json" or "avro" (needs warmpool-client[avro]); answers are read in either.
        look_back: seconds of earlier answers that are read at the start, for requests that were made before a restart; 600 is what
            warmpool itself remembers of a request that ended (`pool.request_ttl`).
        start_timeout: seconds that the start may take.
        grace: seconds that an answer may take beyond the request's timeout, before the request is given up.
        kafka: further properties of librdkafka, such as security.protocol.
        """
        self._config: dict[str, Any] = {"bootstrap.servers": bootstrap_servers, **(kafka or {})}
        self._prefix, self._look_back, self._start_timeout, self.grace = topics_prefix, look_back, start_timeout, grace
        self.requests = Requests(wire, remember=look_back > 0)
        self._link: Optional[Link] = None

    def _start(self) -> None:
        if self._link is not None:
            raise RuntimeError("the client is started already")
        link = Link(self._config, self._prefix, ANSWERS, self._look_back, self.requests.deliver)
        try:
            link.start(self._start_timeout)
        except BaseException:
            link.close(0)
            raise
        self._link = link
        self.requests.use(link)

    def _close(self) -> None:
        if self._link is not None:
            self._link.close()


class BaseLease:
    """A container that is ours. `reuse` = False has it destroyed at the release, instead of going back to the pool."""

    def __init__(self, ticket: Ticket) -> None:
        """ticket: of a request that was assigned."""
        self.assignment: Assignment = ticket.answer.result()
        self.reuse = True
        self._ticket = ticket

    @property
    def lost(self) -> bool:
        return self._ticket.lost.done()

    @property
    def request_id(self) -> str:
        return self.assignment.request_id

    @property
    def container_id(self) -> str:
        return self.assignment.container_id or ""

    @property
    def address(self) -> str:
        """An IP address, `container:NAME` for `docker exec NAME`, or `pid:N` of the process runtime; empty when it is not known."""
        return self.assignment.address or ""

    @property
    def epoch(self) -> int:
        """The fencing number: a later lease of anything has a higher one."""
        return self.assignment.lease_epoch


def acquire_fields(tenant: Optional[str], cpu_percent: Optional[float], memory_mb: Optional[float],
                   claim: Optional[Mapping[str, str]]) -> dict[str, Any]:
    return {"tenant": tenant, "cpu_percent": cpu_percent, "memory_mb": memory_mb, "claim": None if claim is None else dict(claim)}


def usage_fields(cpu_percent: Optional[float], memory_mb: Optional[float], execution_time: Optional[float],
                 record_id: Optional[str]) -> dict[str, Any]:
    if cpu_percent is None and memory_mb is None and execution_time is None:
        raise ValueError("a usage record needs at least one of cpu_percent, memory_mb and execution_time")
    return {"cpu_percent": cpu_percent, "memory_usage_mb": memory_mb, "execution_time": execution_time, "record_id": record_id}


def assigned(answer: Assignment) -> Assignment:
    """Raises unless it says that a container was assigned."""
    if answer.status == "rejected":
        raise Rejected(answer)
    if answer.status != "assigned":
        raise LeaseLost(answer)
    return answer


def done(result: CacheResult) -> CacheResult:
    if result.reason is not None:
        raise CacheRefused(f"{result.op} of {result.namespace}:{result.key} was not done: {result.reason}")
    return result
