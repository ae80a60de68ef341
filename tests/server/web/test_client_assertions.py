"""Clients that sign who they are, over HTTP: at each endpoint, once, and every refusal alike."""

from __future__ import annotations

import asyncio
import time

import httpx2
import pytest

from tests.server.assertions import BEARER, assertion, by_secret, claims, shown
from tests.server.request_objects import unsigned
from tests.server.web.asking import Site
from tests.server.web.beside import opened
from tests.server.web.served import AUDIENCE, SCOPES, Served
from watchword.jose.jwk import SigningKey
from watchword_server.flows import clients
from watchword_server.flows.administration import Operator
from watchword_server.flows.issuer import Caller
from watchword_server.protocol.values import ClientMetadata

KEY, STRANGER = SigningKey.generate("ES256"), SigningKey.generate("ES256")
SIGNS = {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [KEY.public_jwk()]}}
KEYED = ClientMetadata(**SIGNS)
BACK = "https://keyed.example/cb"


def registered(server: Served, metadata: ClientMetadata = KEYED, *grants: str) -> tuple[str, str]:
    """A client of its own, and its secret if it has one."""

    async def add() -> tuple[str, str]:
        async with opened(server) as issuer:
            wanted = frozenset(grants or ("client_credentials",))
            uris = (BACK,) if "authorization_code" in wanted else ()
            new = clients.NewClient(
                "Keyed", "confidential", wanted, {AUDIENCE: SCOPES}, redirect_uris=uris, metadata=metadata
            )
            client, secret = await clients.add(issuer, Operator("test", Caller()), new, int(time.time()))
            return client.client_id, secret or ""

    return asyncio.run(add())


def own(client_id: str, server: Served, **changes: object) -> dict[str, object]:
    """Good claims of now, changed."""
    return claims(client_id, changes.pop("aud", server.issuer), int(time.time()), **changes)


def refused(answer: httpx2.Response) -> tuple[int, str, str]:
    """What is told of a refusal, and all of it."""
    return answer.status_code, answer.headers.get("www-authenticate", ""), answer.text


def test_a_key_opens_each_endpoint_once(server: Served) -> None:
    """A token, taken back, and asked about; a second showing is refused, wherever it is."""
    client_id, _ = registered(server)
    used = shown(assertion(KEY, own(client_id, server)))
    answer = server.http.post("/token", data={"grant_type": "client_credentials", **used})
    assert answer.status_code == 200, answer.text
    token = answer.json()["access_token"]
    for path, form in (("/introspect", {"token": token}), ("/revoke", {"token": token})):
        fresh = shown(assertion(KEY, own(client_id, server)))
        assert server.http.post(path, data={**form, **fresh}).status_code == 200
        for spent in (used, fresh):
            again = server.http.post(path, data={**form, **spent})
            assert (again.status_code, again.json()["error"]) == (401, "invalid_client")
    late = server.http.post("/introspect", data={"token": token, **shown(assertion(KEY, own(client_id, server)))})
    assert late.json() == {"active": False}


def test_an_authorization_request_is_pushed_by_an_assertion(site: Site) -> None:
    """And the code is traded by another; `aud` is the issuer at both, and the PAR URL is nobody (RFC 9126 §2)."""
    server = site.served
    client_id, _ = registered(server, KEYED, "authorization_code", "refresh_token")
    asks = {
        "redirect_uri": BACK,
        "response_type": "code",
        "scope": "openid",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    }
    for aud in (f"{server.issuer}/par", f"{server.issuer}/token", [server.issuer]):
        wrong = server.http.post("/par", data={**asks, **shown(assertion(KEY, own(client_id, server, aud=aud)))})
        assert wrong.json()["error"] == "invalid_client"
    pushed = server.http.post("/par", data={**asks, **shown(assertion(KEY, own(client_id, server)))})
    assert pushed.status_code == 201, pushed.text
    assert pushed.json()["request_uri"]


def test_every_refusal_looks_the_same(server: Served) -> None:
    """Whoever guesses learns nothing: not which client there is, nor what was wrong (RFC 6749 §5.2)."""
    keyed, _ = registered(server)
    strict, _ = registered(server, ClientMetadata(**{**SIGNS, "fapi2": True}))
    signing, secret = registered(server, ClientMetadata(token_endpoint_auth_method="client_secret_jwt"))
    rsa = SigningKey.generate("RS256")
    used = assertion(KEY, own(keyed, server))
    assert server.http.post("/token", data={"grant_type": "client_credentials", **shown(used)}).status_code == 200
    # fmt: off
    texts = {
        "shown before":       used,
        "unknown client":     assertion(KEY, own("client_unknown", server)),
        "another key":        assertion(STRANGER, own(keyed, server)),
        "unsigned":           unsigned(own(keyed, server)),
        "a list":             assertion(KEY, own(keyed, server, aud=[server.issuer])),
        "the token URL":      assertion(KEY, own(keyed, server, aud=f"{server.issuer}/token")),
        "no sub":             assertion(KEY, own(keyed, server, sub=...)),
        "no exp":             assertion(KEY, own(keyed, server, exp=...)),
        "no jti":             assertion(KEY, own(keyed, server, jti=...)),
        "not good yet":       assertion(KEY, own(keyed, server, nbf=int(time.time()) + 90)),
        "an access token":    assertion(KEY, own(keyed, server), typ="at+jwt"),
        "a proof":            assertion(KEY, own(keyed, server), typ="dpop+jwt"),
        "RS256 under FAPI":   assertion(rsa, own(strict, server)),
        "a secret, no key":   assertion(by_secret(secret), own(keyed, server)),
        "a key, no secret":   assertion(KEY, own(signing, server)),
        "another's secret":   assertion(by_secret(secret + "x"), own(signing, server)),
    }
    # fmt: on
    forms = [{"grant_type": "client_credentials", **shown(text)} for text in texts.values()]
    forms += [{"grant_type": "client_credentials", "client_id": keyed, "client_secret": "wws_any"}]
    forms += [{"grant_type": "client_credentials", "client_id": signing, "client_secret": secret}]
    forms += [{"grant_type": "client_credentials", "client_id": keyed}]
    answers = {refused(server.http.post("/token", data=form)) for form in forms}
    assert len(answers) == 1
    ((status, _, text),) = answers
    assert (status, '"error":"invalid_client"' in text) == (401, True)


@pytest.mark.parametrize("path", ["/token", "/par", "/revoke", "/introspect"])
def test_two_ways_at_once_are_none(server: Served, path: str) -> None:
    """RFC 6749 §2.3: an assertion beside a secret, however good both are, and a public client beside any."""
    client_id, secret = registered(server, ClientMetadata(jwks={"keys": [KEY.public_jwk()]}))
    by_key = shown(assertion(KEY, own(client_id, server)))
    for form, auth in (
        ({**by_key, "client_id": client_id, "client_secret": secret}, None),
        (by_key, (client_id, secret)),
        ({"client_id": client_id, "client_secret": secret}, (client_id, secret)),
        ({"client_id": client_id, "client_secret": ""}, None),
        ({"client_id": server.known.spa, "client_secret": "wws_any"}, None),
        ({}, (server.known.spa, "wws_any")),
        ({**by_key, "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}, None),
        ({"client_assertion": by_key["client_assertion"], "client_id": client_id}, None),
    ):
        answer = server.http.post(path, data={"grant_type": "client_credentials", "token": "x", **form}, auth=auth)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client"), form


def test_a_program_signs_for_a_token_and_sends_nothing_else(server: Served) -> None:
    """RFC 7523 §2.1, as service accounts do; a second time it is no grant."""
    client_id, _ = registered(server, KEYED, BEARER)
    form = {"grant_type": BEARER, "assertion": assertion(KEY, own(client_id, server), typ="JWT"), "resource": AUDIENCE}
    answer = server.http.post("/token", data=form)
    assert answer.status_code == 200, answer.text
    assert answer.json()["token_type"] == "Bearer"
    again = server.http.post("/token", data=form)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert (server.http.post("/token", data={"grant_type": BEARER}).json()["error"]) == "invalid_request"
