"""Every condition that no planted fault shows to fail, given something that it has to refuse."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.stories.oidf import tokens
from tests.stories.oidf.browser import Arrival
from tests.stories.oidf.conditions import (
    answers,
    discovery,
    id_token,
    keys,
    logout,
    pages,
    registration,
    server,
    token,
    userinfo,
)
from tests.stories.oidf.judge import Failed, Judge
from tests.stories.oidf.listener import Heard, Listener
from tests.stories.oidf.page import page
from tests.stories.oidf.plans import PLANS
from tests.stories.oidf.rows_fapi2 import ROWS as OF_FAPI2
from tests.stories.oidf.runs import dynamic
from tests.stories.oidf.wire import FORM, Got, Sent

HERE = "https://rp.example/callback"
NOW = int(time.time())
KID = "known"
KEY = tokens.public(KID)
OTHER = tokens.public("another")
JWKS = {"keys": [KEY]}
SIGNED = tokens.signed({"sub": "jane"}, KID)
"""Good, for who knows the key."""
LOGOUT = {"iss": "https://op", "aud": "rp", "iat": NOW, "exp": NOW + 60, "jti": "1", "events": {logout.EVENT: {}}}


def got(status: int = 200, media_type: str = "application/json", **members: Any) -> Got:
    """A response."""
    return Got(status, (("content-type", media_type),), json.dumps(members).encode())


def shown(status: int, text: str = "", media_type: str = "text/html") -> Any:
    """A page."""
    return page("https://op/x", Got(status, (("content-type", media_type),), text.encode()))


def told(version: str = "TLSv1.3", cipher: str = "", **form: str) -> Heard:
    """What a relying party hears."""
    body = "&".join(f"{name}={value}" for name, value in form.items())
    return Heard(Sent("POST", "https://rp/x", {}, body.encode()), version, cipher)


@dataclass(frozen=True)
class Deaf:
    """A run whose relying party was never asked for anything."""

    listener: Listener = field(default_factory=lambda: Listener("https://rp.example"))
    name: str = "run"


def posted(url: str = HERE, media_type: str = FORM, method: str = "POST") -> Arrival:
    """Somebody who comes back."""
    return Arrival(method, url, media_type, "code=c")


LISTS = (
    (discovery.takes_code, "response_types_supported", ["id_token"]),
    (discovery.has_code_grant, "grant_types_supported", ["implicit"]),
    (discovery.signs_rs256, "id_token_signing_alg_values_supported", ["ES256"]),
    (discovery.signs_userinfo, "userinfo_signing_alg_values_supported", "RS256"),
    (discovery.signs_userinfo_rs256, "userinfo_signing_alg_values_supported", ["ES256"]),
    (discovery.reads_rs256, "request_object_signing_alg_values_supported", ["ES256"]),
    (discovery.may_read_rs256, "request_object_signing_alg_values_supported", None),
    (discovery.tells_claims, "claims_supported", ["sub"]),
    (discovery.takes_challenges, "code_challenge_methods_supported", "S256"),
    (discovery.authorizes, "authorization_endpoint", "http://op.example/authorize"),
    (discovery.issues, "token_endpoint", None),
    (discovery.tells, "userinfo_endpoint", "/userinfo"),
    (discovery.registers, "registration_endpoint", None),
    (discovery.publishes, "jwks_uri", 1),
    (discovery.takes_claims, "claims_parameter_supported", "true"),
    (discovery.takes_requests, "request_parameter_supported", False),
    (discovery.takes_request_uris, "request_uri_parameter_supported", False),
    (discovery.tells_of_logouts, "backchannel_logout_supported", False),
    (discovery.has_subjects, "subject_types_supported", ["ephemeral"]),
    (discovery.has_good_scopes, "scopes_supported", ["openid", 'quo"te']),
    (discovery.has_language_tags, "ui_locales_supported", ["en_US"]),
    (discovery.spells_language_tags, "ui_locales_supported", ["EN"]),
    (discovery.is_https_throughout, "par_endpoint", "http://op.example/par"),
    (discovery.has_a_good_issuer, "issuer", "https://op.example?tenant=1"),
    (discovery.is_known, "frobnication_supported", True),
    (discovery.is_well_formed, "issuer", "https://op.example"),
    (server.is_usable, "issuer", "https://op.example"),
    (server.takes_basic, "token_endpoint_auth_methods_supported", ["none"]),
    (server.takes_post, "token_endpoint_auth_methods_supported", ["client_secret_basic"]),
    (token.says_that_it_refreshes, "grant_types_supported", ["authorization_code"]),
    (dynamic.has_no_implicit_grant, "grant_types_supported", ["implicit"]),
)
"""A condition on the metadata, a member, and what must not be its value."""

Row = tuple[Callable[..., None], *tuple[Any, ...]]
ROWS: tuple[Row, ...] = (
    *((asks, {member: value}) for asks, member, value in LISTS),
    (discovery.is_ok, got(404)),
    (discovery.is_json, got(media_type="text/html")),
    (discovery.is_where_it_is_looked_for, "https://op.example/openid"),
    (discovery.has_usable_keys, {"keys": [KEY]}, {"id_token_signing_alg_values_supported": ["none"]}),
    (discovery.has_no_other_keys, {"keys": [{**KEY, "n": "!"}]}),
    (server.is_a_key_set, {"keys": [{"kty": "RSA", "n": "AQAB"}]}),
    (server.is_readable, {"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}),
    (server.is_public, {"keys": [tokens.key(KID).as_dict(private=True)]}),
    (server.has_names, {"keys": [{name: value for name, value in KEY.items() if name != "kid"}]}),
    (server.has_distinct_names, {"keys": [KEY, {**OTHER, "kid": KID}]}),
    (keys.has_the_old_ones, {"keys": [OTHER]}, JWKS),
    (registration.is_no_error, got(201, error="invalid_client_metadata")),
    (registration.can_be_managed, got(201, registration_client_uri="https://op.example/register/1")),
    (registration.is_about_metadata, got(400, error="invalid_request")),
    (registration.is_about_the_redirect_uri, got(400, error="invalid_request")),
    (answers.is_posted, posted(method="GET")),
    (answers.is_a_form, posted(media_type="application/json")),
    (answers.has_no_code_in_its_url, posted(f"{HERE}?code=c")),
    (answers.has_no_error_in_its_url, posted(f"{HERE}?error=e")),
    (answers.has_a_random_code, {"code": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}),
    (answers.has_nothing_else, {"error": "login_required", "hint": "jane"}),
    (answers.is_described_in_a_line, {"error_description": "one\ntwo"}),
    (answers.is_described_in_ascii, {"error_description": "“quoted”"}),
    (answers.has_a_uri, {"error_uri": "https://op.example/a b"}),
    (token.is_no_error, got(error="invalid_grant")),
    (token.says_when, got(access_token="t")),
    (token.expires, got(expires_in="300")),
    (token.is_json, got(media_type="text/html")),
    (token.is_a_bearer_token, got(token_type="DPoP")),
    (token.is_random, got(access_token="abababababababab")),
    (token.is_printable, got(access_token="tö")),
    (token.is_another, got(access_token="t"), {"access_token": "t"}),
    (token.refresh_is_printable, {"refresh_token": "t\n"}),
    (token.refresh_is_long, {"refresh_token": "short"}),
    (token.refresh_is_random, {"refresh_token": "abababababababababababababababab"}),
    (token.tells_of_the_same, {"sub": "jane"}, {"sub": "joe"}),
    (token.is_about_the_grant, got(400, error="invalid_request")),
    (token.is_about_the_client, got(401, error="invalid_grant")),
    (token.has_an_error, got(400)),
    (token.is_described_in_a_line, got(400, error_description="one\ttwo")),
    (token.is_described_in_ascii, got(400, error_description="é")),
    (token.has_a_uri, got(400, error_uri="\\")),
    (id_token.has_typed_claims, {"email_verified": "yes"}),
    (id_token.has_a_good_acr, {"acr": 1}),
    (id_token.has_a_subject, {"sub": "x" * 256}),
    (id_token.was_updated, {"updated_at": NOW + 3600}),
    (id_token.has_a_kid, tokens.unsigned({})),
    (id_token.is_rs256, tokens.unsigned({})),
    (id_token.is_by, SIGNED, "ES256"),
    (id_token.has_no_name, {"name": "Jane"}),
    (id_token.has_nothing_else, {"sub": "jane", "roles": ["staff"]}),
    (id_token.is_recent, {"auth_time": NOW - 3600}, 1),
    (id_token.is_later, {"auth_time": 1}, {"auth_time": 1}),
    (id_token.is_of_the_same_person, {"sub": "jane"}, {"sub": "joe"}),
    (userinfo.has_a_subject, {}),
    (userinfo.refers_to_sources, {"_claim_names": {"email": "src1"}}),
    (userinfo.is_signed, SIGNED, {"keys": [{**OTHER, "kid": KID}]}),
    (userinfo.is_rs256, tokens.unsigned({})),
    (userinfo.is_for_us, {"iss": "https://op", "aud": "another"}, "https://op", "rp"),
    (userinfo.has_no_nonce, {"nonce": "n"}),
    (pages.no_redirect_uri, shown(400, "<h1>Something went wrong here, somehow</h1>")),
    (logout.has_nothing_else, posted(f"{HERE}?state=s&sid=1")),
    (logout.came_by_good_tls, told("TLSv1.2", "AES128-SHA")),
    (logout.came_by_tls_13, told("TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256")),
    (logout.was_told, told()),
    (logout.has_only_the_token, told(logout_token="t", state="s")),
    (logout.is_signed, SIGNED, {"keys": [{**OTHER, "kid": KID}]}),
    (logout.is_ours, {**LOGOUT, "events": {}}, "https://op", "rp"),
    (logout.is_of_the_same_person, {"sub": "joe"}, {"sub": "jane"}),
    (logout.is_of_the_same_session, {"sid": "1"}, {"sid": "2"}),
    (logout.has_somebody, {}),
    (dynamic.was_fetched, Deaf()),
    (dynamic.answers_nothing_but_codes, {"response_types_supported": ["code", "id_token"]}, got(400), {}),
    (server.takes_assertions, {"token_endpoint_auth_methods_supported": ["client_secret_jwt"]}),
    *OF_FAPI2,
)
"""A condition, and what it has to refuse."""


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0].__module__.rpartition('.')[2]}.{row[0].__name__}")
def test_a_condition_refuses_what_it_should(row: Row) -> None:
    """By its own name."""
    asks, *values = row
    judge = Judge()
    with pytest.raises(Failed) as failed:
        asks(judge, *values)
    assert judge.asserted == {failed.value.condition}


def test_every_condition_has_been_seen_to_fail() -> None:
    """By a planted fault, or here."""
    modules = [module for plan in PLANS.values() for module in plan.modules.values()]
    asserted = {name for module in modules for name in module.asserts}
    assert asserted - {module.fault.notices for module in modules} - {named(row) for row in ROWS} == set()


def named(row: Row) -> str:
    """The condition of a row."""
    judge, (asks, *values) = Judge(), row
    with pytest.raises(Failed) as failed:
        asks(judge, *values)
    return failed.value.condition


@pytest.mark.parametrize(("change", "why"), [
    ({"iss": "https://another"},                "iss"),
    ({"aud": "another"},                        "aud"),
    ({"aud": ["rp", "another"]},                "azp"),
    ({"exp": NOW - 3600},                       "exp"),
    ({"exp": (NOW + 60) * 1000},                "exp"),
    ({"exp": None},                             "exp"),
    ({"iat": NOW - 3600},                       "iat"),
    ({"iat": NOW + 3600},                       "iat"),
    ({"nbf": NOW + 3600},                       "good yet"),
])  # fmt: skip
def test_an_id_token_is_looked_at_whole(change: dict[str, Any], why: str) -> None:
    """OpenID Connect Core §3.1.3.7."""
    good = {"iss": "https://op", "aud": "rp", "exp": NOW + 60, "iat": NOW}
    id_token.is_ours(Judge(), good, "https://op", "rp")
    with pytest.raises(Failed, match=why):
        id_token.is_ours(Judge(), {**good, **change}, "https://op", "rp")


@pytest.mark.parametrize(("name", "value"), [
    ("name", 1), ("name", ""), ("picture", "jane.png"), ("email", "jane"), ("email_verified", 1), ("birthdate", "1990"),
    ("birthdate", "31.10.1990"), ("locale", "English, please"), ("updated_at", "2026-11-22"), ("address", "1 Main St"),
    ("address", {}), ("address", {"country": 1}), ("phone_number_verified", "true"),
])  # fmt: skip
def test_claims_have_their_types(name: str, value: object) -> None:
    """OpenID Connect Core §5.1; a year alone is a birthdate."""
    if (name, value) == ("birthdate", "1990"):
        userinfo.has_typed_claims(Judge(), {name: value})
        return
    with pytest.raises(Failed, match=name):
        userinfo.has_typed_claims(Judge(), {name: value})
