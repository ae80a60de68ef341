"""Refreshes per CPU second: ours on SQLite and on PostgreSQL, durable, beside Node's oidc-provider in memory."""

from __future__ import annotations

import subprocess
import sys
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlencode, urlsplit

import msgspec

from bench import database, deployment, peer, processes, seed
from bench.effort import Effort
from bench.load import REFRESH, Job, Outcome
from bench.progress import counter, say
from bench.result import Figure, Section, Unmeasured, median, spread

WARM_UP: Final = 10_000
PER_ROUND: Final = 4_000
ROUNDS: Final = 5
CONNECTIONS: Final = 64
BOUND: Final = 2.0
"""Times the refreshes per CPU second of the peer."""
REPOSITORY: Final = Path(__file__).parents[1]
SQLITE, POSTGRES, THEIRS = "watchword on SQLite", "watchword on PostgreSQL", "oidc-provider"


@dataclass(slots=True)
class Target:
    """A token endpoint under load, with the refresh token that each connection has at the moment."""

    pid: int
    url: str
    client: tuple[str, str]
    tokens: tuple[str, ...]
    database: int | None = None
    """The process of its database, where that is another."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one round cost (CPU seconds of the server, and of its database), and what the clients saw."""

    cpu: float
    database: float
    outcome: Outcome

    @property
    def per_cpu_second(self) -> float:
        """Refreshes."""
        return PER_ROUND / self.cpu

    @property
    def per_second(self) -> float:
        """Refreshes on the wall clock."""
        return PER_ROUND / self.outcome.seconds


def measure(effort: Effort) -> Section:
    """All servers run, one is asked; they take turns."""
    core, total = processes.SERVER_CORE, effort.rounds(ROUNDS)
    with ExitStack() as stack:
        postgres = stack.enter_context(database.running())
        node = stack.enter_context(peer.served(core, CONNECTIONS))
        targets = {
            SQLITE: _ours(stack, None, None),
            POSTGRES: _ours(stack, postgres.database(), postgres.running.pid),
            THEIRS: Target(node.pid, node.token_endpoint, node.client, node.refresh_tokens),
        }
        return _section(_take_turns(targets, total), node.versions)


def _ours(stack: ExitStack, url: str | None, pid: int | None) -> Target:
    issuer = stack.enter_context(deployment.fresh(url))
    with seed.sower(issuer) as sower:
        tokens = sower.sign_in(CONNECTIONS)
    process = stack.enter_context(deployment.served(issuer, processes.SERVER_CORE))
    return Target(process.pid, f"{issuer.issuer}/token", issuer.client, tuple(tokens), pid)


def _take_turns(targets: Mapping[str, Target], total: int) -> dict[str, list[Round]]:
    for name, target in targets.items():
        say(f"refresh: warming up {name}")
        _load(target, WARM_UP)
    tell = counter("refresh", total)
    rounds: dict[str, list[Round]] = {name: [] for name in targets}
    for number in range(total):
        for name, target in targets.items():
            rounds[name].append(_round(target))
        tell(number + 1)
    return rounds


def _round(target: Target) -> Round:
    before, stored = processes.cpu_seconds(target.pid), _database(target)
    outcome = _load(target, PER_ROUND)
    return Round(processes.cpu_seconds(target.pid) - before, _database(target) - stored, outcome)


def _database(target: Target) -> float:
    return 0.0 if target.database is None else processes.cpu_seconds(target.database)


def _load(target: Target, count: int) -> Outcome:
    place = urlsplit(target.url)
    job = Job(place.hostname or "", place.port or 80, _request(target), count, CONNECTIONS, target.tokens)
    with processes.on_core(processes.LOAD_CORE):
        done = subprocess.run(
            [sys.executable, "-m", "bench.load"],
            cwd=REPOSITORY,
            input=msgspec.json.encode(job),
            capture_output=True,
            timeout=180,
        )
    if done.returncode:
        raise Unmeasured(f"the load failed: {done.stderr.decode().strip().splitlines()[-1]}")
    outcome = msgspec.json.decode(done.stdout, type=Outcome)
    target.tokens = outcome.refresh
    return outcome


def _request(target: Target) -> str:
    place = urlsplit(target.url)
    form = urlencode({"grant_type": "refresh_token", "refresh_token": ""})
    basic = b64encode(":".join(target.client).encode()).decode()
    return (
        f"POST {place.path} HTTP/1.1\r\n"
        f"Host: {place.netloc}\r\n"
        f"Authorization: Basic {basic}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(form) + len(target.tokens[0])}\r\n\r\n{form}{REFRESH}"
    )


def _section(rounds: Mapping[str, Sequence[Round]], versions: str) -> Section:
    speed = {name: [round_.per_cpu_second for round_ in these] for name, these in rounds.items()}
    ratios = {
        name: [ours / theirs for ours, theirs in zip(speed[name], speed[THEIRS], strict=True)]
        for name in (SQLITE, POSTGRES)
    }
    return Section(
        "Refresh",
        [
            Figure(f"refreshes per CPU second: {name} to oidc-provider", median(found), "×", BOUND, "at least")
            for name, found in ratios.items()
        ],
        [
            ("server", "per CPU second", "of its database's CPU, ms each", "per second", "p50, ms", "p99, ms"),
            *(_row(name, these) for name, these in rounds.items()),
            *((f"ratio, {name}", spread(found, 2), "", "", "", "") for name, found in ratios.items()),
        ],
        [
            f"Theirs: {versions}, with its in-memory adapter: nothing is durable, and nothing is audited.",
            "Ours: `watchword serve`; the spent token, its successor and an audit row are durable before the answer.",
            "Each refresh reads token, grant, session and user, spends the token, and signs an ES256 `at+jwt` token.",
            "All: client_secret_basic, rotation at every use, no access log.",
            f"Each server is one process on core {processes.SERVER_CORE}.",
            f"Load and PostgreSQL are on core {processes.LOAD_CORE}: they bound what comes per second.",
            f"{CONNECTIONS} keep-alive connections, each with a person of its own and one request in flight.",
            f"Median (lowest to highest) of {len(rounds[THEIRS])} alternating rounds of {PER_ROUND:,} refreshes.",
            f"Before that, {WARM_UP:,} warm each server up.",
            "CPU seconds are the server's user and system time, all threads. The ratio is taken in each round.",
        ],
        {f"{name} refreshes per CPU second": values for name, values in speed.items()},
    )


def _row(name: str, rounds: Sequence[Round]) -> tuple[str, ...]:
    stored = [1000 * round_.database / PER_ROUND for round_ in rounds]
    return (
        name,
        spread([round_.per_cpu_second for round_ in rounds], 0),
        spread(stored, 3) if any(stored) else "in its own",
        spread([round_.per_second for round_ in rounds], 0),
        spread([round_.outcome.p50 for round_ in rounds], 1),
        spread([round_.outcome.p99 for round_ in rounds], 1),
    )
