"""The keys that APIs want their tokens encrypted to: registered ones opened once, published ones followed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from watchword.jose.jwe import EncryptionKey, encryption_key, encryption_key_set
from watchword.jose.jwt import claims
from watchword_server.flows.published import Place, Published
from watchword_server.ports import Fetcher, FetchFailed
from watchword_server.protocol.errors import TemporarilyUnavailable
from watchword_server.protocol.values import Api, Encryption

KEEP: Final = 24 * 3600
"""Seconds for which a key is used after it was last seen published."""


class NoEncryptionKey(TemporarilyUnavailable):
    """Who is to get it wants it encrypted, and there is no key to do it with: then there is nothing to get."""


class PublishedKey:
    """The key of the set at one URL. Times are in seconds since 1970, as the requests have them."""

    def __init__(self, fetcher: Fetcher, url: str) -> None:
        self.url: Final = url
        self._set = Published(fetcher, Place(url, "an API's encryption keys", _first, by_operator=True, keep=KEEP))

    @property
    def trouble(self) -> str:
        """Why the last fetch gave no key; empty when it did."""
        return self._set.trouble

    async def at(self, now: int) -> EncryptionKey:
        """The key to encrypt to. Raises NoEncryptionKey when none was seen for KEEP, or none came within PATIENCE."""
        key = await self._set.at(now)
        if key is None:
            raise NoEncryptionKey(f"no key to encrypt to: {self.trouble or 'not fetched yet'}", self._set.wait(now))
        return key

    def close(self) -> None:
        """Fetch no more."""
        self._set.close()


class ApiKeys:
    """Finds the key of an API. One for all requests of a process."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._registered: dict[str, tuple[Mapping[str, object], EncryptionKey]] = {}
        self._published: dict[str, PublishedKey] = {}

    async def key_of(self, api: Api, encryption: Encryption, now: int) -> EncryptionKey:
        """What the API's tokens are encrypted to at `now` (seconds). Raises NoEncryptionKey."""
        if encryption.jwk is not None:
            return await self._opened(api.audience, encryption.jwk)
        if encryption.jwks_uri is None:
            raise NoEncryptionKey("an encryption without a key")
        return await self.published(api.audience, encryption.jwks_uri).at(now)

    def published(self, audience: str, url: str) -> PublishedKey:
        """The follower of an API's key set; another URL is another one."""
        known = self._published.get(audience)
        if known is not None and known.url == url:
            return known
        if known is not None:
            known.close()
        found = self._published[audience] = PublishedKey(self._fetcher, url)
        return found

    def close(self) -> None:
        """Fetch no more."""
        for one in self._published.values():
            one.close()

    async def _opened(self, audience: str, jwk: Mapping[str, object]) -> EncryptionKey:
        known = self._registered.get(audience)
        if known is not None and known[0] == jwk:
            return known[1]
        key = await asyncio.to_thread(encryption_key, jwk)
        self._registered[audience] = jwk, key
        return key


def _first(body: bytes) -> EncryptionKey:
    """The first key of a set that can be used, in the set's order: so an API says which one it wants.

    On a thread, as all reading of keys here: the first one loads joserfc, and the checks of RSA keys take a while.
    """
    found = next(iter(encryption_key_set(claims(body)).values()), None)
    if found is None:
        raise FetchFailed("the key set holds no key that tokens can be encrypted to")
    return found
