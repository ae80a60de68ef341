"""Clients hear of every logout, from whichever node: once where nothing fails, and in the end where something does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.server.flows.relying import allowed, registered
from tests.server.web.partying import listening, said
from tests.servers.postgres import Postgres
from tests.stories.moving import node
from tests.stories.processes import Site, deployment, free_ports, until
from watchword_server.adapters.sql.postgres import upgrade
from watchword_server.flows import revoking, users
from watchword_server.flows.administration import Operator
from watchword_server.flows.issuer import Caller, Issuer
from watchword_server.main import load_settings, open_issuer
from watchword_server.protocol.values import Client

BY = Operator("test", Caller())
EMAIL = "alice@example.com"
SESSIONS = 40
AGAIN = 12.0
"""Seconds in which a message that failed once is tried again: its pause is 5, and a node looks each 5."""

pytestmark = [pytest.mark.fault, pytest.mark.timeout(180)]


def within(site: Site, act: Callable[[Issuer], Awaitable[object]]) -> object:
    """Do something as another process of this deployment."""

    async def once() -> object:
        async with open_issuer(load_settings(site.config, {})) as issuer:
            return await act(issuer)

    return asyncio.run(once())


def test_of_two_nodes_one_tells_and_where_it_dies_the_other_does(postgres: Postgres, tmp_path: Path) -> None:
    """Two nodes on PostgreSQL hear of the same commit at the same moment; then one is killed, and the client away."""
    url, ports = postgres.database(), free_ports(2)
    asyncio.run(upgrade.migrate(url))
    with ExitStack() as stack:
        site = stack.enter_context(deployment(tmp_path, settings=f'database = "{url}"', api=False))
        second = stack.enter_context(node(site, url, ports[0], tmp_path / "second"))
        second.wait_until_ready(f"http://127.0.0.1:{ports[0]}/readyz")
        with listening(ports[1]) as heard:
            client, sids = _people(site, heard.uri)
            within(site, lambda issuer: revoking.user(issuer, BY, EMAIL, int(time.time())))
            first = until(lambda: heard.forms, within=30)
            took = first + until(lambda: waiting(postgres, url) == 0, within=30)
            assert sorted(said(token)["sid"] for token in heard.tokens) == sorted(sids)
            print(f"\n  {SESSIONS} logout tokens from two nodes: the first after {first:.1f} s, all after {took:.1f} s")

        async def again(issuer: Issuer) -> str:
            grant = await allowed(issuer, client, email=EMAIL)
            await revoking.session(issuer, BY, grant.made_in or "", int(time.time()))
            return grant.made_in or ""

        sid = within(site, again)
        until(lambda: waiting(postgres, url, "AND attempts > 0") == 1, within=10)
        site.kill()
        with listening(ports[1]) as heard:
            took = until(lambda: heard.forms, within=AGAIN)
            assert said(heard.tokens[0])["sid"] == sid
            print(f"  back after {took:.1f} s, told by the node that lives")


def waiting(postgres: Postgres, url: str, more: str = "") -> int:
    """Messages that have not left."""
    return int(postgres.execute(f"SELECT count(*) FROM outbox WHERE due_at IS NOT NULL {more}", url).strip())


def _people(site: Site, uri: str) -> tuple[Client, list[str]]:
    """A person with many sessions, by each of which the client let her in."""

    async def fill(issuer: Issuer) -> tuple[Client, list[str]]:
        await users.add(issuer, BY, EMAIL, "Alice", "alice's Password 1", (), int(time.time()))
        client = await registered(issuer, backchannel_logout_uri=uri)
        return client, [(await allowed(issuer, client, email=EMAIL)).made_in or "" for _ in range(SESSIONS)]

    found = within(site, fill)
    assert isinstance(found, tuple)
    return found
