"""The master key: which keys are sealed under which, and how another one takes its place while servers run.

A server that reads keys, makes one and saves it may be overtaken by all of this. What it saves is then refused: it goes
by the condition that a key which it has read, and could open, is still sealed as it was (`Unresealed`). So once every
key is sealed under the newest master key, no other can come that is not, and the old one may go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from watchword_server.changes import Change, RetireKey, StoredKey, Unresealed
from watchword_server.flows import client_secrets, keys
from watchword_server.flows.administration import Operator, Refused
from watchword_server.flows.issuer import Issuer, audit, revoke
from watchword_server.ports import Conflict, KeyStoreError, MasterKeySource
from watchword_server.revocation import deaths

LOOKS: Final = 20
"""How often to look for keys that others have added or changed meanwhile. The second look usually finds none."""


@dataclass(frozen=True, slots=True)
class Seals:
    """Under what the signing keys are sealed. `older` are those that the newest master key does not open."""

    source: MasterKeySource
    keys: Sequence[StoredKey]
    older: Sequence[StoredKey]


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation did. `before` is the source as it was; `resealed` are the keys that it sealed anew."""

    before: MasterKeySource
    after: MasterKeySource
    resealed: Sequence[str]
    keys: int
    resumed: bool


async def seals(issuer: Issuer) -> Seals:
    """Look at every key's seal. Raises KeyStoreError where one of them cannot be opened."""
    stored = await issuer.stores.keys.all()
    try:
        return await _seals(issuer, stored)
    except KeyStoreError:
        again = await issuer.stores.keys.all()
        if again == stored:
            raise
        return await _seals(issuer, again)  # another process has sealed them anew, and forgotten the key before


async def _seals(issuer: Issuer, stored: Sequence[StoredKey]) -> Seals:
    source = await asyncio.to_thread(issuer.master_keys.source)
    older = [key for key in stored if await asyncio.to_thread(issuer.key_store.reseal, key) is not None]
    return Seals(source, stored, older)


async def rotate(issuer: Issuer, by: Operator, now: int) -> Rotated:
    """Seal every key under the newest master key: a new one, where Watchword makes it; then the old ones go.

    Killed anywhere, all keys still open, and it is to be run again. Raises KeyStoreError, Refused or Unavailable.
    """
    before = (await seals(issuer)).source  # nothing is begun where a key does not open, or a secret
    await client_secrets.must_open(issuer)
    renewal = await asyncio.to_thread(issuer.master_keys.renew)
    try:
        resealed = await _reseal(issuer, by, now)
        source = await asyncio.to_thread(issuer.master_keys.source)
        row = audit(by.caller, now, by.actor, "master_key.rotate", target=f"master_key:{source.ids[0]}")
        await issuer.stores.journal.save(row)
        await asyncio.to_thread(renewal.complete)
    finally:
        renewal.close()
    after = await seals(issuer)
    return Rotated(before, after.source, resealed, len(after.keys), renewal.resumed)


async def revoke_lost(issuer: Issuer, by: Operator, now: int) -> Sequence[str]:
    """After a master key was lost for good: throw away every key that no other opens, and make new ones; their `kid`.

    Raises KeyStoreError where there is no master key at all: what cannot be asked now is not lost.
    """
    await asyncio.to_thread(issuer.master_keys.source)
    lost = [key for key in await issuer.stores.keys.all() if not await _opens(issuer, key)]
    if lost:
        await issuer.stores.journal.save(*(change for key in lost for change in _end(key, by, now)))
        await keys.prepare(issuer, by, now)
    await client_secrets.forget_lost(issuer, by, now)
    return [key.kid for key in lost]


async def _opens(issuer: Issuer, key: StoredKey) -> bool:
    try:
        await asyncio.to_thread(issuer.key_store.open, key)
    except KeyStoreError:
        return False
    return True


def _end(key: StoredKey, by: Operator, now: int) -> tuple[Change, ...]:
    """Unless it was sealed under another master key meanwhile."""
    row = audit(by.caller, now, by.actor, "key.revoke", target=f"key:{key.kid}", lost="its master key")
    return (
        Unresealed(key.kid, key.sealed),
        RetireKey(key.kid, now, revoked=True),
        revoke(deaths.key(key.kid, now)),
        row,
    )


async def _reseal(issuer: Issuer, by: Operator, now: int) -> list[str]:
    """Until a look at all of them finds none that is sealed under an older master key."""
    resealed: list[str] = []
    for _ in range(LOOKS):
        try:
            found = await keys.reseal(issuer, by, now)
            # After the keys: a secret that was sealed before them is there by now, or is never saved.
            secrets = await client_secrets.reseal(issuer, by, now)
        except Conflict:  # somebody else changed keys or secrets at the same moment
            continue
        if not found and not secrets:
            return resealed
        resealed += found
    raise Refused("others change keys all the time; run it again, and until then keep the old master key")
