"""Metadata and keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.server.web.served import Served, served

MEMBERS = {
    "issuer": "",
    "jwks_uri": "/jwks.json",
    "token_endpoint": "/token",
    "revocation_endpoint": "/revoke",
    "introspection_endpoint": "/introspect",
    "watchword_session_endpoint": "/session",
    "watchword_revocations_endpoint": "/revocations",
    "watchword_revocations_stream_endpoint": "/revocations/stream",
    "watchword_revocations_jwks_uri": "/revocations/jwks.json",
}


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


@pytest.mark.parametrize("path", ["/jwks.json", "/revocations/jwks.json"])
def test_keys_are_public_and_nothing_else(server: Served, path: str) -> None:
    """No private and no symmetric member, and a cache may keep them for five minutes."""
    answer = server.http.get(path)
    assert answer.headers["cache-control"] == "public, max-age=300"
    (key,) = answer.json()["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "kid", "alg", "use"}


def test_the_feed_has_a_key_of_its_own(server: Served) -> None:
    """It signs nothing else, so it is not among the keys of tokens."""
    (access,) = server.http.get("/jwks.json").json()["keys"]
    (feed,) = server.http.get("/revocations/jwks.json").json()["keys"]
    assert access["kid"] != feed["kid"]


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
