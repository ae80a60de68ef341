"""Where the peer's CPU time goes while codes are redeemed on SQLite, function by function."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from bench import peer, processes, redeeming, shares
from bench.effort import Effort
from bench.result import Section

CODES: Final = 6_000
WARM_UP: Final = 6_000
ELSEWHERE: Final = "other threads: signatures, compiling, garbage"


def measure(effort: Effort) -> Section:
    """One run under Node's own profiler."""
    count, warm_up = round(CODES * effort.value), round(WARM_UP * effort.value)
    with tempfile.TemporaryDirectory(prefix="watchword-bench-") as folder:
        file = Path(folder) / "profile"
        store = {"sqlite": str(Path(folder) / "jwt.db"), "profile": str(file)}
        challenge, core = redeeming.challenge(), processes.SERVER_CORE
        with peer.with_codes(core, warm_up + count, challenge, "jwt", store) as node:
            target = redeeming.theirs(node, jwt=True, database=None)
            redeeming.redeem(target, warm_up)
            peer.profile(node)
            before = processes.first_thread_seconds(node.pid)
            spent = redeeming.redeem(target, count).cpu
            first = processes.first_thread_seconds(node.pid) - before
        times = {**shares.scaled(shares.of_node(file), first), ELSEWHERE: max(spent - first, 0.0)}
    return Section(
        "Where oidc-provider spends it",
        [],
        [shares.HEAD, *shares.rows(times, count)],
        [
            f"Node's own CPU profiler (V8's, that of `--cpu-prof`); {count:,} codes on SQLite after {warm_up:,}.",
            "Each row is a function's own time on the thread that runs JavaScript, so that all make its CPU time.",
            "It samples by the clock: statements that wait for the disk look dearer than they are.",
            "`jose` has the signatures made on other threads: the row of these is what the process spent besides.",
            "`(program)` is native code under no function; `(garbage collector)` is that of the thread.",
        ],
    )
