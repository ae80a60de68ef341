"""The express lane over real sockets: the same answers as the door's, and nobody gets through who may not.

An HTTP library sends head and body apart and mostly misses the lane, so here whole requests go out in one write.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import jwt
import pytest

from tests.server.key_ages import LONG, born
from tests.server.web.beside import BY, issued, opened
from tests.server.web.served import AUDIENCE, Served, served
from tests.server.web.wire import GRANT, TROUBLE, Answer, Wire, known, post
from watchword_server.flows import clients, keys, revoking


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that logs no requests, so that the lane is open; nothing it says may be trouble."""
    with served(tmp_path_factory.mktemp("lane")) as found:
        yield found
        assert not TROUBLE.search(found.program.said), found.program.said


# The same answers as through the door.


def test_the_second_request_of_a_kind_takes_the_lane_and_looks_the_same(own: Served) -> None:
    """All headers and members but the token and the request id; and the token is another one each time."""
    with Wire(own) as wire:
        first = wire.ask(post(own.known.machine, body=GRANT + b"&n=1"))
        others = [wire.ask(post(own.known.machine, body=GRANT + b"&n=1")) for _ in range(20)]
    assert (first.express, {answer.express for answer in others}) == (False, {True})

    def shape(answer: Answer) -> tuple[object, ...]:
        kept = {name: "" if name in ("date", "x-request-id") else value for name, value in answer.headers}
        said = {**answer.json, "access_token": len(answer.token)}
        changing = {"jti": "", "iat": 0, "exp": 0}
        return answer.status, kept, len(answer.headers), said, {**answer.claims, **changing}

    assert all(shape(answer) == shape(first) for answer in others)
    everything = [first, *others]
    assert len({answer.claims["jti"] for answer in everything}) == 21
    assert len({answer.token for answer in everything}) == 21
    assert len({answer.one("x-request-id") for answer in everything}) == 21
    assert all(len(answer.headers) == len(dict(answer.headers)) for answer in everything)


def test_there_is_one_audit_row_for_each_token_and_none_besides(own: Served) -> None:
    """600 tokens over 12 connections at once: the rows name exactly those that were handed out."""
    before = set(issued(own))

    def one(_: int) -> list[tuple[str, bool]]:
        with Wire(own) as wire:
            answers = [wire.ask(post(own.known.machine)) for _ in range(50)]
        return [(str(answer.claims["jti"]), answer.express) for answer in answers]

    with ThreadPoolExecutor(12) as pool:
        got = [pair for found in pool.map(one, range(12)) for pair in found]
    rows = issued(own)
    assert len(rows) == len(set(rows)), "a token with two rows"
    assert set(rows) - before == {jti for jti, _ in got}
    assert len(got) == 600
    assert sum(express for _, express in got) >= 500


def test_a_stranger_cannot_choose_what_the_audit_trail_says(own: Served) -> None:
    """Forwarded headers and request ids count behind a trusted proxy only; control characters are taken out."""
    spoofed = ("X-Forwarded-For: 203.0.113.9", "Forwarded: for=203.0.113.9", "X-Request-Id: chosen", "User-Agent: a\tb")
    with Wire(own) as wire:
        wire.ask(post(own.known.machine, *spoofed))
        answer = wire.ask(post(own.known.machine, *spoofed))
    assert answer.express
    address, agent, request_id = own.audit("address, agent, request_id")
    assert (address, agent) == ("127.0.0.1", "ab")
    assert request_id == answer.one("x-request-id") != "chosen"


# What is not quite the request that is known.

HEADER = rb"%s: [^\r]*\r\n"
TYPE = b"application/x-www-form-urlencoded"


def without(name: str, request: bytes) -> bytes:
    """The request, but for a header."""
    return re.sub(HEADER % name.encode(), b"", request)


def also(line: str, request: bytes) -> bytes:
    """The request with one more header before the others."""
    return request.replace(b"Host", line.encode() + b"\r\nHost", 1)


def again(name: str, request: bytes) -> bytes:
    """The request with a header twice."""
    found = re.search(HEADER % name.encode(), request)
    assert found
    return request.replace(found[0], found[0] * 2, 1)


def longer(by: bytes, request: bytes) -> bytes:
    """The request with a longer body."""
    return request.replace(b"Content-Length: 49", b"Content-Length: %d" % (49 + len(by)), 1) + by


def other(old: str, new: str, request: bytes) -> bytes:
    """The request with something else in one place."""
    return request.replace(old.encode(), new.encode(), 1)


# fmt: off
UNUSUAL: list[tuple[str, Callable[[bytes], bytes], int]] = [
    ("credentials twice",    partial(again, "Authorization"),                       400),
    ("type twice",           partial(again, "Content-Type"),                        400),
    ("two types",            partial(also, "Content-Type: text/plain"),             400),
    ("charset",              partial(other, "urlencoded", "urlencoded; charset=UTF-8"), 200),
    ("upper-case type",      partial(other, TYPE.decode(), TYPE.decode().upper()),  200),
    ("another type",         partial(other, TYPE.decode(), "text/plain"),           415),
    ("no type",              partial(without, "Content-Type"),                      415),
    ("no credentials",       partial(without, "Authorization"),                     401),
    ("a query",              partial(other, "/token ", "/token?a=b "),              400),
    ("an empty query",       partial(other, "/token ", "/token? "),                 200),
    ("percent in the path",  partial(other, "/token ", "/%74oken "),                200),
    ("absolute form",        partial(other, "/token ", "http://x/token "),          200),
    ("another path",         partial(other, "/token ", "/Token "),                  404),
    ("another method",       partial(other, "POST ", "PUT "),                       405),
    ("an upgrade asked for", partial(also, "Upgrade: h2c"),                         200),
    ("encoded",              partial(also, "Content-Encoding: gzip"),               200),
    ("a parameter twice",    partial(longer, b"&scope="),                           400),
    ("a byte more",          partial(longer, b"&"),                                 400),
    ("a byte less",          lambda request: longer(b"", request)[:-1].replace(b": 49", b": 48"), 400),
]
# fmt: on


@pytest.mark.parametrize(("change", "status"), [row[1:] for row in UNUSUAL], ids=[row[0] for row in UNUSUAL])
def test_a_small_difference_is_decided_anew(own: Served, change: Callable[[bytes], bytes], status: int) -> None:
    """The lane knows bytes; all else has the door's answer, also on a connection where it was known before."""
    assert len(GRANT) == 49
    request = known(own)
    changed = change(request)
    assert changed != request
    with Wire(own) as wire:
        assert wire.ask(request).express
        answer = wire.ask(changed)
        assert (answer.status, answer.express) == (status, False), answer


@pytest.mark.parametrize("spelled", [bytes.lower, bytes.upper, bytes.swapcase])
def test_header_names_are_known_in_any_case(own: Served, spelled: Callable[[bytes], bytes]) -> None:
    """RFC 9110 §5.1."""
    request = re.sub(rb"(?m)^([A-Za-z-]+):", lambda found: spelled(found[1]) + b":", known(own))
    with Wire(own) as wire:
        assert wire.ask(request).express


def test_a_wrong_secret_is_never_answered_from_memory(own: Served) -> None:
    """Right and wrong ones in turns, of two clients, on one connection and on many."""
    machine, (client_id, secret) = own.known.machine, own.known.machine
    wrong = [(client_id, secret[:-1] + "~"), (client_id, ""), (client_id, secret + "x"), (own.known.web[0], secret)]
    wrong += [(client_id.upper(), secret), (client_id, secret.swapcase()), own.known.api]

    def turns(_: int) -> None:
        with Wire(own) as wire:
            for pair in wrong:
                right, refused = wire.ask(post(machine)), wire.ask(post(pair))
                assert (right.status, refused.status, refused.express) == (200, 401, False), pair
                assert right.claims["sub"] == client_id
                assert refused.json["error"] == "invalid_client"

    known(own)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(turns, range(8)))


# What changes in another process counts for the very next request.


def test_nothing_is_known_longer_than_it_is_true(tmp_path: Path) -> None:
    """Secret, client, API, scope of keys: another process changes it, and the next equal request is decided anew."""
    with served(tmp_path) as server:
        asyncio.run(_changes(server))
        assert not TROUBLE.search(server.program.said), server.program.said


async def _changes(server: Served) -> None:
    machine = server.known.machine
    client_id, now = machine[0], int(time.time())
    with Wire(server) as wire:

        def asked(pair: tuple[str, str], express: bool | None = None) -> Answer:
            answer = wire.ask(post(pair))
            assert express is None or answer.express is express, answer
            return answer

        async with opened(server) as issuer:

            async def after(change: Awaitable[object]) -> Answer:
                """The answer to the request that follows a change; before it, it was known."""
                asked(pair)
                assert asked(pair, express=True).status == 200
                await change
                return asked(pair)

            pair = machine
            for _ in range(10):
                refused = await after(clients.disable(issuer, BY, client_id, now))
                assert (refused.status, refused.express) == (401, False)
                await clients.enable(issuer, BY, client_id, now)
                assert asked(pair, express=False).status == 200

                old = pair
                given: list[str] = []

                async def rotate_secret(into: list[str] = given) -> None:
                    into.append((await clients.new_secret(issuer, BY, client_id, now))[1])

                refused = await after(rotate_secret())
                assert (refused.status, refused.express) == (401, False)
                pair = (client_id, given[0])
                assert asked(pair, express=False).status == 200
                assert asked(old).status == 401

                answer = await after(clients.new_api_secret(issuer, BY, AUDIENCE, now))
                assert (answer.status, answer.express) == (200, False)

                answer = await after(
                    clients.add_api(issuer, BY, f"https://{given[0][-8:].lower()}.example", "X", ("a",), now)
                )
                assert (answer.status, answer.express) == (200, False)

                born(server.data, now - LONG)
                before = jwt.get_unverified_header(asked(pair).token)["kid"]
                answer = await after(keys.rotate(issuer, BY, "access", now))
                rotated = jwt.get_unverified_header(answer.token)["kid"]
                answer = await after(keys.revoke_key(issuer, BY, rotated, now))
                last = jwt.get_unverified_header(answer.token)["kid"]
                assert len({before, rotated, last}) == 3
                assert jwt.get_unverified_header(asked(pair, express=True).token)["kid"] == last


@pytest.mark.parametrize("crowd", [0, 300])
def test_a_token_made_after_a_revocation_says_so(tmp_path: Path, crowd: int) -> None:
    """The next answer has the `rev` that another process has just committed, also where 300 others ask at once."""

    async def rounds(server: Served) -> int:
        request, express = known(server), 0
        with Wire(server) as wire:
            async with opened(server) as issuer:
                for _ in range(200 if not crowd else 60):
                    (entry,) = await revoking.client(issuer, BY, server.known.machine[0], int(time.time()))
                    answer = wire.ask(request)
                    assert answer.claims["rev"] == entry.seq
                    express += answer.express
        return express

    with served(tmp_path) as server, crowded(server, crowd):
        assert asyncio.run(rounds(server)) >= (190 if not crowd else 50)


@contextmanager
def crowded(server: Served, size: int) -> Iterator[None]:
    """So many connections ask for the same token, all at once, again and again."""
    request, end = known(server), threading.Event()
    wires = [Wire(server) for _ in range(size)]

    def ask() -> None:
        while not end.is_set():
            for wire in wires:
                wire.send(request)
            assert {wire.answer().status for wire in wires} == {200}

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask) if size else None
        try:
            yield
        finally:
            end.set()
            if asking is not None:
                asking.result()
            for wire in wires:
                wire.socket.close()
