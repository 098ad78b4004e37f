"""What warmpool answers, as immutable objects. Names and units are those of the Avro schemas; new fields are ignored."""
from __future__ import annotations

import base64
import dataclasses
from typing import Any, Mapping, Optional, TypeVar

Record = TypeVar("Record")


@dataclasses.dataclass(frozen=True)
class Limits:
    cpu_percent: float
    memory_mb: float


@dataclasses.dataclass(frozen=True)
class Requirements:
    cpu_percent: float
    memory_mb: float
    execution_time_seconds: float


@dataclasses.dataclass(frozen=True)
class Startup:
    queue_ms: float
    create_ms: float
    start_ms: float
    ready_ms: float
    bind_ms: float
    publish_ms: float


@dataclasses.dataclass(frozen=True)
class Assignment:
    request_id: str
    agent_id: str
    philosophy: str
    status: str
    warm_start: bool
    startup_time_ms: float
    wait_ms: float
    lease_epoch: int
    lease_expires_at: int
    limits: Limits
    requirements: Requirements
    recommended: Requirements
    confidence: float
    basis: str
    container_id: Optional[str] = None
    host: Optional[str] = None
    address: Optional[str] = None
    reason: Optional[str] = None
    retry_after_ms: Optional[int] = None
    image: Optional[str] = None
    tier: Optional[str] = None
    startup: Optional[Startup] = None


@dataclasses.dataclass(frozen=True)
class CacheResult:
    event_id: str
    op: str
    namespace: str
    key: str
    hit: bool
    value: Optional[bytes] = None
    ttl_seconds: Optional[int] = None
    reason: Optional[str] = None
    count: Optional[int] = None


def _known(kind: type[Record], fields: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    return {name: value for name, value in fields.items() if name in names}


def assignment(fields: Mapping[str, Any]) -> Assignment:
    """From a decoded record of `container-assignment`; KeyError or TypeError when a required field is missing."""
    known = _known(Assignment, fields)
    known["limits"] = Limits(**_known(Limits, fields["limits"]))
    known["requirements"] = Requirements(**_known(Requirements, fields["requirements"]))
    known["recommended"] = Requirements(**_known(Requirements, fields["recommended"]))
    if fields.get("startup") is not None:
        known["startup"] = Startup(**_known(Startup, fields["startup"]))
    return Assignment(**known)


def cache_result(fields: Mapping[str, Any]) -> CacheResult:
    """From a decoded record of `cache-result`; in JSON a value is a string, or base64 where it is not UTF-8."""
    known = _known(CacheResult, fields)
    if isinstance(known.get("value"), str):
        known["value"] = known["value"].encode()
    elif fields.get("value_base64") is not None:
        known["value"] = base64.b64decode(fields["value_base64"])
    return CacheResult(**known)
