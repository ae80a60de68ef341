"""Which addresses may be spoken to, and what an issuer says of itself."""

from __future__ import annotations

import json

import pytest

from watchword.errors import CannotDecide, Malformed, Misconfigured
from watchword.wire.metadata import address_of, checked, checked_issuer, origin, read

ISSUER = "https://issuer.example"


@pytest.mark.parametrize(
    ("issuer", "address"),
    [
        (ISSUER, f"{ISSUER}/.well-known/oauth-authorization-server"),
        (f"{ISSUER}/", f"{ISSUER}/.well-known/oauth-authorization-server"),
        (f"{ISSUER}/a/b", f"{ISSUER}/.well-known/oauth-authorization-server/a/b"),
        ("http://localhost:8000", "http://localhost:8000/.well-known/oauth-authorization-server"),
    ],
)
def test_the_well_known_path_goes_before_the_issuers_own(issuer: str, address: str) -> None:
    """RFC 8414 §3.1."""
    assert address_of(issuer) == address


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://A.example/x?y", "https://a.example"),
        ("https://a.example:443", "https://a.example"),
        ("https://a.example:8443/", "https://a.example:8443"),
        ("http://[::1]:8000/", "http://[::1]:8000"),
    ],
)
def test_an_origin_is_scheme_host_and_unusual_port(url: str, expected: str) -> None:
    """RFC 6454 §6.1."""
    assert origin(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.example",
        "http://127.0.0.1.example",
        "http://localhost.example",
        "http://0.0.0.0",
        "http://10.0.0.1",
        "file:///etc/passwd",
        "https://",
        "//issuer.example",
        "https://user:word@issuer.example",
        "https://issuer.example:port",
        "https://[::1",
        "",
    ],
)
def test_what_is_neither_secure_nor_local_is_not_spoken_to(url: str) -> None:
    """https, or http to this very machine."""
    with pytest.raises(Misconfigured):
        checked(url, "it")


@pytest.mark.parametrize("url", ["https://issuer.example/?", "https://issuer.example/#", "https://issuer.example?a"])
def test_an_issuer_has_neither_query_nor_fragment(url: str) -> None:
    """RFC 8414 §2; not even empty ones."""
    with pytest.raises(Misconfigured):
        checked_issuer(url)


def document(**changes: object) -> bytes:
    return json.dumps({"issuer": ISSUER, "jwks_uri": f"{ISSUER}/jwks.json", **changes}).encode()


def test_metadata_without_our_own_members_has_sensible_bounds() -> None:
    """Another issuer publishes neither lifetime nor heartbeat."""
    found = read(document(), ISSUER)
    assert (found.jwks_uri, found.max_lifetime, found.revocations) == (f"{ISSUER}/jwks.json", 86_400, "")


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": ISSUER + "/"},
        {"issuer": ISSUER.upper()},
        {"issuer": [ISSUER]},
        {"issuer": None},
        {"jwks_uri": "http://issuer.example/jwks.json"},
        {"jwks_uri": "http://localhost/jwks.json"},  # an issuer elsewhere has nothing to look for on this machine
        {"introspection_endpoint": "https://a:b@issuer.example/"},
        {"watchword_heartbeat_interval": 0},
        {"watchword_heartbeat_interval": "2"},
        {"watchword_access_token_max_lifetime": -1},
    ],
)
def test_metadata_that_is_anothers_or_dangerous_is_refused(changes: dict[str, object]) -> None:
    """RFC 8414 §3.3: the issuer must be equal to the letter."""
    with pytest.raises(CannotDecide):
        read(document(**changes), ISSUER)


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"issuer":"a","issuer":"b"}'])
def test_what_is_no_metadata_at_all_is_refused(body: bytes) -> None:
    """Strict JSON, an object."""
    with pytest.raises((CannotDecide, Malformed)):
        read(body, ISSUER)
