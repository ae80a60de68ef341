"""Interleaved rounds: what is compared takes turns, so that a slow moment of the machine hits all alike."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Mapping

Turn = Callable[[], None]
"""The measured part of one round."""


def interleave(
    candidates: Mapping[str, Callable[[], Turn]], rounds: int, per_turn: int, progress: Callable[[int], None]
) -> dict[str, list[float]]:
    """CPU microseconds for each of `per_turn` operations, for every candidate and round.

    A candidate first prepares its turn, unmeasured. Each round has another order. The time is this thread's own:
    neither other programs nor background threads count. The first round warms up and does not count.
    """
    found: dict[str, list[float]] = {name: [] for name in candidates}
    names = list(candidates)
    gc.collect()
    gc.freeze()  # what was prepared so far is no work for the collector during a turn
    for number in range(rounds + 1):
        random.shuffle(names)
        for name in names:
            found[name].append(_timed(candidates[name]()) / per_turn)
        progress(number)
    gc.unfreeze()
    return {name: times[1:] for name, times in found.items()}


def _timed(turn: Turn) -> float:
    began = time.thread_time_ns()
    turn()
    return (time.thread_time_ns() - began) / 1000
