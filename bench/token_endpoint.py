"""Tokens per CPU second: our /token on SQLite beside Node's oidc-provider in memory, each alone on one core."""

from __future__ import annotations

import subprocess
import sys
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlencode, urlsplit

import jwt
import msgspec

from bench import deployment, peer, processes
from bench.deployment import AUDIENCE, SCOPE
from bench.effort import Effort
from bench.load import Job, Outcome
from bench.progress import counter, say
from bench.result import Figure, Section, Unmeasured, median, spread

WARM_UP: Final = 20_000
"""Tokens before the first round: with less, Node's compiler has not seen enough and the peer looks slow."""
PER_ROUND: Final = 8_000
ROUNDS: Final = 5
CONNECTIONS: Final = 64
BOUND: Final = 4.0
"""Times the tokens per CPU second of the peer."""
REPOSITORY: Final = Path(__file__).parents[1]
OURS, THEIRS = "watchword", "oidc-provider"


@dataclass(frozen=True, slots=True)
class Target:
    """A token endpoint under load."""

    pid: int
    issuer: str
    url: str
    jwks_uri: str
    client: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Round:
    """What one round cost the server (CPU seconds), and what the clients saw."""

    cpu: float
    outcome: Outcome

    @property
    def per_cpu_second(self) -> float:
        """Tokens."""
        return PER_ROUND / self.cpu

    @property
    def per_second(self) -> float:
        """Tokens on the wall clock."""
        return PER_ROUND / self.outcome.seconds


def measure(effort: Effort) -> Section:
    """Both servers run, one is asked; they take turns."""
    core, total = processes.SERVER_CORE, effort.rounds(ROUNDS)
    with deployment.fresh() as issuer, deployment.served(issuer, core) as process, peer.served(core) as node:
        ours = Target(process.pid, issuer.issuer, f"{issuer.issuer}/token", f"{issuer.issuer}/jwks.json", issuer.client)
        theirs = Target(node.pid, node.issuer, node.token_endpoint, node.jwks_uri, node.client)
        rounds = _take_turns({OURS: ours, THEIRS: theirs}, total)
        return _section(rounds, node.versions)


def _take_turns(targets: Mapping[str, Target], total: int) -> dict[str, list[Round]]:
    for name, target in targets.items():
        say(f"token endpoint: warming up {name}")
        _load(target, WARM_UP)
    tell = counter("token endpoint", total)
    rounds: dict[str, list[Round]] = {name: [] for name in targets}
    for number in range(total):
        for name, target in targets.items():
            rounds[name].append(_round(target))
        tell(number + 1)
    return rounds


def _round(target: Target) -> Round:
    before = processes.cpu_seconds(target.pid)
    outcome = _load(target, PER_ROUND)
    cpu = processes.cpu_seconds(target.pid) - before
    for token in (outcome.first, outcome.last):
        _must_be_genuine(target, token)
    return Round(cpu, outcome)


def _load(target: Target, count: int) -> Outcome:
    place = urlsplit(target.url)
    job = Job(place.hostname or "", place.port or 80, _request(target), count, CONNECTIONS)
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
    return msgspec.json.decode(done.stdout, type=Outcome)


def _request(target: Target) -> str:
    place = urlsplit(target.url)
    body = urlencode({"grant_type": "client_credentials", "scope": SCOPE})
    basic = b64encode(":".join(target.client).encode()).decode()
    return (
        f"POST {place.path} HTTP/1.1\r\n"
        f"Host: {place.netloc}\r\n"
        f"Authorization: Basic {basic}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    )


def _must_be_genuine(target: Target, token: str) -> None:
    """Both servers do the same work: an ES256 access token for the API, signed with a published key."""
    try:
        key = jwt.PyJWKClient(target.jwks_uri).get_signing_key_from_jwt(token)
        jwt.decode(token, key, algorithms=["ES256"], audience=AUDIENCE, issuer=target.issuer)
        typ = jwt.get_unverified_header(token).get("typ")
    except jwt.PyJWTError as error:
        raise Unmeasured(f"a token of {target.issuer} is no good: {error}") from error
    if typ != "at+jwt":
        raise Unmeasured(f"a token of {target.issuer} is no access token")


def _section(rounds: Mapping[str, Sequence[Round]], versions: str) -> Section:
    speed = {name: [round_.per_cpu_second for round_ in these] for name, these in rounds.items()}
    ratios = [ours / theirs for ours, theirs in zip(speed[OURS], speed[THEIRS], strict=True)]
    title = "/token, client_credentials, ES256, tokens per CPU second: watchword to oidc-provider"
    return Section(
        "The token endpoint",
        [Figure(title, median(ratios), "×", BOUND, "at least")],
        [
            ("server", "tokens per CPU second", "tokens per second", "p50, ms", "p99, ms"),
            *(_row(name, these) for name, these in rounds.items()),
            ("ratio", spread(ratios, 2), "", "", ""),
        ],
        [
            f"Theirs: {versions}, with its in-memory adapter, which stores nothing of a JWT access token.",
            "Ours: `watchword serve` on SQLite (WAL, durable commits), with an audit row for every token.",
            "Both: client_secret_basic, the same request, `at+jwt` tokens signed with ES256, no access log.",
            f"Each server is one process on core {processes.SERVER_CORE}; the load is on core {processes.LOAD_CORE}.",
            f"{CONNECTIONS} keep-alive connections with one request in flight on each.",
            f"Median (lowest to highest) of {len(ratios)} alternating rounds of {PER_ROUND:,} tokens.",
            f"Before that, {WARM_UP:,} tokens warm each server up.",
            "CPU seconds are the server's user and system time, all threads. The ratio is taken in each round.",
            "Every answer was a 200 with a token of its own; the first and the last of each round verify.",
        ],
        {f"{name} tokens per CPU second": values for name, values in speed.items()},
    )


def _row(name: str, rounds: Sequence[Round]) -> tuple[str, ...]:
    return (
        name,
        spread([round_.per_cpu_second for round_ in rounds], 0),
        spread([round_.per_second for round_ in rounds], 0),
        spread([round_.outcome.p50 for round_ in rounds], 1),
        spread([round_.outcome.p99 for round_ in rounds], 1),
    )
