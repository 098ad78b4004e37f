"""What can go wrong, as exceptions that a caller tells apart."""
from __future__ import annotations

from .records import Assignment


class WarmpoolError(Exception):
    """The base of all others."""


class KafkaUnavailable(WarmpoolError):
    """No broker answers, a topic is missing, or Kafka refused a record."""


class UnreadableAnswer(WarmpoolError):
    """An answer to this client's request cannot be decoded: another wire format, or a schema that is not known."""


class NoAnswer(WarmpoolError, TimeoutError):
    """Nobody answered within the request's timeout and some grace; an acquire was cancelled by a release."""


class Rejected(WarmpoolError):
    """warmpool answered: no container. `reason` says why in words, `retry_after` after how many seconds another try is worth it."""

    def __init__(self, assignment: Assignment) -> None:
        super().__init__(f"request {assignment.request_id} was rejected: {assignment.reason}")
        self.assignment = assignment
        self.reason = assignment.reason or ""
        self.retry_after = None if assignment.retry_after_ms is None else assignment.retry_after_ms / 1000


class LeaseLost(WarmpoolError):
    """The container died, or the lease expired, while it was held. What ran in it has to be run again with a new request."""

    def __init__(self, assignment: Assignment) -> None:
        super().__init__(f"the lease of request {assignment.request_id} was lost: {assignment.reason}")
        self.assignment = assignment
        self.reason = assignment.reason or ""


class CacheRefused(WarmpoolError):
    """The cache did not do it; the message has the reason: disabled, too_large, no_room or too_many_namespaces."""
