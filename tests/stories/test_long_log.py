"""A log with very many live entries: what it costs an API to start, and the issuer to have it start.

`WATCHWORD_TEST_ENTRIES=1000000` runs with a million; it is a tenth of that otherwise.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx2
import pytest

from tests.stories.judges import ROOT
from tests.stories.processes import Program, Site, deployment, start, until
from watchword.log import Kind
from watchword_server.changes import Revoke
from watchword_server.main import load_settings, open_issuer

ENTRIES = int(os.environ.get("WATCHWORD_TEST_ENTRIES", "100000"))
KINDS: tuple[Kind, ...] = ("token", "grant", "session", "subject", "client")
AT_ONCE = 20_000
"""Entries of a transaction."""
WITHIN = 5.0
"""Seconds for a cold start of a million, and so for any fewer, where the machine has nothing else to do."""
CROWDED = 6
"""Times as long as that it may take beside others: what it computes itself must fit into WITHIN all the same."""
LATE = 2000.0
"""Milliseconds for which nobody else may be kept waiting, on a machine where twenty programs want two cores."""
FLEET = 4
"""Processes that start in the same moment."""

pytestmark = [pytest.mark.fault, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An issuer that has taken back a great deal in the last hour."""
    with deployment(tmp_path_factory.mktemp("long"), running=False) as found:
        asyncio.run(_fill(found))
        found.start()
        yield found


async def _fill(site: Site) -> None:
    now = int(time.time())
    async with open_issuer(load_settings(site.config, {})) as issuer:
        for begin in range(0, ENTRIES, AT_ONCE):
            numbers = range(begin, min(begin + AT_ONCE, ENTRIES))
            # Forgotten one after the other, as they came; and none of them while this runs.
            wanted = [
                Revoke(KINDS[n % len(KINDS)], secrets.token_urlsafe(16), now + 3600 + 900 * n // ENTRIES)
                for n in numbers
            ]
            await issuer.stores.journal.save(*wanted)


def _starting(site: Site) -> Program:
    program = (sys.executable, "-m", "tests.stories.programs.cold_start", site.issuer, site.api.client_id)
    return start("cold start", (*program, site.api.secret or "", site.audience, str(ENTRIES)), cwd=ROOT)


def _told(program: Program, line: int = 0) -> dict[str, Any]:
    said: list[str] = []

    def is_there() -> bool:
        said[:] = [each for each in program.lines if each.startswith("{")]
        assert program.process.poll() is None or len(said) > line, program.said
        return len(said) > line

    until(is_there, within=300)
    found = json.loads(said[line])
    assert isinstance(found, dict)
    return found


def _knock(url: str, done: Event, late: list[float]) -> None:
    """How many milliseconds the issuer takes for something that costs nothing."""
    with httpx2.Client(trust_env=False, timeout=60) as http:
        while not done.wait(0.005):
            began = time.perf_counter()
            assert http.get(f"{url}/healthz").status_code == 200
            late.append((time.perf_counter() - began) * 1000)


def test_an_api_starts_with_a_long_log(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything read and verified within seconds, and neither its own threads nor the issuer's requests held up."""
    done, late = Event(), [0.0]
    knocking = Thread(target=_knock, args=(site.issuer, done, late))
    knocking.start()
    program = _starting(site)
    try:
        found = _told(program)
    finally:
        done.set()
        knocking.join()
    cost = _idle(program)
    with capsys.disabled():
        print(
            f"\n  {found['entries']:,} entries: fresh after {found['seconds']:.2f} s ({found['cpu']:.2f} s CPU),"
            f" holds {found['held']:.0f} MB, {found['held'] * 1e6 / ENTRIES:.0f} bytes each (at most"
            f" {found['most']:.0f} MB), {found['asking']:.2f} µs to ask about a token"
            f"\n  other threads waited {found['late']:.0f} ms at most, requests to the issuer {max(late):.0f} ms"
            f"\n  following an issuer where nothing happens costs {cost * 1000:.2f} ms of CPU a second"
        )
    assert found["entries"] == ENTRIES
    assert found["cpu"] < WITHIN
    assert found["seconds"] < CROWDED * WITHIN
    assert found["late"] < LATE
    assert max(late) < LATE


def _idle(program: Program, seconds: float = 6.0) -> float:
    """CPU seconds a second of a verifier to which nothing happens."""
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() > end, seconds + 5)
    assert program.process.stdin is not None
    program.process.stdin.close()
    found = _told(program, 1)["idle"]
    program.process.wait(15)
    assert isinstance(found, float)
    return found


def test_a_fleet_that_starts_at_once_costs_the_issuer_little_more_than_one(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """The pages are cut once, whoever reads them."""
    assert site.server is not None
    before = _cpu(site.server)
    fleet = [_starting(site) for _ in range(FLEET)]
    try:
        found = [_told(each) for each in fleet]
    finally:
        for each in fleet:
            each.stop()
    assert {each["entries"] for each in found} == {ENTRIES}
    slowest, spent = max(each["seconds"] for each in found), _cpu(site.server) - before
    with capsys.disabled():
        print(f"\n  {FLEET} at once: all fresh after {slowest:.2f} s, {spent:.2f} s CPU of the issuer")


def _cpu(program: Program) -> float:
    """Seconds that a process has computed."""
    fields = Path(f"/proc/{program.pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
