"""Metadata and keys."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key

from tests.server.web.asking import Site
from tests.server.web.beside import opened
from tests.server.web.served import Served, served
from watchword.jose.b64 import b64url
from watchword.jose.jwk import SigningKey
from watchword_server.flows import keys
from watchword_server.protocol.registration import ALGORITHMS

MEMBERS = {
    "issuer": "",
    "jwks_uri": "/jwks.json",
    "authorization_endpoint": "/authorize",
    "pushed_authorization_request_endpoint": "/par",
    "device_authorization_endpoint": "/device_authorization",
    "token_endpoint": "/token",
    "userinfo_endpoint": "/userinfo",
    "end_session_endpoint": "/logout",
    "revocation_endpoint": "/revoke",
    "introspection_endpoint": "/introspect",
    "watchword_session_endpoint": "/session",
    "watchword_revocations_endpoint": "/revocations",
    "watchword_revocations_stream_endpoint": "/revocations/stream",
    "watchword_revocations_ack_endpoint": "/revocations/ack",
    "watchword_revocations_jwks_uri": "/revocations/jwks.json",
}

GRANTS = {
    "authorization_code",
    "client_credentials",
    "refresh_token",
    "urn:ietf:params:oauth:grant-type:device_code",
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "urn:ietf:params:oauth:grant-type:token-exchange",
    "urn:watchword:api-key",
}
SIGNED = [*ALGORITHMS, "HS256", "HS384", "HS512"]
PROVEN = ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"]

PUBLIC = {"RSA": {"n", "e"}, "EC": {"crv", "x", "y"}, "OKP": {"crv", "x"}}


@pytest.mark.parametrize("document", ["openid-configuration", "oauth-authorization-server"])
def test_the_issuer_describes_itself(server: Served, document: str) -> None:
    """RFC 8414 §3.2, and what a verifier of ours needs."""
    answer = server.http.get(f"/.well-known/{document}")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "public, max-age=300"
    found = answer.json()
    assert {name: found[name] for name in MEMBERS} == {name: server.issuer + path for name, path in MEMBERS.items()}
    assert found["watchword_access_token_max_lifetime"] == 900
    assert found["watchword_heartbeat_interval"] == 2


def test_every_endpoint_that_is_advertised_is_there(server: Served) -> None:
    """Whatever it answers, it is not 404."""
    found = server.http.get("/.well-known/openid-configuration").json()
    places = [value for name, value in found.items() if name.endswith(("_endpoint", "_uri"))]
    assert len(places) == len(MEMBERS) - 1
    for place in places:
        assert server.http.get(place.removeprefix(server.issuer)).status_code != 404, place


def test_what_only_some_deployments_do_is_advertised_by_those(site: Site, server: Served) -> None:
    """Registration, and making oneself an account."""
    plain, more = (one.get("/.well-known/openid-configuration").json() for one in (server.http, site.served.http))
    assert "registration_endpoint" not in plain
    assert "create" not in plain["prompt_values_supported"]
    assert "create" in more["prompt_values_supported"]


def test_metadata_documents_are_advertised_where_they_are_read(server: Served, tmp_path: Path) -> None:
    """Unless the operator has switched them off; nobody is sent to a dead end then."""
    name = "client_id_metadata_document_supported"
    assert server.http.get("/.well-known/oauth-authorization-server").json()[name] is True
    with served(tmp_path, CLIENTS__METADATA_DOCUMENTS="false") as off:
        assert name not in off.http.get("/.well-known/oauth-authorization-server").json()


def test_what_is_advertised_of_requests_and_answers(server: Served) -> None:
    """OpenID Connect Discovery 1.0 §3; each of these has tests that it works."""
    found = server.http.get("/.well-known/openid-configuration").json()
    assert found["response_types_supported"] == ["code"]
    assert found["response_modes_supported"] == ["query", "fragment", "form_post"]
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert found["subject_types_supported"] == ["public", "pairwise"]
    assert set(found["grant_types_supported"]) == GRANTS
    assert found["authorization_response_iss_parameter_supported"] is True
    assert "RS256" in found["id_token_signing_alg_values_supported"]
    assert "none" not in found["id_token_signing_alg_values_supported"]
    assert {"openid", "offline_access"} <= set(found["scopes_supported"])


@pytest.mark.parametrize(
    ("endpoint", "methods"),
    [("token", [*PROVEN, "none"]), ("revocation", [*PROVEN, "none"]), ("introspection", PROVEN)],
)
def test_it_says_how_clients_authenticate(server: Served, endpoint: str, methods: list[str]) -> None:
    """RFC 8414 §2: at which endpoint by which way, and what they may sign with; `none` is no algorithm."""
    found = server.http.get("/.well-known/oauth-authorization-server").json()
    assert found[f"{endpoint}_endpoint_auth_methods_supported"] == methods
    assert found[f"{endpoint}_endpoint_auth_signing_alg_values_supported"] == SIGNED


@pytest.mark.parametrize("path", ["/jwks.json", "/revocations/jwks.json"])
def test_keys_are_public_and_nothing_else(server: Served, path: str) -> None:
    """No private and no symmetric member, and a cache may keep them for five minutes."""
    answer = server.http.get(path)
    assert answer.headers["cache-control"] == "public, max-age=300"
    keys = answer.json()["keys"]
    for key in keys:
        assert set(key) == {"kty", "kid", "alg", "use", *PUBLIC[key["kty"]]}
    assert len([key for key in keys if key["alg"] == "ES256"]) == 2  # one that signs, and one that waits


def test_no_algorithm_has_private_members(tmp_path: Path) -> None:
    """Keys of all at once: what is published is what RFC 7517 and 7518 call public, and no number of theirs."""
    with served(tmp_path) as own:
        secrets = asyncio.run(every_algorithm(own))
        found = [own.http.get(path) for path in ("/jwks.json", "/revocations/jwks.json")]
    members = [key for answer in found for key in answer.json()["keys"]]
    assert len(members) == len(secrets) == 2 * (len(ALGORITHMS) + 1)
    assert {key["alg"] for key in members} == set(ALGORITHMS)
    for key in members:
        assert set(key) == {"kty", "kid", "alg", "use", *PUBLIC[key["kty"]]}
    assert not any(number in answer.text for answer in found for secret in secrets for number in private(secret))


async def every_algorithm(own: Served) -> list[bytes]:
    """Begin with all of them; the private keys."""
    async with opened(own) as issuer:
        for alg in ALGORITHMS:
            await issuer.stores.journal.save(*await keys.begin(issuer, alg, int(time.time())))
        found = [issuer.key_store.open(key) for key in await issuer.stores.keys.all()]
    return [key.pkcs8() for key in found if isinstance(key, SigningKey)]


def private(pkcs8: bytes) -> list[str]:
    """The numbers of a private key as a JWK would have them (RFC 7518 §6, RFC 8037 §2)."""
    key = load_der_private_key(pkcs8, None)
    if isinstance(key, RSAPrivateKey):
        numbers = key.private_numbers()
        found = [numbers.d, numbers.p, numbers.q, numbers.dmp1, numbers.dmq1, numbers.iqmp]
    elif isinstance(key, EllipticCurvePrivateKey):
        found = [key.private_numbers().private_value]
    else:
        assert isinstance(key, Ed25519PrivateKey)
        found = [int.from_bytes(key.private_bytes_raw())]
    return [b64url(number.to_bytes((number.bit_length() + 7) // 8)) for number in found]


def test_the_feed_has_keys_of_its_own(server: Served) -> None:
    """They sign nothing else, so they are not among the keys of tokens."""
    access = {key["kid"] for key in server.http.get("/jwks.json").json()["keys"]}
    feed = {key["kid"] for key in server.http.get("/revocations/jwks.json").json()["keys"]}
    assert len(feed) == 2
    assert len(access) >= 2
    assert access.isdisjoint(feed)


def test_an_issuer_with_a_path_has_everything_below_it(tmp_path: Path) -> None:
    """RFC 8414 §3.1 inserts the path, OpenID Connect Discovery §4 appends to it; health stays at the root."""
    with served(tmp_path, path="/tenant/a") as own:
        root = f"http://127.0.0.1:{own.port}"
        for document in ("openid-configuration", "oauth-authorization-server"):
            inserted = own.http.get(f"{root}/.well-known/{document}/tenant/a")
            appended = own.http.get(f"{root}/tenant/a/.well-known/{document}")
            assert inserted.json() == appended.json()
            assert inserted.json()["issuer"] == own.issuer
            assert own.http.get(f"{root}/.well-known/{document}").status_code == 404
        assert own.token().status_code == 200
        assert own.http.get(f"{root}/token").status_code == 404
        assert own.http.get(f"{root}/healthz").status_code == 200
