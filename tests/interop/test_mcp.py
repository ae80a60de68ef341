"""MCP clients of others, unmodified, and given nothing but the URL of the example server: PyPI's `mcp`, npm's SDK.

Each is known by its metadata document, or registers itself. It is let in, calls a tool, refreshes, is asked for a
second scope and gets it, and is refused within a second of what it was allowed being taken back.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import jwt
import pytest
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider, OAuthFlowError
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

from tests.servers.documents import Shelf, shelf
from tests.servers.loopback import free_ports, until
from tests.stories.oidf.browser import Arrival, Browser, origin
from tests.stories.oidf.person import Person
from tests.stories.oidf.wire import Wire
from tests.stories.processes import Program, Site, bearer, deployment, environ, start

pytestmark = pytest.mark.interop

EXAMPLE = Path(__file__).parents[2] / "examples" / "mcp_server"
NODE = Path(__file__).parents[1] / "node"
BACK = "http://127.0.0.1:33418/callback"
HOWS = ("document", "registration")


@dataclass(frozen=True)
class Ground:
    """An issuer, the example server, and where metadata documents lie."""

    site: Site
    url: str
    server: Program
    shelf: Shelf

    @contextmanager
    def person(self) -> Iterator[Person]:
        """Somebody with an account, before a browser."""
        user = self.site.new_user()
        with httpx2.HTTPTransport(trust_env=False) as transport:
            yield Person(Browser(Wire(transport), origin(self.site.issuer)), user.email, user.password)

    def document(self, how: str, name: str) -> str | None:
        """Where the client's metadata document lies, if it is to be known by one."""
        return self.shelf.put(f"/{name}.json", BACK) if how == "document" else None

    def call(self, token: str) -> int:
        """What the server answers to this token."""
        return self.site.http.get(self.url, headers={**bearer(token), "accept": "text/event-stream"}).status_code

    def must_refuse_once_taken_back(self, token: str) -> None:
        """Within a second."""
        assert self.call(token) != 401
        self.site.cli("revoke", "grant", claims(token)["gid"])
        until(lambda: self.call(token) == 401, within=1)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """One for all of them. The issuer trusts the certificate of the documents' server, as an operator could."""
    folder = tmp_path_factory.mktemp("mcp")
    with pytest.MonkeyPatch.context() as patch, shelf(folder) as lying:
        patch.setenv("SSL_CERT_FILE", str(lying.certificate))
        with deployment(folder / "site", settings='registration.mode = "open"', api=False) as site:
            patch.delenv("SSL_CERT_FILE")
            (port,) = free_ports()
            url = f"http://localhost:{port}/mcp"
            scopes = ("--scope", "notes:read", "--scope", "notes:write")
            api = site.cli("api", "add", url, "--name", "Notes", *scopes, "--self-service")
            env = environ(ISSUER=site.issuer, URL=url, CLIENT_ID=api["client_id"], CLIENT_SECRET=api["client_secret"])
            server = start("notes", (sys.executable, "-m", "uvicorn", "server:app", "--port", str(port)), env, EXAMPLE)
            try:
                server.wait_until_ready(f"http://127.0.0.1:{port}/.well-known/oauth-protected-resource/mcp")
                yield Ground(site, url, server, lying)
            finally:
                server.stop()


def claims(token: str) -> dict[str, Any]:
    """What a token says."""
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


def came_back(person: Person, to: str) -> dict[str, str]:
    """The person does what is asked, and returns with an answer."""
    found = person.authorize(to)
    assert isinstance(found, Arrival), found.words
    return found.query


def asked_for(person: Person) -> str:
    """What this person was asked for the last time."""
    return next(page for page in reversed(person.browser.seen) if page.path == "/consent").words


# --- PyPI's mcp


class Memory:
    """A TokenStorage."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.info: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.info

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.info = client_info


def provider(ground: Ground, person: Person, document: str | None, memory: Memory) -> OAuthClientProvider:
    """As the package's documentation has it."""
    answers: list[dict[str, str]] = []

    async def go(to: str) -> None:
        answers.append(await asyncio.to_thread(came_back, person, to))

    async def back() -> AuthorizationCodeResult:
        found = answers.pop()
        return AuthorizationCodeResult(code=found.get("code", ""), state=found["state"], iss=found["iss"])

    metadata = OAuthClientMetadata(client_name="An agent in Python", redirect_uris=[BACK])
    return OAuthClientProvider(ground.url, metadata, memory, go, back, client_metadata_url=document)


async def in_python(ground: Ground, person: Person, document: str | None, mode: str) -> None:
    """The whole way."""
    memory = Memory()
    signing_in = provider(ground, person, document, memory)
    http = httpx2.AsyncClient(auth=signing_in, timeout=30, trust_env=False)
    async with http, Client(streamable_http_client(ground.url, http_client=http), mode=mode) as client:
        assert (await client.call_tool("list_notes")).structured_content == {"result": []}
        assert memory.info is not None
        assert (memory.info.client_id == document) == (document is not None)
        first = await held(memory)
        assert (claims(first)["scope"], claims(first)["aud"]) == ("notes:read offline_access", ground.url)

        signing_in.context.token_expiry_time = 1.0  # as if it had expired
        await client.call_tool("list_notes")
        second = await held(memory)
        assert claims(second)["jti"] != claims(first)["jti"]
        assert claims(second)["gid"] == claims(first)["gid"]

        assert (await client.call_tool("add_note", {"text": "a"})).structured_content == {"result": 1}
        assert "notes:write" in asked_for(person)
        third = await held(memory)
        assert set(claims(third)["scope"].split()) == {"notes:read", "notes:write", "offline_access"}
        assert (await client.call_tool("list_notes")).structured_content == {"result": ["a"]}

        await asyncio.to_thread(ground.must_refuse_once_taken_back, third)
        person.answers = "deny"  # it asks its person anew, even to take its leave, and they have had enough
    http = httpx2.AsyncClient(auth=provider(ground, person, document, memory), timeout=30, trust_env=False)
    with pytest.raises(BaseExceptionGroup) as refused:
        async with http, Client(streamable_http_client(ground.url, http_client=http), mode=mode):
            pass
    assert refused.group_contains(OAuthFlowError, match="No authorization code received")


async def held(memory: Memory) -> str:
    """The access token."""
    assert memory.tokens is not None
    return memory.tokens.access_token


@pytest.mark.parametrize(("how", "mode"), [(HOWS[0], "auto"), (HOWS[0], "legacy"), (HOWS[1], "auto")])
def test_the_python_client_gets_in_gets_more_and_is_put_out(ground: Ground, how: str, mode: str) -> None:
    """From the URL alone, in the newest revision that both speak, and in the one before."""
    with ground.person() as person:
        asyncio.run(in_python(ground, person, ground.document(how, f"python-{mode}"), mode))


# --- npm's @modelcontextprotocol/sdk


@dataclass(frozen=True)
class JavaScript:
    """The program tests/node/mcp_client.mjs."""

    process: subprocess.Popen[str]

    def ask(self, do: str, **more: Any) -> dict[str, Any]:
        """An order, and what came of it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self.process.stdin.flush()
        said: dict[str, Any] = json.loads(self.process.stdout.readline())
        return said


@contextmanager
def in_javascript(ground: Ground, document: str | None) -> Iterator[JavaScript]:
    """It ends with its standard input, and so with this process."""
    party = json.dumps({"url": ground.url, "callback": BACK, "document": document})
    command = ("node", str(NODE / "mcp_client.mjs"))
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environ(PARTY=party), stdin=pipe, stdout=pipe, text=True) as process:
        yield JavaScript(process)


@pytest.mark.parametrize("how", HOWS)
def test_the_javascript_client_gets_in_gets_more_and_is_put_out(ground: Ground, how: str) -> None:
    """From the URL alone."""
    document = ground.document(how, "javascript")
    with ground.person() as person, in_javascript(ground, document) as client:
        sent_on = client.ask("connect")
        assert dict(parse_qsl(urlsplit(sent_on["to"]).query))["resource"] == ground.url
        assert client.ask("finish", **came_back(person, sent_on["to"])) == {}
        connected = client.ask("connect")
        assert (connected["client_id"] == document) == (document is not None)
        assert client.ask("call", tool="list_notes") == {"result": {"result": []}}
        assert client.ask("refresh") == {"outcome": "AUTHORIZED", "rotated": True, "new": True}
        assert client.ask("call", tool="list_notes") == {"result": {"result": []}}

        challenged = client.ask("call", tool="add_note", given={"text": "a"})
        assert client.ask("finish", **came_back(person, challenged["to"])) == {}
        assert "notes:write" in asked_for(person)
        assert client.ask("call", tool="add_note", given={"text": "a"}) == {"result": {"result": 1}}
        token = client.ask("tokens")["access_token"]
        assert claims(token)["scope"].split() == ["notes:read", "notes:write"]
        ground.must_refuse_once_taken_back(token)
        assert "to" in client.ask("call", tool="list_notes")
