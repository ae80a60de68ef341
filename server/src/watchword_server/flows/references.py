"""Request objects by reference: what lies at a registered `request_uri` (OpenID Connect Core §6.2)."""

from __future__ import annotations

import asyncio

from watchword_server.ports import Fetcher
from watchword_server.protocol.values import Client


class References:
    """Fetches them; one for all requests of a process.

    Nothing is kept, since the client may write another one at any time. But however many people are sent here with the
    same reference, it is fetched once at a time, so that nobody can make us hurry to somebody.
    """

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._flights: dict[tuple[str, str], asyncio.Task[bytes]] = {}

    async def document(self, client: Client, url: str, limit: int) -> bytes:
        """What lies there, at most `limit` bytes. Raises FetchFailed."""
        key = client.client_id, url
        flight = self._flights.get(key)
        if flight is None:
            by_operator = not client.metadata.registered_itself
            flight = self._flights[key] = asyncio.create_task(self._fetched(url, by_operator, limit))
            flight.add_done_callback(lambda done: self._landed(key, done))
        # shield: one that no longer waits must not cancel the fetch of all the others.
        return await asyncio.shield(flight)

    async def _fetched(self, url: str, by_operator: bool, limit: int) -> bytes:
        return (await self._fetcher.get(url, by_operator=by_operator, limit=limit)).body

    def _landed(self, key: tuple[str, str], flight: asyncio.Task[bytes]) -> None:
        self._flights.pop(key, None)
        if not flight.cancelled():
            flight.exception()  # asked for here, or asyncio complains where everybody had hung up
