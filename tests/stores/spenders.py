"""Every way in which values are spent: by the database alone, by Redis alone, and by the database behind Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.stores.databases import Database
from watchword_server.adapters.redis.link import Link
from watchword_server.adapters.redis.spent import GuardedSpent, RedisSpent
from watchword_server.ports import Spent

ISSUER = "https://id.example.com"
PATIENT = 10.0
"""Seconds: where Redis is not to be lost, a busy machine must not look as if it were."""
WAYS = ("database", "redis", "guarded")


@asynccontextmanager
async def spender(
    way: str, database: Database, url: str, issuer: str = ISSUER, bound: float = PATIENT
) -> AsyncIterator[Spent]:
    """What a node has: a store of its own, and a line of its own to Redis."""
    store, link = database.open(), Link(url, issuer, bound)
    try:
        own, shared = store.stores.spent, RedisSpent(link)
        yield {"database": own, "redis": shared, "guarded": GuardedSpent(shared, own)}[way]
    finally:
        await link.close()
        await store.close()
