"""MCP servers: who may ask, what a refusal tells a client, and what the frameworks are told of who calls."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from tests.sdk.honest_issuer import AUDIENCE, Issuer
from watchword import CannotDecide, Verifier
from watchword.dpop import ProofKey
from watchword.integrations.mcp import LIMIT, Protected, TokenVerifier
from watchword.protected_resource import ProtectedResource

TOOLS = {"add_note": ("notes:write",), "drop": ("notes:write", "notes:admin")}
App = Callable[[Any, Any, Any], Awaitable[None]]


def verifier(issuer: Issuer) -> Verifier:
    return Verifier(issuer=issuer.url, audience=AUDIENCE, jwks={"keys": [issuer.key.public_jwk()]})


def resource(issuer: Issuer, **more: Any) -> ProtectedResource:
    return ProtectedResource(url=AUDIENCE, issuer=issuer.url, scopes=("notes:read",), **more)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """An app that says what came to it."""
    body, more = b"", True
    while more and scope["method"] == "POST":
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"reached:" + body})


def calls(issuer: Issuer, app: App = echo, **more: Any) -> httpx2.AsyncClient:
    """Somebody who calls it."""
    told = resource(issuer, dpop=more.pop("dpop", False))
    protected = Protected(app, more.pop("verifier", None) or verifier(issuer), told, tools=TOOLS, **more)
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(protected), base_url=AUDIENCE)


def bearer(issuer: Issuer, scope: str = "notes:read", **claims: Any) -> dict[str, str]:
    return {"authorization": f"Bearer {issuer.token(scope=scope, **claims)}"}


def call(name: object, method: object = "tools/call") -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"name": name, "arguments": {}}}


async def test_who_has_no_token_is_told_where_to_get_one(issuer: Issuer) -> None:
    """401 with the metadata's place and the scopes for a beginning, and no error code for who sent nothing."""
    async with calls(issuer) as http:
        for refused in (await http.post("/", json=call("list")), await http.get("/"), await http.delete("/x")):
            assert refused.status_code == 401
            place = f"{AUDIENCE}/.well-known/oauth-protected-resource"
            assert refused.headers["www-authenticate"] == f'Bearer resource_metadata="{place}", scope="notes:read"'
        told = await http.get("/.well-known/oauth-protected-resource", headers={"mcp-protocol-version": "2026-07-28"})
        assert told.json()["authorization_servers"] == [issuer.url]


@pytest.mark.parametrize("claims", [{"aud": "https://other.example"}, {"exp": 1}, {"iss": "https://other.example"}])
async def test_a_token_for_another_or_of_another_is_none(issuer: Issuer, claims: dict[str, Any]) -> None:
    """Only tokens that were made for this server count (RFC 8707 §2)."""
    async with calls(issuer) as http:
        refused = await http.post("/", json=call("list"), headers=bearer(issuer, **claims))
        assert refused.status_code == 401
        assert 'error="invalid_token"' in refused.headers["www-authenticate"]
        assert "resource_metadata=" in refused.headers["www-authenticate"]


async def test_a_good_token_reaches_the_app_with_the_very_body(issuer: Issuer) -> None:
    """Byte for byte."""
    async with calls(issuer) as http:
        body = b'{"jsonrpc": "2.0",\n "method": "tools/list", "id": 7}'
        found = await http.post("/", content=body, headers=bearer(issuer))
        assert found.content == b"reached:" + body
        assert (await http.get("/", headers=bearer(issuer))).content == b"reached:"


@pytest.mark.parametrize(
    ("message", "scope", "needed"),
    [
        (call("add_note"), "notes:read", "notes:read notes:write"),
        (call("add_note"), "notes:write", "notes:read notes:write"),
        (call("drop"), "notes:read notes:write", "notes:read notes:write notes:admin"),
        (call("list"), "other", "notes:read"),
        ([call("list"), call("add_note")], "notes:read", "notes:read notes:write"),
        (call("x", "resources/read"), "notes:read", "notes:read notes:files"),
    ],
)
async def test_what_a_call_needs_is_asked_for_all_at_once(
    issuer: Issuer, message: object, scope: str, needed: str
) -> None:
    """403 with every scope of the operation, so that a person is asked one time (RFC 6750 §3.1)."""
    async with calls(issuer, methods={"resources/read": ("notes:files",)}) as http:
        refused = await http.post("/", json=message, headers=bearer(issuer, scope))
        assert refused.status_code == 403
        challenge = refused.headers["www-authenticate"]
        assert 'error="insufficient_scope"' in challenge
        assert f'scope="{needed}"' in challenge
        assert "resource_metadata=" in challenge
        let_in = await http.post("/", json=message, headers=bearer(issuer, needed))
        assert let_in.status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b'{"method": "tools/call", "params": {"name": "add_note", "name": "list"}}',
        b'{"method": "tools/call", "params": {"name": "list"}, "params": {"name": "add_note"}}',
        b'{"method": "tools/list", "method": "tools/call", "params": {"name": "add_note"}}',
        '{"method": "tools/call", "params": {"name": "add_note"}}'.encode("utf-16"),
        b'\xef\xbb\xbf{"method": "tools/call", "params": {"name": "add_note"}}',
        b'{"method": "tools/call", "params": {"name": "add_note", "arguments": NaN}}',
        b"[1]",
        b'"tools/call"',
        b"{",
        b"",
        b"[" * 100_000,
    ],
)
async def test_a_body_that_could_be_read_differently_reaches_nobody(issuer: Issuer, body: bytes) -> None:
    """Or the app would run another tool than was judged."""
    async with calls(issuer) as http:
        refused = await http.post("/", content=body, headers=bearer(issuer))
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("name", [None, 7, ["add_note"], {"add_note": 1}])
async def test_a_name_that_is_none_is_for_the_app_to_refuse(issuer: Issuer, name: object) -> None:
    """It is no tool of anybody's."""
    async with calls(issuer) as http:
        assert (await http.post("/", json=call(name), headers=bearer(issuer))).status_code == 200


async def test_a_message_without_end_is_given_up(issuer: Issuer) -> None:
    """And nobody without a token makes it read any."""
    read = 0

    async def endless() -> Any:
        nonlocal read
        while True:
            read += 1
            yield b"x" * 65536

    async with calls(issuer) as http:
        assert (await http.post("/", content=endless(), headers=bearer(issuer))).status_code == 400
        assert read <= LIMIT // 65536 + 2
        before = read
        assert (await http.post("/", content=endless())).status_code == 401
        assert read <= before + 1


async def test_where_nobody_can_tell_the_answer_is_503(issuer: Issuer) -> None:
    """Never a 401: a client would throw its good token away."""
    issuer.status["/revocations"] = 503
    async with Verifier(issuer=issuer.url, audience=AUDIENCE) as blind, calls(issuer, verifier=blind) as http:
        refused = await http.post("/", json=call("list"), headers=bearer(issuer))
        assert refused.status_code == 503
        assert "retry-after" in refused.headers
        with pytest.raises(CannotDecide):
            await TokenVerifier(blind).verify_token(issuer.token())


async def test_a_stream_ends_with_the_revocation_of_its_token(issuer: Issuer) -> None:
    """What was open before gets nothing after."""
    sent: list[bytes] = []
    go_on = asyncio.Event()

    async def streams(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"before", "more_body": True})
        await go_on.wait()
        await send({"type": "http.response.body", "body": b"after", "more_body": True})

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))

    async with Verifier(issuer=issuer.url, audience=AUDIENCE, credentials=("api-1", "a secret: with/signs")) as online:
        app = Protected(streams, online, resource(issuer))
        token = issuer.token(scope="notes:read", jti="the-one")
        headers = [(b"authorization", f"Bearer {token}".encode()), (b"host", b"orders.example")]
        scope = {"type": "http", "method": "GET", "path": "/", "headers": headers, "scheme": "https"}
        serving = asyncio.ensure_future(app(scope, None, send))  # type: ignore[arg-type]  # a GET receives nothing
        while b"before" not in sent:
            await asyncio.sleep(0.005)
        issuer.revoke("token", "the-one")
        async with asyncio.timeout(5):
            while (await online_says(online, token)) is not None:
                await asyncio.sleep(0.005)
        go_on.set()
        with pytest.raises(ConnectionAbortedError):
            await serving
    assert b"after" not in sent


async def online_says(one: Verifier, token: str) -> object:
    return await TokenVerifier(one).verify_token(token)


async def test_frameworks_are_told_who_calls(issuer: Issuer) -> None:
    """Client, person, scopes, until when, for which resource, and every claim; None for what is no token."""
    told = TokenVerifier(verifier(issuer), scopes=("notes:read",))
    found = await told.verify_token(issuer.token(scope="notes:read a", sub="ann", act={"sub": "agent"}))
    assert found is not None
    assert (found.subject, found.scopes, found.resource) == ("ann", ["a", "notes:read"], AUDIENCE)
    assert found.expires_at is not None
    assert found.claims is not None
    assert (found.claims["iss"], found.claims["act"]) == (issuer.url, {"sub": "agent"})
    assert told.required_scopes == ["notes:read"]
    for bad in ("", "x", issuer.token(aud="https://other.example")):
        assert await told.verify_token(bad) is None


async def test_tokens_that_are_bound_to_a_key_need_their_proof(issuer: Issuer) -> None:
    """For the address of the resource, whatever host a request names (RFC 9449 §4.3)."""
    key = ProofKey.generate()
    token = issuer.token(scope="notes:read", cnf={"jkt": key.jkt})

    def headers(url: str, jti: str) -> dict[str, str]:
        proof = key.prove("POST", url, now=time.time(), jti=jti, access_token=token)
        return {"authorization": f"DPoP {token}", "dpop": proof, "host": "evil.example"}

    async with calls(issuer, dpop=True) as http:
        assert (await http.post("/", json=call("list"), headers=headers(f"{AUDIENCE}/", "a"))).status_code == 200
        assert (await http.post("/", json=call("list"), headers=headers(f"{AUDIENCE}/", "a"))).status_code == 401
        assert (
            await http.post("/", json=call("list"), headers=headers("https://evil.example/", "b"))
        ).status_code == 401
        plain = {"authorization": f"Bearer {token}"}
        assert (await http.post("/", json=call("list"), headers=plain)).status_code == 401
    async with calls(issuer) as http:
        assert (await http.post("/", json=call("list"), headers=plain)).status_code == 401


async def test_nothing_gets_by_over_another_transport(issuer: Issuer) -> None:
    """A WebSocket is refused; the app's own start and end are left to it."""
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    async def send(message: Any) -> None:
        seen.append(json.dumps(message))

    protected = Protected(app, verifier(issuer), resource(issuer))
    for kind in ("websocket", "lifespan"):
        await protected({"type": kind, "path": "/", "headers": []}, None, send)  # type: ignore[arg-type]  # unused
    assert seen == ['{"type": "websocket.close", "code": 1008}', "lifespan"]
