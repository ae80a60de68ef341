"""What people do with the issuer's pages, in Chromium: allow, narrow, deny, take back, go back, get it wrong."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.app import App, app
from tests.browser.chromium import visit
from tests.browser.visitor import allow, deny, must_be_at, sign_in, take_back
from tests.stories.processes import Site, bearer, until

pytestmark = pytest.mark.browser

SCOPE = "openid email orders:read orders:write"
ORDER = {"item": "lamp"}


@pytest.fixture(scope="module")
def shop(site: Site) -> Iterator[App]:
    """An app of others, which people are asked about."""
    with app(site, "The Shop") as found:
        yield found


@pytest.fixture(scope="module")
def library(site: Site) -> Iterator[App]:
    """A second one."""
    with app(site, "The Library") as found:
        yield found


def may_write(site: Site, token: str) -> bool:
    """Whether the API takes an order with this token; if not, it is for want of the scope."""
    answer = site.http.post(f"{site.api_url}/orders", json=ORDER, headers=bearer(token))
    if answer.status_code == 201:
        return True
    assert answer.status_code == 403, answer.text
    assert "insufficient_scope" in answer.headers["www-authenticate"]
    return False


def test_a_person_signs_in_and_allows_everything(site: Site, shop: App, page: Page) -> None:
    """The consent page names the app and the host to go back to; the tokens open the API."""
    page.goto(shop.asks(SCOPE))
    sign_in(page, site.new_user())
    must_be_at(page, "/consent")
    shown = page.inner_text("body")
    assert "The Shop" in shown
    assert urlsplit(shop.url).netloc in shown
    allow(page)
    token = shop.redeem(shop.answer())["access_token"]
    assert site.call(token) == 200
    assert may_write(site, token)


def test_a_consent_denied(site: Site, shop: App, page: Page) -> None:
    """The app hears access_denied, and no code; asked again, the person is asked again."""
    page.goto(shop.asks(SCOPE))
    sign_in(page, site.new_user())
    deny(page)
    answer = shop.answer()
    assert answer["error"] == "access_denied"
    assert "code" not in answer
    page.goto(shop.asks(SCOPE))
    must_be_at(page, "/consent")


def test_a_consent_narrowed(site: Site, shop: App, page: Page) -> None:
    """The scope that was unchecked is not in the token, and the API refuses what needs it."""
    page.goto(shop.asks(SCOPE))
    sign_in(page, site.new_user())
    allow(page, without=("orders:write",))
    tokens = shop.redeem(shop.answer())
    assert set(tokens["scope"].split()) == {"openid", "email", "orders:read"}
    assert site.call(tokens["access_token"]) == 200
    assert not may_write(site, tokens["access_token"])


def test_a_consent_taken_back(site: Site, shop: App, library: App, page: Page) -> None:
    """At /account: within a second the API refuses, and refreshing is over; another app is not touched."""
    page.goto(shop.asks(SCOPE))
    sign_in(page, site.new_user())
    allow(page)
    tokens = shop.redeem(shop.answer())
    page.goto(library.asks(SCOPE))
    allow(page)
    others = library.redeem(library.answer())
    assert site.call(tokens["access_token"]) == 200

    page.goto(f"{site.issuer}/account")
    apps = page.locator("section[aria-labelledby=apps] li")
    expect(apps).to_have_count(2)
    take_back(page, shop)
    until(lambda: site.call(tokens["access_token"]) == 401, within=1)
    assert site.refresh(shop.client, tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert site.call(others["access_token"]) == 200
    expect(apps).to_have_count(1)
    expect(apps).to_contain_text("The Library")

    page.goto(shop.asks(SCOPE))
    must_be_at(page, "/consent")


def test_a_second_app_needs_no_new_sign_in(site: Site, shop: App, library: App, page: Page) -> None:
    """It asks for consent only; and who has consented is asked nothing at all."""
    page.goto(shop.asks(SCOPE))
    sign_in(page, site.new_user())
    allow(page)
    first = shop.redeem(shop.answer())
    visited: list[str] = []
    page.on("framenavigated", lambda frame: visited.append(urlsplit(frame.url).path))
    page.goto(library.asks(SCOPE))
    allow(page)
    second = library.redeem(library.answer())
    page.goto(library.asks(SCOPE))
    third = library.redeem(library.answer())
    assert set(visited) == {"/consent", "/callback"}
    assert visited.count("/consent") == 1
    assert [site.call(tokens["access_token"]) for tokens in (first, second, third)] == [200] * 3


@pytest.mark.parametrize("mode", ["query", "form_post"])
def test_a_person_without_javascript_signs_in(site: Site, shop: App, browser: Browser, mode: str) -> None:
    """Every page is a form; the one that carries a form_post has a button."""
    with visit(browser, java_script_enabled=False) as page:
        page.goto(shop.asks(SCOPE, response_mode=mode))
        sign_in(page, site.new_user())
        allow(page)
        if mode == "form_post":
            page.locator(f"form[action='{shop.redirect_uri}'] [type=submit]").click()
        page.wait_for_url(f"{shop.url}/**")
        until(lambda: shop.answers, within=30)
        assert shop.answers[0].method == ("POST" if mode == "form_post" else "GET")
        assert site.call(shop.redeem(shop.answer())["access_token"]) == 200


def test_a_form_post_goes_by_itself_where_scripts_run(site: Site, shop: App, page: Page) -> None:
    """Nobody has to press anything."""
    page.goto(shop.asks(SCOPE, response_mode="form_post"))
    sign_in(page, site.new_user())
    allow(page)
    page.wait_for_url(f"{shop.url}/**")
    until(lambda: shop.answers, within=30)
    assert shop.answers[0].method == "POST"
    assert site.call(shop.redeem(shop.answer())["access_token"]) == 200


def test_a_fragment_reaches_the_app_in_the_address(site: Site, shop: App, page: Page) -> None:
    """As its page can read it; the app's server gets nothing."""
    page.goto(shop.asks(SCOPE, response_mode="fragment"))
    sign_in(page, site.new_user())
    allow(page)
    page.wait_for_url(f"{shop.url}/**")
    assert shop.answers.pop().values == {}
    assert "code=wwc_" in urlsplit(page.url).fragment
    assert urlsplit(page.url).query == ""


def test_a_wrong_password_is_told_and_the_way_goes_on(site: Site, shop: App, page: Page) -> None:
    """The page stays, keeps the address and not the password, and says it where a screen reader hears it."""
    user = site.new_user()
    page.goto(shop.asks(SCOPE))
    sign_in(page, user, password="not this one")
    field = page.locator("[aria-invalid=true]")
    expect(field).to_have_count(1)
    expect(page.locator(f"#{field.get_attribute('aria-describedby')}")).to_be_visible()
    must_be_at(page, "/login")
    assert page.input_value("[name=email]") == user.email
    assert page.input_value("[name=password]") == ""
    sign_in(page, user)
    allow(page)
    assert site.call(shop.redeem(shop.answer())["access_token"]) == 200


def test_the_back_button_after_signing_in_is_harmless(site: Site, shop: App, page: Page) -> None:
    """What lies behind is over: no second code comes of it, nothing breaks, and nobody is signed out."""
    page.goto(shop.asks(SCOPE))
    sign_in(page, site.new_user())
    allow(page)
    tokens = shop.redeem(shop.answer())
    page.wait_for_url(f"{shop.url}/**")
    for _ in range(3):
        answer = page.go_back()
        assert answer is None or answer.status < 500
        if page.locator("[name=answer][value=allow]").count():
            page.click("[name=answer][value=allow]")
            page.wait_for_load_state()
    assert [found.values for found in shop.answers if "code" in found.values] == []
    shop.answers.clear()
    assert site.call(tokens["access_token"]) == 200
    page.goto(shop.asks(SCOPE, prompt="none"))
    assert site.call(shop.redeem(shop.answer())["access_token"]) == 200


def test_two_tabs_at_once_each_get_their_own_answer(
    site: Site, shop: App, library: App, person: BrowserContext
) -> None:
    """Two requests wait for one person; each goes on with its own, whichever is finished first."""
    user = site.new_user()
    one, other = person.new_page(), person.new_page()
    one.goto(shop.asks(SCOPE))
    other.goto(library.asks(SCOPE))
    sign_in(other, user)
    must_be_at(other, "/consent")
    sign_in(one, user)
    allow(one)
    bought = shop.redeem(shop.answer())
    allow(other, without=("orders:write",))
    read = library.redeem(library.answer())
    assert may_write(site, bought["access_token"])
    assert not may_write(site, read["access_token"])


def test_signing_out_ends_every_app(site: Site, shop: App, library: App, page: Page) -> None:
    """At /logout: one question, and all tokens of the session are dead within a second."""
    page.goto(shop.asks(SCOPE))
    sign_in(page, site.new_user())
    allow(page)
    first = shop.redeem(shop.answer())["access_token"]
    page.goto(library.asks(SCOPE))
    allow(page)
    second = library.redeem(library.answer())["access_token"]
    page.goto(f"{site.issuer}/logout")
    page.click("[name=answer][value=out]")
    until(lambda: site.call(first) == site.call(second) == 401, within=1)
    page.goto(f"{site.issuer}/account")
    must_be_at(page, "/login")


def run_a_script_of_ones_own(browser: Browser, url: str) -> None:
    """What the issuer's pages forbid, done to one of them."""
    with visit(browser) as page:
        page.goto(url)
        with page.expect_console_message(lambda message: "Content Security Policy" in message.text):
            page.evaluate("document.head.append(Object.assign(document.createElement('script'), {textContent: '1'}))")


def test_what_a_page_may_not_do_is_noticed(site: Site, browser: Browser) -> None:
    """The watch over every test in this folder finds a script where none may run."""
    with pytest.raises(AssertionError, match="(?i)content security policy"):
        run_a_script_of_ones_own(browser, f"{site.issuer}/login")
