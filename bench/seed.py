"""A full log and many tokens, made by the issuer's own flows without HTTP, where they would take too long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Final

from bench.deployment import AUDIENCE, SCOPE, Deployment
from watchword.log import Kind
from watchword_server import main
from watchword_server.changes import Revoke
from watchword_server.flows import minting
from watchword_server.flows.issuer import Issuer
from watchword_server.protocol.values import Grant

KINDS: Final[tuple[Kind, ...]] = ("token", "grant", "session", "subject", "client")
BATCH: Final = 1000
"""Entries in one transaction."""
HOUR: Final = 3600


def sow(deployment: Deployment, tokens: int, entries: int) -> list[bytes]:
    """Append entries of every kind that people cause, then mint tokens that none of them hits. Bytes, never seen."""
    settings = main.load_settings(None, {"issuer": deployment.issuer, "data": deployment.folder / "data"})

    async def work() -> list[bytes]:
        async with main.open_issuer(settings) as issuer:
            now = int(time.time())
            await _revoke(issuer, entries, now + HOUR)
            return [await _mint(issuer, now) for _ in range(tokens)]

    return asyncio.run(work())


async def _revoke(issuer: Issuer, count: int, until: int) -> None:
    changes = _revocations(issuer, count, until)
    while batch := list(islice(changes, BATCH)):
        await issuer.stores.journal.save(*batch)


def _revocations(issuer: Issuer, count: int, until: int) -> Iterator[Revoke]:
    for kind in islice(cycle(KINDS), count):
        yield Revoke(kind, issuer.subject() if kind == "subject" else issuer.identifier(), until)


async def _mint(issuer: Issuer, now: int) -> bytes:
    head = await issuer.stores.log.head()
    grant = Grant(
        gid=issuer.identifier(),
        client_id="web",
        sub=issuer.subject(),
        audience=AUDIENCE,
        scope=(SCOPE,),
        created_at=now,
        expires_at=now + HOUR,
        sid=issuer.identifier(),
    )
    tokens = await minting.for_grant(issuer, head, grant, grant.scope, ("buyer",), now, None)
    return tokens.access_token.encode()
