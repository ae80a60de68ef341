"""What must change so that another key signs: routinely, in an emergency, and for the first time.

Each answers changes that belong into one transaction. Raises KeyStoreError where a key must be made and cannot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from watchword_server.changes import ActivateKey, Add, Change, RetireKey, StoredKey, Unresealed
from watchword_server.flows.issuer import Issuer
from watchword_server.flows.key_life import ACCESS, FEED, Kin, families, kin, state
from watchword_server.flows.keyring import FEED_ALG
from watchword_server.ports import KeyStoreError
from watchword_server.protocol.values import ClientMetadata

UNCHOSEN: Final = ClientMetadata().id_token_signed_response_alg
"""What signs the ID tokens of a client that chose nothing."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation arranged: from the successor's `active_at` on it signs, and until then its predecessor."""

    successor: StoredKey
    predecessor: StoredKey


async def rotation(issuer: Issuer, family: Kin, old: StoredKey, now: int) -> tuple[Rotation, Sequence[Change]]:
    """The key that waits is called, another waits in its place, and `old` ends when the called one begins."""
    waiting = family.waiting()
    heir = waiting or await _made(issuer, family, now, old)
    at = max(now, heir.created_at + issuer.terms.publish_ahead)
    changes = (
        *_unresealed(old),
        RetireKey(old.kid, at, revoked=False),
        ActivateKey(heir.kid, at) if waiting else Add(replace(heir, active_at=at)),
        Add(await _made(issuer, family, now, old)),
    )
    return Rotation(replace(heir, active_at=at), old), changes


async def succession(
    issuer: Issuer, lost: StoredKey, stored: Sequence[StoredKey], now: int
) -> tuple[StoredKey | None, Sequence[Change]]:
    """Who signs in place of a key that is thrown away. Nobody waits for a cache any more."""
    rest = [key for key in stored if key.kid != lost.kid]
    others, beside = kin(rest, lost.use, lost.alg), _any(rest)
    if state(lost, now) == "retired":
        return None, ()
    if lost.active_at is None:
        return None, await _spare(issuer, others, now, beside)
    called, waiting = others.appointed(), others.waiting()
    known = called or waiting
    heir = known or await _made(issuer, others, now, beside)
    # Not simply now: on a node whose clock lags, nobody would sign until then.
    at = max(lost.active_at, heir.created_at)
    call: Change = ActivateKey(heir.kid, at) if known else Add(replace(heir, active_at=at))
    spare = () if called and waiting else await _spare(issuer, others, now, beside)
    return replace(heir, active_at=at), (call, *spare) if known else (*_unresealed(beside), call, *spare)


async def lacking(issuer: Issuer, stored: Sequence[StoredKey], family: Kin, now: int) -> Sequence[Change]:
    """A key that signs and another that waits, where there are none.

    The first of its use signs at once, for nothing else can; any later one is announced first.
    """
    waiting, changes, beside = family.waiting(), list[Change](), _any(stored)
    if family.appointed() is None:
        ahead = issuer.terms.publish_ahead if any(one.use == family.use for one in families(stored)) else 0
        if waiting is not None:
            changes.append(ActivateKey(waiting.kid, max(now, waiting.created_at + ahead)))
        else:
            changes.append(Add(replace(await _made(issuer, family, now, beside), active_at=now + ahead)))
        waiting = None
    if waiting is None:
        changes += (*_unresealed(beside), Add(await _made(issuer, family, now, beside)))
    return changes


def own(issuer: Issuer, stored: Sequence[StoredKey]) -> tuple[Kin, ...]:
    """What no deployment can be without, whether there are any or not.

    Where clients register themselves, that includes what signs their ID tokens if they choose nothing: they may read
    the keys before they register.
    """
    algs = [issuer.terms.algorithm] if issuer.terms.registration == "off" else [issuer.terms.algorithm, UNCHOSEN]
    return (*(kin(stored, ACCESS, alg) for alg in dict.fromkeys(algs)), kin(stored, FEED, FEED_ALG))


async def _spare(issuer: Issuer, family: Kin, now: int, beside: StoredKey | None) -> tuple[Change, ...]:
    """A key that waits. Where the master key cannot be had, an emergency goes on without: `tend` makes up for it."""
    try:
        return (*_unresealed(beside), Add(await _made(issuer, family, now, beside)))
    except KeyStoreError:
        return ()


async def _made(issuer: Issuer, family: Kin, now: int, beside: StoredKey | None) -> StoredKey:
    """A new key, to be saved with `_unresealed` of `beside`. On a thread, for an RSA key takes a third of a second."""
    return await asyncio.to_thread(issuer.key_store.make, family.alg, family.use, now, beside)


def _any(stored: Sequence[StoredKey]) -> StoredKey | None:
    """One that will be there for long; None where there is none."""
    return stored[-1] if stored else None


def _unresealed(beside: StoredKey | None) -> tuple[Change, ...]:
    """On which condition a key may be added that was made beside this one (docs/decisions/0014-master-key.md)."""
    return (Unresealed(beside.kid, beside.sealed),) if beside else ()
