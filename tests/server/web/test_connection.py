"""Requests in pieces and in heaps: each gets its own answer, or none. Most of these take the express lane."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.server.web.served import AUDIENCE, FORM, Served, basic, served
from tests.server.web.wire import GRANT, TROUBLE, Answer, Wire, get, known, post
from watchword_server.web.connection import MAX_HEAD
from watchword_server.web.express import MAX_BODY


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that logs no requests; nothing it says may be trouble."""
    with served(tmp_path_factory.mktemp("connections")) as found:
        yield found
        assert not TROUBLE.search(found.program.said), found.program.said


# Bytes as they come.


@pytest.mark.parametrize("size", [1, 7, 60])
def test_a_request_in_pieces_is_answered(own: Served, size: int) -> None:
    """However it is cut: head and body, byte by byte."""
    request = known(own)
    with Wire(own) as wire:
        for at in range(0, len(request), size):
            wire.send(request[at : at + size])
        assert wire.answer().claims["aud"] == AUDIENCE
        assert wire.ask(request).status == 200


def test_every_cut_in_two_is_answered(own: Served) -> None:
    """On one connection, so that what was held back for one request never gets into the next."""
    request = known(own)
    with Wire(own) as wire:
        for at in range(1, len(request), 3):
            wire.send(request[:at])
            wire.send(request[at:])
            assert wire.answer().claims["client_id"] == own.known.machine[0]


def test_a_body_is_waited_for(own: Served) -> None:
    """A known head alone gets no answer, nor does a body that lacks its last byte."""
    request = known(own)
    with Wire(own) as wire:
        wire.send(request[: -len(GRANT)])
        assert wire.quiet(0.2)
        wire.send(request[-len(GRANT) : -1])
        assert wire.quiet(0.2)
        wire.send(request[-1:])
        assert wire.answer().status == 200


def test_chunks_are_put_together(own: Served) -> None:
    """RFC 9112 §7.1, also with the whole request in one write."""
    known(own)
    head = f"POST /token HTTP/1.1\r\nHost: x\r\nAuthorization: {basic(own.known.machine)}\r\n"
    head += f"Content-Type: {FORM['content-type']}\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (GRANT[:10], GRANT[10:11], GRANT[11:]))
    with Wire(own) as wire:
        answer = wire.ask(head.encode() + body + b"0\r\n\r\n")
        assert (answer.status, answer.express) == (200, False)
        broken = wire.ask(head.encode() + b"3\r\nabcd\r\n0\r\n\r\n")
        assert broken.status == 400
        assert not wire.rest()


def test_who_expects_to_be_asked_for_the_body_is(own: Served) -> None:
    """RFC 9110 §10.1.1: 100 Continue, then the answer; also where the body did not wait for it."""
    request = known(own).replace(b"Host", b"Expect: 100-continue\r\nHost", 1)
    with Wire(own) as wire:
        wire.send(request[: -len(GRANT)])
        assert wire.answer().status == 100
        wire.send(GRANT)
        assert wire.answer().status == 200
        wire.send(request)
        statuses = [wire.answer().status]
        if statuses == [100]:
            statuses.append(wire.answer().status)
        assert statuses in ([200], [100, 200])


@pytest.mark.parametrize("size", [MAX_BODY, MAX_BODY + 1, 20_000, 65_536])
def test_a_long_form_is_answered_the_ordinary_way(own: Served, size: int) -> None:
    """What the lane does not look at is nobody's loss."""
    start = GRANT + b"&padding="
    request = post(own.known.machine, body=start + b"x" * (size - len(start)))
    with Wire(own) as wire:
        assert wire.ask(request).status == 200
        again = wire.ask(request)
        assert (again.status, again.express and size > MAX_BODY) == (200, False)


def test_too_long_a_body_is_refused_and_the_next_request_is_not_read_from_it(own: Served) -> None:
    """413, and the connection ends: nothing inside the body is taken for a request."""
    inner = known(own)
    body = GRANT + b"&padding=" + b"x" * 70_000 + inner
    with Wire(own) as wire:
        answer = wire.ask(post(own.known.machine, body=body))
        assert (answer.status, answer.one("connection")) == (413, "close")
        assert not wire.rest()


@pytest.mark.parametrize("more", [(), ("Connection: keep-alive",)])
def test_http_1_0_is_answered_and_the_connection_ends(own: Served, more: tuple[str, ...]) -> None:
    """RFC 9112 §9.3: who speaks 1.0 waits for the end, unless keep-alive is promised, and it is not."""
    known(own)
    with Wire(own) as wire:
        answer = wire.ask(post(own.known.machine, *more, version="1.0"))
        assert (answer.status, answer.one("connection"), answer.express) == (200, "close", False)
        assert not wire.rest()


@pytest.mark.parametrize("value", ["close", "Close", "close, TE", "TE, close"])
def test_a_connection_that_shall_close_does(own: Served, value: str) -> None:
    """RFC 9112 §9.6: the answer says so, and comes first."""
    known(own)
    with Wire(own) as wire:
        answer = wire.ask(post(own.known.machine, f"Connection: {value}"))
        assert (answer.status, answer.one("connection")) == (200, "close")
        assert not wire.rest()


# Several requests at once.

JWKS = get("/jwks.json")
CHUNKS = b"POST /token HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"
ENDLESS = b"GET / HTTP/1.1\r\nx: " + b"y" * MAX_HEAD * 2
LAST = get("/jwks.json", "Connection: close")

# fmt: off
PIPELINES: list[tuple[str, Callable[[bytes], bytes], list[str]]] = [
    ("two tokens",              lambda token: token + token,              ["token", "token"]),
    ("five tokens",             lambda token: token * 5,                  ["token"] * 5),
    ("token, keys",             lambda token: token + JWKS,               ["token", "keys"]),
    ("keys, token",             lambda token: JWKS + token,               ["keys", "token"]),
    ("keys, token, keys",       lambda token: JWKS + token + JWKS,        ["keys", "token", "keys"]),
    ("token, half a request",   lambda token: token + token[:40],         ["token"]),
    ("token, empty line",       lambda token: token + b"\r\n",            ["token"]),
    ("token, nonsense",         lambda token: token + b"nonsense\r\n",    ["token", "bad"]),
    ("keys, nonsense",          lambda token: JWKS + b"nonsense\r\n",     ["keys", "bad"]),
    ("keys twice, nonsense",    lambda token: JWKS * 2 + b"nonsense\r\n", ["keys", "keys", "bad"]),
    ("token, broken chunks",    lambda token: token + CHUNKS,             ["token", "bad"]),
    ("keys, broken chunks",     lambda token: JWKS + CHUNKS,              ["keys", "bad"]),
    ("token, endless head",     lambda token: token + ENDLESS,            ["token", "bad"]),
    ("keys, endless head",      lambda token: JWKS + ENDLESS,             ["keys", "bad"]),
    ("token, last",             lambda token: token + LAST,               ["token", "keys"]),
]
# fmt: on


def kind(answer: Answer) -> str:
    """What was answered."""
    if answer.status in (400, 415, 431):
        return "bad"
    assert answer.status == 200, answer
    return "token" if "access_token" in answer.json else "keys"


@pytest.mark.parametrize(("spelled", "kinds"), [row[1:] for row in PIPELINES], ids=[row[0] for row in PIPELINES])
def test_no_answer_is_given_to_another_request(
    own: Served, spelled: Callable[[bytes], bytes], kinds: list[str]
) -> None:
    """RFC 9112 §9.3.2: the first is answered; what follows has its own answer or none, in order, and nothing else."""
    requests = spelled(known(own))
    for _ in range(10):
        with Wire(own) as wire:
            wire.send(requests)
            found: list[str] = []
            try:
                while len(found) < len(kinds) and not (found and wire.quiet(0.3)):
                    found.append(kind(wire.answer()))
            except ConnectionError:
                pass
            assert found
            assert found == kinds[: len(found)]


def test_the_answers_of_two_clients_on_one_connection_are_not_mixed(own: Served) -> None:
    """As a proxy sends them: the first client's answer comes first, whatever way each is made."""
    machine, web = own.known.machine, own.known.web
    one, other = post(machine), post(web)
    with Wire(own) as wire:
        assert [wire.ask(request).status for request in (one, one, other)] == [200, 200, 400]
    for requests, subjects in (
        ((one, other), [machine[0], "refused"]),
        ((other, one), ["refused", machine[0]]),
        ((other, one, other), ["refused", machine[0], "refused"]),
    ):
        for _ in range(10):
            with Wire(own) as wire:
                wire.send(b"".join(requests))
                found: list[str] = []
                try:
                    while len(found) < len(subjects) and not (found and wire.quiet(0.3)):
                        answer = wire.answer()
                        found.append(answer.claims["sub"] if answer.status == 200 else "refused")
                except ConnectionError:
                    pass
                assert found
                assert found == subjects[: len(found)]


def test_who_is_hung_up_on_is_told_so(own: Served) -> None:
    """The last answer of a connection says that it is (RFC 9112 §9.6)."""
    request = known(own)
    with Wire(own) as wire:
        wire.send(request + request)
        answers = wire.rest()
    assert [answer.status for answer in answers] == [200]
    assert answers[0].express
    assert answers[0].one("connection") == "close"
