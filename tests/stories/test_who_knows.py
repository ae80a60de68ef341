"""Who knows: what `revoke --wait` says of real verifier processes is true, also of those that are killed or frozen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.server.web.follower import Follower
from tests.server.web.served import Programs, Served
from tests.servers.postgres import Postgres
from tests.stories.judges import Judge, judge
from tests.stories.moving import node
from tests.stories.processes import Ran, Site, deployment, free_ports, until
from watchword_server.adapters.sql.postgres import upgrade

REFUSE_AFTER = 6
"""Seconds; not many, so that a test can wait for their end."""
CLOCKS = 5
"""Seconds that the issuer allows for the error of clocks."""
NOBODY = Programs(("", ""), ("", ""), ("", ""), ("", ""), "", "")

pytestmark = [pytest.mark.fault, pytest.mark.timeout(180)]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """An issuer, and no API yet."""
    with deployment(tmp_path, api=False) as found:
        yield found


@contextmanager
def verifiers(site: Site, count: int) -> Iterator[list[Judge]]:
    """Real ones, on record."""
    api = {"audience": site.audience, "client_id": site.api.client_id, "secret": site.api.auth[1]}  # type: ignore[index]
    settings = {"issuer": site.issuer, "apis": [api], "refuse_after": REFUSE_AFTER}
    with ExitStack() as stack:
        judges = [judge("ours", settings) for _ in range(count)]
        for one in judges:
            stack.callback(one.close)
        yield judges


def name(one: Judge) -> str:
    """How a verifier calls itself: by machine and process."""
    return f"-{one.program.pid}"


def listed(site: Site) -> list[str]:
    """Who is known."""
    return [one["name"] for one in site.cli("verifiers")["verifiers"]]


def silent(ran: Ran) -> dict[str, dict[str, Any]]:
    """Who has not acknowledged, by the end of their names."""
    return {f"-{one['name'].rpartition('-')[2]}": one for one in ran.document["revocation"]["verifiers"]["silent"]}


def test_who_is_killed_or_frozen_is_named_and_refuses_in_time(site: Site) -> None:
    """One is killed, one is stopped; the third knows at once, and nobody accepts after what was said."""
    client = site.new_client()
    with verifiers(site, 3) as (killed, frozen, sound):
        judges = (killed, frozen, sound)
        first, second = site.client_token(client), site.client_token(client)
        for one in judges:
            assert one.ask(0, first).word == "accepted"
            assert one.ask(0, second).word == "accepted"

        ran = site.run("revoke", "token", "-", "--wait", stdin=first)
        assert ran.code == 0, ran.out
        assert ran.document["revocation"]["verifiers"] == {"known": 3, "acknowledged": 3, "silent": []}
        assert [one.ask(0, first).word for one in judges] == ["refused"] * 3

        killed.program.kill()
        frozen.freeze()
        frozen.send(2, 0, second)  # the first thing that it finds when it wakes
        before = time.time()
        ran = site.run("revoke", "token", "-", "--wait=3", stdin=second)
        after = time.time()
        assert sound.ask(0, second).word == "refused"
        assert ran.code == 6, ran.out
        assert set(silent(ran)) == {name(killed), name(frozen)}
        ends = {who: one["dead_by"] for who, one in silent(ran).items()}
        assert all(before < end <= after + REFUSE_AFTER + CLOCKS + 1 for end in ends.values())

        until(lambda: time.time() > ends[name(frozen)], within=30)
        frozen.wake()
        until(frozen.has_answered, within=10)
        assert frozen.verdicts[-1].word in ("undecided", "refused")
        until(lambda: frozen.ask(0, second).word == "refused", within=10)
        until(lambda: {f"-{one.rpartition('-')[2]}" for one in listed(site)} == {name(frozen), name(sound)}, within=30)
        third = site.client_token(client)
        assert frozen.ask(0, third).word == "accepted"
        assert site.run("revoke", "token", "-", "--wait", stdin=third).code == 0
        assert [one.ask(0, third).word for one in (frozen, sound)] == ["refused"] * 2


def test_an_issuer_that_is_killed_has_forgotten_nobody(site: Site) -> None:
    """Whoever got a word of it is on record, so what is revoked beside its ruins names them; then they hear of it."""
    token = site.client_token(site.new_client())
    with verifiers(site, 2) as judges:
        for one in judges:
            assert one.ask(0, token).word == "accepted"
        site.kill()
        ran = site.run("revoke", "token", "-", "--wait=0.5", stdin=token)
        assert (ran.code, set(silent(ran))) == (6, {name(one) for one in judges})
        site.restart()
        seq = ran.document["revocation"]["seq"]
        until(lambda: [one["seq"] for one in site.cli("verifiers")["verifiers"]] == [seq] * 2, within=20)
        assert [one.ask(0, token).word for one in judges] == ["refused"] * 2


def test_any_node_takes_the_acknowledgement_and_any_command_waits_for_it(postgres: Postgres, tmp_path: Path) -> None:
    """Two nodes on PostgreSQL, a verifier at each, and a command beside them; then the second node is killed."""
    url, (port,) = postgres.database(), free_ports()
    asyncio.run(upgrade.migrate(url))
    with ExitStack() as stack:
        site = stack.enter_context(deployment(tmp_path, settings=f'database = "{url}"', api=False))
        second = stack.enter_context(node(site, url, port, tmp_path / "second"))
        second.wait_until_ready(f"http://127.0.0.1:{port}/readyz")
        (near,) = stack.enter_context(verifiers(site, 1))
        auth = site.api.auth
        assert auth is not None
        far = Follower(Served(site.issuer, port, tmp_path, NOBODY, second, other_http(stack, port)), auth, "far")
        token = site.client_token(site.new_client())
        with far.at_work():
            assert near.ask(0, token).word == "accepted"
            ran = site.run("revoke", "token", "-", "--wait", stdin=token)
            assert ran.document["revocation"]["verifiers"] == {"known": 2, "acknowledged": 2, "silent": []}, ran.out
            assert near.ask(0, token).word == "refused"
            print(f"\n  dead at 2 of 2 verifiers of two nodes after {ran.document['revocation']['after_ms']} ms")
            second.kill()
            ran = site.run("revoke", "token", "another", "--wait=1")
            told = ran.document["revocation"]["verifiers"]
            assert (ran.code, told["acknowledged"], [one["name"] for one in told["silent"]]) == (6, 1, ["far"]), ran.out


def other_http(stack: ExitStack, port: int) -> httpx2.Client:
    """To the second node."""
    return stack.enter_context(httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=10))
