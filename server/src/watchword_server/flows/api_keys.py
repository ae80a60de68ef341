"""The keys that APIs want their tokens encrypted to: registered ones opened once, published ones followed.

A set that is in use is renewed in the background, so that an API's hung server delays no token. Only the first token
of a set, and the first one after a long pause, waits for it, a little.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from watchword.errors import WatchwordError
from watchword.jose.jwe import EncryptionKey, encryption_key, encryption_key_set
from watchword.jose.jwt import claims
from watchword_server.ports import Fetcher, FetchFailed
from watchword_server.protocol.errors import TemporarilyUnavailable
from watchword_server.protocol.values import Api, Encryption

EVERY: Final = 300
"""Seconds after which a key set is looked at again, at most; fewer where its server says `max-age`."""
SOONEST: Final = 5
"""Seconds before which nothing that `max-age` says causes another look."""
COOL_DOWN: Final = 10
"""Seconds between two looks while there is no key, counted from their starts: twice what a fetch may take."""
AGAIN: Final = 30
"""Seconds between two looks while they fail and a key is at hand."""
LONG: Final = 300
"""Seconds after which a look that is due but was never taken, since nobody asked for a token, is waited for."""
KEEP: Final = 24 * 3600
"""Seconds for which a key is used after it was last seen published."""
PATIENCE: Final = 2.0
"""Seconds for which a token waits for the first key."""

logger = logging.getLogger(__name__)


class NoEncryptionKey(TemporarilyUnavailable):
    """The API wants its tokens encrypted, and there is no key to do it with: then there is no token."""


class PublishedKey:
    """The key of the set at one URL. Times are in seconds since 1970, as the requests have them."""

    def __init__(self, fetcher: Fetcher, url: str) -> None:
        self.url: Final = url
        self.trouble = ""
        """Why the last fetch gave no key; empty when it did."""
        self._fetcher = fetcher
        self._key: EncryptionKey | None = None
        self._seen = 0
        self._looked = self._due = 0
        """When the set was last looked at, and when it is to be looked at again; between them nothing does."""
        self._overslept = False
        self._flight: asyncio.Task[None] | None = None

    async def at(self, now: int) -> EncryptionKey:
        """The key to encrypt to. Raises NoEncryptionKey when none was seen for KEEP, or none came within PATIENCE."""
        flight = self._renewed(now)
        if flight is not None and (self._overslept or self._known(now) is None):
            # wait, not wait_for: one that no longer waits must not cancel the fetch of all the others.
            await asyncio.wait([flight], timeout=PATIENCE)
        key = self._known(now)
        if key is None:
            raise NoEncryptionKey(f"no key to encrypt to: {self.trouble or 'not fetched yet'}", max(1, self._due - now))
        return key

    def close(self) -> None:
        """Fetch no more."""
        if self._flight is not None:
            self._flight.cancel()

    def _known(self, now: int) -> EncryptionKey | None:
        return self._key if now - self._seen <= KEEP else None

    def _renewed(self, now: int) -> asyncio.Task[None] | None:
        """The fetch that is under way, or one that is due now."""
        # Before the last look: the clock was set back, and would else be waited for.
        if self._flight is None and not self._looked <= now < self._due:
            self._overslept = now - self._due > LONG
            self._looked, self._due = now, now + (COOL_DOWN if self._known(now) is None else AGAIN)
            self._flight = asyncio.create_task(self._look(now))
            self._flight.add_done_callback(self._landed)
        return self._flight

    def _landed(self, flight: asyncio.Task[None]) -> None:
        self._flight = None
        if not flight.cancelled() and (error := flight.exception()) is not None:
            logger.error("reading an API's encryption keys failed unexpectedly", exc_info=error)

    async def _look(self, now: int) -> None:
        try:
            found = await self._fetcher.get(self.url, by_operator=True)
            key = await asyncio.to_thread(_first, found.body)
        except (FetchFailed, WatchwordError) as error:
            if str(error) != self.trouble:
                logger.warning("cannot read an API's encryption keys", extra={"reason": str(error)})
            self.trouble = str(error)
            return
        fresh = EVERY if found.fresh_for is None else min(max(found.fresh_for, SOONEST), EVERY)
        self.trouble, self._key, self._seen, self._due = "", key, now, now + int(fresh)


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
