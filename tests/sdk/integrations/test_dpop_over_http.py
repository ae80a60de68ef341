"""Bound tokens and step-up over a real socket: our client and our API, with nonces, behind a proxy's back."""

from __future__ import annotations

import asyncio
import secrets
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI, Security, WebSocket
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketDenialResponse

from tests.sdk.honest_issuer import AUDIENCE, Issuer, eventually
from watchword import Principal, Verifier, dpop
from watchword.client import BoundToken, ClientCredentials
from watchword.dpop import ALGS, Nonces, ProofKey
from watchword.errors import Misconfigured
from watchword.integrations.fastapi import Bearer
from watchword.replay import Proofs, SpentHere

PUBLIC = "https://api.example/v1"
STRONG = "urn:example:strong"
KEY = ProofKey.generate()


def offline(issuer: Issuer, proofs: Proofs | None = None) -> Verifier:
    return Verifier(issuer=issuer.url, audience=AUDIENCE, jwks={"keys": [issuer.key.public_jwk()]}, proofs=proofs)


def app_of(auth: Bearer) -> FastAPI:
    app, strict = FastAPI(), auth.authenticated(acr=(STRONG,), max_age=timedelta(minutes=5))

    @app.api_route("/orders/{name:path}", methods=["GET", "POST"])
    async def orders(principal: Principal = Security(auth, scopes=["orders:read"])) -> dict[str, str | None]:
        return {"subject": principal.subject, "key": principal.confirmation}

    @app.get("/payments")
    async def payments(principal: Principal = Security(strict, scopes=["orders:read"])) -> str:
        return principal.subject

    @app.websocket("/live")
    async def live(websocket: WebSocket, principal: Principal = Security(auth)) -> None:
        await websocket.accept()
        await websocket.send_text(principal.subject)
        await websocket.close()

    return app


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The app behind a real uvicorn, and its address."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    eventually(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def nonces() -> Nonces:
    return Nonces(secrets.token_bytes(32))


@pytest.fixture
def api(issuer: Issuer) -> Iterator[str]:
    """An API that takes scheme and host from the request."""
    with served(app_of(Bearer(offline(issuer), trust_host=True))) as url:
        yield url


def bound(issuer: Issuer, key: ProofKey = KEY, **changes: object) -> str:
    return issuer.token(**{"cnf": {"jkt": key.jkt}, **changes})


def proof_of(token: str, url: str, key: ProofKey = KEY, method: str = "GET") -> str:
    return key.prove(method, url, now=time.time(), jti=secrets.token_urlsafe(16), access_token=token)


def by_hand(token: str, url: str, key: ProofKey = KEY) -> dict[str, str]:
    """The headers of a GET, for a test to change."""
    return {"Authorization": f"DPoP {token}", "DPoP": proof_of(token, url, key)}


def test_a_client_with_the_key_gets_through_and_nobody_else(issuer: Issuer, api: str) -> None:
    """Each request with a proof of its own: whatever the path, the query, the method."""
    token = bound(issuer)
    with httpx2.Client(base_url=api, auth=BoundToken(token, KEY)) as client:
        for path in ("/orders/1", "/orders/a%2Fb?x=1&y=%20", "/orders/%C3%A9/~x;p=1", "/orders//"):
            assert client.get(path).json() == {"subject": "user-1", "key": KEY.jkt}
        assert client.post("/orders/1", json={"a": 1}).status_code == 200
    thief = httpx2.get(f"{api}/orders/1", auth=BoundToken(token, ProofKey.generate()))
    assert (thief.status_code, thief.json()["error"]) == (401, "invalid_token")


async def test_an_async_client_gets_through_as_well(issuer: Issuer, api: str) -> None:
    """Many at once with one key."""
    async with httpx2.AsyncClient(base_url=api, auth=BoundToken(bound(issuer), KEY)) as client:
        answers = await asyncio.gather(*(client.get(f"/orders/{number}") for number in range(20)))
    assert {answer.status_code for answer in answers} == {200}


def test_a_bound_token_sent_as_bearer_is_refused(issuer: Issuer, api: str) -> None:
    """RFC 9449 §7.2: with a good proof beside it, and without; it may have been good a moment ago."""
    token, url = bound(issuer), f"{api}/orders/1"
    assert httpx2.get(url, headers=by_hand(token, url)).status_code == 200
    for headers in ({}, {"DPoP": by_hand(token, url)["DPoP"]}):
        answer = httpx2.get(url, headers={**headers, "Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
        assert answer.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token"')
        assert f'DPoP algs="{" ".join(ALGS)}"' in answer.headers["WWW-Authenticate"]


def test_a_plain_token_sent_as_dpop_is_refused(issuer: Issuer, api: str) -> None:
    """It proves nothing about who holds it."""
    token, url = issuer.token(), f"{api}/orders/1"
    assert httpx2.get(url, headers=by_hand(token, url)).json()["error"] == "invalid_token"
    assert httpx2.get(url, headers={"Authorization": f"Bearer {token}"}).status_code == 200


# fmt: off
SENT_WRONGLY: dict[str, Callable[[str, str], list[str]]] = {
    "no proof":          lambda token, url: [],
    "an empty proof":    lambda token, url: [""],
    "two proofs":        lambda token, url: [proof_of(token, url), proof_of(token, url)],
    "two in one header": lambda token, url: [f"{proof_of(token, url)}, {proof_of(token, url)}"],
    "of another method": lambda token, url: [proof_of(token, url, method="POST")],
    "of another path":   lambda token, url: [proof_of(token, f"{url}/2")],
    "of another host":   lambda token, url: [proof_of(token, "https://evil.example/orders/1")],
    "of another token":  lambda token, url: [proof_of("other", url)],
    "the token itself":  lambda token, url: [token],
}
# fmt: on


@pytest.mark.parametrize("wrong", SENT_WRONGLY.values(), ids=SENT_WRONGLY)
def test_a_proof_that_is_not_for_this_request_is_refused(
    issuer: Issuer, api: str, wrong: Callable[[str, str], list[str]]
) -> None:
    """RFC 9449 §4.3, §7.1: and the answer says so under the scheme that was used."""
    token, url = bound(issuer), f"{api}/orders/1"
    sent = [("Authorization", f"DPoP {token}"), *(("DPoP", text) for text in wrong(token, url))]
    answer = httpx2.get(url, headers=sent)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_dpop_proof")
    assert answer.headers["WWW-Authenticate"].startswith('DPoP error="invalid_dpop_proof", error_description="')
    assert answer.headers["WWW-Authenticate"].endswith(f'algs="{" ".join(ALGS)}"')


def test_a_request_that_is_played_back_is_refused(issuer: Issuer, api: str) -> None:
    """RFC 9449 §11.1: of fifty at once, one gets through."""
    url = f"{api}/orders/1"
    headers = by_hand(bound(issuer), url)
    found: list[int] = []

    async def many() -> None:
        async with httpx2.AsyncClient() as client:
            answers = await asyncio.gather(*(client.get(url, headers=headers) for _ in range(50)))
        found.extend(answer.status_code for answer in answers)

    asyncio.run(many())
    assert sorted(found) == [200] + [401] * 49
    played = httpx2.get(url, headers=headers)
    assert (played.status_code, played.json()["error"]) == (401, "invalid_dpop_proof")


FORWARDED = (
    {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"},
    {"Forwarded": "host=evil.example;proto=https"},
    {"X-Forwarded-Prefix": "/v2", "X-Original-URL": "/orders/2", "X-Rewrite-URL": "/orders/2"},
    {"Host": "evil.example"},
)


def test_behind_a_proxy_the_public_url_counts_and_no_header_does(issuer: Issuer) -> None:
    """What clients call is what a proof is for; the address inside, and what a stranger says of it, is not."""
    token = bound(issuer)
    with served(app_of(Bearer(offline(issuer), public_url=PUBLIC))) as inside, httpx2.Client(base_url=inside) as client:
        for forwarded in FORWARDED:
            good = client.get("/orders/1", headers={**by_hand(token, f"{PUBLIC}/orders/1"), **forwarded})
            assert good.status_code == 200
            for url in (
                f"{inside}/orders/1",
                "https://evil.example/orders/1",
                "https://evil.example/v1/orders/1",
                "https://api.example/v2/orders/1",
                f"{PUBLIC}/orders/2",
            ):
                answer = client.get("/orders/1", headers={**by_hand(token, url), **forwarded})
                assert answer.json()["error"] == "invalid_dpop_proof"


def test_an_api_that_was_not_told_its_address_offers_no_dpop(issuer: Issuer) -> None:
    """Which request a proof is for cannot be told there, so no bound token gets in."""
    token = bound(issuer)
    with served(app_of(Bearer(offline(issuer)))) as url:
        answer = httpx2.get(f"{url}/orders/1", headers=by_hand(token, f"{url}/orders/1"))
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert httpx2.get(f"{url}/orders/1", headers={"Authorization": f"Bearer {token}"}).status_code == 401


@pytest.mark.parametrize("url", ["http://api.example", "api.example", "https://a@api.example", "https://api.example?x"])
def test_a_public_url_is_an_address_of_https(issuer: Issuer, url: str) -> None:
    """Said at the start."""
    with pytest.raises(Misconfigured):
        Bearer(offline(issuer), public_url=url)


def test_who_sends_nothing_is_told_both_ways(api: str) -> None:
    """RFC 9449 §7.2."""
    assert httpx2.get(f"{api}/orders/1").headers["WWW-Authenticate"] == f'Bearer, DPoP algs="{" ".join(ALGS)}"'


def test_the_scheme_does_not_mind_the_case(issuer: Issuer, api: str) -> None:
    """RFC 9110 §11.1."""
    for scheme in ("dpop", "DPOP", "dPoP  "):
        token, url = bound(issuer), f"{api}/orders/1"
        assert httpx2.get(url, headers={**by_hand(token, url), "Authorization": f"{scheme} {token}"}).status_code == 200


def test_a_client_brings_the_nonce_that_an_api_asks_for(issuer: Issuer, nonces: Nonces) -> None:
    """RFC 9449 §9: one refusal, and then it knows; a body at hand is sent again."""
    key = ProofKey.generate()
    verifier = offline(issuer, Proofs(nonces=nonces))
    with served(app_of(Bearer(verifier, trust_host=True))) as url:
        token = bound(issuer, key)
        refused = httpx2.get(f"{url}/orders/1", headers=by_hand(token, f"{url}/orders/1", key))
        assert (refused.status_code, refused.json()["error"]) == (401, "use_dpop_nonce")
        assert nonces.accepts(refused.headers["DPoP-Nonce"], time.time())
        with httpx2.Client(base_url=url, auth=BoundToken(token, key)) as client:
            assert client.post("/orders/1", json={"a": 1}).status_code == 200
            assert client.get("/orders/1").status_code == 200
        plain = httpx2.get(f"{url}/orders/1")
        assert "DPoP-Nonce" not in plain.headers


async def test_a_body_that_cannot_be_sent_twice_is_not(issuer: Issuer, nonces: Nonces) -> None:
    """The refusal is handed on, and the next request knows the nonce."""
    key = ProofKey.generate()

    async def body() -> AsyncIterator[bytes]:
        yield b"once"

    with served(app_of(Bearer(offline(issuer, Proofs(nonces=nonces)), trust_host=True))) as url:
        async with httpx2.AsyncClient(base_url=url, auth=BoundToken(bound(issuer, key), key)) as client:
            assert (await client.post("/orders/1", content=body())).status_code == 401
            assert (await client.post("/orders/1", content=body())).status_code == 200


def test_client_credentials_get_and_send_bound_tokens(issuer: Issuer, nonces: Nonces) -> None:
    """One token for many requests, each with a proof; the token endpoint is shown one as well."""
    key = ProofKey.generate()
    issuer.token_answer = 200, {"access_token": bound(issuer, key), "token_type": "DPoP", "expires_in": 900}
    auth = ClientCredentials(issuer=issuer.url, client_id="c", client_secret="s", dpop=key)
    api = served(app_of(Bearer(offline(issuer, Proofs(nonces=nonces)), trust_host=True)))
    with api as url, httpx2.Client(base_url=url, auth=auth) as client:
        assert [client.get("/orders/1").status_code for _ in range(3)] == [200] * 3
    assert issuer.counts["/token"] == 1
    proof = {name.lower(): value for name, value in issuer.last_request.items()}["dpop"]
    found = dpop.verify(proof, method="POST", url=f"{issuer.url}/token", now=time.time())
    assert found.jkt == key.jkt


def test_a_full_memory_of_proofs_is_a_503_with_retry_after(issuer: Issuer) -> None:
    """Never a 401."""
    api = served(app_of(Bearer(offline(issuer, Proofs(spent=SpentHere(1))), trust_host=True)))
    with api as url, httpx2.Client(base_url=url, auth=BoundToken(bound(issuer), KEY)) as client:
        assert client.get("/orders/1").status_code == 200
        answer = client.get("/orders/1")
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert 0 < int(answer.headers["Retry-After"]) <= 60


def test_a_websocket_takes_a_proof_in_its_handshake(issuer: Issuer) -> None:
    """A GET of the https address that its page calls wss."""
    app, token = app_of(Bearer(offline(issuer), public_url=PUBLIC)), bound(issuer)
    with TestClient(app).websocket_connect("/live", headers=by_hand(token, f"{PUBLIC}/live")) as live:
        assert live.receive_text() == "user-1"
    client = TestClient(app)
    other = by_hand(token, f"{PUBLIC}/other")
    with pytest.raises(WebSocketDenialResponse) as caught, client.websocket_connect("/live", headers=other):
        pass
    assert caught.value.status_code == 401


# Step-up.


def test_an_endpoint_that_needs_more_of_a_sign_in_says_so(issuer: Issuer, api: str) -> None:
    """RFC 9470 §3: a 401 with what would do; the client comes back with it."""
    weak = {"Authorization": f"Bearer {issuer.token(acr='weak', auth_time=int(time.time()))}"}
    assert httpx2.get(f"{api}/orders/1", headers=weak).status_code == 200
    answer = httpx2.get(f"{api}/payments", headers=weak)
    assert (answer.status_code, answer.json()["error"]) == (401, "insufficient_user_authentication")
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer error="insufficient_user_authentication", error_description="')
    assert f'acr_values="{STRONG}", max_age="300"' in challenge
    for bad in ({"acr": STRONG}, {"acr": STRONG, "auth_time": int(time.time()) - 400}):
        refused = httpx2.get(f"{api}/payments", headers={"Authorization": f"Bearer {issuer.token(**bad)}"})
        assert refused.json()["error"] == "insufficient_user_authentication"
    good = issuer.token(acr=STRONG, auth_time=int(time.time()) - 10)
    assert httpx2.get(f"{api}/payments", headers={"Authorization": f"Bearer {good}"}).json() == "user-1"


def test_step_up_of_a_bound_token_is_asked_for_under_its_scheme(issuer: Issuer, api: str) -> None:
    """And a missing scope comes first: a better sign-in would not help."""
    with httpx2.Client(base_url=api, auth=BoundToken(bound(issuer), KEY)) as client:
        assert (
            client.get("/payments")
            .headers["WWW-Authenticate"]
            .startswith('DPoP error="insufficient_user_authentication"')
        )
    with httpx2.Client(base_url=api, auth=BoundToken(bound(issuer, scope="other"), KEY)) as client:
        assert client.get("/payments").json()["error"] == "insufficient_scope"


@pytest.mark.parametrize("asked", [{}, {"acr": ()}, {"acr": STRONG}])
def test_an_endpoint_that_asks_for_nothing_is_a_mistake(issuer: Issuer, asked: dict[str, Any]) -> None:
    """Said where the endpoint is written, not when somebody gets through."""
    with pytest.raises(Misconfigured):
        Bearer(offline(issuer)).authenticated(**asked)
