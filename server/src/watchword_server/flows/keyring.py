"""The signing keys in use: read from the store, opened once, renewed when the store says that keys changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from watchword import log
from watchword.jose import jws
from watchword.jose.jwk import PublicKey, SigningKey, public_key
from watchword_server.changes import Add, Change, StoredKey
from watchword_server.ports import Head, Keys, KeyStore
from watchword_server.protocol.access_token import TYPE
from watchword_server.revocation.deaths import SLACK

ACCESS = "access"
FEED = "feed"

Sign = Callable[[bytes], str]


@dataclass(frozen=True, slots=True)
class Ring:
    """Every key at one state of the store. The two sets of public keys have none in common."""

    state: int
    access_kid: str
    sign_access: Sign
    sign_feed: Mapping[type[log.Message], Sign]
    trusted: Mapping[str, PublicKey]
    jwks: bytes
    feed_jwks: bytes


class NoSigningKey(Exception):
    """The store holds no key to sign with: the deployment was never started, or its last key was revoked."""


class KeyRing:
    """Hands out the Ring that belongs to a Head."""

    def __init__(self, keys: Keys, store: KeyStore, algorithm: str) -> None:
        self._keys = keys
        self._store = store
        self._algorithm = algorithm
        self._opened: dict[str, SigningKey] = {}
        self._ring: Ring | None = None

    async def at(self, head: Head, now: int) -> Ring:
        """The keys as of `head`; reads the store only when `head.state` is another than last time."""
        ring = self.known(head)
        if ring is not None:
            return ring
        stored = [key for key in await self._keys.all() if _published(key, now, head.lifetime)]
        ring = self._ring = self._build(stored, head.state)
        return ring

    def known(self, head: Head) -> Ring | None:
        """The keys as of `head` if they were read already."""
        ring = self._ring
        return ring if ring is not None and ring.state == head.state else None

    def first_keys(self, stored: Sequence[StoredKey], now: int) -> Sequence[Change]:
        """What to add so that there is one key for tokens and another for the feed."""
        wanted = ((ACCESS, self._algorithm), (FEED, "ES256"))
        return [
            Add(self._store.make(alg, use, now))
            for use, alg in wanted
            if not any(key.use == use and key.alg == alg and key.retired_at is None for key in stored)
        ]

    def _build(self, stored: Sequence[StoredKey], state: int) -> Ring:
        access = self._current(stored, ACCESS, self._algorithm)
        feed = self._current(stored, FEED, "ES256")
        return Ring(
            state=state,
            access_kid=access.kid,
            sign_access=jws.signer(access, TYPE),
            sign_feed={kind: jws.signer(feed, typ) for typ, kind in log.TYPES.items()},
            trusted={key.kid: public_key(msgspec.json.decode(key.public)) for key in stored if key.use == ACCESS},
            jwks=_jwks(stored, ACCESS),
            feed_jwks=_jwks(stored, FEED),
        )

    def _current(self, stored: Sequence[StoredKey], use: str, alg: str) -> SigningKey:
        usable = [key for key in stored if key.use == use and key.alg == alg and key.retired_at is None]
        if not usable:
            raise NoSigningKey(f"no {alg} key for {use}; start the server once, or run `watchword key rotate`")
        newest = usable[-1]
        if newest.kid not in self._opened:
            self._opened[newest.kid] = self._store.open(newest)
        return self._opened[newest.kid]


def _published(key: StoredKey, now: int, lifetime: int) -> bool:
    """A retired key stays published until the last token it signed has expired."""
    if key.revoked_at is not None:
        return False
    return key.retired_at is None or now < key.retired_at + lifetime + SLACK


def _jwks(stored: Sequence[StoredKey], use: str) -> bytes:
    """A JWK Set (RFC 7517 §5) of public members only."""
    return msgspec.json.encode({"keys": [msgspec.Raw(key.public.encode()) for key in stored if key.use == use]})
