"""What every answer has, and what happens to requests that are none."""

from __future__ import annotations

import re
import socket
import time

import pytest

from tests.server.web.served import FORM, Served, basic
from watchword_server.web.arrivals import REQUEST_ID
from watchword_server.web.connection import MAX_HEAD, PATIENCE

# fmt: off
ASKED = [
    ("GET",    "/healthz",    200),
    ("GET",    "/jwks.json",  200),
    ("POST",   "/token",      415),
    ("GET",    "/session",    401),
    ("GET",    "/nothing",    404),
    ("PATCH",  "/session",    405),
]
# fmt: on


@pytest.mark.parametrize(("method", "path", "status"), ASKED)
def test_every_answer_is_stamped(server: Served, method: str, path: str, status: int) -> None:
    """A request id of our own making, no sniffing, and no word about what runs here."""
    answer = server.http.request(method, path, headers={"x-request-id": "chosen-by-a-stranger"})
    assert answer.status_code == status
    assert REQUEST_ID.fullmatch(answer.headers["x-request-id"])
    assert answer.headers["x-request-id"] != "chosen-by-a-stranger"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "server" not in answer.headers


def test_request_ids_are_all_different(server: Served) -> None:
    """They find one request in the log."""
    ids = [server.http.get("/healthz").headers["x-request-id"] for _ in range(50)]
    assert len(set(ids)) == 50


@pytest.mark.parametrize(
    "path", ["/nothing", "/", "/token/", "/TOKEN", "//token", "/session/", "/jwks.json/x", "/%00", "/token%2f"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_place_is_a_404_in_json(server: Served, method: str, path: str) -> None:
    """Nothing is redirected, and nothing of the path comes back."""
    answer = server.http.request(method, f"http://127.0.0.1:{server.port}{path}")
    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/jwks.json", {"GET", "HEAD", "OPTIONS"}),
        ("PUT", "/session", {"GET", "HEAD", "POST", "DELETE"}),
        ("GET", "/session/refresh", {"POST"}),
        ("DELETE", "/revocations", {"GET", "HEAD"}),
    ],
)
def test_a_wrong_method_is_a_405_that_says_which_is_right(
    server: Served, method: str, path: str, allowed: set[str]
) -> None:
    """RFC 9110 §15.5.6."""
    answer = server.http.request(method, path)
    assert (answer.status_code, answer.json()["error"]) == (405, "invalid_request")
    assert set(answer.headers["allow"].split(", ")) == allowed


def test_head_is_get_without_a_body(server: Served) -> None:
    """RFC 9110 §9.3.2."""
    answer = server.http.head("/jwks.json")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    "request_line",
    [
        b"nonsense\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
    ],
)
def test_what_is_no_request_is_hung_up_on(server: Served, request_line: bytes) -> None:
    """With a 400, and the server goes on."""
    answer = server.raw(request_line + b"Connection: close\r\n\r\n")
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 404 "))
    assert server.http.get("/healthz").status_code == 200


def test_a_head_without_end_is_refused(server: Served) -> None:
    """Header after header would fill the memory."""
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        answer = b""
        line = b"x-filler: " + b"x" * 1000 + b"\r\n"
        for _ in range(1000 * MAX_HEAD // len(line)):  # far more than the buffers of the way there can hold
            try:
                connection.sendall(line)
            except OSError:
                break
        else:
            raise AssertionError("the server took it all")
        try:
            answer = connection.recv(1000)
        except OSError:
            answer = b""
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431 ")
    assert server.http.get("/healthz").status_code == 200


def test_who_is_slow_is_hung_up_on(server: Served) -> None:
    """A head or body that does not come to its end in time costs a connection, no more; requests go on meanwhile."""
    head = f"POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM['content-type']}\r\nContent-Length: 50\r\n\r\n"
    beginnings = {"nothing": b"", "half a head": b"POST /token HT", "half a body": head.encode() + b"grant_type="}
    start = time.monotonic()
    connections = {name: socket.create_connection(("127.0.0.1", server.port), 3 * PATIENCE) for name in beginnings}
    try:
        for name, connection in connections.items():
            connection.sendall(beginnings[name])
        assert server.token().status_code == 200
        ends = {name: connection.recv(1000) for name, connection in connections.items()}
    finally:
        for connection in connections.values():
            connection.close()
    assert time.monotonic() - start < 2 * PATIENCE
    assert (ends["nothing"], ends["half a head"]) == (b"", b"")
    assert ends["half a body"].startswith(b"HTTP/1.1 408 ")


def test_who_leaves_in_the_middle_costs_nothing(server: Served) -> None:
    """The log has no failure for it."""
    head = f"POST /token HTTP/1.1\r\nHost: x\r\nAuthorization: {basic(server.known.machine)}\r\n"
    head += f"Content-Type: {FORM['content-type']}\r\nContent-Length: 50\r\n\r\ngrant"
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
            connection.sendall(head.encode())
    assert server.token().status_code == 200
    assert not re.search("Traceback|unexpected", server.program.said)
