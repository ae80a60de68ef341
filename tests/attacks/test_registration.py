"""Registering oneself as a way to have the issuer fetch something, or to pass for somebody else (group B)."""

from __future__ import annotations

import json
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import count
from typing import Final

import httpx2
import pytest

from tests.server.web.served import Served, served
from watchword_server.protocol.self_registration import AT_ITS_HOST

SPELLINGS: Final = (
    "127.0.0.1:{port}",
    "127.1:{port}",
    "127.0.1.1:{port}",
    "2130706433:{port}",
    "0x7f000001:{port}",
    "0177.0.0.1:{port}",
    "0.0.0.0:{port}",
    "0:{port}",
    "localhost:{port}",
    "LOCALHOST:{port}",
    "localhost.:{port}",
    "[::1]:{port}",
    "[::]:{port}",
    "[0:0:0:0:0:0:0:1]:{port}",
    "[::ffff:127.0.0.1]:{port}",
    "[::ffff:7f00:1]:{port}",
    "[::127.0.0.1]:{port}",
    "[64:ff9b::7f00:1]:{port}",
    "[2002:7f00:1::]:{port}",
    "rp.example@127.0.0.1:{port}",
    "rp.example\\@127.0.0.1:{port}",
    "127.0.0.1:{port}#@rp.example",
    "169.254.169.254",
    "[fd00:ec2::254]",
    "168.63.129.16",
    "100.100.100.200",
    "10.0.0.1",
    "192.168.0.1",
    "172.16.0.1",
    "[fe80::1]",
    "[fc00::1]",
)
"""This machine, its neighbours and what clouds keep for themselves, as somebody might write them."""
SCHEMES: Final = ("https", "http")
OTHERS: Final = (
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/_x",
    "ftp://127.0.0.1:{port}/",
    "data:,[]",
    "//127.0.0.1:{port}/",
)
FETCHED: Final = ("sector_identifier_uri", "logo_uri")
"""What the issuer fetches when a client registers."""


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An issuer for everybody, where everybody may register."""
    settings = {"REGISTRATION__MODE": "open", "TRUSTED_PROXIES": "127.0.0.1"}
    with served(tmp_path_factory.mktemp("everybody"), issuer="https://id.example", **settings) as found:
        yield found


@pytest.fixture(scope="module")
def inside() -> Iterator[socket.socket]:
    """Something on this machine that nobody from outside is to reach."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.setblocking(False)
        yield listener


_numbers = count(1)


def register(door: Served, **said: object) -> httpx2.Response:
    """`POST /register`, each time from another address."""
    headers = {"x-forwarded-for": f"198.51.{next(_numbers) >> 8}.{next(_numbers) & 255}"}
    return door.http.post("/register", json={"id_token_signed_response_alg": "ES256", **said}, headers=headers)


def visited(inside: socket.socket) -> bool:
    """Whether somebody has come."""
    try:
        inside.accept()[0].close()
    except BlockingIOError:
        return False
    return True


@pytest.mark.parametrize("member", FETCHED)
def test_nothing_inside_is_reached_by_an_address_that_a_stranger_names(
    door: Served, inside: socket.socket, member: str
) -> None:
    """By no spelling and no scheme; the client is refused, or has no logo."""
    port = inside.getsockname()[1]
    uris = [f"{scheme}://{spelling}/x" for spelling in SPELLINGS for scheme in SCHEMES]
    for uri in (one.format(port=port) for one in (*uris, *OTHERS)):
        # At the host of the logo people return to, where that can be registered: else it would be left out.
        answer = register(door, redirect_uris=["https://rp.example/cb", uri], **{member: uri})
        if answer.status_code == 400:
            answer = register(door, redirect_uris=["https://rp.example/cb"], **{member: uri})
        if member == "logo_uri" and answer.status_code == 201:
            assert door.http.get(f"/logos/{answer.json()['client_id']}").status_code == 404
        else:
            assert (uri, answer.status_code, answer.json()["error"]) == (uri, 400, "invalid_client_metadata")
        assert not visited(inside), uri


def test_the_trap_would_notice_a_visitor(inside: socket.socket) -> None:
    """Else it would prove nothing."""
    with socket.create_connection(inside.getsockname()):
        assert visited(inside)
    assert not visited(inside)


@pytest.mark.parametrize(
    "member",
    ["jwks_uri", "request_uris", "backchannel_logout_uri", "initiate_login_uri", "client_uri", "policy_uri", "tos_uri"],
)
def test_no_other_member_names_this_machine_or_another_scheme(door: Served, member: str) -> None:
    """What is fetched later is refused at once, where its form tells; the fetcher refuses the rest each time."""
    for uri in (
        "http://rp.example/x",
        "https://localhost/x",
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://u@rp.example/x",
        "https://rp.example\\@127.0.0.1/x",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "data:text/html,x",
        "/x",
    ):
        answer = register(
            door, redirect_uris=["https://rp.example/cb"], **{member: [uri] if member.endswith("s") else uri}
        )
        if answer.status_code != 201 or member in answer.json():  # else it was left out, being at another host
            assert (uri, answer.status_code, answer.json()["error"]) == (uri, 400, "invalid_client_metadata")
        else:
            assert member in AT_ITS_HOST


def test_a_stranger_cannot_dress_up_as_somebody_whom_an_operator_knows(door: Served) -> None:
    """It may take a name, and everybody who shows it knows that nobody vouches for it; nothing else is its to take."""
    said = {
        "client_name": "Page",
        "client_id": door.known.spa,
        "client_uri": "https://bank.example/",
        "logo_uri": "https://bank.example/logo.png",
        "policy_uri": "https://bank.example/privacy",
        "first_party": True,
        "registered_itself": False,
        "origins": ["https://bank.example"],
        "pkce": "optional",
        "access": {"https://orders.example": ["orders:read"]},
        "software_statement": "eyJhbGciOiJub25lIn0.e30.",
    }
    answer = register(door, redirect_uris=["https://rp.example/cb"], **said)
    assert answer.status_code == 201
    told = answer.json()
    assert told["client_id"] not in {door.known.spa, door.known.web[0]}
    assert not {"client_uri", "logo_uri", "policy_uri", "first_party", "software_statement"} & told.keys()
    with closing(sqlite3.connect(door.data / "watchword.db")) as database:
        sql = "SELECT first_party, access, origins, metadata FROM clients WHERE client_id = ?"
        first_party, access, origins, metadata = database.execute(sql, (told["client_id"],)).fetchone()
    assert (first_party, json.loads(access), json.loads(origins)) == (0, {}, ["https://rp.example"])
    kept = json.loads(metadata)
    assert kept["registered_itself"] is True
    assert kept.get("pkce", "required") == "required"
    assert not {"client_uri", "logo_uri", "policy_uri"} & kept.keys()


@pytest.mark.parametrize("name", ["Page\u200b", "\u202eegaP", "Pa\u2066ge", "\ufeffPage", "Pa\x00ge", "Pa\nge", ""])
def test_a_name_that_hides_what_it_is_is_refused(door: Served, name: str) -> None:
    """Letters that nobody sees, and text that runs the other way."""
    answer = register(door, redirect_uris=["https://rp.example/cb"], client_name=name)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")


def test_a_stranger_cannot_get_tokens_without_a_person(door: Served) -> None:
    """No grant in which a client acts for itself, and no sign-in with passwords."""
    for grant in ("client_credentials", "password", "implicit", "urn:ietf:params:oauth:grant-type:token-exchange"):
        answer = register(door, redirect_uris=["https://rp.example/cb"], grant_types=["authorization_code", grant])
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")
    told = register(door, redirect_uris=["https://rp.example/cb"]).json()
    pair = (told["client_id"], told["client_secret"])
    assert door.http.post("/token", data={"grant_type": "client_credentials"}, auth=pair).status_code == 400
    body = {"client_id": told["client_id"], "email": "alice@example.com", "password": "x"}
    assert door.http.post("/session", json=body, auth=pair).json()["error"] == "unauthorized_client"


def test_a_flood_from_one_place_is_slowed_down_and_hits_nobody_else(door: Served) -> None:
    """With the time to wait; before anything is fetched or kept."""
    said = {"redirect_uris": ["https://rp.example/cb"], "id_token_signed_response_alg": "ES256"}
    near, far = {"x-forwarded-for": "203.0.113.9"}, {"x-forwarded-for": "203.0.113.10"}
    answers = [door.http.post("/register", json=said, headers=near) for _ in range(12)]
    slow = [answer for answer in answers if answer.status_code == 429]
    assert len(slow) >= 5
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in slow)
    assert {answer.json()["error"] for answer in slow} == {"slow_down"}
    assert door.http.post("/register", json=said, headers=far).status_code == 201
