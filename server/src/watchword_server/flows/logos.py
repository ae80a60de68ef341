"""Logos of clients: fetched once in a while through the guarded fetcher, and shown from the copy or not at all."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Final

import msgspec

from watchword_server.ports import Fetcher, FetchFailed
from watchword_server.protocol.values import Client

LIMIT: Final = 64 * 1024
"""Bytes of the largest logo."""
KEEP: Final = 24 * 3600
"""Seconds after which a logo that is asked for is fetched again."""
AGAIN: Final = 600
"""Seconds between two looks for one that was not to be had."""
PATIENCE: Final = 2.0
"""Seconds for which a browser that asks for it waits."""
MOST: Final = 256
"""Clients whose logos are at hand: 16 MiB at most. Those that were not asked for the longest make room."""
AT_ONCE: Final = 4
"""Fetches under way; whoever comes then is shown initials."""

# fmt: off
KINDS: Final = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"),             "image/png"),
    (re.compile(rb"\xff\xd8\xff"),                  "image/jpeg"),
    (re.compile(rb"GIF8[79]a"),                     "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL),       "image/webp"),
)
# fmt: on
"""What a browser shows, and runs nothing of; by how the content begins, whatever its server says it is."""

logger = logging.getLogger(__name__)


class Logo(msgspec.Struct, frozen=True):
    """A copy. `kind` is its media type."""

    content: bytes
    kind: str


class _Seen(msgspec.Struct, frozen=True):
    """What a look at this time (seconds) has found."""

    uri: str
    at: int
    logo: Logo | None = None

    def due(self, uri: str) -> int:
        """When the next look may be. Another address waits too: it must not be a way to have more fetched."""
        return self.at + (KEEP if self.logo is not None and uri == self.uri else AGAIN)


class Logos:
    """The copies of one process. Times are seconds since 1970, as the requests have them."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._seen: dict[str, _Seen] = {}
        self._flights: dict[str, asyncio.Task[None]] = {}

    def is_there(self, client: Client, now: int) -> bool:
        """Whether a page can show the logo; where it cannot, it is looked for, and the next page may."""
        self.look(client, now)
        return self._known(client) is not None

    async def of(self, client: Client, now: int) -> Logo | None:
        """The logo, after waiting a little for it where it is being fetched."""
        self.look(client, now)
        flight = self._flights.get(client.client_id)
        if flight is not None and self._known(client) is None:
            # wait, not wait_for: who no longer waits must not cancel the fetch of the others.
            await asyncio.wait([flight], timeout=PATIENCE)
        return self._known(client)

    def look(self, client: Client, now: int) -> None:
        """Begin to fetch it, where that is due."""
        uri, client_id = client.metadata.logo_uri, client.client_id
        if uri is None or client.disabled_at is not None or client_id in self._flights:
            return
        seen = self._seen.get(client_id)
        if seen is not None and seen.at <= now < seen.due(uri):  # before the last look: the clock was set back
            return
        if len(self._flights) < AT_ONCE:
            flight = self._flights[client_id] = asyncio.create_task(self._fetch(client, uri, now))
            flight.add_done_callback(lambda done: self._landed(client_id, done))

    def close(self) -> None:
        """Fetch no more."""
        for flight in self._flights.values():
            flight.cancel()

    def _known(self, client: Client) -> Logo | None:
        seen = self._seen.get(client.client_id)
        if seen is None or seen.uri != client.metadata.logo_uri or client.disabled_at is not None:
            return None
        self._seen[client.client_id] = self._seen.pop(client.client_id)
        return seen.logo

    async def _fetch(self, client: Client, uri: str, now: int) -> None:
        by_operator = not client.metadata.registered_itself
        try:
            found = await self._fetcher.get(uri, by_operator=by_operator, limit=LIMIT)
        except FetchFailed as error:
            logger.info("no logo", extra={"client_id": client.client_id, "reason": str(error)})
            self._keep(client.client_id, _Seen(uri, now))
        else:
            self._keep(client.client_id, _Seen(uri, now, pictured(found.body)))

    def _keep(self, client_id: str, seen: _Seen) -> None:
        self._seen.pop(client_id, None)
        self._seen[client_id] = seen
        if len(self._seen) > MOST:
            del self._seen[next(iter(self._seen))]

    def _landed(self, client_id: str, flight: asyncio.Task[None]) -> None:
        del self._flights[client_id]
        if not flight.cancelled() and (error := flight.exception()) is not None:
            logger.error("fetching a logo failed unexpectedly", exc_info=error)


def pictured(content: bytes) -> Logo | None:
    """The picture that this is; None for anything else, such as SVG, which can run scripts."""
    return next((Logo(content, kind) for form, kind in KINDS if form.match(content)), None)
