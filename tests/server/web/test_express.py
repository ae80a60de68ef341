"""The express lane gives the same answers as the door, one audit row each, and lets nobody through who may not."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx2
import jwt
import pytest

from tests.server.web.served import FORM, Served, basic, served
from tests.stories.processes import environ, watchword

GRANT = b"grant_type=client_credentials&scope=orders%3Aread"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server behind a proxy that logs no requests, so that the lane is open."""
    with served(tmp_path_factory.mktemp("express"), TRUSTED_PROXIES="127.0.0.1") as found:
        yield found


def ask(own: Served, **headers: str) -> httpx2.Response:
    """The same request every time, but for these headers."""
    return own.http.post("/token", content=GRANT, headers=FORM | headers, auth=own.known.machine)


def jti(answer: httpx2.Response) -> object:
    """The identity of the token that was answered."""
    assert answer.status_code == 200, answer.text
    found = jwt.decode(answer.json()["access_token"], options={"verify_signature": False})
    assert (found["sub"], found["scope"]) == (found["client_id"], "orders:read")
    return found["jti"]


def test_a_repeated_request_gets_the_same_answer_with_a_token_of_its_own(own: Served) -> None:
    """Member by member and header by header, but for what must differ."""
    answers = [ask(own) for _ in range(5)]
    assert len({jti(answer) for answer in answers}) == 5
    assert len({answer.headers["x-request-id"] for answer in answers}) == 5
    first, *others = ({**answer.json(), "access_token": ""} for answer in answers)
    assert all(other == first for other in others)
    own_ones = {"x-request-id", "date"}
    kept = [{name: value for name, value in answer.headers.items() if name not in own_ones} for answer in answers]
    assert all(headers == kept[0] for headers in kept)


def test_each_token_has_its_audit_row_with_where_it_went(own: Served) -> None:
    """Whichever way it was made: the proxy's word for the address, the agent, the request id, the jti."""
    for number in range(3):
        forwarded, request_id = f"203.0.113.{number}", f"edge-{number}"
        headers = {"x-forwarded-for": forwarded, "x-request-id": request_id, "user-agent": f"test/{number}"}
        answer = ask(own, **headers)
        address, agent, given, detail = own.audit("address, agent, request_id, detail")
        assert (address, agent, given) == (forwarded, f"test/{number}", request_id)
        assert answer.headers["x-request-id"] == request_id
        assert str(jti(answer)) in str(detail)


def test_many_at_once_are_each_answered_and_audited(own: Served) -> None:
    """They share transactions, and nothing else."""

    def rows() -> int:
        with closing(sqlite3.connect(own.data / "watchword.db")) as database:
            count: int = database.execute("SELECT count(*) FROM audit WHERE action = 'token.issue'").fetchone()[0]
            return count

    before = rows()
    with ThreadPoolExecutor(16) as pool:
        tokens = list(pool.map(lambda _: jti(ask(own)), range(200)))
    assert len(set(tokens)) == 200
    assert rows() == before + 200


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Basic Og=="},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded; charset=utf-8"},
        {"expect": "100-continue"},
        {"connection": "close"},
    ],
)
def test_what_is_unusual_is_answered_as_ever(own: Served, headers: dict[str, str]) -> None:
    """After a request that was known, a small difference still counts."""
    assert ask(own).status_code == 200
    given = {"authorization": basic(own.known.machine), **FORM, **headers}
    expected = {"authorization": 401, "content-type": 415 if "plain" in str(headers) else 200}
    answer = own.http.post("/token", content=GRANT, headers=given)
    assert answer.status_code == expected.get(next(iter(headers)), 200)


def test_a_query_is_refused_also_where_the_form_is_known(own: Served) -> None:
    """The lane knows one URL only."""
    assert ask(own).status_code == 200
    assert own.http.post("/token?x=1", content=GRANT, headers=FORM, auth=own.known.machine).status_code == 400


def test_requests_in_one_write_are_answered_in_order_or_not_at_all(own: Served) -> None:
    """RFC 9112 §9.3.2: who pipelines gets whole answers, and may have to ask again on another connection."""
    head = f"POST /token HTTP/1.1\r\nHost: x\r\nAuthorization: {basic(own.known.machine)}\r\n"
    head += f"Content-Type: {FORM['content-type']}\r\nContent-Length: {len(GRANT)}\r\n\r\n"
    request = head.encode() + GRANT
    last = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert ask(own).status_code == 200
    answer = own.raw(request * 3 + last)
    bodies = answer.split(b"HTTP/1.1 ")[1:]
    assert bodies
    assert all(body.startswith(b"200 OK\r\n") and body.endswith(b"}") for body in bodies)


def test_who_was_known_and_is_disabled_is_refused_at_once(tmp_path: Path) -> None:
    """Another process disables the client, or replaces its secret; the very next request is refused."""
    with served(tmp_path) as server:
        variables = {"WATCHWORD_ISSUER": server.issuer, "WATCHWORD_DATA": str(server.data)}

        def command(*arguments: str) -> None:
            ran = watchword(*arguments, env=environ(**variables), cwd=tmp_path)
            assert ran.code == 0, ran.err

        client_id = server.known.machine[0]
        for step, status in (("disable", 401), ("enable", 200), ("secret", 401)):
            assert step != "disable" or ask(server).status_code == 200
            command("client", step, client_id)
            assert ask(server).status_code == status, step


def test_a_locked_database_is_a_503_in_the_lane_too(own: Served) -> None:
    """No token without its row: everybody of that turn is told to try again."""
    assert ask(own).status_code == 200
    with closing(sqlite3.connect(own.data / "watchword.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: ask(own), range(4)))
        other.execute("ROLLBACK")
    assert {answer.status_code for answer in answers} == {503}
    assert {answer.json()["error"] for answer in answers} == {"temporarily_unavailable"}
    assert all(int(answer.headers["retry-after"]) > 0 and answer.headers["x-request-id"] for answer in answers)
    assert ask(own).status_code == 200


REFUSED = (
    b"refresh_token=wwr_unknown",
    b"refresh_token=",
    b"refresh_token=a&refresh_token=b",
    b"refresh_token=%ff",
    b"client_id=another&refresh_token=x",
    b"client_secret=x&refresh_token=x",
    b"scope=",
)


@pytest.mark.parametrize("rest", REFUSED)
@pytest.mark.parametrize("right", [True, False], ids=["right secret", "wrong secret"])
def test_a_refresh_is_refused_by_the_lane_as_by_the_door(own: Served, rest: bytes, right: bool) -> None:
    """Only where the grant type stands first does the lane take it; the answers are the same, header by header."""
    client = own.known.machine if right else (own.known.machine[0], "wrong")
    forms = (b"grant_type=refresh_token&" + rest, rest + b"&grant_type=refresh_token")
    lane, door = (own.http.post("/token", content=form, headers=FORM, auth=client) for form in forms)
    assert lane.status_code in (400, 401)
    assert (lane.status_code, lane.content) == (door.status_code, door.content)
    different = {"x-request-id", "date"}
    assert {name: value for name, value in lane.headers.items() if name not in different} == {
        name: value for name, value in door.headers.items() if name not in different
    }
