"""One input under watch: what left, what it cost, whether the judges agree. Findings and figures are kept as files."""

from __future__ import annotations

import hashlib
import heapq
import json
import os
import resource
import time
import traceback
import tracemalloc
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from tests.fuzz.target import Target, Violation

SLOW_MS: Final = 3.0
"""Milliseconds of processor time, coverage counting and all, from which an input is kept to be timed without it."""
SUSPECTS: Final = 64
"""The slowest inputs that are kept for that."""
MEMORY: Final = 8 * 1024 * 1024
"""Bytes that one input may take for a moment, beside 64 for each of its own."""
ADDRESS_SPACE: Final = 2 * 1024 * 1024 * 1024
"""Bytes of the whole process: what wants more gets a MemoryError, which must not leave either."""
KEPT: Final = 3
"""Inputs kept of one and the same finding."""
FLUSH_NS: Final = 1_000_000_000


class Watch:
    """Tries inputs against one target and keeps the tally in `folder`.

    With `cpu_seconds`, the process ends with its first finding, or when it has had so much processor time: a race in
    which other work on the machine does not count.
    """

    def __init__(self, target: Target, folder: Path, cpu_seconds: float | None = None) -> None:
        self._target = target
        self._folder = folder
        self._cpu_seconds = cpu_seconds
        self._outcomes: Counter[str] = Counter()
        self._findings: Counter[str] = Counter()
        self.stumbles = 0
        """How often an input could not be changed by who knows how it is built."""
        self._suspects: list[tuple[float, str]] = []
        self._began = self._flushed = time.monotonic_ns()
        self._began_cpu = time.process_time()
        self._first_finding: dict[str, float] = {}
        for name in ("findings", "slow"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def warm(self, data: bytes) -> None:
        """Try an input once without counting what it costs: caches fill, modules load."""
        with suppress(Exception):  # the input comes again, and then it is judged
            self._target.call(self._target.prepare(data))

    def limit_memory(self) -> None:
        """Give this process ADDRESS_SPACE and no more."""
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))

    def try_input(self, data: bytes) -> str:
        """Try one input and name the outcome. What is wrong becomes a file, never an exception."""
        try:
            outcome = self._judged(data)
        except Exception as error:
            outcome = "finding"
            self._found(data, error)
        self._outcomes[outcome] += 1
        now = time.monotonic_ns()
        if now - self._flushed > FLUSH_NS:
            self._flushed = now
            self.flush()
        if self._cpu_seconds is not None and (self._findings or self._cpu() > self._cpu_seconds):
            self.flush()
            os._exit(0)  # from within an engine there is no other way
        return outcome

    def flush(self) -> None:
        """Write the tally: the engine ends the process without a word."""
        tally = {
            "executions": sum(self._outcomes.values()),
            "seconds": round((time.monotonic_ns() - self._began) / 1e9, 1),
            "outcomes": dict(self._outcomes.most_common()),
            "stumbles": self.stumbles,
            "findings": dict(self._findings),
            "first_after_cpu_s": self._first_finding,
        }
        fresh = self._folder / "tally.new"
        fresh.write_text(json.dumps(tally))
        fresh.replace(self._folder / "tally.json")

    def _cpu(self) -> float:
        return time.process_time() - self._began_cpu

    def _judged(self, data: bytes) -> str:
        target = self._target
        argument = target.prepare(data)
        high = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.thread_time_ns()
        result, refusal = self._answer(argument)
        spent = (time.thread_time_ns() - began) / 1e6
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - high) * 1024
        if spent > SLOW_MS:
            self._suspect(data, spent)
        if grown > MEMORY // 4:
            self._must_be_frugal(data)
        if refusal is not None:
            return _checked(refusal)
        return target.judge(argument, result)

    def _suspect(self, data: bytes, spent: float) -> None:
        """Keep what may be slow. It counts by its better half: a collection of garbage is not its fault."""
        spent = min(spent, self.cost(data))
        name = hashlib.sha256(data).hexdigest()[:16]
        if spent < SLOW_MS or any(name == other for _, other in self._suspects):
            return
        heapq.heappush(self._suspects, (spent, name))
        (self._folder / "slow" / name).write_bytes(data)
        if len(self._suspects) > SUSPECTS:
            _, gone = heapq.heappop(self._suspects)
            (self._folder / "slow" / gone).unlink()

    def cost(self, data: bytes) -> float:
        """Milliseconds of processor time that one call takes."""
        argument = self._target.prepare(data)
        began = time.thread_time_ns()
        self._answer(argument)
        return (time.thread_time_ns() - began) / 1e6

    def _must_be_frugal(self, data: bytes) -> None:
        argument = self._target.prepare(data)
        tracemalloc.start()
        try:
            self._answer(argument)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        if peak > MEMORY + 64 * len(data):
            raise Violation(f"greedy input: {peak / 2**20:.0f} MiB")

    def _answer(self, argument: Any) -> tuple[Any, Exception | None]:
        """What was accepted, or how it was refused."""
        try:
            return self._target.call(argument), None
        except self._target.refusals as refusal:
            return None, refusal

    def _found(self, data: bytes, error: Exception) -> None:
        name = _name_of(error)
        self._findings[name] += 1
        self._first_finding.setdefault(name, round(self._cpu(), 2))
        if self._findings[name] > KEPT:
            return
        path = self._folder / "findings" / f"{name}-{hashlib.sha256(data).hexdigest()[:8]}"
        path.write_bytes(data)
        report = "".join(traceback.format_exception(error))
        path.with_name(f"{path.name}.txt").write_text(report, errors="backslashreplace")
        self.flush()


def _checked(refusal: Exception) -> str:
    """A refusal says in a sentence what is wrong; it never carries the input into a log."""
    if len(str(refusal)) > 300:
        raise Violation("a refusal with a message of over 300 characters")
    return type(refusal).__name__


def _name_of(error: Exception) -> str:
    """The same for the same defect: what was raised, and where in the code under test, or the judge's sentence."""
    if isinstance(error, Violation):
        words = "".join(letter if letter.isalpha() else " " for letter in str(error).partition(":")[0]).split()
        return "-".join(words)[:60]
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "watchword" in Path(frame.filename).parts]
    where = f"{Path(frames[-1].filename).stem}.{frames[-1].name}" if frames else "harness"
    return f"{type(error).__name__}-{where}"
