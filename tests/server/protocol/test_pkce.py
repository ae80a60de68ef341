"""Proof Key for Code Exchange."""

from __future__ import annotations

import pytest

from watchword_server.protocol.pkce import answers, is_challenge

RFC_7636_VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
RFC_7636_CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_the_example_of_the_rfc():
    """RFC 7636 appendix B."""
    assert is_challenge(RFC_7636_CHALLENGE)
    assert answers(RFC_7636_VERIFIER, RFC_7636_CHALLENGE)


@pytest.mark.parametrize(
    "verifier",
    [
        "",
        RFC_7636_CHALLENGE,  # plain
        RFC_7636_VERIFIER[:-1],
        RFC_7636_VERIFIER + "A",
        RFC_7636_VERIFIER + "\n",
        RFC_7636_VERIFIER.lower(),
        "A" * 42,
        "A" * 129,
        "é" * 43,
    ],
)
def test_another_verifier_does_not_answer(verifier):
    """Nor does one of a wrong length or alphabet, whatever it hashes to (RFC 7636 §4.1)."""
    assert not answers(verifier, RFC_7636_CHALLENGE)


@pytest.mark.parametrize("text", ["", "A" * 42, "A" * 44, "A" * 42 + "=", "A" * 42 + "+", "A" * 43 + "\n", "é" * 43])
def test_what_is_no_sha_256_is_no_challenge(text):
    """S256 is 43 characters of base64url without padding (RFC 7636 §4.2)."""
    assert not is_challenge(text)
