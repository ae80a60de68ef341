"""First-party sign-in over HTTP: bodies, cookies, origins."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.cookies import SimpleCookie
from pathlib import Path

import httpx2
import pytest

from tests.server.web.served import (
    AUDIENCE,
    DISABLED,
    EMAIL,
    ORIGIN,
    PASSWORD,
    Served,
    basic,
    bearer,
    served,
)

ACCESS, REFRESH = "__Host-watchword-access", "__Secure-watchword-refresh"
JSON = {"content-type": "application/json"}


def baked(answer: httpx2.Response) -> SimpleCookie:
    """The cookies that an answer sets, with their attributes."""
    found = SimpleCookie()
    for line in answer.headers.get_list("set-cookie"):
        found.load(line)
    return found


def cookie(answer: httpx2.Response, name: str) -> dict[str, str]:
    """A cookie to send back."""
    return {"cookie": f"{name}={baked(answer)[name].value}"}


def error(answer: httpx2.Response) -> tuple[int, str]:
    """Status and code of a refusal."""
    assert set(answer.json()) == {"error", "error_description"}, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.status_code, answer.json()["error"]


def test_a_person_signs_in_and_out(server: Served) -> None:
    """Tokens in the body; the session tells who it is, and is gone after sign-out."""
    signed_in = server.sign_in(scope="orders:read")
    assert signed_in.status_code == 200
    assert signed_in.headers["cache-control"] == "no-store"
    assert "set-cookie" not in signed_in.headers
    tokens = signed_in.json()
    assert set(tokens) == {"access_token", "token_type", "expires_in", "scope", "refresh_token", "session_id"}
    me = bearer(tokens["access_token"])
    shown = server.http.get("/session", headers=me).json()
    assert set(shown) == {
        *("session_id", "sub", "email", "name", "roles", "client_id", "amr", "created_at", "expires_at"),
    }
    assert (shown["email"], shown["roles"], shown["amr"]) == (EMAIL, ["staff"], ["pwd"])
    assert (shown["session_id"], shown["client_id"]) == (tokens["session_id"], server.known.spa)
    assert server.http.delete("/session", headers=me).status_code == 204
    assert error(server.http.get("/session", headers=me)) == (401, "invalid_token")
    assert error(refresh(server, tokens["refresh_token"])) == (400, "invalid_grant")


def test_a_refresh_gives_the_next_tokens(server: Served) -> None:
    """The token in the body gives tokens in the body."""
    first = server.sign_in().json()
    second = refresh(server, first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert (
        server.http.get("/session", headers=bearer(second["access_token"])).json()["session_id"] == first["session_id"]
    )


def test_a_confidential_client_authenticates_with_basic(server: Served) -> None:
    """And not without, nor with anything else."""
    client_id, _ = server.known.web
    good = {"authorization": basic(server.known.web)}
    assert server.sign_in(good, client_id=client_id).status_code == 200
    for headers in ({}, {"authorization": basic((client_id, "wws_wrong"))}, bearer("x")):
        assert error(server.sign_in(headers, client_id=client_id)) == (401, "invalid_client")
    assert error(server.sign_in(good, client_id=server.known.spa)) == (401, "invalid_client")


def test_wrong_password_unknown_person_and_disabled_person_look_the_same(server: Served) -> None:
    """One answer for all of them, so that nobody learns who has an account."""
    who = [(EMAIL, "wrong"), ("nobody@example.com", PASSWORD), (DISABLED, PASSWORD), ("no address", "x")]
    who += [(EMAIL, "x" * 5000), (EMAIL, ""), (EMAIL, "\x00")]
    answers = [server.sign_in(email=email, password=password) for email, password in who]
    assert {error(answer) for answer in answers} == {(400, "invalid_grant")}
    assert {answer.text for answer in answers} == {answers[0].text}
    assert server.sign_in().status_code == 200


def test_too_many_failures_must_wait(tmp_path: Path) -> None:
    """429 with Retry-After, for the account, whatever the password."""
    with served(tmp_path) as own:
        answers = [own.sign_in(password="wrong") for _ in range(7)]
        assert error(answers[0]) == (400, "invalid_grant")
        assert error(answers[-1]) == (429, "slow_down")
        assert int(answers[-1].headers["retry-after"]) > 0
        assert error(own.sign_in()) == (429, "slow_down")


SIGN_IN = {"client_id": "ID", "email": EMAIL, "password": PASSWORD}
BAD_BODIES = {
    "nothing": b"",
    "not JSON": b"{",
    "a list": b"[]",
    "a member twice": json.dumps(SIGN_IN).replace("{", '{"email": "x@example.com", ', 1).encode(),
    "not a number": json.dumps(SIGN_IN).replace(f'"{PASSWORD}"', "NaN").encode(),
    "a missing member": json.dumps({"client_id": "ID", "email": EMAIL}).encode(),
    "a member of another type": json.dumps({**SIGN_IN, "password": 7}).encode(),
    "null": json.dumps({**SIGN_IN, "email": None}).encode(),
    "an unknown member": json.dumps({**SIGN_IN, "remember": True}).encode(),
    "an unknown transport": json.dumps({**SIGN_IN, "transport": "query"}).encode(),
    "broken UTF-8": json.dumps(SIGN_IN).encode().replace(b"alice", b"\xff"),
    "UTF-16": json.dumps(SIGN_IN).encode("utf-16"),
    "deep": b'{"client_id": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
}


@pytest.mark.parametrize("path", ["/session", "/session/refresh"])
@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_bad_body_is_refused(server: Served, path: str, name: str) -> None:
    """It is the request that is at fault, and nothing of it comes back."""
    body = BAD_BODIES[name].replace(b"ID", server.known.spa.encode())
    answer = server.http.post(path, content=body, headers=JSON)
    assert error(answer) == (400, "invalid_request")
    assert PASSWORD not in answer.text


def test_half_a_character_is_no_failure_of_ours(server: Served) -> None:
    """A lone surrogate is no text; wherever it stands, the answer is a refusal."""
    for member in ("email", "password", "client_id", "scope", "resource"):
        body = json.dumps({**SIGN_IN, "client_id": server.known.spa, member: "\ud800"}).encode()
        answer = server.http.post("/session", content=body, headers=JSON)
        assert 400 <= answer.status_code < 500, (member, answer.text)


@pytest.mark.parametrize("path", ["/session", "/session/refresh"])
@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", "application/jsonx", ""])
def test_another_content_type_is_refused(server: Served, path: str, content_type: str) -> None:
    """A page of another site can send a form, but no JSON without being asked first."""
    body = json.dumps({**SIGN_IN, "client_id": server.known.spa})
    answer = server.http.post(path, content=body.encode(), headers={"content-type": content_type})
    assert error(answer) == (415, "invalid_request")


@pytest.mark.parametrize("path", ["/session", "/session/refresh"])
def test_a_long_body_is_refused(server: Served, path: str) -> None:
    """64 KiB are enough for everybody."""
    body = json.dumps({**SIGN_IN, "client_id": server.known.spa, "scope": "x" * 70_000}).encode()
    assert error(server.http.post(path, content=body, headers=JSON)) == (413, "invalid_request")


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("query", ["access_token=x", "token=x", "x"])
def test_a_token_in_the_url_is_refused(server: Served, method: str, query: str) -> None:
    """RFC 6750 §5.3: logs and histories keep URLs."""
    token = server.token().json()["access_token"]
    answer = server.http.request(method, f"/session?{query}", headers=bearer(token))
    assert error(answer) == (400, "invalid_request")


def test_who_is_not_first_party_may_not_ask_for_passwords(server: Served) -> None:
    """RFC 9700 §2.4: only the operator's own programs see one."""
    assert error(server.sign_in(client_id=server.known.third)) == (400, "unauthorized_client")
    assert error(server.sign_in(client_id="client_unknown")) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        (ORIGIN, 200),
        ("ISSUER", 200),
        ("null", 403),
        ("", 403),
        ("https://evil.example", 403),
        (f"{ORIGIN}.evil.example", 403),
        (f"{ORIGIN}:8443", 403),
        (f"{ORIGIN}/", 403),
        (ORIGIN.upper(), 403),
        (ORIGIN.replace("https", "http"), 403),
    ],
)
def test_the_origin_must_be_registered(server: Served, origin: str | None, status: int) -> None:
    """Tokens in the body: a program sends no Origin, a page only a registered one."""
    headers = {} if origin is None else {"origin": origin.replace("ISSUER", server.issuer)}
    assert server.sign_in(headers).status_code == status


def test_cookies_are_locked_down(server: Served) -> None:
    """Names, attributes and paths as the design fixes them; and no token in the body."""
    answer = server.sign_in({"origin": ORIGIN}, transport="cookie")
    assert set(answer.json()) == {"session_id", "expires_in", "scope"}
    access, refreshing = (line.split("; ") for line in answer.headers.get_list("set-cookie"))
    assert access[0].startswith(f"{ACCESS}=eyJ")
    assert set(access[1:]) == {"Max-Age=900", "Path=/", "Secure", "HttpOnly", "SameSite=Lax"}
    assert refreshing[0].startswith(f"{REFRESH}=wwr_")
    assert set(refreshing[1:]) == {
        *("Max-Age=1209600", "Path=/session/refresh", "Secure", "HttpOnly", "SameSite=Strict"),
    }


@pytest.mark.parametrize("headers", [{}, {"origin": "https://evil.example"}, {"origin": "null"}])
def test_cookies_are_only_for_pages_that_say_where_they_are_from(server: Served, headers: Mapping[str, str]) -> None:
    """A missing Origin is a refusal here: every browser sends it."""
    answer = server.sign_in(headers, transport="cookie")
    assert error(answer) == (403, "access_denied")
    assert "set-cookie" not in answer.headers


def test_a_session_lives_in_cookies(server: Served) -> None:
    """Show, refresh and end it without ever seeing a token."""
    signed_in = server.sign_in({"origin": ORIGIN}, transport="cookie")
    shown = server.http.get("/session", headers=cookie(signed_in, ACCESS))
    assert shown.json()["session_id"] == signed_in.json()["session_id"]
    refreshed = server.http.post(
        "/session/refresh",
        json={"client_id": server.known.spa},
        headers={"origin": ORIGIN} | cookie(signed_in, REFRESH),
    )
    assert set(refreshed.json()) == {"expires_in", "scope"}
    assert baked(refreshed)[REFRESH].value != baked(signed_in)[REFRESH].value
    ended = server.http.delete("/session", headers={"origin": ORIGIN} | cookie(refreshed, ACCESS))
    assert (ended.status_code, ended.content) == (204, b"")
    gone = baked(ended)
    assert [(gone[name].value, gone[name]["max-age"], gone[name]["path"]) for name in (ACCESS, REFRESH)] == [
        ("", "0", "/"),
        ("", "0", "/session/refresh"),
    ]
    assert error(server.http.get("/session", headers=cookie(refreshed, ACCESS))) == (401, "invalid_token")


def test_a_cookie_alone_ends_and_refreshes_nothing(server: Served) -> None:
    """Cross-site request forgery: the browser sends the cookie for anybody, but says for whom."""
    signed_in = server.sign_in({"origin": ORIGIN}, transport="cookie")
    for origin in ({}, {"origin": "null"}, {"origin": "https://evil.example"}):
        ended = server.http.delete("/session", headers=origin | cookie(signed_in, ACCESS))
        assert error(ended) == (403, "access_denied")
        headers = origin | cookie(signed_in, REFRESH)
        refreshed = server.http.post("/session/refresh", json={"client_id": server.known.spa}, headers=headers)
        assert error(refreshed) == (403, "access_denied")
    assert server.http.get("/session", headers=cookie(signed_in, ACCESS)).status_code == 200


def test_header_and_cookie_together_are_refused(server: Served) -> None:
    """Which of them would count? Design: neither."""
    signed_in = server.sign_in({"origin": ORIGIN}, transport="cookie")
    token = server.sign_in().json()["access_token"]
    for method in ("GET", "DELETE"):
        headers = bearer(token) | cookie(signed_in, ACCESS) | {"origin": ORIGIN}
        assert error(server.http.request(method, "/session", headers=headers)) == (400, "invalid_request")
    both = {"client_id": server.known.spa, "refresh_token": server.sign_in().json()["refresh_token"]}
    headers = cookie(signed_in, REFRESH) | {"origin": ORIGIN}
    assert error(server.http.post("/session/refresh", json=both, headers=headers)) == (400, "invalid_request")


def test_a_cookie_that_comes_twice_is_refused(server: Served) -> None:
    """Another host of the domain may have planted one of them."""
    signed_in = server.sign_in({"origin": ORIGIN}, transport="cookie")
    line = cookie(signed_in, ACCESS)["cookie"]
    answer = server.http.get("/session", headers={"cookie": f"{line}; other=1; {line}"})
    assert error(answer) == (400, "invalid_request")
    assert server.http.get("/session", headers={"cookie": f"other=1; {line}; x{line}"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": "Bearer a.b.c"},
        {"authorization": "Bearer " + "a" * 20_000},
        {"authorization": "Basic YTpi"},
        {"cookie": f"{ACCESS}=a.b.c"},
        {"cookie": f"{ACCESS}="},
        {"cookie": "__Secure-watchword-access=a.b.c"},
    ],
)
def test_no_good_token_is_a_401(server: Served, headers: Mapping[str, str]) -> None:
    """RFC 6750 §3.1, with the challenge."""
    answer = server.http.get("/session", headers=headers)
    assert error(answer) == (401, "invalid_token")
    assert answer.headers["www-authenticate"] == 'Bearer realm="watchword", error="invalid_token"'


def test_a_token_of_no_session_shows_none(server: Served) -> None:
    """A program's own token is good, and of nobody's session; a refresh token is no access token."""
    assert error(server.http.get("/session", headers=bearer(server.token().json()["access_token"])))[0] == 401
    assert error(server.http.get("/session", headers=bearer(server.sign_in().json()["refresh_token"])))[0] == 401


@pytest.mark.parametrize("body", [{}, {"refresh_token": None}, {"refresh_token": ""}])
def test_a_refresh_needs_a_token(server: Served, body: dict[str, object]) -> None:
    """In the body or as a cookie."""
    answer = server.http.post("/session/refresh", json={"client_id": server.known.spa, **body})
    assert error(answer) == (400, "invalid_request")


def test_a_spent_refresh_token_ends_the_session(server: Served) -> None:
    """RFC 9700 §4.14.2: after its successor was used, it can only be a copy."""
    first = server.sign_in().json()
    second = refresh(server, first["refresh_token"]).json()
    third = refresh(server, second["refresh_token"]).json()
    assert error(refresh(server, first["refresh_token"])) == (400, "invalid_grant")
    assert error(refresh(server, third["refresh_token"])) == (400, "invalid_grant")
    assert error(server.http.get("/session", headers=bearer(third["access_token"]))) == (401, "invalid_token")


def test_the_cookies_of_an_issuer_with_a_path_go_to_its_places(tmp_path: Path) -> None:
    """The refresh cookie goes to the one endpoint that takes it."""
    with served(tmp_path, path="/tenant") as own:
        signed_in = own.sign_in({"origin": ORIGIN}, transport="cookie")
        assert baked(signed_in)[REFRESH]["path"] == "/tenant/session/refresh"
        assert baked(signed_in)[ACCESS]["path"] == "/"
        headers = {"origin": ORIGIN} | cookie(signed_in, REFRESH)
        assert own.http.post("/session/refresh", json={"client_id": own.known.spa}, headers=headers).status_code == 200


def test_a_cookie_domain_lets_the_apis_beside_see_the_access_cookie(tmp_path: Path) -> None:
    """Then it is `__Secure-`, for `__Host-` allows no domain; the refresh cookie stays with this host."""
    with served(tmp_path, issuer="https://id.example.com", COOKIE_DOMAIN="example.com") as own:
        signed_in = own.sign_in({"origin": "https://id.example.com"}, transport="cookie")
        cookies = baked(signed_in)
        assert cookies["__Secure-watchword-access"]["domain"] == "example.com"
        assert cookies[REFRESH]["domain"] == ""
        headers = cookie(signed_in, "__Secure-watchword-access")
        assert own.http.get("/session", headers=headers).status_code == 200


def refresh(server: Served, token: str) -> httpx2.Response:
    """`POST /session/refresh` by the body."""
    return server.http.post("/session/refresh", json={"client_id": server.known.spa, "refresh_token": token})


def test_the_scope_and_resource_of_a_sign_in_are_looked_at(server: Served) -> None:
    """As those of any token request."""
    assert error(server.sign_in(scope="root")) == (400, "invalid_scope")
    assert error(server.sign_in(resource="https://stock.example")) == (400, "invalid_target")
    assert server.sign_in(resource=AUDIENCE).status_code == 200
