"""Interleaved rounds: what is compared takes turns, so that a slow moment of the machine hits all alike."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

Turn = Callable[[], None]
"""The measured part of one round."""
Calls = tuple[Callable[..., object], Sequence[tuple[Any, ...]]]
"""A function and the arguments of each call to it."""

BURST: Final = 25
"""Calls in a row: with every call another library's, none would find anything of its own in the processor's caches."""
Progress = Callable[[int], None]


def interleave(
    candidates: Mapping[str, Callable[[], Turn]], rounds: int, per_turn: int, progress: Progress
) -> dict[str, list[float]]:
    """CPU microseconds for each of `per_turn` operations, for every candidate and round.

    For operations too short to be timed one by one. A candidate first prepares its turn, unmeasured. Each round has
    another order. The time is this thread's own: neither other programs nor background threads count. The first
    round warms up and does not count.
    """
    found: dict[str, list[float]] = {name: [] for name in candidates}
    names = list(candidates)
    with _garbage_frozen():
        for number in range(rounds + 1):
            random.shuffle(names)
            for name in names:
                found[name].append(_timed(candidates[name]()) / per_turn)
            progress(number)
    return {name: times[1:] for name, times in found.items()}


def one_by_one(
    prepare: Callable[[], Mapping[str, Calls]],
    elsewhere: Mapping[str, Callable[[], list[float]]],
    rounds: int,
    progress: Progress,
) -> dict[str, list[list[float]]]:
    """Microseconds from each call to its result: for every candidate, by round and call.

    All candidates have the first BURST calls, then all the next, each time in another order, so that times which
    are compared lie milliseconds apart. A busy machine hits some calls and spares most: their medians are steady
    where means are not. Who runs in another process takes a turn after each round.
    """
    found: dict[str, list[list[float]]] = {}
    with _garbage_frozen():
        for number in range(rounds + 1):
            for name, times in _call_all(prepare()).items():
                found.setdefault(name, []).append(times)
            for name, turn in elsewhere.items():
                found.setdefault(name, []).append(turn())
            progress(number)
    return {name: times[1:] for name, times in found.items()}


def _call_all(calls: Mapping[str, Calls]) -> dict[str, list[float]]:
    names = list(calls)
    times: dict[str, list[float]] = {name: [] for name in names}
    total = min(len(arguments) for _, arguments in calls.values())
    for start in range(0, total, BURST):
        random.shuffle(names)
        for name in names:
            function, arguments = calls[name]
            times[name] += _burst(function, arguments[start : start + BURST])
    return times


def _burst(function: Callable[..., object], arguments: Sequence[tuple[Any, ...]]) -> list[float]:
    clock, times = time.perf_counter_ns, []
    for given in arguments:
        began = clock()
        function(*given)
        ended = clock()
        times.append((ended - began) / 1000)
    return times


@contextmanager
def _garbage_frozen() -> Iterator[None]:
    """What was prepared so far is no work for the collector during a turn."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _timed(turn: Turn) -> float:
    began = time.thread_time_ns()
    turn()
    return (time.thread_time_ns() - began) / 1000
