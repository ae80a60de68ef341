"""A proof counts once: in one process, in several that share a Redis, and when the memory for it is full."""

from __future__ import annotations

import os
import secrets
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import redis as redis_py
import redis.asyncio as redis_asyncio

from tests.servers.redis import Redis
from watchword.dpop import Presented, ProofKey
from watchword.errors import CannotDecide, InvalidProof, Misconfigured
from watchword.integrations.redis import SpentInRedis, SpentInRedisSync
from watchword.replay import Proofs, Spent, SpentHere

URL = "https://api.example/orders"
KEY = ProofKey.generate()


class Hands:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


def test_a_name_counts_once_for_as_long_as_it_lives() -> None:
    """And again when nothing can be played back any more."""
    clock = Hands()
    spent = SpentHere(monotonic=clock)
    assert [spent.spend("a", 30), spent.spend("b", 60), spent.spend("a", 30)] == [True, True, False]
    clock.at += 29.9
    assert not spent.spend("a", 30)
    clock.at += 2
    assert spent.spend("a", 30)
    assert not spent.spend("b", 60)
    clock.at += 100
    assert spent.spend("c", 30)
    assert len(spent) == 1


def test_a_full_memory_refuses_and_forgets_nothing() -> None:
    """RFC 9449 §11.1: what was seen must stay known; so what is new has to wait."""
    clock = Hands()
    spent = SpentHere(3, clock)
    assert all(spent.spend(name, 30) for name in "abc")
    with pytest.raises(CannotDecide) as caught:
        spent.spend("d", 30)
    assert 0 < caught.value.retry_after <= 60
    assert not spent.spend("a", 30)
    clock.at += 31
    assert spent.spend("d", 30)


def test_fifty_threads_use_one_name_once() -> None:
    """However they meet."""
    spent = SpentHere()
    for _ in range(20):
        name = secrets.token_hex(8)
        with ThreadPoolExecutor(50) as pool:
            assert sum(pool.map(lambda _, name=name: spent.spend(name, 30), range(50))) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_fork_goes_on_by_itself() -> None:
    """It knows what its parent knew, and waits for no lock that a thread of the parent holds."""
    spent = SpentHere()
    spent.spend("a", 30)
    with spent._lock:
        child = os.fork()
        if not child:
            signal.alarm(20)  # one that waits for the lock must end as well
            os._exit(0 if (spent.spend("a", 30), spent.spend("b", 30)) == (False, True) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert spent.spend("b", 30)


def shown(proofs: Proofs, jti: str, now: float):
    text = KEY.prove("GET", URL, now=now, jti=jti, access_token="t")
    return proofs.shown("t", KEY.jkt, Presented(text, "GET", URL), now)


async def test_a_proof_is_used_up_by_one() -> None:
    """By `spend` for `spend_sync` as well, and the other way round."""
    proofs, now = Proofs(), time.time()
    proof = shown(proofs, "a", now)
    await proofs.spend(proof, now)
    with pytest.raises(InvalidProof, match="before"):
        await proofs.spend(proof, now)
    with pytest.raises(InvalidProof, match="before"):
        proofs.spend_sync(proof, now)
    proofs.spend_sync(shown(proofs, "b", now), now)


@pytest.mark.parametrize("seconds", [0, 9, 301])
def test_a_window_is_of_a_sensible_length(seconds: int) -> None:
    """Clocks of clients differ; and what is long has to be remembered for long."""
    with pytest.raises(Misconfigured):
        Proofs(timedelta(seconds=seconds))


async def test_processes_that_share_a_redis_use_a_proof_once(redis: Redis) -> None:
    """Each of them has a connection of its own; the one that asks at once knows what the others have."""
    prefix = f"{secrets.token_hex(8)}:"
    async with redis_asyncio.from_url(redis.url) as one, redis_asyncio.from_url(redis.url) as two:
        spents: list[Spent] = [SpentInRedis(one, prefix), SpentInRedis(two, prefix)]
        with redis_py.from_url(redis.url) as three:
            now = time.time()
            proof = shown(Proofs(), secrets.token_hex(8), now)
            await Proofs(spent=spents[0]).spend(proof, now)
            with pytest.raises(InvalidProof):
                await Proofs(spent=spents[1]).spend(proof, now)
            with pytest.raises(InvalidProof):
                Proofs(spent=SpentInRedisSync(three, prefix)).spend_sync(proof, now)
            Proofs(spent=SpentInRedisSync(three, prefix + "other")).spend_sync(proof, now)
            assert 30_000 < three.pttl(prefix + proof.name) <= 31_000


async def test_a_redis_that_is_gone_lets_nothing_through() -> None:
    """A 503: whether it was used cannot be told."""
    now = time.time()
    proof = shown(Proofs(), "a", now)
    async with redis_asyncio.from_url("redis://127.0.0.1:1/0") as client:
        with pytest.raises(CannotDecide):
            await Proofs(spent=SpentInRedis(client)).spend(proof, now)
        with pytest.raises(Misconfigured, match="verify_sync"):
            Proofs(spent=SpentInRedis(client)).spend_sync(proof, now)
    with redis_py.from_url("redis://127.0.0.1:1/0") as client, pytest.raises(CannotDecide):
        Proofs(spent=SpentInRedisSync(client)).spend_sync(proof, now)
