"""All that is dead, in pages: each is read, signed and sent before the next, however long the log (docs/feed.md)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from watchword.log import Snapshot, genesis
from watchword_server.ports import Head, Log, Unavailable
from watchword_server.revocation import cuts

PAGE: Final = 5_000
"""Entries: what can be read, signed and sent without keeping everybody else waiting."""
KEPT: Final = 30.0
"""Seconds for which pages are handed out again, after they began to be cut."""
LONGEST_KEPT: Final = 1_500_000
"""Entries of the longest log whose pages are kept: some 110 MB. Those of a longer one are cut for each reader anew."""

T = TypeVar("T")


async def pages(issuer: str, log: Log, clock: Callable[[], int]) -> AsyncIterator[tuple[Head, Snapshot]]:
    """Every page from the log's beginning to its end, with the head of its moment; `clock` in milliseconds.

    What is committed meanwhile may be in the later ones; what is forgotten meanwhile is missed by nobody.
    """
    after, prev, name = 0, b"", ""
    while True:
        now = clock()  # before the log is read: all that was committed by then is in it
        head, entries, chain = await log.alive_after(after, now // 1000, PAGE)
        if after == 0:
            prev, name = genesis(head.log), head.log
        elif head.log != name:
            raise Unavailable("another log took the place of the one that was read")
        is_last = len(entries) < PAGE
        seq = head.rev if is_last else entries[-1].seq
        yield head, cuts.page(issuer, name, after, prev, seq, chain, entries, now)
        if is_last:
            return
        after, prev = seq, chain


@dataclass(slots=True, eq=False)
class _Batch(Generic[T]):
    """What is on the shelf: it grows until it is `done`, for which `failure` may be the reason."""

    found: list[T] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    done: bool = False
    failure: Exception | None = None
    work: asyncio.Task[None] | None = None

    def tell(self) -> None:
        self.news.set()
        self.news = asyncio.Event()


class Shelf(Generic[T]):
    """Pages for everybody who comes within KEPT: when a hundred processes of an API start, they are cut once.

    A page is true whenever it is read, and needs no nonce; what came after it is in the delta that follows.
    """

    def __init__(self, cut: Callable[[], AsyncIterator[T]]) -> None:
        self._cut = cut
        self._batch: _Batch[T] | None = None

    async def read(self) -> AsyncIterator[T]:
        """Every page; those that are still to come, as they come."""
        batch = self._batch or self._begin()
        at = 0
        while True:
            news = batch.news
            while at < len(batch.found):
                yield batch.found[at]
                at += 1
            if batch.failure is not None:
                raise batch.failure
            if batch.done:
                return
            if news is batch.news:
                await news.wait()

    def clear(self) -> None:
        """What is here serves nobody any more."""
        self._batch = None

    def _begin(self) -> _Batch[T]:
        batch = self._batch = _Batch()
        batch.work = asyncio.create_task(self._fill(batch))
        asyncio.get_running_loop().call_later(KEPT, self._drop, batch)
        return batch

    def _drop(self, batch: _Batch[T]) -> None:
        if self._batch is batch:
            self._batch = None

    async def _fill(self, batch: _Batch[T]) -> None:
        try:
            async for each in self._cut():
                batch.found.append(each)
                batch.tell()
        except Exception as error:  # whatever it is, it is for those who wait
            batch.failure = error
            self._drop(batch)
        finally:
            batch.done = True
            batch.tell()
