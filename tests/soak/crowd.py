"""One node and a thousand verifiers: how long a revocation takes to all of them, and what each costs the node."""

from __future__ import annotations

import http.client
import json
import resource
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bench import processes
from bench.load import rank
from bench.progress import say
from bench.result import Figure, Section
from tests.servers.loopback import until
from tests.soak.databases import Database
from tests.stories.history import History
from tests.stories.processes import Client, Program, Site, deployment, environ, start

ROOT = Path(__file__).parents[2]
STREAMS_EACH = 250
"""Readers in one process."""
ANSWER_WITHIN = 60.0


@dataclass(frozen=True)
class Size:
    """How many, for how many seconds, and how many revocations a second."""

    readers: int = 980
    verifiers: int = 20
    seconds: float = 30.0
    rate: float = 10.0
    idle: float = 10.0
    acknowledge: bool = True


WHOLE = Size()
BOUNDED = Size(readers=195, verifiers=5, seconds=6.0, idle=3.0)


@dataclass(frozen=True)
class Cost:
    """What the node used. `cpu` is in seconds per second, memory in MB: before there was anybody, and with all."""

    before: float
    after: float
    idle: float
    busy: float


def measure(size: Size, database: Database) -> Section:
    """Connect them all, wait, revoke; then ask everybody when they knew."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with (
        tempfile.TemporaryDirectory(prefix="watchword-soak-") as name,
        database.settings() as settings,
        deployment(Path(name), settings=f"log.requests = false\n{settings}", api=False) as site,
    ):
        return _section(size, database.title, *_measured(site, size))


def _measured(site: Site, size: Size) -> tuple[Cost, list[dict[str, Any]], float]:
    assert site.server is not None
    pid, program = site.server.pid, site.new_client("Program")
    history = History(site)
    history.news()
    with ExitStack() as stack:
        before = processes.memory(pid)[0]
        say(f"crowd: connecting {size.readers} readers and {size.verifiers} verifiers")
        crowd = list(_crowd(stack, site, size, history.known.log))
        idle = _cpu(pid, lambda: time.sleep(size.idle))
        after = processes.memory(pid)[0]
        tokens = [site.client_token(program) for _ in range(int(size.seconds * size.rate))]
        say(f"crowd: {len(tokens)} revocations")
        answers: list[tuple[int, float]] = []
        began = time.monotonic()
        busy = _cpu(pid, lambda: answers.extend(_revoked(site, program, tokens, size.rate, history.known.seq)))
        rate = len(tokens) / (time.monotonic() - began)
        assert len(history.news()) == len(tokens), "each revocation is one entry, and nobody else revokes"
        time.sleep(1)  # whoever has not heard by then never does, or is far outside of every bound
        return Cost(before, after, idle, busy), [_asked(each, answers) for each in crowd], rate


def _crowd(stack: ExitStack, site: Site, size: Size, log: str) -> Iterator[Program]:
    left, verifiers = size.readers, size.verifiers
    while left or verifiers:
        readers = min(left, STREAMS_EACH)
        yield stack.enter_context(_process(site, size, log, readers, 0 if readers else verifiers))
        left -= readers
        verifiers = verifiers if readers else 0


@contextmanager
def _process(site: Site, size: Size, log: str, readers: int, verifiers: int) -> Iterator[Program]:
    settings = {
        "issuer": site.issuer,
        "audience": site.audience,
        "port": site.port,
        "credentials": site.api.auth,
        "readers": readers,
        "verifiers": verifiers,
        "name": "crowd",
        "log": log,
        "acknowledge": size.acknowledge,
    }
    command = (sys.executable, "-m", "tests.soak.programs.readers", json.dumps(settings))
    program = start("readers", command, environ(), ROOT)
    try:
        until(lambda: "ready" in program.lines or _must_run(program), ANSWER_WITHIN)
        yield program
    finally:
        program.stop()


def _must_run(program: Program) -> bool:
    assert program.process.poll() is None, program.said
    return False


def _cpu(pid: int, work: Any) -> float:
    """CPU seconds that a process uses each second while something is done."""
    before, began = processes.cpu_seconds(pid), time.monotonic()
    work()
    return (processes.cpu_seconds(pid) - before) / (time.monotonic() - began)


def _revoked(site: Site, client: Client, tokens: Sequence[str], rate: float, seq: int) -> Iterator[tuple[int, float]]:
    """Revoke one after the other, at an even rate; of each its `seq`, and when it was answered."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=20)
    pair = b64encode(f"{client.client_id}:{client.secret}".encode()).decode()
    headers = {"Authorization": f"Basic {pair}", "Content-Type": "application/x-www-form-urlencoded"}
    began = time.monotonic()
    for number, token in enumerate(tokens):
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        connection.request("POST", "/revoke", urlencode({"token": token}), headers)
        answer = connection.getresponse()
        moment = time.monotonic()
        answer.read()
        assert answer.status == 200
        yield seq + number + 1, moment
    connection.close()


def _asked(program: Program, answers: Sequence[tuple[int, float]]) -> dict[str, Any]:
    """When everybody in a process knew."""
    pipe = program.process.stdin
    assert pipe is not None
    pipe.write(json.dumps(answers) + "\n")
    pipe.flush()
    until(lambda: _told(program) or _must_run(program), ANSWER_WITHIN)
    found: dict[str, Any] = json.loads(_told(program)[0])
    return found


def _told(program: Program) -> list[str]:
    """Answers; what the SDK logs is none."""
    return [line for line in program.lines if line.startswith("{")]


def _section(size: Size, title: str, cost: Cost, found: Sequence[dict[str, Any]], rate: float) -> Section:
    readers = [each for one in found for each in one["readers"]]
    verifiers = [each for one in found for each in one["verifiers"]]
    everybody, count = sorted(readers + verifiers), size.readers + size.verifiers
    return Section(
        f"Crowd, {title}",
        [
            Figure(f"crowd: from the answer to {count:,} verifiers, p99", rank(everybody, 0.99), "ms", 150),
            Figure(f"crowd: from the answer to {count:,} verifiers, p50", rank(everybody, 0.5), "ms"),
            Figure("crowd: never arrived", sum(one["missing"] for one in found), "", 0),
            Figure("crowd: revocations a second", rate, "", 0.95 * size.rate, "at least"),
            Figure("crowd: memory of the node for each connection", 1000 * (cost.after - cost.before) / count, "kB"),
            Figure("crowd: CPU of the node for each connection, nothing revoked", 1e6 * cost.idle / count, "µs/s"),
            Figure("crowd: CPU of the node for each connection, revoking", 1e6 * cost.busy / count, "µs/s"),
        ],
        [
            ("", "p50, ms", "p99, ms", "longest, ms", "arrivals"),
            _row("readers", readers),
            _row("verifiers", verifiers),
        ],
        [
            f"{size.readers} readers that only parse, and {size.verifiers} `Verifier`s, on one machine with the node.",
            f"Every one of them acknowledges, once a second at most: {'yes' if size.acknowledge else 'no'}.",
            f"The node without connections: {cost.before:.1f} MB; with all of them: {cost.after:.1f} MB (RSS).",
            f"Its CPU: {100 * cost.idle:.1f} % of a core with heartbeats only, {100 * cost.busy:.1f} % while revoking.",
            "From the moment at which the durable revocation was answered to that at which a reader had parsed it,",
            "for every pair of a revocation and a reader. Verifiers are looked at every 2 ms.",
        ],
    )


def _row(name: str, found: Sequence[float]) -> tuple[str, ...]:
    if not found:
        return (name, "", "", "", "0")
    p50, p99 = rank(list(found), 0.5), rank(list(found), 0.99)
    return (name, f"{p50:.1f}", f"{p99:.1f}", f"{max(found):.1f}", f"{len(found):,}")
