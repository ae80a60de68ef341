"""What may be registered."""

from __future__ import annotations

from dataclasses import replace

import pytest

from watchword_server.protocol.registration import BadRegistration, checked_api, checked_client
from watchword_server.protocol.values import Api, Client

API = Api("https://orders.example", "Orders", ("orders:read",), "api1", b"", 0)
CLIENT = Client("c1", "App", "public", None, frozenset({"refresh_token"}), {API.audience: ("orders:read",)}, 0)
APIS = {API.audience: API}
GRANTS = ("client_credentials", "refresh_token")


@pytest.mark.parametrize("audience", ["https://orders.example", "http://localhost:8001", "urn:example:orders"])
def test_an_audience_is_an_absolute_uri(audience):
    """RFC 8707 §2."""
    assert checked_api(replace(API, audience=audience)).audience == audience


@pytest.mark.parametrize(
    "api",
    [
        replace(API, audience="orders"),
        replace(API, audience="https://orders.example#x"),
        replace(API, audience="https://orders.example/\n"),
        replace(API, audience="https://orders.example/a b"),
        replace(API, audience="https://" + "a" * 300),
        replace(API, audience=""),
        replace(API, scopes=("two words",)),
        replace(API, scopes=("",)),
        replace(API, name=""),
        replace(API, name="a\x1b[31m"),
        replace(API, name="n" * 101),
    ],
)
def test_a_bad_api_is_refused(api):
    """Names and scopes end up in tokens, terminals and pages."""
    with pytest.raises(BadRegistration):
        checked_api(api)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"redirect_uris": ("https://app.example/cb", "http://127.0.0.1/cb", "http://localhost:9000/cb")},
        {"origins": ("https://app.example", "http://localhost:8000")},
    ],
)
def test_a_good_client_is_taken(change):
    """https anywhere, http on loopback only (RFC 8252 §7.3)."""
    client = replace(CLIENT, **change)
    assert checked_client(client, APIS, GRANTS) is client


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"grant_types": frozenset({"password"})},
        {"grant_types": frozenset({"client_credentials"})},
        {"access": {"https://other.example": ()}},
        {"access": {API.audience: ("orders:write",)}},
        *(
            {"redirect_uris": (uri,)}
            for uri in (
                "http://app.example/cb",
                "https://app.example/cb#x",
                "https://*.example/cb",
                "https://user@app.example/cb",
                "javascript:alert(1)",
                "/cb",
                "",
                "https://app.example/\ncb",
            )
        ),
        *(
            {"origins": (origin,)}
            for origin in ("https://app.example/", "https://App.example", "http://app.example", "null", "*", "")
        ),
    ],
)
def test_a_bad_client_is_refused(change):
    """Unknown grants and scopes, and every address that a browser must not be sent to."""
    with pytest.raises(BadRegistration):
        checked_client(replace(CLIENT, **change), APIS, GRANTS)
