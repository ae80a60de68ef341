"""The other engine: hypothesis draws the changes, and climbs towards inputs that run more lines of the SDK."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Callable
from math import inf
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any, Final

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis import target as climb

from tests.fuzz.target import Target
from tests.fuzz.watch import Watch

BATCH: Final = 500
"""Examples of one run of hypothesis; after that it begins anew with another seed."""


def main() -> None:
    """Fuzz one target for so many seconds; everything it finds goes into the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("folder", type=Path)
    parser.add_argument("seconds", type=int)
    parser.add_argument("--race", action="store_true", help="seconds of processor time, or until the first finding")
    arguments = parser.parse_args()
    target: Target = importlib.import_module(f"tests.fuzz.{arguments.target}").TARGET
    watch = Watch(target, arguments.folder, arguments.seconds if arguments.race else None)
    seeds = list(target.seeds())
    for given_input in seeds:
        watch.warm(given_input)
    watch.limit_memory()
    deadline = inf if arguments.race else time.monotonic() + arguments.seconds
    batch = 0
    while time.monotonic() < deadline:
        batch += 1
        seed(batch)(_property(target, watch, seeds, deadline))()
    watch.flush()


def _property(target: Target, watch: Watch, seeds: list[bytes], deadline: float) -> Callable[[], None]:
    @settings(
        max_examples=BATCH,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.target],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(seeds), st.lists(st.integers(0, 2**32), min_size=1, max_size=6))
    def holds(data: bytes, steps: list[int]) -> None:
        if time.monotonic() > deadline:
            return
        for step in steps:
            data = _changed(target, data, Random(step))
        lines: set[tuple[str, int]] = set()
        sys.settrace(_tracer(lines))
        try:
            watch.try_input(data[: target.limit])
        finally:
            sys.settrace(None)
        climb(float(len(lines)))

    return holds


def _changed(target: Target, data: bytes, chance: Random) -> bytes:
    def native(part: bytes) -> bytes:
        place = chance.randrange(len(part) + 1)
        some = chance.randbytes(chance.randrange(4))
        return part[:place] + some + part[place + chance.randrange(4) :]

    try:
        return target.change(data, chance, native)
    except Exception:  # as in by_coverage
        return native(data)


def _tracer(lines: set[tuple[str, int]]) -> Callable[[FrameType, str, Any], Any]:
    def step(frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            lines.add((frame.f_code.co_filename, frame.f_lineno))
        return step

    def enter(frame: FrameType, event: str, argument: Any) -> Any:
        return step if "/watchword/" in frame.f_code.co_filename else None

    return enter


if __name__ == "__main__":
    main()
