"""How long `watchword serve` takes to be ready, and how much memory it holds while nothing happens."""

from __future__ import annotations

import time
from typing import Final

from bench import deployment, processes
from bench.deployment import WATCHWORD, Deployment
from bench.effort import Effort
from bench.progress import counter
from bench.result import Figure, Section, median, spread

RUNS: Final = 5
IDLE: Final = 5.0
"""Seconds of doing nothing before the memory is read."""
READY_BOUND, MEMORY_BOUND = 2.0, 120.0
"""Seconds; MB (10^6 bytes)."""


def measure(effort: Effort) -> Section:
    """Several starts of one deployment, whose first start (it compiles, it fills the file cache) does not count."""
    total = effort.rounds(RUNS)
    tell = counter("start", total)
    with deployment.fresh() as issuer:
        _start(issuer, idle=0)
        runs = []
        for number in range(total):
            runs.append(_start(issuer, IDLE))
            tell(number + 1)
    seconds, rss, pss = map(list, zip(*runs, strict=True))
    return Section(
        "Start and idle",
        [
            Figure("serve: from spawn to the first 200 of /readyz", median(seconds), "s", READY_BOUND),
            Figure("serve: resident memory after 5 s idle (RSS)", median(rss), "MB", MEMORY_BOUND),
            Figure("serve: proportional share of that (PSS)", median(pss), "MB"),
        ],
        [
            ("", "median (lowest to highest)"),
            ("ready, s", spread(seconds, 2)),
            ("RSS, MB", spread(rss, 1)),
            ("PSS, MB", spread(pss, 1)),
        ],
        [f"{total} starts on SQLite, one process, warm file cache; MB are 10^6 bytes."],
        {"ready": seconds, "rss": rss, "pss": pss},
    )


def _start(issuer: Deployment, idle: float) -> tuple[float, float, float]:
    began = time.perf_counter()
    with processes.running([WATCHWORD, "serve"], issuer.folder) as process:
        ready = processes.await_ready(process, f"{issuer.issuer}/readyz")
        time.sleep(idle)
        return ready - began, *processes.memory(process.pid)
