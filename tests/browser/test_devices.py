"""A device without a browser, and the person who answers it in Chromium."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.chromium import visit
from tests.browser.visitor import must_be_at, sign_in
from tests.stories.processes import Client, Site, until

pytestmark = pytest.mark.browser

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass(frozen=True)
class Television:
    """A public client that shows codes."""

    site: Site
    client: Client

    def asks(self, scope: str = "openid orders:read") -> dict[str, Any]:
        """What it has to show."""
        answer = self._post("/device_authorization", scope=scope)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert isinstance(found, dict)
        return found

    def polls(self, begun: dict[str, Any]) -> dict[str, Any]:
        """What it hears."""
        found = self._post("/token", grant_type=GRANT_TYPE, device_code=begun["device_code"]).json()
        assert isinstance(found, dict)
        return found

    def _post(self, path: str, **form: str) -> httpx2.Response:
        return self.site.http.post(f"{self.site.issuer}{path}", data={"client_id": self.client.client_id, **form})


@pytest.fixture(scope="module")
def television(site: Site) -> Television:
    """One for all tests here."""
    grants = ("--grant", GRANT_TYPE, "--grant", "refresh_token")
    return Television(site, site.new_client("Television", *grants, public=True))


def answer(page: Page, said: str) -> None:
    """Decide about the device."""
    must_be_at(page, "/device/confirm")
    page.click(f"[name=answer][value={said}]")


def test_a_person_types_the_code_signs_in_and_says_yes(site: Site, television: Television, page: Page) -> None:
    """In their own spelling; the page shows the code once more, and the television goes on by itself."""
    begun = television.asks()
    page.goto(begun["verification_uri"])
    assert page.locator(":focus").get_attribute("name") == "user_code"
    page.keyboard.type(begun["user_code"].lower().replace("-", " "))
    page.keyboard.press("Enter")
    sign_in(page, site.new_user())
    must_be_at(page, "/device/confirm")
    shown = page.inner_text("main")
    assert begun["user_code"] in shown
    assert "Television" in shown
    assert television.polls(begun)["error"] == "authorization_pending"
    answer(page, "allow")
    expect(page.locator("h1")).to_have_text("Go back to your device")
    token = television.polls(begun)["access_token"]
    assert site.call(token) == 200
    page.goto(f"{site.issuer}/logout")
    page.click("[name=answer][value=out]")
    until(lambda: site.call(token) == 401, within=1)


def test_a_person_without_javascript_follows_the_link_and_says_no(
    site: Site, television: Television, browser: Browser
) -> None:
    """The code is filled in, and nothing happens by following the link; the device hears that it was refused."""
    begun = television.asks()
    with visit(browser, java_script_enabled=False) as page:
        page.goto(begun["verification_uri_complete"])
        assert page.input_value("[name=user_code]") == begun["user_code"]
        page.click("form [type=submit]")
        sign_in(page, site.new_user())
        assert television.polls(begun)["error"] == "authorization_pending"
        answer(page, "deny")
        expect(page.locator("h1")).to_have_text("The device was refused")
    assert television.polls(begun)["error"] == "access_denied"


def test_a_wrong_code_keeps_the_person_at_the_field(television: Television, page: Page) -> None:
    """With the focus there, and the sentence read with it; the language that was picked stays."""
    page.goto(f"{television.asks()['verification_uri']}?ui_locales=es")
    page.fill("[name=user_code]", "bbbb bbbb")
    page.click("form [type=submit]")
    field = page.locator(":focus")
    assert field.get_attribute("aria-invalid") == "true"
    expect(page.locator("#user_code-error")).to_contain_text("Ningún")
    assert field.get_attribute("aria-describedby") == "user_code-hint user_code-error"
    assert page.input_value("[name=user_code]") == "BBBB-BBBB"


def test_the_back_button_gives_no_second_answer(site: Site, television: Television, page: Page) -> None:
    """What was answered is over, whatever is pressed then."""
    begun = television.asks("openid offline_access")
    page.goto(begun["verification_uri_complete"])
    page.click("form [type=submit]")
    sign_in(page, site.new_user())
    answer(page, "allow")
    expect(page.locator("h1")).to_have_text("Go back to your device")
    page.go_back()
    if page.locator("[name=answer][value=deny]").count():
        page.click("[name=answer][value=deny]")
        expect(page.locator("h1")).to_have_text("This page is over")
    assert "access_token" in television.polls(begun)
