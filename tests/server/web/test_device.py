"""The device flow over HTTP: what a device gets to show, what a person gets to see, and what nobody else can do."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import connect
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from tests.server.web.asking import OTHER, Site, asking
from tests.server.web.served import AUDIENCE, PASSWORD, SCOPES
from tests.servers.loopback import until
from tests.stories.oidf.browser import Arrival, Browser
from tests.stories.oidf.page import Form, Page
from tests.stories.oidf.person import Person, over
from watchword_server.flows import clients
from watchword_server.flows.administration import Operator
from watchword_server.flows.issuer import Caller
from watchword_server.main import load_settings, open_issuer
from watchword_server.protocol.grants.device_code import GRANT_TYPE
from watchword_server.protocol.values import ClientMetadata

AGENT = {"user-agent": "hifi/2.1 (kitchen)"}


@dataclass(frozen=True)
class Room:
    """A server, and a device that is registered there."""

    site: Site
    client_id: str

    def asks(self, **form: str) -> dict[str, Any]:
        """`POST /device_authorization`."""
        response = self.posted(**{"client_id": self.client_id, "scope": "openid orders:read", **form})
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    def posted(self, **form: str) -> httpx2.Response:
        """`POST /device_authorization`, however it ends."""
        return self.site.served.http.post("/device_authorization", data=form, headers=AGENT)

    def polls(self, begun: dict[str, Any], **more: str) -> httpx2.Response:
        """`POST /token` with the device's code."""
        form = {"grant_type": GRANT_TYPE, "device_code": begun["device_code"], "client_id": self.client_id, **more}
        return self.site.served.http.post("/token", data=form)

    def types(self, browser: Browser, code: str, **more: str) -> Page:
        """A browser at `/device`, where somebody types a code."""
        shown = browser.visit(f"{self.site.served.issuer}/device")
        assert isinstance(shown, Page)
        form = shown.form("user_code")
        assert form is not None
        return at_page(browser.submit(shown, form, over(form, {"user_code": code, **more})))

    def confirming(self, person: Person, begun: dict[str, Any]) -> tuple[Page, Form]:
        """The page that asks, before somebody who is signed in."""
        shown = self.types(person.browser, begun["user_code"])
        if shown.path == "/login":
            form = shown.form("password")
            assert form is not None
            typed = {"email": person.email, "password": PASSWORD}
            shown = at_page(person.browser.submit(shown, form, over(form, typed)))
        assert shown.path == "/device/confirm", shown.words
        found = shown.form("csrf")
        assert found is not None
        return shown, found

    def waiting(self) -> int:
        """How many devices have not been answered."""
        with closing(connect(self.site.served.data / "watchword.db")) as database:
            sql = "SELECT count(*) FROM device_requests WHERE gid IS NULL AND denied_at IS NULL"
            (found,) = database.execute(sql).fetchone()
            return int(found)


def at_page(found: Page | Arrival) -> Page:
    """Nobody has been sent away."""
    assert isinstance(found, Page), found
    return found


@pytest.fixture(scope="module")
def room(site: Site) -> Room:
    """A public client for devices."""
    return Room(site, asyncio.run(registered(site)))


async def registered(site: Site, name: str = "Kitchen radio") -> str:
    """A client for devices, whose home is known."""
    said = ClientMetadata(id_token_signed_response_alg="ES256", client_uri="https://radio.example/")
    grants = frozenset({GRANT_TYPE, "refresh_token"})
    new = clients.NewClient(name, "public", grants, {AUDIENCE: SCOPES}, metadata=said)
    settings = load_settings(None, {"issuer": site.served.issuer, "data": site.served.data})
    async with open_issuer(settings) as issuer:
        return (await clients.add(issuer, Operator("test", Caller()), new, int(time.time())))[0].client_id


# --- the device


def test_a_device_is_told_all_that_it_has_to_show(room: Room) -> None:
    """RFC 8628 §3.2; nobody may keep the answer."""
    response = room.posted(client_id=room.client_id, scope="orders:read")
    found = response.json()
    place = f"{room.site.served.issuer}/device"
    assert found["verification_uri"] == place
    assert found["verification_uri_complete"] == f"{place}?user_code={found['user_code']}"
    assert (found["expires_in"], found["interval"]) == (600, 5)
    assert found["device_code"].startswith("wwd_")
    assert len(found["device_code"]) == 4 + 43
    assert response.headers["cache-control"] == "no-store"
    said = room.site.served.http.get("/.well-known/oauth-authorization-server").json()
    assert said["device_authorization_endpoint"] == f"{room.site.served.issuer}/device_authorization"
    assert GRANT_TYPE in said["grant_types_supported"]


@pytest.mark.parametrize(("form", "status", "error"), [
    ({"client_id": ""}, 401, "invalid_client"),
    ({"client_id": "nobody"}, 401, "invalid_client"),
    ({"client_secret": "x"}, 401, "invalid_client"),
    ({"scope": "orders:delete"}, 400, "invalid_scope"),
    ({"scope": 'a"b'}, 400, "invalid_scope"),
    ({"scope": "orders:read", "resource": "https://x.example"}, 400, "invalid_target"),
])  # fmt: skip
def test_what_is_wrong_is_told_to_the_device(room: Room, form: dict[str, str], status: int, error: str) -> None:
    """RFC 8628 §3.2 refers to RFC 6749 §5.2."""
    response = room.posted(**{"client_id": room.client_id, **form})
    assert (response.status_code, response.json()["error"]) == (status, error)


def test_a_client_of_another_kind_has_no_device_flow(room: Room) -> None:
    """Off as it comes."""
    for app in ("page", "native"):
        response = room.posted(client_id=room.site.apps[app].client_id, scope="openid")
        assert (response.status_code, response.json()["error"]) == (400, "unauthorized_client")


def test_a_device_that_waits_hears_so_and_then_gets_its_tokens(room: Room) -> None:
    """With `Retry-After` and the codes of RFC 8628 §3.5; once; and the tokens work."""
    begun = room.asks()
    first = room.polls(begun)
    assert (first.status_code, first.json()["error"]) == (400, "authorization_pending")
    assert first.headers["retry-after"] == "5"
    until(lambda: (again := room.polls(begun)).json()["error"] == "slow_down" and again.headers["retry-after"] == "10")
    person = room.site.person()
    shown = at_page(person.authorize(begun["verification_uri_complete"]))
    assert "Go back to your device" in shown.words
    tokens = room.polls(begun).json()
    assert room.site.userinfo(tokens["access_token"]).status_code == 200
    assert {"access_token", "refresh_token", "id_token", "expires_in", "scope", "token_type"} == set(tokens)
    assert room.polls(begun).json()["error"] == "invalid_grant"
    assert room.site.userinfo(tokens["access_token"]).status_code == 200


def test_a_device_that_is_refused_hears_access_denied(room: Room) -> None:
    """And so does who asks again."""
    begun = room.asks()
    shown = at_page(room.site.person(answers="deny").authorize(begun["verification_uri_complete"]))
    assert "The device was refused" in shown.words
    for _ in range(2):
        response = room.polls(begun)
        assert (response.status_code, response.json()["error"]) == (400, "access_denied")


def test_a_poll_without_a_code_or_with_a_made_up_one(room: Room) -> None:
    """Nothing that is sent breaks anything."""
    assert room.polls({"device_code": ""}).json()["error"] == "invalid_request"
    for made_up in ("wwd_x", "\U0001f511", "x" * 5000, "'; --"):
        assert room.polls({"device_code": made_up}).json()["error"] == "invalid_grant"


# --- the person


def test_the_page_says_who_asks_from_where_since_when_and_for_what(room: Room) -> None:
    """What a person needs to tell their own device from somebody else's; and no tokens before they have said yes."""
    begun = room.asks()
    shown, _ = room.confirming(room.site.person(), begun)
    for told in (
        "Kitchen radio",
        "radio.example",
        begun["user_code"],
        "127.0.0.1",
        AGENT["user-agent"],
        "ago",
        "orders:read",
        "alice@example.com",
        "Know that it is you",
    ):
        assert told in shown.words, told
    assert room.polls(begun).json()["error"] == "authorization_pending"


@pytest.mark.parametrize("typed", ["{lower}", "  {code} ", "{plain}", "{spaced}"])
def test_a_code_is_typed_as_people_type(room: Room, typed: str) -> None:
    """Case, dashes and spaces are forgiven."""
    begun = room.asks()
    code = begun["user_code"]
    text = typed.format(lower=code.lower(), code=code, plain=code.replace("-", ""), spaced=" ".join(code))
    shown = room.types(room.site.browser(), text)
    assert shown.path == "/login"
    assert "you see which device asks" in shown.words


def test_a_link_with_the_code_asks_all_the_same(room: Room) -> None:
    """Nothing is looked for or allowed by following it, signed in or not (RFC 8628 §3.3.1); a bad one is not shown."""
    begun, person = room.asks(), room.site.person()
    person.authorize(room.asks()["verification_uri_complete"])
    shown = at_page(person.browser.visit(begun["verification_uri_complete"]))
    form = shown.form("user_code")
    assert form is not None
    assert (shown.path, form.value("user_code")) == ("/device", begun["user_code"])
    again = at_page(person.browser.submit(shown, form, form.untouched()))
    assert again.path == "/device/confirm"
    assert begun["user_code"] in again.words
    assert room.polls(begun).json()["error"] == "authorization_pending"
    for planted in ("<script>alert(1)</script>", "Call us at 555-0100", "WDJB"):
        shown = at_page(person.browser.visit(f"{begun['verification_uri']}?user_code={planted}"))
        assert planted not in shown.got.text


def test_a_wrong_code_is_told_beside_the_field(room: Room) -> None:
    """Malformed or unknown; what was typed stays."""
    browser = room.site.browser()
    shown = room.types(browser, "WDJB")
    assert (shown.got.status, shown.path) == (400, "/device")
    assert "eight letters" in shown.words
    shown = room.types(browser, "bbbb-bbbb")
    assert shown.got.status == 400
    assert "No device waits with this code" in shown.words
    form = shown.form("user_code")
    assert form is not None
    assert form.value("user_code") == "BBBB-BBBB"


def test_a_consent_to_a_device_is_never_remembered(room: Room) -> None:
    """Neither is one that was given to the same client before: each device asks anew."""
    person = room.site.person()
    for _ in range(2):
        begun = room.asks()
        room.confirming(person, begun)
        assert room.polls(begun).json()["error"] == "authorization_pending"
        person.authorize(begun["verification_uri_complete"])
        assert room.polls(begun).status_code == 200


def test_another_account_at_this_browser_may_be_chosen(room: Room) -> None:
    """By the page for choosing one, and by signing in as somebody else."""
    person = room.site.person()
    begun = room.asks()
    shown, _ = room.confirming(person, begun)
    (switch,) = [link for link in shown.links if "/select-account" in link]
    choices = at_page(person.browser.visit(switch))
    form = choices.form("account")
    assert form is not None
    login = at_page(person.browser.submit(choices, form, over(form, {"account": "other"})))
    form = login.form("password")
    assert form is not None
    shown = at_page(person.browser.submit(login, form, over(form, {"email": OTHER, "password": PASSWORD})))
    assert shown.path == "/device/confirm"
    assert OTHER in shown.words
    choices = at_page(person.browser.visit(switch))
    form = choices.form("account")
    assert form is not None
    sessions = [one.value for one in form.fields if one.name == "account" and one.value != "other"]
    shown_to = [at_page(person.browser.submit(choices, form, over(form, {"account": sid}))).words for sid in sessions]
    assert [[email in words for words in shown_to].count(True) for email in ("alice@example.com", OTHER)] == [1, 1]


def test_a_device_stands_on_the_account_page_and_is_taken_back_there(room: Room) -> None:
    """As any app."""
    person = room.site.person()
    begun = room.asks()
    person.authorize(begun["verification_uri_complete"])
    tokens = room.polls(begun).json()
    shown = at_page(person.browser.visit(f"{room.site.served.issuer}/account"))
    form = next(one for one in shown.forms if one.value("client_id") == room.client_id)
    person.browser.submit(shown, form, over(form, {"answer": "end"}))
    assert room.site.userinfo(tokens["access_token"]).status_code == 401
    form_ = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": room.client_id}
    assert room.site.served.http.post("/token", data=form_).json()["error"] == "invalid_grant"


# --- who means harm


def test_another_site_cannot_allow_a_device(room: Room) -> None:
    """Not without the form's token, not with another browser's, not from another origin; nothing is answered by GET."""
    begun, person = room.asks(), room.site.person()
    shown, form = room.confirming(person, begun)
    evil = room.site.person(OTHER)
    _, theirs = room.confirming(evil, begun)
    allow = over(form, {"answer": "allow"})
    for values in (
        [pair for pair in allow if pair[0] != "csrf"],
        over(form, {"answer": "allow", "csrf": theirs.value("csrf")}),
        over(form, {"answer": "allow", "interaction": theirs.value("interaction")}),
        over(form, {"answer": "perhaps"}),
    ):
        found = at_page(person.browser.submit(shown, form, values))
        assert found.got.status == 400
    posted = person.browser.post(form.action, dict(allow))
    assert at_page(posted).got.status in (400, 403)
    query = "&".join(f"{name}={value}" for name, value in allow)
    person.browser.visit(f"{form.action}?{query}")
    assert room.polls(begun).json()["error"] == "authorization_pending"
    assert "Go back to your device" in at_page(person.browser.submit(shown, form, allow)).words


def test_a_code_cannot_be_sent_from_another_site(room: Room) -> None:
    """So that nobody's browser guesses for somebody else, or is led past the page that warns."""
    begun, person = room.asks(), room.site.person()
    person.authorize(room.asks()["verification_uri_complete"])
    found = at_page(person.browser.post(f"{room.site.served.issuer}/device", {"user_code": begun["user_code"]}))
    assert found.got.status in (400, 403)
    assert found.path == "/device"
    person = room.site.person()
    person.authorize(room.asks()["verification_uri_complete"])
    shown = at_page(person.browser.visit(begun["verification_uri_complete"]))
    form, theirs = shown.form("user_code"), at_page(room.site.browser().visit(shown.url)).form("user_code")
    assert form is not None
    assert theirs is not None
    for token in ("", "x", theirs.value("csrf")):
        found = at_page(person.browser.submit(shown, form, over(form, {"csrf": token})))
        assert (found.got.status, found.path) == (400, "/device")
    assert at_page(person.browser.submit(shown, form, form.untouched())).path == "/device/confirm"


def test_an_answer_counts_once(room: Room) -> None:
    """A second click, the Back button: the page says that it is over, and nothing changes."""
    begun, person = room.asks(), room.site.person()
    shown, form = room.confirming(person, begun)
    assert "Go back" in at_page(person.browser.submit(shown, form, over(form, {"answer": "allow"}))).words
    for said in ("deny", "allow"):
        assert at_page(person.browser.submit(shown, form, over(form, {"answer": said}))).got.status == 400
    assert room.polls(begun).status_code == 200


def test_somebody_elses_page_is_no_use(room: Room) -> None:
    """What waits for one browser waits for no other; and what waits for an app is no device, nor the other way."""
    begun, person = room.asks(), room.site.person()
    shown, form = room.confirming(person, begun)
    assert at_page(room.site.browser().visit(shown.url)).got.status == 400
    handle = form.value("interaction")
    for page in ("consent", "device/confirm"):
        other = person.browser.visit(room.site.url("other", prompt="consent"))
        app = parse_qs(urlsplit(at_page(other).url).query)["interaction"][0]
        which = handle if page == "consent" else app
        got = at_page(person.browser.visit(f"{room.site.served.issuer}/{page}?interaction={which}")).got
        assert got.status == 400
    assert room.polls(begun).json()["error"] == "authorization_pending"


def test_guessing_is_slowed_down(room: Room, tmp_path: Path) -> None:
    """On a server of its own: after a few wrong codes even the right one has to wait."""
    with asking(tmp_path) as site:
        here = Room(site, asyncio.run(registered(site)))
        browser, begun = site.browser(), here.asks()
        heard = [here.types(browser, f"BBBB-BB{letter}B") for letter in "BCDFGHJKLMNP"]
        assert [shown.got.status for shown in heard[:5]] == [400] * 5
        slowed = next(shown for shown in heard if shown.got.status == 429)
        assert int(slowed.got.header("retry-after")) > 0
        assert "too many attempts" in slowed.words
        assert here.types(browser, begun["user_code"]).got.status == 429
        assert here.types(site.browser(), begun["user_code"]).path == "/login"


def test_the_pages_may_not_be_framed_kept_or_scripted(room: Room) -> None:
    """As every page on which something is decided."""
    begun, person = room.asks(), room.site.person()
    confirm, form = room.confirming(person, begun)
    answered = at_page(person.browser.submit(confirm, form, over(form, {"answer": "allow"})))
    for shown in (at_page(person.browser.visit(begun["verification_uri"])), confirm, answered):
        assert shown.policy("frame-ancestors") == ["'none'"]
        assert shown.policy("default-src") == ["'none'"]
        assert shown.got.header("x-frame-options") == "DENY"
        assert shown.got.header("cache-control") == "no-store"
        assert shown.scripts == []


def test_what_a_device_calls_itself_cannot_pass_for_a_page(room: Room) -> None:
    """Markup, directions and length: it is the device's own text."""
    wild = "<b>Bank</b>‮evil" + "x" * 600
    response = room.site.served.http.post(
        "/device_authorization",
        data={"client_id": room.client_id, "scope": "openid"},
        headers={b"user-agent": wild.encode()},
    )
    shown, _ = room.confirming(room.site.person(), response.json())
    assert "<b>Bank" not in shown.got.text
    assert "\u202e" not in shown.got.text
    assert "x" * 200 not in shown.got.text


def test_the_codes_reach_no_log(room: Room) -> None:
    """Neither the device's code nor the person's."""
    begun = room.asks()
    room.site.person().authorize(begun["verification_uri_complete"])
    tokens = room.polls(begun).json()
    said = room.site.served.program.said
    for secret in (begun["device_code"], tokens["access_token"], tokens["refresh_token"]):
        assert secret not in said
    assert f"user_code={begun['user_code']}" not in said
