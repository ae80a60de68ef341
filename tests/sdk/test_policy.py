"""From a good signature to a Principal: every claim is judged (RFC 9068 §4)."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.attacks.attack import Attack
from tests.attacks.claims import ATTACKS
from tests.sdk.minting import (
    ASYMMETRIC,
    AUDIENCE,
    CLAIMS,
    ISSUER,
    NOW,
    POLICY,
    Mint,
    claims,
    header,
    key,
    opener,
    sealed,
    token,
    trusted,
)
from watchword.errors import (
    BadLifetime,
    BadSignature,
    Expired,
    InsufficientScope,
    InvalidToken,
    Malformed,
    Misconfigured,
    NotYetValid,
    UnknownKey,
    WrongType,
)
from watchword.jose.b64 import unb64url
from watchword.jose.jwk import SigningKey, public_key, secret_key
from watchword.policy import MAX_TOKEN, Opener, Policy, Principal, Verified


def opened(body: object = None, now: float = NOW) -> Verified:
    """Open a token with this payload, given as a value or as bytes."""
    return opener().open(token(body=body), now)


@pytest.mark.parametrize("alg", ASYMMETRIC)
def test_a_good_token_becomes_its_principal(alg: str) -> None:
    """Every claim in its place, the same on the second look, when the header is known by heart."""
    judge, text = opener(*ASYMMETRIC), token(alg=alg)
    for _ in range(2):
        found = judge.open(text, NOW).principal
        assert found == Principal(
            subject="user-1",
            client_id="client-1",
            scopes=frozenset(("orders:read", "orders:write")),
            roles=frozenset(("buyer",)),
            sid="session-1",
            gid="grant-1",
            token_id="AAAAAAAAAAAAAAAAAAAAAA",
            rev=7,
            key_id=key(alg).kid,
            issuer=ISSUER,
            audience=AUDIENCE,
            issued_at=NOW,
            expires_at=NOW + 900,
            payload=msgspec.json.encode(CLAIMS),
        )
        assert found.claims == CLAIMS


def test_what_may_be_missing_may_be_missing() -> None:
    """No session, no grant, no scope, no roles; without `rev` a token is older than every entry."""
    bare = claims(rev=..., scope=..., sid=..., gid=..., roles=...)
    found = opened(bare).principal
    assert (found.rev, found.scopes, found.roles, found.sid, found.gid) == (0, frozenset(), frozenset(), None, None)


def test_a_claim_that_is_not_known_is_kept() -> None:
    """RFC 7519 §4: what is not understood is ignored, and the API may ask for it."""
    found = opened(claims(acr="urn:x", tenant={"id": 5, "tags": ["a"]})).principal
    assert found.claims["tenant"] == {"id": 5, "tags": ["a"]}


def test_nobody_can_change_what_others_read() -> None:
    """A principal is shared between requests: its claims are the caller's own copy, all else is frozen."""
    found = opened().principal
    found.claims["roles"].append("admin")  # the copy's
    assert found.claims["roles"] == ["buyer"]
    with pytest.raises(AttributeError):
        found.subject = "admin"  # type: ignore[misc]  # that is the point


@pytest.mark.parametrize(
    "spelled",
    [
        json.dumps(CLAIMS, indent=2),
        json.dumps(dict(reversed([*CLAIMS.items()]))),
        json.dumps({**CLAIMS, "sub": "useré"}),
        json.dumps({**CLAIMS, "exp": NOW + 900.5}),
        json.dumps({**CLAIMS, "note": "{[" * 40}),
    ],
)
def test_another_spelling_of_the_same_claims_is_as_good(spelled: str) -> None:
    """Other issuers order, space and escape as they like: only slower."""
    assert opened(spelled.encode()).principal.client_id == "client-1"


WORDS = json.dumps(dict(CLAIMS))


def _with(member: str, text: str) -> bytes:
    """The claims as bytes, one member in exactly this spelling."""
    rest = {name: value for name, value in CLAIMS.items() if name != member}
    return (json.dumps(rest)[:-1] + f', "{member}": {text}}}').encode()


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_a_bad_claim_is_refused(attack: Attack) -> None:
    """Each with its own class, under a signature that is good. tests/attacks shows the same to the whole verifier."""
    with pytest.raises(attack.refusal):
        opener().open(attack.forge(Mint()), NOW)


@pytest.mark.parametrize(("now", "refusal"), [
    (NOW - 5.1, NotYetValid), (NOW - 5, None), (NOW, None), (NOW + 904.9, None), (NOW + 905, Expired),
    (NOW + 10**9, Expired), (0, NotYetValid), (float("nan"), NotYetValid),
])  # fmt: skip
def test_time_is_asked_at_first_and_at_every_hit(now: float, refusal: type[InvalidToken] | None) -> None:
    """With 5 s of leeway at both ends; the second of expiry is already over (RFC 7519 §4.1.4)."""
    judge = opener()
    known = judge.open(token(), NOW)
    if refusal is None:
        judge.open(token(), now)
        judge.still(known, now)
        return
    with pytest.raises(refusal):
        judge.open(token(), now)
    with pytest.raises(refusal):
        judge.still(known, now)


def test_the_longest_lifetime_is_exact() -> None:
    """The policy's seconds, and not a fraction more: entries are forgotten by them."""
    assert opened(claims(exp=NOW + 3600))
    for exp in (NOW + 3600.5, NOW + 3601):
        with pytest.raises(BadLifetime):
            opened(claims(exp=exp))


def test_nbf_is_asked_again_too() -> None:
    """The later of `nbf` and `iat` decides from when on a token holds."""
    judge = opener()
    known = judge.open(token(body=claims(nbf=NOW + 60)), NOW + 60)
    with pytest.raises(NotYetValid):
        judge.still(known, NOW + 54)
    judge.still(known, NOW + 55)


def test_a_fractional_date_is_a_date() -> None:
    """RFC 7519 §2: a NumericDate may have a fraction."""
    judge = opener()
    known = judge.open(token(body=claims(exp=NOW + 0.5, iat=NOW - 0.5)), NOW)
    judge.still(known, NOW + 5.4)
    with pytest.raises(Expired):
        judge.still(known, NOW + 5.5)
    assert known.principal.expires_at == NOW + 0.5


def test_a_key_that_is_no_longer_trusted_ends_its_tokens() -> None:
    """At once, in the cache and out of it; a header that was known by heart is forgotten with the key."""
    judge = opener("ES256", "EdDSA")
    first, second = token(), token(alg="EdDSA")
    known = judge.open(first, NOW), judge.open(second, NOW)
    judge.trust({trusted("EdDSA").kid: trusted("EdDSA")})
    judge.still(known[1], NOW)
    judge.open(second, NOW)
    for ask in (lambda: judge.still(known[0], NOW), lambda: judge.open(first, NOW)):
        with pytest.raises(UnknownKey):
            ask()


def test_another_key_under_the_same_kid_is_another_key() -> None:
    """Neither a cached token nor a header known by heart carries trust over to it."""
    judge = opener()
    known = judge.open(token(), NOW)
    impostor = public_key({**SigningKey.generate("ES256").public_jwk(), "kid": key().kid})
    judge.trust({impostor.kid: impostor})
    with pytest.raises(UnknownKey):
        judge.still(known, NOW)
    with pytest.raises(BadSignature):
        judge.open(token(), NOW)


def test_a_refetched_key_set_changes_nothing() -> None:
    """Equal keys stay the same objects, so a cache survives the refresh."""
    judge = opener()
    known = judge.open(token(), NOW)
    fresh = public_key({**key().public_jwk(), "x5t": "added since"})
    judge.trust({fresh.kid: fresh})
    judge.still(known, NOW)


def test_only_public_keys_verify_access_tokens() -> None:
    """A secret shared with a client would let that client sign for everybody (RFC 8725 §2.1)."""
    with pytest.raises(Misconfigured):
        Opener(POLICY).trust({"c": secret_key(bytes(64), "HS256", "c")})  # type: ignore[dict-item]  # on purpose
    with pytest.raises(UnknownKey):
        Opener(POLICY).open(token(), NOW)


def test_a_header_is_known_by_heart_only_once_its_signature_was_good() -> None:
    """A flood of made-up headers fills nothing, and changes no later answer."""
    judge = opener()
    bad = token().rpartition(".")[0] + "." + "A" * 86
    for _ in range(2):
        with pytest.raises(BadSignature):
            judge.open(bad, NOW)
    for number in range(600):
        judge.open(token(header(x=number)), NOW)
        with suppress(BadSignature):
            judge.open(sealed(json.dumps(header(y=number)).encode(), WORDS.encode(), "EdDSA"), NOW)
    _, headers = judge.trusted
    assert len(headers) <= 256
    assert all(b'"y"' not in unb64url(head) for head in headers)


def test_the_type_is_that_of_an_access_token() -> None:
    """RFC 9068 §2.1, with or without `application/`, in any case."""
    for typ in ("at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"):
        assert opener().open(token(header(typ=typ)), NOW)
    for typ in ("JWT", "jwt", "application/jwt", "at+jwt ", "logout+jwt", ""):
        with pytest.raises(WrongType):
            opener().open(token(header(typ=typ)), NOW)


@pytest.mark.parametrize("thing", [None, b"a.b.c", 5, ["a.b.c"], token().encode()])
def test_what_is_no_text_is_no_token(thing: Any) -> None:
    """A refusal, not a TypeError."""
    with pytest.raises(Malformed):
        opener().open(thing, NOW)


def test_a_token_is_at_most_16_kib() -> None:
    """Looked at first, so that its size costs nothing."""
    room = MAX_TOKEN - len(token(body=claims(x="")))
    assert opened(claims(x="x" * (room * 3 // 4 - 3)))
    with pytest.raises(Malformed, match="too long"):
        opened(claims(x="x" * (room * 3 // 4 + 3)))


def test_scopes_and_roles_are_asked_by_name() -> None:
    """All of those named must be there; a refusal says which were needed (RFC 6750 §3.1)."""
    found = opened().principal
    assert found.has("orders:read", "orders:write")
    assert not found.has("orders:read", "orders:delete")
    assert not found.has("orders")
    assert found.has_role("buyer")
    assert not found.has_role("buyer", "admin")
    found.require("orders:read")
    with pytest.raises(InsufficientScope) as refusal:
        found.require("orders:read", "orders:delete")
    assert refusal.value.scopes == ("orders:read", "orders:delete")


@pytest.mark.parametrize("wrong", [
    {"issuer": ""}, {"audience": ""}, {"leeway": -1}, {"leeway": 301}, {"max_lifetime": 0},
    {"types": frozenset[str]()}, {"types": frozenset(("AT+JWT",))}, {"types": frozenset(("",))},
])  # fmt: skip
def test_a_policy_without_a_meaning_is_refused(wrong: dict[str, Any]) -> None:
    """A missing demand must not become one that everything meets."""
    with pytest.raises(Misconfigured):
        replace(POLICY, **wrong)


def test_another_policy_decides_otherwise() -> None:
    """Leeway and lifetime are the policy's; the audience is compared whole."""
    judge = Opener(Policy(ISSUER, AUDIENCE, leeway=0, max_lifetime=899))
    judge.trust({trusted().kid: trusted()})
    with pytest.raises(BadLifetime):
        judge.open(token(), NOW)
    with pytest.raises(Expired):
        judge.open(token(), NOW + 900)


def test_no_refusal_shows_the_token() -> None:
    """Messages go to logs: neither a claim nor a key id of the sender's may stand in one."""
    marks = [
        token(header(kid="s3cret-mark")),
        token(header(typ="s3cret-mark")),
        token(header(alg="s3cret-mark")),
        *(token(body=claims(**{name: "s3cret-mark" * 30})) for name in CLAIMS if name != "scope"),
        token(body=_with("s3cret-mark", '{"a":1,"a":2}')),
        "s3cret-mark",
    ]
    for text in marks:
        with pytest.raises(InvalidToken) as refusal:
            opener().open(text, NOW)
        assert "s3cret-mark" not in str(refusal.value)


def test_many_threads_may_ask_while_keys_change() -> None:
    """Every answer is one that the old or the new keys give, and nothing breaks."""
    judge, text = opener("ES256", "EdDSA"), token()
    keys = {found.kid: found for found in (trusted(), trusted("EdDSA"))}

    def ask(_: int) -> str:
        try:
            judge.still(judge.open(text, NOW), NOW)
        except UnknownKey:
            return "refused"
        return "good"

    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(ask, number) for number in range(400)]
        for number in range(200):
            judge.trust(keys if number % 2 else {trusted("EdDSA").kid: trusted("EdDSA")})
        assert {answer.result() for answer in answers} <= {"good", "refused"}
    judge.trust(keys)
    assert ask(0) == "good"


JUDGE, GOOD = opener(), token()


@given(st.integers(0, 10**6), st.integers(0, 0x10FFFF), st.sampled_from(["replace", "insert", "delete", "cut"]))
def test_no_mutation_is_accepted_and_none_raises_otherwise(place: int, point: int, how: str) -> None:
    """Any character anywhere, surrogates included."""
    place %= len(GOOD)
    rest = {"insert": GOOD[place:], "cut": ""}.get(how, GOOD[place + 1 :])
    mutated = GOOD[:place] + ("" if how in ("delete", "cut") else chr(point)) + rest
    if mutated != GOOD:
        with pytest.raises(InvalidToken):
            JUDGE.open(mutated, NOW)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*CLAIMS, "nbf", "cnf", "x"]), JSON, max_size=3))
def test_any_claim_under_a_good_signature_ends_in_an_answer(changes: dict[str, object]) -> None:
    """A Principal or an InvalidToken, whatever the issuer wrote."""
    text = sealed(json.dumps(header()).encode(), json.dumps({**CLAIMS, **changes}).encode("utf-8", "surrogatepass"))
    with suppress(InvalidToken):
        assert isinstance(JUDGE.open(text, NOW), Verified)


@given(st.binary(max_size=100))
def test_any_payload_under_a_good_signature_is_refused(payload: bytes) -> None:
    """No hundred random bytes are claims."""
    with pytest.raises(Malformed):
        JUDGE.open(sealed(json.dumps(header()).encode(), payload), NOW)
