"""API keys that customers send to an API: traded at the issuer for short tokens, which are then judged as any other.

A key is kept here only as its SHA-256, and never shown. Its token serves until it ends, and is renewed before that,
so an issuer that is away for a moment is not missed.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, NamedTuple

from watchword.errors import CannotDecide, UnknownApiKey, WatchwordError
from watchword.freshness import NEVER, Clocks
from watchword.jose.jwt import claims
from watchword.wire.exchange import Reply
from watchword.wire.rates import Allowance

PREFIX: Final = "ww_"
"""What every API key begins with, and no JWT."""
GRANT_TYPE: Final = "urn:watchword:api-key"
AT_ONCE: Final = 16
"""Keys that are traded at the same time; the others wait their turn, within their seconds."""
WITHIN: Final = 2.0
"""Seconds for an answer, the wait for a turn included."""
MARGIN: Final = 30.0
"""Seconds before its end from which a token is renewed; a tenth of its life when that is less."""
REMEMBER: Final = 10.0
"""Seconds for which a refusal is taken again."""
SETTLE: Final = 1.0
"""Seconds after a trade in which its token is not traded again, whatever became of it."""
COOL_DOWN: Final = 5.0
"""Seconds after a failure in which nobody asks."""
RATE: Final = 5.0
BURST: Final = 50.0
"""How many keys that were never good here are traded in a second, and how many at once: garbage costs little."""
MOST: Final = 10_000
"""Keys with tokens in each of two generations, and refusals that are remembered."""

_KEY: Final = re.compile(r"ww_[A-Za-z0-9_-]{8}_[A-Za-z0-9_-]{43}")
_log = logging.getLogger("watchword")


class _Given(NamedTuple):
    """A token, and its times on the monotonic clock."""

    token: str
    asked: float
    renew_at: float
    ends_at: float


class Exchanging:
    """Trades API keys at one token endpoint. `exchange` runs on the background loop, the rest on any thread.

    `post` sends a form within so many seconds; `begin` runs a coroutine on the loop, for nobody in particular.
    """

    __slots__ = (
        *("_asking", "_begin", "_clocks", "_closed_until", "_old", "_post", "_refused", "_strangers", "_turns"),
        "_young",
    )

    def __init__(
        self,
        post: Callable[[dict[str, str], float], Awaitable[Reply]],
        clocks: Clocks,
        begin: Callable[[Coroutine[Any, Any, Any]], object],
    ) -> None:
        self._post, self._clocks, self._begin = post, clocks, begin
        self._young: dict[bytes, _Given] = {}
        self._old: dict[bytes, _Given] = {}
        self._refused: dict[bytes, float] = {}
        self._strangers = Allowance(RATE, BURST, clocks.monotonic)
        self.forked()

    def forked(self) -> None:
        """In a forked child: what was under way is the parent's."""
        self._asking: dict[bytes, asyncio.Task[_Given | UnknownApiKey | None]] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._closed_until = NEVER

    def held(self, key: str) -> str | None:
        """The token of a key that was traded; None where there is none. Raises UnknownApiKey for one just refused."""
        name = _hashed(key)
        given, now = self._given(name), self._clocks.monotonic()
        if given is None:
            self._must_not_be_refused(name, now)
            return None
        if now >= given.ends_at:
            return None
        if now >= given.renew_at and name not in self._asking and now >= self._closed_until:
            self._begin(self.exchange(key))
        return given.token

    def may_ask(self, key: str) -> bool:
        """Whether asking makes sense: not while the issuer failed a moment ago, or strangers ask for too much."""
        if self._clocks.monotonic() < self._closed_until:
            return False
        name = _hashed(key)
        return name in self._asking or self._given(name) is not None or self._strangers.is_left()

    def drop(self, key: str, token: str) -> None:
        """This token of the key is dead: trade it anew, unless that was just done."""
        name = _hashed(key)
        given = self._given(name)
        if given is None or given.token != token or self._clocks.monotonic() - given.asked < SETTLE:
            return
        self._young[name] = given._replace(ends_at=NEVER)

    async def exchange(self, key: str) -> str | None:
        """The key's token; None when the issuer does not say. Raises UnknownApiKey. Takes WITHIN at most."""
        name = _hashed(key)
        task = self._asking.get(name)
        if task is None:
            if not self.may_ask(key) or not (self._given(name) or self._strangers.take()):
                return None
            task = self._asking[name] = asyncio.create_task(self._ask(key, name))
            task.add_done_callback(lambda _: self._asking.pop(name, None))
        # Shielded: one that no longer waits must not cancel the question of all the others.
        answer = await asyncio.shield(task)
        if isinstance(answer, UnknownApiKey):
            raise UnknownApiKey(str(answer))
        return None if answer is None else answer.token

    async def _ask(self, key: str, name: bytes) -> _Given | UnknownApiKey | None:
        asked = self._clocks.monotonic()
        try:
            async with asyncio.timeout(WITHIN), self._turns:
                reply = await self._post({"grant_type": GRANT_TYPE, "api_key": key}, WITHIN)
                answer = _read(reply, asked)
        except (WatchwordError, TimeoutError) as error:
            _log.warning("cannot trade API keys, not asking for %g s: %s", COOL_DOWN, error or "no answer in time")
            self._closed_until = self._clocks.monotonic() + COOL_DOWN
            return None
        if answer is None:
            self._refuse(name)
            return UnknownApiKey("the issuer gives no token for this API key")
        self._keep(name, answer)
        return answer

    def _given(self, name: bytes) -> _Given | None:
        return self._young.get(name) or self._old.get(name)

    def _must_not_be_refused(self, name: bytes, now: float) -> None:
        if now < self._refused.get(name, NEVER):
            raise UnknownApiKey("the issuer gave no token for this API key a moment ago")

    def _refuse(self, name: bytes) -> None:
        self._young.pop(name, None)
        self._old.pop(name, None)
        if len(self._refused) >= MOST:
            self._refused.clear()
        self._refused[name] = self._clocks.monotonic() + REMEMBER

    def _keep(self, name: bytes, given: _Given) -> None:
        self._refused.pop(name, None)
        if len(self._young) >= MOST:
            self._old, self._young = self._young, {}
        self._young[name] = given


def is_api_key(token: object) -> bool:
    """Whether it calls itself one."""
    return isinstance(token, str) and token.startswith(PREFIX)


def is_well_formed(key: str) -> bool:
    """Whether it can be an API key at all: what cannot is not asked for."""
    return bool(_KEY.fullmatch(key))


def _hashed(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _read(reply: Reply, asked: float) -> _Given | None:
    """The token; None where the issuer gives none for this key. Raises CannotDecide for what says nothing of it."""
    if reply.status == 400:
        return None
    if reply.status != 200:
        raise CannotDecide(f"the token endpoint answered {reply.status}")
    document = claims(reply.body)
    token, lifetime = document.get("access_token"), document.get("expires_in")
    if document.get("token_type") != "Bearer" or not isinstance(token, str) or not token or is_api_key(token):
        raise CannotDecide("the token endpoint's answer holds no bearer token")
    if isinstance(lifetime, bool) or not isinstance(lifetime, int | float) or not 0 < lifetime < 1e9:
        raise CannotDecide("the token endpoint's answer does not say how long its token lives")
    return _Given(token, asked, asked + lifetime - min(MARGIN, lifetime / 10), asked + lifetime)
