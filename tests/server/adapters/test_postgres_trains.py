"""Many questions in one round trip: never an answer that is older than its question, and nobody is left waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from watchword_server.adapters.sql.postgres.trains import SEATS, WAITING, Train
from watchword_server.ports import Unavailable


class Line:
    """Answers a trip when it is told to, with what was true when it began."""

    def __init__(self) -> None:
        self.truth = 0
        self.trips: list[Sequence[str]] = []
        self.go = asyncio.Event()
        self.go.set()
        self.fails = False

    async def carry(self, keys: Sequence[str]) -> Mapping[str, int]:
        self.trips.append(tuple(keys))
        truth = self.truth
        await self.go.wait()
        if self.fails:
            raise Unavailable("down")
        return {key: truth for key in keys if key != "nobody"}


@pytest.fixture
async def line():
    return Line()


async def test_those_of_one_turn_share_a_trip(line):
    """Each gets its own answer, or none."""
    train = Train(line.carry)
    assert await asyncio.gather(*map(train.board, ("a", "b", "nobody", "a"))) == [0, 0, None, 0]
    assert line.trips == [("a", "b", "nobody", "a")]


async def test_an_answer_is_never_older_than_its_question(line):
    """Who comes while a trip is under way is on the next, however close the question."""
    train = Train(line.carry)
    line.go.clear()
    early = train.board("a")
    while not line.trips:
        await asyncio.sleep(0)
    line.truth = 1
    late = train.board("a")
    line.go.set()
    assert await asyncio.wait_for(asyncio.gather(early, late), 5) == [0, 1]
    assert len(line.trips) == 2


async def test_a_trip_that_fails_fails_those_who_wait_too(line):
    """They have waited for as long as anybody may; the next question goes on a trip of its own."""
    train = Train(line.carry)
    line.go.clear()
    line.fails = True
    first = train.board("a")
    while not line.trips:
        await asyncio.sleep(0)
    second = train.board("b")
    line.go.set()
    assert {type(one) for one in await asyncio.gather(first, second, return_exceptions=True)} == {Unavailable}
    assert len(line.trips) == 1
    line.fails = False
    assert await train.board("c") == 0


async def test_who_goes_away_disturbs_nobody(line):
    """A cancelled asker leaves the others their answers."""
    train = Train(line.carry)
    gone, stays = train.board("a"), train.board("b")
    gone.cancel()
    assert await stays == 0


async def test_a_crowd_goes_in_several_trips_and_is_bounded(line):
    """No trip is too long, and what waits is bounded."""
    train = Train(line.carry)
    answers = [train.board(str(n)) for n in range(WAITING)]
    with pytest.raises(Unavailable):
        train.board("one more")
    await asyncio.gather(*answers)
    assert {len(trip) for trip in line.trips} == {SEATS}
