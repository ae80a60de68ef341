"""A verifier that starts from nothing beside a long log: when it is fresh, what it holds, what a lookup takes.

One JSON object as the argument: `issuer`, `audience`, `credentials`, `token` (one that lives), `calls`. Prints one JSON
object: `fresh` (seconds from its beginning), `entries`, `held` and `peak` (MB above what the process had before),
`pause` (the longest that another thread of the process was kept waiting, in milliseconds), `known` and `unknown`
(microseconds of `verify_sync` for a token that it has seen, and for one that it has not). Ends by itself.
"""

from __future__ import annotations

import json
import statistics
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from watchword import Verifier

NAP: Final = 0.002
"""Seconds between two looks of the thread that is kept waiting."""
WITHIN: Final = 120.0


class Sleeper:
    """A thread that only sleeps, and notes how much too late it woke."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Sleep no more."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            began = time.perf_counter()
            time.sleep(NAP)
            self.longest = max(self.longest, time.perf_counter() - began - NAP)


def memory(field: str) -> float:
    """MB (10^6 bytes) of this process: VmRSS now, VmHWM at most so far."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(field))


def timed(verifier: Verifier, token: str, calls: int) -> float:
    """Microseconds of a call, the median of rounds."""
    rounds = []
    for _ in range(20):
        began = time.perf_counter()
        for _ in range(calls):
            verifier.verify_sync(token)
        rounds.append((time.perf_counter() - began) / calls * 1e6)
    return statistics.median(rounds)


def main(settings: Mapping[str, Any]) -> None:
    """Once."""
    verifier = Verifier(
        issuer=settings["issuer"], audience=settings["audience"], credentials=tuple(settings["credentials"])
    )
    before, sleeper, began = memory("VmRSS"), Sleeper(), time.perf_counter()
    with verifier:
        while verifier.freshness.state != "fresh":
            time.sleep(NAP)
            assert time.perf_counter() - began < WITHIN, verifier.freshness
        fresh = time.perf_counter() - began
        sleeper.end()
        held, peak = memory("VmRSS") - before, memory("VmHWM") - before
        first = time.perf_counter()
        verifier.verify_sync(settings["token"])
        unknown = (time.perf_counter() - first) * 1e6
        told = {
            "fresh": fresh,
            "entries": verifier.freshness.entries,
            "held": held,
            "peak": peak,
            "pause": sleeper.longest * 1000,
            "unknown": unknown,
            "known": timed(verifier, settings["token"], settings["calls"]),
        }
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
