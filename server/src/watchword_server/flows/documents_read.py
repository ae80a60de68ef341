"""Metadata documents of clients that were read lately: each fetched once for everybody who waits, and kept a while."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Final

from watchword_server.ports import Busy
from watchword_server.protocol import client_document
from watchword_server.protocol.values import Client

MOST: Final = 512
"""Documents that are at hand without being kept; those that were not asked for the longest make room."""
AT_ONCE: Final = 8
"""Documents that are fetched at once: half of what is fetched for all purposes."""


class Documents:
    """What was read lately; one for all requests of a process."""

    def __init__(self) -> None:
        self._read: dict[str, Client] = {}
        self._flights: dict[str, asyncio.Task[Client]] = {}

    def at_hand(self, client_id: str, now: int) -> Client | None:
        """A document that was read and is still good."""
        found = self._read.pop(client_id, None)
        if found is None or not is_fresh(found, now):
            return None
        self.put(found)
        return found

    def put(self, client: Client) -> None:
        """Have it at hand, as the last that was asked for."""
        self._read.pop(client.client_id, None)
        self._read[client.client_id] = client
        if len(self._read) > MOST:
            del self._read[next(iter(self._read))]

    async def read(self, address: str, fetch: Callable[[], Coroutine[None, None, Client]]) -> Client:
        """Fetch it, once for everybody who waits. Raises Busy, and what `fetch` raises."""
        flight = self._flights.get(address)
        if flight is None:
            if len(self._flights) >= AT_ONCE:
                raise Busy("too many metadata documents are being read")
            flight = self._flights[address] = asyncio.create_task(fetch())
            flight.add_done_callback(lambda done: self._landed(address, done))
        # shield: one that no longer waits must not cancel the fetch of all the others.
        return await asyncio.shield(flight)

    def _landed(self, address: str, flight: asyncio.Task[Client]) -> None:
        del self._flights[address]
        # Only what is in order is kept (§4.4); and asyncio complains of what nobody asked for.
        if flight.cancelled() or flight.exception() is not None:
            return
        self.put(flight.result())


def is_fresh(client: Client, now: int) -> bool:
    """Whether what is known of it is still what its document says, as far as that can be told without looking."""
    until = client.metadata.document_fresh_until
    # The second half is for a clock that was set back.
    return until is not None and now < until <= now + client_document.MOST
