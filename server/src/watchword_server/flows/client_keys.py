"""The public keys of clients: what they sign is verified with them, and what is only for them is encrypted to them.

They are registered with the client (`jwks`) or published by it (`jwks_uri`), never taken from what it sends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from watchword.errors import InvalidKey
from watchword.jose.jwe import EncryptionKey, encryption_key
from watchword.jose.jwk import PublicKey, key_set, public_key, thumbprint
from watchword.jose.jwt import claims
from watchword.jose.members import PRIVATE, read_kid
from watchword_server.changes import Change
from watchword_server.flows.api_keys import NoEncryptionKey
from watchword_server.flows.issuer import revoke
from watchword_server.flows.published import Place, Published
from watchword_server.ports import Fetcher
from watchword_server.protocol.registration import ALGORITHMS, MEMBERS
from watchword_server.protocol.values import Client, ClientMetadata
from watchword_server.revocation import deaths

KEEP: Final = 3600
"""Seconds for which a key is believed after it was last seen published: a client may have withdrawn it meanwhile."""
MOST_KEYS: Final = 32
"""Members of a set that are looked at."""
MOST_CLIENTS: Final = 512
"""Clients whose keys are at hand; those that were not asked for the longest make room."""

V = TypeVar("V")
Jwk = Mapping[str, object]


class KeySet:
    """The public keys of one client, opened when they are asked for."""

    def __init__(self, document: Mapping[str, object]) -> None:
        members = document.get("keys")
        if not isinstance(members, list):
            raise InvalidKey("not a JWK set")
        self._members = [_public(jwk) for jwk in members[:MOST_KEYS] if isinstance(jwk, dict) and _is_public(jwk)]
        self._verifying: dict[str, Mapping[str, PublicKey]] = {}
        self._encrypting: dict[str, EncryptionKey | None] = {}
        self._signing: Mapping[str, PublicKey] | None = None

    async def signing(self) -> Mapping[str, PublicKey]:
        """All keys that sign by one algorithm, which each says itself, by `kid`."""
        if self._signing is None:
            self._signing = await asyncio.to_thread(key_set, {"keys": self._members})
        return self._signing

    async def verifying(self, alg: str) -> Mapping[str, PublicKey]:
        """The keys that verify this algorithm, by `kid`. One that is alone is found without a `kid` as well (OpenID
        Connect Core §10.1). On a thread, since the checks of RSA keys take a while.
        """
        if alg not in ALGORITHMS:
            return {}
        if alg not in self._verifying:
            self._verifying[alg] = await asyncio.to_thread(_verifying, self._members, alg)
        return self._verifying[alg]

    async def encrypting(self, alg: str) -> EncryptionKey | None:
        """The first key that takes this algorithm, before all others one that is for encryption alone."""
        if alg not in self._encrypting:
            found = await asyncio.to_thread(_encrypting, self._members, alg)
            if found is None:
                return None
            self._encrypting[alg] = found
        return self._encrypting[alg]


class ClientKeys:
    """Finds the keys of a client. One for all requests of a process."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._registered: dict[str, tuple[Mapping[str, object], KeySet]] = {}
        self._published: dict[str, Published[KeySet]] = {}

    async def verification(self, client: Client, alg: str, kid: str, now: int) -> Mapping[str, PublicKey]:
        """The keys with which the client signs by this algorithm, by `kid`; none where none can be had.

        A `kid` that is not among those which are known is looked for once more, since the client may have new keys.
        """
        found = await self._at(client, now)
        keys = {} if found is None else await found.verifying(alg)
        if kid in keys or client.metadata.jwks is not None or client.metadata.jwks_uri is None:
            return keys
        newer = await self._followed(client, client.metadata.jwks_uri).anew(now)
        return keys if newer is None or newer is found else await newer.verifying(alg)

    async def signing(self, client: Client, now: int) -> Mapping[str, PublicKey] | None:
        """What the client signs its own tokens with, by `kid`; None where its keys cannot be read."""
        found = await self._at(client, now)
        return None if found is None else await found.signing()

    async def encryption(self, client: Client, alg: str, now: int) -> EncryptionKey:
        """The key that something for this client is encrypted to. Raises NoEncryptionKey."""
        found = await self._at(client, now)
        key = None if found is None else await found.encrypting(alg)
        if key is None:
            raise NoEncryptionKey(f"client {client.client_id} has no key to encrypt to by {alg}")
        return key

    def close(self) -> None:
        """Fetch no more."""
        for one in self._published.values():
            one.close()

    async def _at(self, client: Client, now: int) -> KeySet | None:
        metadata = client.metadata
        if metadata.jwks is not None:
            return self._opened(client.client_id, metadata.jwks)
        if metadata.jwks_uri is None:
            return None
        return await self._followed(client, metadata.jwks_uri).at(now)

    def _opened(self, client_id: str, jwks: Mapping[str, object]) -> KeySet | None:
        known = self._registered.pop(client_id, None)
        if known is None or known[0] != jwks:
            try:
                known = jwks, KeySet(jwks)
            except InvalidKey:
                return None
        _keep(self._registered, client_id, known)
        return known[1]

    def _followed(self, client: Client, url: str) -> Published[KeySet]:
        by_operator = not client.metadata.registered_itself
        known = self._published.pop(client.client_id, None)
        if known is None or (known.place.url, known.place.by_operator) != (url, by_operator):
            if known is not None:
                known.close()
            known = Published(self._fetcher, Place(url, "a client's keys", _read, by_operator, KEEP))
        for evicted in _keep(self._published, client.client_id, known):
            evicted.close()
        return known


def deaths_by_removal(before: Client, after: Client, now: int) -> tuple[Change, ...]:
    """What has to die with the keys that a client signed its own tokens with, and has no more."""
    if not before.metadata.signs_tokens:
        return ()
    left = {name_of(one) for one in registered(after.metadata)}
    gone = [kid for kid in map(name_of, registered(before.metadata)) if kid not in left]
    return tuple(death(before.client_id, kid, now) for kid in gone)


def have_other_keys(before: Client, after: Client) -> bool:
    """Whether a key has another's name now, or the keys lay where they lie no more."""
    was = {name_of(one): thumbprint(one) for one in registered(before.metadata)}
    swapped = any(was.get(name_of(one), thumbprint(one)) != thumbprint(one) for one in registered(after.metadata))
    return swapped or before.metadata.jwks_uri not in (None, after.metadata.jwks_uri)


def registered(metadata: ClientMetadata) -> Sequence[Jwk]:
    """The keys that a client has registered by value."""
    keys = (metadata.jwks or {}).get("keys")
    return [one for one in keys if isinstance(one, dict)] if isinstance(keys, list) else []


def name_of(jwk: Jwk) -> str:
    """Its `kid`, or its thumbprint where it has none: as `public_key` names it."""
    return read_kid(jwk, thumbprint(jwk))


def death(client_id: str, kid: str, now: int) -> Change:
    """What kills all that a client has signed with a key for an API, whatever it claims."""
    return revoke(deaths.key(f"{client_id}/{kid}", now))


def _keep(store: dict[str, V], name: str, value: V) -> list[V]:
    """Put it last, and take out the first where there are too many."""
    store[name] = value
    return [store.pop(next(iter(store)))] if len(store) > MOST_CLIENTS else []


def _read(body: bytes) -> KeySet:
    return KeySet(claims(body))


def _is_public(jwk: Mapping[str, object]) -> bool:
    # A private key that was published is everybody's: what it signed says nothing.
    return PRIVATE.isdisjoint(jwk)


def _public(jwk: Mapping[str, object]) -> Mapping[str, object]:
    return {name: jwk[name] for name in MEMBERS if name in jwk}


def _verifying(members: list[Mapping[str, object]], alg: str) -> Mapping[str, PublicKey]:
    keys: dict[str, PublicKey] = {}
    for jwk in members:
        try:
            key = public_key(jwk, alg)
        except InvalidKey:
            continue
        keys.setdefault(key.kid, key)
    return keys if len(keys) != 1 else {**keys, "": next(iter(keys.values()))}


def _encrypting(members: list[Mapping[str, object]], alg: str) -> EncryptionKey | None:
    for jwk in sorted(members, key=lambda one: one.get("use") != "enc"):
        try:
            return encryption_key(jwk, alg)
        except InvalidKey:
            continue
    return None
