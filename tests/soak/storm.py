"""Nodes are killed, verifiers killed and frozen, and revocations of every kind go on under load: who accepts what?"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bench import processes
from bench.progress import say
from bench.result import Section
from tests.soak.chaos import Chaos
from tests.soak.databases import Database
from tests.soak.nodes import Cluster, cluster
from tests.soak.rounds import Rounds
from tests.soak.sights import Audience, Verifying
from tests.soak.verdicts import TICK, Size, Storm, judged
from tests.soak.victims import Cast
from tests.stories.history import History
from tests.stories.processes import Program, environ, start

ROOT = Path(__file__).parents[2]
LONG_LIFE = "tokens.access_lifetime = 86400\n"
"""What is refused here was revoked, and no entry is forgotten before the end."""


WHOLE = Size(seconds=300, nodes=3, processes=10, tasks=40, homes=4, probing=2)
BOUNDED = Size(
    seconds=20,
    nodes=2,
    processes=4,
    tasks=6,
    homes=1,
    probing=2,
    stale_after=5,
    refuse_after=8,
    nodes_every=8,
    verifiers_every=2,
)


def measure(size: Size, database: Database) -> Section:
    """Have a storm, and judge it."""
    with tempfile.TemporaryDirectory(prefix="watchword-soak-") as name, database.settings() as settings:
        folder = Path(name)
        say(f"storm: {size.nodes} nodes on {database.title}, {size.processes} verifiers and {size.tasks} more")
        with cluster(folder, size.nodes, f"{LONG_LIFE}{settings}") as found:
            return judged(_played(found, size), database.title)


def _played(found: Cluster, size: Size) -> Storm:
    cast = _cast(found)
    with Audience() as audience, _callers(cast, size) as callers:
        processes = _verifiers(found, size, audience)
        rounds = Rounds(cast, audience, size.hold)
        chaos = Chaos(found.nodes, audience, processes, size.nodes_every, size.verifiers_every, size.refuse_after * 1.3)
        say(f"storm: all verifiers are fresh; {size.seconds:g} s of it from now on")
        groups = _groups(found, audience, callers)
        began, before = time.monotonic(), _cpu(groups)
        rounds.start(size.hands, size.masses)
        chaos.start()
        time.sleep(size.seconds)
        lasted = time.monotonic() - began
        after = _cpu(groups)
        chaos.end()
        rounds.end()
        time.sleep(TICK)
        calls = [call for call in _calls(callers) if began <= call[0] <= began + lasted]
    outages = [span for node in found.nodes for span in node.outages]
    return Storm(
        size, lasted, rounds, chaos, audience, outages, _seqs(History(cast.site)), calls, _share(before, after, lasted)
    )


def _groups(found: Cluster, audience: Audience, callers: Program) -> dict[str, list[int]]:
    """Process ids. Those that are killed meanwhile drop out of the account."""
    alone = [each for each in audience.processes if each.settings["count"] == 1]
    several = [each for each in audience.processes if each.settings["count"] > 1]
    return {
        "nodes": [node.pid for node in found.nodes],
        "verifiers as processes": [each.program.pid for each in alone],
        "verifiers as tasks": [each.program.pid for each in several],
        "callers": [callers.pid],
        "this program": [os.getpid()],
    }


def _cpu(groups: Mapping[str, Sequence[int]]) -> dict[tuple[str, int], float]:
    found = {}
    for name, group in groups.items():
        for pid in group:
            with suppress(OSError):  # it was killed
                found[name, pid] = time.process_time() if pid == os.getpid() else processes.cpu_seconds(pid)
    return found


def _share(
    before: Mapping[tuple[str, int], float], after: Mapping[tuple[str, int], float], seconds: float
) -> dict[str, float]:
    found = {name: 0.0 for name, _ in before}
    for name, pid in before.keys() & after.keys():
        found[name] += (after[name, pid] - before[name, pid]) / seconds
    return found


def _cast(found: Cluster) -> Cast:
    site = found.site
    return Cast(
        site,
        users=tuple(site.new_user() for _ in range(4)),
        departing=tuple(site.new_user() for _ in range(3)),
        app=site.new_client("App", first_party=True, public=True),
        program=site.new_client("Program"),
        victim=site.new_client("Victim"),
    )


def _verifiers(found: Cluster, size: Size, audience: Audience) -> list[Verifying]:
    common = {
        "issuer": found.site.issuer,
        "audience": found.site.audience,
        "credentials": found.site.api.auth,
        "stale_after": size.stale_after,
        "refuse_after": size.refuse_after,
    }
    one = {**common, "count": 1, "probing": 1}
    alone = [audience.add(f"process {number}", one) for number in range(size.processes)]
    several = {**common, "count": size.tasks // size.homes, "probing": size.probing}
    for number in range(size.homes):
        audience.add(f"tasks {number}", several)
    audience.await_ready()
    return alone


@contextmanager
def _callers(cast: Cast, size: Size) -> Iterator[Program]:
    """A hundred requests a second, until the end of the block."""
    hands = min(16, size.rate)
    tokens = [cast.site.sign_in(cast.users[n % len(cast.users)], cast.app)["refresh_token"] for n in range(hands)]
    settings = {
        "port": cast.site.port,
        "rate": size.rate,
        "refresh_tokens": tokens,
        "program": cast.program.auth,
        "api": cast.site.api.auth,
        "device": cast.app.client_id,
    }
    command = (sys.executable, "-m", "tests.soak.programs.callers", json.dumps(settings))
    program = start("callers", command, environ(), ROOT)
    try:
        yield program
    finally:
        program.stop()


def _calls(callers: Program) -> Iterator[tuple[float, float, int, str]]:
    for line in list(callers.lines):
        match line.split():
            case ["=", moment, seconds, status, what]:
                yield float(moment), float(seconds), int(status), what


def _seqs(history: History) -> dict[tuple[str, str], int]:
    return {(entry.kind, entry.id): entry.seq for entry in history.alive()}
