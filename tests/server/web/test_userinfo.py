"""Userinfo: who may ask, how a token is sent, and how the answer comes."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx2
import pytest

from tests.server.flows.house import BY
from tests.server.flows.relying import (
    PROFILE,
    access_token,
    allowed,
    decrypted,
    identified,
    registered,
    verified,
)
from tests.server.web.served import DISABLED, FORM, Served, bearer
from watchword.jose import jws
from watchword.jose.jwe import DecryptionKey
from watchword.jose.jwk import SigningKey
from watchword.jose.kinds import Kind
from watchword_server.changes import Add, EndGrant
from watchword_server.flows import clients, revoking
from watchword_server.flows.issuer import Issuer
from watchword_server.main import load_settings, open_issuer
from watchword_server.people.values import User
from watchword_server.protocol.claims import ClaimsRequest, Wanted
from watchword_server.protocol.values import Client, Grant

NOW = int(time.time())
OPENID = ("openid",)
EVERYTHING = ("openid", "profile", "email", "address", "phone")


CAROL, SUB = "carol@example.com", "0f0e1a52-6a2c-4c57-9a53-2c1d3a1d9f11"
allows = partial(allowed, email=CAROL)


@asynccontextmanager
async def deployment(server: Served) -> AsyncIterator[Issuer]:
    """The server's deployment, opened by another process: this one."""
    async with open_issuer(load_settings(None, {"issuer": server.issuer, "data": server.data})) as issuer:
        yield issuer


@pytest.fixture(scope="module", autouse=True)
def carol(server: Served) -> None:
    """Somebody whom the tests of other files do not know."""

    async def add() -> None:
        async with deployment(server) as issuer:
            carol = User(SUB, CAROL, "Carol Adams", None, (), NOW, profile=PROFILE)
            await issuer.stores.journal.save(Add(carol))

    asyncio.run(add())


def ask(server: Served, token: str) -> httpx2.Response:
    """GET /userinfo with a token in the header."""
    return server.http.get("/userinfo", headers=bearer(token))


def must_be_refused(answer: httpx2.Response, status: int, error: str) -> None:
    """RFC 6750 §3: a status, the same word in the body and in the header, and nothing of anybody."""
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert f'error="{error}"' in answer.headers["www-authenticate"]
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert answer.headers["cache-control"] == "no-store"
    assert CAROL not in answer.text


async def test_a_client_is_told_what_its_scopes_allow(server: Served) -> None:
    """OpenID Connect Core §5.4; by GET, by POST with a header, and by POST with a form (RFC 6750 §2)."""
    async with deployment(server) as issuer:
        client = await registered(issuer)
        token = await access_token(issuer, client, await allows(issuer, client, EVERYTHING))
        less = await access_token(issuer, client, await allows(issuer, client, ("openid", "email")))
    ways = (
        ask(server, token),
        server.http.post("/userinfo", headers=bearer(token)),
        server.http.post("/userinfo", data={"access_token": token}),
    )
    everything = {name: value for name, value in PROFILE.items() if name != "shoe_size"}
    for answer in ways:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json() == {"sub": SUB, "name": "Carol Adams", "email": CAROL, **everything}
    assert ask(server, less).json() == {"sub": SUB, "email": CAROL, "email_verified": True}


async def test_a_client_is_told_what_it_asked_for_by_name(server: Served) -> None:
    """§5.5: beside its scopes; and what it wanted in the ID token is not told here."""
    asked = ClaimsRequest(
        id_token={"family_name": Wanted()},
        userinfo={"given_name": Wanted(essential=True), "phone_number": Wanted(values=("110",)), "sub": Wanted()},
    )
    async with deployment(server) as issuer:
        client = await registered(issuer)
        token = await access_token(issuer, client, await allows(issuer, client, claims=asked))
    assert ask(server, token).json() == {"sub": SUB, "given_name": "Alice"}


async def test_a_refreshed_token_tells_what_it_was_narrowed_to(server: Served) -> None:
    """The token's scopes count, and not all that was once allowed."""
    async with deployment(server) as issuer:
        client = await registered(issuer)
        grant = await allows(issuer, client, EVERYTHING)
        token = await access_token(issuer, client, grant, scope=OPENID)
    assert ask(server, token).json() == {"sub": SUB}


async def test_a_token_for_an_api_is_good_for_userinfo_where_it_has_the_scope(server: Served) -> None:
    """One token for both, as many clients use it."""
    async with deployment(server) as issuer:
        client = await registered(issuer)
        grant = await allows(issuer, client, ("openid", "orders:read"), audience="https://orders.example")
        token = await access_token(issuer, client, grant)
    assert ask(server, token).json() == {"sub": SUB}


async def test_a_client_that_wants_it_signed_gets_a_jwt_for_itself(server: Served) -> None:
    """§5.3.2: `iss` and `aud` say from whom and for whom; it is no ID token."""
    async with deployment(server) as issuer:
        client = await registered(issuer, userinfo_signed_response_alg="ES256")
        token = await access_token(issuer, client, await allows(issuer, client, ("openid", "email")))
        answer = ask(server, token)
        header, said = await verified(issuer, answer.text)
    assert answer.headers["content-type"] == "application/jwt"
    assert header["alg"] == "ES256"
    whole = {"iss": server.issuer, "aud": client.client_id, "sub": SUB, "email": CAROL, "email_verified": True}
    assert said == whole


@pytest.mark.parametrize("signed", ["ES256", None], ids=["signed", "plain"])
async def test_a_client_that_wants_it_encrypted_is_the_only_one_who_reads_it(
    server: Served, signed: str | None
) -> None:
    """§5.3.2: signed first where it wants both."""
    own = DecryptionKey.generate("ECDH-ES")
    choice = {"userinfo_encrypted_response_alg": "ECDH-ES", "userinfo_encrypted_response_enc": "A256GCM"}
    async with deployment(server) as issuer:
        jwks = {"keys": [own.public_jwk()]}
        client = await registered(issuer, jwks=jwks, userinfo_signed_response_alg=signed, **choice)
        answer = ask(server, await access_token(issuer, client, await allows(issuer, client)))
        header, inside = decrypted(answer.text, own.private_jwk())
        said = json.loads(inside) if signed is None else (await verified(issuer, inside.decode()))[1]
    assert answer.headers["content-type"] == "application/jwt"
    assert header["cty"] == ("json" if signed is None else "JWT")
    assert said["sub"] == SUB


async def test_without_the_scope_the_answer_is_403(server: Served) -> None:
    """RFC 6750 §3.1: the token is a good one, and says which scope it lacks; a program's own token too."""
    async with deployment(server) as issuer:
        client = await registered(issuer)
        token = await access_token(issuer, client, await allows(issuer, client, ("profile",)))
    for other in (token, server.token().json()["access_token"], server.sign_in().json()["access_token"]):
        answer = ask(server, other)
        must_be_refused(answer, 403, "insufficient_scope")
        assert 'scope="openid"' in answer.headers["www-authenticate"]


Kill = Callable[[Issuer, Client, Grant], Awaitable[object]]


@pytest.mark.parametrize("kill", [
    pytest.param(lambda i, c, g: revoking.grant(i, BY, g.gid, NOW), id="grant"),
    pytest.param(lambda i, c, g: revoking.session(i, BY, g.sid, NOW), id="session"),
    pytest.param(lambda i, c, g: revoking.user(i, BY, g.sub, NOW), id="person"),
    pytest.param(lambda i, c, g: revoking.client(i, BY, c.client_id, NOW), id="client"),
    pytest.param(lambda i, c, g: clients.disable(i, BY, c.client_id, NOW), id="disabled-client"),
    pytest.param(lambda i, c, g: i.stores.journal.save(EndGrant(g.gid, NOW)), id="ended-without-an-entry"),
])  # fmt: skip
async def test_what_was_revoked_by_another_process_is_refused_at_once(server: Served, kill: Kill) -> None:
    """Nothing is waited for, and nothing polled: the next request is refused."""
    async with deployment(server) as issuer:
        client = await registered(issuer)
        grant = await allows(issuer, client, EVERYTHING)
        token = await access_token(issuer, client, grant)
        assert ask(server, token).status_code == 200
        await kill(issuer, client, grant)
        must_be_refused(ask(server, token), 401, "invalid_token")


async def test_a_token_that_its_client_took_back_is_refused_at_once(server: Served) -> None:
    """RFC 7009, then RFC 6750."""
    async with deployment(server) as issuer:
        client, secret = await clients.new_secret(issuer, BY, (await registered(issuer)).client_id, NOW)
        token = await access_token(issuer, client, await allows(issuer, client))
    assert ask(server, token).status_code == 200
    assert server.http.post("/revoke", data={"token": token}, auth=(client.client_id, secret)).status_code == 200
    must_be_refused(ask(server, token), 401, "invalid_token")


async def test_nothing_is_told_of_a_person_who_is_disabled(server: Served) -> None:
    """Not even by a token that was made after that, on what a slow node had read before."""
    async with deployment(server) as issuer:
        client = await registered(issuer)
        token = await access_token(issuer, client, await allowed(issuer, client, email=DISABLED))
    must_be_refused(ask(server, token), 401, "invalid_token")


async def strangers(server: Served) -> dict[str, str]:
    """What is no access token of ours, or not any more; each is as good as it can be otherwise."""
    async with deployment(server) as issuer:
        client = await registered(issuer)
        grant = await allows(issuer, client, EVERYTHING)
        good = await access_token(issuer, client, grant)
        told = await verified(issuer, good)
        other = SigningKey.generate("ES256")
        ring = await issuer.keyring.at(await issuer.stores.log.head(), NOW)
        whole = {**told[1], "jti": issuer.identifier()}
        head, body, signature = good.split(".")
        nobody = segment({"alg": "none", "typ": "at+jwt", "kid": told[0]["kid"]})
        return {
            "ID token": await identified(issuer, client, grant, good),
            "ID token with the claims of an access token": ring.signs_for(Kind.ID_TOKEN, "ES256")(encoded(whole)),
            "of another issuer": ring.signs("ES256")(encoded({**whole, "iss": "https://evil.example"})),
            "for an API that nobody knows": ring.signs("ES256")(encoded({**whole, "aud": "https://evil.example"})),
            "for two": ring.signs("ES256")(encoded({**whole, "aud": [server.issuer]})),
            "of a grant that never was": ring.signs("ES256")(encoded({**whole, "gid": "nothing"})),
            "of no grant": ring.signs("ES256")(encoded({k: v for k, v in whole.items() if k != "gid"})),
            "of another client's grant": ring.signs("ES256")(encoded({**whole, "client_id": server.known.spa})),
            "signed by a stranger": jws.signer(other, Kind.ACCESS_TOKEN)(encoded(whole)),
            "unsigned": f"{nobody}.{body}.",
            "changed": f"{head}.{segment({**told[1], 'sub': 'somebody else'})}.{signature}",
            "expired": await access_token(issuer, client, grant, NOW - 3600),
            "a refresh token": "wwr_" + "a" * 43,
            "a code": "wwc_" + "a" * 43,
            "too long": "a" * 20_000,
            "no token": "é",
            "encrypted by a stranger": "a.a.a.a.a",
        }


def encoded(claims: dict[str, Any]) -> bytes:
    return json.dumps(claims).encode()


def segment(members: dict[str, Any]) -> str:
    return urlsafe_b64encode(encoded(members)).rstrip(b"=").decode()


def test_nothing_but_a_living_access_token_of_ours_is_taken(server: Served) -> None:
    """RFC 8725 §3: each of these fails on one thing only."""
    for name, token in asyncio.run(strangers(server)).items():
        answer = server.http.post("/userinfo", data={"access_token": token})
        assert (name, answer.status_code) == (name, 401)
        must_be_refused(answer, 401, "invalid_token")


async def test_a_token_comes_once_and_never_in_the_url(server: Served) -> None:
    """RFC 6750 §2: by one way only, and §5.3: URLs are written down everywhere."""
    async with deployment(server) as issuer:
        client = await registered(issuer)
        token = await access_token(issuer, client, await allows(issuer, client))
    form = {"access_token": token}
    for answer in (
        server.http.post("/userinfo", data=form, headers=bearer(token)),
        server.http.get("/userinfo", params=form),
        server.http.get("/userinfo", params=form, headers=bearer(token)),
        server.http.post("/userinfo", params=form),
    ):
        must_be_refused(answer, 400, "invalid_request")
    twice = server.http.post("/userinfo", content=f"access_token={token}&access_token={token}", headers=FORM)
    assert (twice.status_code, twice.json()["error"]) == (400, "invalid_request")
    headers = [("authorization", f"Bearer {token}")] * 2
    assert server.http.get("/userinfo", headers=headers).status_code == 400


@pytest.mark.parametrize(("method", "headers", "content"), [
    ("GET", {}, b""),
    ("POST", {}, b""),
    ("POST", FORM, b"token=x"),
    ("POST", {"content-type": "application/json"}, b'{"access_token": "x"}'),
    ("GET", {"authorization": "Bearer"}, b""),
    ("GET", {"authorization": "Bearer,"}, b""),
    ("GET", {"authorization": "Basic eDp5"}, b""),
    ("GET", {"cookie": "__Host-watchword-access=x"}, b""),
])  # fmt: skip
def test_who_sends_no_token_is_told_how_to(
    server: Served, method: str, headers: dict[str, str], content: bytes
) -> None:
    """RFC 6750 §3.1, RFC 9449 §7.2: no error in the headers, for nothing is wrong with what was not sent."""
    answer = server.http.request(method, "/userinfo", headers=headers, content=content)
    assert answer.status_code == 401
    bearer, bound = answer.headers.get_list("www-authenticate")
    assert bearer == 'Bearer realm="watchword"'
    assert bound.startswith('DPoP realm="watchword", algs="')


def test_other_methods_are_refused(server: Served) -> None:
    """And the answer says which there are."""
    answer = server.http.put("/userinfo")
    assert answer.status_code == 405
    assert {"GET", "POST"} <= set(answer.headers["allow"].split(", "))
