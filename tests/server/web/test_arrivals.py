"""The client's address, its program and the request id, as they reach the audit trail."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from tests.server.web.served import Served
from watchword_server.web.arrivals import MAX_AGENT, client_address, printable

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        ("", "10.0.0.1"),
        ("203.0.113.9", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9, 10.0.0.7", "203.0.113.9"),
        ("203.0.113.9,10.0.0.7,10.0.0.8", "203.0.113.9"),
        ("10.0.0.9, 10.0.0.8", "10.0.0.9"),
        ("203.0.113.9, nonsense, 10.0.0.7", "10.0.0.7"),
        ("nonsense", "10.0.0.1"),
        ("203.0.113.9:4711", "203.0.113.9"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("2001:db8::1, fd00::7", "2001:db8::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:DB8:0::1", "2001:db8::1"),
        (", ,", "10.0.0.1"),
        ("203.0.113.9\t", "203.0.113.9"),
    ],
)
def test_the_nearest_stranger_is_the_client(forwarded: str, expected: str) -> None:
    """What stands left of the first stranger was written by strangers."""
    assert client_address("10.0.0.1", forwarded, PROXIES) == expected


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        (b"curl/8", "curl/8"),
        (b"a\x00b\x1b[31mc\x7f", "ab[31mc"),
        ("naïve".encode(), "naïve"),
        (b"\xff", "\ufffd"),
        (b"x" * 1000, "x" * MAX_AGENT),
        ("é".encode() * 1000, "é" * MAX_AGENT),
        ("\x85\x9b".encode(), ""),
    ],
)
def test_an_agent_is_made_printable(agent: bytes, expected: str) -> None:
    """It goes into the audit trail and onto an operator's terminal."""
    assert printable(agent) == expected


def test_without_proxies_nobody_chooses_an_address(server: Served) -> None:
    """Whatever the headers say, it is the peer's."""
    headers = {"x-forwarded-for": "203.0.113.9", "forwarded": "for=203.0.113.9", "x-real-ip": "203.0.113.9"}
    headers |= {"x-request-id": "chosen", "user-agent": "test/1"}
    answer = server.http.get("/healthz", headers=headers)
    assert answer.headers["x-request-id"] != "chosen"
    server.http.post("/token", data={"grant_type": "client_credentials"}, auth=server.known.machine, headers=headers)
    address, agent, request_id = server.audit("address, agent, request_id")
    assert (address, agent) == ("127.0.0.1", "test/1")
    assert request_id not in ("", "chosen")


def test_behind_a_proxy_its_word_is_taken(behind_proxies: Served) -> None:
    """Its last stranger, and its request id."""
    headers = {"x-forwarded-for": "198.51.100.1, 203.0.113.9, 10.1.1.1", "x-request-id": "edge-42"}
    form = {"grant_type": "client_credentials"}
    answer = behind_proxies.http.post("/token", data=form, auth=behind_proxies.known.machine, headers=headers)
    assert answer.headers["x-request-id"] == "edge-42"
    assert behind_proxies.audit("address, request_id") == ("203.0.113.9", "edge-42")


def test_two_lines_of_forwarded_addresses_are_one_list(behind_proxies: Served) -> None:
    """RFC 9110 §5.3: a second line continues the first."""
    headers = [("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "203.0.113.9")]
    form = {"grant_type": "client_credentials"}
    behind_proxies.http.post("/token", data=form, auth=behind_proxies.known.machine, headers=headers)
    assert behind_proxies.audit("address") == ("203.0.113.9",)


@pytest.mark.parametrize("given", ["with space", "x" * 129, "a\tb", "<script>", ""])
def test_a_request_id_that_is_none_is_replaced(behind_proxies: Served, given: str) -> None:
    """It goes into the log and back to the client."""
    answer = behind_proxies.http.get("/healthz", headers={"x-request-id": given})
    assert answer.headers["x-request-id"] not in ("", given)
