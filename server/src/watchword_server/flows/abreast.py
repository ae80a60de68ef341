"""Doing the same things together: what came at the same time is read together, then signed, then written."""

from __future__ import annotations

from collections.abc import Generator
from types import coroutine


@coroutine
def abreast() -> Generator[None, None, None]:
    """Wait for those who came at the same time, for the length of what they still do before the same point.

    A signature leaves nothing else in the processor's caches. Around each of them, the exchange of a code costs a fifth
    less where nothing comes between the signatures of many (docs/benchmarks/codes.md). Alone, nobody waits.
    """
    yield  # as asyncio.sleep(0), with two calls less
