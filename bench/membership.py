"""What many revocations cost an API: time and memory to load them, and time to ask about a token."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, Final

from bench import processes
from bench.effort import Effort
from bench.holder import PRINCIPALS
from bench.lines import ask
from bench.progress import counter, say
from bench.result import Figure, Section, Unmeasured, median, spread

SIZES: Final = (10_000, 1_000_000, 5_000_000)
QUICK_SIZES: Final = (10_000, 1_000_000)
ROUNDS: Final = 30
MADE_WITHIN: Final = 600
"""Seconds to write the largest snapshot."""
REPOSITORY: Final = Path(__file__).parents[1]


def measure(effort: Effort) -> Section:
    """A process for each size, and one with nothing; all stay, and are asked in turns."""
    total = effort.rounds(ROUNDS)
    sizes = SIZES if effort is Effort.FULL else QUICK_SIZES
    with ExitStack() as stack:
        holders = {size: stack.enter_context(_holder()) for size in (0, *sizes)}
        loads = {size: _load(holders[size], size) for size in sizes}
        kills = _take_turns(holders, total)
    return _section(loads, kills, total)


def _holder() -> AbstractContextManager[subprocess.Popen[bytes]]:
    return processes.running([sys.executable, "-m", "bench.holder"], REPOSITORY)


def _load(holder: subprocess.Popen[bytes], size: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="watchword-bench-") as folder:
        file = Path(folder) / "snapshot"
        say(f"membership: writing a snapshot of {size:,} entries")
        command = [sys.executable, "-m", "bench.logs", str(size), str(file)]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, timeout=MADE_WITHIN)
        if done.returncode:
            raise Unmeasured(f"no snapshot of {size:,} entries: {done.stderr.decode().strip()[-300:]}")
        say(f"membership: loading {size:,} entries")
        loaded = ask(holder, "load", file=str(file))
    found = ask(holder, "delta")
    if found["entries"] < size:
        raise Unmeasured(f"of {size:,} entries only {found['entries']:,} are in the set")
    return {**loaded, "delta": found["microseconds"]}


def _take_turns(holders: Mapping[int, subprocess.Popen[bytes]], total: int) -> dict[int, list[float]]:
    """Microseconds to ask about a token, by size and round. The first round warms up."""
    tell = counter("membership", total)
    found: dict[int, list[float]] = {size: [] for size in holders}
    for number in range(total + 1):
        for size, holder in holders.items():
            found[size].append(round(ask(holder, "kills")["microseconds"], 4))
        tell(number)
    return {size: times[1:] for size, times in found.items()}


def _section(loads: Mapping[int, Mapping[str, Any]], kills: Mapping[int, list[float]], total: int) -> Section:
    refused = [f"{size:,}: {told['refused']}" for size, told in loads.items() if "refused" in told]
    return Section(
        "Membership",
        [figure for size, told in loads.items() for figure in _figures(size, told, kills[size])],
        [HEAD, ("0", spread(kills[0], 2), "1", *["–"] * 8), *(_row(size, loads[size], kills) for size in loads)],
        [
            f"Asking: `RevocationSet.kills` for {PRINCIPALS:,} tokens that nothing kills, in random order.",
            f"CPU time, median (lowest to highest) of {total} rounds that alternate between the sizes.",
            "Loading: one signed snapshot, the five kinds in turn; seconds of one load on a thread of its own.",
            "“Opened” is `log.unseal` (signature, base64url, JSON), “applied” is `RevocationSet.apply`.",
            "Longest delay: how much too late another thread of the process woke up meanwhile.",
            "Held: resident memory afterwards over that before, all that the allocator keeps included; peak: at worst.",
            "One more: applying a delta of one entry, which is how revocations arrive; the median of 200.",
            *(
                f"A verifier refuses a snapshot of {text}. Measured all the same, with its bound lifted."
                for text in refused
            ),
        ],
        {f"{size} kills": times for size, times in kills.items()},
    )


def _figures(size: int, told: Mapping[str, Any], kills: list[float]) -> list[Figure]:
    return [
        Figure(f"membership, {size:,} entries: is a token dead", median(kills), "µs"),
        Figure(f"membership, {size:,} entries: load a snapshot", told["unseal"] + told["apply"], "s"),
        Figure(f"membership, {size:,} entries: held by each", told["held"] * 1e6 / size, "bytes"),
    ]


HEAD: Final = (
    "entries",
    "asking, µs",
    "to none",
    "snapshot, MB",
    "opened, s",
    "applied, s",
    "longest delay, ms",
    "held, MB",
    "held by each, bytes",
    "peak, MB",
    "one more, µs",
)


def _row(size: int, told: Mapping[str, Any], kills: Mapping[int, list[float]]) -> tuple[str, ...]:
    more = median([these / none for these, none in zip(kills[size], kills[0], strict=True)])
    return (
        f"{size:,}",
        spread(kills[size], 2),
        f"{more:.1f}",
        f"{told['size']:,.1f}",
        f"{told['unseal']:.2f}",
        f"{told['apply']:.2f}",
        f"{told['delay']:,.0f}",
        f"{told['held']:,.1f}",
        f"{told['held'] * 1e6 / size:,.0f}",
        f"{told['peak']:,.1f}",
        f"{told['delta']:.1f}",
    )
