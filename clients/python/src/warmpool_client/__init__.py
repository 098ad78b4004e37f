"""Acquire warm containers for AI agents from warmpool, over Kafka.

    async with AsyncClient("localhost:9092") as warmpool:
        async with warmpool.acquire("react", agent_id="agent-7") as lease:
            print(lease.container_id, lease.address)
"""
from .aio import AsyncClient, AsyncLease
from .client import Client, Lease
from .errors import CacheRefused, KafkaUnavailable, LeaseLost, NoAnswer, Rejected, UnreadableAnswer, WarmpoolError
from .records import Assignment, CacheResult, Limits, Requirements, Startup

__all__ = ["Assignment", "AsyncClient", "AsyncLease", "CacheRefused", "CacheResult", "Client", "KafkaUnavailable", "Lease", "LeaseLost",
           "Limits", "NoAnswer", "Rejected", "Requirements", "Startup", "UnreadableAnswer", "WarmpoolError"]
