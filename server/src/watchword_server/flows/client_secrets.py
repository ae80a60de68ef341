"""The secrets of clients: made here, shown once, kept as SHA-256.

Who signs with a secret (`client_secret_jwt`) needs one that can be read again: that one is kept under the master key as
well. What was sealed while another process changed the master key is not saved (flows/master_key.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple

from msgspec.structs import replace

from watchword.jose.b64 import b64url
from watchword_server.changes import Change, ReplaceClient, ResealSecret, Unresealed
from watchword_server.flows.administration import Operator
from watchword_server.flows.issuer import Issuer, audit
from watchword_server.ports import KeyStoreError
from watchword_server.protocol.client_assertion import PRIVATE_KEY_JWT, SECRET_JWT
from watchword_server.protocol.client_authentication import secret_hash
from watchword_server.protocol.values import CONFIDENTIAL, Client, ClientMetadata

PREFIX: Final = "wws_"
SIZE: Final = 32
"""Bytes."""
SIGNING_SIZE: Final = 64
"""Bytes of a secret that signs: no shorter than the longest hash (RFC 7518 §3.2)."""
LONGEST_OVERLAP: Final = 30 * 24 * 3600
"""Seconds for which a secret that was replaced may be good."""
PAGE: Final = 500
"""Clients that are looked at in one go."""


class Made(NamedTuple):
    """A new secret, what is kept of it, and on which condition."""

    secret: str
    hash: bytes
    sealed: bytes | None = None
    conditions: tuple[Change, ...] = ()


def needs_none(kind: str, metadata: ClientMetadata) -> bool:
    """Whether a new client gets no secret: it cannot keep one, or proves itself by a key."""
    return kind != CONFIDENTIAL or metadata.fapi2 or metadata.token_endpoint_auth_method == PRIVATE_KEY_JWT


def signs(metadata: ClientMetadata) -> bool:
    """Whether a client signs with its secret."""
    return metadata.token_endpoint_auth_method == SECRET_JWT


def plain(issuer: Issuer, size: int = SIZE) -> Made:
    """A new secret that is shown and compared, and nothing else."""
    secret = PREFIX + b64url(issuer.random(size))
    return Made(secret, secret_hash(secret))


async def make(issuer: Issuer, client_id: str, signing: bool) -> Made:
    """A new secret of a client. Raises KeyStoreError for one that is `signing`, where it cannot be sealed."""
    if not signing:
        return plain(issuer)
    secret, hash, *_ = plain(issuer, SIGNING_SIZE)
    stored = await issuer.stores.keys.all()
    beside = stored[0] if stored else None
    sealed = await asyncio.to_thread(issuer.key_store.seal, secret.encode(), client_id, beside)
    conditions = () if beside is None else (Unresealed(beside.kid, beside.sealed),)
    return Made(secret, hash, sealed, conditions)


async def reseal(issuer: Issuer, by: Operator, now: int) -> Sequence[str]:
    """Seal every secret that clients sign with under the newest master key; the `client_id` of those that were not."""
    done: list[str] = []
    async for client in _sealed(issuer):
        changes = [change for one in _of(client) if (change := await _anew(issuer, client, one)) is not None]
        if changes:
            row = audit(by.caller, now, by.actor, "client.reseal", target=f"client:{client.client_id}")
            await issuer.stores.journal.save(*changes, row)
            done.append(client.client_id)
    return done


async def must_open(issuer: Issuer) -> None:
    """Raises KeyStoreError where one of them cannot be opened."""
    async for client in _sealed(issuer):
        for one in _of(client):
            await asyncio.to_thread(issuer.key_store.unseal, one, client.client_id)


async def forget_lost(issuer: Issuer, by: Operator, now: int) -> Sequence[str]:
    """After a master key was lost: no client signs any more with a secret that nobody can open; their `client_id`."""
    lost: list[str] = []
    async for client in _sealed(issuer):
        if not await _opens(issuer, client):
            metadata = replace(client.metadata, sealed_secret=None, retiring_secret=None)
            row = audit(by.caller, now, by.actor, "client.secret", target=f"client:{client.client_id}", lost="its seal")
            await issuer.stores.journal.save(ReplaceClient(replace(client, metadata=metadata)), row)
            lost.append(client.client_id)
    return lost


async def _anew(issuer: Issuer, client: Client, sealed: bytes) -> Change | None:
    fresh = await asyncio.to_thread(issuer.key_store.reseal_secret, sealed, client.client_id)
    return None if fresh is None else ResealSecret(client.client_id, sealed, fresh)


async def _opens(issuer: Issuer, client: Client) -> bool:
    try:
        for one in _of(client):
            await asyncio.to_thread(issuer.key_store.unseal, one, client.client_id)
    except KeyStoreError:
        return False
    return True


async def _sealed(issuer: Issuer) -> AsyncIterator[Client]:
    """The clients that sign with a secret, or did."""
    after, page = "", await issuer.stores.clients.all("", PAGE)
    while page:
        for client in page:
            if _of(client):
                yield client
        after = page[-1].client_id
        page = await issuer.stores.clients.all(after, PAGE)


def _of(client: Client) -> list[bytes]:
    retiring = client.metadata.retiring_secret
    found = (client.metadata.sealed_secret, retiring.sealed if retiring is not None else None)
    return [one for one in found if one is not None]
