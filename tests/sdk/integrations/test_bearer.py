"""The token out of a request, and refusals as HTTP, for every framework alike."""

from __future__ import annotations

import pytest

from watchword.errors import (
    BadSignature,
    Blind,
    Expired,
    InsufficientAuthentication,
    InsufficientScope,
    InvalidProof,
    InvalidRequest,
    Misconfigured,
    MissingToken,
    NonceRequired,
    TokenRequestRefused,
    UntrustedOrigin,
    WatchwordError,
    WrongConfirmation,
)
from watchword.integrations.bearer import Bearing, Carriers, Offer, carried, refusal

APP = "https://app.example"
HEADER_ONLY = Carriers()
COOKIE = Carriers("__Host-access", frozenset({APP}))
TOKEN = "eyJ.eyJ.c2ln"


@pytest.mark.parametrize("value", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER   {TOKEN}"])
def test_the_header_carries_a_token(value: str) -> None:
    """RFC 9110 §11.1: the scheme does not mind the case."""
    assert carried(Bearing("GET", (value,)), HEADER_ONLY) == (TOKEN, None)


@pytest.mark.parametrize("values", [(), ("Basic dXNlcjpwYXNz",), ("DPoP eyJ.eyJ.c2ln",)])
def test_nothing_or_another_scheme_is_no_token(values: tuple[str, ...]) -> None:
    """The caller hears what is wanted."""
    with pytest.raises(MissingToken):
        carried(Bearing("GET", values), HEADER_ONLY)


@pytest.mark.parametrize(
    "values",
    [
        ("Bearer",),
        ("Bearer ",),
        ("Bearer a b",),
        ("Bearer a,b",),
        ("Bearer\ta",),
        ("Bearer=a",),
        (f"Bearer {TOKEN}\n",),
        ("Bearer é",),
        ("",),
        (" ",),
        (f"Bearer {TOKEN}", f"Bearer {TOKEN}"),
        (f"Bearer {TOKEN}", "Basic dXNlcjpwYXNz"),
    ],
)
def test_a_malformed_header_is_an_invalid_request(values: tuple[str, ...]) -> None:
    """RFC 6750 §3.1."""
    with pytest.raises((InvalidRequest, MissingToken)) as caught:
        carried(Bearing("GET", values), HEADER_ONLY)
    assert caught.type is InvalidRequest or values == ("Bearer=a",)


@pytest.mark.parametrize("query", ["access_token=x", "a=b&access_token=", "%61ccess_token=x", "access_token"])
def test_a_token_in_the_query_is_refused(query: str) -> None:
    """Even beside a good header: it stands in logs by now."""
    with pytest.raises(InvalidRequest):
        carried(Bearing("GET", (f"Bearer {TOKEN}",), query=query), HEADER_ONLY)


def test_a_cookie_counts_only_where_the_api_names_it() -> None:
    """Elsewhere it is just some cookie."""
    bearing = Bearing("GET", cookie=(f"a=b; __Host-access={TOKEN}",))
    assert carried(bearing, COOKIE) == (TOKEN, None)
    with pytest.raises(MissingToken):
        carried(bearing, HEADER_ONLY)


@pytest.mark.parametrize(
    "bearing",
    [
        Bearing("GET", (f"Bearer {TOKEN}",), (f"__Host-access={TOKEN}",)),
        Bearing("GET", (), (f"__Host-access={TOKEN}; __Host-access=other",)),
        Bearing("GET", (), (f"__Host-access={TOKEN}", "__Host-access=other")),
    ],
)
def test_two_tokens_are_refused(bearing: Bearing) -> None:
    """Nobody can say which of them was meant."""
    with pytest.raises(InvalidRequest):
        carried(bearing, COOKIE)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "post", ""])
@pytest.mark.parametrize("origin", [(), ("null",), ("https://evil.example",), (APP + ".evil.example",), (APP, APP)])
def test_an_unsafe_request_with_a_cookie_needs_a_listed_origin(method: str, origin: tuple[str, ...]) -> None:
    """Browsers add the cookie to what any page sends; a missing Origin is refused too."""
    cookie = (f"__Host-access={TOKEN}",)
    with pytest.raises(UntrustedOrigin):
        carried(Bearing(method, (), cookie, origin), COOKIE)
    assert carried(Bearing(method, (), cookie, (APP,)), COOKIE) == (TOKEN, None)
    assert carried(Bearing(method, (f"Bearer {TOKEN}",), (), origin), COOKIE) == (TOKEN, None)


def test_a_websocket_with_a_cookie_needs_a_listed_origin() -> None:
    """Its handshake is a GET, and no page is kept from making it."""
    cookie = (f"__Host-access={TOKEN}",)
    with pytest.raises(UntrustedOrigin):
        carried(Bearing("GET", (), cookie, ("https://evil.example",), is_websocket=True), COOKIE)
    assert carried(Bearing("GET", (), cookie, (APP,), is_websocket=True), COOKIE) == (TOKEN, None)


@pytest.mark.parametrize(
    ("cookie", "origins"),
    [("a b", ()), ("", ()), (None, (APP,)), ("a", (APP + "/",)), ("a", ("http://app.example",)), ("a", ("*",))],
)
def test_wrong_carriers_are_said_at_once(cookie: str | None, origins: tuple[str, ...]) -> None:
    """An origin with a path would never match, and all of them would match too much."""
    with pytest.raises(Misconfigured):
        Carriers(cookie, frozenset(origins))


@pytest.mark.parametrize(
    ("error", "status", "code", "challenge"),
    [
        (MissingToken("log"), 401, "missing_token", "Bearer"),
        (Expired("log"), 401, "invalid_token", 'error="invalid_token"'),
        (BadSignature("log"), 401, "invalid_token", 'error="invalid_token"'),
        (InvalidRequest("log"), 400, "invalid_request", 'error="invalid_request"'),
        (InsufficientScope("log", ("a", "b")), 403, "insufficient_scope", 'scope="a b"'),
        (UntrustedOrigin("log"), 403, "access_denied", None),
        (InsufficientAuthentication("log", ("a", "b"), 60), 401, "insufficient_user_authentication", 'max_age="60"'),
        (InsufficientAuthentication("log", ("a", "b")), 401, "insufficient_user_authentication", 'acr_values="a b"'),
        (WrongConfirmation("log"), 401, "invalid_token", 'error="invalid_token"'),
        (InvalidProof("log"), 401, "invalid_dpop_proof", 'error="invalid_dpop_proof"'),
        (NonceRequired("log"), 401, "use_dpop_nonce", 'error="use_dpop_nonce"'),
        (Blind("log", 7), 503, "temporarily_unavailable", None),
    ],
)
def test_a_refusal_has_its_status_and_headers(
    error: WatchwordError, status: int, code: str, challenge: str | None
) -> None:
    """RFC 6750 §3; the message for the log stays out of the answer."""
    answer = refusal(error)
    assert (answer.status, answer.body["error"]) == (status, code)
    found = answer.headers.get("WWW-Authenticate")
    assert (found is None) if challenge is None else (found is not None and challenge in found)
    assert answer.headers.get("Retry-After") == ("7" if status == 503 else None)
    assert answer.headers["Cache-Control"] == "no-store"
    assert "log" not in str(answer.body).replace("logs", "")


def test_the_programs_own_faults_are_no_refusals() -> None:
    """They stay exceptions, and become a 500 with a trace in the log."""
    with pytest.raises(TokenRequestRefused):
        refusal(TokenRequestRefused("invalid_client", "ours"))


def test_a_challenge_says_more_where_there_is_more_to_say() -> None:
    """RFC 9110 §11.6.1: quoted, whatever is in it; and under every scheme that may be used."""
    offer = Offer(dpop=True, parameters={"resource_metadata": 'https://api.example/"\\'})
    found = refusal(MissingToken("log"), offer).headers["WWW-Authenticate"]
    more = 'resource_metadata="https://api.example/\\"\\\\"'
    assert found.startswith(f'Bearer {more}, DPoP {more}, algs="')
    shown = refusal(Expired("log"), Offer(dpop=True, scheme="DPoP", nonce="n-1"))
    assert shown.headers["WWW-Authenticate"].startswith('DPoP error="invalid_token"')
    assert shown.headers["DPoP-Nonce"] == "n-1"
    assert "Bearer" not in shown.headers["WWW-Authenticate"]
    assert refusal(Expired("log"), Offer(scheme="DPoP")).headers["WWW-Authenticate"].startswith("Bearer error")
