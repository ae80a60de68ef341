"""Logout: what the relying party is told (Back-Channel Logout §2.4), and where the person comes back to (RP-Initiated
Logout §2 and §3).
"""

from __future__ import annotations

import time

from tests.stories.oidf.browser import Arrival
from tests.stories.oidf.judge import Judge, condition, must
from tests.stories.oidf.listener import Heard
from tests.stories.oidf.page import Page
from tests.stories.oidf.tokens import JWKS, Claims, candidates, header, verifies

EVENT = "http://schemas.openid.net/event/backchannel-logout"
GOOD_CIPHERS = ("ECDHE-ECDSA-AES", "ECDHE-RSA-AES", "ECDHE-ECDSA-CHACHA20", "ECDHE-RSA-CHACHA20")
SKEW = 300
"""Seconds."""


def _is_back(came: Arrival | Page, uri: str) -> Arrival:
    if isinstance(came, Page):
        must(False, f"the browser stayed: {came.path} answers {came.got.status}: {came.words[:200]}")
    assert isinstance(came, Arrival)
    must(came.url.partition("?")[0] == uri, f"the browser is at {came.url}")
    return came


@condition("CheckPostLogoutState")
def has_the_state(came: Arrival | Page, uri: str, state: str) -> None:
    """RP-Initiated Logout §3: back where it was asked for, with the state."""
    came = _is_back(came, uri)
    must(came.query.get("state") == state, f"the state is {came.query.get('state')!r}")


@condition("CheckNoPostLogoutState")
def has_no_state(came: Arrival | Page, uri: str) -> None:
    """None was sent."""
    came = _is_back(came, uri)
    must("state" not in came.query, f"the state is {came.query.get('state')!r}")


@condition("CheckForUnexpectedParametersInPostLogoutRedirect")
def has_nothing_else(came: Arrival) -> None:
    """§3."""
    must(came.query.keys() <= {"state"}, f"there is {sorted(came.query.keys() - {'state'})} too")


@condition("EnsureIncomingTls12WithSecureCipherOrTls13")
def came_by_good_tls(heard: Heard) -> None:
    """RFC 9325 §3 and §4."""
    strong = heard.version == "TLSv1.2" and heard.cipher.startswith(GOOD_CIPHERS) and "GCM" in heard.cipher
    must(heard.version == "TLSv1.3" or strong, f"it came by {heard.version} with {heard.cipher}")


@condition("EnsureIncomingTls13")
def came_by_tls_13(heard: Heard) -> None:
    """RFC 9325 §3.1.1."""
    must(heard.version == "TLSv1.3", f"it came by {heard.version}")


@condition("ExtractLogoutTokenFromBackchannelLogoutRequest")
def was_told(heard: Heard | None) -> None:
    """Back-Channel Logout §2.5: a POST with a logout token."""
    must(heard is not None, "nothing came")
    assert heard is not None
    must(heard.sent.method == "POST" and heard.sent.form.get("logout_token"), "it has no logout token")


@condition("CheckForUnexpectedParametersInBackchannelLogoutRequest")
def has_only_the_token(heard: Heard) -> None:
    """§2.5."""
    must(heard.sent.form.keys() == {"logout_token"}, f"there is {sorted(heard.sent.form)}")


@condition("ValidateLogoutTokenSignature")
def is_signed(token: str, jwks: JWKS) -> None:
    """§2.6: as an ID token."""
    found = candidates(token, jwks)
    must(header(token).get("kid"), "its header has no kid")
    must(len(found) == 1, f"the key set has {len(found)} keys for {header(token)}")
    must(verifies(token, found[0]), "the signature is not that of the key")


@condition("ValidateLogoutTokenClaims")
def is_ours(claims: Claims, issuer: str, client_id: str) -> None:
    """§2.4."""
    now = time.time()
    must(claims.get("iss") == issuer, f"iss is {claims.get('iss')!r}")
    must(claims.get("aud") in (client_id, [client_id]), f"aud is {claims.get('aud')!r}")
    must(abs(claims.get("iat", 0) - now) < SKEW, f"iat is {claims.get('iat')!r}")
    must(now < claims.get("exp", 0) < now + 3600, f"exp is {claims.get('exp')!r}")
    must(isinstance(claims.get("jti"), str) and claims["jti"], "jti is missing")
    must(claims.get("events") == {EVENT: {}}, f"events is {claims.get('events')!r}")


@condition("CheckIdTokenSubMatchesLogoutToken")
def is_of_the_same_person(claims: Claims, id_token: Claims) -> None:
    """§2.4."""
    must(claims.get("sub", id_token.get("sub")) == id_token.get("sub"), "sub is another")


@condition("CheckIdTokenSidMatchesLogoutToken")
def is_of_the_same_session(claims: Claims, id_token: Claims) -> None:
    """§2.4; the session was required."""
    must(id_token.get("sid") and claims.get("sid") == id_token["sid"], f"sid is {claims.get('sid')!r}")


@condition("CheckLogoutTokenNoNonce")
def has_no_nonce(claims: Claims) -> None:
    """§2.4: it is no ID token."""
    must("nonce" not in claims, "there is a nonce")


@condition("CheckLogoutTokenHasSubOrSid")
def has_somebody(claims: Claims) -> None:
    """§2.4."""
    must(claims.get("sub") or claims.get("sid"), "there is neither sub nor sid")


def good(judge: Judge, token: str, claims: Claims, jwks: JWKS, issuer: str, client_id: str, id_token: Claims) -> None:
    """All that is asked of a logout token."""
    is_signed(judge, token, jwks)
    is_ours(judge, claims, issuer, client_id)
    is_of_the_same_person(judge, claims, id_token)
    is_of_the_same_session(judge, claims, id_token)
    has_no_nonce(judge, claims)
    has_somebody(judge, claims)
