"""Password hashes: right, bounded, and as slow for nobody as for somebody."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from argon2 import extract_parameters

from watchword_server.adapters.argon2 import LONGEST, NOBODY, Argon2
from watchword_server.ports import Busy


@pytest.fixture
def hasher():
    """With room for four."""
    hasher = Argon2(waiting=4)
    yield hasher
    hasher.close()


async def test_a_password_matches_its_own_hash_only(hasher):
    """Whatever its letters, a NUL among them."""
    for password in ("correct horse", "pässwörd", "a\x00b", "x" * LONGEST):
        kept = await hasher.hash(password)
        assert await hasher.matches(kept, password)
        assert not await hasher.matches(kept, password[:-1] + "?")
    assert not await hasher.matches(await hasher.hash("a\x00b"), "a\x00c")


async def test_hashes_are_argon2id_with_19_mib_two_rounds_and_one_lane(hasher):
    """The parameters of the design; the hash of nobody has the same, so it takes as long."""
    parameters = extract_parameters(await hasher.hash("password"))
    assert parameters == extract_parameters(NOBODY)
    assert (parameters.type.name, parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (
        "ID",
        19 * 1024,
        2,
        1,
    )
    assert (await hasher.hash("password")) != (await hasher.hash("password"))


async def test_nobody_never_matches_and_takes_as_long(hasher):
    """An unknown user is not told apart by time."""
    kept = await hasher.hash("password")

    async def cost(password_hash: str | None) -> float:
        start = time.process_time()  # of all threads; by the clock, other processes would be in it
        assert not await hasher.matches(password_hash, "wrong")
        return time.process_time() - start

    times = [(await cost(kept), await cost(None)) for _ in range(9)]
    somebody, nobody = (min(column) for column in zip(*times, strict=True))
    assert nobody == pytest.approx(somebody, rel=0.5)


async def test_what_is_too_long_or_no_text_is_refused_and_never_cut(hasher):
    """Two passwords that differ at the end stay two."""
    kept = await hasher.hash("x" * LONGEST)
    for password in ("x" * (LONGEST + 1), "é" * LONGEST, "\ud800"):
        with pytest.raises(ValueError, match="at most 1024 bytes") as refusal:
            await hasher.hash(password)
        assert password not in str(refusal.value)
        assert not await hasher.matches(kept, password)
        assert not await hasher.matches(None, password)


async def test_a_broken_hash_matches_nothing(hasher):
    """Nor is it an error that would tell this user apart."""
    for broken in ("", "plain", "$2b$12$abcdefghijklmnopqrstuv"):
        assert not await hasher.matches(broken, "")
        assert not await hasher.matches(broken, "plain")


async def test_too_many_at_once_are_busy_and_the_others_are_answered(hasher):
    """Memory and waiting are bounded; places come back."""
    for _ in range(2):
        results = await asyncio.gather(*[hasher.matches(None, "x") for _ in range(9)], return_exceptions=True)
        assert sorted(map(repr, results)) == [*["Busy('too many passwords wait to be hashed')"] * 5, *["False"] * 4]


async def test_callers_that_go_away_give_their_places_back(hasher):
    """When their work has ended, not before."""
    tasks = [asyncio.create_task(hasher.matches(None, "x")) for _ in range(4)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(10):
        while True:
            try:
                assert not await hasher.matches(None, "x")
                break
            except Busy:
                await asyncio.sleep(0.001)


async def test_hashes_run_one_at_a_time_beside_the_event_loop(hasher):
    """The loop turns while they run."""
    turns = 0
    work = asyncio.gather(*[hasher.hash("password") for _ in range(4)])
    while not work.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 50
    assert len([thread for thread in threading.enumerate() if thread.name.startswith("watchword-argon2")]) == 1


async def test_a_closed_hasher_is_busy(hasher):
    """At the end of the process."""
    hasher.close()
    with pytest.raises(Busy):
        await hasher.hash("password")
