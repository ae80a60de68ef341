"""Request objects: which are believed, and what they then say."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.sdk import minting
from tests.server.request_objects import ASKS, CALLBACK, claims, key, signed, unsigned
from watchword.jose.encryption_keys import DecryptionKey
from watchword.jose.jwe import encrypt, encryption_key
from watchword.jose.jwk import PublicKey, public_key
from watchword.jose.kinds import Kind
from watchword_server.protocol.authorization import PARAMETERS, Addressee, Asked, addressed, read
from watchword_server.protocol.errors import InvalidRequestObject
from watchword_server.protocol.registration import ALGORITHMS
from watchword_server.protocol.request_object import AHEAD, LEEWAY, LIMIT, Reading, opened, place, signed_by
from watchword_server.protocol.values import Client

NOW = 1_800_000_000
ISSUER, OTHER = "https://id.example", "https://other.example"
KEY, THIEF = key(), key()
KEYS = {KEY.kid: public_key(KEY.public_jwk())}
ON = Reading("app", ISSUER, expires=False)


def own(**changes: object) -> dict[str, object]:
    """Good claims, changed."""
    return claims("app", ISSUER, NOW, **changes)


def read_it(text: str, on: Reading = ON, keys: Mapping[str, PublicKey] = KEYS) -> Mapping[str, str]:
    """As the issuer reads one, by the key that the header names."""
    signed_by(text, None)
    return opened(text, keys, on, NOW)


def test_a_good_one_says_what_is_asked():
    """Its parameters, and of its other claims nothing."""
    assert read_it(signed(KEY, own(jti="x", display="popup"))) == {**ASKS, "client_id": "app"}


def test_numbers_and_objects_become_what_stands_in_a_form():
    """OpenID Connect Core §6.1; and an empty parameter counts as omitted (RFC 6749 §3.1)."""
    body = own(max_age=300, claims={"userinfo": {"email": {"essential": True}}}, nonce="")
    found = read_it(signed(KEY, body))
    assert found["max_age"] == "300"
    assert found["claims"] == '{"userinfo":{"email":{"essential":true}}}'
    assert "nonce" not in found
    assert read_it(signed(KEY, own(max_age="0")))["max_age"] == "0"


@pytest.mark.parametrize(
    "typ", ["oauth-authz-req+jwt", "OAuth-Authz-Req+JWT", "application/oauth-authz-req+jwt", "JWT", "jwt", ...]
)
def test_its_type_is_its_own_or_the_usual_one_or_none(typ: object):
    """RFC 9101 §10.8 names one; clients of OpenID Connect do not know it."""
    assert read_it(signed(KEY, own(), typ=typ))["client_id"] == "app"


# fmt: off
BAD_CLAIMS = [
    ("iss is missing",           {"iss": ...}),
    ("iss of another client",    {"iss": "other"}),
    ("iss is a list",            {"iss": ["app"]}),
    ("client_id is missing",     {"client_id": ...}),
    ("another client_id",        {"client_id": "other"}),
    ("client_id is a number",    {"client_id": 7}),
    ("sub is the client",        {"sub": "app"}),
    ("aud is missing",           {"aud": ...}),
    ("aud is another issuer",    {"aud": OTHER}),
    ("aud begins like ours",     {"aud": ISSUER + "/"}),
    ("aud is a list of others",  {"aud": [OTHER]}),
    ("aud is an empty list",     {"aud": []}),
    ("aud is an object",         {"aud": {ISSUER: True}}),
    ("aud is null",              {"aud": None}),
    ("expires now",              {"exp": NOW}),
    ("has expired",              {"exp": NOW - 61}),
    ("never expires",            {"exp": 1e30}),
    ("good for too long",        {"exp": NOW + AHEAD + LEEWAY + 1}),
    ("exp is beyond all floats", {"exp": 10**400}),
    ("exp is text",              {"exp": str(NOW + 60)}),
    ("exp is true",              {"exp": True}),
    ("exp is null",              {"exp": None}),
    ("not good yet",             {"nbf": NOW + LEEWAY + 1}),
    ("nbf is text",              {"nbf": "0"}),
    ("nbf is true",              {"nbf": True}),
    ("made tomorrow",            {"iat": NOW + 86400}),
    ("iat is a list",            {"iat": [NOW]}),
    ("request inside",           {"request": "x"}),
    ("request_uri inside",       {"request_uri": "https://app.example/r"}),
    ("scope is a list",          {"scope": ["openid"]}),
    ("state is a number",        {"state": 7}),
    ("state is null",            {"state": None}),
    ("max_age is a fraction",    {"max_age": 1.5}),
    ("max_age is true",          {"max_age": True}),
    ("claims is a list",         {"claims": []}),
    ("redirect_uri is a list",   {"redirect_uri": [CALLBACK]}),
]
# fmt: on


@pytest.mark.parametrize("changes", [row[1] for row in BAD_CLAIMS], ids=[row[0] for row in BAD_CLAIMS])
def test_what_is_not_for_us_or_not_now_or_not_a_request_is_refused(changes: dict[str, object]):
    """However well it is signed (RFC 9101 §6.3)."""
    with pytest.raises(InvalidRequestObject):
        read_it(signed(KEY, own(**changes)))


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": ...},
        {"nbf": ..., "iat": ...},
        {"aud": [OTHER, ISSUER]},
        {"nbf": NOW + LEEWAY, "iat": NOW + LEEWAY},
        {"exp": NOW + AHEAD + LEEWAY},
        {"exp": NOW + 0.5},
        {"sub": "ada"},
    ],
)
def test_what_clients_of_openid_connect_leave_out_or_differ_in_is_taken(changes: dict[str, object]):
    """Core §6.1 asks for no times; a list of audiences that has us is one for us."""
    assert read_it(signed(KEY, own(**changes)))["state"] == "inside"


def test_a_client_that_has_to_sign_has_to_say_until_when():
    """Else whoever saw one could use it for ever."""
    strict = ON._replace(expires=True)
    assert read_it(signed(KEY, own()), strict)
    with pytest.raises(InvalidRequestObject, match="exp is missing"):
        read_it(signed(KEY, own(exp=...)), strict)


SEALS = encryption_key(DecryptionKey.generate("ECDH-ES").public_jwk())
GOOD = signed(KEY, own())
HEAD, BODY, SIGNATURE = GOOD.split(".")
OTHER_BODY = signed(KEY, own(redirect_uri="https://evil.example")).split(".")[1]
# fmt: off
FORGED = [
    ("unsigned",                unsigned(own())),
    ("None",                    unsigned(own(), "None")),
    ("no algorithm",            signed(KEY, own(), alg=...)),
    ("a list of algorithms",    signed(KEY, own(), alg=["ES256"])),
    ("a shared secret",         signed(KEY, own(), alg="HS256")),
    ("another algorithm",       signed(KEY, own(), alg="ES384")),
    ("another client's key",    signed(THIEF, own())),
    ("its kid, another's key",  signed(THIEF, own(), kid=KEY.kid)),
    ("a key in the header",     signed(THIEF, own(), jwk=THIEF.public_jwk())),
    ("a kid that is a list",    signed(KEY, own(), kid=[KEY.kid])),
    ("no kid, several keys",    signed(KEY, own(), kid=...)),
    ("an access token's type",  signed(KEY, own(), typ=Kind.ACCESS_TOKEN.value)),
    ("a client assertion's",    signed(KEY, own(), typ=Kind.CLIENT_ASSERTION.value)),
    ("an extension",            signed(KEY, own(), crit=["exp"])),
    ("another body",            f"{HEAD}.{OTHER_BODY}.{SIGNATURE}"),
    ("no signature",            f"{HEAD}.{BODY}."),
    ("two segments",            f"{HEAD}.{BODY}"),
    ("encrypted",               encrypt(GOOD.encode(), SEALS, "A256GCM", Kind.REQUEST_OBJECT)),
    ("a member twice",          signed(KEY, b'{"iss":"app","iss":"app"}')),
    ("not an object",           signed(KEY, b'["app"]')),
    ("nothing",                 ""),
    ("not ASCII",               GOOD + "é"),
    ("too long",                signed(KEY, own(state="x" * LIMIT))),
    ("a long header",           signed(KEY, own(), x="x" * 4096)),
]
# fmt: on


@pytest.mark.parametrize("text", [row[1] for row in FORGED], ids=[row[0] for row in FORGED])
def test_what_the_client_has_not_signed_is_refused(text: str):
    """By one of its own keys and by that key's algorithm: never by what the object itself brings along."""
    with pytest.raises(InvalidRequestObject):
        read_it(text)


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_every_algorithm_that_is_advertised_is_read(alg: str):
    """OpenID Connect Discovery §3, request_object_signing_alg_values_supported."""
    by = minting.key(alg)
    assert read_it(signed(by, own()), keys={by.kid: public_key(by.public_jwk())})["state"] == "inside"


def test_the_registered_algorithm_is_the_only_one():
    """OpenID Connect Registration §2, request_object_signing_alg."""
    assert signed_by(GOOD, "ES256") == ("ES256", KEY.kid)
    with pytest.raises(InvalidRequestObject, match="another algorithm"):
        signed_by(GOOD, "RS256")


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("https://app.example/r", "https://app.example/r"),
        ("https://app.example/r#v2", "https://app.example/r"),
        ("https://app.example/s", "https://app.example/s"),
        ("https://app.example/s#v1", "https://app.example/s"),
        ("https://app.example/R", None),
        ("https://app.example/r/", None),
        ("https://app.example/r?x", None),
        ("https://APP.example/r", None),
        ("https://app.example:443/r", None),
        ("https://app.example@evil.example/r", None),
        ("http://app.example/r", None),
        ("#", None),
        ("", None),
    ],
)
def test_a_reference_is_compared_whole_but_for_its_fragment(given: str, found: str | None):
    """OpenID Connect Core §6.2: the fragment says of which version the client speaks."""
    assert place(("https://app.example/r", "https://app.example/s#v1"), given) == found


def test_nothing_that_a_request_is_read_by_is_left_out():
    """Whoever reads a further parameter must say so in PARAMETERS, or no pushed or signed request will have it."""
    asked: set[str] = set()

    class Watched(dict[str, str]):
        def get(self, name: str, default: object = None) -> object:
            asked.add(name)
            return super().get(name, default)

        def __getitem__(self, name: str) -> str:
            asked.add(name)
            return super().__getitem__(name)

        def __contains__(self, name: object) -> bool:
            asked.add(str(name))
            return super().__contains__(name)

    app = Client("app", "App", "public", None, frozenset({"authorization_code"}), {}, 0, redirect_uris=(CALLBACK,))
    values = Watched({**ASKS, "client_id": "app"})
    to = addressed(app, Asked(values), native=False)
    assert to == Addressee("app", CALLBACK, "query", "inside")
    read(app, to, Asked(values))
    assert asked - {"request", "request_uri"} | {"client_id"} == PARAMETERS
