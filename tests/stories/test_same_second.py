"""No clock decides: a token issued in the very second of a revocation is dead if before, alive if after."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.stories import raw
from tests.stories.processes import Site, deployment, environ
from tests.stories.raw import Line

pytestmark = pytest.mark.fault

ROUNDS = int(os.environ.get("WATCHWORD_TEST_ROUNDS", "200"))
PROMISE = 1.0
"""Seconds."""


@dataclass
class Revoker:
    """An operator's process beside the issuer."""

    process: subprocess.Popen[str]

    def __call__(self, kind: str, name: str) -> int:
        """Revoke; the entry's `seq`, as it was answered."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{kind} {name}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@pytest.fixture(scope="module")
def quiet_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site whose issuer logs no requests, so that the express lane is open."""
    with deployment(tmp_path_factory.mktemp("quiet"), settings="log.requests = false") as site:
        yield site


@pytest.fixture(scope="module")
def revoker(quiet_site: Site) -> Iterator[Revoker]:
    """Started once, ended at the end."""
    command = [sys.executable, "-m", "tests.stories.programs.revoker", str(quiet_site.config)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ()) as process:
        yield Revoker(process)
        assert process.stdin is not None
        process.stdin.close()


def claims(token: str) -> dict[str, int]:
    """What a token says, unverified: the API verifies it."""
    part = token.split(".")[1]
    found: dict[str, int] = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def refused_within(site: Site, token: str) -> float:
    """Seconds until the API refuses it."""
    start = time.monotonic()
    while site.call(token) != 401:
        assert time.monotonic() - start < PROMISE, "a revoked token was accepted for a second"
    return time.monotonic() - start


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["client", "user"])
def test_before_is_dead_and_after_is_alive(
    quiet_site: Site, revoker: Revoker, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """200 times: a token, a revocation by another process, a token. The clock mostly stands still meanwhile."""
    site, same, delays = quiet_site, 0, []
    with _minting(site, kind) as mint:
        for _ in range(ROUNDS):
            before = mint()
            assert site.call(before) == 200
            seq = revoker(kind, mint.name)
            after = mint()
            assert site.call(after) == 200, "a token made after the revocation was refused before it was heard of"
            delays.append(refused_within(site, before))
            assert site.call(after) == 200, "a token made after the revocation was refused"
            assert claims(before)["rev"] < seq <= claims(after)["rev"]
            same += claims(before)["iat"] == claims(after)["iat"]
        assert same >= ROUNDS / 2
        assert mint.express >= ROUNDS or kind == "user", "most of these should have come by the express lane"
        with capsys.disabled():
            print(
                f"\n  {kind}: {ROUNDS} rounds, before dead and after alive in each; in {same} within one second of the "
                f"clock; refused after {_figures(delays)}; {mint.express} tokens by the express lane"
            )


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["client", "user"])
def test_in_flight_is_dead_exactly_when_it_was_decided_before(
    quiet_site: Site, revoker: Revoker, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Minted while the revocation commits: whatever `rev` says is what holds, and nothing else.

    A sign-in that the revocation overtakes may also be refused: then there is no token.
    """
    site, outcomes = quiet_site, Counter[str]()
    with _minting(site, kind) as mint:
        for number in range(ROUNDS):
            marker = mint()
            with ThreadPoolExecutor(1) as pool:
                minted = pool.submit(_several, mint, 3 if kind == "client" else 2)
                time.sleep(number % 10 * mint.takes / 8)  # so that the revocation meets every moment of it
                seq = revoker(kind, mint.name)
                tokens = minted.result()
            outcomes["refused"] += tokens.count("")
            refused_within(site, marker)  # from here on the API knows of the revocation
            for token in filter(None, tokens):
                alive = claims(token)["rev"] >= seq
                assert site.call(token) == (200 if alive else 401)
                outcomes["alive" if alive else "dead"] += 1
    assert outcomes["dead"]
    assert outcomes["alive"] or kind == "user", "a sign-in that is overtaken is mostly refused"
    with capsys.disabled():
        print(f"\n  {kind} in flight: beside {ROUNDS} revocations: {dict(outcomes)}, each as its `rev` says")


def _several(mint: Minting, count: int) -> list[str]:
    return [mint.attempt() or "" for _ in range(count)]


@dataclass
class Minting:
    """Makes tokens of one kind. `takes` is about how many seconds one needs."""

    name: str
    attempt: Callable[[], str | None]
    """A token, or None where it was refused."""
    takes: float = 0.0
    express: int = 0

    def __call__(self) -> str:
        """A token."""
        token = self.attempt()
        assert token is not None
        return token


@contextmanager
def _minting(site: Site, kind: str) -> Iterator[Minting]:
    with Line(site) as line:
        mint = _of_client(site, line) if kind == "client" else _of_user(site)
        mint()
        start = time.monotonic()
        mint()
        mint.takes, mint.express = time.monotonic() - start, 0
        yield mint


def _of_client(site: Site, line: Line) -> Minting:
    """The same bytes again and again, in one segment each: nothing may be remembered for too long."""
    client = site.new_client()
    request = raw.client_token(site, client)

    def attempt() -> str:
        line.send(request)
        answer = line.answer()
        assert answer is not None
        assert answer.status == 200, answer
        mint.express += list(answer.headers)[-1] == "content-length"  # the door ends with the request id
        return str(answer.document["access_token"])

    mint = Minting(client.client_id, attempt)
    return mint


def _of_user(site: Site) -> Minting:
    user, app = site.new_user(), site.new_client("App", first_party=True, public=True)
    body = {"client_id": app.client_id, "email": user.email, "password": user.password}

    def attempt() -> str | None:
        answer = site.http.post(f"{site.issuer}/session", json=body)
        if answer.status_code == 400:
            assert answer.json()["error"] == "invalid_grant"
            return None
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    return Minting(user.email, attempt)


def _figures(delays: list[float]) -> str:
    ms = sorted(delay * 1000 for delay in delays)
    p99 = statistics.quantiles(ms, n=100)[98] if len(ms) > 1 else ms[0]
    return f"p50 {statistics.median(ms):.1f} ms, p99 {min(p99, ms[-1]):.1f} ms, max {ms[-1]:.1f} ms"
