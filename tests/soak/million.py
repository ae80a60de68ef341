"""A feed with a million live entries: how soon a new verifier is fresh beside a real node, and what it holds."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from bench import logs, processes
from bench.progress import say
from bench.result import Figure, Section, median, spread
from tests.servers.loopback import until
from tests.soak.databases import Database
from tests.stories.processes import Client, Program, Site, deployment, environ, start
from tests.stories.watch import Watch, spans
from watchword_server.changes import Revoke
from watchword_server.flows.issuer import Issuer
from watchword_server.main import load_settings, open_issuer

ROOT = Path(__file__).parents[2]
BATCH = 1000
"""Entries in one transaction."""
LIVE = 3600
"""Seconds for which the entries count."""
WITHIN = 180.0
"""Seconds in which a newcomer must have said what it measured."""
CALLS = 10_000


@dataclass(frozen=True)
class Size:
    """How many entries; how many newcomers one after the other, and then at once."""

    entries: int
    rounds: int
    at_once: int


WHOLE = Size(1_000_000, 5, 4)
BOUNDED = Size(50_000, 2, 2)


@dataclass(frozen=True)
class Visits:
    """What newcomers tell, one after the other and at once; how the node answered others meanwhile; its memory (MB);
    and the CPU seconds that each newcomer costs it.
    """

    alone: Sequence[dict[str, Any]]
    together: Sequence[dict[str, Any]]
    answers: str
    memory: float
    cpu: float


def measure(size: Size, database: Database) -> Section:
    """Fill the log, start a node, and let verifiers come."""
    with (
        tempfile.TemporaryDirectory(prefix="watchword-soak-") as name,
        database.settings() as settings,
        deployment(Path(name), settings=f"log.requests = false\n{settings}", running=False) as site,
    ):
        program = site.new_client("Program")
        say(f"million: writing {size.entries:,} entries")
        filled = asyncio.run(_filled(site, size.entries))
        say(f"million: written in {filled:.0f} s; starting a node")
        ready = site.start()
        return _section(size, database.title, ready, _visited(site, program, size))


async def _filled(site: Site, count: int) -> float:
    """Append entries of every kind that people cause; the seconds that it took."""
    began = time.monotonic()
    async with open_issuer(load_settings(site.config, {})) as issuer:
        changes = _revocations(issuer, count, int(time.time()) + LIVE)
        while batch := list(islice(changes, BATCH)):
            await issuer.stores.journal.save(*batch)
    return time.monotonic() - began


def _revocations(issuer: Issuer, count: int, until: int) -> Iterator[Revoke]:
    for kind in islice(cycle(logs.KINDS), count):
        yield Revoke(kind, issuer.subject() if kind == "subject" else issuer.identifier(), until)


def _visited(site: Site, program: Client, size: Size) -> Visits:
    assert site.server is not None
    token = site.client_token(program)
    with Watch(f"{site.issuer}/readyz") as watch:
        say(f"million: {size.rounds} newcomers, one after the other")
        before = processes.cpu_seconds(site.server.pid)
        alone = [_told(_newcomer(site, token)) for _ in range(size.rounds)]
        cpu = (processes.cpu_seconds(site.server.pid) - before) / size.rounds
        say(f"million: {size.at_once} newcomers at once")
        together = [_told(one) for one in [_newcomer(site, token) for _ in range(size.at_once)]]
    assert all(each["entries"] == size.entries for each in (*alone, *together)), "entries are missing"
    return Visits(alone, together, spans(watch.calls), processes.memory(site.server.pid)[0], cpu)


def _newcomer(site: Site, token: str) -> Program:
    settings = {
        "issuer": site.issuer,
        "audience": site.audience,
        "credentials": site.api.auth,
        "token": token,
        "calls": CALLS,
    }
    command = (sys.executable, "-m", "tests.soak.programs.newcomer", json.dumps(settings))
    return start("newcomer", command, environ(), ROOT)


def _told(program: Program) -> dict[str, Any]:
    until(lambda: program.process.poll() is not None, WITHIN)
    program.stop()
    lines = [line for line in program.lines if line.startswith("{")]
    assert lines, program.said
    found: dict[str, Any] = json.loads(lines[0])
    return found


def _section(size: Size, title: str, ready: float, seen: Visits) -> Section:
    alone = seen.alone
    fresh = [each["fresh"] for each in alone]
    return Section(
        f"A million, {title}",
        [
            Figure(f"{size.entries:,} live entries: a verifier is fresh after, at most", max(fresh), "s", 5),
            Figure(f"{size.entries:,} live entries: a verifier is fresh after, median", median(fresh), "s"),
            Figure(f"{size.entries:,} live entries: held", median([each["held"] for each in alone]), "MB"),
            Figure(f"{size.entries:,} live entries: verify a known token", median([e["known"] for e in alone]), "µs"),
            Figure(f"{size.entries:,} live entries: the node is ready after", ready, "s"),
            Figure(f"{size.entries:,} live entries: memory of the node", seen.memory, "MB"),
            Figure(f"{size.entries:,} live entries: CPU of the node for each newcomer", seen.cpu, "s"),
        ],
        [
            ("newcomers", "fresh after, s", "held, MB", "peak, MB", "longest pause, ms", "known, µs", "first call, µs"),
            _row("one at a time", alone),
            _row(f"{size.at_once} at once", seen.together),
        ],
        [
            "A verifier in a process of its own, from its start until it decides alone; median (lowest to highest).",
            "Longest pause: how much too late another thread of that process woke up meanwhile.",
            f"`/readyz` of the node, asked every 20 ms meanwhile: {seen.answers}.",
        ],
    )


def _row(name: str, told: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    digits = {"fresh": 2, "held": 0, "peak": 0, "pause": 0, "known": 2, "unknown": 0}
    return (name, *(spread([each[field] for each in told], places) for field, places in digits.items()))
