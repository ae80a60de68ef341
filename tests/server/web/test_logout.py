"""Signing out at a browser over HTTP: who is asked first, where it leads, what dies, and who is told."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.server.web.partying import (
    ACCOUNT,
    AFTER,
    BROWSER,
    BY,
    CALLBACK,
    HIDDEN,
    Heard,
    Party,
    Visitor,
    link,
    listening,
    registered,
    said,
    signed,
    verified,
)
from tests.server.web.served import EMAIL, PASSWORD, Served, bearer, served
from tests.servers.loopback import until
from watchword.jose.b64 import b64url
from watchword.jose.jwk import SigningKey
from watchword.jose.jws import signer
from watchword_server.flows import users
from watchword_server.main import load_settings, open_issuer

BOB = "bob.at.logout@example.com"


@pytest.fixture(scope="module")
def heard() -> Iterator[Heard]:
    """What the client is told."""
    with listening() as found:
        yield found


@pytest.fixture(scope="module")
def shop(server: Served, heard: Heard) -> Party:
    """A client that wants to hear of logouts."""
    return registered(server, backchannel_logout_uri=heard.uri)


@pytest.fixture(scope="module")
def other(server: Served) -> Party:
    """Another one, that does not."""
    return registered(server, "Library")


@pytest.fixture(scope="module")
def bob(server: Served) -> str:
    """Another person's address."""

    async def add() -> None:
        async with open_issuer(load_settings(None, {"issuer": server.issuer, "data": server.data})) as issuer:
            await users.add(issuer, BY, BOB, "Bob", PASSWORD, (), int(time.time()))

    asyncio.run(add())
    return BOB


@pytest.fixture
def alice(server: Served) -> Visitor:
    """A browser of hers."""
    return Visitor(server)


def asks(answer: object) -> bool:
    """Whether the person is asked first: a page, and no redirect."""
    return answer.status_code == 200 and 'value="stay"' in answer.text and "location" not in answer.headers  # type: ignore[attr-defined]


def is_over(answer: object) -> bool:
    """Whether it is the page that says that nobody is signed in any more."""
    return answer.status_code == 200 and 'value="stay"' not in answer.text and "signed out" in answer.text  # type: ignore[attr-defined]


# A client that shows whom it speaks of.


def test_a_client_signs_its_person_out_and_gets_the_browser_back(
    server: Served, shop: Party, heard: Heard, alice: Visitor
) -> None:
    """At once, with its state; the cookies go, every token of the session is dead, and the client is told."""
    tokens = alice.sign_in(shop)
    assert server.http.get("/userinfo", headers=bearer(tokens["access_token"])).status_code == 200
    before = len(heard.forms)
    left = alice.get(link(shop, tokens["id_token"], post_logout_redirect_uri=AFTER, state="a b&c"))
    assert (left.status_code, left.headers["location"]) == (303, f"{AFTER}?state=a+b%26c")
    assert left.headers["cache-control"] == "no-store"
    assert {BROWSER, ACCOUNT}.isdisjoint(alice.cookies)
    assert server.http.get("/userinfo", headers=bearer(tokens["access_token"])).status_code == 401
    refreshing = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    refused = server.http.post("/token", data=refreshing, auth=(shop.client_id, shop.secret))
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    until(lambda: len(heard.forms) > before)
    header, claims = verified(server, heard.tokens[-1])
    own = said(tokens["id_token"])
    assert (header["typ"], header["alg"]) == ("logout+jwt", "ES256")
    assert (claims["sid"], claims["sub"], claims["aud"]) == (own["sid"], own["sub"], shop.client_id)
    assert claims["iss"] == server.issuer
    assert claims["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
    assert "nonce" not in claims
    assert set(heard.forms[-1]) == {"logout_token"}
    assert heard.kinds[-1] == "application/x-www-form-urlencoded"


def test_nothing_is_left_of_the_session(server: Served, other: Party, alice: Visitor) -> None:
    """The browser's old cookies, kept by somebody, lead nowhere; prompt=none says so to the client."""
    tokens = alice.sign_in(other)
    thief = Visitor(server, dict(alice.cookies))
    assert thief.is_signed_in()
    alice.get(link(other, tokens["id_token"], post_logout_redirect_uri=AFTER))
    assert not thief.is_signed_in()
    silent = thief.get(
        "/authorize",
        client_id=other.client_id,
        redirect_uri=CALLBACK,
        response_type="code",
        scope="openid",
        prompt="none",
        code_challenge="x" * 43,
        code_challenge_method="S256",
    )
    assert parse_qs(urlsplit(silent.headers["location"]).query)["error"] == ["login_required"]


def test_an_old_id_token_still_says_whom_it_speaks_of(server: Served, other: Party, alice: Visitor) -> None:
    """Its age does not count (§2)."""
    own = said(alice.sign_in(other)["id_token"])
    old = signed(server, {**own, "iat": own["iat"] - 10**7, "exp": own["exp"] - 10**7}, "JWT")
    left = alice.get(link(other, old, post_logout_redirect_uri=AFTER))
    assert (left.status_code, left.headers["location"]) == (303, AFTER)


def test_without_a_uri_the_page_says_that_it_is_done(other: Party, alice: Visitor) -> None:
    """And which apps it was, and nothing asks for more."""
    tokens = alice.sign_in(other)
    done = alice.get(link(other, tokens["id_token"]))
    assert is_over(done)
    assert "Library" in done.text
    assert not alice.is_signed_in()


def test_a_clients_own_form_leads_to_the_same(server: Served, other: Party, alice: Visitor) -> None:
    """Its browser does not send our cookies with another site's form, and does with the redirect by GET."""
    tokens = alice.sign_in(other)
    form = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": AFTER, "state": "s\r\nSet-Cookie: x=y"}
    came = Visitor(server).post("/logout", form, origin="https://shop.example")
    assert came.status_code == 303
    assert "x" not in dict(came.cookies)
    left = alice.get(came.headers["location"])
    assert (left.status_code, urlsplit(left.headers["location"]).netloc) == (303, "shop.example")
    assert parse_qs(urlsplit(left.headers["location"]).query)["state"] == [form["state"]]


# Nobody has shown whom they speak of: attacks, and people who follow a link of their own.


def without_signature(token: str) -> str:
    _, payload, _ = token.split(".")
    return f"{b64url(json.dumps({'alg': 'none', 'typ': 'JWT'}).encode())}.{payload}."


def foreign(token: str) -> str:
    return signer(SigningKey.generate("ES256"), "JWT")(json.dumps(said(token)).encode())


def resaid(server: Served, tokens: dict[str, str], typ: str = "JWT", **changed: object) -> str:
    """The claims of an ID token, changed, under a true signature; None takes one away."""
    claims = {**said(tokens["id_token"]), **changed}
    return signed(server, {name: value for name, value in claims.items() if value is not None}, typ)


# fmt: off
BAD_HINTS = {
    "alg none":               lambda server, tokens: without_signature(tokens["id_token"]),
    "another's key":          lambda server, tokens: foreign(tokens["id_token"]),
    "another issuer":         lambda server, tokens: resaid(server, tokens, iss="https://id.evil.example"),
    "another client":         lambda server, tokens: resaid(server, tokens, aud="nobody"),
    "two clients":            lambda server, tokens: resaid(server, tokens, aud=[said(tokens["id_token"])["aud"]]),
    "no sub":                 lambda server, tokens: resaid(server, tokens, sub=None),
    "no auth_time":           lambda server, tokens: resaid(server, tokens, auth_time=None),
    "a logout token's type":  lambda server, tokens: resaid(server, tokens, "logout+jwt"),
    "an access token's type": lambda server, tokens: resaid(server, tokens, "at+jwt"),
    "an access token":        lambda server, tokens: tokens["access_token"],
    "half a token":           lambda server, tokens: tokens["id_token"][:-9],
    "no token":               lambda server, tokens: "x",
    "a very long one":        lambda server, tokens: tokens["id_token"] + "A" * 20_000,
}
# fmt: on


def test_a_bad_hint_signs_nobody_out_and_leads_nowhere(server: Served, other: Party, alice: Visitor) -> None:
    """However it is bad: the person is asked, and no URI is followed, not even after that."""
    tokens = alice.sign_in(other)
    asked = {
        name: alice.get(link(other, make(server, tokens), post_logout_redirect_uri=AFTER, state="s"))
        for name, make in BAD_HINTS.items()
    }
    assert [name for name, answer in asked.items() if not asks(answer)] == []
    assert alice.is_signed_in()
    done = alice.submit(asked["alg none"], answer="out")
    assert is_over(done)
    assert "shop.example" not in done.text
    assert not alice.is_signed_in()


@pytest.mark.parametrize(
    "uri", ["https://evil.example/", f"{AFTER}?foo=bar", f"{AFTER}/", CALLBACK, "javascript:alert(1)", "//evil.example"]
)
def test_a_uri_that_is_not_registered_is_never_followed(other: Party, alice: Visitor, uri: str) -> None:
    """Nor written into the page, nor allowed by its policy; the person may still sign out."""
    tokens = alice.sign_in(other)
    page = alice.get(link(other, tokens["id_token"], post_logout_redirect_uri=uri))
    assert asks(page)
    assert f'href="{uri}' not in page.text
    assert "evil.example" not in page.headers["content-security-policy"]
    done = alice.submit(page, answer="out")
    assert is_over(done)
    assert uri not in done.text


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"state": "s"},
        {"client_id": "ID"},
        {"client_id": "ID", "post_logout_redirect_uri": AFTER},
        {"post_logout_redirect_uri": AFTER, "logout_hint": EMAIL},
        {"answer": "out"},
        {"answer": "out", "csrf": "x"},
    ],
)
def test_a_link_alone_signs_nobody_out(other: Party, alice: Visitor, query: dict[str, str]) -> None:
    """Whoever made it: GET without a hint only asks."""
    alice.sign_in(other)
    page = alice.get("/logout", **{name: other.client_id if value == "ID" else value for name, value in query.items()})
    assert asks(page)
    assert EMAIL in page.text
    assert alice.is_signed_in()


def test_a_hint_for_another_client_than_is_named_is_none(other: Party, shop: Party, alice: Visitor) -> None:
    """§2: client_id must be the one that the hint was made for."""
    tokens = alice.sign_in(other)
    assert asks(alice.get(link(shop, tokens["id_token"], client_id=shop.client_id, post_logout_redirect_uri=AFTER)))
    assert asks(alice.get(link(other, tokens["id_token"], client_id="nobody", post_logout_redirect_uri=AFTER)))
    left = alice.get(link(other, tokens["id_token"], client_id=other.client_id, post_logout_redirect_uri=AFTER))
    assert left.headers["location"] == AFTER


def test_a_parameter_without_a_value_counts_as_left_out(other: Party, alice: Visitor) -> None:
    """RFC 6749 §3.1."""
    tokens = alice.sign_in(other)
    assert asks(alice.get("/logout?id_token_hint=&post_logout_redirect_uri=&state="))
    empty = {"client_id": "", "ui_locales": "", "state": ""}
    left = alice.get(link(other, tokens["id_token"], post_logout_redirect_uri=AFTER, **empty))
    assert left.headers["location"] == AFTER


def test_a_parameter_that_comes_twice_is_none(other: Party, alice: Visitor) -> None:
    """Which of the two would count?"""
    hint = alice.sign_in(other)["id_token"]
    assert asks(alice.get(f"{link(other, hint)}&id_token_hint={hint}"))
    assert (
        "location"
        not in alice.get(
            f"{link(other, hint, post_logout_redirect_uri=AFTER)}&post_logout_redirect_uri={AFTER}"
        ).headers
    )


def test_a_person_signs_out_alone(other: Party, alice: Visitor) -> None:
    """Asked, and answered; after that there is nobody to ask."""
    alice.sign_in(other)
    page = alice.get("/logout")
    done = alice.submit(page, answer="out")
    assert is_over(done)
    assert {BROWSER, ACCOUNT}.isdisjoint(alice.cookies)
    assert is_over(alice.submit(page, answer="out")), "a form that was sent twice"
    assert is_over(alice.get("/logout"))


def test_who_stays_stays(other: Party, alice: Visitor) -> None:
    """And sees the account page."""
    alice.sign_in(other)
    stayed = alice.submit(alice.get("/logout"), answer="stay")
    assert (stayed.status_code, stayed.headers["location"]) == (303, "/account")
    assert alice.is_signed_in()


def test_another_site_cannot_answer_for_the_person(server: Served, other: Party, alice: Visitor) -> None:
    """Without this browser's token, with another browser's, or from another origin: nothing ends."""
    alice.sign_in(other)
    mallory = Visitor(server)
    mallory.sign_in(other)
    stolen = parse_form(mallory.get("/logout").text)["csrf"]
    own = parse_form(alice.get("/logout").text)["csrf"]
    for csrf in ({}, {"csrf": ""}, {"csrf": "x"}, {"csrf": stolen}, {"csrf": "é"}):
        again = alice.post("/logout", {"answer": "out", **csrf})
        assert again.status_code == 400
        assert 'value="stay"' in again.text
    for site in ("https://evil.example", "null", f"{server.issuer}.evil.example"):
        assert alice.post("/logout", {"answer": "out", "csrf": own}, origin=site).status_code == 403
    assert alice.post("/logout", {"answer": "perhaps", "csrf": own}).status_code == 400
    assert alice.is_signed_in()
    assert is_over(alice.post("/logout", {"answer": "out", "csrf": own}))


def parse_form(page: str) -> dict[str, str]:
    """Its hidden fields."""
    return dict(HIDDEN.findall(page))


# Nobody, and several.


def test_nobody_to_sign_out_is_no_failure(server: Served, other: Party, alice: Visitor) -> None:
    """With a good hint the browser goes back to its client, without one it stays here."""
    hint = alice.sign_in(other)["id_token"]
    stranger = Visitor(server)
    back = stranger.get(link(other, hint, post_logout_redirect_uri=AFTER, state="s"))
    assert (back.status_code, back.headers["location"]) == (303, f"{AFTER}?state=s")
    for path in ("/logout", f"/logout?post_logout_redirect_uri={AFTER}", link(other, hint[:-3], state="s")):
        assert is_over(stranger.get(path))
    assert is_over(stranger.get(link(other, hint, post_logout_redirect_uri="https://evil.example")))
    assert alice.is_signed_in(), "a session at another browser"


def test_a_hint_of_somebody_else_asks_first(server: Served, other: Party, alice: Visitor, bob: str) -> None:
    """Her link, opened in his browser, does not sign him out; when he agrees, the client gets its browser back."""
    hers = alice.sign_in(other)["id_token"]
    his = Visitor(server)
    his.sign_in(other, bob)
    page = his.get(link(other, hers, post_logout_redirect_uri=AFTER, state="s"))
    assert asks(page)
    assert "Library" in page.text
    assert "https://shop.example" in page.headers["content-security-policy"]
    left = his.submit(page, answer="out")
    assert (left.status_code, left.headers["location"]) == (303, f"{AFTER}?state=s")
    assert (his.is_signed_in(), alice.is_signed_in()) == (False, True)


def test_of_two_accounts_the_hinted_one_goes(server: Served, other: Party, alice: Visitor, bob: str) -> None:
    """The other one stays, and so does the browser's secret."""
    hers = alice.sign_in(other)["id_token"]
    his = alice.sign_in(other, bob, prompt="select_account")["id_token"]
    assert said(hers)["sub"] != said(his)["sub"]
    assert alice.get(link(other, hers, post_logout_redirect_uri=AFTER)).headers["location"] == AFTER
    assert bob in alice.get("/account").text
    assert BROWSER in alice.cookies
    page = alice.get("/logout")
    assert asks(page)
    assert bob in page.text
    assert is_over(alice.submit(page, answer="out"))
    assert not alice.is_signed_in()


def test_all_accounts_can_go_at_once(server: Served, other: Party, alice: Visitor, bob: str) -> None:
    """As at a shared computer; offered where there are several."""
    alice.sign_in(other)
    assert 'value="all"' not in alice.get("/logout").text
    alice.sign_in(other, bob, prompt="select_account")
    page = alice.get("/logout")
    assert 'value="all"' in page.text
    assert is_over(alice.submit(page, answer="all"))
    assert BROWSER not in alice.cookies
    assert not alice.is_signed_in()


# The rest.


@pytest.mark.parametrize(
    ("asked", "tongue"), [("es", "es"), ("xx fr-CA es-MX zh", "es"), ("zh-Hans-CN", "zh-Hans"), ("xx", "en")]
)
def test_the_page_speaks_what_the_client_asks_for(other: Party, alice: Visitor, asked: str, tongue: str) -> None:
    """The first of `ui_locales` that it can; and so does the page after it."""
    alice.sign_in(other)
    page = alice.get("/logout", ui_locales=asked)
    assert f'<html lang="{tongue}"' in page.text
    assert f'<html lang="{tongue}"' in alice.submit(page, answer="out").text


def test_an_issuer_with_a_path_has_all_of_it_there(tmp_path: Path) -> None:
    """Pages, forms, cookies and the redirect of a client's own form."""
    with served(tmp_path, "/tenant/1") as server:
        party, alice = registered(server), Visitor(server)
        hint = alice.sign_in(party)["id_token"]
        came = alice.post("/logout", {"id_token_hint": hint[:-1]}, origin="https://shop.example")
        assert came.headers["location"].startswith("/tenant/1/logout?")
        page = alice.get(came.headers["location"])
        assert asks(page)
        assert 'action="/tenant/1/logout"' in page.text
        assert alice.submit(page, answer="stay").headers["location"] == "/tenant/1/account"
        assert is_over(alice.submit(alice.get("/logout"), answer="out"))
        assert (
            server.http.get("/.well-known/openid-configuration").json()["end_session_endpoint"]
            == f"{server.issuer}/logout"
        )


def test_every_logout_is_on_record(server: Served, other: Party, alice: Visitor) -> None:
    """Who, which session, on behalf of which client."""
    hint = alice.sign_in(other)["id_token"]
    alice.get(link(other, hint))
    own = said(hint)
    actor, action, target, detail = server.audit("actor, action, target, detail")
    assert (actor, action, target) == (f"user:{own['sub']}", "session.end", f"session:{own['sid']}")
    assert json.loads(str(detail)) == {"client_id": other.client_id}


def test_a_clients_address_stays_out_of_the_log(server: Served, shop: Party, heard: Heard, alice: Visitor) -> None:
    """With its query, in which somebody may have put a secret; and so does the token."""
    before = len(heard.forms)
    alice.get(link(shop, alice.sign_in(shop)["id_token"]))
    until(lambda: len(heard.forms) > before and server.audit("action, outcome") == ("logout.backchannel", "ok"))
    assert heard.uri.partition("?")[2] not in server.program.said
    assert heard.tokens[-1] not in server.program.said
