"""FastAPI over a real socket: scopes in OpenAPI, refusals with their headers, cookies, WebSockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI, Security, WebSocket
from fastapi.responses import PlainTextResponse
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from tests.sdk.honest_issuer import Clock, Issuer, eventually
from watchword import Principal, Verifier, WatchwordError
from watchword.integrations.fastapi import Bearer

APP = "https://app.example"
COOKIE = "__Host-watchword-access"


def app_of(verifier: Verifier) -> FastAPI:
    app = FastAPI()
    header, either = Bearer(verifier), Bearer(verifier, cookie=COOKIE, origins=(APP,), scheme_name="Cookie")

    @app.get("/orders")
    async def orders(principal: Principal = Security(header, scopes=["orders:read"])) -> dict[str, str]:
        return {"subject": principal.subject}

    @app.post("/orders")
    def place(principal: Principal = Security(header, scopes=["orders:read", "orders:write"])) -> str:
        return principal.subject

    @app.get("/late")
    async def late(principal: Principal = Security(header)) -> str:
        principal.require("orders:admin")
        return "done"

    @app.get("/page")
    async def page(principal: Principal = Security(either, scopes=["orders:read"])) -> str:
        return principal.subject

    @app.post("/page")
    async def change(principal: Principal = Security(either, scopes=["orders:read"])) -> str:
        return principal.subject

    @app.websocket("/live")
    async def live(websocket: WebSocket, principal: Principal = Security(either)) -> None:
        await websocket.accept()
        await websocket.send_text(principal.subject)
        principal.require(await websocket.receive_text())
        await websocket.close()

    return app


@pytest.fixture
def app(verifier: Verifier) -> FastAPI:
    return app_of(verifier)


@pytest.fixture
def api(app: FastAPI) -> Iterator[httpx2.Client]:
    """The app behind a real uvicorn."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    eventually(lambda: server.started)
    with httpx2.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}") as client:
        yield client
    server.should_exit = True
    thread.join()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_good_token_opens(api: httpx2.Client, issuer: Issuer) -> None:
    """The endpoint gets the principal."""
    answer = api.get("/orders", headers=bearer(issuer.token()))
    assert (answer.status_code, answer.json()) == (200, {"subject": "user-1"})


def test_no_token_is_a_401_without_an_error_code(api: httpx2.Client) -> None:
    """RFC 6750 §3.1."""
    answer = api.get("/orders")
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.json() == {"error": "missing_token", "error_description": "this needs an access token"}


def test_a_bad_token_is_a_401_invalid_token(api: httpx2.Client, issuer: Issuer) -> None:
    """Whatever is wrong with it."""
    for token in ("x", issuer.token(aud="https://other.example"), issuer.token(exp=1, iat=0)):
        answer = api.get("/orders", headers=bearer(token))
        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
        assert answer.json()["error"] == "invalid_token"
        assert token not in answer.text.replace("expired", "")


def test_a_revoked_token_is_a_401(api: httpx2.Client, issuer: Issuer) -> None:
    """As soon as the entry has come."""
    token = issuer.token(sid="s")
    assert api.get("/orders", headers=bearer(token)).status_code == 200
    issuer.revoke("session", "s")
    eventually(lambda: api.get("/orders", headers=bearer(token)).status_code == 401)


def test_a_missing_scope_is_a_403_that_names_what_is_needed(api: httpx2.Client, issuer: Issuer) -> None:
    """All of the scopes, as the endpoint declares them."""
    answer = api.post("/orders", headers=bearer(issuer.token()))
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]
    assert 'scope="orders:read orders:write"' in answer.headers["WWW-Authenticate"]
    assert answer.json()["error"] == "insufficient_scope"


def test_a_scope_demanded_in_the_endpoint_is_a_403_too(api: httpx2.Client, issuer: Issuer) -> None:
    """`principal.require` needs no other machinery."""
    answer = api.get("/late", headers=bearer(issuer.token()))
    assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")


def test_a_blind_verifier_is_a_503_with_retry_after(api: httpx2.Client, issuer: Issuer, clock: Clock) -> None:
    """Never a 401: clients would throw good tokens away."""
    token = issuer.token()
    assert api.get("/orders", headers=bearer(token)).status_code == 200
    issuer.status.update({"/revocations": 503, "/revocations/stream": 503})
    issuer.cut()
    clock.forward(61)
    answer = api.get("/orders", headers=bearer(token))
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert "WWW-Authenticate" not in answer.headers


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/orders", {"Authorization": "Bearer"}),
        ("/orders", {"Authorization": "Bearer a b"}),
        ("/orders?access_token=x", {}),
        ("/page", {"Authorization": "Bearer x", "Cookie": f"{COOKIE}=y"}),
    ],
)
def test_a_token_sent_wrongly_is_a_400(api: httpx2.Client, path: str, headers: dict[str, str]) -> None:
    """Malformed, in the query, or two of them."""
    answer = api.get(path, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert 'error="invalid_request"' in answer.headers["WWW-Authenticate"]


def test_a_cookie_carries_the_token_where_the_api_allows_it(api: httpx2.Client, issuer: Issuer) -> None:
    """Reading needs no Origin, changing does."""
    cookie = {"Cookie": f"{COOKIE}={issuer.token()}"}
    assert api.get("/page", headers=cookie).json() == "user-1"
    assert api.get("/orders", headers=cookie).status_code == 401
    assert api.post("/page", headers=cookie).status_code == 403
    assert api.post("/page", headers={**cookie, "Origin": "https://evil.example"}).json()["error"] == "access_denied"
    assert api.post("/page", headers={**cookie, "Origin": APP}).json() == "user-1"


def test_the_scopes_show_in_openapi(api: httpx2.Client, issuer: Issuer) -> None:
    """The scheme names the issuer's discovery document, each operation its scopes."""
    document = api.get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["Watchword"] == {
        "type": "openIdConnect",
        "openIdConnectUrl": f"{issuer.url}/.well-known/openid-configuration",
    }
    assert document["paths"]["/orders"]["get"]["security"] == [{"Watchword": ["orders:read"]}]
    assert document["paths"]["/orders"]["post"]["security"] == [{"Watchword": ["orders:read", "orders:write"]}]
    assert document["paths"]["/late"]["get"]["security"] == [{"Watchword": []}]
    assert "parameters" not in document["paths"]["/orders"]["get"]


def test_a_websocket_is_denied_in_its_handshake(app: FastAPI, issuer: Issuer) -> None:
    """A cookie without a listed Origin opens nothing; with one it does; and without a token it is a 401."""
    client, cookie = TestClient(app), {"Cookie": f"{COOKIE}={issuer.token()}"}
    for headers, status in (({}, 401), (cookie, 403), ({**cookie, "Origin": "https://evil.example"}, 403)):
        with pytest.raises(WebSocketDenialResponse) as caught, client.websocket_connect("/live", headers=headers):
            pass
        assert caught.value.status_code == status
    with client.websocket_connect("/live", headers={**cookie, "Origin": APP}) as live:
        assert live.receive_text() == "user-1"
        live.send_text("orders:read")


def test_an_open_websocket_is_closed_when_a_scope_is_missing(app: FastAPI, issuer: Issuer) -> None:
    """It cannot be answered like a request any more."""
    with TestClient(app).websocket_connect("/live", headers=bearer(issuer.token())) as live:
        live.receive_text()
        live.send_text("orders:admin")
        with pytest.raises(WebSocketDisconnect) as caught:
            live.receive_text()
    assert caught.value.code == 1008


def test_a_handler_of_the_program_goes_first(
    app: FastAPI, issuer: Issuer, verifier_of: Callable[..., Verifier]
) -> None:
    """Who wants other words may have them."""
    app.add_exception_handler(WatchwordError, lambda _, error: PlainTextResponse(type(error).__name__, 418))
    assert TestClient(app).get("/orders").text == "MissingToken"
