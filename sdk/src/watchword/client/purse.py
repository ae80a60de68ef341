"""Holds one token for many callers: one of them fetches, the others wait only when there is nothing to use."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from watchword.client.grant import Granted
from watchword.wire.loop import on_fork

MARGIN: Final = 30.0
"""Seconds before expiry from which a token is renewed; a tenth of its life when that is less."""
AGAIN: Final = 5.0
"""Seconds until the next try when renewing failed and the old token still serves."""


@dataclass(frozen=True, slots=True)
class Held:
    """A token with its times on the monotonic clock, in seconds."""

    access_token: str
    renew_at: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class Errand:
    """This caller fetches. `asked_at` counts as the token's birth; every other caller waits for `done`."""

    asked_at: float
    done: Future[None]


class Purse:
    """The token of one client, for any number of threads and event loops. Its lock is never held while waiting."""

    __slots__ = ("__weakref__", "_errand", "_held", "_lock", "_monotonic")

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._held: Held | None = None
        self._errand: Errand | None = None
        on_fork(self)

    def look(self) -> str | Errand | Future[None]:
        """A token to use, or an errand to run, or somebody else's errand to wait for and look again."""
        with self._lock:
            now, held, errand = self._monotonic(), self._held, self._errand
            if held is not None and now < held.expires_at and (now < held.renew_at or errand is not None):
                return held.access_token
            if errand is not None:
                return errand.done
            self._errand = Errand(now, Future())
            return self._errand

    @contextmanager
    def running(self, errand: Errand) -> Iterator[None]:
        """Run the errand inside and `put` what it brings; whatever happens, those who wait hear of it.

        An error is kept quiet while the old token still serves: then `look` gives that again.
        """
        try:
            yield
        except Exception as error:
            if not self._fail(errand, error):
                raise
        except BaseException:
            self._fail(errand, None)  # this caller was cancelled: the next one runs
            raise

    def put(self, errand: Errand, granted: Granted) -> None:
        """The errand brought a token."""
        expires = errand.asked_at + granted.expires_in
        held = Held(granted.access_token, expires - min(MARGIN, granted.expires_in / 10), expires)
        with self._lock:
            self._held, self._errand = held, None
        errand.done.set_result(None)

    def _fail(self, errand: Errand, error: Exception | None) -> bool:
        """End an errand that brought nothing; whether the old token still serves."""
        with self._lock:
            now, held, self._errand = self._monotonic(), self._held, None
            serves = held is not None and now < held.expires_at
            if held is not None and serves:
                self._held = Held(held.access_token, now + AGAIN, held.expires_at)
        if error is None or serves:
            errand.done.set_result(None)
        else:
            errand.done.set_exception(error)
        return serves

    def drop(self, access_token: str) -> None:
        """An API has refused this token: use it no more. Another one that came meanwhile stays."""
        with self._lock:
            if self._held is not None and self._held.access_token == access_token:
                self._held = None

    def forked(self) -> None:
        """In a forked child: the lock and the errand may be the parent's."""
        self._lock, self._errand = threading.Lock(), None
