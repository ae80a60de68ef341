"""JWTs of other issuers: what is taken of them, and what makes them worth nothing."""

from __future__ import annotations

import pytest

from tests.server.request_objects import key, signed, unsigned
from watchword.jose.jwk import public_key
from watchword_server.protocol.errors import UnacceptableToken
from watchword_server.protocol.foreign_token import Foreign, Trust, hint, is_foreign, mark, name, opened

NOW = 1_800_000_000
US, THEM = "https://id.example", "https://ci.example"
TRUST = Trust(issuer=THEM, audience=US, clients=("agent",), scopes=("read",), jwks_uri=f"{THEM}/jwks")
KEY, STRANGER = key(), key("RS256")
CLAIMS = {"iss": THEM, "sub": "repo:shop", "aud": US, "iat": NOW, "nbf": NOW, "exp": NOW + 300, "jti": "j-1"}


def read(text: str) -> Foreign:
    """What one says, by the keys of its issuer."""
    return opened(text, {KEY.kid: public_key(KEY.public_jwk())}, TRUST, NOW)


def token(**changes: object) -> str:
    """A good one with claims changed; `...` leaves one out."""
    return signed(KEY, {name: value for name, value in {**CLAIMS, **changes}.items() if value is not ...}, typ="JWT")


def test_a_good_one_names_its_subject_as_nobody_of_ours_is_named():
    """Its issuer chooses `sub`, and may not choose to be somebody here."""
    found = read(token())
    assert (found.name, found.expires_at) == ("https://ci.example#repo:shop", NOW + 300)
    assert is_foreign(found.name)
    assert (found.act, found.may_act, found.jkt) == (None, None, None)


@pytest.mark.parametrize("changes", [
    {"iss": US}, {"iss": f"{THEM}/"}, {"iss": "https://CI.example"}, {"iss": [THEM]}, {"iss": ...},
    {"aud": f"{US}/"}, {"aud": [US, "https://other.example"]}, {"aud": []}, {"aud": {"0": US}}, {"aud": ...},
    {"aud": THEM}, {"aud": US[:-1]}, {"aud": None},
    {"exp": ...}, {"exp": NOW}, {"exp": NOW - 1}, {"exp": str(NOW + 300)}, {"exp": True}, {"exp": None},
    {"exp": NOW + 86_401}, {"exp": 10**30}, {"exp": 10**400, "iat": NOW + 0.5}, {"iat": -(10**400)},
    {"iat": ...}, {"iat": NOW + 61}, {"iat": "now"}, {"iat": None}, {"iat": NOW + 400},
    {"nbf": NOW + 61}, {"nbf": "now"}, {"nbf": None},
    {"sub": ...}, {"sub": ""}, {"sub": 7}, {"sub": "a\nb"}, {"sub": "x" * 256}, {"sub": ["repo:shop"]},
    {"act": None}, {"act": "x"}, {"act": {}}, {"act": {"sub": 1}}, {"act": {"sub": "a", "iss": 1}},
    {"act": {"sub": "a", "act": []}}, {"may_act": "agent"}, {"may_act": None},
    {"cnf": None}, {"cnf": {}}, {"cnf": {"jkt": 1}}, {"cnf": {"x5t#S256": "x"}}, {"cnf": {"jkt": "x", "kid": "y"}},
])  # fmt: skip
def test_what_does_not_fit_to_the_letter_is_refused(changes):
    """A missing claim too: without `exp` and `iat` nobody could say how old it is."""
    with pytest.raises(UnacceptableToken):
        read(token(**changes))


@pytest.mark.parametrize("changes", [
    {"aud": [US]}, {"nbf": ...}, {"jti": ...}, {"exp": NOW + 0.5}, {"iat": NOW + 60, "nbf": NOW + 60}, {"scope": "pay"},
])  # fmt: skip
def test_what_many_leave_out_or_write_otherwise_is_taken(changes):
    """Its own scopes are words of elsewhere, and say nothing here."""
    assert read(token(**changes)).name == "https://ci.example#repo:shop"


def deep(actors: int) -> dict[str, object]:
    """A chain of so many."""
    return {"sub": "a"} if actors == 1 else {"sub": "a", "act": deep(actors - 1)}


def test_who_acts_in_it_is_named_with_who_says_so():
    """Nothing else that it says of them is carried on; and the chain has an end."""
    said = {"sub": "robot", "email": "x", "act": {"sub": "job", "iss": "https://other.example"}}
    assert read(token(act=said)).act == {
        "iss": THEM, "sub": "robot", "act": {"iss": "https://other.example", "sub": "job"},
    }  # fmt: skip
    assert read(token(act=deep(8))).act is not None
    with pytest.raises(UnacceptableToken):
        read(token(act=deep(9)))


@pytest.mark.parametrize("text", [
    pytest.param(signed(STRANGER, CLAIMS, typ="JWT", kid=KEY.kid, alg="ES256"), id="another key"),
    pytest.param(signed(STRANGER, CLAIMS, typ="JWT"), id="unknown kid"),
    pytest.param(token()[:-4] + "AAAA", id="bad signature"),
    pytest.param(token() + ".", id="four segments"),
    pytest.param(unsigned(CLAIMS), id="unsigned"),
    pytest.param(signed(KEY, CLAIMS, typ="JWT", alg="HS256"), id="secret"),
    pytest.param(signed(KEY, CLAIMS, typ="logout+jwt"), id="logout token"),
    pytest.param(signed(KEY, CLAIMS, typ="dpop+jwt"), id="proof"),
    pytest.param(signed(KEY, CLAIMS, typ="client-authentication+jwt"), id="assertion"),
    pytest.param(signed(KEY, CLAIMS, typ="JWT", crit=["x"]), id="crit"),
    pytest.param(signed(KEY, b'{"iss":"https://ci.example","iss":"x"}', typ="JWT"), id="twice"),
    pytest.param(signed(KEY, b"[]", typ="JWT"), id="no object"),
    pytest.param("x" * 20_000, id="long"),
    pytest.param("", id="nothing"),
])  # fmt: skip
def test_what_its_issuer_has_not_signed_as_a_token_is_refused(text):
    """By a key of that issuer, and for nothing else."""
    with pytest.raises(UnacceptableToken):
        read(text)


def test_a_hint_says_where_to_look_and_is_never_more():
    """`jwk` and `jku` are not looked at."""
    found = hint(signed(KEY, CLAIMS, typ="JWT", jku="https://evil.example"))
    assert found == (THEM, "ES256", KEY.kid)
    for text in (unsigned(CLAIMS), signed(KEY, CLAIMS, alg="HS256"), signed(KEY, {"sub": "x"}), "a.b", "a.b.c", ""):
        with pytest.raises(UnacceptableToken):
            hint(text)


def test_each_token_has_a_mark_of_its_own_with_each_client():
    """Whoever brings it twice gets to the same root; another client never."""
    one, other = read(token()), read(token(jti="j-2"))
    assert mark(one, "agent") == mark(read(token()), "agent")
    assert len({mark(one, "agent"), mark(other, "agent"), mark(one, "second")}) == 3


def test_no_two_issuers_name_the_same():
    """Whatever one of them writes into `sub`."""
    assert name("https://a.example", "b#c") != name("https://a.example/b", "c")
    assert not is_foreign("8f14e45f-ceea-467f-a8f5-2a1c9b2f0b11")
