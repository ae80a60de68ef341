"""The authorization endpoint and its pages, over HTTP, with a browser that obeys cookies and policies."""

from __future__ import annotations

import asyncio
import json
import re
import time
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import quote, unquote_plus, urlencode

import httpx2
import pytest

from tests.server.web.asking import BACK, EVERYTHING, OTHER, VERIFIER, Site, answer, asking, challenge
from tests.server.web.served import AUDIENCE, PASSWORD, bearer
from tests.stories.oidf.browser import Arrival
from tests.stories.oidf.page import Page
from tests.stories.oidf.person import over
from watchword_server.flows import clients, revoking
from watchword_server.flows.administration import Operator
from watchword_server.flows.issuer import Caller, Issuer
from watchword_server.main import load_settings, open_issuer

# --- where nobody may be redirected


@pytest.mark.parametrize("uri", [
    "https://app.example/cb",
    "https://app.example/cb?tenant=2",
    "https://app.example/cb?tenant=1&x=1",
    "https://app.example/cb?tenant=1#f",
    "https://APP.example/cb?tenant=1",
    "https://app.example:443/cb?tenant=1",
    "https://app.example:8443/cb?tenant=1",
    "http://app.example/cb?tenant=1",
    "https://app.example/cb/../cb?tenant=1",
    "https://app.example/%63b?tenant=1",
    "https://app.example/%2e/cb?tenant=1",
    "https://evil@app.example/cb?tenant=1",
    "https://app.example@evil.example/cb?tenant=1",
    "https://app.example\\@evil.example/cb?tenant=1",
    "https:\\\\app.example/cb?tenant=1",
    "//app.example/cb?tenant=1",
    "https://x.app.example/cb?tenant=1",
    "https://app.example.evil.example/cb?tenant=1",
    "https://аpp.example/cb?tenant=1",
    "https://[fe80::1%25eth0]/cb",
    "javascript:alert(1)",
    "data:text/html,x",
    "https://*.example/cb?tenant=1",
    " https://app.example/cb?tenant=1",
    "https://app.example/cb?tenant=1\n",
    "",
])  # fmt: skip
def test_only_the_very_same_redirect_uri_gets_an_answer(site: Site, uri: str) -> None:
    """RFC 9700 §2.1: everything else is a page, whatever else is wrong."""
    for more in ({}, {"response_type": "token"}, {"prompt": "none"}):
        shown = site.browser().visit(site.url(redirect_uri=uri, **more))
        assert isinstance(shown, Page)
        assert (shown.got.status, shown.got.header("location")) == (400, "")
        assert "evil" not in shown.words


@pytest.mark.parametrize("name", ["redirect_uri", "client_id"])
def test_two_of_what_says_where_to_are_none(site: Site, name: str) -> None:
    """Parameter pollution: a proxy may have checked the other one."""
    for extra in (f"&{name}=x", f"&{name}={quote(BACK)}"):
        shown = site.browser().visit(site.url() + extra)
        assert isinstance(shown, Page)
        assert shown.got.status == 400


def test_an_unknown_client_is_told_to_the_person(site: Site) -> None:
    """With a request id, in the page's words, and without what was sent."""
    shown = site.browser().visit(site.url(client_id="<script>alert(1)</script>"))
    assert isinstance(shown, Page)
    assert shown.got.status == 400
    assert "alert(1)" not in shown.got.text
    assert shown.got.header("x-request-id") in shown.words


def test_a_native_app_may_listen_at_any_port_of_loopback_and_nowhere_else(site: Site) -> None:
    """RFC 8252 §7.3."""
    for uri in ("http://127.0.0.1:51004/cb", "http://127.0.0.1/cb"):
        assert "code" in site.person().authorize(site.url("native", redirect_uri=uri)).query
    for uri in ("http://127.0.0.2:51004/cb", "http://localhost:51004/cb", "http://127.0.0.1:0/cb",
                "http://127.0.0.1:70000/cb", "http://127.0.0.1:51004/cb2", "https://127.0.0.1:51004/cb"):  # fmt: skip
        assert isinstance(site.browser().visit(site.url("native", redirect_uri=uri)), Page)


def test_a_web_app_has_the_port_that_it_has_registered(site: Site) -> None:
    """The exception is for native apps only."""
    shown = site.browser().visit(site.url("page", redirect_uri="https://page.example:8443/cb"))
    assert isinstance(shown, Page)


# --- what goes back to the client


@pytest.mark.parametrize(("more", "error"), [
    ({"response_type": None}, "invalid_request"),
    ({"response_type": "token"}, "unsupported_response_type"),
    ({"response_type": "code token"}, "unsupported_response_type"),
    ({"response_type": "id_token"}, "unsupported_response_type"),
    ({"response_mode": "web_message"}, "invalid_request"),
    ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
    ({"code_challenge": None}, "invalid_request"),
    ({"code_challenge_method": "plain"}, "invalid_request"),
    ({"code_challenge_method": None}, "invalid_request"),
    ({"code_challenge": "short"}, "invalid_request"),
    ({"prompt": "none login"}, "invalid_request"),
    ({"prompt": "surprise"}, "invalid_request"),
    ({"max_age": "-1"}, "invalid_request"),
    ({"claims": "[]"}, "invalid_request"),
    ({"claims": "{"}, "invalid_request"),
    ({"id_token_hint": "a.b.c"}, "invalid_request"),
    ({"registration": "{}"}, "registration_not_supported"),
    ({"request": "a.b.c"}, "request_not_supported"),
    ({"request_uri": "https://app.example/r"}, "request_uri_not_supported"),
    ({"request_uri": "urn:ietf:params:oauth:request_uri:guess"}, "invalid_request_uri"),
    ({"scope": "nothing that is known"}, "invalid_scope"),
    ({"scope": "openid\topenid"}, "invalid_scope"),
    ({"resource": "https://stock.example"}, "invalid_target"),
    ({"resource": "https://nowhere.example"}, "invalid_target"),
    ({"prompt": "none"}, "login_required"),
])  # fmt: skip
def test_what_is_refused_goes_back_with_state_and_issuer(site: Site, more: dict[str, str | None], error: str) -> None:
    """RFC 6749 §4.1.2.1, RFC 9207 §2: as soon as client and redirect URI are valid."""
    found = answer(site.browser().visit(site.url(**more)))
    assert (found.pop("error"), found.pop("state"), found.pop("iss")) == (error, "st4te", site.served.issuer)
    assert found.keys() <= {"error_description"}


def test_a_parameter_that_comes_twice_goes_back_without_a_doubtful_state(site: Site) -> None:
    """RFC 6749 §3.1."""
    found = answer(site.browser().visit(site.url() + "&state=other&nonce=x"))
    assert found["error"] == "invalid_request"
    assert "state" not in found


def test_a_client_without_the_grant_is_refused(site: Site) -> None:
    """Whatever address it names, nothing is registered for it."""
    shown = site.browser().visit(site.url(client_id=site.served.known.machine[0]))
    assert isinstance(shown, Page)


def test_unknown_parameters_and_display_are_ignored(site: Site) -> None:
    """OpenID Connect Core §3.1.2.1."""
    assert site.code(display="popup", extra="1", ui_locales="tlh", claims_locales="de", acr_values="x y")


@pytest.mark.parametrize("mode", ["query", "fragment", "form_post"])
def test_each_response_mode_carries_all_of_the_answer(site: Site, mode: str) -> None:
    """OAuth 2.0 Multiple Response Types §2.1, Form Post Response Mode §2."""
    found = site.person().authorize(site.url(response_mode=mode))
    assert isinstance(found, Arrival)
    if mode == "form_post":
        assert found.method == "POST"
        assert found.form.keys() == {"code", "state", "iss"}
        assert found.url == BACK
    elif mode == "fragment":
        assert found.url.startswith(f"{BACK}#code=wwc_")
    else:
        assert found.url.startswith(f"{BACK}&code=wwc_")


def test_a_request_may_be_posted(site: Site) -> None:
    """OpenID Connect Core §3.1.2.1; with the browser's cookies, though another site posts it."""
    person = site.person()
    site.code(person)
    place, _, query = site.url(prompt="none").partition("?")
    form = dict(pair.split("=", 1) for pair in query.split("&"))
    found = person.browser.post(place, {name: unquote_plus(value) for name, value in form.items()})
    assert "code" in answer(found)


@pytest.mark.parametrize(("body", "status"), [
    (b"state=a\r\nSet-Cookie: x=1", 303), (b"state=\xc3\xbc", 400), (b"a=%ff", 400), (b"", 303),
])  # fmt: skip
def test_what_is_posted_cannot_leave_the_line_that_it_goes_into(site: Site, body: bytes, status: int) -> None:
    """A header of its own, or bytes that no header has."""
    kind = {"content-type": "application/x-www-form-urlencoded"}
    got = site.served.http.post("/authorize", content=body, headers=kind)
    assert got.status_code == status
    assert "set-cookie" not in got.headers


# --- codes


def test_a_code_becomes_tokens_once_and_who_comes_again_ends_them(site: Site) -> None:
    """RFC 6749 §4.1.2: the first one's access and refresh tokens die."""
    code = site.code()
    first = site.redeem(code)
    assert first.status_code == 200
    assert first.json().keys() == {
        "access_token", "token_type", "expires_in", "scope", "refresh_token", "id_token",
    }  # fmt: skip
    tokens = first.json()
    assert site.userinfo(tokens["access_token"]).status_code == 200
    again = site.redeem(code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert site.userinfo(tokens["access_token"]).status_code == 401
    assert site.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("more", [
    {"code_verifier": None},
    {"code_verifier": challenge(VERIFIER)},
    {"code_verifier": VERIFIER[:-1]},
    {"code_verifier": VERIFIER + "\n"},
    {"code_verifier": "x" * 43},
    {"redirect_uri": None},
    {"redirect_uri": "https://app.example/cb"},
    {"redirect_uri": BACK + "&x=1"},
], ids=str)  # fmt: skip
def test_a_code_is_bound_to_what_was_asked(site: Site, more: dict[str, str | None]) -> None:
    """PKCE and the redirect URI; a wrong offer does not spend it, for it may be an attacker's."""
    code = site.code()
    refused = site.redeem(code, **more)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert site.redeem(code).status_code == 200


def test_a_code_of_another_client_is_burnt(site: Site) -> None:
    """It has leaked, so nobody gets anything for it."""
    code = site.code()
    assert site.redeem(code, "other", redirect_uri=BACK).json()["error"] == "invalid_grant"
    assert site.redeem(code).json()["error"] == "invalid_grant"


def test_a_code_for_another_api_is_refused(site: Site) -> None:
    """RFC 8707 §2.2."""
    assert site.redeem(site.code(), resource="https://stock.example").json()["error"] == "invalid_target"


@pytest.mark.parametrize("code", ["", "wwc_", "wwc_" + "A" * 43, "x" * 5000])
def test_a_guess_is_no_code(site: Site, code: str) -> None:
    """Neither an empty one nor a long one."""
    assert site.redeem(code).status_code == 400


def test_a_confidential_client_may_be_let_do_without_pkce(site: Site) -> None:
    """One by one; then a verifier that nobody announced is refused (RFC 9700 §4.8.2)."""
    without = {"code_challenge": None, "code_challenge_method": None}
    assert site.redeem(site.code(app="legacy", **without), "legacy", code_verifier=None).status_code == 200
    refused = site.redeem(site.code(app="legacy", **without), "legacy")
    assert refused.json()["error"] == "invalid_grant"
    with_it = site.code(app="legacy")
    assert site.redeem(with_it, "legacy", code_verifier=None).json()["error"] == "invalid_grant"


def test_a_refresh_gives_another_id_token_and_no_more_than_was_granted(site: Site) -> None:
    """OpenID Connect Core §12.2; RFC 6749 §6."""
    tokens = site.redeem(site.code()).json()
    next_ones = site.refresh(tokens["refresh_token"]).json()
    assert next_ones["id_token"] != tokens["id_token"]
    more = site.refresh(next_ones["refresh_token"], scope="openid orders:write")
    assert more.json()["error"] == "invalid_scope"


# --- the person


def test_a_wrong_password_comes_back_with_a_sentence_and_the_same_for_nobody(site: Site) -> None:
    """Nothing tells whether there is an account."""
    said = []
    for email in ("alice@example.com", "nobody@example.com"):
        browser = site.browser()
        shown = browser.visit(site.url())
        form = shown.form("csrf", "password")
        after = browser.submit(shown, form, over(form, {"email": email, "password": "wrong"}))
        assert after.got.status == 400
        said.append(after.got.text.replace(email, "").split("<main")[1])
        assert PASSWORD not in after.got.text
    plain = [re.sub(r'value="[^"]*"|interaction=[^"&]*|[0-9a-f]{12}-[0-9a-f]+', "", text) for text in said]
    assert plain[0] == plain[1]


def test_signing_in_gives_the_browser_another_secret(site: Site) -> None:
    """ASVS 7.2.4: whoever knew the old one knows nothing."""
    person = site.person()
    shown = person.browser.visit(site.url())
    before = cookie(person.browser, "__Host-watchword-browser")
    form = shown.form("csrf", "password")
    person.browser.submit(shown, form, over(form, {"email": person.email, "password": PASSWORD}))
    after = cookie(person.browser, "__Host-watchword-browser")
    assert before
    assert after not in ("", before)
    planted = site.browser()
    planted.jar.take(site.served.issuer, [f"__Host-watchword-browser={before}; Path=/; Secure"])
    assert answer(planted.visit(site.url(prompt="none")))["error"] == "login_required"


def test_the_cookie_is_for_this_host_and_no_script(site: Site) -> None:
    """`__Host-`, HttpOnly, Secure, SameSite=Lax."""
    got = site.served.http.get(site.url())
    made = got.headers["set-cookie"]
    assert made.startswith("__Host-watchword-browser=")
    for word in ("HttpOnly", "Secure", "SameSite=Lax", "Path=/"):
        assert word in made
    assert "Domain" not in made


def test_pages_may_not_be_framed_kept_or_scripted(site: Site) -> None:
    """Clickjacking, shared caches, injected code."""
    shown = site.browser().visit(site.url())
    headers = {name: shown.got.header(name) for name in ("x-frame-options", "cache-control", "content-security-policy")}
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"
    policy = headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "form-action 'self' https://app.example" in policy
    assert "<script" not in shown.got.text
    assert "style=" not in shown.got.text


def test_a_second_app_needs_no_new_sign_in(site: Site) -> None:
    """But the person is asked anew: consent is for one client."""
    person = site.person()
    site.code(person)
    shown = person.browser.visit(site.url("other"))
    assert isinstance(shown, Page)
    assert shown.path == "/consent"
    assert "code" in answer(person.finish(shown))


def test_the_operators_own_app_asks_nobody(site: Site) -> None:
    """Once they are signed in; but for access while they are away."""
    person = site.person()
    site.code(person)
    assert "code" in answer(person.browser.visit(site.url("own")))
    shown = person.browser.visit(site.url("own", scope="openid offline_access"))
    assert isinstance(shown, Page)
    assert shown.path == "/consent"


def test_consent_is_remembered_and_asked_for_what_is_new(site: Site) -> None:
    """The next time the answer comes at once; more is asked for as a whole."""
    person = site.person()
    site.code(person, scope="openid email")
    assert "code" in answer(person.browser.visit(site.url(scope="openid email", prompt="none")))
    refused = answer(person.browser.visit(site.url(scope="openid email profile", prompt="none")))
    assert refused["error"] == "consent_required"
    shown = person.browser.visit(site.url(scope="openid email", prompt="consent"))
    assert isinstance(shown, Page)
    assert shown.path == "/consent"


def test_what_any_program_on_the_device_could_pass_for_is_asked_each_time(site: Site) -> None:
    """RFC 8252 §8.6: a public client that proves itself neither by a secret nor by a host. Nothing is remembered."""
    person = site.person()
    for _ in range(2):
        shown = signed_in(person, site.url("native", scope="openid"))
        assert shown.form("remember") is None
        sent = [*shown.form("csrf", "answer").untouched(), ("remember", "yes"), ("answer", "allow")]
        assert "code" in person.browser.submit(shown, shown.form("csrf", "answer"), sent).query
    assert answer_at(person, site.url("native", scope="openid", prompt="none"))["error"] == "consent_required"
    site.code(person, "page", scope="openid")
    assert "code" in answer_at(person, site.url("page", scope="openid", prompt="none"))


def test_consent_denied_is_told_to_the_client(site: Site) -> None:
    """And nothing else; the request is answered."""
    person = site.person(answers="deny")
    found = answer(person.authorize(site.url(prompt="consent")))
    assert (found["error"], found["state"], found["iss"]) == ("access_denied", "st4te", site.served.issuer)


def test_consent_may_be_narrowed(site: Site) -> None:
    """What is unticked is not granted, at the API and at userinfo alike; `openid` cannot be."""
    person = site.person()
    shown = person.browser.visit(site.url(scope="openid email profile orders:read orders:write", prompt="consent"))
    form = shown.form("csrf", "password")
    shown = person.browser.submit(shown, form, over(form, {"email": person.email, "password": PASSWORD}))
    form = shown.form("csrf", "answer")
    kept = [pair for pair in form.untouched() if pair not in (("scope", "orders:write"), ("scope", "email"))]
    found = person.browser.submit(shown, form, [*kept, ("answer", "allow")])
    tokens = site.redeem(answer(found)["code"]).json()
    assert tokens["scope"] == "openid profile orders:read"
    told = site.userinfo(tokens["access_token"]).json()
    assert "name" in told
    assert "email" not in told


def test_nothing_more_than_was_asked_for_is_granted(site: Site) -> None:
    """A form that somebody else has filled in."""
    person = site.person()
    shown = person.browser.visit(site.url(scope="openid orders:read", prompt="consent"))
    form = shown.form("csrf", "password")
    shown = person.browser.submit(shown, form, over(form, {"email": person.email, "password": PASSWORD}))
    form = shown.form("csrf", "answer")
    more = [*form.untouched(), ("scope", "orders:write"), ("scope", "offline_access"), ("answer", "allow")]
    tokens = site.redeem(answer(person.browser.submit(shown, form, more))["code"]).json()
    assert tokens["scope"] == "openid orders:read"


def test_prompt_login_asks_again_and_says_when(site: Site) -> None:
    """OpenID Connect Core §3.1.2.1; the session stays the same."""
    person = site.person()
    first = claims(site.redeem(site.code(person)).json()["id_token"])
    time.sleep(1.1)  # whole seconds are what the claim has
    shown = person.browser.visit(site.url(prompt="login"))
    assert shown.path == "/login"
    second = claims(site.redeem(answer(person.finish(shown))["code"]).json()["id_token"])
    assert second["auth_time"] > first["auth_time"]
    assert second["sid"] == first["sid"]


def test_max_age_asks_again_when_it_was_too_long_ago(site: Site) -> None:
    """And not before."""
    person = site.person()
    site.code(person)
    assert "code" in answer(person.browser.visit(site.url(max_age="1000")))
    time.sleep(2)  # more than one, in whole seconds
    shown = person.browser.visit(site.url(max_age="1"))
    assert isinstance(shown, Page)
    assert shown.path == "/login"


def test_two_people_at_one_browser_choose(site: Site) -> None:
    """The one who signed in last answers; `select_account` asks; a hint decides."""
    alice = site.person()
    hint = site.redeem(site.code(alice)).json()["id_token"]
    bob = site.person(OTHER, alice.browser)
    shown = alice.browser.visit(site.url(prompt="login"))
    tokens = site.redeem(answer(bob.finish(shown))["code"]).json()
    assert claims(tokens["id_token"])["sub"] != claims(hint)["sub"]
    shown = alice.browser.visit(site.url(prompt="select_account"))
    assert shown.path == "/select-account"
    form = shown.form("csrf", "account")
    keys = [one.value for one in form.fields if one.name == "account" and one.value != "other"]
    assert len(keys) == 2
    subs = set()
    for key in keys:
        shown = alice.browser.visit(site.url(prompt="select_account"))
        found = alice.browser.submit(
            shown, form_of(shown, "account"), over(form_of(shown, "account"), {"account": key})
        )
        subs.add(claims(site.redeem(answer(found)["code"]).json()["id_token"])["sub"])
    assert len(subs) == 2
    by_hint = answer(alice.browser.visit(site.url(prompt="none", id_token_hint=hint)))
    assert claims(site.redeem(by_hint["code"]).json()["id_token"])["sub"] == claims(hint)["sub"]


def test_a_hint_of_somebody_who_is_not_here_is_no_answer_for_another(site: Site) -> None:
    """OpenID Connect Core §3.1.2.2."""
    alice, bob = site.person(), site.person(OTHER)
    hint = site.redeem(site.code(alice)).json()["id_token"]
    site.code(bob)
    refused = answer(bob.browser.visit(site.url(prompt="none", id_token_hint=hint)))
    assert refused["error"] in {"login_required", "account_selection_required"}


def test_an_access_token_is_no_hint(site: Site) -> None:
    """One kind of JWT is never taken for another."""
    token = site.redeem(site.code()).json()["access_token"]
    assert answer(site.browser().visit(site.url(id_token_hint=token)))["error"] == "invalid_request"


def test_another_account_is_signed_in_beside_the_first(site: Site) -> None:
    """By the way that the page offers."""
    alice = site.person()
    site.code(alice)
    shown = alice.browser.visit(site.url(prompt="select_account"))
    form = form_of(shown, "account")
    shown = alice.browser.submit(shown, form, over(form, {"account": "other"}))
    assert shown.path == "/login"
    assert "code" in answer(site.person(OTHER, alice.browser).finish(shown))


def test_people_make_themselves_an_account_where_they_may(site: Site) -> None:
    """`prompt=create` (Initiating User Registration 1.0 §3); a taken address is not said to be."""
    browser = site.browser()
    shown = browser.visit(site.url(prompt="create"))
    assert shown.path == "/sign-up"
    form = shown.form("csrf", "name")
    typed = {"email": "alice@example.com", "name": "Eve", "password": PASSWORD}
    refused = browser.submit(shown, form, over(form, typed))
    assert refused.got.status == 400
    form = refused.form("csrf", "name")
    short = browser.submit(refused, form, over(form, {"email": "x@example.com", "name": "", "password": "short"}))
    assert short.got.status == 400
    form = short.form("csrf", "name")
    shown = browser.submit(short, form, over(form, {"email": "dora@example.com", "name": "Dora", "password": PASSWORD}))
    assert shown.path == "/consent"
    tokens = site.redeem(answer(site.person("dora@example.com", browser).finish(shown))["code"]).json()
    assert site.userinfo(tokens["access_token"]).json() | {"sub": ""} == {
        "sub": "",
        "name": "Dora",
        "email": "dora@example.com",
        "email_verified": False,
    }


# --- what others might send


def test_a_request_that_waits_is_for_one_browser(site: Site) -> None:
    """Whoever gets to know its handle has nothing."""
    shown = site.browser().visit(site.url())
    stranger = site.person(OTHER)
    site.code(stranger)
    found = stranger.browser.visit(shown.url)
    assert (found.got.status, found.form("password")) == (400, None)


def test_a_request_is_answered_once(site: Site) -> None:
    """The Back button and a second click find a page that says so."""
    person = site.person()
    shown = person.browser.visit(site.url(prompt="consent"))
    form = shown.form("csrf", "password")
    consent = person.browser.submit(shown, form, over(form, {"email": person.email, "password": PASSWORD}))
    form = consent.form("csrf", "answer")
    sent = [*form.untouched(), ("answer", "allow")]
    assert "code" in answer(person.browser.submit(consent, form, sent))
    again = person.browser.submit(consent, form, sent)
    assert isinstance(again, Page)
    assert again.got.status == 400
    assert person.browser.visit(shown.url).got.status == 400


def test_a_client_that_changes_while_its_request_waits_is_as_it_is_now(site: Site) -> None:
    """A request is considered anew at each step: nothing that was refused since is revived by what waits."""
    person = site.person(OTHER)
    shown = person.browser.visit(site.url("other"))
    with_issuer(site, lambda issuer, by, now: clients.disable(issuer, by, site.apps["other"].client_id, now))
    form = shown.form("csrf", "password")
    refused = person.browser.submit(shown, form, over(form, {"email": OTHER, "password": PASSWORD}))
    assert isinstance(refused, Page)
    assert refused.got.status == 400
    with_issuer(site, lambda issuer, by, now: clients.enable(issuer, by, site.apps["other"].client_id, now))
    assert "code" in answer(person.finish(person.browser.visit(shown.url)))


@pytest.mark.parametrize("path", ["/login", "/consent", "/select-account", "/sign-up", "/account"])
def test_a_form_of_another_site_does_nothing(site: Site, path: str) -> None:
    """Login CSRF and worse: by Origin, and by a token that only our pages have."""
    person = site.person()
    site.code(person)
    jar = {"cookie": person.browser.jar.header(site.served.issuer + path, from_elsewhere=False, safe=True)}
    body = urlencode({"email": person.email, "password": PASSWORD, "answer": "allow", "interaction": "x"})
    kind = {"content-type": "application/x-www-form-urlencoded"}
    for origin in ("https://evil.example", "null"):
        got = site.served.http.post(path, content=body, headers={**jar, **kind, "origin": origin})
        assert got.status_code == 403
        assert "set-cookie" not in got.headers
    without = site.served.http.post(path, content=body, headers={**jar, **kind, "origin": site.served.issuer})
    assert without.status_code == 400
    assert "set-cookie" not in without.headers


def test_a_cookie_that_comes_twice_is_not_believed(site: Site) -> None:
    """One of them is planted."""
    twice = "__Host-watchword-browser=" + "A" * 43
    got = site.served.http.get(site.url(), headers={"cookie": f"{twice}; {twice}"})
    assert got.status_code == 400


@pytest.mark.parametrize("query", ["%ff=1", "a=%ff", "&".join(f"a{n}=1" for n in range(200))])
def test_a_query_that_cannot_be_read_is_a_page(site: Site, query: str) -> None:
    """A 400, and no 500."""
    assert site.served.http.get(f"/authorize?{query}").status_code == 400


# --- what ends


def test_signing_out_ends_codes_and_tokens_but_not_what_goes_on_while_away(site: Site) -> None:
    """All but an offline grant die with the session; its tokens name none."""
    person = site.person()
    code = site.code(person)
    bound = site.redeem(site.code(person)).json()
    away = site.redeem(site.code(person, scope="openid offline_access", prompt="consent")).json()
    assert "sid" in claims(bound["access_token"])
    assert "sid" not in claims(away["access_token"])
    sid = claims(bound["id_token"])["sid"]
    end_session(site, sid)
    assert site.userinfo(bound["access_token"]).status_code == 401
    assert site.redeem(code).json()["error"] == "invalid_grant"
    assert site.refresh(bound["refresh_token"]).json()["error"] == "invalid_grant"
    assert site.userinfo(away["access_token"]).status_code == 200
    assert site.refresh(away["refresh_token"]).status_code == 200
    assert answer(person.browser.visit(site.url(prompt="none")))["error"] == "login_required"


def test_access_taken_back_on_the_account_page_is_gone_at_once(site: Site) -> None:
    """Tokens, the refresh token, and the consent."""
    person = site.person()
    tokens = site.redeem(site.code(person, scope="openid offline_access")).json()
    shown = person.browser.visit(f"{site.served.issuer}/account")
    assert "Web shop" in shown.words
    form = next(one for one in shown.forms if one.value("client_id") == site.apps["web"].client_id)
    after = person.browser.submit(shown, form, over(form, {"answer": "end"}))
    assert after.got.status == 200
    assert site.userinfo(tokens["access_token"]).status_code == 401
    assert site.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    refused = answer(person.browser.visit(site.url(scope="openid offline_access", prompt="none")))
    assert refused["error"] == "consent_required"


def test_the_account_page_is_for_who_is_signed_in(site: Site) -> None:
    """Whoever is not signs in first, and then sees it."""
    person = site.person()
    shown = person.browser.visit(f"{site.served.issuer}/account")
    assert shown.path == "/login"
    form = shown.form("csrf", "password")
    after = person.browser.submit(shown, form, over(form, {"email": person.email, "password": PASSWORD}))
    assert after.path == "/account"


def test_an_api_takes_the_token_that_a_person_allowed(site: Site) -> None:
    """Its audience is the API's, its scope what was allowed; without API scopes it is for userinfo only."""
    tokens = site.redeem(site.code(scope="openid orders:read")).json()
    assert claims(tokens["access_token"])["aud"] == AUDIENCE
    assert claims(tokens["access_token"])["scope"] == "openid orders:read"
    alone = site.redeem(site.code(scope="openid email")).json()
    assert claims(alone["access_token"])["aud"] == site.served.issuer
    asked = site.served.http.post(
        "/introspect", data={"token": alone["access_token"]}, auth=site.served.known.api
    ).json()
    assert asked == {"active": False}
    assert site.served.http.get("/session", headers=bearer(alone["access_token"])).status_code == 401


def test_scopes_that_nobody_here_has_are_left_out(site: Site) -> None:
    """OpenID Connect Core §3.1.2.1; and the client is told what it got (RFC 6749 §3.3)."""
    assert site.redeem(site.code(scope=f"{EVERYTHING} moon")).json()["scope"] == EVERYTHING


def claims(token: str) -> dict[str, object]:
    """What a JWT says."""
    part = token.split(".")[1]
    return json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def cookie(browser, name: str) -> str:
    """What the browser would send."""
    header = browser.jar.header(f"{browser.home}/", from_elsewhere=False, safe=True)
    return dict(pair.split("=", 1) for pair in header.split("; ") if pair).get(name, "")


def signed_in(person, url: str):
    """The page that comes when the person has signed in, where that was needed."""
    shown = person.browser.visit(url)
    if shown.path != "/login":
        return shown
    form = shown.form("csrf", "password")
    return person.browser.submit(shown, form, over(form, {"email": person.email, "password": PASSWORD}))


def answer_at(person, url: str) -> dict[str, str]:
    """What the client gets where nobody is asked."""
    found = person.browser.visit(url)
    assert isinstance(found, Arrival)
    return found.query


def form_of(shown, name: str):
    """The form with this field."""
    return shown.form("csrf", name)


def end_session(site: Site, sid: str) -> None:
    """As an operator does."""
    with_issuer(site, lambda issuer, by, now: revoking.session(issuer, by, sid, now))


def with_issuer(site: Site, act: Callable[[Issuer, Operator, int], Awaitable[object]]) -> None:
    """Something that an operator does, in a process of their own."""

    async def run() -> None:
        at = {"issuer": site.served.issuer, "data": site.served.data}
        async with open_issuer(load_settings(None, at)) as issuer:
            await act(issuer, Operator("test", Caller()), int(time.time()))

    asyncio.run(run())


def test_claims_that_are_asked_for_by_name_are_asked_of_the_person_too(site: Site) -> None:
    """OpenID Connect Core §5.5: else a client would get without a word what it has to ask for by scope."""
    wanted = json.dumps({"id_token": {"email": {"essential": True}}, "userinfo": {"name": None}})
    person = site.person()
    shown = person.browser.visit(site.url(scope="openid", claims=wanted, prompt="consent"))
    form = shown.form("csrf", "password")
    shown = person.browser.submit(shown, form, over(form, {"email": person.email, "password": PASSWORD}))
    assert {one.value for one in shown.form("csrf", "answer").fields if one.name == "scope"} == {"email", "profile"}
    form = shown.form("csrf", "answer")
    kept = [pair for pair in form.untouched() if pair != ("scope", "email")]
    tokens = site.redeem(answer(person.browser.submit(shown, form, [*kept, ("answer", "allow")]))["code"]).json()
    assert tokens["scope"] == "openid"
    assert "email" not in claims(tokens["id_token"])
    assert site.userinfo(tokens["access_token"]).json()["name"] == "Alice"


def test_a_request_for_a_certain_person_is_answered_for_nobody_else(site: Site) -> None:
    """OpenID Connect Core §5.5.1: by `sub` in the `claims` parameter."""
    alice = site.person()
    sub = claims(site.redeem(site.code(alice)).json()["id_token"])["sub"]
    for where in ("id_token", "userinfo"):
        wanted = json.dumps({where: {"sub": {"value": sub}}})
        assert "code" in answer(alice.browser.visit(site.url(prompt="none", claims=wanted)))
        another = json.dumps({where: {"sub": {"value": "somebody"}}})
        refused = answer(alice.browser.visit(site.url(prompt="none", claims=another)))
        assert refused["error"] in {"login_required", "account_selection_required"}


def test_an_issuer_with_a_path_has_all_of_it_there(tmp_path: Path) -> None:
    """Pages, forms, assets and endpoints stand under the path; both documents in both places name them."""
    with asking(tmp_path, "/auth/one") as site:
        person = site.person()
        shown = person.browser.visit(site.url())
        assert shown.path == "/auth/one/login"
        sheets = re.findall(r'href="(/[^"]+\.css)"', shown.got.text)
        assert sheets
        for sheet in sheets:
            assert sheet.startswith("/auth/one/assets/")
            assert person.browser.fetch(site.origin + sheet)
        tokens = site.redeem(answer(person.finish(shown))["code"]).json()
        assert site.userinfo(tokens["access_token"]).status_code == 200
        assert claims(tokens["id_token"])["iss"] == site.served.issuer
        documents = [
            httpx2.get(f"{site.origin}{place}", trust_env=False).json()
            for name in ("openid-configuration", "oauth-authorization-server")
            for place in (f"/.well-known/{name}/auth/one", f"/auth/one/.well-known/{name}")
        ]
        assert all(one == documents[0] for one in documents)
        assert documents[0]["authorization_endpoint"] == f"{site.served.issuer}/authorize"
        assert person.browser.visit(f"{site.served.issuer}/account").path == "/auth/one/account"
