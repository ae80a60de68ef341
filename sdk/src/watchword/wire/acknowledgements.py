"""Tell the issuer how far its log was applied here, so that it can say where a revocation is known."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from watchword.errors import CannotDecide
from watchword.wire.backoff import BackOff

EVERY: Final = 1.0
"""Seconds at least between two acknowledgements."""
SOON: Final = 0.25
"""Seconds within which news is acknowledged, at a moment by chance: first everybody reads, then everybody writes."""
WITHIN: Final = 5.0
"""Seconds for an answer."""
REST: Final = 300.0
"""Seconds for which an issuer that has no such endpoint is left alone."""

_log = logging.getLogger("watchword")


class Standing(msgspec.Struct, frozen=True):
    """What is said: this verifier has applied this log up to `seq`."""

    verifier: str
    log: str
    seq: int


class Acknowledgements:
    """Sends the newest standing whenever it was renewed: within SOON, but at most every EVERY, and never none.

    Runs on the background loop beside the stream, which waits for none of it. `post` sends JSON and returns the
    status, or raises CannotDecide; `standing` is asked at the moment of sending.
    """

    __slots__ = ("_news", "_post", "_standing", "last", "sent")

    def __init__(self, post: Callable[[bytes], Awaitable[int]], standing: Callable[[], Standing]) -> None:
        self.sent = 0
        """How many the issuer has taken."""
        self.last = 0
        """The newest `seq` that the issuer has taken."""
        self._post = post
        self._standing = standing
        self._news = asyncio.Event()

    def applied(self) -> None:
        """The log was applied further."""
        self._news.set()

    async def send_for_ever(self) -> None:
        """Send what is new; after a failure the newest again, with growing pauses."""
        pause, trouble = BackOff(), ""
        while True:
            await self._news.wait()
            await asyncio.sleep(random.uniform(0, SOON))  # noqa: S311  # spreads load, hides nothing
            self._news.clear()
            try:
                rest = await self._send()
            except CannotDecide as error:
                if str(error) != trouble:
                    _log.warning("acknowledging revocations: %s", error)
                trouble, rest = str(error), pause.next()
                self._news.set()
            else:
                trouble = ""
                pause.reset()
            await asyncio.sleep(rest)

    async def _send(self) -> float:
        """Say where we stand; seconds until the next time."""
        standing = self._standing()
        status = await self._post(msgspec.json.encode(standing))
        if status in (404, 405):
            self._news.set()
            return REST
        if status != 204:
            raise CannotDecide(f"the issuer answered {status}")
        self.sent += 1
        self.last = standing.seq
        return EVERY
