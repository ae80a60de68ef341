"""The real `watchword serve` as a process, on a data folder that was filled through the flows."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import sys
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests.stories.processes import Program, environ, free_ports, start
from watchword_server.flows import clients, users
from watchword_server.flows.administration import Operator
from watchword_server.flows.issuer import Caller
from watchword_server.main import load_settings, open_issuer

AUDIENCE = "https://orders.example"
SCOPES = ("orders:read", "orders:write")
ORIGIN = "https://app.example"
EMAIL, PASSWORD = "alice@example.com", "a long enough Password 7"
DISABLED = "mallory@example.com"
FORM = {"content-type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True)
class Programs:
    """Who is registered. A pair is `client_id` and secret."""

    api: tuple[str, str]
    other_api: tuple[str, str]
    machine: tuple[str, str]
    web: tuple[str, str]
    """Confidential and first-party."""
    spa: str
    """Public and first-party."""
    third: str
    """Public, and nobody's own."""


@dataclass(frozen=True)
class Served:
    """A running server."""

    issuer: str
    port: int
    data: Path
    known: Programs
    program: Program
    http: httpx2.Client

    def token(self, **form: str) -> httpx2.Response:
        """`POST /token` of the machine client."""
        return self.http.post("/token", data={"grant_type": "client_credentials", **form}, auth=self.known.machine)

    def sign_in(self, headers: Mapping[str, str] | None = None, **more: object) -> httpx2.Response:
        """`POST /session` of the public first-party client."""
        body = {"client_id": self.known.spa, "email": EMAIL, "password": PASSWORD, **more}
        return self.http.post("/session", json=body, headers=headers)

    def audit(self, columns: str) -> tuple[object, ...]:
        """Columns of the newest audit row."""
        with closing(sqlite3.connect(self.data / "watchword.db")) as database:
            found: tuple[object, ...] = database.execute(
                f"SELECT {columns} FROM audit ORDER BY id DESC LIMIT 1"
            ).fetchone()
            return found

    def raw(self, request: bytes, within: float = 30.0) -> bytes:
        """What comes back on a connection of its own until the server hangs up."""
        with socket.create_connection(("127.0.0.1", self.port), within) as connection:
            connection.settimeout(within)
            connection.sendall(request)
            answer = b""
            while part := connection.recv(65536):
                answer += part
            return answer


@contextmanager
def served(
    folder: Path,
    path: str = "",
    issuer: str = "",
    program: tuple[str, ...] = ("-m", "watchword_server"),
    **settings: str,
) -> Iterator[Served]:
    """A server of its own; `settings` are WATCHWORD_* variables without their prefix."""
    (port,) = free_ports()
    issuer, data = issuer or f"http://localhost:{port}{path}", folder / "data"
    known = asyncio.run(filled(issuer, data))
    variables = {
        "WATCHWORD_ISSUER": issuer,
        "WATCHWORD_DATA": str(data),
        "WATCHWORD_LISTEN": f"127.0.0.1:{port}",
        **{f"WATCHWORD_{name}": value for name, value in settings.items()},
    }
    running = start("issuer", (sys.executable, *program, "serve"), env=environ(**variables), cwd=folder)
    try:
        running.wait_until_ready(f"http://127.0.0.1:{port}/readyz")
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}{path}", trust_env=False, timeout=30) as http:
            yield Served(issuer, port, data, known, running, http)
    finally:
        running.stop()


async def filled(issuer_url: str, data: Path) -> Programs:
    """Register everything by the flows, as the command line does."""
    by, now = Operator("test", Caller()), int(time.time())
    access = {AUDIENCE: SCOPES}
    async with open_issuer(load_settings(None, {"issuer": issuer_url, "data": data})) as issuer:
        api, api_secret = await clients.add_api(issuer, by, AUDIENCE, "Orders", SCOPES, now)
        other, other_secret = await clients.add_api(issuer, by, "https://stock.example", "Stock", ("stock",), now)

        async def client(name: str, kind: str, grants: str, **more: object) -> tuple[str, str]:
            new = clients.NewClient(name, kind, frozenset(grants.split()), access, **more)
            added, secret = await clients.add(issuer, by, new, now)
            return added.client_id, secret or ""

        own = {"first_party": True, "origins": (ORIGIN,)}
        known = Programs(
            api=(api.client_id, api_secret),
            other_api=(other.client_id, other_secret),
            machine=await client("Machine", "confidential", "client_credentials"),
            web=await client("Web", "confidential", "refresh_token", **own),
            spa=(await client("Page", "public", "refresh_token", **own))[0],
            third=(await client("Third", "public", "refresh_token"))[0],
        )
        await users.add(issuer, by, EMAIL, "Alice", PASSWORD, ("staff",), now)
        await users.add(issuer, by, DISABLED, "Mallory", PASSWORD, (), now)
        await users.disable(issuer, by, DISABLED, now)
    return known


def basic(pair: tuple[str, str]) -> str:
    """The value of an Authorization header."""
    return "Basic " + b64encode(":".join(pair).encode()).decode()


def bearer(token: str) -> dict[str, str]:
    """The header that carries an access token."""
    return {"authorization": f"Bearer {token}"}
