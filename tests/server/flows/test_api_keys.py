"""The keys that APIs want their tokens encrypted to: fetched once, renewed behind the scenes, kept within a bound."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.server.flows.key_sets import FIRST, SECOND, URL, Published, document, soon
from watchword.jose.jwk import SigningKey
from watchword_server.flows.api_keys import KEEP, ApiKeys, NoEncryptionKey, PublishedKey
from watchword_server.flows.published import AGAIN, COOL_DOWN, EVERY, LONG, PATIENCE, SOONEST
from watchword_server.protocol.values import Api, Encryption

NOW = 1_800_000_000


async def followed(published: Published, at: int = NOW) -> PublishedKey:
    """A key set that is known."""
    one = PublishedKey(published, URL)
    assert (await one.at(at)).kid == FIRST.kid
    return one


async def looks(published: Published) -> int:
    """How many there were, once a look that was begun in this turn has had its own."""
    for _ in range(3):
        await asyncio.sleep(0)
    return len(published.asked)


async def refused(one: PublishedKey, at: int) -> NoEncryptionKey:
    """That there is no key now."""
    with pytest.raises(NoEncryptionKey) as refusal:
        await one.at(at)
    assert (refusal.value.code, refusal.value.status) == ("temporarily_unavailable", 503)
    assert refusal.value.retry_after > 0
    return refusal.value


async def test_the_first_key_that_can_be_used_is_taken():
    """In the order of the set; what is for signatures, secret, broken or exotic is passed over."""
    signing = SigningKey.generate("ES256").public_jwk()
    secret = {"kty": "oct", "k": "AAAAAAAAAAAAAAAAAAAAAA", "alg": "A128KW", "use": "enc"}
    broken = {**FIRST.public_jwk(), "x": "AAAA", "kid": "broken"}
    unnamed = {name: value for name, value in FIRST.public_jwk().items() if name != "alg"}
    private = FIRST.private_jwk()
    good = [SECOND.public_jwk(), FIRST.public_jwk()]
    body = document(signing, secret, broken, unnamed, private, {"kty": "lunch"}, *good)
    assert (await PublishedKey(Published(body), URL).at(NOW)).kid == SECOND.kid


@pytest.mark.parametrize("crowd", [1, 50])
async def test_one_fetch_serves_everybody_who_waits(crowd: int):
    """Who comes while it is under way joins it."""
    published = Published(gate=asyncio.Event())
    one = PublishedKey(published, URL)
    asked = [asyncio.create_task(one.at(NOW)) for _ in range(crowd)]
    await soon(lambda: bool(published.asked))
    published.gate.set()
    assert {key.kid for key in await asyncio.gather(*asked)} == {FIRST.kid}
    assert published.asked == [URL]


async def test_one_who_no_longer_waits_stops_nobody_elses_fetch():
    """A client that hangs up."""
    published = Published(gate=asyncio.Event())
    one = PublishedKey(published, URL)
    impatient, patient = asyncio.create_task(one.at(NOW)), asyncio.create_task(one.at(NOW))
    await soon(lambda: bool(published.asked))
    impatient.cancel()
    published.gate.set()
    assert (await patient).kid == FIRST.kid
    assert published.asked == [URL]


@pytest.mark.parametrize(
    ("fresh_for", "kept_for"),
    [(None, EVERY), (60, 60), (0, SOONEST), (-5, SOONEST), (SOONEST + 0.5, SOONEST), (10**9, EVERY)],
)
async def test_a_set_is_looked_at_again_when_its_server_says_so(fresh_for: float | None, kept_for: int):
    """Within bounds: neither all the time nor never."""
    published = Published(fresh_for=fresh_for)
    one = await followed(published)
    for at in (NOW, NOW + kept_for - 1):
        await one.at(at)
    assert await looks(published) == 1
    await one.at(NOW + kept_for)
    assert await looks(published) == 2


async def test_a_key_that_is_known_waits_for_nobody_and_a_rotated_set_is_followed():
    """The look is behind the scenes; the tokens after it are for the new key."""
    published = Published()
    one = await followed(published)
    published.gate, published.body = asyncio.Event(), document(SECOND.public_jwk(), FIRST.public_jwk())
    start = time.monotonic()
    for _ in range(20):
        assert (await one.at(NOW + EVERY)).kid == FIRST.kid
    assert time.monotonic() - start < PATIENCE / 2
    assert await looks(published) == 2
    published.gate.set()
    async with asyncio.timeout(5):
        while (await one.at(NOW + EVERY)).kid != SECOND.kid:
            await asyncio.sleep(0.001)
    assert await looks(published) == 2


async def test_without_a_key_there_is_a_refusal_and_then_a_pause():
    """Whoever asks during the pause is told how long it is; after it one fetch tries again."""
    published = Published(broken="no answer")
    one = PublishedKey(published, URL)
    assert "no answer" in str(await refused(one, NOW))
    for later in range(1, COOL_DOWN):
        assert (await refused(one, NOW + later)).retry_after == COOL_DOWN - later
    assert await looks(published) == 1
    published.broken = ""
    assert (await one.at(NOW + COOL_DOWN)).kid == FIRST.kid
    assert len(published.asked) == 2


@pytest.mark.parametrize(
    "body",
    [
        document(),
        document(SigningKey.generate("ES256").public_jwk()),
        document(FIRST.private_jwk()),
        b"",
        b"<html>",
        b'{"keys": {}}',
        b"[]",
        b'{"keys": [], "keys": []}',
        b"[" * 60_000,
        b"\xff" * 100,
    ],
    ids=lambda body: str(body[:12]),
)
async def test_a_set_without_a_key_is_no_set(body: bytes):
    """Nothing to encrypt to is never a reason not to encrypt; and a key that is known outlives it."""
    assert "no key to encrypt to: " in str(await refused(PublishedKey(Published(body), URL), NOW))
    published = Published()
    one = await followed(published)
    published.body = body
    await one.at(NOW + EVERY)
    await soon(lambda: bool(one.trouble))
    assert (await one.at(NOW + EVERY)).kid == FIRST.kid


async def test_a_key_is_kept_while_fetches_fail_but_not_for_ever():
    """A day after it was last seen published it is used no more."""
    published = Published()
    one = await followed(published)
    published.broken = "no answer"
    for at in range(NOW + EVERY, NOW + KEEP, AGAIN * 7):
        assert (await one.at(at)).kid == FIRST.kid
        await soon(lambda: bool(one.trouble))
    assert (await one.at(NOW + KEEP)).kid == FIRST.kid
    await refused(one, NOW + KEEP + 1 + AGAIN)


async def test_failed_looks_count_in_the_pause():
    """One each AGAIN seconds, however many tokens are asked for."""
    published = Published()
    one = await followed(published)
    published.broken = "no answer"
    for at in range(NOW + EVERY, NOW + EVERY + 3 * AGAIN):
        await one.at(at)
        await looks(published)
    assert len(published.asked) == 1 + 3


async def test_after_a_long_pause_the_first_token_waits_for_a_look():
    """Nobody asked for a token for hours, and meanwhile the API may have thrown its key away."""
    published = Published()
    one = await followed(published)
    published.body = document(SECOND.public_jwk())
    assert (await one.at(NOW + EVERY + LONG + 1)).kid == SECOND.kid


async def test_nobody_waits_long_for_a_hung_server():
    """Without a key: a refusal. With an old one: that one, and from the second token on at once."""
    published = Published()
    old = await followed(published)
    published.gate = asyncio.Event()
    later, start = NOW + EVERY + LONG + 1, time.monotonic()
    refusal, key = await asyncio.gather(refused(PublishedKey(published, URL), NOW), old.at(later))
    assert PATIENCE - 0.1 < time.monotonic() - start < PATIENCE + 1
    assert (key.kid, refusal.retry_after) == (FIRST.kid, COOL_DOWN)


async def test_a_clock_that_is_set_back_stops_nothing():
    """The next look is not years away."""
    published = Published()
    one = await followed(published)
    await one.at(NOW - 10_000)
    assert await looks(published) == 2


def api(encryption: Encryption, audience: str = "https://orders.example") -> Api:
    """An API that has chosen."""
    return Api(audience, "Orders", (), "api_1", b"", NOW, encryption=encryption)


async def test_a_registered_key_is_opened_once_and_replaced_when_it_is_another():
    """The very same object while nothing changes: opening checks the whole key."""
    keys = ApiKeys(Published())
    first = Encryption("A256GCM", jwk=FIRST.public_jwk())
    opened = await keys.key_of(api(first), first, NOW)
    again = Encryption("A128GCM", jwk=dict(FIRST.public_jwk()))
    assert await keys.key_of(api(again), again, NOW) is opened
    second = Encryption("A256GCM", jwk=SECOND.public_jwk())
    assert (await keys.key_of(api(second), second, NOW)).kid == SECOND.kid


async def test_every_api_has_its_own_set_and_another_url_is_another_set():
    """A key of before is not used for tokens that are to be encrypted to a key of after."""
    published = Published()
    keys = ApiKeys(published)
    for audience, url in (("https://a.example", URL), ("https://b.example", URL), ("https://a.example", URL + "?2")):
        wanted = Encryption("A256GCM", jwks_uri=url)
        assert (await keys.key_of(api(wanted, audience), wanted, NOW)).kid == FIRST.kid
    assert published.asked == [URL, URL, URL + "?2"]
    published.broken = "no answer"
    wanted = Encryption("A256GCM", jwks_uri=URL + "?3")
    with pytest.raises(NoEncryptionKey):
        await keys.key_of(api(wanted, "https://a.example"), wanted, NOW)


async def test_an_encryption_without_a_key_is_a_refusal():
    """No row of the database may mean an unencrypted token."""
    wanted = Encryption("A256GCM")
    with pytest.raises(NoEncryptionKey):
        await ApiKeys(Published()).key_of(api(wanted), wanted, NOW)


async def test_closing_ends_what_is_under_way():
    """A stop of the server waits for no API."""
    published = Published(gate=asyncio.Event())
    keys = ApiKeys(published)
    wanted = Encryption("A256GCM", jwks_uri=URL)
    waiting = asyncio.create_task(keys.key_of(api(wanted), wanted, NOW))
    await soon(lambda: bool(published.asked))
    keys.close()
    with pytest.raises(NoEncryptionKey):
        await waiting
    assert len(asyncio.all_tasks()) == 1
