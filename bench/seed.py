"""A full log and many tokens, made by the issuer's own flows without HTTP, where they would take too long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from typing import Final

from bench import logs
from bench.deployment import AUDIENCE, SCOPE, Deployment
from watchword_server import main
from watchword_server.changes import Add, Revoke
from watchword_server.flows import minting
from watchword_server.flows.issuer import Issuer
from watchword_server.flows.refresh import new_token
from watchword_server.people.values import Session, User
from watchword_server.protocol.refresh_token import spelled
from watchword_server.protocol.values import Client, Grant

BATCH: Final = 1000
"""Entries in one transaction."""
HOUR: Final = 3600


class Sower:
    """The issuer's flows on a deployment's data, whether or not `watchword serve` runs on it."""

    def __init__(self, issuer: Issuer, client_id: str, runner: asyncio.Runner) -> None:
        self._issuer: Final = issuer
        self._client_id: Final = client_id
        self._run: Final = runner.run

    def revoke(self, count: int) -> None:
        """Append entries of every kind that people cause."""
        self._run(_revoke(self._issuer, count, int(time.time()) + HOUR))

    def mint(self, count: int) -> list[bytes]:
        """Tokens of as many people, which no entry hits. Bytes, never seen."""

        async def work() -> list[bytes]:
            client = await self._issuer.stores.clients.find(self._client_id)
            assert client is not None
            return [await _mint(self._issuer, client, int(time.time())) for _ in range(count)]

        return self._run(work())

    def sign_in(self, count: int) -> list[str]:
        """Refresh tokens of as many people, each with a session and a grant of their own."""
        return self._run(_sign_in(self._issuer, self._client_id, count, int(time.time())))


@contextmanager
def sower(deployment: Deployment) -> Iterator[Sower]:
    """Until the end of the block."""
    place = {"data": deployment.folder / "data"} | ({"database": deployment.database} if deployment.database else {})
    settings = main.load_settings(None, {"issuer": deployment.issuer, **place})
    with asyncio.Runner() as runner:
        opened = main.open_issuer(settings)
        yield Sower(runner.run(opened.__aenter__()), deployment.client[0], runner)
        runner.run(opened.__aexit__(None, None, None))


async def _revoke(issuer: Issuer, count: int, until: int) -> None:
    changes = _revocations(issuer, count, until)
    while batch := list(islice(changes, BATCH)):
        await issuer.stores.journal.save(*batch)


def _revocations(issuer: Issuer, count: int, until: int) -> Iterator[Revoke]:
    for kind in islice(cycle(logs.KINDS), count):
        yield Revoke(kind, issuer.subject() if kind == "subject" else issuer.identifier(), until)


async def _sign_in(issuer: Issuer, client_id: str, count: int, now: int) -> list[str]:
    tokens = [spelled(issuer.random(32)) for _ in range(count)]
    for number, token in enumerate(tokens):
        sub, sid, gid = issuer.subject(), issuer.identifier(), issuer.identifier()
        until = now + 24 * HOUR
        await issuer.stores.journal.save(
            Add(User(sub, f"{number}-{sid}@example.com", "", None, ("buyer",), now)),
            Add(Session(sid, sub, client_id, ("pwd",), now, until, "192.0.2.1", "bench")),
            Add(Grant(gid, client_id, sub, AUDIENCE, (SCOPE,), now, until, sid)),
            Add(new_token(issuer, token, gid, now)),
        )
    return tokens


async def _mint(issuer: Issuer, client: Client, now: int) -> bytes:
    head = await issuer.stores.log.head()
    grant = Grant(
        gid=issuer.identifier(),
        client_id=client.client_id,
        sub=issuer.subject(),
        audience=AUDIENCE,
        scope=(SCOPE,),
        created_at=now,
        expires_at=now + HOUR,
        sid=issuer.identifier(),
    )
    minted = await minting.for_grant(issuer, head, client, grant, grant.scope, ("buyer",), now, None)
    return minted.tokens.access_token.encode()
