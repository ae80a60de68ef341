"""Assertions of clients: which are believed (RFC 7523 §3 and its revision)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from tests.server.assertions import assertion, by_secret, claims
from tests.server.request_objects import unsigned
from watchword.jose.jwk import PublicKey, SigningKey, public_key
from watchword.jose.kinds import Kind
from watchword_server.protocol import fapi2
from watchword_server.protocol.client_assertion import (
    AHEAD,
    LEEWAY,
    LIMIT,
    LONGEST_JTI,
    MACS,
    Believed,
    Claimed,
    Reading,
    algorithms,
    audience,
    claimed,
    granting,
    opened,
    spent_as,
)
from watchword_server.protocol.errors import InvalidClient
from watchword_server.protocol.registration import ALGORITHMS
from watchword_server.protocol.values import ClientMetadata

NOW = 1_800_000_000
ISSUER, OTHER = "https://id.example", "https://other.example"
KEY, THIEF = SigningKey.generate("ES256"), SigningKey.generate("ES256")
KEYS = {KEY.kid: public_key(KEY.public_jwk())}
ON = Reading("app", ISSUER)
Judge = Callable[[str, Mapping[str, PublicKey], Reading, int], Believed]


def own(**changes: object) -> dict[str, object]:
    """Good claims, changed."""
    return claims("app", ISSUER, NOW, **{"jti": "j1", **changes})


def test_a_good_one_is_believed_by_its_name():
    """And for as long as it could be shown again."""
    assert opened(assertion(KEY, own(exp=NOW + 60)), KEYS, ON, NOW) == Believed("j1", NOW + 61)
    assert granting(assertion(KEY, own(), typ="JWT"), KEYS, ON, NOW).jti == "j1"


def test_what_it_says_of_itself_is_only_looked_for():
    """Nothing is verified yet."""
    assert claimed(assertion(THIEF, own())) == Claimed("app", "ES256", THIEF.kid)
    assert claimed(assertion(KEY, own(), kid=...)).kid == ""


OWN_TYPES = ["client-authentication+jwt", "Client-Authentication+JWT", "application/client-authentication+jwt"]
NO_TYPES = ["JWT", "jwt", ...]


@pytest.mark.parametrize("typ", [*OWN_TYPES, *NO_TYPES])
def test_its_type_is_its_own_or_the_usual_one_or_none(typ: object):
    """Clients that are older than the type write what they always wrote."""
    assert opened(assertion(KEY, own(), typ=typ), KEYS, ON, NOW).jti == "j1"


@pytest.mark.parametrize("typ", OWN_TYPES)
def test_what_is_made_to_authenticate_is_no_grant(typ: object):
    """It says so itself."""
    with pytest.raises(InvalidClient):
        granting(assertion(KEY, own(), typ=typ), KEYS, ON, NOW)


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in (Kind.CLIENT_ASSERTION, Kind.ID_TOKEN)])
@pytest.mark.parametrize("judge", [opened, granting])
def test_what_else_a_client_signs_is_none(judge: Judge, kind: Kind):
    """An access token, a proof, a request object: each says what it is (RFC 8725 §3.11)."""
    for typ in (kind.value, f"application/{kind}"):
        with pytest.raises(InvalidClient):
            judge(assertion(KEY, own(), typ=typ), KEYS, ON, NOW)


# fmt: off
BAD_CLAIMS = [
    ("iss is missing",           {"iss": ...}),
    ("iss of another client",    {"iss": "other"}),
    ("iss is a list",            {"iss": ["app"]}),
    ("iss is the issuer",        {"iss": ISSUER}),
    ("sub is missing",           {"sub": ...}),
    ("sub of another client",    {"sub": "other"}),
    ("sub is a person",          {"sub": "ada"}),
    ("aud is missing",           {"aud": ...}),
    ("aud is another issuer",    {"aud": OTHER}),
    ("aud begins like ours",     {"aud": ISSUER + "/"}),
    ("aud is the token URL",     {"aud": ISSUER + "/token"}),
    ("aud is the PAR URL",       {"aud": ISSUER + "/par"}),
    ("aud is a list of us",      {"aud": [ISSUER]}),
    ("aud is a list",            {"aud": [ISSUER, OTHER]}),
    ("aud is an empty list",     {"aud": []}),
    ("aud is an object",         {"aud": {ISSUER: True}}),
    ("aud is null",              {"aud": None}),
    ("exp is missing",           {"exp": ...}),
    ("expires now",              {"exp": NOW}),
    ("has expired",              {"exp": NOW - 300}),
    ("good for too long",        {"exp": NOW + AHEAD + LEEWAY + 1}),
    ("never expires",            {"exp": 1e30}),
    ("expires beyond floats",    {"exp": 10**400}),
    ("long before any date",     {"nbf": -(10**400)}),
    ("exp is text",              {"exp": str(NOW + 60)}),
    ("exp is true",              {"exp": True}),
    ("exp is null",              {"exp": None}),
    ("not good yet",             {"nbf": NOW + 61}),
    ("all a minute ahead",       {"nbf": NOW + 61, "iat": NOW + 61, "exp": NOW + 121}),
    ("just beyond the leeway",   {"nbf": NOW + LEEWAY + 1}),
    ("nbf is text",              {"nbf": "0"}),
    ("made tomorrow",            {"iat": NOW + 86400}),
    ("iat is a list",            {"iat": [NOW]}),
    ("jti is missing",           {"jti": ...}),
    ("jti is empty",             {"jti": ""}),
    ("jti is a number",          {"jti": 7}),
    ("jti is null",              {"jti": None}),
    ("jti is endless",           {"jti": "x" * (LONGEST_JTI + 1)}),
]
# fmt: on


@pytest.mark.parametrize("changes", [row[1] for row in BAD_CLAIMS], ids=[row[0] for row in BAD_CLAIMS])
@pytest.mark.parametrize("judge", [opened, granting])
def test_what_is_not_for_us_or_not_now_or_of_nobody_is_refused(judge: Judge, changes: dict[str, object]):
    """However well it is signed."""
    with pytest.raises(InvalidClient):
        judge(assertion(KEY, own(**changes), typ="JWT"), KEYS, ON, NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"iat": ...},
        {"nbf": NOW + 8, "iat": NOW + 8},
        {"nbf": NOW + LEEWAY, "iat": NOW + LEEWAY},
        {"nbf": NOW - 3600, "iat": NOW - 3600},
        {"exp": NOW + AHEAD + LEEWAY},
        {"exp": NOW + 0.5},
        {"jti": "x" * LONGEST_JTI},
        {"more": {"of": ["anything"]}},
    ],
)
def test_a_clock_that_is_a_little_off_is_no_fault(changes: dict[str, object]):
    """8 seconds at least, and less than 60 (FAPI 2.0 Security Profile §5.3.2.1)."""
    assert opened(assertion(KEY, own(**changes)), KEYS, ON, NOW).until > NOW


# fmt: off
NOT_SIGNED = [
    ("another key",          assertion(THIEF, own())),
    ("another key, our kid", assertion(THIEF, own(), kid=KEY.kid)),
    ("no kid",               assertion(KEY, own(), kid=...)),
    ("unsigned",             unsigned(own())),
    ("None",                 unsigned(own(), "None")),
    ("our key as a secret",  assertion(by_secret(str(KEY.public_jwk())), own(), kid=KEY.kid)),
    ("another algorithm",    assertion(KEY, own(), alg="RS256")),
    ("an extension",         assertion(KEY, own(), crit=["x"])),
    ("too long",             assertion(KEY, own(more="x" * LIMIT))),
    ("not JSON",             assertion(KEY, b"[]")),
    ("twice the same",       assertion(KEY, b'{"sub":"app","sub":"app"}')),
    ("nothing",              ""),
    ("dots",                 ".."),
    ("not ASCII",            "é.é.é"),
]
# fmt: on


@pytest.mark.parametrize("text", [row[1] for row in NOT_SIGNED], ids=[row[0] for row in NOT_SIGNED])
def test_what_the_client_has_not_signed_is_refused(text: str):
    """One exception, whatever comes."""
    with pytest.raises(InvalidClient):
        opened(text, KEYS, ON, NOW)


@pytest.mark.parametrize("text", ["", "..", "a.b.c", "é.é.é", "x" * (LIMIT + 1), unsigned({"sub": 7})])
def test_what_says_nothing_is_refused_before_anything_is_looked_for(text: str):
    """Bytes of strangers."""
    with pytest.raises(InvalidClient):
        claimed(text)


def test_a_secret_signs_as_well():
    """client_secret_jwt: HMAC with the secret's own characters (OpenID Connect Core §10.1)."""
    secret = "wws_" + "s" * 86
    for alg in MACS:
        key = by_secret(secret, alg)
        assert opened(assertion(key, own(), kid=...), {"": key}, ON, NOW).jti == "j1"
        with pytest.raises(InvalidClient):
            opened(assertion(by_secret(secret + "x", alg), own(), kid=...), {"": key}, ON, NOW)


def test_each_way_has_its_own_algorithms():
    """And `none` is none of any (RFC 8725 §3.1)."""
    plain, strict = ClientMetadata(), ClientMetadata(fapi2=True)
    assert algorithms(plain, "private_key_jwt") == ALGORITHMS
    assert algorithms(plain, "client_secret_jwt") == MACS
    assert algorithms(strict, "private_key_jwt") == fapi2.ALGORITHMS == ("PS256", "ES256", "EdDSA")
    assert algorithms(strict, "client_secret_jwt") == ()
    assert algorithms(plain, "client_secret_basic") == ()
    for alg, way, left in (
        ("ES256", "private_key_jwt", ("ES256",)),
        ("ES256", "client_secret_jwt", ()),
        ("HS512", "client_secret_jwt", ("HS512",)),
        ("none", "private_key_jwt", ()),
    ):
        assert algorithms(ClientMetadata(token_endpoint_auth_signing_alg=alg), way) == left
    assert algorithms(ClientMetadata(token_endpoint_auth_signing_alg="RS256", fapi2=True), "private_key_jwt") == ()


def test_only_who_is_set_so_names_the_token_endpoint():
    """And then nothing else; never under FAPI 2.0."""
    url = ISSUER + "/token"
    assert audience(ClientMetadata(), ISSUER) == ISSUER
    assert audience(ClientMetadata(assertion_audience="token_endpoint"), ISSUER) == url
    assert audience(ClientMetadata(assertion_audience="token_endpoint", fapi2=True), ISSUER) == ISSUER
    older = Reading("app", url)
    assert opened(assertion(KEY, own(aud=url)), KEYS, older, NOW).jti == "j1"
    for aud in (ISSUER, [url], ISSUER + "/par", url + "/"):
        with pytest.raises(InvalidClient):
            opened(assertion(KEY, own(aud=aud)), KEYS, older, NOW)


def test_two_clients_may_use_the_same_name():
    """And none can make a name look like another's."""
    names = {spent_as(client, Believed(jti, NOW)) for client, jti in (("a", "b"), ("b", "b"), ("a", "bb"), ("ab", "b"))}
    assert len(names) == 4
