"""What is to be seen of keys: in the store, in what signs, in what is published, in the trail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from tests.server.flows.house import NOW, House
from tests.server.key_ages import LONG
from watchword.jose.jwk import key_set
from watchword.jose.jws import read_header, segments
from watchword.jose.kinds import Kind
from watchword_server.changes import StoredKey
from watchword_server.flows import keys
from watchword_server.flows.issuer import Issuer
from watchword_server.flows.key_life import ACCESS, kin

AHEAD, EVERY = 3600, 90 * 24 * 3600
"""Seconds: the settings as they come."""
ALGS = ("ES256", "RS256", "EdDSA", "PS256")
BORN = NOW - LONG
"""When the keys of the house were made and called."""
KEY = StoredKey("k", ACCESS, "ES256", "{}", b"\x01", 100)
"""A key that waits, whoever it is."""


async def stored(house: House, use: str = ACCESS, alg: str = "ES256") -> tuple[StoredKey, ...]:
    """Keys of one kind, in the order in which they sign."""
    found = kin(await house.issuer.stores.keys.all(), use, alg).keys
    return tuple(sorted(found, key=lambda key: (key.active_at is None, key.active_at)))


async def signer(issuer: Issuer, now: int, alg: str | None = None) -> str:
    """The `kid` that signs access tokens at a time."""
    ring = await issuer.keyring.at(await issuer.stores.log.head(), now)
    header, *_ = segments(ring.signs(alg)(b"{}"), 4096)
    return read_header(header, ring.trusted, (Kind.ACCESS_TOKEN,))[1].kid


async def published(issuer: Issuer, now: int) -> set[str]:
    """What the JWKS says at a time."""
    ring = await issuer.keyring.at(await issuer.stores.log.head(), now)
    found = set(key_set(msgspec.json.decode(ring.jwks)))
    assert found == set(ring.trusted)
    return found


async def chosen(house: House, alg: str, now: int = NOW) -> None:
    """The first time that somebody wants this algorithm."""
    await house.issuer.stores.journal.save(*await keys.begin(house.issuer, alg, now))


def rows(house: House, action: str) -> int:
    """How many rows of the audit trail tell of this."""
    (count,) = house.rows("SELECT count(*) FROM audit WHERE action = ?", action)[0]
    return int(count)


def sound(found: Sequence[StoredKey]) -> None:
    """One key of each kind signs or will, another waits, and those that were called take turns without a gap."""
    kinds = Counter((key.use, key.alg, key.active_at is None) for key in found if key.retired_at is None)
    assert set(kinds.values()) == {1}, kinds
    assert len(kinds) == 2 * len({(key.use, key.alg) for key in found})
