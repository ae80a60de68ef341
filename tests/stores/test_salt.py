"""The salt of pairwise subjects, on every store."""

from __future__ import annotations

import asyncio
import secrets

from watchword_server.flows.salt import NAME, Salt
from watchword_server.ports import Stores


async def test_whoever_races_for_the_salt_finds_the_same(stores: Stores) -> None:
    """One of twenty makes it; the others read what that one has made, and so does everybody later."""
    found = await asyncio.gather(*(Salt().read(stores, secrets.token_bytes) for _ in range(20)))
    kept = await stores.secrets.find(NAME)
    assert kept is not None
    assert {*found, await Salt().read(stores, secrets.token_bytes)} == {kept.value}
