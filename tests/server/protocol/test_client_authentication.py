"""Who a client is, from what it sends (RFC 6749 §2.3)."""

from __future__ import annotations

from base64 import b64encode

import pytest
from msgspec.structs import replace

from watchword_server.protocol.client_authentication import (
    Credentials,
    authenticated,
    authenticated_api,
    presented,
    secret_hash,
)
from watchword_server.protocol.errors import InvalidClient
from watchword_server.protocol.values import Api, Client

SECRET = "wws_" + "s" * 43
CLIENT = Client(
    client_id="c1",
    name="Machine",
    kind="confidential",
    secret_hash=secret_hash(SECRET),
    grant_types=frozenset({"client_credentials"}),
    access={"https://orders.example": ("orders:read",)},
    created_at=0,
)
API = Api("https://orders.example", "Orders", ("orders:read",), "api1", secret_hash(SECRET), 0)


def basic(name: str, secret: str, scheme: str = "Basic") -> str:
    """An Authorization header as a client writes it."""
    return f"{scheme} {b64encode(f'{name}:{secret}'.encode()).decode()}"


@pytest.mark.parametrize(
    ("authorization", "form", "given"),
    [
        (basic("c1", "s"), {}, Credentials("c1", "s")),
        (basic("c1", "s", "basic"), {}, Credentials("c1", "s")),
        (basic("c%3A1", "a+b%25"), {}, Credentials("c:1", "a b%")),
        (basic("c1", "s"), {"client_id": "c1"}, Credentials("c1", "s")),
        (None, {"client_id": "c1", "client_secret": "s"}, Credentials("c1", "s")),
        (None, {"client_id": "c1"}, Credentials("c1", None)),
    ],
)
def test_credentials_are_read_from_the_header_or_the_form(authorization, form, given):
    """client_secret_basic form-encodes both halves; client_secret_post does not (RFC 6749 §2.3.1)."""
    assert presented(authorization, form) == given


@pytest.mark.parametrize(
    ("authorization", "form", "reason"),
    [
        (basic("c1", "s"), {"client_secret": "s"}, "two ways"),
        (basic("c1", "s"), {"client_id": "c2"}, "differs"),
        (None, {}, "no client authentication"),
        (None, {"client_secret": "s"}, "no client authentication"),
        ("Bearer abc", {}, "not Basic"),
        ("Basic", {}, "empty"),
        ("Basic !!!", {}, "not base64"),
        ("Basic " + b64encode(b"\xff:\xff").decode(), {}, "not base64"),
        (basic("c1", ""), {}, "empty"),
        (basic("", "s"), {}, "empty"),
        ("Basic " + "A" * 2000, {}, "not Basic"),
    ],
)
def test_ambiguous_or_broken_credentials_are_refused(authorization, form, reason):
    """Two methods at once, or halves missing, end in invalid_client (RFC 6749 §2.3)."""
    with pytest.raises(InvalidClient, match=reason):
        presented(authorization, form)


def test_the_right_secret_authenticates():
    """The secret is compared with its SHA-256."""
    assert authenticated(CLIENT, Credentials("c1", SECRET)) is CLIENT


@pytest.mark.parametrize(
    ("client", "secret", "reason"),
    [
        (None, SECRET, "unknown"),
        (CLIENT, None, "wrong"),
        (CLIENT, "", "wrong"),
        (CLIENT, SECRET[:-1], "wrong"),
        (CLIENT, SECRET + "x", "wrong"),
        (replace(CLIENT, secret_hash=None), SECRET, "wrong"),
        (replace(CLIENT, disabled_at=1), SECRET, "disabled"),
        (replace(CLIENT, kind="public", secret_hash=None), SECRET, "public client with a secret"),
    ],
)
def test_every_failure_is_invalid_client(client, secret, reason):
    """One code whatever is wrong, so that nothing can be told from it; the reason is for the log."""
    with pytest.raises(InvalidClient, match=reason):
        authenticated(client, Credentials("c1", secret))


def test_a_public_client_names_itself():
    """A public client has no secret and sends none (RFC 6749 §2.1)."""
    public = replace(CLIENT, kind="public", secret_hash=None)
    assert authenticated(public, Credentials("c1", None)) is public


@pytest.mark.parametrize(("api", "secret"), [(None, SECRET), (API, None), (API, "wrong")])
def test_an_api_needs_its_own_secret(api, secret):
    """An API without its credentials reads neither the feed nor tokens."""
    with pytest.raises(InvalidClient):
        authenticated_api(api, Credentials("api1", secret))
    assert authenticated_api(API, Credentials("api1", SECRET)) is API
