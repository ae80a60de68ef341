"""Who leaves before the answer, does not read it, waits for the database, or is idle; and the end of the server."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.server.web.beside import issued, locked
from tests.server.web.served import Served, served
from tests.server.web.wire import TROUBLE, Wire, get, known


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that logs no requests; nothing it says may be trouble."""
    with served(tmp_path_factory.mktemp("waiting")) as found:
        yield found
        assert not TROUBLE.search(found.program.said), found.program.said


@pytest.mark.parametrize("leave", [Wire.reset, lambda wire: wire.socket.close()], ids=["RST", "FIN"])
def test_who_leaves_before_the_answer_harms_nobody(own: Served, leave: Callable[[Wire], None]) -> None:
    """The answer is owed, since the database is busy; the one beside gets its own."""
    request = known(own)
    for _ in range(3):
        with Wire(own) as stays, locked(own) as let_go:
            stays.send(request)
            for _ in range(20):
                wire = Wire(own)
                wire.send(request)
                leave(wire)
            assert stays.quiet(0.1)
            let_go()
            assert stays.answer().status == 200
            assert stays.ask(request).status == 200
    assert not TROUBLE.search(own.program.said), own.program.said


def test_a_locked_database_is_a_503_on_every_connection_and_then_over(own: Served) -> None:
    """As at the door: Retry-After, no token without its row; the same connections work again afterwards."""
    request = known(own)
    before = len(issued(own))
    wires = [Wire(own) for _ in range(5)]
    try:
        with locked(own):
            for wire in wires:
                wire.send(request)
            answers = [wire.answer() for wire in wires]
        assert [(answer.status, answer.json["error"]) for answer in answers] == [(503, "temporarily_unavailable")] * 5
        assert all(answer.express and int(answer.one("retry-after") or 0) > 0 for answer in answers)
        assert {answer.one("cache-control") for answer in answers} == {"no-store"}
        assert len(issued(own)) == before
        assert [wire.ask(request).status for wire in wires] == [200] * 5
        assert len(issued(own)) == before + 5
    finally:
        for wire in wires:
            wire.socket.close()


def test_who_does_not_read_holds_up_nobody(own: Served) -> None:
    """300 answers wait for one connection; others are answered, and at last all are read, in order."""
    request = known(own)
    start = len(issued(own))
    times = []
    with Wire(own, receive_buffer=2048) as slow, Wire(own) as quick:
        for _ in range(300):
            slow.send(request)
            asked = time.monotonic()
            assert quick.ask(request).status == 200  # so that the one before it was answered too
            times.append(time.monotonic() - asked)
        assert sorted(times)[290] < 0.5
        jtis = [str(slow.answer().claims["jti"]) for _ in range(300)]
        assert quick.ask(request).status == 200
    mine = set(jtis)
    assert len(mine) == 300
    assert [jti for jti in issued(own)[start:] if jti in mine] == jtis


def test_the_server_stops_after_it_has_answered(tmp_path: Path) -> None:
    """SIGTERM while answers are owed: they come, with a word that they are the last, and the process ends."""
    with served(tmp_path) as server:
        request = known(server)
        wires = [Wire(server) for _ in range(8)]
        idle = Wire(server)
        assert idle.ask(request).express
        with locked(server) as let_go:
            for wire in wires:
                wire.send(request)
            assert wires[-1].quiet(0.2)
            server.program.process.send_signal(signal.SIGTERM)
            assert not idle.rest()  # it hears of the end at once, and nothing else
            let_go()
            answers = [wire.rest() for wire in wires]
        stopped = time.monotonic()
        assert [[answer.status for answer in found] for found in answers] == [[200]] * 8
        assert all(found[0].express and found[0].one("connection") == "close" for found in answers)
        assert server.program.process.wait(5) == 0
        assert time.monotonic() - stopped < 5
        assert {str(found[0].claims["jti"]) for found in answers} <= set(issued(server))
        assert not TROUBLE.search(server.program.said), server.program.said
        for wire in (*wires, idle):
            wire.socket.close()


def test_the_server_stops_also_when_the_database_stays_locked(tmp_path: Path) -> None:
    """What is owed is then a refusal, and soon."""
    with served(tmp_path) as server:
        request = known(server)
        with Wire(server) as wire, locked(server):
            wire.send(request)
            assert wire.quiet(0.1)
            server.program.process.send_signal(signal.SIGTERM)
            assert [answer.status for answer in wire.rest()] == [503]
            assert server.program.process.wait(8) == 0


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server whose idle connections end after a second."""
    program = (str(Path(__file__).parent / "programs" / "hurried.py"),)
    with served(tmp_path_factory.mktemp("hurried"), program=program) as found:
        yield found
        assert not TROUBLE.search(found.program.said), found.program.said


def test_an_idle_connection_is_closed_after_its_time(hurried: Served) -> None:
    """Not before, and not much later; each request starts the time anew."""
    request = known(hurried)
    with Wire(hurried) as wire:
        for _ in range(3):
            assert wire.ask(request).express
            assert wire.quiet(0.7)
        assert wire.ask(request).express
        start = time.monotonic()
        assert not wire.rest()
        assert 0.9 < time.monotonic() - start < 3


def test_a_connection_in_use_is_not_closed_for_what_the_lane_saw_last(hurried: Served) -> None:
    """A token, then something else, then half of a request when the token's time is over."""
    request = known(hurried)
    with Wire(hurried) as wire:
        assert wire.ask(request).express
        assert wire.quiet(0.7)
        assert wire.ask(get("/healthz")).status == 200
        assert wire.quiet(0.7)
        assert wire.ask(request).express
        assert wire.quiet(0.8)
        wire.send(request[:50])
        assert wire.quiet(0.7)
        wire.send(request[50:])
        assert wire.answer().status == 200
        assert not wire.rest()


def test_a_connection_is_not_closed_while_its_answer_is_owed(hurried: Served) -> None:
    """Its time runs from the answer."""
    request = known(hurried)
    with Wire(hurried) as wire:
        assert wire.ask(request).express
        with locked(hurried) as let_go:
            wire.send(request)
            assert wire.quiet(1.5)
            let_go()
            assert wire.answer().status == 200
        assert wire.quiet(0.7)
        assert wire.ask(request).express
