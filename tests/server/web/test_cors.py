"""Answers that pages of other origins may read: those of the client's registered origins, and no others."""

from __future__ import annotations

import pytest

from tests.server.web.asking import Site
from tests.server.web.served import ORIGIN

ELSEWHERE = "https://evil.example"
READER = "access-control-allow-origin"


@pytest.mark.parametrize("path", ["/token", "/revoke", "/par", "/userinfo"])
def test_a_browser_may_ask_first(site: Site, path: str) -> None:
    """The preflight names no client, and tells nothing; the answer may be kept for ten minutes."""
    headers = {"origin": ORIGIN, "access-control-request-method": "POST"}
    answer = site.served.http.request("OPTIONS", path, headers=headers)
    assert answer.status_code == 204
    assert answer.headers[READER] == ORIGIN
    assert "authorization" in answer.headers["access-control-allow-headers"]
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(("origin", "may"), [(ORIGIN, True), (ELSEWHERE, False), ("null", False)])
def test_tokens_can_be_read_from_the_origins_of_the_client(site: Site, origin: str, may: bool) -> None:
    """By who is named in the form; refusals too, or a page could not say what is wrong."""
    form = {"grant_type": "authorization_code", "code": "x", "client_id": site.apps["page"].client_id}
    answer = site.served.http.post("/token", data=form, headers={"origin": origin})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert answer.headers.get(READER) == (origin if may else None)
    assert "origin" in answer.headers["vary"]


def test_a_client_that_says_who_it_is_by_http_basic(site: Site) -> None:
    """As in the form."""
    app = site.apps["web"]
    form = {"grant_type": "authorization_code", "code": "x"}
    answer = site.served.http.post("/token", data=form, auth=(app.client_id, "wrong"), headers={"origin": ORIGIN})
    assert (answer.status_code, answer.headers[READER]) == (401, ORIGIN)


@pytest.mark.parametrize("form", [{"client_id": "unknown"}, {}, {"client_id": "\x00"}])
def test_who_is_no_client_is_read_by_nobody(site: Site, form: dict[str, str]) -> None:
    """An unknown name opens nothing."""
    answer = site.served.http.post("/token", data={"grant_type": "x", **form}, headers={"origin": ORIGIN})
    assert answer.status_code in (400, 401)
    assert READER not in answer.headers


def test_userinfo_can_be_read_from_the_origins_of_the_tokens_client(site: Site) -> None:
    """And from no other page."""
    token = site.redeem(site.code()).json()["access_token"]
    for origin, may in ((ORIGIN, True), (ELSEWHERE, False)):
        headers = {"origin": origin, "authorization": f"Bearer {token}"}
        answer = site.served.http.get("/userinfo", headers=headers)
        assert answer.status_code == 200
        assert answer.headers.get(READER) == (origin if may else None)


@pytest.mark.parametrize("token", ["a.b.c", "x", "e30.e30.e30", "." * 50])
def test_a_token_that_is_none_is_no_reason_to_fail(site: Site, token: str) -> None:
    """It is refused like any other, unread by the page."""
    headers = {"origin": ORIGIN, "authorization": f"Bearer {token}"}
    answer = site.served.http.get("/userinfo", headers=headers)
    assert answer.status_code in (400, 401)
    assert READER not in answer.headers


@pytest.mark.parametrize("path", ["/authorize", "/login", "/consent", "/account", "/logout", "/introspect", "/session"])
def test_pages_and_what_is_for_servers_can_be_read_by_no_other_page(site: Site, path: str) -> None:
    """Whatever origin asks."""
    for method in ("OPTIONS", "GET", "POST"):
        answer = site.served.http.request(method, path, headers={"origin": ORIGIN})
        assert READER not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/jwks.json",
        "/revocations/jwks.json",
    ],
)
def test_what_is_the_same_for_all_may_be_read_by_all_whatever_they_send_with_it(site: Site, path: str) -> None:
    """Some clients in browsers name the version of their protocol, and the browser asks first for that."""
    asks = {"origin": ELSEWHERE, "access-control-request-headers": "mcp-protocol-version"}
    asked = site.served.http.request("OPTIONS", path, headers={**asks, "access-control-request-method": "GET"})
    assert (asked.status_code, asked.headers[READER]) == (204, "*")
    assert "*" in asked.headers["access-control-allow-headers"]
    answer = site.served.http.get(path, headers={"origin": ELSEWHERE, "mcp-protocol-version": "2026-07-28"})
    assert (answer.status_code, answer.headers.get_list(READER)) == (200, ["*"])


def test_two_origins_at_once_are_refused(site: Site) -> None:
    """Nobody says which one counts."""
    answer = site.served.http.post("/token", data={"grant_type": "x"}, headers=[("origin", ORIGIN), ("origin", ORIGIN)])
    assert answer.status_code == 400


def test_keys_and_metadata_are_for_everybody_and_a_long_form_for_nobody(site: Site) -> None:
    """As without an origin."""
    for path in ("/jwks.json", "/.well-known/openid-configuration"):
        assert site.served.http.get(path, headers={"origin": ELSEWHERE}).headers[READER] == "*"
    answer = site.served.http.post("/token", content=b"a=" + b"x" * 70_000, headers={"origin": ORIGIN})
    assert answer.status_code == 413
