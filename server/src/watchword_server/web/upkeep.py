"""What runs beside the requests: following the log, rotating keys, forgetting what has expired, sending messages."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final

from watchword_server.flows import keys
from watchword_server.flows.issuer import Issuer
from watchword_server.flows.keyring import NoSigningKey
from watchword_server.flows.outbox import Outgoing
from watchword_server.flows.purge import purge
from watchword_server.ports import KeyStoreError, Mailer, Moved, Unavailable

PURGE: Final = 60.0
"""Seconds between two purges."""
TENDING: Final = 60.0
"""Seconds between two looks at the keys, at most."""
SENDING: Final = 5.0
"""Seconds between two looks into the outbox, if no commit calls for one."""
RESTART: Final = 1.0
"""Seconds after which a task that died is started again."""
PATIENCE: Final = 2.0
"""Seconds in which the database must answer to be called ready."""
LAG: Final = 3.0
"""Seconds since this process was last known to be at the end of the log; beyond, it is not ready."""

logger = logging.getLogger(__name__)


class Upkeep:
    """Keeps the background tasks alive while it is entered, and knows which of them is down."""

    def __init__(self, issuer: Issuer, mailer: Mailer, clock: Callable[[], float]) -> None:
        self._issuer = issuer
        self._mailer = mailer
        self._clock = clock
        self._outbox = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._down: set[str] = set()

    def news(self) -> None:
        """Something was committed, here or by another process."""
        self._issuer.feed.nudge()
        self._outbox.set()

    async def ailment(self) -> str | None:
        """Why this process cannot serve now; None when it can."""
        if self._down or not self._tasks:
            return f"not running: {', '.join(sorted(self._down)) or 'everything'}"
        try:
            async with asyncio.timeout(PATIENCE):
                await self._issuer.keyring.at(await self._issuer.stores.log.head(), int(self._clock()))
        except Moved:
            return "the deployment has moved to another database"
        except (Unavailable, TimeoutError):
            return "the database does not answer"
        except (NoSigningKey, KeyStoreError):
            return "there is no signing key that can be used"
        return "the feed lags behind the log" if self._issuer.feed.lag() > LAG else None

    async def __aenter__(self) -> Upkeep:
        rounds = {
            "feed": self._issuer.feed.run,
            "leases": self._issuer.register.run,
            "keys": self._tend,
            "purge": self._purge,
            "outbox": self._send,
        }
        self._tasks = {name: asyncio.create_task(self._keep(name, run)) for name, run in rounds.items()}
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()

    async def _keep(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run it, again and again: whatever it died of, the process must not go on without it."""
        while True:
            try:
                await run()
            except Exception:
                logger.exception("background task died", extra={"task": name})
            self._down.add(name)
            await asyncio.sleep(RESTART)
            self._down.discard(name)

    async def _purge(self) -> None:
        while True:
            try:
                while await purge(self._issuer, int(self._clock())):
                    pass  # each is a batch that waits for its commit, so requests come between
            except Unavailable as error:
                logger.warning("purge put off", extra={"reason": str(error)})
            await asyncio.sleep(PURGE)

    async def _tend(self) -> None:
        pause = min(TENDING, max(1.0, self._issuer.terms.rotate_every / 4))
        while True:
            try:
                await keys.tend(self._issuer, int(self._clock()))
            except (Unavailable, KeyStoreError) as error:
                logger.warning("keys put off", extra={"reason": str(error)})
            await asyncio.sleep(pause)

    async def _send(self) -> None:
        outgoing = Outgoing(self._issuer, self._mailer, self._clock, self._outbox.set)
        try:
            while True:
                self._outbox.clear()
                try:
                    await outgoing.begin()
                except Unavailable as error:
                    logger.warning("messages put off", extra={"reason": str(error)})
                await self._called_or_after(SENDING)
        finally:
            await outgoing.close()

    async def _called_or_after(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._outbox.wait()
        except TimeoutError:
            return
