"""Programs that ask for a person, and that person at a browser, on a server of their own."""

from __future__ import annotations

import asyncio
import hashlib
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2

from tests.server.web.served import AUDIENCE, EMAIL, ORIGIN, PASSWORD, SCOPES, Served, served
from tests.stories.oidf.browser import Arrival, Browser, origin
from tests.stories.oidf.page import Page
from tests.stories.oidf.person import Person
from tests.stories.oidf.wire import Wire
from watchword_server.flows import clients, users
from watchword_server.flows.administration import Operator
from watchword_server.flows.issuer import Caller
from watchword_server.main import load_settings, open_issuer
from watchword_server.protocol.values import ClientMetadata

OTHER: Final = "bob@example.com"
BACK: Final = "https://app.example/cb?tenant=1"
VERIFIER: Final = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
EVERYTHING: Final = "openid profile email orders:read"


@dataclass(frozen=True)
class App:
    """A client. A public one has no secret."""

    client_id: str
    secret: str | None = field(repr=False)
    redirect_uri: str


@dataclass(frozen=True)
class Site:
    """A server with its apps and people."""

    served: Served
    apps: Mapping[str, App]
    transport: httpx2.BaseTransport

    @property
    def origin(self) -> str:
        """Of the issuer."""
        return origin(self.served.issuer)

    def browser(self) -> Browser:
        """A new one."""
        return Browser(Wire(self.transport), self.origin)

    def person(self, email: str = EMAIL, browser: Browser | None = None, answers: str = "allow") -> Person:
        """Somebody before a browser."""
        return Person(browser or self.browser(), email, PASSWORD, answers)

    def url(self, app: str = "web", **more: str | None) -> str:
        """A request that is in order, but for `more`; None leaves a parameter out."""
        asks = self.apps[app]
        plain: dict[str, str | None] = {
            "client_id": asks.client_id,
            "redirect_uri": asks.redirect_uri,
            "response_type": "code",
            "scope": EVERYTHING,
            "state": "st4te",
            "nonce": "n0nce",
            "code_challenge": challenge(VERIFIER),
            "code_challenge_method": "S256",
        }
        sent = {name: value for name, value in (plain | more).items() if value is not None}
        return f"{self.served.issuer}/authorize?{urlencode(sent)}"

    def code(self, person: Person | None = None, app: str = "web", **more: str | None) -> str:
        """A code, after whatever the person is asked to do."""
        return answer((person or self.person()).authorize(self.url(app, **more)))["code"]

    def redeem(self, code: str, app: str = "web", **more: str | None) -> httpx2.Response:
        """`POST /token` with a code."""
        asks = self.apps[app]
        plain: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": asks.redirect_uri,
            "code_verifier": VERIFIER,
        }
        return self.post(app, {**plain, **more})

    def refresh(self, token: str, app: str = "web", **more: str | None) -> httpx2.Response:
        """`POST /token` with a refresh token."""
        return self.post(app, {"grant_type": "refresh_token", "refresh_token": token, **more})

    def post(self, app: str, form: Mapping[str, str | None]) -> httpx2.Response:
        """`POST /token` as this client."""
        asks = self.apps[app]
        sent = {name: value for name, value in form.items() if value is not None}
        if asks.secret is None:
            return self.served.http.post("/token", data={"client_id": asks.client_id, **sent})
        return self.served.http.post("/token", data=sent, auth=(asks.client_id, asks.secret))

    def userinfo(self, token: str) -> httpx2.Response:
        """`GET /userinfo`."""
        return self.served.http.get("/userinfo", headers={"authorization": f"Bearer {token}"})


def challenge(verifier: str) -> str:
    """S256 (RFC 7636 §4.2)."""
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def answer(found: Page | Arrival) -> dict[str, str]:
    """What the client got in the query, but for what stands in its own."""
    assert isinstance(found, Arrival), (found.path, found.words)
    own = dict(parse_qsl(urlsplit(BACK).query))
    return {name: value for name, value in found.query.items() if own.get(name) != value}


@contextmanager
def asking(folder: Path, path: str = "", **settings: str) -> Iterator[Site]:
    """A server with everybody on it."""
    with served(folder, path, **settings) as running, httpx2.HTTPTransport(trust_env=False) as transport:
        yield Site(running, asyncio.run(_registered(running)), transport)


async def _registered(running: Served) -> Mapping[str, App]:
    by, now = Operator("test", Caller()), int(time.time())
    async with open_issuer(load_settings(None, {"issuer": running.issuer, "data": running.data})) as issuer:
        await users.add(issuer, by, OTHER, "Bob", PASSWORD, (), now)

        async def app(name: str, kind: str, uri: str, **more: Any) -> App:
            grants = frozenset({"authorization_code", "refresh_token"})
            new = clients.NewClient(
                name, kind, grants, {AUDIENCE: SCOPES}, redirect_uris=(uri,), origins=(ORIGIN,), **more
            )
            found, secret = await clients.add(issuer, by, new, now)
            return App(found.client_id, secret, uri)

        return {
            "web": await app("Web shop", "confidential", BACK),
            "other": await app("Other shop", "confidential", "https://other.example/cb"),
            "page": await app("Page", "public", "https://page.example/cb"),
            "native": await app(
                "Native", "public", "http://127.0.0.1/cb", metadata=ClientMetadata(application_type="native")
            ),
            "legacy": await app(
                "Legacy", "confidential", "https://legacy.example/cb", metadata=ClientMetadata(pkce="optional")
            ),
            "own": await app("Our own", "confidential", "https://own.example/cb", first_party=True),
        }
