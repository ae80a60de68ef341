"""ID tokens."""

from __future__ import annotations

import pytest

from watchword_server.protocol.id_token import RESERVED, Event, claims, left_half

EVENT = Event(sub="ada", sid="s1", auth_time=1_800_000_000, amr=("pwd",))


def test_the_claims_that_every_one_has():
    """OpenID Connect Core §2; what was not asked for is not there, not even as null."""
    assert claims("https://id.example", "app", EVENT, 1_800_000_100, 600) == {
        "iss": "https://id.example",
        "sub": "ada",
        "aud": "app",
        "exp": 1_800_000_700,
        "iat": 1_800_000_100,
        "auth_time": 1_800_000_000,
        "amr": ["pwd"],
        "sid": "s1",
    }


def test_what_was_asked_for_is_added():
    """The nonce as it was sent, the hash of the access token, and facts about the person."""
    found = claims("i", "app", EVENT, 0, 1, nonce="n", at_hash="h", person={"email": "ada@example.com"})
    assert (found["nonce"], found["at_hash"], found["email"]) == ("n", "h", "ada@example.com")


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_no_fact_about_a_person_stands_for_what_the_issuer_says(name):
    """A profile with a field named `sub` or `nonce` changes nothing."""
    plain = claims("i", "app", EVENT, 0, 1)
    assert claims("i", "app", EVENT, 0, 1, person={name: "forged"}) == plain


def test_the_left_half_of_a_hash():
    """The example of OpenID Connect Core appendix A.3."""
    assert left_half("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", "RS256") == "77QmUPtjPfzWtF2AnpK9RQ"


@pytest.mark.parametrize(
    ("alg", "characters"), [("ES256", 22), ("PS384", 32), ("ES512", 43), ("EdDSA", 43), ("RS512", 43)]
)
def test_the_hash_is_that_of_the_signature(alg, characters):
    """Half of 256, 384 or 512 bits."""
    assert len(left_half("x", alg)) == characters


@pytest.mark.parametrize("alg", ["none", "", "RS1", "HS256", "X256", "rs256"])
def test_an_algorithm_that_is_not_known_has_no_hash(alg):
    """Fail closed."""
    with pytest.raises(KeyError):
        left_half("x", alg)
