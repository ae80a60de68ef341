"""Where our CPU time goes while codes are redeemed on SQLite, function by function."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Final

from bench import processes, redeeming, shares
from bench.deployment import WATCHWORD
from bench.effort import Effort
from bench.result import Section

CODES: Final = 6_000
WARM_UP: Final = 500
PROFILED: Final = Path(__file__).with_name("profiled.py")


def measure(effort: Effort) -> Section:
    """One run under the profiler of the standard library, which makes everything slower."""
    count = round(CODES * effort.value)
    with tempfile.TemporaryDirectory(prefix="watchword-bench-") as folder:
        file = Path(folder) / "profile"
        command = (sys.executable, "-P", str(PROFILED), str(file), WATCHWORD, "serve")
        with redeeming.ours(processes.SERVER_CORE, WARM_UP + count, command=command) as target:
            redeeming.redeem(target, WARM_UP)
            os.kill(target.pid, signal.SIGUSR1)
            redeeming.redeem(target, count)
        times = shares.of_python(file)
    return Section(
        "Where ours spends it",
        [],
        [shares.HEAD, *shares.rows(times, count)],
        [
            f"`cProfile` of every thread, by the thread's own CPU time; {count:,} codes on SQLite after {WARM_UP}.",
            "Each row is a function's own time, without that of those it calls.",
            "The profiler adds to every call: without it, signatures and statements have a larger share.",
        ],
    )
