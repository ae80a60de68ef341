"""Password hashes: argon2id (RFC 9106) on one bounded thread, so that they never stall the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import Final, TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from watchword_server.ports import Busy

LONGEST: Final = 1024
"""Bytes of a password as UTF-8. Longer ones are refused and never cut short."""
WAITING: Final = 64
"""Hashes that may wait or run; more are refused."""

_HASHER: Final = PasswordHasher(
    time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, salt_len=16, type=Type.ID
)

NOBODY: Final = "$argon2id$v=19$m=19456,t=2,p=1$/BomP+BGx3aCFhnQmhs0Xg$1++QkU8umY3T359CBmQahtH0keKEFm40UhqCrHLqGnI"
"""A hash of the same parameters: an unknown user takes as long as a known one."""

_T = TypeVar("_T")


class Argon2:
    """Hashes passwords, one at a time: p=1 and one thread leave the other cores to the event loop."""

    def __init__(self, waiting: int = WAITING) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="watchword-argon2")
        self._places = BoundedSemaphore(waiting)

    async def hash(self, password: str) -> str:
        """The encoded hash. Raises ValueError for a password that is too long or no text, Busy when too many wait."""
        octets = _octets(password)
        if octets is None:
            raise ValueError(f"a password is text of at most {LONGEST} bytes")
        return await self._run(lambda: _HASHER.hash(octets))

    async def matches(self, password_hash: str | None, password: str) -> bool:
        """Whether a password belongs to a hash; False for None after the same time. Raises Busy when too many wait."""
        octets = _octets(password)
        if octets is None:
            return False
        fits = await self._run(lambda: _verify(NOBODY if password_hash is None else password_hash, octets))
        return fits and password_hash is not None

    def close(self) -> None:
        """Let go of the thread; who waits is refused."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], _T]) -> _T:
        if not self._places.acquire(blocking=False):
            raise Busy("too many passwords wait to be hashed")
        try:
            future = self._thread.submit(work)
        except RuntimeError as error:
            self._places.release()
            raise Busy("the server is closing") from error
        # The place is free when the work has ended, not when its caller went away.
        future.add_done_callback(self._leave)
        return await asyncio.wrap_future(future)

    def _leave(self, _: Future[_T]) -> None:
        self._places.release()


def _octets(password: str) -> bytes | None:
    """What is hashed; None for what cannot be a password."""
    try:
        octets = password.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return None
    return octets if len(octets) <= LONGEST else None


def _verify(password_hash: str, password: bytes) -> bool:
    try:
        return _HASHER.verify(password_hash, password)
    except (VerifyMismatchError, InvalidHashError):
        return False
    except VerificationError as error:  # no memory, as a rule: that says nothing about the password
        raise Busy("passwords cannot be verified now") from error
