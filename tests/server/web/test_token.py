"""POST /token, /revoke and /introspect, over HTTP."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from urllib.parse import urlencode

import httpx2
import jwt
import pytest

from tests.server.web.served import AUDIENCE, FORM, Served, basic

GRANT = "grant_type=client_credentials"


def claims(token: str) -> dict[str, object]:
    """What an access token says, unverified."""
    found: dict[str, object] = jwt.decode(token, options={"verify_signature": False})
    return found


def test_a_client_gets_a_token(server: Served) -> None:
    """RFC 6749 §5.1: the members, and that nobody may keep them."""
    answer = server.token(scope="orders:read")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert {key: body[key] for key in ("token_type", "expires_in", "scope")} == {
        "token_type": "Bearer",
        "expires_in": 900,
        "scope": "orders:read",
    }
    assert "refresh_token" not in body
    assert claims(body["access_token"])["sub"] == server.known.machine[0]


def test_a_client_may_send_its_secret_in_the_form(server: Served) -> None:
    """RFC 6749 §2.3.1 allows it."""
    client_id, secret = server.known.machine
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    assert server.http.post("/token", data=form).status_code == 200


# fmt: off
BAD_FORMS = [
    ("no body",             b"",                                            400, "invalid_request"),
    ("no grant type",       b"scope=orders:read",                           400, "invalid_request"),
    ("empty grant type",    b"grant_type=",                                 400, "invalid_request"),
    ("unknown grant",       b"grant_type=password",                         400, "unsupported_grant_type"),
    ("twice",               f"{GRANT}&{GRANT}".encode(),                    400, "invalid_request"),
    ("scope twice",         f"{GRANT}&scope=a&scope=b".encode(),            400, "invalid_request"),
    ("resource twice",      f"{GRANT}&resource=a&resource=b".encode(),      400, "invalid_target"),
    ("not a form",          b"{}",                                          400, "invalid_request"),
    ("broken UTF-8",        f"{GRANT}&scope=%ff".encode(),                  400, "invalid_request"),
    ("not ASCII",           f"{GRANT}&scope=ü".encode(),                    400, "invalid_request"),
    ("40 parameters",       ("&".join([GRANT, *(f"p{n}=1" for n in range(40))])).encode(), 400, "invalid_request"),
    ("unknown scope",       f"{GRANT}&scope=root".encode(),                 400, "invalid_scope"),
    ("malformed scope",     f"{GRANT}&scope=a%00b".encode(),                400, "invalid_scope"),
    ("unknown resource",    f"{GRANT}&resource=https://x.example".encode(), 400, "invalid_target"),
    ("other's secret too",  f"{GRANT}&client_secret=x".encode(),            401, "invalid_client"),
    ("other's id",          f"{GRANT}&client_id=x".encode(),                401, "invalid_client"),
    ("64 KiB and a byte",   GRANT.encode() + b"&p=" + b"x" * 65536,         413, "invalid_request"),
    ("2 MiB",               b"x" * (2 << 20),                               413, "invalid_request"),
]
# fmt: on


@pytest.mark.parametrize(("body", "status", "error"), [row[1:] for row in BAD_FORMS], ids=[row[0] for row in BAD_FORMS])
def test_a_bad_form_is_refused(server: Served, body: bytes, status: int, error: str) -> None:
    """Each fault has its code (RFC 6749 §5.2), and a sentence without a secret."""
    headers = FORM | {"authorization": basic(server.known.machine)}
    try:
        answer = server.http.post("/token", content=body, headers=headers)
    except httpx2.WriteError:  # too much to be read to its end: hanging up is an answer too
        assert status == 413
        return
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert set(answer.json()) == {"error", "error_description"}
    assert answer.headers["cache-control"] == "no-store"
    assert server.known.machine[1] not in answer.text


@pytest.mark.parametrize("path", ["/token", "/revoke", "/introspect"])
@pytest.mark.parametrize("content_type", [None, "application/json", "multipart/form-data; boundary=x", "text/plain"])
def test_another_content_type_is_refused(server: Served, path: str, content_type: str | None) -> None:
    """A form is a form; a page cannot smuggle one in as text."""
    headers = {"authorization": basic(server.known.machine)} | ({"content-type": content_type} if content_type else {})
    answer = server.http.post(path, content=GRANT.encode(), headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (415, "invalid_request")


def test_a_charset_beside_the_content_type_is_no_fault(server: Served) -> None:
    """Many clients send one."""
    headers = {"content-type": "Application/X-WWW-Form-URLencoded; charset=UTF-8"}
    answer = server.http.post("/token", content=GRANT.encode(), headers=headers, auth=server.known.machine)
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/token", "/revoke", "/introspect"])
@pytest.mark.parametrize("query", [GRANT, "access_token=x", "x"])
def test_parameters_in_the_url_are_refused(server: Served, path: str, query: str) -> None:
    """OAuth 2.1 §3.2: logs and histories keep URLs."""
    answer = server.http.post(f"{path}?{query}", content=GRANT.encode(), headers=FORM, auth=server.known.machine)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("path", ["/token", "/revoke", "/introspect"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_another_method_is_refused(server: Served, path: str, method: str) -> None:
    """RFC 9110 §15.5.6: 405 says which is allowed."""
    answer = server.http.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_every_failed_authentication_looks_the_same(server: Served) -> None:
    """Unknown client, wrong secret, secret of another, public client with a secret: one answer (RFC 6749 §5.2)."""
    client_id, secret = server.known.machine
    pairs = [("client_unknown", secret), (client_id, "wws_wrong"), (client_id, server.known.api[1])]
    pairs += [(server.known.spa, "wws_any"), server.known.api, (client_id, secret[:-1])]
    answers = [server.http.post("/token", content=GRANT.encode(), headers=FORM, auth=pair) for pair in pairs]
    assert {answer.status_code for answer in answers} == {401}
    assert {answer.text for answer in answers} == {answers[0].text}
    assert {answer.headers["www-authenticate"] for answer in answers} == {'Basic realm="watchword", charset="UTF-8"'}


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic %%%",
        "Basic " + "A" * 4000,
        "Bearer abc",
        "Basic OnNlY3JldA==",
        "Basic aWQ6",
        "Digest x=y",
        "Basic é",
    ],
)
def test_a_broken_authorization_header_is_an_invalid_client(server: Served, header: str) -> None:
    """Whatever stands in it."""
    headers = [(b"authorization", header.encode("latin-1")), (b"content-type", FORM["content-type"].encode())]
    answer = server.http.post("/token", content=GRANT.encode(), headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_two_authorization_headers_are_refused(server: Served) -> None:
    """Which of them would count?"""
    given = (b"authorization", basic(server.known.machine).encode())
    headers = [given, given, (b"content-type", FORM["content-type"].encode())]
    answer = server.http.post("/token", content=GRANT.encode(), headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_no_authentication_has_no_challenge(server: Served) -> None:
    """RFC 6749 §5.2: the challenge is for who used the header; a browser would ask its user otherwise."""
    answer = server.http.post("/token", content=GRANT.encode(), headers=FORM)
    assert (answer.status_code, "www-authenticate" in answer.headers) == (401, False)


def test_a_body_in_pieces_is_read_whole(server: Served) -> None:
    """Chunked transfer, a few bytes at a time."""
    pieces = (GRANT.encode()[n : n + 5] for n in range(0, len(GRANT), 5))
    answer = server.http.post("/token", content=pieces, headers=FORM, auth=server.known.machine)
    assert answer.status_code == 200


def test_expect_continue_and_pipelined_requests_are_answered_in_order(server: Served) -> None:
    """RFC 9112 §9.3.2: a client may send the next request before the first is answered."""
    head = f"POST /token HTTP/1.1\r\nHost: x\r\nAuthorization: {basic(server.known.machine)}\r\n"
    head += f"Content-Type: {FORM['content-type']}\r\n"

    def request(grant: str, more: str = "") -> bytes:
        return f"{head}{more}Content-Length: {len(grant)}\r\n\r\n{grant}".encode()

    first, second = request(GRANT, "Expect: 100-continue\r\n"), request("grant_type=password")
    last = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = server.raw(first + second + last)
    assert answer.index(b"access_token") < answer.index(b"unsupported_grant_type") < answer.index(b"alive")


def test_a_token_is_taken_back(server: Served) -> None:
    """RFC 7009: the answer is empty, and introspection knows at once; anything else is answered alike."""
    token = server.token().json()["access_token"]
    assert introspection(server, token)["active"] is True
    for text in (token, token, "unknown", "a.b.c"):
        answer = server.http.post("/revoke", data={"token": text}, auth=server.known.machine)
        assert (answer.status_code, answer.content) == (200, b"")
    assert introspection(server, token) == {"active": False}


def test_introspection_is_for_the_api_of_the_token_only(server: Served) -> None:
    """RFC 7662 §2.2, §4: to another API the token is not active, nor to another client; its own is told less."""
    token = server.token().json()["access_token"]
    assert introspection(server, token)["aud"] == AUDIENCE
    assert introspection(server, token, server.known.other_api) == {"active": False}
    assert introspection(server, token, server.known.web) == {"active": False}
    assert introspection(server, token, server.known.machine)["client_id"] == server.known.machine[0]
    assert "rev" not in introspection(server, token, server.known.machine)
    refused = server.http.post("/introspect", data={"token": token, "client_id": server.known.spa})
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("path", ["/revoke", "/introspect"])
def test_a_missing_token_is_refused(server: Served, path: str) -> None:
    """RFC 7009 §2.1, RFC 7662 §2.1: the parameter is required."""
    pair = server.known.machine if path == "/revoke" else server.known.api
    answer = server.http.post(path, data={"token": ""}, auth=pair)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_a_locked_database_is_a_503_that_loses_nothing(server: Served) -> None:
    """While another process holds it: try again later; and the next request works again."""
    with closing(sqlite3.connect(server.data / "watchword.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = server.token()
        assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
        assert int(answer.headers["retry-after"]) > 0
        assert server.http.get("/healthz").status_code == 200
        other.execute("ROLLBACK")
    assert server.token().status_code == 200


def introspection(server: Served, token: str, api: tuple[str, str] | None = None) -> dict[str, object]:
    """What the API of the token, or another, is told."""
    body = urlencode({"token": token}).encode()
    answer = server.http.post("/introspect", content=body, headers=FORM, auth=api or server.known.api)
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found
