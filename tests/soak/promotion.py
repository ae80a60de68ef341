"""`watchword promote` of a large deployment, while its clients go on refreshing and nobody is signed out."""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench.progress import say
from bench.result import Figure, Section
from tests.servers import postgres
from tests.servers.loopback import free_ports, until
from tests.soak.nodes import Node, balanced
from tests.stories.history import History
from tests.stories.processes import Client, Program, Site, deployment, environ, start
from tests.stories.seeding import Seeded, fill

ROOT = Path(__file__).parents[2]
WITHIN = 1800.0
"""Seconds for the whole move."""
AROUND = 5.0
"""Seconds for which clients go on before it and after it."""


@dataclass(frozen=True)
class Size:
    """How much is moved; how many devices refresh meanwhile, how often a second in all; how many are tried after."""

    users: int
    sessions: int
    devices: int = 20
    rate: int = 50
    sample: int = 500


WHOLE = Size(users=100_000, sessions=200_000)
BOUNDED = Size(users=2_000, sessions=4_000, sample=100)


@dataclass(frozen=True)
class Moved:
    """What was answered, and what everybody else saw of it."""

    document: Mapping[str, Any]
    calls: Sequence[tuple[float, float, int, str]]
    refused: int
    """Sign-ins of the sample that could not be refreshed afterwards."""
    known: int
    """Entries of the log that a reader had before, went on from, and has now."""


def measure(size: Size) -> Section:
    """Fill a SQLite deployment, serve it, move it, and ask it for everything it had."""
    with (
        tempfile.TemporaryDirectory(prefix="watchword-soak-") as name,
        postgres.server() as server,
        deployment(Path(name), settings="log.requests = false\n", running=False) as site,
    ):
        app, program = site.new_client("App", first_party=True, public=True), site.new_client("Program")
        say(f"promotion: making {size.users:,} users with {size.sessions:,} sessions")
        made = fill(site.data / "watchword.db", app.client_id, site.audience, size.users, size.sessions)
        return _section(size, _moved(site, server.database(), app, program, made, size))


def _moved(site: Site, url: str, app: Client, program: Client, made: Seeded, size: Size) -> Moved:
    old, new = (Node(site, port) for port in free_ports(2))
    new.config = _elsewhere(site, url)
    old.start()
    try:
        with balanced(site.port, (old, new)), _callers(site, app, program, made, size) as callers:
            history = History(site)
            site.sign_out(site.refresh(app, made.refresh_token(size.sessions - 1)).json()["access_token"])
            before = len(history.news()) + history.known.seq
            time.sleep(AROUND)
            document = _promoted(site, url, new)
            old.stop()
            new.await_ready()
            time.sleep(AROUND)
            calls = list(_calls(callers))
            site.sign_out(site.refresh(app, made.refresh_token(size.sessions - 2)).json()["access_token"])
            assert len(history.news()) == 1, "the log went on as another one"
            return Moved(document, calls, _refused(site, app, made, size), before)
    finally:
        old.stop()
        new.stop()


def _elsewhere(site: Site, url: str) -> Path:
    """The settings of a node on PostgreSQL."""
    config = site.folder / "postgres.toml"
    config.write_text(f'database = "{url}"\n{site.config.read_text()}')
    return config


def _promoted(site: Site, url: str, new: Node) -> Mapping[str, Any]:
    """Run the command; as soon as there is something on PostgreSQL, start the node that will wait for the rest."""
    command = (sys.executable, "-m", "watchword_server", "promote", "--yes", "--json", "--config", str(site.config))
    program = start("promote", command, environ(WATCHWORD_DATABASE=url), site.folder)
    until(lambda: _stages(program) & {"index", "compare", "follow"} or program.process.poll() is not None, WITHIN)
    if program.process.poll() is None:
        new.launch()
    until(lambda: program.process.poll() is not None, WITHIN)
    code = program.stop()
    assert code == 0, program.said
    if new.program is None:
        new.launch()
    found: Mapping[str, Any] = json.loads("\n".join(line for line in program.lines if '"stage"' not in line))
    return found


def _stages(program: Program) -> set[str]:
    return {json.loads(line)["stage"] for line in list(program.lines) if '"stage"' in line}


@contextmanager
def _callers(site: Site, app: Client, program: Client, made: Seeded, size: Size) -> Iterator[Program]:
    settings = {
        "port": site.port,
        "rate": size.rate,
        "refresh_tokens": [made.refresh_token(number) for number in range(size.devices)],
        "program": program.auth,
        "api": site.api.auth,
        "device": app.client_id,
    }
    command = (sys.executable, "-m", "tests.soak.programs.callers", json.dumps(settings))
    callers = start("callers", command, environ(), ROOT)
    try:
        yield callers
    finally:
        callers.stop()


def _calls(callers: Program) -> Iterator[tuple[float, float, int, str]]:
    for line in list(callers.lines):
        match line.split():
            case ["=", moment, seconds, status, what]:
                yield float(moment), float(seconds), int(status), what


def _refused(site: Site, app: Client, made: Seeded, size: Size) -> int:
    """How many of some sign-ins, by chance, are no longer what they were."""
    numbers = random.sample(range(size.devices, size.sessions - 2), min(size.sample, size.sessions - size.devices - 2))
    return sum(site.refresh(app, made.refresh_token(number)).status_code != 200 for number in numbers)


def _section(size: Size, moved: Moved) -> Section:
    refreshes = [call for call in moved.calls if call[3].startswith("refresh")]
    lost = sum(400 <= status < 500 for _, _, status, _ in moved.calls)
    title = f"promote of {size.users:,} users and {size.sessions:,} sessions"
    return Section(
        "Promotion",
        [
            Figure(f"{title}: in all", moved.document["seconds"], "s"),
            Figure(f"{title}: nobody can write", moved.document["pause"], "s"),
            Figure(f"{title}: longest gap between two refreshes of any client", _gap(refreshes), "s"),
            Figure(f"{title}: refused because they were signed out", lost, "calls", 0),
            Figure(f"{title}: sign-ins that cannot be refreshed after it", moved.refused, f"of {size.sample}", 0),
            Figure(f"{title}: refreshes meanwhile", sum(call[2] == 200 for call in refreshes), "", 20, "at least"),
        ],
        [
            ("what", "figure"),
            ("rows", f"{moved.document['rows']:,}"),
            ("answers", ", ".join(f"{said} {count:,}" for said, count in _statuses(moved))),
        ],
        [
            f"{size.devices} devices refresh, programs get tokens, an API introspects: {size.rate} requests a second.",
            "The old node is stopped as soon as the command has ended; the new one waited beside it.",
            "A reader of the revocation log goes on where it stood, and hears of what is revoked afterwards.",
        ],
    )


def _gap(refreshes: Sequence[tuple[float, float, int, str]]) -> float:
    """Seconds."""
    ends = sorted(sent + seconds for sent, seconds, status, _ in refreshes if status == 200)
    return max((later - sooner for sooner, later in pairwise(ends)), default=float("inf"))


def _statuses(moved: Moved) -> list[tuple[str, int]]:
    """What was answered: a status, and which error to what."""
    found = [f"{status or 'nobody'} {what.partition(':')[2] and what}".strip() for _, _, status, what in moved.calls]
    return sorted((said, found.count(said)) for said in set(found))
