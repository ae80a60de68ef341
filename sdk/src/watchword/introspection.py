"""Ask the issuer about one token (RFC 7662) while the feed is stale: at most once at a time, and not for long."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from watchword.errors import CannotDecide, WatchwordError
from watchword.freshness import NEVER, Clocks
from watchword.jose.jwt import claims

AT_ONCE: Final = 16
"""Questions under way at the same time; the others wait their turn, within their second."""
WITHIN: Final = 1.0
"""Seconds for an answer, the wait for a turn included."""
REMEMBER: Final = 3.0
"""Seconds for which an answer is taken again."""
COOL_DOWN: Final = 5.0
"""Seconds after a failure in which nobody asks; then one question tries whether the issuer is back."""
MOST: Final = 10_000
"""Answers remembered at most."""

_log = logging.getLogger("watchword")


class Introspection:
    """Questions to one introspection endpoint. `ask` runs on the background loop, the rest on any thread.

    `post` sends a form within so many seconds and returns the body of a 200, or raises a WatchwordError.
    """

    __slots__ = ("_answers", "_asking", "_clocks", "_closed_until", "_post", "_probing", "_turns")

    def __init__(self, post: Callable[[dict[str, str], float], Awaitable[bytes]], clocks: Clocks) -> None:
        self._post = post
        self._clocks = clocks
        self._answers: dict[str, tuple[bool, float]] = {}
        self._asking: dict[str, asyncio.Task[bool | None]] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._closed_until = NEVER
        self._probing = False

    def remembered(self, token: str) -> bool | None:
        """Whether the token was active when it was asked for a few seconds ago; None when it was not asked for."""
        answer = self._answers.get(token)
        if answer is None or self._clocks.monotonic() >= answer[1]:
            return None
        return answer[0]

    def may_ask(self) -> bool:
        """Whether asking makes sense: not while the issuer failed a moment ago or is being tried again."""
        return self._clocks.monotonic() >= self._closed_until and not self._probing

    async def ask(self, token: str) -> bool | None:
        """Whether the issuer calls the token active; None when it does not say. Never raises, takes WITHIN at most."""
        if (known := self.remembered(token)) is not None:
            return known
        task = self._asking.get(token)
        if task is None:
            if not self.may_ask():
                return None
            task = self._asking[token] = asyncio.create_task(self._ask(token))
            task.add_done_callback(lambda _: self._asking.pop(token, None))
        # Shielded: one that no longer waits must not cancel the question of all the others.
        return await asyncio.shield(task)

    async def _ask(self, token: str) -> bool | None:
        self._probing = self._closed_until != NEVER  # after a failure, one question at a time until one succeeds
        try:
            async with asyncio.timeout(WITHIN), self._turns:
                active = await self._send(token)
        except (WatchwordError, TimeoutError) as error:
            if self._clocks.monotonic() >= self._closed_until:
                _log.warning("introspection failed, not asking for %g s: %s", COOL_DOWN, error or "no answer in time")
            self._closed_until = self._clocks.monotonic() + COOL_DOWN
            return None
        finally:
            self._probing = False
        self._closed_until = NEVER
        self._remember(token, active)
        return active

    async def _send(self, token: str) -> bool:
        form = {"token": token, "token_type_hint": "access_token"}
        active = claims(await self._post(form, WITHIN)).get("active")
        if not isinstance(active, bool):
            raise CannotDecide("an introspection answer without `active`")
        return active

    def _remember(self, token: str, active: bool) -> None:
        if len(self._answers) >= MOST:
            self._answers.clear()
        self._answers[token] = active, self._clocks.monotonic() + REMEMBER
