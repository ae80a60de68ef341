"""Authorization requests: who may be answered, and what is asked."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from watchword_server.protocol.authorization import (
    MAX_HINT,
    MAX_STATE,
    Addressee,
    Asked,
    NotAddressable,
    addressed,
    read,
)
from watchword_server.protocol.claims import ClaimsRequest, Wanted, of_scopes, requested
from watchword_server.protocol.errors import (
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    RegistrationNotSupported,
    RequestNotSupported,
    RequestUriNotSupported,
    UnauthorizedClient,
    UnsupportedResponseType,
)
from watchword_server.protocol.values import Client

CALLBACK = "https://app.example/cb"
APP = Client("app", "App", "confidential", b"", frozenset({"authorization_code"}), {}, 0, redirect_uris=(CALLBACK,))
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
GOOD = {
    "client_id": "app",
    "redirect_uri": CALLBACK,
    "response_type": "code",
    "scope": "openid profile",
    "state": "xyz",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}
TO = Addressee("app", CALLBACK, "query", "xyz")


def without(*names: str) -> dict[str, str]:
    """A good request that lacks something."""
    return {name: value for name, value in GOOD.items() if name not in names}


def test_a_good_request_is_read_whole():
    """Every parameter of OpenID Connect Core §3.1.2.1, and unknown ones ignored (RFC 6749 §3.1)."""
    more = {
        "response_mode": "form_post",
        "nonce": "n-0S6",
        "prompt": "login consent",
        "max_age": "0",
        "login_hint": "ada@example.com",
        "id_token_hint": "ey.J.x",
        "acr_values": "urn:a urn:b",
        "ui_locales": "es-MX en x_y",
        "claims_locales": "fr",
        "claims": '{"userinfo":{"email":{"essential":true}},"id_token":{"acr":{"values":["1"]},"sub":{"value":"248"}}}',
        "resource": "https://orders.example",
        "display": "popup",
        "whatever": "x",
    }
    asked = Asked({**GOOD, **more})
    to = addressed(APP, asked, native=False)
    assert to == Addressee("app", CALLBACK, "form_post", "xyz")
    found = read(APP, to, asked)
    assert found.is_openid
    assert found.scope == ("openid", "profile")
    assert (found.code_challenge, found.nonce, found.max_age) == (CHALLENGE, "n-0S6", 0)
    assert found.prompt == {"login", "consent"}
    assert (found.login_hint, found.id_token_hint) == ("ada@example.com", "ey.J.x")
    assert (found.acr_values, found.ui_locales, found.claims_locales) == (("urn:a", "urn:b"), ("es-MX", "en"), ("fr",))
    assert found.resource == "https://orders.example"
    assert found.claims == ClaimsRequest(
        id_token={"acr": Wanted(values=("1",)), "sub": Wanted(values=("248",))}, userinfo={"email": Wanted(True)}
    )


@pytest.mark.parametrize(
    ("client", "asked"),
    [
        (None, Asked(GOOD)),
        (replace(APP, disabled_at=1), Asked(GOOD)),
        (APP, Asked(without("redirect_uri"))),
        (APP, Asked({**GOOD, "redirect_uri": CALLBACK + "/"})),
        (APP, Asked({**GOOD, "redirect_uri": "https://evil.example"})),
        (APP, Asked(GOOD, frozenset({"redirect_uri"}))),
        (APP, Asked(GOOD, frozenset({"client_id"}))),
        (replace(APP, redirect_uris=()), Asked(GOOD)),
    ],
)
def test_nobody_is_redirected_before_client_and_place_are_known(client, asked):
    """RFC 6749 §4.1.2.1: the person is told, and the browser stays."""
    with pytest.raises(NotAddressable):
        addressed(client, asked, native=False)


@pytest.mark.parametrize(
    ("values", "repeated", "expected"),
    [
        ({"response_mode": "fragment"}, (), Addressee("app", CALLBACK, "fragment", "xyz")),
        ({"response_mode": "jwt"}, (), TO),
        ({"response_type": "token"}, (), TO),
        ({"state": "y" * (MAX_STATE + 1)}, (), replace(TO, state=None)),
        ({}, ("state",), replace(TO, state=None)),
        ({}, ("scope",), TO),
    ],
)
def test_an_error_can_be_told_where_only_the_rest_is_wrong(values, repeated, expected):
    """By the usual way where the wished one is none, and never with a state that is not surely the client's."""
    assert addressed(APP, Asked({**GOOD, **values}, frozenset(repeated)), native=False) == expected


@pytest.mark.parametrize(
    ("values", "refusal"),
    [
        (without("response_type"), InvalidRequest),
        ({**GOOD, "response_type": "token"}, UnsupportedResponseType),
        ({**GOOD, "response_type": "code id_token"}, UnsupportedResponseType),
        ({**GOOD, "response_type": "CODE"}, UnsupportedResponseType),
        ({**GOOD, "response_mode": "web_message"}, InvalidRequest),
        ({**GOOD, "state": "y" * (MAX_STATE + 1)}, InvalidRequest),
        ({**GOOD, "request": "ey"}, RequestNotSupported),
        ({**GOOD, "request_uri": "https://app.example/r"}, RequestUriNotSupported),
        ({**GOOD, "registration": "{}"}, RegistrationNotSupported),
        (without("code_challenge", "code_challenge_method"), InvalidRequest),
        (without("code_challenge_method"), InvalidRequest),
        (without("code_challenge"), InvalidRequest),
        ({**GOOD, "code_challenge_method": "plain"}, InvalidRequest),
        ({**GOOD, "code_challenge_method": "s256"}, InvalidRequest),
        ({**GOOD, "code_challenge": CHALLENGE + "="}, InvalidRequest),
        ({**GOOD, "scope": "openid  profile"}, InvalidScope),
        ({**GOOD, "prompt": "none login"}, InvalidRequest),
        ({**GOOD, "prompt": "hello"}, InvalidRequest),
        ({**GOOD, "max_age": "-1"}, InvalidRequest),
        ({**GOOD, "max_age": "1.5"}, InvalidRequest),
        ({**GOOD, "max_age": "٣"}, InvalidRequest),
        ({**GOOD, "max_age": "9" * 11}, InvalidRequest),
        ({**GOOD, "nonce": "n" * 513}, InvalidRequest),
        ({**GOOD, "login_hint": "n" * (MAX_HINT + 1)}, InvalidRequest),
        ({**GOOD, "claims": "[]"}, InvalidRequest),
        ({**GOOD, "claims": '{"userinfo":{"a":null,"a":null}}'}, InvalidRequest),
    ],
)
def test_what_is_wrong_goes_back_to_the_client(values, refusal):
    """Each by its own code (RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6)."""
    with pytest.raises(refusal):
        read(APP, TO, Asked(values))


def test_a_parameter_that_came_twice_is_refused():
    """Whichever it is (RFC 6749 §3.1)."""
    with pytest.raises(InvalidRequest):
        read(APP, TO, Asked(GOOD, frozenset({"nonce"})))


def test_an_authorization_is_for_one_api():
    """RFC 8707 §2.1 lets a client name several; a token that two of them take could be used by one at the other."""
    with pytest.raises(InvalidTarget):
        read(APP, TO, Asked(GOOD, frozenset({"resource"})))


def test_a_client_without_the_grant_may_not_ask():
    """RFC 6749 §4.1.2.1."""
    with pytest.raises(UnauthorizedClient):
        read(replace(APP, grant_types=frozenset({"refresh_token"})), TO, Asked(GOOD))


def test_pkce_is_optional_only_where_the_operator_said_so_and_never_for_public_clients():
    """And `plain` is no challenge even there."""
    bare = Asked(without("code_challenge", "code_challenge_method"))
    assert read(APP, TO, bare, needs_challenge=False).code_challenge is None
    with pytest.raises(InvalidRequest):
        read(replace(APP, kind="public"), TO, bare, needs_challenge=False)
    with pytest.raises(InvalidRequest):
        read(APP, TO, Asked({**GOOD, "code_challenge_method": "plain"}), needs_challenge=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, ClaimsRequest()),
        ("{}", ClaimsRequest()),
        ('{"userinfo":null,"other":[1]}', ClaimsRequest()),
        ('{"id_token":{"auth_time":{"essential":"yes"}}}', ClaimsRequest(id_token={"auth_time": Wanted()})),
        (
            '{"userinfo":{"given_name":null,"http://example.info/claims/groups":{"extension":[{}]}}}',
            ClaimsRequest(userinfo={"given_name": Wanted(), "http://example.info/claims/groups": Wanted()}),
        ),
    ],
)
def test_what_is_not_understood_in_the_claims_parameter_is_ignored(text, expected):
    """OpenID Connect Core §5.5."""
    assert requested(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        '"x"',
        "{" * 3000,
        '{"userinfo":1}',
        '{"userinfo":{"a":1}}',
        '{"userinfo":{"a":{"value":[1]}}}',
        '{"userinfo":{"a":{"values":{}}}}',
        '{"userinfo":{' + ",".join(f'"c{n}":null' for n in range(65)) + "}}",
    ],
)
def test_a_claims_parameter_that_asks_for_nothing_that_can_be_is_refused(text):
    """And stays within its bounds."""
    with pytest.raises(InvalidRequest):
        requested(text)


def test_scopes_ask_for_their_claims():
    """OpenID Connect Core §5.4."""
    assert of_scopes(("openid", "email", "orders:read")) == {"email", "email_verified"}
    assert "updated_at" in of_scopes(("profile",))
