"""A full log and many tokens, made by the issuer's own flows without HTTP, where they would take too long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from typing import Final

from bench import logs
from bench.deployment import AUDIENCE, REDIRECT_URI, SCOPE, Deployment
from watchword.jose.b64 import b64url
from watchword_server import main
from watchword_server.changes import Add, Change, Revoke
from watchword_server.flows import minting
from watchword_server.flows.issuer import Issuer
from watchword_server.flows.refresh import new_token
from watchword_server.people.values import Session, User
from watchword_server.protocol.grants.authorization_code import PREFIX, Code
from watchword_server.protocol.refresh_token import kept, spelled
from watchword_server.protocol.values import Authentication, Client, Grant

BATCH: Final = 1000
"""Entries in one transaction."""
AT_ONCE: Final = 250
"""Sign-ins that wait for one commit."""
HOUR: Final = 3600
NONCE: Final = "bench"
"""Of every authorization request."""


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

    def authorize(self, count: int, challenge: str) -> list[str]:
        """Codes of as many people, each with a session and a grant of OpenID Connect of their own.

        They live as long as sessions do, so that all of them can be made before the first is redeemed.
        """
        return self._run(_authorize(self._issuer, self._client_id, count, challenge, int(time.time())))


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


async def _authorize(issuer: Issuer, client_id: str, count: int, challenge: str, now: int) -> list[str]:
    codes = [PREFIX + b64url(issuer.random(32)) for _ in range(count)]
    for start in range(0, count, AT_ONCE):
        these = enumerate(codes[start : start + AT_ONCE], start)
        signed_in = [_signed_in(issuer, client_id, number, code, challenge, now) for number, code in these]
        await asyncio.gather(*(issuer.stores.journal.save(*changes) for changes in signed_in))
    return codes


def _signed_in(issuer: Issuer, client_id: str, number: int, code: str, challenge: str, now: int) -> Sequence[Change]:
    """What the authorization endpoint leaves of a sign-in."""
    sub, sid, gid = issuer.subject(), issuer.identifier(), issuer.identifier()
    until = now + 24 * HOUR
    told = Authentication(sid=sid, auth_time=now, amr=("pwd",))
    return (
        Add(User(sub, f"{number}-{sid}@example.com", "", None, ("buyer",), now)),
        Add(Session(sid, sub, client_id, ("pwd",), now, until, "192.0.2.1", "bench")),
        Add(Grant(gid, client_id, sub, AUDIENCE, ("openid", SCOPE), now, until, sid, made_in=sid, authentication=told)),
        Add(
            Code(
                hash=kept(code),
                client_id=client_id,
                redirect_uri=REDIRECT_URI,
                code_challenge=challenge,
                nonce=NONCE,
                gid=gid,
                expires_at=until,
            )
        ),
    )


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
