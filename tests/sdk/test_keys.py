"""Following a JWKS on the background loop: one fetch for many, none for a flood, no delay for what is known."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from tests.sdk.honest_issuer import Clock, Issuer, eventually
from tests.sdk.hostile_server import AT_ONCE, MIB, SLOW, HostileServer, redirecting
from watchword import Verifier
from watchword.errors import CannotDecide, UnknownKey
from watchword.freshness import Clocks
from watchword.jose.jwk import SigningKey
from watchword.keys import COOL_DOWN, EVERY, KEEP, KeySource
from watchword.verifier import KEYS_WITHIN
from watchword.wire.exchange import Document, fresh_for

FIRST, SECOND, STRANGER = (SigningKey.generate(alg) for alg in ("ES256", "EdDSA", "ES256"))
Make = Callable[..., Verifier]


class Jwks:
    """A key set somewhere else: notes when somebody comes, and can fail or hang."""

    def __init__(self, clock: Clock) -> None:
        self.keys = [FIRST.public_jwk()]
        self.asked: list[float] = []
        self.broken = False
        self.fresh_for: float | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self._clock = clock

    @property
    def fetches(self) -> int:
        return len(self.asked)

    async def fetch(self) -> Document:
        self.asked.append(self._clock.monotonic())
        await self.gate.wait()
        if self.broken:
            raise CannotDecide("no answer")
        return Document(json.dumps({"keys": self.keys}).encode(), self.fresh_for)


@pytest.fixture
def jwks(clock: Clock) -> Jwks:
    return Jwks(clock)


@pytest.fixture
def source(jwks: Jwks, clock: Clock) -> KeySource:
    return KeySource(jwks.fetch, Clocks(clock.monotonic, clock.wall))


@pytest.fixture
def hostile() -> Iterator[Callable[..., HostileServer]]:
    """Starts servers that misbehave, and ends them."""
    running: list[HostileServer] = []

    def start(behave: Callable[..., None]) -> HostileServer:
        running.append(HostileServer(behave))
        return running[-1]

    yield start
    for server in running:
        server.stop()


# One source, as the background loop sees it.


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


async def test_a_machine_that_slept_knows_how_old_its_keys_are(jwks: Jwks, source: KeySource, clock: Clock) -> None:
    """The monotonic clock stands still in the meantime, the wall clock does not: both bounds go by either."""
    await source.look_again()
    clock.wall_ahead += COOL_DOWN
    await source.look_again()
    assert jwks.fetches == 2
    clock.wall_ahead += KEEP + 10
    source.expire()
    assert not source.keys


async def test_a_key_that_was_published_after_an_ordinary_look_is_found_at_once(jwks: Jwks, source: KeySource) -> None:
    """Only failures and unknown keys make the source cool down: in calm times nobody waits for it."""
    await source.refresh()
    jwks.keys.append(SECOND.public_jwk())
    await source.look_again()
    assert SECOND.kid in source.keys


@pytest.mark.parametrize(("said", "every"), [
    (None, EVERY), (10, 10), (EVERY, EVERY), (86_400, EVERY), (0, COOL_DOWN), (-40, COOL_DOWN),
])  # fmt: skip
async def test_the_issuer_says_how_often_to_look(
    jwks: Jwks, source: KeySource, said: float | None, every: float
) -> None:
    """Within bounds: who turns keys over faster is followed, who says nothing or nonsense is not hammered."""
    jwks.fresh_for = said
    await source.refresh()
    assert source.every == every


@pytest.mark.parametrize(("headers", "seconds"), [
    ({}, None),
    ({"cache-control": "max-age=60"}, 60),
    ({"cache-control": "public, max-age=60, must-revalidate"}, 60),
    ({"cache-control": "public,MAX-AGE=60"}, 60),
    ({"cache-control": 'max-age="60"'}, 60),
    ({"cache-control": "max-age=0"}, 0),
    ({"cache-control": "max-age=60, max-age=30"}, 30),
    ({"cache-control": "max-age=60", "age": "45"}, 15),
    ({"cache-control": "max-age=60", "age": "90"}, -30),
    ({"cache-control": "max-age=60", "age": "soon"}, 60),
    ({"cache-control": "max-age=60", "age": "٤"}, 60),
    ({"cache-control": "s-maxage=60"}, None),
    ({"cache-control": "no-store"}, None),
    ({"cache-control": "max-age=-1"}, None),
    ({"cache-control": "max-age=1.5"}, None),
    ({"cache-control": "max-age=" + "9" * 5000}, None),
    ({"cache-control": "max-age=٤"}, None),
    ({"cache-control": "max-age"}, None),
    ({"age": "45"}, None),
])  # fmt: skip
def test_an_answers_age_is_read_from_its_headers(headers: dict[str, str], seconds: float | None) -> None:
    """RFC 9111 §4.2: what a cache on the way has used up is gone; what is not a number says nothing."""
    assert fresh_for(headers) == seconds


async def test_news_of_a_revoked_key_causes_one_fetch_at_once_and_then_one_a_cool_down(
    jwks: Jwks, source: KeySource, clock: Clock
) -> None:
    """However many keys die; and the last fetch begins after the last word."""
    following = asyncio.create_task(source.follow())
    try:
        await until(lambda: source.keys)
        await source.look_again()  # cooling down from now on
        source.renew()
        await until(lambda: jwks.fetches == 3)
        clock.forward(COOL_DOWN - 0.3)
        for _ in range(100):
            source.renew()
            await asyncio.sleep(0)
        said = clock.monotonic()
        await until(lambda: jwks.fetches == 4)
        assert jwks.asked[3] - jwks.asked[2] >= COOL_DOWN - 0.01
        assert jwks.asked[3] > said
        for _ in range(10):
            await asyncio.sleep(0)
        assert jwks.fetches == 4
    finally:
        following.cancel()


async def test_news_that_comes_during_a_fetch_causes_another(jwks: Jwks, source: KeySource) -> None:
    """What is under way may have been answered before the key was thrown away."""
    following = asyncio.create_task(source.follow())
    try:
        await until(lambda: source.keys)
        jwks.gate.clear()
        look = asyncio.create_task(source.look_again())
        await until(lambda: jwks.fetches == 2)
        source.renew()
        for _ in range(10):
            await asyncio.sleep(0)
        assert jwks.fetches == 2
        jwks.gate.set()
        await look
        await until(lambda: jwks.fetches == 3)
    finally:
        following.cancel()


async def until(fact: Callable[[], object]) -> None:
    """Poll a fact on the loop."""
    async with asyncio.timeout(10):
        while not fact():
            await asyncio.sleep(0.002)


# The whole verifier, and servers on real sockets.


@pytest.mark.parametrize("name", AT_ONCE)
def test_a_hostile_key_set_costs_no_known_key_and_little_memory(
    name: str,
    issuer: Issuer,
    verifier: Verifier,
    clock: Clock,
    hostile: Callable[..., HostileServer],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The reason stands in the log, the old keys stay, and a good set is taken again as soon as there is one."""
    behave, reason = AT_ONCE[name]
    verifier.verify_sync(issuer.token())
    server = hostile(behave)
    issuer.metadata_changes = {"jwks_uri": server.url}
    with pytest.raises(UnknownKey):
        verifier.verify_sync(issuer.token(STRANGER))
    eventually(lambda: reason in caplog.text)
    assert server.asked == 1
    assert server.sent < 16 * MIB  # what fits into the sockets between us
    assert verifier.verify_sync(issuer.token()).key_id == issuer.key.kid
    issuer.metadata_changes = {}
    issuer.published.append(STRANGER.public_jwk())
    clock.forward(COOL_DOWN)
    assert verifier.verify_sync(issuer.token(STRANGER)).key_id == STRANGER.kid


def test_a_redirect_is_not_followed(
    issuer: Issuer, verifier: Verifier, hostile: Callable[..., HostileServer], caplog: pytest.LogCaptureFixture
) -> None:
    """Not even to a good set at the issuer itself."""
    verifier.verify_sync(issuer.token())
    fetches = issuer.counts["/jwks.json"]
    issuer.published.append(STRANGER.public_jwk())
    issuer.metadata_changes = {"jwks_uri": hostile(redirecting(f"{issuer.url}/jwks.json")).url}
    with pytest.raises(UnknownKey):
        verifier.verify_sync(issuer.token(STRANGER))
    eventually(lambda: "answered 302" in caplog.text)
    assert issuer.counts["/jwks.json"] == fetches


def test_a_slow_key_set_delays_no_token_of_a_known_key(
    verifier_of: Make, hostile: Callable[..., HostileServer], caplog: pytest.LogCaptureFixture
) -> None:
    """Four ways never to be done: each ends in its time, tokens of unknown keys wait KEYS_WITHIN, all others not."""
    with ThreadPoolExecutor(len(SLOW)) as pool:
        waits = list(pool.map(lambda name: slowly(hostile(SLOW[name]), verifier_of), SLOW))
    for known, unknown in waits:
        assert known < KEYS_WITHIN / 2
        assert KEYS_WITHIN - 0.1 < unknown < KEYS_WITHIN + 1
    eventually(lambda: caplog.text.count("did not answer within 5 s") == len(SLOW))


def slowly(server: HostileServer, verifier_of: Make) -> tuple[float, float]:
    """While a key set does not come: the longest wait of a token of a known key, and that of an unknown one."""
    issuer = Issuer()
    try:
        verifier, longest = verifier_of(issuer), 0.0
        cached = issuer.token()
        verifier.verify_sync(cached)
        issuer.metadata_changes = {"jwks_uri": server.url}
        stranger = issuer.token(STRANGER)
        with ThreadPoolExecutor(1) as pool:
            began = time.monotonic()
            verdict = pool.submit(verifier.verify_sync, stranger)
            eventually(lambda: server.asked == 1)
            while not verdict.done():
                for token in (cached, issuer.token()):
                    asked = time.monotonic()
                    verifier.verify_sync(token)
                    longest = max(longest, time.monotonic() - asked)
            unknown = time.monotonic() - began
            assert isinstance(verdict.exception(), UnknownKey)
        return longest, unknown
    finally:
        issuer.stop()


@pytest.mark.parametrize("trouble", ["hangs", "fails"])
def test_who_has_no_news_of_keys_cannot_call_one_unknown(
    issuer: Issuer, verifier: Verifier, clock: Clock, trouble: str
) -> None:
    """A verifier that was asleep while the keys changed, and cannot reach the issuer: a 401 would cost good tokens."""
    issuer.headers["Cache-Control"] = f"public, max-age={COOL_DOWN:g}"
    verifier.verify_sync(issuer.token())
    if trouble == "hangs":
        issuer.hanging.add("/jwks.json")
    else:
        issuer.status["/jwks.json"] = 500
    issuer.published.append(SECOND.public_jwk())
    clock.forward(COOL_DOWN + 1)
    for _ in range(3):
        with pytest.raises(CannotDecide, match="no news of keys"):
            verifier.verify_sync(issuer.token(SECOND))
    assert verifier.verify_sync(issuer.token()).key_id == issuer.key.kid
    issuer.hanging.clear()
    issuer.status.clear()
    eventually(lambda: knows(verifier, issuer.token(SECOND)), COOL_DOWN + 5)
    with pytest.raises(UnknownKey):
        verifier.verify_sync(issuer.token(STRANGER))


def knows(verifier: Verifier, token: str) -> bool:
    with suppress(CannotDecide):
        return bool(verifier.verify_sync(token))
    return False


def test_an_issuer_that_turns_keys_over_quickly_is_followed(issuer: Issuer, verifier: Verifier) -> None:
    """`Cache-Control: max-age` of the key set is the pause until the next look, by nobody's request."""
    issuer.headers["Cache-Control"] = "public, max-age=1"
    verifier.verify_sync(issuer.token())
    assert issuer.counts["/jwks.json"] == 1
    eventually(lambda: issuer.counts["/jwks.json"] == 2, COOL_DOWN + 2)


def test_a_successor_is_known_before_its_first_token_comes(issuer: Issuer, verifier: Verifier) -> None:
    """The feed says that a key was thrown away: both key sets are read at once, cool-down or not."""
    verifier.verify_sync(issuer.token())
    with pytest.raises(UnknownKey):
        verifier.verify_sync(issuer.token(STRANGER))
    eventually(lambda: issuer.streams == 1)
    before = issuer.counts.copy()
    issuer.published = [SECOND.public_jwk()]
    issuer.revoke("key", issuer.key.kid)
    eventually(lambda: issuer.counts["/jwks.json"] == before["/jwks.json"] + 1)
    eventually(lambda: issuer.counts["/revocations/jwks.json"] == before["/revocations/jwks.json"] + 1)
    issuer.hanging.add("/jwks.json")
    eventually(lambda: accepts(verifier, issuer.token(SECOND)))


def accepts(verifier: Verifier, token: str) -> bool:
    with suppress(UnknownKey):
        return bool(verifier.verify_sync(token))
    return False


def test_a_key_that_is_published_during_a_flood_is_found_after_the_cool_down(
    issuer: Issuer, verifier: Verifier, clock: Clock
) -> None:
    """Refused for COOL_DOWN at the longest, however many invented keys are shown; never for ever."""
    verifier.verify_sync(issuer.token())
    strangers = [issuer.token(SigningKey.generate("ES256")) for _ in range(20)]
    over = threading.Event()

    def flood(number: int) -> None:
        while not over.is_set():
            with pytest.raises(UnknownKey):
                verifier.verify_sync(strangers[number])

    with ThreadPoolExecutor(4) as pool:
        flooding = [pool.submit(flood, number) for number in range(4)]
        try:
            eventually(lambda: issuer.counts["key set answered"] == 2)
            with pytest.raises(UnknownKey):
                verifier.verify_sync(strangers[4])
            issuer.published.append(SECOND.public_jwk())
            clock.forward(COOL_DOWN / 2)  # real seconds pass as well, and on a busy machine many
            for _ in range(100):
                with pytest.raises(UnknownKey):
                    verifier.verify_sync(issuer.token(SECOND))
            assert issuer.counts["/jwks.json"] == 2
            clock.forward(COOL_DOWN / 2)
            assert verifier.verify_sync(issuer.token(SECOND)).key_id == SECOND.kid
            assert issuer.counts["/jwks.json"] == 3
        finally:
            over.set()
        for each in flooding:
            each.result()
