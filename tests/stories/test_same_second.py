"""No clock decides: a token issued in the very second of a revocation is dead if before, alive if after."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.stories.processes import Client, Site, User, deployment, environ

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
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ()
    ) as process:
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
    mint, name = _minting(site, kind)
    for _ in range(ROUNDS):
        before = mint()
        assert site.call(before) == 200
        seq = revoker(kind, name)
        after = mint()
        delays.append(refused_within(site, before))
        assert site.call(after) == 200, "a token made after the revocation was refused"
        assert claims(before)["rev"] < seq <= claims(after)["rev"]
        same += claims(before)["iat"] == claims(after)["iat"]
    assert same >= ROUNDS / 2
    with capsys.disabled():
        ms = sorted(delay * 1000 for delay in delays)
        print(
            f"\n  {kind}: {ROUNDS} rounds, before dead and after alive in each; in {same} within one second of the "
            f"clock; refused after p50 {statistics.median(ms):.1f} ms, max {ms[-1]:.1f} ms"
        )


@pytest.mark.timeout(300)
def test_in_flight_is_dead_exactly_when_it_was_decided_before(
    quiet_site: Site, revoker: Revoker, capsys: pytest.CaptureFixture[str]
) -> None:
    """Minted while the revocation commits: whatever `rev` says is what holds, and nothing else."""
    site, dead = quiet_site, 0
    mint, name = _minting(site, "client")
    for _ in range(ROUNDS):
        made: list[str] = []
        minter = threading.Thread(target=lambda made=made: made.extend(mint() for _ in range(3)))
        minter.start()
        seq = revoker("client", name)
        minter.join()
        marker = mint()
        for token in made:
            if claims(token)["rev"] < seq:
                refused_within(site, token)
                dead += 1
            else:
                assert site.call(token) == 200
        assert site.call(marker) == 200
    with capsys.disabled():
        print(f"\n  in flight: {3 * ROUNDS} tokens minted beside {ROUNDS} revocations, {dead} of them dead by `rev`")


def _minting(site: Site, kind: str) -> tuple[Callable[[], str], str]:
    """How a token of that kind is made, and what to revoke."""
    if kind == "client":
        client: Client = site.new_client()
        return (lambda: site.client_token(client)), client.client_id
    user: User = site.new_user()
    app = site.new_client("App", first_party=True, public=True)
    return (lambda: str(site.sign_in(user, app)["access_token"])), user.email
