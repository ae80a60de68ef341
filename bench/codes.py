"""Codes redeemed per CPU second: ours on SQLite and PostgreSQL beside Node's oidc-provider on the same, all durable."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from bench import database, peer, processes, redeeming
from bench.effort import Effort
from bench.progress import counter, say
from bench.redeeming import CONNECTIONS, Round, Target, challenge
from bench.result import Figure, Section, median, spread

WARM_UP: Final = 6_000
PER_ROUND: Final = 2_000
ROUNDS: Final = 5
SQLITE, POSTGRES = "watchword on SQLite", "watchword on PostgreSQL"
IN_MEMORY: Final = "oidc-provider in memory"
PEERS: Final[Mapping[str, tuple[peer.Format, str]]] = {
    "oidc-provider on SQLite": ("jwt", "sqlite"),
    "oidc-provider on PostgreSQL": ("jwt", "postgres"),
    "oidc-provider on SQLite, opaque access tokens": ("opaque", "sqlite"),
    "oidc-provider on PostgreSQL, opaque access tokens": ("opaque", "postgres"),
    IN_MEMORY: ("jwt", "memory"),
}
"""What it hands out, and where it keeps its models."""
COMPARED: Final[Sequence[tuple[str, str, float | None]]] = (
    (SQLITE, "oidc-provider on SQLite", 3.0),
    (POSTGRES, "oidc-provider on PostgreSQL", 2.0),
    (SQLITE, "oidc-provider on SQLite, opaque access tokens", None),
    (POSTGRES, "oidc-provider on PostgreSQL, opaque access tokens", None),
    (SQLITE, IN_MEMORY, None),
    (POSTGRES, IN_MEMORY, None),
)
"""Ours, theirs, and the bound: times the codes per CPU second of the peer that does the same."""


def measure(effort: Effort) -> Section:
    """All servers run, one is asked; they take turns."""
    total, warm_up = effort.rounds(ROUNDS), round(WARM_UP * effort.value)
    people = warm_up + total * PER_ROUND
    with ExitStack() as stack:
        targets, versions = _running(stack, people)
        return _section(_take_turns(targets, total, warm_up), versions, warm_up)


def _running(stack: ExitStack, people: int) -> tuple[Mapping[str, Target], str]:
    core, postgres = processes.SERVER_CORE, stack.enter_context(database.running())
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="watchword-bench-")))
    pid: int = postgres.running.pid
    targets: dict[str, Target] = {}
    versions = ""
    for name, url in ((SQLITE, None), (POSTGRES, postgres.database())):
        say(f"codes: {people:,} codes for {name}")
        targets[name] = stack.enter_context(redeeming.ours(core, people, url, pid if url else None))
    for name, (format, kind) in PEERS.items():
        say(f"codes: {people:,} codes for {name}")
        node = stack.enter_context(
            peer.with_codes(core, people, challenge(), format, _store(kind, folder / f"{format}.db", postgres))
        )
        targets[name] = redeeming.theirs(node, format == "jwt", pid if kind == "postgres" else None)
        versions = node.versions
    return targets, versions


def _store(kind: str, file: Path, postgres: Any) -> peer.Store:
    match kind:
        case "sqlite":
            return {"sqlite": str(file)}
        case "postgres":
            return {"postgres": postgres.database()}
        case _:
            return {}


def _take_turns(targets: Mapping[str, Target], total: int, warm_up: int) -> Mapping[str, Sequence[Round]]:
    for name, target in targets.items():
        say(f"codes: warming up {name}")
        redeeming.redeem(target, warm_up)
    tell = counter("codes", total)
    rounds: dict[str, list[Round]] = {name: [] for name in targets}
    for number in range(total):
        for name, target in targets.items():
            rounds[name].append(redeeming.redeem(target, PER_ROUND))
        tell(number + 1)
    return rounds


def _section(rounds: Mapping[str, Sequence[Round]], versions: str, warm_up: int) -> Section:
    speed = {name: [round_.per_cpu_second for round_ in these] for name, these in rounds.items()}
    ratios = {
        (ours, theirs): [one / other for one, other in zip(speed[ours], speed[theirs], strict=True)]
        for ours, theirs, _ in COMPARED
    }
    return Section(
        "Redeeming codes",
        [
            Figure(f"codes per CPU second: {ours} to {theirs}", median(ratios[ours, theirs]), "×", bound, "at least")
            for ours, theirs, bound in COMPARED
        ],
        [
            ("server", "per CPU second", "of its database's CPU, ms each", "per second", "p50, ms", "p99, ms"),
            *(_row(name, these) for name, these in rounds.items()),
            *((f"ratio, {one} to {other}", spread(found, 2), *[""] * 4) for (one, other), found in ratios.items()),
        ],
        _notes(versions, warm_up, len(rounds[SQLITE])),
        {f"{name} codes per CPU second": values for name, values in speed.items()},
    )


def _row(name: str, rounds: Sequence[Round]) -> tuple[str, ...]:
    stored = [1000 * round_.database / round_.count for round_ in rounds]
    return (
        name,
        spread([round_.per_cpu_second for round_ in rounds], 0),
        spread(stored, 3) if any(stored) else "in its own",
        spread([round_.per_second for round_ in rounds], 0),
        spread([round_.outcome.p50 for round_ in rounds], 1),
        spread([round_.outcome.p99 for round_ in rounds], 1),
    )


def _notes(versions: str, warm_up: int, rounds: int) -> Sequence[str]:
    return [
        "All: `/token` with code, S256 verifier and redirect URI, client_secret_basic, keep-alive, no access log.",
        "Each answer: access token for the API, RS256 ID token (2048 bits), refresh token.",
        "Ours: `watchword serve`. Code, grant, session and user are read in one look.",
        "Spent code, refresh token and audit row are durable in one transaction, shared with those that wait too.",
        "Of two that race for a code, one is refused. The ID token has an `at_hash`.",
        f"Theirs: {versions}, with an adapter that has a row for each model and prepared statements.",
        "Code, session, grant and account are read; spent code and refresh token are written, each durable by itself.",
        "It writes no audit row; of two that race for a code, both may get tokens; the ID token has no `at_hash`.",
        "Both sign access tokens as `at+jwt` with ES256, theirs by resource indicators.",
        "Opaque access tokens are its default: one row more and one signature less.",
        "In memory, nothing is durable: a Map, since its own adapter forgets all but the last 1,000 rows.",
        "SQLite: WAL and `synchronous` FULL for all, in the server's process; theirs is Node's own `node:sqlite`.",
        "PostgreSQL: `fsync` and `synchronous_commit` on for all; theirs is `pg` with 16 connections.",
        "The codes were made before, each of a person with a session and a grant of their own.",
        f"Each server is one process on core {processes.SERVER_CORE}.",
        f"Load and PostgreSQL are on core {processes.LOAD_CORE}: they bound what comes per second.",
        f"{CONNECTIONS} keep-alive connections with one request in flight on each.",
        f"Median (lowest to highest) of {rounds} alternating rounds of {PER_ROUND:,} codes; {warm_up:,} warm each up.",
        "CPU seconds are the server's user and system time, all threads. The ratio is taken in each round.",
        "Every answer was a 200 with three tokens, the access token one of its own; the last of each round verify.",
    ]
