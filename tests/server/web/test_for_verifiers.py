"""`GET /clients/{client_id}/document`, and API keys at `/token`, over HTTP."""

from __future__ import annotations

import asyncio
import time

import pytest
from msgspec.structs import replace

from tests.server.web.served import AUDIENCE, Served, basic
from watchword.jose.jwk import SigningKey
from watchword_server.flows import clients, customer_keys
from watchword_server.flows.administration import Operator
from watchword_server.flows.customer_keys import NewKey
from watchword_server.flows.issuer import Caller
from watchword_server.main import load_settings, open_issuer

BY = Operator("test", Caller())
KEY = SigningKey.generate("ES256")


async def signing(server: Served) -> tuple[str, str]:
    """A client that signs its own tokens, and one that is disabled."""
    now = int(time.time())
    async with open_issuer(load_settings(None, {"issuer": server.issuer, "data": server.data})) as issuer:
        machine = await clients.find(issuer, server.known.machine[0])
        metadata = replace(machine.metadata, signs_tokens=True, jwks={"keys": [KEY.public_jwk()]})
        new = clients.NewClient("Signer", "confidential", frozenset(), {AUDIENCE: ("orders:read",)}, metadata=metadata)
        one, _ = await clients.add(issuer, BY, new, now)
        other, _ = await clients.add(issuer, BY, new, now)
        await clients.disable(issuer, BY, other.client_id, now)
        return one.client_id, other.client_id


@pytest.fixture(scope="module")
def signers(server: Served) -> tuple[str, str]:
    return asyncio.run(signing(server))


def test_an_api_reads_keys_and_scopes(server: Served, signers: tuple[str, str]) -> None:
    """And nobody keeps the answer on the way."""
    answer = server.http.get(f"/clients/{signers[0]}/document", auth=server.known.api)
    found = answer.json()
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert found["jwks"]["keys"] == [KEY.public_jwk()]
    assert (found["client_id"], found["scope"], found["fresh_for"]) == (signers[0], "orders:read", 300)
    assert found.keys() == {"client_id", "jwks", "scope", "rev", "fresh_for", "revoked_at"}


def test_whoever_may_not_sign_looks_like_nobody(server: Served, signers: tuple[str, str]) -> None:
    """Unknown, disabled, not let, or at another API: one answer, to the byte."""
    names = ["client_unknown", signers[1], server.known.machine[0], server.known.api[0], "a%2Fb", "%2e%2e"]
    answers = [server.http.get(f"/clients/{name}/document", auth=server.known.api) for name in names]
    answers.append(server.http.get(f"/clients/{signers[0]}/document", auth=server.known.other_api))
    assert {answer.status_code for answer in answers} == {404}
    told = [answer.content for answer, name in zip(answers, [*names, ""], strict=True) if "%" not in name]
    assert len(set(told)) == 1


def test_only_apis_are_told(server: Served, signers: tuple[str, str]) -> None:
    """With their own credentials; the answer says how."""
    path = f"/clients/{signers[0]}/document"
    pairs = [None, (server.known.api[0], "wrong"), server.known.machine, ("nobody", "x")]
    for pair in pairs:
        answer = server.http.get(path, headers={"authorization": basic(pair)} if pair else {})
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert answer.headers["www-authenticate"].startswith("Basic")
    assert server.http.get(f"{path}?x=1", auth=server.known.api).status_code == 400
    assert server.http.post(path, auth=server.known.api).status_code == 405


def test_an_api_key_is_traded_with_and_without_the_apis_credentials(server: Served) -> None:
    """One refusal for whatever is not good; nothing of it in the metadata but that it is there."""

    async def made() -> str:
        async with open_issuer(load_settings(None, {"issuer": server.issuer, "data": server.data})) as issuer:
            new = NewKey(server.known.machine[0], AUDIENCE, "Shop 7")
            return (await customer_keys.add(issuer, BY, new, int(time.time())))[1]

    key = asyncio.run(made())
    form = {"grant_type": "urn:watchword:api-key", "api_key": key}
    for auth in (None, server.known.api):
        answer = server.http.post("/token", data=form, auth=auth)
        assert answer.status_code == 200, answer.text
        assert answer.json().keys() == {"access_token", "token_type", "expires_in", "scope"}
        assert answer.headers["cache-control"] == "no-store"
    bad = [
        server.http.post("/token", data={**form, "api_key": key[:-1] + ("A" if key[-1] != "A" else "E")}),
        server.http.post("/token", data=form, auth=server.known.other_api),
        server.http.post("/token", data={**form, "api_key": "x"}, auth=server.known.api),
    ]
    assert {(answer.status_code, answer.content) for answer in bad} == {(400, bad[0].content)}
    assert bad[0].json()["error"] == "invalid_grant"
    metadata = server.http.get("/.well-known/oauth-authorization-server").json()
    assert "urn:watchword:api-key" in metadata["grant_types_supported"]
    assert metadata["watchword_client_documents"] == f"{server.issuer}/clients"
    assert key[12:] not in server.program.said
