"""A key's life: published, signing, retired, gone; by schedule, by command, several algorithms side by side."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import replace

import msgspec
import pytest
from msgspec.structs import replace as changed

from tests.server.flows.house import AUDIENCE, BY, NOW, URL, House
from tests.server.flows.keys_seen import AHEAD, ALGS, BORN, EVERY, chosen, published, rows, signer, sound, stored
from watchword.verifier import Verifier
from watchword_server.flows import keys
from watchword_server.flows.administration import Refused
from watchword_server.flows.choices import signs_from
from watchword_server.flows.key_life import ACCESS, FEED, USES, families, state
from watchword_server.main import load_settings, open_issuer
from watchword_server.protocol.access_token import AccessClaims, payload
from watchword_server.revocation.deaths import SLACK

# A key's whole life.


async def test_a_deployment_begins_with_a_key_that_signs_and_another_that_waits(house: House) -> None:
    """For tokens and for the feed, and opening it again adds none."""
    found = await house.issuer.stores.keys.all()
    sound(found)
    assert {(key.use, key.alg) for key in found} == {(ACCESS, "ES256"), (FEED, "ES256")}
    async with house.another_process() as other:
        assert list(await other.issuer.stores.keys.all()) == list(found)


async def test_a_key_lives_from_its_publication_to_its_end(house: House) -> None:
    """Published, called, signing, retired, gone: each at its own second, and always in the JWKS before and after."""
    issuer = house.issuer
    (first, _), start = await stored(house), BORN + EVERY
    await keys.tend(issuer, start - 1)
    assert rows(house, "key.rotate") == 0
    await keys.tend(issuer, start)
    first, second, third = await stored(house)
    assert (first.retired_at, second.active_at, third.active_at) == (start, start, None)
    assert [await signer(issuer, start + at) for at in (-1, 0)] == [first.kid, second.kid]
    assert await published(issuer, start) == {first.kid, second.kid, third.kid}
    end = start + issuer.terms.access_lifetime + SLACK
    await keys.tend(issuer, end)
    assert first.kid in await published(issuer, end)
    await keys.tend(issuer, end + 1)
    assert await published(issuer, end + 1) == {second.kid, third.kid}
    assert [rows(house, f"key.{action}") for action in ("rotate", "drop", "publish")] == [2, 2, 0]


async def test_who_chooses_during_a_rotation_is_told_that_the_algorithm_signs_already(house: House) -> None:
    """The key before goes on until the called one begins, so there is nothing to wait for."""
    await keys.rotate(house.issuer, BY, ACCESS, BORN)
    _, called, _ = await stored(house)
    assert called.active_at == BORN + AHEAD
    assert [await signs_from(house.issuer, "ES256", at) for at in (BORN, called.active_at)] == [BORN, called.active_at]
    assert await signs_from(house.issuer, "RS256", BORN) is None


async def test_every_key_was_published_for_long_before_it_signs(house: House) -> None:
    """A year of rotations, looked at by an operator whenever it pleases him."""
    issuer, chance = house.issuer, random.Random(4)
    issuer = replace(issuer, terms=replace(issuer.terms, rotate_every=2 * AHEAD))
    now = NOW
    for _ in range(60):
        now += chance.randrange(60, AHEAD)
        await keys.tend(issuer, now)
        if chance.random() < 0.3:
            with suppress(Refused):
                await keys.rotate(issuer, BY, chance.choice(USES), now)
        found = await issuer.stores.keys.all()
        sound(found)
        for key in found:
            assert key.active_at is None or key.active_at >= key.created_at + AHEAD or key.created_at == BORN
        assert {family.signing(now) is not None for family in families(found)} == {True}
    assert rows(house, "key.rotate") > 20


async def test_a_turn_comes_by_time_alone(house: House) -> None:
    """Arranged once, it happens in every process at the same second, without another write or a look at the store."""
    await keys.rotate(house.issuer, BY, ACCESS, NOW)
    done = await keys.rotate(house.issuer, BY, ACCESS, NOW + 60)
    old, new, at = done.predecessor.kid, done.successor.kid, done.successor.active_at
    assert at == NOW + AHEAD, "the key that waits was published at NOW"
    before = await house.issuer.stores.log.head()
    async with house.another_process() as other:
        for issuer in (house.issuer, other.issuer):
            assert [await signer(issuer, time) for time in (at - 1, at)] == [old, new]
            assert issuer.keyring.known(before, at) is not None
            assert issuer.keyring.known(before, at - 1) is not None, "a clock that steps back changes nothing"
    assert await house.issuer.stores.log.head() == before


async def test_a_token_is_good_until_it_expires_however_often_keys_change(house: House) -> None:
    """By our own introspection, and by a verifier that has just read the JWKS."""
    issuer = replace(house.issuer, terms=replace(house.issuer.terms, rotate_every=60, publish_ahead=60))
    alive: list[tuple[int, str]] = []
    for now in range(NOW, NOW + 2400, 60):
        await keys.tend(issuer, now)
        alive = [(until, token) for until, token in alive if until > now]
        tokens = await house.ask(house.known.machine, {"grant_type": "client_credentials"}, now)
        alive.append((now + tokens.expires_in, tokens.access_token))
        ring = await issuer.keyring.at(await issuer.stores.log.head(), now)
        verifier = Verifier(issuer=URL, audience=AUDIENCE, jwks=msgspec.json.decode(ring.jwks))
        for _, token in alive:
            verifier._trust.opener.open(token, now)
    assert len(alive) == 15
    assert rows(house, "key.drop") > 20


# By command.


async def test_a_command_calls_the_key_that_waits(house: House) -> None:
    """At once where it was published for long enough, and only once at a time."""
    first, second = await stored(house)
    done = await keys.rotate(house.issuer, BY, ACCESS, NOW)
    assert (done.successor, done.predecessor) == (changed(second, active_at=NOW), first)
    assert await signer(house.issuer, NOW) == second.kid
    later = await keys.rotate(house.issuer, BY, ACCESS, NOW + 1)
    assert later.successor.active_at == NOW + AHEAD
    with pytest.raises(Refused, match="under way"):
        await keys.rotate(house.issuer, BY, ACCESS, NOW + 2)
    sound(await house.issuer.stores.keys.all())


@pytest.mark.parametrize(
    ("use", "alg", "said"),
    [("lunch", None, "access or feed"), (ACCESS, "RS256", "no RS256 key signs"), (FEED, "RS256", "ES256 and nothing")],
)
async def test_what_cannot_be_rotated_is_refused(house: House, use: str, alg: str | None, said: str) -> None:
    """With the reason, and nothing changes."""
    before = house.everything()
    with pytest.raises(Refused, match=said):
        await keys.rotate(house.issuer, BY, use, NOW, alg)
    assert house.everything() == before


async def test_feed_and_tokens_rotate_apart(house: House) -> None:
    """One says nothing of the other."""
    access = await stored(house)
    await keys.rotate(house.issuer, BY, FEED, NOW)
    assert await stored(house) == access
    assert [state(key, NOW) for key in await stored(house, FEED)] == ["retired", "signing", "next"]


# Several algorithms side by side.


async def test_several_algorithms_sign_side_by_side(house: House) -> None:
    """Each with keys of its own, each rotated by itself; a token goes by the one that was chosen."""
    for alg in ALGS:
        await chosen(house, alg)
    issuer, then = house.issuer, NOW + AHEAD
    sound(await issuer.stores.keys.all())
    kids = {alg: await signer(issuer, then, alg) for alg in ALGS}
    assert len(set(kids.values())) == 4
    assert {alg: (await stored(house, alg=alg))[0].kid for alg in ALGS} == kids
    await keys.rotate(issuer, BY, ACCESS, then, "RS256")
    after = {alg: await signer(issuer, then, alg) for alg in ALGS}
    assert {alg for alg in ALGS if after[alg] != kids[alg]} == {"RS256"}
    await keys.tend(issuer, then + EVERY)
    assert len({await signer(issuer, then + EVERY, alg) for alg in ALGS} | {*after.values()}) == 8
    sound(await issuer.stores.keys.all())


@pytest.mark.parametrize("alg", ALGS)
async def test_what_is_signed_verifies_with_the_set_that_is_published(house: House, alg: str) -> None:
    """By the algorithm that its key is for."""
    await chosen(house, alg)
    now = NOW + AHEAD
    ring = await house.issuer.keyring.at(await house.issuer.stores.log.head(), now)
    claims = AccessClaims(URL, "s", AUDIENCE, now + 60, now, "j", "c", 0, "a")
    token = ring.signs(alg)(payload(claims))
    verifier = Verifier(issuer=URL, audience=AUDIENCE, jwks=msgspec.json.decode(ring.jwks))
    opened = verifier._trust.opener.open(token, now)
    assert opened.key.alg == alg


async def test_a_new_algorithm_is_announced_first(house: House) -> None:
    """Until its first key was published for long enough, the deployment's own goes on; choosing twice is once."""
    await chosen(house, "EdDSA")
    assert await keys.begin(house.issuer, "EdDSA", NOW) == []
    own, new = (await stored(house))[0], (await stored(house, alg="EdDSA"))[0]
    signers = [await signer(house.issuer, NOW + at, "EdDSA") for at in (0, AHEAD - 1, AHEAD)]
    assert signers == [own.kid, own.kid, new.kid]
    assert new.kid in await published(house.issuer, NOW)


async def test_another_algorithm_for_the_deployment_is_announced_first(house: House) -> None:
    """Starting with it changes nothing until verifiers know its key; the old one's tokens stay good."""
    (old, _), settings = await stored(house), {"issuer": URL, "data": house.data, "tokens": {"algorithm": "EdDSA"}}
    async with open_issuer(load_settings(None, settings)) as issuer:
        new, waiting = await stored(replace(house, issuer=issuer), alg="EdDSA")
        at = new.active_at or 0
        assert NOW + AHEAD <= at <= NOW + AHEAD + 3600
        assert [await signer(issuer, time) for time in (at - 1, at)] == [old.kid, new.kid]
        assert {old.kid, new.kid, waiting.kid} <= await published(issuer, at)
