"""A program under the profiler: `python -P bench/profiled.py FILE watchword serve` writes where its CPU time went.

All of its threads are profiled, each by its own CPU time, so that waiting costs nothing. SIGUSR1 forgets what was
before. The profiler takes its share of every call: what consists of many short ones looks dearer than it is.
"""

from __future__ import annotations

import cProfile
import pstats
import runpy
import signal
import sys
import threading
import time
from typing import Any, Final

_PROFILES: Final[list[cProfile.Profile]] = []


def main() -> None:
    """Run a script with its own arguments, and write the profile when it has ended."""
    file, script, *arguments = sys.argv[1:]
    sys.argv = [script, *arguments]
    signal.signal(signal.SIGUSR1, _forget)
    threading.setprofile(_begin)
    _begin()
    try:
        runpy.run_path(script, run_name="__main__")
    finally:
        for profile in _PROFILES:
            profile.disable()
        pstats.Stats(*_PROFILES).dump_stats(file)


def _begin(*_: Any) -> None:
    """In each thread: it replaces itself by a profile of this thread."""
    profile = cProfile.Profile(time.thread_time)
    _PROFILES.append(profile)
    profile.enable()


def _forget(*_: Any) -> None:
    for profile in _PROFILES:
        profile.clear()


if __name__ == "__main__":
    main()
