"""The signing keys in use: read from the store, opened once, renewed when the store or the time says so."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from watchword import log
from watchword.jose import jws
from watchword.jose.jwk import PublicKey, public_key
from watchword.jose.jws import Signer
from watchword.jose.kinds import Kind
from watchword_server.changes import StoredKey
from watchword_server.flows.key_life import ACCESS, FEED, able, able_at_once, next_turn
from watchword_server.ports import Head, Keys, KeyStore, KeyStoreError

FEED_ALG = "ES256"
AGAIN = 5
"""Seconds after which a key that would not open is tried again."""

Sign = Callable[[bytes], str]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ring:
    """Every key at one state of the store. The two sets of public keys have none in common."""

    state: int
    until: float
    """In seconds: from then on another key signs, without any change of state."""
    algorithm: str
    """What access tokens are signed with where nobody chose."""
    sign_access: Mapping[str, Sign]
    """By algorithm."""
    sign_others: Mapping[tuple[Kind, str], Sign]
    """What clients read: by kind and algorithm."""
    sign_feed: Mapping[type[log.Message], Sign]
    trusted: Mapping[str, PublicKey]
    jwks: bytes
    feed_jwks: bytes

    def signs(self, alg: str | None) -> Sign:
        """Signs an access token by this algorithm; by the deployment's own where none is chosen, or none signs yet."""
        return self.sign_access[self.now(alg)]

    def now(self, alg: str | None) -> str:
        """The algorithm by which an access token is signed now, where this one was chosen."""
        return alg if alg is not None and alg in self.sign_access else self.algorithm

    def signs_for(self, kind: Kind, alg: str) -> Sign:
        """Signs an ID token (or userinfo, which is typed alike) or a logout token, by this algorithm and no other.

        It may be a key that is only announced: clients look for a `kid` that they do not know, and keep no set of keys
        that an algorithm was missing from. Raises NoSigningKey.
        """
        sign = self.sign_others.get((kind, alg))
        if sign is None:
            raise NoSigningKey(f"no {alg} key signs here; the first client that chooses {alg} makes one")
        return sign


class NoSigningKey(Exception):
    """The store holds no key to sign with: the deployment was never started, or its last key was revoked."""


class KeyRing:
    """Hands out the Ring that belongs to a Head and a time."""

    def __init__(self, keys: Keys, store: KeyStore, algorithm: str) -> None:
        self._keys = keys
        self._store = store
        self._algorithm = algorithm
        self._opened: dict[str, Signer] = {}
        self._ring: Ring | None = None
        self._reading = asyncio.Lock()

    async def at(self, head: Head, now: int) -> Ring:
        """The keys as of `head` at `now` (seconds); reads the store only when one of them calls for it."""
        ring = self.known(head, now)
        if ring is not None:
            return ring
        async with self._reading:  # whoever waits here finds what the first has read
            ring = self.known(head, now)
            if ring is None:
                ring = self._ring = await self._read(head.state, now)
        return ring

    def known(self, head: Head, now: int) -> Ring | None:
        """The keys as of `head` at `now` if they were read already."""
        ring = self._ring
        return ring if ring is not None and ring.state == head.state and now < ring.until else None

    async def open_ahead(self, stored: Sequence[StoredKey]) -> None:
        """Open what may sign next, before it has to. Raises KeyStoreError."""
        for key in stored:
            if key.retired_at is None:
                await self._open(key)

    async def _read(self, state: int, now: int) -> Ring:
        stored = await self._keys.all()
        access, feed = able(stored, ACCESS, now), able(stored, FEED, now).get(FEED_ALG)
        if not access:
            raise NoSigningKey("no key signs access tokens; start the server once, and it makes one")
        if feed is None:
            raise NoSigningKey("no key signs the feed; start the server once, and it makes one")
        signers = {alg: await self._open(key) for alg, key in access.items()}
        feed_signer = await self._open(feed)
        others = await self._open_others(able_at_once(stored, ACCESS, now))
        self._opened = {key.kid: self._opened[key.kid] for key in stored if key.kid in self._opened}
        turn = next_turn(stored, now)
        until = float("inf") if turn is None else turn
        return Ring(
            state=state,
            until=until if None not in others.values() else min(until, now + AGAIN),
            algorithm=self._chosen(access),
            sign_access={alg: jws.signer(key, Kind.ACCESS_TOKEN) for alg, key in signers.items()},
            sign_others=_for_clients(others),
            sign_feed={message: jws.signer(feed_signer, kind) for kind, message in log.TYPES.items()},
            trusted={key.kid: public_key(msgspec.json.decode(key.public)) for key in stored if key.use == ACCESS},
            jwks=_jwks(stored, ACCESS),
            feed_jwks=_jwks(stored, FEED),
        )

    async def _open_others(self, able: Mapping[str, StoredKey]) -> Mapping[str, Signer | None]:
        """By algorithm; None for a key that does not open now, since access tokens must not wait for that."""
        found: dict[str, Signer | None] = {}
        for alg, key in able.items():
            try:
                found[alg] = await self._open(key)
            except KeyStoreError as error:
                logger.warning("a key for ID tokens does not open", extra={"kid": key.kid, "reason": str(error)})
                found[alg] = None
        return found

    def _chosen(self, access: Mapping[str, StoredKey]) -> str:
        """The deployment's own algorithm. While its first key is only announced, the one before goes on."""
        if self._algorithm in access:
            return self._algorithm
        return max(access, key=lambda alg: access[alg].active_at or 0)

    async def _open(self, key: StoredKey) -> Signer:
        """On a thread: an RSA key takes a tenth of a second, and a command that has the master key takes its time."""
        opened = self._opened.get(key.kid)
        if opened is None:
            try:
                opened = await asyncio.to_thread(self._store.open, key)
            except KeyStoreError:
                opened = await self._open_anew(key)
            self._opened[key.kid] = opened
        return opened

    async def _open_anew(self, key: StoredKey) -> Signer:
        """Since it was read, it may have been sealed under another master key, and the one before be gone."""
        found = next((one for one in await self._keys.all() if one.kid == key.kid), key)
        return await asyncio.to_thread(self._store.open, found)


def _for_clients(keys: Mapping[str, Signer | None]) -> dict[tuple[Kind, str], Sign]:
    signs: dict[tuple[Kind, str], Sign] = {}
    for alg, key in keys.items():
        if key is not None:
            signs[Kind.ID_TOKEN, alg] = jws.signer(key, Kind.ID_TOKEN)
            signs[Kind.LOGOUT_TOKEN, alg] = jws.signer(key, Kind.LOGOUT_TOKEN)
    return signs


def _jwks(stored: Sequence[StoredKey], use: str) -> bytes:
    """A JWK Set (RFC 7517 §5) of public members only."""
    return msgspec.json.encode({"keys": [msgspec.Raw(key.public.encode()) for key in stored if key.use == use]})
