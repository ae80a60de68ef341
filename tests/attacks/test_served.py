"""What the issuer and an API answer over HTTP: real processes, real sockets, every wrong place for a token."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from string import ascii_letters

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI, Security

from tests.sdk.honest_issuer import eventually
from tests.server.web.served import AUDIENCE, Served, bearer
from watchword import Principal, Verifier
from watchword.client import BoundToken, ClientCredentials
from watchword.dpop import ProofKey
from watchword.errors import InvalidFeed, WrongType
from watchword.integrations.fastapi import Bearer
from watchword.jose import jws
from watchword.jose.jwk import key_set
from watchword.jose.kinds import Kind
from watchword.log import unseal

BEARER_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION = {"client_assertion": "T", "client_assertion_type": BEARER_ASSERTION}


@pytest.fixture(scope="module")
def api(server: Served) -> Iterator[httpx2.Client]:
    """An API in FastAPI behind a real uvicorn, whose verifier follows that issuer."""
    app, verifier = FastAPI(), Verifier(issuer=server.issuer, audience=AUDIENCE, credentials=server.known.api)
    auth = Bearer(verifier, trust_host=True)

    @app.get("/orders")
    async def orders(principal: Principal = Security(auth)) -> str:
        return principal.subject

    running = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=running.run, args=([listener],), daemon=True)
    thread.start()
    eventually(lambda: running.started)
    with verifier, httpx2.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", trust_env=False) as http:
        yield http
    running.should_exit = True
    thread.join()


@pytest.fixture
def token(server: Served) -> str:
    """A good access token."""
    found: str = server.token().json()["access_token"]
    return found


def active(server: Served, token: str) -> bool:
    """Whether the issuer calls it active, to the API that it is for."""
    answer = server.http.post("/introspect", data={"token": token}, auth=server.known.api)
    assert answer.status_code == 200
    return bool(answer.json()["active"])


# A token in the address.


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/session?access_token=TOKEN", 400),
    ("GET", "/session?token=TOKEN", 400),
    ("DELETE", "/session?access_token=TOKEN", 400),
    ("POST", "/introspect?token=TOKEN", 400),
    ("POST", "/revoke?token=TOKEN", 400),
    ("POST", "/token?refresh_token=TOKEN&grant_type=refresh_token", 400),
    ("GET", "/revocations?access_token=TOKEN", 401),
])  # fmt: skip
def test_a_token_in_a_query_is_refused_by_the_issuer(
    method: str, path: str, status: int, server: Served, token: str
) -> None:
    """OAuth 2.1 §5.2.2: addresses end up in logs and histories. It is not looked at, and not written down either."""
    address = path.replace("TOKEN", token)
    auth = server.known.api if method == "POST" and "introspect" in path else server.known.machine
    answer = server.http.request(method, address, auth=auth if method == "POST" else None)
    assert answer.status_code == status
    assert active(server, token)
    assert token not in answer.text + server.program.said


@pytest.mark.parametrize("query", ["access_token=TOKEN", "x=1&access_token=TOKEN", "token=TOKEN"])
def test_a_token_in_a_query_is_refused_by_an_api(query: str, api: httpx2.Client, token: str) -> None:
    """It counts for nothing, and beside a good one in the header it is an error of its own."""
    assert api.get("/orders", headers=bearer(token)).status_code == 200
    address = "/orders?" + query.replace("TOKEN", token)
    alone, both = api.get(address), api.get(address, headers=bearer(token))
    expected = (400, 400) if "access_token" in query else (401, 200)
    assert (alone.status_code, both.status_code) == expected


# Opaque tokens.


def twins(token: str) -> dict[str, str]:
    """Texts that a careless comparison would take for the token."""
    last = token[-1]
    return {
        "a character less": token[:-1],
        "without its first": token[1:],
        "half": token[: len(token) // 2],
        "eight characters": token[:8],
        "a character more": token + "A",
        "padding": token + "=",
        "white space": token + " ",
        "a NUL": token + "\0",
        "another case": token.swapcase(),
        "another last one": token[:-1] + next(letter for letter in ascii_letters if letter != last),
        "the same bits": token[:-1] + chr(ord(last) + 1),
        "twice": token * 2,
    }


def test_a_truncated_opaque_token_is_no_token(server: Served) -> None:
    """Refresh tokens are compared whole, by their hash: nothing near one refreshes or revokes, and it stays good."""
    signed_in = server.sign_in().json()
    whole = signed_in["refresh_token"]
    form = {"grant_type": "refresh_token", "client_id": server.known.spa}
    for name, text in twins(whole).items():
        answer = server.http.post("/token", data={**form, "refresh_token": text})
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant"), name
        answer = server.http.post("/session/refresh", json={"client_id": server.known.spa, "refresh_token": text})
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant"), name
        assert server.http.post("/revoke", data={"token": text, "client_id": server.known.spa}).status_code == 200
        assert not active(server, text)
    assert server.http.post("/token", data={**form, "refresh_token": whole}).status_code == 200


def test_a_truncated_access_token_is_no_token(server: Served, api: httpx2.Client, token: str) -> None:
    """Nor is anything near one, at the issuer or at an API; and taking such a thing back takes back nothing."""
    for name, text in twins(token).items():
        assert not active(server, text), name
        assert server.http.post("/revoke", data={"token": text}, auth=server.known.machine).status_code == 200
        if text.isprintable() and text.strip() == text:  # what a header can carry
            assert api.get("/orders", headers=bearer(text)).status_code == 401, name
    assert active(server, token)


# In the place of another.


def test_an_access_token_is_none_of_the_other_kinds(server: Served, token: str) -> None:
    """Wherever another kind of JWT is due, its `typ` refuses it, signed by our own key as it is."""
    keys = key_set(server.http.get("/jwks.json").json())
    assert jws.verify(token, keys, (Kind.ACCESS_TOKEN,), 16 * 1024)
    for kind in set(Kind) - {Kind.ACCESS_TOKEN}:
        with pytest.raises(WrongType):
            jws.verify(token, keys, (kind,), 16 * 1024)
    with pytest.raises(InvalidFeed, match="another kind"):
        unseal(token.encode(), keys, server.issuer)


@pytest.mark.parametrize(("form", "status"), [
    ({"grant_type": "client_credentials", **ASSERTION}, 401),
    ({"grant_type": "client_credentials", **ASSERTION, "client_id": "ID"}, 401),
    ({"grant_type": "client_credentials", "client_id": "ID", "client_secret": "T"}, 401),
    ({"grant_type": "refresh_token", "refresh_token": "T", "client_id": "SPA"}, 400),
    ({"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "T", "client_id": "SPA"}, 400),
])  # fmt: skip
def test_an_access_token_authenticates_no_client_and_refreshes_nothing(
    form: dict[str, str], status: int, server: Served, token: str
) -> None:
    """Sent as client_assertion, client_secret, refresh_token or assertion, it gets no token."""
    values = {"T": token, "ID": server.known.machine[0], "SPA": server.known.spa}
    answer = server.http.post("/token", data={name: values.get(value, value) for name, value in form.items()})
    assert answer.status_code == status, answer.text
    assert "access_token" not in answer.json()


@pytest.mark.parametrize(("path", "status"), [("/logout", 200), ("/authorize", 400)])
def test_an_access_token_is_no_hint(path: str, status: int, server: Served, token: str) -> None:
    """It leads nowhere and ends nothing: a page says that nobody is signed in here, or that the request is none."""
    asked = {"id_token_hint": token, "client_id": server.known.spa, "post_logout_redirect_uri": "https://app.example"}
    answer = server.http.get(path, params=asked)
    assert (answer.status_code, answer.headers.get("location")) == (status, None)
    assert active(server, token)


def test_a_stolen_bound_token_opens_nothing(server: Served, api: httpx2.Client) -> None:
    """Got and used by our client with its key; with another key, without one, or played back, it is refused."""
    key, (client_id, secret) = ProofKey.generate(), server.known.machine
    auth = ClientCredentials(issuer=server.issuer, client_id=client_id, client_secret=secret, dpop=key)
    sent = api.get("/orders", auth=auth)
    assert sent.status_code == 200
    stolen = sent.request.headers["authorization"].removeprefix("DPoP ")
    assert active(server, stolen)
    for refused in (
        api.get("/orders", headers=bearer(stolen)),
        api.get("/orders", headers={"authorization": f"DPoP {stolen}"}),
        api.get("/orders", headers=sent.request.headers),
        api.get("/orders", auth=BoundToken(stolen, ProofKey.generate())),
    ):
        assert refused.status_code == 401
        assert refused.json()["error"] in ("invalid_token", "invalid_dpop_proof")
    assert api.get("/orders", auth=auth).status_code == 200


def test_a_dpop_proof_is_no_access_token_and_the_other_way_round(api: httpx2.Client, token: str) -> None:
    """A plain token is not taken as a bound one, and a proof alone is none."""
    assert api.get("/orders", headers={"authorization": f"DPoP {token}"}).status_code == 401
    assert api.get("/orders", headers={"dpop": token}).status_code == 401


# Too much of it.


@pytest.mark.parametrize(("name", "text"), [
    ("20,000 levels", "[" * 20_000 + "]" * 20_000),
    ("20,000 levels of objects", '{"a":' * 20_000 + "1" + "}" * 20_000),
    ("10,000 digits", "9" * 10_000),
    ("100 kB of dots", "." * 100_000),
    ("a megabyte", "a" * 1_000_000),
    ("a megabyte of segments", "a." * 500_000),
])  # fmt: skip
def test_too_much_of_anything_is_a_4xx_and_the_workers_survive(
    name: str, text: str, server: Served, api: httpx2.Client, token: str
) -> None:
    """Where tokens are taken, by the issuer and by an API: in the body, in the header, as JSON."""
    process = server.program.pid
    for path, auth in (("/introspect", server.known.api), ("/revoke", server.known.machine)):
        answer = server.http.post(path, data={"token": text}, auth=auth)
        assert answer.status_code in (200, 413)
        assert answer.status_code == 413 or answer.text in ("", '{"active":false}')
    body = f'{{"client_id": "x", "email": {text if text[0] in "[{9" else "1"}, "password": "x"}}'
    answer = server.http.post("/session", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 413)
    for http, path in ((server.http, "/session"), (api, "/orders")):
        try:
            assert 400 <= http.get(path, headers=bearer(text)).status_code < 500
        except httpx2.HTTPError:
            continue  # hung up on before it had sent all of it
    assert server.program.process.poll() is None
    assert server.program.pid == process
    assert active(server, token)
    assert api.get("/orders", headers=bearer(token)).status_code == 200
    assert "Traceback" not in server.program.said
