"""Failed sign-ins: each counted before it is tried, so that many at once gain nothing. One suite for every adapter."""

from __future__ import annotations

import asyncio
import random
import secrets

import pytest

from watchword_server.adapters.memory.attempts import Attempts
from watchword_server.adapters.redis.attempts import RedisAttempts, SharedAttempts
from watchword_server.adapters.redis.link import Link
from watchword_server.people.throttle import FREE_FOR_ACCOUNT, FREE_FOR_ADDRESS, LONGEST, MEMORY

NOW = 1_800_000_000.25
ANN = ("account:ann", "address:192.0.2.1")
PATIENT = 10.0
"""Seconds: a busy machine is not the point here."""


@pytest.fixture
async def link(redis):
    """A line to Redis for an issuer that nobody else is."""
    link = Link(redis.url, f"https://{secrets.token_hex(8)}.example", PATIENT)
    yield link
    await link.close()


@pytest.fixture(params=["memory", "redis", "redis with this node's own"])
def attempts(request):
    """Each adapter; the node's own go along with those that are shared."""
    if request.param == "memory":
        return Attempts()
    shared = RedisAttempts(request.getfixturevalue("link"))
    return shared if request.param == "redis" else SharedAttempts(shared, Attempts())


async def test_an_account_waits_after_its_free_failures(attempts):
    """And longer after each further one; later it may try again."""
    assert [await attempts.begin(ANN, NOW) for _ in range(FREE_FOR_ACCOUNT)] == [0] * FREE_FOR_ACCOUNT
    pause = await attempts.begin(ANN, NOW)
    assert pause > 0
    assert await attempts.begin(ANN, NOW + pause) == 0
    assert await attempts.begin(ANN, NOW + pause) > pause


async def test_pauses_double_up_to_a_quarter_of_an_hour(attempts):
    """Of who always waits just as long as he is told, and fails again."""
    now, pauses = NOW, []
    while len(pauses) < 30:
        pause = await attempts.begin(("account:ann",), now)
        now += pause
        pauses += [pause] if pause else []
    doubling = [1 << n for n in range(10)]
    assert pauses == [*doubling, *[LONGEST] * (len(pauses) - len(doubling))]


async def test_an_attempt_that_must_wait_is_not_counted(attempts):
    """Asking again too early does not make it longer."""
    for _ in range(FREE_FOR_ACCOUNT):
        await attempts.begin(ANN, NOW)
    pauses = {await attempts.begin(ANN, NOW) for _ in range(100)}
    assert len(pauses) == 1


async def test_an_address_waits_whatever_accounts_it_tries(attempts):
    """One password for many people is a guess as well; another address is free."""
    for n in range(FREE_FOR_ADDRESS):
        assert await attempts.begin((f"account:{n}", "address:a"), NOW) == 0
    assert await attempts.begin(("account:new", "address:a"), NOW) > 0
    assert await attempts.begin(("account:new", "address:b"), NOW) == 0


async def test_success_clears_the_account_and_takes_back_one_from_the_address(attempts):
    """Else a good password would pay for the guesses of others at that address, or the other way round."""
    for _ in range(FREE_FOR_ACCOUNT):
        await attempts.begin(ANN, NOW)
    await attempts.succeed(ANN)
    assert await attempts.begin(ANN, NOW) == 0
    await attempts.succeed(ANN)
    left = FREE_FOR_ADDRESS - (FREE_FOR_ACCOUNT - 1)
    assert [await attempts.begin((f"account:{n}", ANN[1]), NOW) for n in range(left)] == [0] * left
    assert await attempts.begin(("account:last", ANN[1]), NOW) > 0


async def test_an_attempt_that_nobody_judged_is_taken_back(attempts):
    """From the account too, and one only."""
    for _ in range(FREE_FOR_ACCOUNT):
        await attempts.begin(ANN, NOW)
    await attempts.take_back(ANN)
    assert await attempts.begin(ANN, NOW) == 0
    assert await attempts.begin(ANN, NOW) > 0


async def test_many_good_sign_ins_from_one_address_never_wait(attempts):
    """An office behind one address."""
    for n in range(10 * FREE_FOR_ADDRESS):
        keys = (f"account:{n}", "address:office")
        assert await attempts.begin(keys, NOW) == 0
        await attempts.succeed(keys)


async def test_a_hundred_at_once_get_the_free_ones_only(attempts):
    """Whoever sends all guesses together is counted as if they came one after the other."""
    pauses = await asyncio.gather(*[attempts.begin(ANN, NOW) for _ in range(100)])
    assert sum(pause == 0 for pause in pauses) == FREE_FOR_ACCOUNT


@pytest.mark.parametrize("seed", range(4))
async def test_shared_attempts_decide_as_those_in_memory(link, seed):
    """The rule stands in Python and in Lua: whatever happens in whatever order, both say the same."""
    chance, now = random.Random(seed), NOW
    memory, shared = Attempts(), RedisAttempts(link)
    for _ in range(250):
        now += chance.choice((0, 0, 0.001, 0.5, 1, 30, LONGEST - 0.5, LONGEST, MEMORY - 0.25, MEMORY))
        keys = (f"account:{chance.randrange(2)}", f"address:{chance.randrange(2)}")
        act = chance.choice(("begin", "begin", "begin", "begin", "succeed", "take_back"))
        when = (now,) if act == "begin" else ()
        assert await getattr(shared, act)(keys, *when) == await getattr(memory, act)(keys, *when)


async def test_nodes_share_what_they_count(link, redis):
    """A guess at one is a guess at all, and a success at one clears it at all; another issuer's are its own."""
    here, there = SharedAttempts(RedisAttempts(link), Attempts()), SharedAttempts(RedisAttempts(link), Attempts())
    for n in range(FREE_FOR_ACCOUNT):
        assert await (here, there)[n % 2].begin(ANN, NOW) == 0
    assert await here.begin(ANN, NOW) == await there.begin(ANN, NOW) > 0
    stranger = Link(redis.url, "https://another.example", PATIENT)
    assert await RedisAttempts(stranger).begin((secrets.token_hex(8),), NOW) == 0
    await stranger.close()
    await there.succeed(ANN)
    assert await here.begin(ANN, NOW) == 0


async def test_redis_learns_no_name_and_forgets(link, redis):
    """Keys are hashes, and each goes by itself."""
    await RedisAttempts(link).begin(ANN, NOW)
    names = [link.key("attempts", key) for key in ANN]
    assert not any("ann" in name or "192" in name for name in names)
    assert all(MEMORY - 60 < int(redis.ask("TTL", name)) <= MEMORY for name in names)


async def test_memory_is_bounded_and_forgets_who_was_quiet_for_longest():
    """A flood of names cannot fill it, and does not free who keeps trying."""
    attempts = Attempts(remembered=100)
    for n in range(1000):
        await attempts.begin((f"account:{n}",), NOW)
        if n < FREE_FOR_ACCOUNT or n % 50 == 0:
            await attempts.begin(("account:ann",), NOW)
    assert await attempts.begin(("account:ann",), NOW) > 0
    assert await attempts.begin(("account:0",), NOW) == 0
