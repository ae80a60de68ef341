"""`fastmcp` with our token verifier: who may call, and that its tools are told who does."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator

import httpx2
import pytest
import uvicorn
from fastmcp import FastMCP
from fastmcp.server.auth import RemoteAuthProvider
from fastmcp.server.dependencies import get_access_token
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from pydantic import AnyHttpUrl

from tests.sdk.honest_issuer import AUDIENCE, CREDENTIALS, Issuer
from tests.servers.loopback import until
from watchword import Verifier
from watchword.integrations.mcp import TokenVerifier

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    running = Issuer()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def url(issuer: Issuer) -> Iterator[str]:
    """A server as fastmcp's documentation has it."""
    listener = socket.create_server(("127.0.0.1", 0))
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with Verifier(issuer=issuer.url, audience=AUDIENCE, credentials=CREDENTIALS) as verifier:
        told = TokenVerifier(verifier, scopes=("notes:read",))
        auth = RemoteAuthProvider(
            token_verifier=told,  # type: ignore[arg-type]  # it has all that is asked of one, and not its class
            authorization_servers=[AnyHttpUrl(issuer.url)],
            base_url=base,
        )
        notes = FastMCP("Notes", auth=auth)

        @notes.tool
        def who() -> str:
            token = get_access_token()
            assert token is not None
            return f"{token.client_id} for {token.claims['sub']}"

        server = uvicorn.Server(uvicorn.Config(notes.http_app(), log_level="warning"))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        until(lambda: server.started, within=30)
        yield f"{base}/mcp"
        server.should_exit = True
        thread.join()


async def called(url: str, token: str) -> object:
    """What the tool says."""
    headers = {"authorization": f"Bearer {token}"}
    http = httpx2.AsyncClient(headers=headers, trust_env=False)
    async with http, Client(streamable_http_client(url, http_client=http)) as client:
        return (await client.call_tool("who")).structured_content


def test_its_tools_are_told_who_calls(issuer: Issuer, url: str) -> None:
    """With a good token."""
    token = issuer.token(scope="notes:read", sub="ann", client_id="agent-1")
    assert asyncio.run(called(url, token)) == {"result": "agent-1 for ann"}


def test_it_refuses_who_may_not(issuer: Issuer, url: str) -> None:
    """No token, another's, one without the scope, and one that was revoked."""
    revoked = issuer.token(scope="notes:read", jti="a-revoked-one")

    def status(token: str) -> int:
        headers = {"authorization": f"Bearer {token}", "accept": "application/json, text/event-stream"}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        return httpx2.post(url, headers=headers if token else {}, json=body, trust_env=False).status_code

    assert status("") == 401
    assert status(issuer.token(scope="notes:read", aud="https://other.example")) == 401
    assert status(issuer.token(scope="other")) == 403
    assert status(revoked) not in (401, 403)
    issuer.revoke("token", "a-revoked-one")
    until(lambda: status(revoked) == 401, within=5)
