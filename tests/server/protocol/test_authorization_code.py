"""Codes for tokens."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from watchword_server.protocol.errors import CodeReplayed, InvalidGrant, UnauthorizedClient
from watchword_server.protocol.grants.authorization_code import Code, Offer, redeem
from watchword_server.protocol.values import Client

NOW = 1_800_000_000
VERIFIER, CHALLENGE = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
CALLBACK = "https://app.example/cb"
APP = Client("app", "App", "confidential", b"", frozenset({"authorization_code"}), {}, 0)
CODE = Code(hash=b"h", client_id="app", redirect_uri=CALLBACK, code_challenge=CHALLENGE, gid="g", expires_at=NOW + 60)
OFFER = Offer(CALLBACK, VERIFIER)
BARE = replace(CODE, code_challenge=None)


@pytest.mark.parametrize(("code", "offer"), [(CODE, OFFER), (BARE, Offer(CALLBACK, None))])
def test_a_good_code_is_taken(code, offer):
    """RFC 6749 §4.1.3, until the second before its last."""
    assert redeem(code, offer, APP, NOW + 59) is code


@pytest.mark.parametrize(
    ("code", "offer", "reason"),
    [
        (None, OFFER, "unknown"),
        (replace(CODE, expires_at=NOW), OFFER, "expired"),
        (CODE, Offer(None, VERIFIER), "redirect_uri"),
        (CODE, Offer(CALLBACK + "/", VERIFIER), "redirect_uri"),
        (CODE, Offer(CALLBACK, None), "code_verifier"),
        (CODE, Offer(CALLBACK, "x" * 43), "code_verifier"),
        (CODE, Offer(CALLBACK, CHALLENGE), "code_verifier"),
        (BARE, OFFER, "without a code_challenge"),
    ],
)
def test_a_mismatch_is_refused_and_kills_nothing(code, offer, reason):
    """Every one ends in invalid_grant (RFC 6749 §5.2, RFC 9700 §4.8.2)."""
    with pytest.raises(InvalidGrant, match=reason) as refusal:
        redeem(code, offer, APP, NOW)
    assert refusal.type is InvalidGrant


@pytest.mark.parametrize("code", [replace(CODE, spent_at=NOW - 1), replace(CODE, client_id="other")])
def test_a_code_that_comes_back_or_to_another_kills_what_it_got(code):
    """RFC 6749 §4.1.2; even when it has expired meanwhile, and whatever else is wrong."""
    for late in (NOW, NOW + 3600):
        with pytest.raises(CodeReplayed):
            redeem(code, Offer(None, None), APP, late)


def test_a_client_without_the_grant_takes_none():
    """RFC 6749 §5.2."""
    with pytest.raises(UnauthorizedClient):
        redeem(CODE, OFFER, replace(APP, grant_types=frozenset()), NOW)
