"""A deployment on a database of its own, who is registered there, and what a program or a person asks of it."""

from __future__ import annotations

import sqlite3
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jwt

from tests.server.key_ages import LONG, born
from watchword.policy import Principal
from watchword_server.flows import clients, users
from watchword_server.flows.administration import Operator
from watchword_server.flows.issuer import Caller, Issuer
from watchword_server.flows.minting import Tokens
from watchword_server.flows.sign_in import SignedIn, SignIn, sign_in
from watchword_server.flows.token import TokenRequest, answer
from watchword_server.main import load_settings, open_issuer
from watchword_server.protocol.client_authentication import BASIC, NONE, Credentials

URL = "http://localhost:8000"
AUDIENCE, OTHER_AUDIENCE = "https://orders.example", "https://stock.example"
SCOPES = ("orders:read", "orders:write")
NOW = int(time.time())
ALICE, BOB = "alice@example.com", "bob@example.com"
PASSWORDS = {ALICE: "alice's Password 1", BOB: "bob's Password 2"}
CALLER = Caller("192.0.2.7", "test/1", "request-1")
BY = Operator("tester", Caller("", "", ""))


@dataclass(frozen=True)
class Program:
    """A registered client or API. A public client has no secret."""

    client_id: str
    secret: str | None = field(default=None, repr=False)

    @property
    def authorization(self) -> str | None:
        """The value of its Authorization header."""
        if self.secret is None:
            return None
        return "Basic " + b64encode(f"{self.client_id}:{self.secret}".encode()).decode()


@dataclass(frozen=True)
class Programs:
    """Who is registered. All may have all scopes of the first API."""

    api: Program
    machine: Program
    """Confidential, for client_credentials."""
    web: Program
    """Confidential and first-party; its refresh tokens rotate."""
    keeper: Program
    """As web, but its refresh tokens stay."""
    page: Program
    """Public and first-party."""


@dataclass(frozen=True)
class House:
    """One process's view of a deployment."""

    issuer: Issuer
    data: Path
    known: Programs

    async def sub(self, email: str = ALICE) -> str:
        """Somebody's `sub`."""
        return (await users.find(self.issuer, email)).sub

    async def sign_in(
        self, email: str = ALICE, client: Program | None = None, password: str | None = None, now: float = NOW
    ) -> SignedIn:
        """`POST /session`, by default of the public client."""
        client = client or self.known.page
        given = Credentials(client.client_id, BASIC if client.secret else NONE, client.secret)
        ask = SignIn(given, email, PASSWORDS[email] if password is None else password, None, None, None)
        return await sign_in(self.issuer, ask, CALLER, now)

    async def refresh(self, raw: str | None, client: Program | None = None, now: int = NOW, **form: str) -> Tokens:
        """`POST /token` with a refresh token."""
        assert raw is not None
        return await self.ask(
            client or self.known.page, {"grant_type": "refresh_token", "refresh_token": raw, **form}, now
        )

    async def ask(self, client: Program, form: dict[str, str], now: int = NOW) -> Tokens:
        """`POST /token`."""
        header = client.authorization
        whole = form if header else {**form, "client_id": client.client_id}
        body = urlencode(whole).encode()
        return await answer(self.issuer, TokenRequest(header, whole, body, CALLER, now))

    async def killed(self, token: str) -> str | None:
        """What kills this token, as every verifier would find that knows the whole log."""
        said = claims(token)
        principal = Principal(
            subject=said["sub"],
            client_id=said["client_id"],
            scopes=frozenset(said["scope"].split()),
            roles=frozenset(said.get("roles", ())),
            sid=said.get("sid"),
            gid=said.get("gid"),
            token_id=said["jti"],
            rev=said["rev"],
            key_id=jwt.get_unverified_header(token)["kid"],
            issuer=said["iss"],
            audience=said["aud"],
            issued_at=said["iat"],
            expires_at=said["exp"],
            lineage=tuple(said.get("lineage", ())),
            via=tuple(said.get("via", ())),
        )
        return await self.issuer.feed.kills(principal)

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """What stands in the database."""
        with closing(sqlite3.connect(self.data / "watchword.db")) as database:
            return database.execute(sql, values).fetchall()

    def count(self, table: str) -> int:
        """Rows of a table."""
        (found,) = self.rows(f"SELECT count(*) FROM {table}")[0]
        assert isinstance(found, int)
        return found

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table."""
        tables = self.rows("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        return {name: self.rows(f'SELECT * FROM "{name}" ORDER BY 1') for (name,) in tables}

    @asynccontextmanager
    async def another_process(self) -> AsyncIterator[House]:
        """The same deployment, opened once more: with a writer, caches and password thread of its own."""
        async with opened(self.data) as issuer:
            yield replace(self, issuer=issuer)


@asynccontextmanager
async def opened(data: Path) -> AsyncIterator[Issuer]:
    """The issuer on a data folder."""
    async with open_issuer(load_settings(None, {"issuer": URL, "data": data})) as issuer:
        yield issuer


async def furnished(data: Path) -> Programs:
    """Register everybody. The keys have been published for long."""
    async with opened(data) as issuer:
        api, api_secret = await clients.add_api(issuer, BY, AUDIENCE, "Orders", SCOPES, NOW)
        await clients.add_api(issuer, BY, OTHER_AUDIENCE, "Stock", ("stock",), NOW)

        async def client(new: clients.NewClient) -> Program:
            added, secret = await clients.add(issuer, BY, new, NOW)
            return Program(added.client_id, secret)

        access, refresh = {AUDIENCE: SCOPES}, frozenset({"refresh_token"})
        own = clients.NewClient("Web", "confidential", refresh, access, first_party=True)
        known = Programs(
            api=Program(api.client_id, api_secret),
            machine=await client(
                clients.NewClient("Machine", "confidential", frozenset({"client_credentials"}), access)
            ),
            web=await client(own),
            keeper=await client(replace(own, name="Keeper", rotates=False)),
            page=await client(replace(own, name="Page", kind="public")),
        )
        await users.add(issuer, BY, ALICE, "Alice", PASSWORDS[ALICE], ("staff",), NOW)
        await users.add(issuer, BY, BOB, "Bob", PASSWORDS[BOB], (), NOW)
    born(data, NOW - LONG)
    return known


def claims(token: str) -> dict[str, Any]:
    """What an access token says."""
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found
