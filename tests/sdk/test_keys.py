"""Following a JWKS on the background loop: one fetch for many, none for a flood."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.sdk.honest_issuer import Clock
from watchword.errors import CannotDecide
from watchword.freshness import Clocks
from watchword.jose.jwk import SigningKey
from watchword.keys import COOL_DOWN, KEEP, KeySource

FIRST, SECOND = SigningKey.generate("ES256"), SigningKey.generate("EdDSA")


class Jwks:
    """A key set somewhere else: counts who comes, and can fail or hang."""

    def __init__(self) -> None:
        self.keys = [FIRST.public_jwk()]
        self.fetches = 0
        self.broken = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def fetch(self) -> bytes:
        self.fetches += 1
        await self.gate.wait()
        if self.broken:
            raise CannotDecide("no answer")
        return json.dumps({"keys": self.keys}).encode()


@pytest.fixture
def jwks() -> Jwks:
    return Jwks()


@pytest.fixture
def source(jwks: Jwks, clock: Clock) -> KeySource:
    return KeySource(jwks.fetch, Clocks(clock.monotonic, clock.wall))


async def test_a_hundred_that_look_at_once_share_one_fetch(jwks: Jwks, source: KeySource) -> None:
    """Single-flight: the others wait for the fetch that is under way."""
    jwks.gate.clear()
    looks = [asyncio.create_task(source.look_again()) for _ in range(100)]
    await asyncio.sleep(0)
    jwks.gate.set()
    await asyncio.gather(*looks)
    assert jwks.fetches == 1
    assert set(source.keys) == {FIRST.kid}


async def test_a_flood_of_unknown_keys_costs_one_fetch_per_cool_down(
    jwks: Jwks, source: KeySource, clock: Clock
) -> None:
    """However many ask, the next fetch waits for the cool-down."""
    for _ in range(1000):
        await source.look_again()
    assert jwks.fetches == 1
    clock.forward(COOL_DOWN)
    for _ in range(1000):
        await source.look_again()
    assert jwks.fetches == 2


async def test_a_failed_fetch_counts_in_the_cool_down(jwks: Jwks, source: KeySource) -> None:
    """A broken server is not hammered, and what was known stays."""
    await source.refresh()
    jwks.broken = True
    await source.refresh()
    for _ in range(100):
        await source.look_again()
    assert jwks.fetches == 2
    assert set(source.keys) == {FIRST.kid}
    assert source.trouble == "no answer"


async def test_one_that_gives_up_does_not_end_the_fetch_of_the_others(jwks: Jwks, source: KeySource) -> None:
    """A cancelled request must not cost its neighbours their keys."""
    jwks.gate.clear()
    impatient, patient = (asyncio.create_task(source.look_again()) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.sleep(0)
    jwks.gate.set()
    await patient
    assert set(source.keys) == {FIRST.kid}


async def test_a_caller_behind_a_hung_server_waits_only_for_what_is_left(
    jwks: Jwks, source: KeySource, clock: Clock
) -> None:
    """The bound counts from the beginning of the fetch, so a queue does not add up."""
    jwks.gate.clear()
    look = asyncio.create_task(source.look_again())
    await asyncio.sleep(0)
    assert source.patience(2.0) == pytest.approx(2.0, abs=0.5)
    clock.forward(5)
    assert source.patience(2.0) == 0
    jwks.gate.set()
    await look


async def test_a_key_that_did_not_change_stays_the_same_object(jwks: Jwks, source: KeySource, clock: Clock) -> None:
    """Identity says trust: the cache of tokens asks by `is`."""
    await source.refresh()
    before = source.keys[FIRST.kid]
    jwks.keys = [FIRST.public_jwk(), SECOND.public_jwk()]
    await source.refresh()
    assert source.keys[FIRST.kid] is before
    assert set(source.keys) == {FIRST.kid, SECOND.kid}


async def test_another_key_under_an_old_name_is_another_object(jwks: Jwks, source: KeySource) -> None:
    """What was signed by the first must not live on under the second."""
    await source.refresh()
    before = source.keys[FIRST.kid]
    jwks.keys = [{**SECOND.public_jwk(), "kid": FIRST.kid}]
    await source.refresh()
    assert source.keys[FIRST.kid] is not before


@pytest.mark.parametrize("document", [[], [{"kty": "EC", "crv": "P-256", "kid": "broken", "x": "AA", "y": "AA"}]])
async def test_a_set_without_a_usable_key_is_a_failed_fetch(jwks: Jwks, source: KeySource, document: list) -> None:
    """An empty answer of a confused server does not take the last good keys away."""
    await source.refresh()
    jwks.keys = document
    await source.refresh()
    assert set(source.keys) == {FIRST.kid}
    assert "no key" in source.trouble


async def test_a_broken_member_does_not_cost_the_others(jwks: Jwks, source: KeySource) -> None:
    """One exotic key in the set is skipped."""
    jwks.keys = [{"kty": "PQ", "kid": "exotic"}, FIRST.public_jwk()]
    await source.refresh()
    assert set(source.keys) == {FIRST.kid}


async def test_keys_that_nobody_publishes_any_more_are_dropped_in_the_end(
    jwks: Jwks, source: KeySource, clock: Clock
) -> None:
    """Stale keys are kept within a bound, and those who hold them are told."""
    told: list[int] = []
    source = KeySource(jwks.fetch, Clocks(clock.monotonic, clock.wall), lambda keys: told.append(len(keys)))
    await source.refresh()
    clock.forward(KEEP - 10)
    source.expire()
    assert source.keys
    clock.forward(20)
    source.expire()
    assert not source.keys
    assert told == [1, 0]
