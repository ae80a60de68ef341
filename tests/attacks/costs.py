"""What a verdict costs: CPU time of the asking thread, medians, everything in one shuffled run."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from itertools import count
from statistics import median
from typing import Final

from tests.attacks.judges import Judge
from watchword import Principal

ROUNDS: Final = 31
RUNS: Final = 3
"""The machine is shared with others: what is dear in one run may have been their doing, in all of them it is not."""
NOISE: Final = 1.1
"""A tenth for what one run adds to two equal things."""

Good = Mapping[str, Callable[[int], str]]
"""Good tokens by name, each made anew from a number: one that was met before would cost next to nothing."""

_numbers = count()


def too_dear(judge: Judge, refused: Mapping[str, tuple[str, str]], accepted: Good) -> dict[str, str]:
    """The refused tokens, each with the name of a good one, that cost more than that, and what they cost."""
    dear: dict[str, str] = {}
    for _ in range(RUNS):
        found = costs(judge, {name: text for name, (text, _) in refused.items()}, accepted)
        dear = {
            name: f"{found[name]:.1f} µs, a good one ({bound}) {found[bound]:.1f} µs"
            for name, (_, bound) in refused.items()
            if found[name] > NOISE * found[bound]
        }
        if not dear:
            break
    return dear


def costs(judge: Judge, refused: Mapping[str, str], accepted: Good) -> dict[str, float]:
    """Median microseconds of each, all of them asked in another order every round."""
    spent: dict[str, list[int]] = {name: [] for name in [*refused, *accepted]}
    for _ in range(ROUNDS):
        number = next(_numbers)
        tokens = [*refused.items(), *((name, make(number)) for name, make in accepted.items())]
        random.shuffle(tokens)
        for name, text in tokens:
            began = time.thread_time_ns()
            verdict = judge.blocking(text)
            spent[name].append(time.thread_time_ns() - began)
            assert isinstance(verdict, Principal) == (name in accepted), name
    return {name: median(times) / 1000 for name, times in spent.items()}
