"""Values that count once: one suite for the database, for Redis, and for the database behind Redis."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count

import pytest

from tests.servers.redis import server
from tests.stores.databases import Database
from tests.stores.people_and_programs import NOW
from tests.stores.spenders import ISSUER, PATIENT, WAYS, spender
from watchword_server.adapters.redis.link import BOUND, Link
from watchword_server.adapters.redis.spent import GuardedSpent, RedisSpent
from watchword_server.ports import Unavailable

LATER = int(time.time()) + 3600


@pytest.fixture
def issuer():
    """Nobody else's name on the shared Redis."""
    return f"https://{secrets.token_hex(8)}.example"


@pytest.fixture(params=WAYS)
def way(request):
    """Who decides."""
    return request.param


@pytest.fixture
async def spent(way, database, redis, issuer):
    """One node's."""
    async with spender(way, database, redis.url, issuer) as spent:
        yield spent


async def test_a_value_counts_once(spent):
    """And never again while it lives, however often it comes."""
    assert await spent.spend("proof", "a", LATER) is True
    assert [await spent.spend("proof", "a", LATER) for _ in range(3)] == [False] * 3


async def test_kinds_are_apart(spent):
    """A `jti` of an assertion says nothing of the same `jti` in a proof; nor does how the two are put together."""
    pairs = [("proof", "a"), ("assertion", "a"), ("proof", "A"), ("proof", "a "), ("proof", ""), ("proo", "fa")]
    assert [await spent.spend(kind, value, LATER) for kind, value in pairs] == [True] * len(pairs)
    assert [await spent.spend(kind, value, LATER) for kind, value in pairs] == [False] * len(pairs)


@pytest.mark.parametrize("value", ["\0", "ü" * 5000, "\ud800", "'); DROP TABLE spent; --", "\r\nFLUSHALL\r\n"])
async def test_a_value_may_be_any_text(spent, value):
    """Strangers choose it."""
    assert [await spent.spend("proof", value, LATER) for _ in range(2)] == [True, False]


async def test_a_later_time_changes_nothing(spent):
    """A value that was spent is spent, whatever life it is given the second time."""
    assert await spent.spend("proof", "a", LATER)
    assert not await spent.spend("proof", "a", LATER + 9999)


async def test_a_time_beyond_all_clocks_is_no_way_out(spent):
    """It is kept for as long as can be said."""
    assert [await spent.spend("proof", "a", 2**60) for _ in range(2)] == [True, False]


async def test_what_has_just_expired_is_still_remembered(spent):
    """Clocks may be a minute apart: who asks may think that it lives."""
    just = int(time.time()) - 60
    assert [await spent.spend("proof", "a", just) for _ in range(2)] == [True, False]


async def race(database, *arguments):
    """Two processes with 25 tasks each, ten times: one winner, whichever it is in."""
    racers = [database.start("spend_once", *arguments, str(PATIENT), str(LATER), "25") for _ in range(2)]
    try:
        for racer in racers:
            assert await asyncio.to_thread(racer.stdout.readline) == "ready\n"
        for turn in range(10):
            for racer in racers:
                racer.stdin.write(f"value {turn}\n")
                racer.stdin.flush()
            answers = [(await asyncio.to_thread(racer.stdout.readline)).split() for racer in racers]
            assert sorted(answers) == [["0", "0"], ["1", "0"]]
    finally:
        for racer in racers:
            racer.communicate(timeout=30)


@pytest.mark.parametrize("way", ["database", "guarded"])
async def test_many_processes_spend_a_value_once(way, database, redis, issuer):
    """The database decides the race, with Redis before it or without."""
    await race(database, way, redis.url, issuer)


async def test_many_processes_spend_a_value_once_in_redis(redis, issuer, tmp_path):
    """Redis alone decides it too, as long as it forgets nothing."""
    await race(Database("sqlite", str(tmp_path / "watchword.db")), "redis", redis.url, issuer)


async def test_redis_learns_no_value_and_forgets_in_time(database, redis, issuer):
    """Its keys are hashes, each with an end."""
    async with spender("redis", database, redis.url, issuer) as spent:
        await spent.spend("proof", "a secret code", LATER)
    name = Link(redis.url, issuer).key("spent", "proof\0a secret code")
    assert "secret" not in name
    assert 3500 < int(redis.ask("TTL", name)) <= 3600 + 120


async def test_the_purge_forgets_what_nobody_can_present(stores):
    """Not before two minutes have passed beyond its time, by the clock of who purges."""
    await stores.spent.spend("proof", "old", NOW)
    await stores.spent.spend("proof", "young", NOW + 1)
    await stores.journal.purge(NOW + 120, 0)
    assert not await stores.spent.spend("proof", "old", NOW)
    assert await stores.journal.purge(NOW + 121, 0) == 1
    assert await stores.spent.spend("proof", "old", NOW)
    assert not await stores.spent.spend("proof", "young", NOW)


@asynccontextmanager
async def guarding_nothing(database, redis, issuer):
    """A node whose database takes nothing."""
    link, store = Link(redis.url, issuer, PATIENT), database.open()
    await store.close()
    yield GuardedSpent(RedisSpent(link), store.stores.spent)
    await link.close()


def hurried(database, redis):
    """A node that gives Redis up as soon as one does that serves."""
    return spender("guarded", database, redis.url, bound=BOUND)


def killed(redis):
    redis.kill()


def frozen(redis):
    redis.freeze()


def emptied(redis):
    """A failover to one that had not heard of it."""
    redis.kill()
    redis.restart()


def full(redis):
    redis.ask("CONFIG", "SET", "maxmemory", "1")


@pytest.mark.parametrize("harm", [killed, frozen, emptied, full])
async def test_what_was_spent_just_before_redis_is_lost_is_not_accepted_again(database, harm):
    """At the node that spent it, at the other, and at one that starts then; and a new value counts at once."""
    with server() as redis:
        async with AsyncExitStack() as stack:
            node, other = [
                await stack.enter_async_context(spender("guarded", database, redis.url, bound=BOUND)) for _ in range(2)
            ]
            assert await node.spend("proof", "before", LATER)
            await asyncio.to_thread(harm, redis)
            late = await stack.enter_async_context(hurried(database, redis))
            assert [await each.spend("proof", "before", LATER) for each in (node, other, late)] == [False] * 3
            assert [await each.spend("proof", "while it is lost", LATER) for each in (late, other, node)] == [
                True,
                False,
                False,
            ]
            redis.thaw()
            if harm is killed:
                await asyncio.to_thread(redis.restart)
            for value in ("before", "while it is lost"):
                assert [await each.spend("proof", value, LATER) for each in (node, other, late)] == [False] * 3


async def test_a_node_that_alone_has_lost_redis_cannot_spend_what_the_others_did(database, redis, issuer):
    """Cut off from it, while the others are not: both ways round."""
    async with (
        spender("guarded", database, redis.url, issuer) as node,
        spender("guarded", database, "redis://127.0.0.1:1/0", issuer) as alone,
    ):
        assert [await each.spend("proof", "a", LATER) for each in (node, alone)] == [True, False]
        assert [await each.spend("proof", "b", LATER) for each in (alone, node)] == [True, False]


async def test_what_the_database_could_not_take_may_be_tried_again(database, redis, issuer):
    """Nobody got anything for it, so Redis must not remember it."""
    async with guarding_nothing(database, redis, issuer) as broken:
        with pytest.raises(Unavailable):
            await broken.spend("proof", "a", LATER)
    async with spender("guarded", database, redis.url, issuer) as node:
        assert await node.spend("proof", "a", LATER)


async def test_a_replay_is_refused_without_the_database(database, redis, issuer):
    """That is what Redis is for: a flood of them costs the database nothing."""
    async with spender("guarded", database, redis.url, issuer) as node:
        assert await node.spend("proof", "a", LATER)
    async with guarding_nothing(database, redis, issuer) as broken:
        assert not await broken.spend("proof", "a", LATER)


@pytest.mark.fault
async def test_values_count_once_while_redis_comes_and_goes(database):
    """Four processes race for 100 values, while Redis is killed, frozen, emptied and full at random moments."""
    chance = random.Random(4)
    with server() as redis:
        racers = [
            database.start("spend_once", "guarded", redis.url, ISSUER, str(BOUND), str(LATER), "10") for _ in range(4)
        ]
        for racer in racers:
            assert await asyncio.to_thread(racer.stdout.readline) == "ready\n"
        done, times = asyncio.Event(), 0

        async def harm() -> None:
            nonlocal times
            while not done.is_set():
                await asyncio.to_thread(chance.choice((killed, frozen, emptied, full)), redis)
                await asyncio.sleep(chance.uniform(0, 0.4))
                redis.thaw()
                await asyncio.to_thread(redis.restart)
                await asyncio.sleep(chance.uniform(0, 0.4))
                times += 1

        harming = asyncio.create_task(harm())
        try:
            for turn in count():
                if turn >= 100 and times > 3:  # however fast the machine is, it was harmed
                    break
                for again in range(2):
                    for racer in racers:
                        racer.stdin.write(f"value {turn}\n")
                        racer.stdin.flush()
                    answers = [(await asyncio.to_thread(racer.stdout.readline)).split() for racer in racers]
                    assert sum(int(won) for won, _ in answers) == 1 - again, f"value {turn}, time {again}: {answers}"
                    assert {doubted for _, doubted in answers} == {"0"}
        finally:
            done.set()
            await harming
            for racer in racers:
                racer.communicate(timeout=30)
