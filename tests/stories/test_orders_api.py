"""The demo API: what a good integration answers, end to end."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.stories.processes import Client, Site, User, bearer, environ


@pytest.fixture(scope="module")
def user(site: Site) -> User:
    """A person."""
    return site.new_user("ada@example.com", "clerk")


@pytest.fixture(scope="module")
def client(site: Site) -> Client:
    """A page of our own."""
    return site.new_client("page", "--origin", site.issuer, first_party=True, public=True)


def test_everybody_has_orders_of_their_own(site: Site, user: User, client: Client):
    """What one places, another does not see."""
    mine, machine = site.sign_in(user, client)["access_token"], site.client_token(site.new_client())
    placed = site.http.post(f"{site.api_url}/orders", json={"item": "tea"}, headers=bearer(mine))
    assert (placed.status_code, placed.json()["quantity"]) == (201, 1)
    assert placed.json() in site.http.get(f"{site.api_url}/orders", headers=bearer(mine)).json()
    assert site.http.get(f"{site.api_url}/orders", headers=bearer(machine)).json() == []


def test_the_token_says_who_calls(site: Site, user: User, client: Client):
    """Subject, client, scopes and roles."""
    token = site.sign_in(user, client)["access_token"]
    me = site.http.get(f"{site.api_url}/me", headers=bearer(token)).json()
    assert (me["subject"], me["client_id"], me["roles"]) == (user.sub, client.client_id, ["clerk"])
    assert me["scopes"] == ["orders:read", "orders:write"]


def test_a_scope_that_is_missing_is_said(site: Site):
    """403, and which one it is."""
    token = site.client_token(site.new_client(), scope="orders:read")
    answer = site.http.post(f"{site.api_url}/orders", json={"item": "tea"}, headers=bearer(token))
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert 'scope="orders:write"' in answer.headers["www-authenticate"]


def test_a_cookie_counts_from_our_own_pages_only(site: Site, user: User, client: Client):
    """Reading needs no Origin; changing does, and another page's is refused."""
    body = {"client_id": client.client_id, "email": user.email, "password": user.password, "transport": "cookie"}
    baked = site.http.post(f"{site.issuer}/session", json=body, headers={"Origin": site.issuer})
    names = [cookie.split(";")[0] for cookie in baked.headers.get_list("set-cookie")]
    (cookie,) = [name for name in names if name.startswith("__Host-watchword-access=")]
    url = f"{site.api_url}/orders"
    assert site.http.get(url, headers={"Cookie": cookie}).status_code == 200
    for origin, status in ((site.issuer, 201), ("https://evil.example", 403), (None, 403)):
        headers = {"Cookie": cookie} | ({"Origin": origin} if origin else {})
        assert site.http.post(url, json={"item": "tea"}, headers=headers).status_code == status


def test_its_page_shows_the_scopes(site: Site):
    """The OpenAPI document, from which the page and client generators are made."""
    document = site.http.get(f"{site.api_url}/openapi.json").json()
    assert document["paths"]["/orders"]["post"]["security"] == [{"Watchword": ["orders:write"]}]


def test_a_missing_setting_is_a_sentence():
    """And no traceback."""
    ran = subprocess.run(
        [sys.executable, "-m", "watchword_server.demo"],
        env=environ(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (1, "orders: set ORDERS_LISTEN\n")
