"""Token exchange as clients see it on the wire."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.server.web.served import AUDIENCE, SCOPES, Served
from watchword_server.flows import clients
from watchword_server.flows.administration import Operator
from watchword_server.flows.issuer import Caller
from watchword_server.main import load_settings, open_issuer
from watchword_server.protocol.grants.token_exchange import ACCESS_TOKEN, GRANT_TYPE, JWT
from watchword_server.protocol.values import ClientMetadata

Pair = tuple[str, str]


@pytest.fixture(scope="module")
def agent(server: Served) -> Pair:
    """A client that acts for people by the page that they sign in at."""

    async def made() -> Pair:
        async with open_issuer(load_settings(None, {"issuer": server.issuer, "data": server.data})) as issuer:
            own = ClientMetadata(acts_for=(server.known.spa,))
            access = {AUDIENCE: SCOPES}
            new = clients.NewClient("Agent", "confidential", frozenset({GRANT_TYPE}), access, metadata=own)
            client, secret = await clients.add(issuer, Operator("test", Caller()), new, int(time.time()))
            return client.client_id, secret or ""

    return asyncio.run(made())


def form(token: str, **more: str) -> dict[str, str]:
    """A request."""
    return {"grant_type": GRANT_TYPE, "subject_token": token, "subject_token_type": ACCESS_TOKEN, **more}


def test_the_answer_says_what_kind_of_token_it_brings(server: Served, agent: Pair) -> None:
    """RFC 8693 §2.2.1; without a refresh token, and kept by nobody in between."""
    token = server.sign_in().json()["access_token"]
    answer = server.http.post("/token", data=form(token, scope="orders:read"), auth=agent)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    said = answer.json()
    assert said.keys() == {"access_token", "expires_in", "scope", "token_type", "issued_token_type"}
    assert (said["scope"], said["token_type"], said["issued_token_type"]) == ("orders:read", "Bearer", ACCESS_TOKEN)
    jwt = server.http.post("/token", data=form(token, requested_token_type=JWT), auth=agent).json()
    assert jwt["issued_token_type"] == JWT
    told = server.http.post("/introspect", data={"token": said["access_token"]}, auth=server.known.api).json()
    assert (told["active"], told["act"], told["client_id"]) == (True, {"sub": agent[0]}, agent[0])


@pytest.mark.parametrize(("more", "error"), [
    ({"subject_token": "a.b.c"}, "invalid_request"),
    ({"subject_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}, "invalid_request"),
    ({"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}, "invalid_request"),
    ({"resource": "https://stock.example"}, "invalid_target"),
    ({"scope": "stock"}, "invalid_scope"),
])  # fmt: skip
def test_a_refusal_has_the_word_that_its_reason_has(
    server: Served, agent: Pair, more: dict[str, str], error: str
) -> None:
    """RFC 8693 §2.2.2."""
    token = server.sign_in().json()["access_token"]
    answer = server.http.post("/token", data={**form(token), **more}, auth=agent)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_why_a_token_is_no_good_is_not_told(server: Served, agent: Pair) -> None:
    """Revoked, forged or somebody else's: one sentence."""
    token = server.sign_in().json()["access_token"]
    server.http.post("/revoke", data={"token": token, "client_id": server.known.spa})
    other = server.token().json()["access_token"]
    answers = [
        server.http.post("/token", data=form(one), auth=agent).json() for one in (token, other, other[:-4] + "AAAA")
    ]
    assert answers[0]["error"] == "invalid_request"
    assert answers == [answers[0]] * 3


def test_a_client_that_may_not_exchange_is_told_so(server: Served) -> None:
    """RFC 6749 §5.2."""
    answer = server.http.post("/token", data=form("t"), auth=server.known.machine)
    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")


def test_it_is_advertised(server: Served) -> None:
    """RFC 8414 §2."""
    said = server.http.get("/.well-known/oauth-authorization-server").json()
    assert GRANT_TYPE in said["grant_types_supported"]
