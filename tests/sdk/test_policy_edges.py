"""The policy at its edges: every bound from both sides, which refusal comes first, and what is remembered."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace
from typing import Any

import msgspec
import pytest

from tests.sdk.minting import (
    AUDIENCE,
    CLAIMS,
    ISSUER,
    NOW,
    POLICY,
    changed,
    claims,
    header,
    key,
    opener,
    sealed,
    token,
    trusted,
)
from watchword.errors import (
    BadEncryption,
    BadLifetime,
    BadSignature,
    Expired,
    InsufficientScope,
    Malformed,
    Misconfigured,
    NotYetValid,
    UnknownKey,
    WrongAudience,
    WrongConfirmation,
    WrongIssuer,
    WrongType,
)
from watchword.jose.b64 import b64url
from watchword.jose.jwe import DecryptionKey, decryption_key, encrypt, encryption_key
from watchword.jose.jwk import SigningKey, public_key
from watchword.policy import (
    ACCESS_TOKEN,
    MAX_TOKEN,
    Opener,
    Policy,
    Principal,
    Trusted,
    Verified,
    _roles,
    _scopes,
    _window,
)

LONGEST = 16_384
"""Bytes of a token."""
LAST_SECOND = 253_402_300_799
"""31 December 9999, 23:59:59."""
MINE = DecryptionKey.generate("ECDH-ES")


def under(policy: Policy, decryption: dict[str, DecryptionKey] | None = None) -> Opener:
    """An Opener under this policy that trusts the ES256 key."""
    judge = Opener(policy, decryption)
    judge.trust({trusted().kid: trusted()})
    return judge


def spelled(**members: str) -> bytes:
    """Good claims as bytes, some members in exactly this spelling."""
    rest = json.dumps({name: value for name, value in CLAIMS.items() if name not in members})
    return (rest[:-1] + "".join(f', "{name}": {text}' for name, text in members.items()) + "}").encode()


def test_a_policy_says_little_and_means_this() -> None:
    """The defaults are promised: five seconds of leeway, a day of life, access tokens only."""
    policy = Policy(ISSUER, AUDIENCE)
    assert (policy.leeway, policy.max_lifetime, policy.types) == (5, 86_400, ACCESS_TOKEN)
    assert {"at+jwt", "application/at+jwt"} == ACCESS_TOKEN
    assert MAX_TOKEN == LONGEST


def test_a_policy_does_not_change() -> None:
    """With a new one comes a new Opener."""
    with pytest.raises(FrozenInstanceError):
        POLICY.leeway = 10**9  # type: ignore[misc]  # that is the point
    assert not hasattr(POLICY, "__dict__")


@pytest.mark.parametrize(
    ("change", "fits"),
    [
        ({"leeway": 0}, True),
        ({"leeway": 300}, True),
        ({"leeway": 301}, False),
        ({"leeway": -1}, False),
        ({"max_lifetime": 1}, True),
        ({"max_lifetime": 0}, False),
        ({"max_lifetime": -1}, False),
        ({"types": frozenset(("at+jwt", "AT+JWT"))}, False),
        ({"types": frozenset(("at+jwt", ""))}, False),
        ({"types": frozenset(("x",))}, True),
        ({"issuer": "x"}, True),
        ({"audience": "x"}, True),
    ],
)
def test_a_policys_bounds_hold_from_both_sides(change: dict[str, Any], fits: bool) -> None:
    """What lies inside is taken; one step beyond is Misconfigured."""
    if fits:
        assert replace(POLICY, **change)
    else:
        with pytest.raises(Misconfigured):
            replace(POLICY, **change)


GOOD_TEXT = [
    *((name, text) for name in ("sub", "jti", "client_id", "sid", "gid") for text in ("x", "x" * 256, "é" * 256)),
]


@pytest.mark.parametrize(("name", "text"), GOOD_TEXT)
def test_a_name_has_1_to_256_characters(name: str, text: str) -> None:
    """Whatever it names; what is longer or empty is in the tests beside these."""
    members = {"sub": "subject", "jti": "token_id", "client_id": "client_id", "sid": "sid", "gid": "gid"}
    found = opener().open(token(body=claims(**{name: text})), NOW).principal
    assert getattr(found, members[name]) == text


@pytest.mark.parametrize("name", ["iss", "aud"])
def test_an_issuer_and_an_audience_have_1_to_2048_characters(name: str) -> None:
    """As a policy names them."""
    policy = {"iss": "issuer", "aud": "audience"}[name]
    for text in ("x", "x" * 2048):
        judge = under(replace(POLICY, **{policy: text}))
        assert getattr(judge.open(token(body=claims(**{name: text})), NOW).principal, policy) == text
    for text in ("", "x" * 2049):
        with pytest.raises(Malformed):
            opener().open(token(body=claims(**{name: text})), NOW)


@pytest.mark.parametrize("rev", ["0", "1", str(2**63 - 1)])
def test_a_rev_is_any_position_of_the_log(rev: str) -> None:
    """From nothing read to the last that a database counts."""
    assert opener().open(token(body=spelled(rev=rev)), NOW).principal.rev == int(rev)


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        *((text, Expired) for text in ("0", "0.0", "0.5", "1")),
        *((text, BadLifetime) for text in (str(LAST_SECOND), f"{LAST_SECOND}.0", f"{LAST_SECOND - 1}.5")),
        *((text, Malformed) for text in (str(LAST_SECOND + 1), f"{LAST_SECOND}.5", f"{LAST_SECOND + 1}.0")),
        *((text, Malformed) for text in ("-1", "-0.5", "-1.0", "1e30")),
    ],
)
def test_a_date_lies_between_1970_and_the_year_9999(text: str, refusal: type[Exception]) -> None:
    """Both ends are dates, though no good ones; beyond is none, with a fraction or without."""
    with pytest.raises(refusal):
        opener().open(token(body=spelled(exp=text)), NOW)


def test_a_token_may_live_exactly_as_long_as_the_policy_says() -> None:
    """And not longer; one second, or half of one, is a life too."""
    judge = under(replace(POLICY, max_lifetime=900))
    assert judge.open(token(), NOW)
    assert judge.open(token(body=claims(exp=NOW + 0.5)), NOW)
    assert judge.open(token(body=claims(exp=NOW + 1)), NOW)
    for exp in (NOW + 900.5, NOW + 901, NOW):
        with pytest.raises(BadLifetime):
            judge.open(token(body=claims(exp=exp)), NOW)


IN_ORDER: tuple[tuple[dict[str, object], type[Exception]], ...] = (
    ({"sub": ""}, Malformed),
    ({"iss": "https://other.example"}, WrongIssuer),
    ({"aud": "https://other.example"}, WrongAudience),
    ({"exp": NOW - 10}, Expired),
    ({"nbf": NOW + 10}, NotYetValid),
    ({"iat": NOW - 10**6}, BadLifetime),
    ({"cnf": {}}, WrongConfirmation),
)


@pytest.mark.parametrize("first", range(len(IN_ORDER)))
def test_of_several_faults_the_first_is_named(first: int) -> None:
    """In the order of `open`, whatever comes after; all of them under a good signature."""
    faults: dict[str, object] = {}
    for fault, _ in reversed(IN_ORDER[first:]):
        faults |= fault
    with pytest.raises(IN_ORDER[first][1]):
        opener().open(token(body=claims(**faults)), NOW)
    if IN_ORDER[first][1] is not Malformed:  # and the signature comes before all of them
        head, body, _ = token(body=claims(**faults)).split(".")
        with pytest.raises(BadSignature):
            opener().open(f"{head}.{body}.{'A' * 86}", NOW)


@pytest.mark.parametrize(("nbf", "starts"), [(..., 0), (0, 0), (NOW - 60, 0), (NOW, 0), (NOW + 1, 1), (NOW + 0.5, 0.5)])
def test_the_later_of_nbf_and_iat_begins_a_token(nbf: object, starts: float) -> None:
    """With the leeway at both ends, as the cache will ask it."""
    found = opener().open(token(body=claims(nbf=nbf)), NOW)
    assert (found.starts, found.ends) == (NOW + starts - 5, NOW + 900 + 5)
    assert (found.trusted, found.mark) == (None, None)
    assert found.key == trusted()


def test_a_token_from_the_first_second_of_1970_begins_there() -> None:
    """No `nbf` is no date, not even the first one."""
    found = opener().open(token(body=claims(iat=0, exp=900)), 0)
    assert (found.starts, found.ends) == (-5, 905)


def test_two_tokens_of_the_same_dates_under_two_policies_end_apart() -> None:
    """What is remembered of dates is remembered with the leeway."""
    for leeway in (0, 5, 300):
        found = under(replace(POLICY, leeway=leeway)).open(token(), NOW)
        assert (found.starts, found.ends) == (NOW - leeway, NOW + 900 + leeway)


def test_256_headers_are_known_by_heart_and_the_next_is_read_anew() -> None:
    """A header is remembered with its key; when the room is full, tokens are as good as before."""
    judge = opener()
    texts = [token(header(x=number)) for number in range(300)]
    for _ in range(2):
        for text in texts:
            assert judge.open(text, NOW).key is judge.trusted.keys[key().kid]
    assert list(judge.trusted.headers) == [text.partition(".")[0].encode() for text in texts[:256]]
    assert set(map(id, judge.trusted.headers.values())) == {id(judge.trusted.keys[key().kid])}
    with pytest.raises(BadSignature):  # known by heart is not signed
        judge.open(texts[0].rpartition(".")[0] + "." + "A" * 86, NOW)
    with pytest.raises(Malformed):
        judge.open(texts[0] + "=", NOW)


def test_a_header_with_a_member_twice_is_never_known_by_heart() -> None:
    """It is refused each time, also behind a good signature."""
    judge = opener()
    twice = sealed(json.dumps(header()).encode()[:-1] + b', "typ": "at+jwt"}', json.dumps(dict(CLAIMS)).encode())
    for _ in range(2):
        with pytest.raises(Malformed):
            judge.open(twice, NOW)
    assert judge.trusted.headers == {}


def test_trust_is_another_object_with_every_change() -> None:
    """Its keys are found by their own kid, whatever the caller's mapping said."""
    judge = Opener(POLICY)
    assert judge.trusted == Trusted({}, {})
    seen = [judge.trusted]
    for _ in range(2):
        judge.trust({"another name": trusted()})
        assert all(judge.trusted is not before for before in seen)
        seen.append(judge.trusted)
        assert dict(judge.trusted.keys) == {key().kid: trusted()}
        assert judge.trusted.headers == {}
    assert seen[1].keys[key().kid] is seen[2].keys[key().kid]


def test_a_key_of_another_kind_among_good_ones_is_misconfigured() -> None:
    """And the keys that were trusted before stay."""
    judge = opener()
    before = judge.trusted
    with pytest.raises(Misconfigured):
        judge.trust({"a": trusted("EdDSA"), "b": key()})  # type: ignore[dict-item]  # that is the point
    assert judge.trusted is before


def test_still_asks_for_the_very_key() -> None:
    """An equal one under another name, or another one under its name, is not it."""
    judge = opener()
    known = judge.open(token(), NOW)
    judge.still(known, NOW)
    for other in (
        public_key({**key().public_jwk(), "kid": "renamed"}),
        public_key({**SigningKey.generate("ES256").public_jwk(), "kid": key().kid}),
    ):
        judge = opener()
        known = judge.open(token(), NOW)
        judge.trust({other.kid: other})
        with pytest.raises(UnknownKey):
            judge.still(known, NOW)


def test_a_principal_shows_who_and_what_and_no_more() -> None:
    """Its repr is for logs: no ids of tokens or sessions, no payload; scopes in order."""
    found = opener().open(token(body=claims(scope="b c a")), NOW).principal
    assert repr(found) == "Principal(subject='user-1', client_id='client-1', scopes=['a', 'b', 'c'])"


def test_a_principal_made_by_hand_has_no_claims() -> None:
    """For an API's own tests: the payload may be left out."""
    scopes = frozenset(("a",))
    made = Principal("s", "c", scopes, frozenset(), None, None, "t", 0, "k", ISSUER, AUDIENCE, NOW, NOW + 1)
    assert made.claims == {}
    assert made == replaced(made)
    with pytest.raises(AttributeError):
        made.scopes = frozenset(("a", "b"))  # type: ignore[misc]  # that is the point


def replaced(principal: Principal) -> Principal:
    """Another object of the same members."""
    return msgspec.structs.replace(principal)


def test_what_is_asked_of_nothing_is_granted() -> None:
    """No scope named is no demand; a refusal carries those that were needed."""
    found = opener().open(token(body=claims(scope=..., roles=...)), NOW).principal
    assert found.has()
    assert found.has_role()
    found.require()
    assert not found.has("x")
    assert not found.has_role("x")
    with pytest.raises(InsufficientScope, match="lacks a scope") as refusal:
        found.require("x", "y")
    assert refusal.value.scopes == ("x", "y")


def test_names_that_are_left_out_are_none() -> None:
    """Not the empty text, which a revocation could name."""
    found = opener().open(token(body=claims(sid=..., gid=...)), NOW).principal
    assert (found.sid, found.gid) == (None, None)
    assert found.claims == changed(CLAIMS, {"sid": ..., "gid": ...})


def test_all_principals_of_an_api_share_what_is_the_same() -> None:
    """Ten thousand of them are kept: issuer, audience, scopes and roles once."""
    judge = under(POLICY)
    one, other = (judge.open(token(body=claims(jti=jti)), NOW).principal for jti in ("a", "b"))
    assert one.issuer is other.issuer is POLICY.issuer
    assert one.audience is other.audience is POLICY.audience
    assert one.scopes is other.scopes
    assert one.roles is other.roles


def test_what_is_shared_is_kept_within_bounds() -> None:
    """Whoever gets tokens may ask for any scopes: the newest are kept, and no more than so many."""
    for number in range(5_000):
        _scopes(f"scope-{number}")
        _roles((f"role-{number}",))
        _window(float(number), number + 900.0, 5)
    kept = [shared.cache_info().currsize for shared in (_scopes, _roles, _window)]
    assert kept == [1024, 1024, 4096]


@pytest.mark.parametrize("scope", [" ", "a ", " a", "a  b", "  ", "a b "])
def test_a_scope_has_single_spaces_between_and_nowhere_else(scope: str) -> None:
    """RFC 6749 §3.3; refused again when it is seen again."""
    for _ in range(2):
        with pytest.raises(Malformed):
            opener().open(token(body=claims(scope=scope)), NOW)


def encrypted(inside: str, typ: str = "at+jwt") -> str:
    """What anybody can make who knows the public key."""
    return encrypt(inside.encode(), encryption_key(MINE.public_jwk()), "A128GCM", typ)


def test_an_encrypted_token_is_opened_where_there_is_a_key_for_it() -> None:
    """And judged as what is inside; a signed one is taken beside it."""
    judge = under(POLICY, {MINE.kid: MINE})
    assert judge.open(encrypted(token()), NOW) == judge.open(token(), NOW)
    for text in (encrypted(encrypted(token())), encrypted("{}"), encrypted(json.dumps(dict(CLAIMS)))):
        with pytest.raises(Malformed):
            judge.open(text, NOW)
    with pytest.raises(WrongType):
        judge.open(encrypted(token(), typ="jwt"), NOW)
    with pytest.raises(BadEncryption):
        judge.open(encrypted(token())[:-22] + b64url(bytes(16)), NOW)


def test_without_a_decryption_key_five_segments_are_malformed() -> None:
    """With none at all it is not looked at; with an empty set of them no key is found."""
    with pytest.raises(Malformed, match="not three segments"):
        under(POLICY).open(encrypted(token()), NOW)
    with pytest.raises(UnknownKey):
        under(POLICY, {}).open(encrypted(token()), NOW)


@pytest.mark.parametrize("text", ["a.b", "a.b.c.d", "a.b.c.d.e.f", "...", ".....", ""])
def test_only_five_segments_are_an_encrypted_token(text: str) -> None:
    """Any other number is refused as a token that is none."""
    with pytest.raises(Malformed, match="not three segments"):
        under(POLICY, {MINE.kid: MINE}).open(text, NOW)


def test_an_encrypted_token_is_at_most_16_kib() -> None:
    """Refused by its length, before its dots are counted and with the same words as a signed one."""
    mine = decryption_key({**MINE.private_jwk(), "kid": "mine"})
    judge, public = under(POLICY, {"mine": mine}), encryption_key(mine.public_jwk())
    inside = [token(body=claims(x="x" * number)).encode() for number in range(8_600, 8_660)]
    texts = [encrypt(one, public, "A128GCM", "at+jwt") for one in inside]
    assert {LONGEST - 1, LONGEST} < set(map(len, texts))
    for text in texts:
        if len(text) <= LONGEST:
            assert judge.open(text, NOW)
        else:
            with pytest.raises(Malformed, match="token is too long"):
                judge.open(text, NOW)
    with pytest.raises(Malformed, match="token is too long"):
        judge.open("." * (LONGEST + 1), NOW)
    for judge in (under(POLICY), under(POLICY, {MINE.kid: MINE})):
        with pytest.raises(Malformed, match="not three segments"):
            judge.open("." * LONGEST, NOW)


def test_a_found_token_may_be_marked() -> None:
    """The verifier notes on it under what it was last found good."""
    found = opener().open(token(), NOW)
    found.mark = marked = object()
    assert found.mark is marked
    assert isinstance(found, Verified)
