"""API keys that customers send to an API, over real sockets and threads."""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
import time
from collections.abc import Callable, Coroutine

import pytest

from tests.sdk.honest_issuer import AUDIENCE, Clock, Issuer, eventually
from watchword import Verifier
from watchword.errors import CannotDecide, InvalidToken, Malformed, Revoked, UnknownApiKey
from watchword.exchanging import BURST, COOL_DOWN, MARGIN, RATE, REMEMBER, SETTLE, Exchanging
from watchword.freshness import Clocks
from watchword.wire.exchange import Reply


def so_far(began: float, seconds: float) -> int:
    """How often something may have happened anew that happens each so many seconds: machines may be slow."""
    return int((time.monotonic() - began) / seconds)


def new_key() -> str:
    return f"ww_{secrets.token_hex(4)}_{secrets.token_urlsafe(32)}"


def customer(issuer: Issuer, **claims: object) -> str:
    key = new_key()
    issuer.customers[key] = {"gid": "grant-1", **claims}
    return key


def test_a_key_is_traded_once_and_judged_as_its_token(issuer: Issuer, verifier: Verifier) -> None:
    """However often it comes; with the API's credentials, and no word of the key in what is made of it."""
    key = customer(issuer, sub="customer-7", scope="orders:read orders:write")
    found = [verifier.verify_sync(key) for _ in range(20)]
    assert {one.subject for one in found} == {"customer-7"}
    assert found[0].has("orders:write")
    assert issuer.counts["traded"] == 1
    assert issuer.last_request["Authorization"].startswith("Basic ")
    assert key not in repr(found[0]) + found[0].payload.decode()


async def test_many_at_once_are_one_question(issuer: Issuer, verifier: Verifier) -> None:
    """Single flight, whether awaited or not."""
    key = customer(issuer)
    issuer.token_delay = 0.2
    await verifier.verify(issuer.token())
    found = await asyncio.gather(*(verifier.verify(key) for _ in range(50)))
    assert len({one.token_id for one in found}) == 1
    assert issuer.counts["traded"] == 1


def test_nothing_of_a_key_stays_in_memory_or_log(
    issuer: Issuer, verifier: Verifier, caplog: pytest.LogCaptureFixture
) -> None:
    """It is kept as its SHA-256, and neither a refusal nor an outage tells it."""
    caplog.set_level(logging.DEBUG)
    good, bad = customer(issuer), new_key()
    verifier.verify_sync(good)
    with pytest.raises(UnknownApiKey) as refused:
        verifier.verify_sync(bad)
    issuer.status["/token"] = 500
    with pytest.raises(CannotDecide) as undecided:
        verifier.verify_sync(other := new_key())
    desk = verifier._following.exchanging  # type: ignore[union-attr]  # it is online
    held = [repr(getattr(desk, slot)) for slot in ("_young", "_old", "_refused", "_asking")]
    said = " ".join([*held, repr(verifier._young), str(refused.value), str(undecided.value), caplog.text])
    for key in (good, bad, other):
        assert key[12:] not in said


def test_a_revoked_key_is_refused_within_a_second(issuer: Issuer, verifier: Verifier) -> None:
    """Its tokens die by their grant, and the issuer trades it no more."""
    key = customer(issuer, gid="grant-9")
    verifier.verify_sync(key)
    del issuer.customers[key]
    issuer.revoke("grant", "grant-9")

    def refused() -> bool:
        try:
            verifier.verify_sync(key)
        except (UnknownApiKey, Revoked):
            return True
        return False

    eventually(refused, 5)


def test_a_key_outlives_tokens_that_its_owners_other_deeds_have_killed(
    issuer: Issuer, verifier: Verifier, clock: Clock
) -> None:
    """Other roles kill the tokens of a person; the key is traded anew, but not again and again."""
    key = customer(issuer, sub="ada")
    first = verifier.verify_sync(key)
    clock.forward(SETTLE)
    issuer.revoke("subject", "ada")
    eventually(lambda: verifier.freshness.seq == 1)
    again = verifier.verify_sync(key)
    assert (again.subject, again.rev) == ("ada", 1)
    assert again.token_id != first.token_id
    assert issuer.counts["traded"] == 2
    issuer.customers[key]["rev"] = 1  # a node that lags behind
    issuer.revoke("subject", "ada")
    eventually(lambda: verifier.freshness.seq == 2)
    clock.forward(SETTLE)
    began = time.monotonic()
    for _ in range(10):
        with pytest.raises(Revoked):
            verifier.verify_sync(key)
    assert 3 <= issuer.counts["traded"] <= 3 + so_far(began, SETTLE)


async def test_a_token_is_renewed_before_it_ends_and_nobody_waits() -> None:
    """In the background, by the first who asks late in its life; a key that is refused then is dead at once."""
    now, key, begun = [1000.0], new_key(), list[Coroutine[object, object, object]]()
    replies = [
        Reply(200, b'{"access_token": "first", "token_type": "Bearer", "expires_in": 600}'),
        Reply(503, b"{}"),
        Reply(200, b'{"access_token": "second", "token_type": "Bearer", "expires_in": 600}'),
        Reply(400, b"{}"),
    ]

    async def post(form: dict[str, str], seconds: float) -> Reply:
        return replies.pop(0)

    desk = Exchanging(post, Clocks(lambda: now[0], lambda: now[0]), begun.append)
    assert await desk.exchange(key) == "first"
    now[0] += 600 - MARGIN - 1
    assert (desk.held(key), begun) == ("first", [])
    now[0] += 1
    assert desk.held(key) == "first"
    assert await begun.pop() is None
    assert (desk.held(key), begun) == ("first", [])
    now[0] += COOL_DOWN
    assert desk.held(key) == "first"
    assert await begun.pop() == "second"
    assert desk.held(key) == "second"
    now[0] += 600 - 1
    assert desk.held(key) == "second"
    with pytest.raises(UnknownApiKey):
        await begun.pop()
    with pytest.raises(UnknownApiKey):
        desk.held(key)
    assert begun == []


def test_while_the_issuer_is_away_what_is_held_goes_on(issuer: Issuer, verifier: Verifier) -> None:
    """And what is not held cannot be decided: a 503, never a 401."""
    known, unknown = customer(issuer), customer(issuer)
    verifier.verify_sync(known)
    issuer.status["/token"] = 503
    began = time.monotonic()
    with pytest.raises(CannotDecide):
        verifier.verify_sync(unknown)
    for _ in range(20):
        verifier.verify_sync(known)
        with pytest.raises(CannotDecide):
            verifier.verify_sync(unknown)
    assert issuer.counts["/token"] <= 2 + so_far(began, COOL_DOWN), "who failed a moment ago is not asked again"


def test_when_the_issuer_is_back_it_is_asked_again(issuer: Issuer, verifier: Verifier, clock: Clock) -> None:
    """After a while."""
    key = customer(issuer)
    issuer.status["/token"] = 503
    with pytest.raises(CannotDecide):
        verifier.verify_sync(key)
    issuer.status.clear()
    with pytest.raises(CannotDecide):
        verifier.verify_sync(key)
    clock.monotonic_ahead += COOL_DOWN
    eventually(lambda: verifier.freshness.state == "fresh")
    assert verifier.verify_sync(key)


def test_a_refusal_is_remembered_for_a_while(issuer: Issuer, verifier: Verifier, clock: Clock) -> None:
    """A program that goes on with a dead key costs the issuer little; and it may become good."""
    key, began = new_key(), time.monotonic()
    for _ in range(20):
        with pytest.raises(UnknownApiKey):
            verifier.verify_sync(key)
    assert issuer.counts["traded"] <= 1 + so_far(began, REMEMBER)
    issuer.customers[key] = {}
    clock.monotonic_ahead += REMEMBER
    eventually(lambda: verifier.freshness.state == "fresh")
    assert verifier.verify_sync(key)


async def test_a_flood_of_garbage_asks_the_issuer_little_and_leaves_known_keys_alone() -> None:
    """Beyond the burst nobody can tell, and the issuer is not asked; a key that was good once always is asked for."""
    now, asked, known = [1000.0], list[str](), new_key()

    async def post(form: dict[str, str], seconds: float) -> Reply:
        asked.append(form["api_key"])
        good = b'{"access_token": "x", "token_type": "Bearer", "expires_in": 60}'
        return Reply(200, good) if form["api_key"] == known else Reply(400, b"{}")

    async def trade(key: str) -> str | None:
        try:
            return await desk.exchange(key)
        except UnknownApiKey:
            return "refused"

    desk = Exchanging(post, Clocks(lambda: now[0], lambda: now[0]), begin=print)
    assert await trade(known) == "x"
    answers = [await trade(new_key()) for _ in range(3 * int(BURST))]
    assert answers == ["refused"] * (int(BURST) - 1) + [None] * (2 * int(BURST) + 1)
    assert not desk.may_ask(new_key())
    desk.drop(known, "x")
    now[0] += SETTLE
    desk.drop(known, "x")
    assert (desk.held(known), desk.may_ask(known), await trade(known)) == (None, True, "x")
    assert len(asked) == BURST + 1
    now[0] += 1 / RATE
    assert await trade(new_key()) == "refused"


def test_what_cannot_be_a_key_is_not_asked_for(issuer: Issuer, verifier: Verifier) -> None:
    """Its form is looked at first."""
    for key in ("ww_", "ww_short", f"ww_{'a' * 8}_{'b' * 42}", f"ww_{'a' * 8}_{'b' * 43}\n", "ww_é"):
        with pytest.raises(Malformed):
            verifier.verify_sync(key)
    assert issuer.counts["traded"] == 0


def test_without_credentials_a_key_is_no_token(issuer: Issuer, verifier_of: Callable[..., Verifier]) -> None:
    """Neither offline nor online: there is nobody whom the issuer would answer."""
    key = customer(issuer)
    issuer.private = False
    anonymous = verifier_of(issuer, credentials=None)
    offline = Verifier(issuer=issuer.url, audience=AUDIENCE, jwks={"keys": issuer.published})
    for verifier in (anonymous, offline):
        with pytest.raises(Malformed):
            verifier.verify_sync(key)
    assert issuer.counts["traded"] == 0


async def test_an_answer_that_says_nothing_of_the_key_is_no_refusal() -> None:
    """Customers must not throw good keys away for what is wrong elsewhere."""
    answers = [
        Reply(200, b'{"access_token": "x", "token_type": "DPoP", "expires_in": 60}'),
        Reply(200, b'{"access_token": "ww_x", "token_type": "Bearer", "expires_in": 60}'),
        Reply(200, b'{"access_token": "x", "token_type": "Bearer", "expires_in": -1}'),
        Reply(200, b'{"access_token": "x", "token_type": "Bearer", "expires_in": true}'),
        Reply(200, b'{"access_token": "x", "token_type": "Bearer"}'),
        *(Reply(200, body) for body in (b"{}", b"[]", b"", b"{")),
        *(Reply(status, b"{}") for status in (301, 401, 403, 404, 429, 500, 503)),
    ]
    for reply in answers:

        async def post(form: dict[str, str], seconds: float, reply: Reply = reply) -> Reply:
            return reply

        assert await Exchanging(post, Clocks(), begin=print).exchange(new_key()) is None, reply


def test_what_a_key_is_traded_for_is_judged_as_any_token(issuer: Issuer, verifier: Verifier) -> None:
    """A token for another API stays one."""
    key = customer(issuer, aud="https://other.example")
    with pytest.raises(InvalidToken, match="aud"):
        verifier.verify_sync(key)


def test_threads_share_what_was_traded(issuer: Issuer, verifier: Verifier) -> None:
    """From any number of them."""
    key = customer(issuer)
    issuer.token_delay = 0.1
    names: list[str] = []
    threads = [threading.Thread(target=lambda: names.append(verifier.verify_sync(key).subject)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert names == ["user-1"] * 16
    assert issuer.counts["traded"] == 1
