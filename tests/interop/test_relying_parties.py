"""Programs that nobody here wrote sign people in: openid-client, oidc-client-ts, Authlib, mozilla-django-oidc.

Each is an app of its own that leaves every setting as its package has it, but for what stands in `relying.OVERRIDES`.
The person sits at Chromium; the API verifies with the SDK, in a process of its own.
"""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.chromium import visit
from tests.browser.visitor import allow, sign_in
from tests.interop.relying import HERE, KEYED, KINDS, NODE, OVERRIDES, Party, running
from tests.stories.processes import Site, User, deployment, until

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]

BY_NAME = {kind.name: kind for kind in (*KINDS, KEYED)}


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.name)
def party(request: pytest.FixtureRequest, site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Party]:
    """One app after the other."""
    with running(site, request.param, tmp_path_factory.mktemp("app")) as found:
        yield found


def act(page: Page, name: str) -> dict[str, Any]:
    """Press what is called `name`; what the app then says."""
    page.click(f"#{name}")
    return told(page, name)


def told(page: Page, after: str) -> dict[str, Any]:
    """What the app says, once it has done what is called `after`."""
    output = page.locator(f"output[data-after='{after}']")
    output.wait_for(state="attached")
    found = json.loads(output.inner_text())
    assert isinstance(found, dict)
    return found


def signed_in(page: Page, party: Party, site: Site) -> tuple[User, dict[str, Any]]:
    """A new person signs in at the app and consents; who, and the app's tokens."""
    user = site.new_user()
    page.goto(party.url)
    page.click("#sign-in")
    sign_in(page, user)
    allow(page)
    return user, told(page, "sign-in")


def test_it_signs_in_and_refreshes_and_a_used_token_is_refused(browser: Browser, site: Site, party: Party) -> None:
    """Sign-in, consent, userinfo and the API; one retry of a refresh is forgiven, a second use kills the family."""
    with visit(browser) as page:
        user, first = signed_in(page, party, site)
        assert first["claims"]["sub"] == user.sub
        assert site.call(first["access_token"]) == 200
        assert act(page, "userinfo").items() >= {"sub": user.sub, "email": user.email}.items()

        second = act(page, "refresh")
        assert second["refresh_token"] != first["refresh_token"]
        assert site.call(second["access_token"]) == 200
        assert act(page, "userinfo")["email"] == user.email, "with the new token"
        assert act(page, "again")["refresh_token"] == second["refresh_token"], "as if its answer had been lost"

        third = act(page, "refresh")
        assert site.call(third["access_token"]) == 200
        assert act(page, "again")["refresh_token"], "a retry of the newest"
        assert site.refresh(party.client, first["refresh_token"]).json()["error"] == "invalid_grant"
        until(lambda: site.call(third["access_token"]) == 401, within=1)
        assert act(page, "again") == {"error": "invalid_grant"}


def test_it_signs_out_and_its_tokens_are_dead(browser: Browser, site: Site, party: Party) -> None:
    """Back at the app, the API refuses within a second, the refresh token is worth nothing, and the next asks again."""
    with visit(browser) as page:
        _, tokens = signed_in(page, party, site)
        assert site.call(tokens["access_token"]) == 200
        assert act(page, "sign-out") == {}
        assert page.url.startswith(f"{party.url}/signed-out")
        until(lambda: site.call(tokens["access_token"]) == 401, within=1)
        assert site.refresh(party.client, tokens["refresh_token"]).json()["error"] == "invalid_grant"
        page.goto(party.url)
        page.click("#sign-in")
        page.wait_for_url(f"{site.issuer}/login**")


def test_it_signs_in_again_without_a_password(browser: Browser, site: Site, party: Party) -> None:
    """The issuer knows the person, and what was consented to.

    Only for a public app on loopback, which any program on the device could pass for, consent is asked each time.
    """
    with visit(browser) as page:
        user, first = signed_in(page, party, site)
        page.goto(party.url)
        page.click("#sign-in")
        if party.client.secret is None:
            allow(page)
        again = told(page, "sign-in")
        assert again["claims"]["sub"] == user.sub
        assert again["access_token"] != first["access_token"]


def test_django_looks_again_without_the_person(browser: Browser, site: Site, tmp_path: Path) -> None:
    """The package's SessionRefresh asks with prompt=none; a person who is gone there is gone here too."""
    with running(site, BY_NAME["mozilla-django-oidc"], tmp_path) as party, visit(browser) as page:
        user, _ = signed_in(page, party, site)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{party.url}/outdated")
        page.goto(party.url)
        assert told(page, "nothing") == {"email": user.email}
        assert [url for url in asked if "prompt=none" in url]
        page.context.clear_cookies(domain="localhost")
        page.goto(f"{party.url}/outdated")
        page.goto(party.url)
        assert told(page, "nothing") == {"email": None}


@pytest.mark.parametrize("nonce", ["offered", "required"])
def test_it_proves_that_it_holds_a_key(browser: Browser, tmp_path: Path, nonce: str) -> None:
    """Pushed requests, and tokens that are worth nothing without its key (RFC 9126, RFC 9449), refresh tokens too."""
    with (
        deployment(tmp_path / "site", settings=f'dpop.nonce = "{nonce}"') as site,
        running(site, KEYED, tmp_path) as party,
        visit(browser) as page,
    ):
        user, first = signed_in(page, party, site)
        assert (first["claims"]["sub"], first["token_type"]) == (user.sub, "dpop")
        assert act(page, "userinfo")["email"] == user.email
        assert went(page, party, "orders") == {"status": 200}
        assert site.call(first["access_token"]) == 401, "as a bearer token"

        second = act(page, "refresh")
        assert second["refresh_token"] != first["refresh_token"]
        assert act(page, "userinfo")["email"] == user.email, "with the new token"
        assert went(page, party, "orders") == {"status": 200}
        assert site.call(second["access_token"]) == 401
        assert site.refresh(party.client, second["refresh_token"]).json()["error"] == "invalid_dpop_proof"
        assert went(page, party, "stolen") == {"error": "invalid_grant"}, "by another key"
        assert act(page, "again")["refresh_token"] == second["refresh_token"], "as if its answer had been lost"
        assert {"/par", "/token", "/userinfo"} <= site.count().keys()


def went(page: Page, party: Party, name: str) -> dict[str, Any]:
    """Go where no link leads; what the app then says."""
    page.goto(f"{party.url}/{name}")
    return told(page, name)


@pytest.mark.parametrize("name", ["Authlib", "mozilla-django-oidc"])
def test_without_pkce_a_client_is_refused_unless_it_was_let_off(
    browser: Browser, site: Site, tmp_path: Path, name: str
) -> None:
    """`--pkce optional` is what lets these two work as they come; else the person is sent back with the reason."""
    with running(site, BY_NAME[name], tmp_path, without=("--pkce", "optional")) as party, visit(browser) as page:
        with page.expect_request(lambda request: "error=invalid_request" in request.url) as back:
            page.goto(f"{party.url}/sign-in")
        assert back.value.url.startswith(party.url)
        assert "PKCE" in back.value.url or "code_challenge" in back.value.url


def test_a_page_of_an_origin_that_is_not_registered_gets_no_tokens(
    browser: Browser, site: Site, tmp_path: Path
) -> None:
    """Its code stays what it is; the browser lets the page read no answer of the token endpoint."""
    spa = BY_NAME["oidc-client-ts"]
    with running(site, spa, tmp_path, without=("--origin", "{url}")) as party, visit(browser) as page:
        _, said = signed_in(page, party, site)
    assert said == {"error": "Failed to fetch"}


GIVEN = {
    "openid-client": (
        NODE / "openid_client.mjs",
        "client.discovery(",
        "client.discovery(new URL(issuer), client_id, client_secret, undefined, options)\n",
    ),
    "oidc-client-ts": (
        NODE / "single_page.js",
        "new oidc.UserManager(",
        "new oidc.UserManager({ authority: issuer, client_id, redirect_uri: `${url}/callback`, ...overrides })\n",
    ),
}
"""Where an app in JavaScript makes its client, and with what: `options` and `overrides` are the table."""


@pytest.mark.parametrize("name", GIVEN)
def test_an_app_in_javascript_overrides_only_what_the_table_lists(name: str) -> None:
    """Beside who it is, its client is given the table and nothing else."""
    file, made, call = GIVEN[name]
    text = file.read_text()
    assert text.count(made) == 1
    assert call in text


def test_authlib_overrides_only_what_the_table_lists() -> None:
    """Beside who it is and what it wants."""
    tree = ast.parse((HERE / "parties" / "starlette_app.py").read_text())
    [call] = [
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "oauth.register"
    ]
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    assert given.keys() == {"client_id", "client_secret", "server_metadata_url", "client_kwargs"}
    assert given["client_kwargs"] == "{'scope': PARTY['scope'], **PARTY['overrides']}"


def test_django_overrides_only_what_the_table_lists() -> None:
    """Its settings have what the package has no default for, and the table; what is in the table is a setting."""
    spec = importlib.util.find_spec("mozilla_django_oidc")
    assert spec is not None
    assert spec.submodule_search_locations
    source = "\n".join(file.read_text() for file in Path(spec.submodule_search_locations[0]).glob("*.py"))
    asked = re.findall(r'(?:get_settings|import_from_settings)\(\s*"(\w+)"\s*(,)?', source)
    without_default = {name for name, default in asked if not default}
    tree = ast.parse((HERE / "parties" / "django_settings.py").read_text())
    given = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert given & {name for name, _ in asked} == without_default | {"LOGIN_REDIRECT_URL", "LOGOUT_REDIRECT_URL"}
    table = OVERRIDES["mozilla-django-oidc, PKCE"].keys() - {"AUTHENTICATION_BACKENDS"}  # Django's own
    assert table <= {name for name, _ in asked}


def test_the_guide_lists_every_override() -> None:
    """docs/guides/interop.md has a row for each, with its value."""
    guide = (HERE.parents[1] / "docs" / "guides" / "interop.md").read_text()
    for name, overrides in OVERRIDES.items():
        assert f"| {name.split(',')[0]} " in guide
        missing = [setting for setting in overrides if f"`{setting}`" not in guide]
        assert missing == [], name


def test_every_party_is_in_the_table() -> None:
    """One that overrides nothing too."""
    assert OVERRIDES.keys() == BY_NAME.keys()


def test_the_versions_of_the_parties_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """So that a figure in a note can be read later."""
    pins = json.loads((NODE / "package.json").read_text())["dependencies"]
    python = {
        name: importlib.metadata.version(name) for name in ("authlib", "django", "mozilla-django-oidc", "playwright")
    }
    chromium = subprocess.run(
        ["/usr/bin/chromium", "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()
    with capsys.disabled():
        print("\n ", ", ".join(f"{name} {version}" for name, version in {**pins, **python}.items()), "in", chromium)
