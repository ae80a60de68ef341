"""Many who ask the same kind of question at the same time, in one round trip."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Generic, TypeVar

from watchword_server.ports import Unavailable

SEATS: Final = 256
"""Questions in one trip."""
WAITING: Final = 4096
"""Questions that may wait before more are refused."""

K = TypeVar("K")
V = TypeVar("V")


class Train(Generic[K, V]):
    """One trip at a time; who comes while one is under way waits for the next.

    So an answer is never older than its question: a trip begins, and the database looks, after everybody on it
    has come. A trip that fails, fails those who wait for the next as well: it took as long as anybody may wait.
    """

    def __init__(self, carry: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]) -> None:
        self._carry = carry
        self._waiting: list[tuple[K, asyncio.Future[V | None]]] = []
        self._trip: asyncio.Task[None] | None = None

    def board(self, key: K) -> asyncio.Future[V | None]:
        """What the database has for the key. Raises Unavailable, here or when it is awaited."""
        if len(self._waiting) >= WAITING:
            raise Unavailable("too many questions wait for the database")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[V | None] = loop.create_future()
        self._waiting.append((key, answer))
        if self._trip is None:
            self._trip = loop.create_task(self._travel())  # it begins in the next turn, with all who come in this one
        return answer

    async def _travel(self) -> None:
        try:
            while self._waiting:
                riders, self._waiting = self._waiting[:SEATS], self._waiting[SEATS:]
                await self._take(riders)
        finally:
            self._trip = None

    async def _take(self, riders: Sequence[tuple[K, asyncio.Future[V | None]]]) -> None:
        try:
            found = await self._carry([key for key, _ in riders])
        except Exception as error:  # whatever it was, nobody may be left waiting
            late, self._waiting = self._waiting, []
            for _, answer in (*riders, *late):
                if not answer.done():
                    answer.set_exception(error if isinstance(error, Unavailable) else Unavailable(str(error)))
            return
        for key, answer in riders:
            if not answer.done():  # else its asker has gone
                answer.set_result(found.get(key))
