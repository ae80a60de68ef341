"""What a client says to register itself, and what is made of it."""

from __future__ import annotations

import pytest

from watchword.jose.jwt import claims
from watchword_server.protocol.self_registration import BEYOND_SAYING, SAID, access, described, read
from watchword_server.protocol.uris import BadRedirectUri, BadRegistration
from watchword_server.protocol.values import Api, Client, ClientMetadata

URI = "https://app.example/cb"
LEAST = {"redirect_uris": [URI]}
API = Api("https://orders.example", "Orders", ("orders:read", "orders:write"), "api1", b"", 0)


def test_the_least_that_can_be_said_is_a_web_client_with_a_secret() -> None:
    """Every default of RFC 7591 §2 and OpenID Connect Registration 1.0 §2."""
    found = read(LEAST)
    assert (found.name, found.is_public, found.redirect_uris) == ("app.example", False, (URI,))
    assert (found.grant_types, found.scope) == (frozenset({"authorization_code"}), None)
    assert found.metadata.token_endpoint_auth_method == "client_secret_basic"
    assert (found.metadata.application_type, found.metadata.id_token_signed_response_alg) == ("web", "RS256")
    assert found.origins == ("https://app.example",)


def test_a_client_may_say_that_its_tokens_are_bound_to_a_key() -> None:
    """RFC 9449 §5.2."""
    assert read({**LEAST, "dpop_bound_access_tokens": True}).metadata.dpop_bound_access_tokens
    assert not read(LEAST).metadata.dpop_bound_access_tokens
    with pytest.raises(BadRegistration, match="dpop_bound_access_tokens"):
        read({**LEAST, "dpop_bound_access_tokens": "yes"})


def test_null_is_as_good_as_nothing_and_the_unknown_is_ignored() -> None:
    """RFC 7591 §2, RFC 7592 §2.2; names in other languages among it."""
    more = {"client_name": None, "logo_uri": None, "client_name#ja": "アプリ", "frontchannel_logout_uri": 7, "x": {}}
    assert read({**LEAST, **more}) == read(LEAST)


def test_nobody_says_what_is_not_theirs_to_say() -> None:
    """Neither that an operator vouches for it, nor that it may do without PKCE, nor who it is."""
    ours = {
        "pkce": "optional",
        "sector": "bank.example",
        "registered_itself": False,
        "management_hash": "AAAA",
        "sealed_secret": "AAAA",
        "retiring_secret": {"hash": "AAAA", "until": 2**40},
        "document_fresh_until": 2**40,
        "assertion_audience": "token_endpoint",
        "signs_tokens": True,
        "acts_for": ["*"],
        "impersonates": True,
        "client_id": "client_1",
        "client_secret": "mine",
        "first_party": True,
        "origins": ["https://bank.example"],
        "access": {API.audience: ["orders:write"]},
    }
    assert read({**LEAST, **ours}) == read(LEAST)


def test_what_a_stranger_may_say_is_a_list_and_everything_else_is_not() -> None:
    """A field that is added later is not on it, until somebody has thought about it and writes it here and there."""
    fields = set(ClientMetadata.__struct_fields__)
    assert set(SAID) < fields
    assert len(SAID) == 32
    assert fields - set(SAID) == BEYOND_SAYING == {
        *("pkce", "sector", "registered_itself", "management_hash", "sealed_secret", "retiring_secret"),
        *("document_fresh_until", "assertion_audience", "fapi2", "signs_tokens", "acts_for", "impersonates"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"redirect_uris": URI}, "redirect_uris: Expected `array`"),
        ({"redirect_uris": [URI, 1]}, r"redirect_uris\[1\]"),
        ({**LEAST, "client_name": 1}, "client_name"),
        ({**LEAST, "client_name": "Bank\u202emoc.live"}, "client_name"),
        ({**LEAST, "client_name": "Ba\u200bnk"}, "client_name"),
        ({**LEAST, "application_type": "browser"}, "application_type: not a value"),
        ({**LEAST, "subject_type": "x" * 9999}, "subject_type: not a value"),
        ({**LEAST, "contacts": "a@b.example"}, "contacts"),
        ({**LEAST, "jwks": "x"}, "jwks"),
        ({**LEAST, "default_max_age": "3600"}, "default_max_age"),
        ({**LEAST, "default_max_age": True}, "default_max_age"),
        ({**LEAST, "require_auth_time": "yes"}, "require_auth_time"),
        ({**LEAST, "backchannel_logout_session_required": 1}, "backchannel_logout_session_required"),
        ({**LEAST, "response_types": ["code", "id_token"]}, "response_types"),
        ({**LEAST, "response_types": ["token"]}, "response_types"),
        ({**LEAST, "response_types": []}, "response_types"),
        ({**LEAST, "grant_types": []}, "grant_types"),
        ({**LEAST, "grant_types": ["refresh_token"]}, "grant_types"),
        ({**LEAST, "grant_types": ["authorization_code", "implicit"]}, "implicit"),
        ({**LEAST, "grant_types": ["authorization_code", "client_credentials"]}, "client_credentials"),
        ({**LEAST, "grant_types": ["authorization_code", "password"]}, "password"),
        ({**LEAST, "token_endpoint_auth_method": "tls_client_auth"}, "token_endpoint_auth_method"),
        ({**LEAST, "scope": 'a "b"'}, "scope"),
        ({**LEAST, "scope": "a  b"}, "scope"),
        ({**LEAST, "logo_uri": "https://[::1"}, "logo_uri"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_member(members: dict[str, object], reason: str) -> None:
    """And never with a value of any length."""
    with pytest.raises(BadRegistration, match=reason) as refusal:
        read(members)
    assert len(str(refusal.value)) < 600


@pytest.mark.parametrize(
    "uris", [None, [], [URI] * 51, ["http://app.example/cb"], [URI + "#"], [""], [URI, "javascript:alert(1)"]]
)
def test_bad_redirect_uris_have_a_refusal_of_their_own(uris: object) -> None:
    """RFC 7591 §3.2.2."""
    with pytest.raises(BadRedirectUri):
        read({"redirect_uris": uris})


@pytest.mark.parametrize("name", ["client_uri", "logo_uri", "policy_uri"])
def test_what_would_pass_for_somebody_else_is_left_out(name: str) -> None:
    """It is shown beside the name only if it lies where people return to (OpenID Connect Registration 1.0 §9.1)."""
    own, others = (
        "https://app.example/about",
        ("https://bank.example/", "https://app.example.evil/", "https://xapp.example/"),
    )
    assert getattr(read({**LEAST, name: own}).metadata, name) == own
    for uri in others:
        assert getattr(read({**LEAST, name: uri}).metadata, name) is None
    native = {"redirect_uris": ["com.example.app:/cb"], "application_type": "native", name: own}
    assert getattr(read(native).metadata, name) is None


def test_terms_may_lie_anywhere() -> None:
    """Of many programs they are somebody else's."""
    assert read({**LEAST, "tos_uri": "https://law.example/"}).metadata.tos_uri == "https://law.example/"


def test_half_an_encryption_gets_its_usual_other_half() -> None:
    """OpenID Connect Registration 1.0 §2."""
    found = read({**LEAST, "userinfo_encrypted_response_alg": "RSA-OAEP-256"}).metadata
    assert found.userinfo_encrypted_response_enc == "A128CBC-HS256"


@pytest.mark.parametrize(
    ("scope", "wanted"),
    [
        (None, {API.audience: API.scopes}),
        (("openid", "orders:read", "no:such"), {API.audience: ("orders:read",)}),
        (("openid",), {}),
        ((), {}),
    ],
)
def test_a_client_may_have_what_it_names_and_what_there_is(
    scope: tuple[str, ...] | None, wanted: dict[str, tuple[str, ...]]
) -> None:
    """At the APIs that the operator lets strangers ask for; where there is none, nothing."""
    assert access(scope, {API.audience: API}) == wanted
    assert access(scope, {}) == {}


def test_what_is_told_proves_nothing_and_can_be_sent_back() -> None:
    """RFC 7591 §3.2.1: all metadata; neither hash nor secret."""
    said = {**LEAST, "client_name": "App", "contacts": ["a@app.example"], "tos_uri": "https://law.example/"}
    proposal = read(said)
    client = Client(
        "c1", proposal.name, "confidential", b"h", proposal.grant_types, {API.audience: API.scopes}, 7,
        redirect_uris=proposal.redirect_uris, metadata=proposal.metadata,
    )  # fmt: skip
    told = described(client)
    assert told["scope"] == "address email offline_access openid phone profile orders:read orders:write"
    assert (told["client_id"], told["client_id_issued_at"], told["response_types"]) == ("c1", 7, ("code",))
    assert not {"management_hash", "secret_hash", "pkce", "sector", "registered_itself"} & told.keys()
    assert read({name: list(value) if isinstance(value, tuple) else value for name, value in told.items()}) == (
        read({**said, "scope": told["scope"]})
    )


def test_a_body_with_half_a_character_is_no_body() -> None:
    """What cannot be written down must not get as far as a hash or a database."""
    with pytest.raises(Exception, match="JSON"):
        claims(b'{"client_name": "\\ud800"}')
