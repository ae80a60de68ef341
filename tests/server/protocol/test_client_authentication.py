"""Who a client is, from what it sends (RFC 6749 §2.3)."""

from __future__ import annotations

import json
from base64 import b64encode
from functools import partial

import pytest
from msgspec.structs import replace

from watchword.jose.b64 import b64url
from watchword_server.protocol.client_assertion import TYPE
from watchword_server.protocol.client_authentication import (
    ASSERTION,
    BASIC,
    NONE,
    POST,
    Credentials,
    asserting,
    authenticated,
    authenticated_api,
    presented,
    secret_hash,
    stays,
)
from watchword_server.protocol.errors import InvalidClient
from watchword_server.protocol.values import Api, Client, ClientMetadata, RetiringSecret

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
PUBLIC = replace(CLIENT, kind="public", secret_hash=None)
NOW = 1_800_000_000
API = Api("https://orders.example", "Orders", ("orders:read",), "api1", secret_hash(SECRET), 0)


def basic(name: str, secret: str, scheme: str = "Basic") -> str:
    """An Authorization header as a client writes it."""
    return f"{scheme} {b64encode(f'{name}:{secret}'.encode()).decode()}"


def assertion(sub: object) -> str:
    """One that nobody has signed: its sub is only looked for."""
    parts = ({"alg": "ES256"}, {"sub": sub})
    return ".".join((*(b64url(json.dumps(part).encode()) for part in parts), "c2ln"))


def by(method: str | None, **metadata: object) -> Client:
    """A client that has registered a way."""
    return replace(CLIENT, metadata=ClientMetadata(token_endpoint_auth_method=method, **metadata))


NAMED = assertion("c1")


@pytest.mark.parametrize(
    ("authorization", "form", "given"),
    [
        (basic("c1", "s"), {}, Credentials("c1", BASIC, "s")),
        (basic("c1", "s", "basic"), {}, Credentials("c1", BASIC, "s")),
        (basic("c%3A1", "a+b%25"), {}, Credentials("c:1", BASIC, "a b%")),
        (basic("c1", "s"), {"client_id": "c1"}, Credentials("c1", BASIC, "s")),
        (None, {"client_id": "c1", "client_secret": "s"}, Credentials("c1", POST, "s")),
        (None, {"client_id": "c1"}, Credentials("c1", NONE)),
        (None, {"client_assertion_type": TYPE, "client_assertion": NAMED}, Credentials("c1", ASSERTION, None, NAMED)),
        (
            None,
            {"client_assertion_type": TYPE, "client_assertion": NAMED, "client_id": "c1"},
            Credentials("c1", ASSERTION, None, NAMED),
        ),
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
        (basic("c1", "s"), {"client_assertion_type": TYPE, "client_assertion": NAMED}, "two ways"),
        (basic("c1", "s"), {"client_assertion_type": TYPE}, "two ways"),
        (basic("c1", "s"), {"client_assertion": NAMED}, "two ways"),
        (None, {"client_assertion_type": TYPE, "client_assertion": NAMED, "client_secret": "s"}, "two ways"),
        (None, {"client_assertion_type": TYPE, "client_assertion": NAMED, "client_id": "c2"}, "differs"),
        (None, {"client_assertion": NAMED, "client_id": "c1"}, "missing"),
        (None, {"client_assertion_type": TYPE, "client_id": "c1"}, "missing"),
        (None, {"client_assertion_type": f"{TYPE}s", "client_assertion": NAMED}, "another kind"),
        (None, {"client_assertion_type": TYPE, "client_assertion": "a.b"}, "not an assertion"),
        (None, {"client_assertion_type": TYPE, "client_assertion": "e30.e30."}, "sub is missing"),
        (None, {"client_assertion_type": TYPE, "client_assertion": assertion(["c1"])}, "sub is missing"),
    ],
)
def test_ambiguous_or_broken_credentials_are_refused(authorization, form, reason):
    """Two methods at once, or halves missing, end in invalid_client (RFC 6749 §2.3)."""
    with pytest.raises(InvalidClient, match=reason):
        presented(authorization, form)


@pytest.mark.parametrize("way", [BASIC, POST])
def test_the_right_secret_authenticates(way):
    """The secret is compared with its SHA-256; a client that has registered no way takes either."""
    assert authenticated(CLIENT, Credentials("c1", way, SECRET), NOW) is CLIENT


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
        (PUBLIC, SECRET, "does not authenticate by client_secret_post"),
    ],
)
def test_every_failure_is_invalid_client(client, secret, reason):
    """One code whatever is wrong, so that nothing can be told from it; the reason is for the log."""
    with pytest.raises(InvalidClient, match=reason):
        authenticated(client, Credentials("c1", POST, secret), NOW)


def test_a_public_client_names_itself():
    """A public client has no secret and sends none (RFC 6749 §2.1)."""
    assert authenticated(PUBLIC, Credentials("c1", NONE), NOW) is PUBLIC


# fmt: off
WAYS = [
    (CLIENT,                                           {BASIC, POST}),
    (by(BASIC),                                        {BASIC}),
    (by(POST),                                         {POST}),
    (by("private_key_jwt"),                            {ASSERTION}),
    (by("client_secret_jwt"),                          {ASSERTION}),
    (by(None, fapi2=True),                             {ASSERTION}),
    (by(BASIC, fapi2=True),                            {ASSERTION}),
    (PUBLIC,                                           {NONE}),
    (replace(PUBLIC, secret_hash=secret_hash(SECRET)), {NONE}),
]
# fmt: on


@pytest.mark.parametrize(("client", "taken"), WAYS, ids=range(len(WAYS)))
def test_the_way_that_is_registered_is_the_only_one(client, taken):
    """Whatever else the client knows: a secret that it has as well opens nothing (RFC 7591 §2)."""

    def is_taken(given):
        try:
            shown = asserting if given.way == ASSERTION else partial(authenticated, now=NOW)
            return shown(client, given) is client
        except InvalidClient:
            return False

    given = {way: Credentials("c1", way, SECRET) for way in (BASIC, POST)}
    given |= {NONE: Credentials("c1", NONE), ASSERTION: Credentials("c1", ASSERTION, assertion=NAMED)}
    assert {way for way, one in given.items() if is_taken(one)} == taken


def test_a_secret_that_is_being_replaced_is_good_until_its_time():
    """Both are for a while, and the old one not a second longer."""
    old, new = "wws_old", "wws_new"
    retiring = RetiringSecret(secret_hash(old), NOW + 60)
    client = replace(CLIENT, secret_hash=secret_hash(new), metadata=replace(CLIENT.metadata, retiring_secret=retiring))
    for now, secret in ((NOW, old), (NOW + 59, old), (NOW, new), (NOW + 60, new)):
        assert authenticated(client, Credentials("c1", BASIC, secret), now) is client
    with pytest.raises(InvalidClient, match="wrong"):
        authenticated(client, Credentials("c1", BASIC, old), NOW + 60)
    assert not stays(client, basic("c1", old))
    assert stays(client, basic("c1", new))
    assert stays(CLIENT, basic("c1", SECRET))
    assert not stays(CLIENT, None)


def test_credentials_do_not_show_what_is_secret():
    """Not in a log, nor in a traceback."""
    assert repr(Credentials("c1", BASIC, SECRET, NAMED)) == "Credentials('c1', 'client_secret_basic')"


@pytest.mark.parametrize(("api", "secret"), [(None, SECRET), (API, None), (API, "wrong")])
def test_an_api_needs_its_own_secret(api, secret):
    """An API without its credentials reads neither the feed nor tokens."""
    with pytest.raises(InvalidClient):
        authenticated_api(api, Credentials("api1", BASIC, secret))
    assert authenticated_api(API, Credentials("api1", BASIC, SECRET)) is API
