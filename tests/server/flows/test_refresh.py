"""Refreshing: one line of descent, however often and from wherever a token is shown; and what ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from tests.server.flows.house import ALICE, AUDIENCE, BY, CALLER, NOW, OTHER_AUDIENCE, House, claims
from watchword_server.flows import clients, revoking, users
from watchword_server.flows.session import sign_out
from watchword_server.flows.sign_in import SignedIn
from watchword_server.flows.taking_back import take_back
from watchword_server.protocol.errors import (
    InvalidClient,
    InvalidGrant,
    InvalidScope,
    InvalidTarget,
    RefreshReused,
    UnauthorizedClient,
)
from watchword_server.protocol.grants.refresh_token import RETRY


async def test_a_refresh_token_is_replaced_and_the_access_token_is_of_the_same_grant(house: House) -> None:
    """RFC 9700 §4.14.2: rotation. The new token says the same of the person, and reads the log anew."""
    first = (await house.sign_in()).tokens
    second = await house.refresh(first.refresh_token, now=NOW + 60)
    assert second.refresh_token not in (None, first.refresh_token)
    old, new = claims(first.access_token), claims(second.access_token)
    changed = {name for name in old if old[name] != new[name]}
    assert (changed, old.keys()) == ({"jti", "iat", "exp"}, new.keys())
    assert new["iat"] == NOW + 60


async def test_a_retry_gets_the_same_successor_while_it_is_unused(house: House) -> None:
    """The answer may have been lost. The time for it is counted from the first use, and to the second."""
    first = (await house.sign_in()).tokens.refresh_token
    second = await house.refresh(first, now=NOW)
    again = [await house.refresh(first, now=NOW + later) for later in (0, 1, RETRY)]
    assert {tokens.refresh_token for tokens in again} == {second.refresh_token}
    assert len({second.jti, *(tokens.jti for tokens in again)}) == 4
    assert (await house.refresh(second.refresh_token, now=NOW + RETRY)).refresh_token != second.refresh_token


@pytest.mark.parametrize("late", [False, True], ids=["successor used", "too late"])
async def test_a_spent_token_that_comes_back_ends_the_family(house: House, late: bool) -> None:
    """Also where a thief is faster than its owner: nobody refreshes any more, and the tokens are dead."""
    signed_in = await house.sign_in()
    first = signed_in.tokens
    last = await house.refresh(first.refresh_token)
    if not late:
        last = await house.refresh(last.refresh_token)
    bystander = (await house.sign_in()).tokens
    with pytest.raises(RefreshReused):
        await house.refresh(first.refresh_token, now=NOW + (RETRY + 1 if late else 1))
    for raw in (last.refresh_token, first.refresh_token):
        with pytest.raises(InvalidGrant):
            await house.refresh(raw, now=NOW + 1)
    assert await house.killed(last.access_token) in ("grant", "session")
    assert await house.killed(first.access_token) in ("grant", "session")
    assert await house.killed(bystander.access_token) is None
    assert (await house.refresh(bystander.refresh_token)).refresh_token
    (topic,) = house.rows("SELECT topic FROM outbox")
    assert topic == ("notice.refresh_reused",)


@pytest.mark.parametrize("processes", [1, 3])
async def test_fifty_at_once_get_one_successor(house: House, processes: int) -> None:
    """Exactly one spends the token, here or in another process; every answer carries the same next one."""
    signed_in = await house.sign_in()
    raw = signed_in.tokens.refresh_token
    async with AsyncExitStack() as stack:
        houses = [house]
        houses += [await stack.enter_async_context(house.another_process()) for _ in range(processes - 1)]
        answers = await asyncio.gather(*(houses[n % processes].refresh(raw) for n in range(50)))
    (successor,) = {tokens.refresh_token for tokens in answers}
    assert successor not in (None, raw)
    assert len({tokens.jti for tokens in answers}) == 50
    assert len({claims(tokens.access_token)["gid"] for tokens in answers}) == 1
    family = house.rows("SELECT spent_at FROM refresh_tokens ORDER BY spent_at")
    assert family == [(None,), (NOW,)]
    assert house.rows("SELECT count(*) FROM audit WHERE action = 'token.refresh'") == [(50,)]
    assert (await house.refresh(successor)).refresh_token not in (raw, successor)


async def test_fifty_that_come_too_late_end_the_family_once_and_for_all(house: House) -> None:
    """A thief in a hurry: all are refused, and nothing of the family lives."""
    tokens = (await house.sign_in()).tokens
    last = await house.refresh((await house.refresh(tokens.refresh_token)).refresh_token)
    asked = (house.refresh(tokens.refresh_token, now=NOW + 1) for _ in range(50))
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert {type(one) for one in answers} <= {RefreshReused, InvalidGrant}
    assert await house.killed(last.access_token)
    with pytest.raises(InvalidGrant):
        await house.refresh(last.refresh_token)


async def test_a_client_that_does_not_rotate_keeps_its_token(house: House) -> None:
    """A confidential client's own choice (RFC 9700 §4.14.2): the same one, any number of times, also at once."""
    raw = (await house.sign_in(client=house.known.keeper)).tokens.refresh_token
    answers = await asyncio.gather(*(house.refresh(raw, house.known.keeper, NOW + n) for n in range(20)))
    assert {tokens.refresh_token for tokens in answers} == {raw}
    assert len({tokens.jti for tokens in answers}) == 20
    assert house.rows("SELECT spent_at FROM refresh_tokens") == [(None,)]


# What ends it.

Act = Callable[[House, SignedIn], Awaitable[object]]


async def _user_disabled(house: House, signed_in: SignedIn) -> None:
    await users.disable(house.issuer, BY, ALICE, NOW)


async def _user_disabled_and_enabled(house: House, signed_in: SignedIn) -> None:
    await users.disable(house.issuer, BY, ALICE, NOW)
    await users.enable(house.issuer, BY, ALICE, NOW)


async def _password_changed(house: House, signed_in: SignedIn) -> None:
    await users.set_password(house.issuer, BY, ALICE, "another Password 9", NOW)


async def _signed_out(house: House, signed_in: SignedIn) -> None:
    await sign_out(house.issuer, signed_in.tokens.access_token, CALLER, NOW)


async def _session_revoked(house: House, signed_in: SignedIn) -> None:
    await revoking.session(house.issuer, BY, signed_in.session.sid, NOW)


async def _grant_revoked(house: House, signed_in: SignedIn) -> None:
    await revoking.grant(house.issuer, BY, claims(signed_in.tokens.access_token)["gid"], NOW)


async def _user_revoked(house: House, signed_in: SignedIn) -> None:
    await revoking.user(house.issuer, BY, ALICE, NOW)


async def _client_revoked(house: House, signed_in: SignedIn) -> None:
    await revoking.client(house.issuer, BY, house.known.page.client_id, NOW)


async def _taken_back(house: House, signed_in: SignedIn) -> None:
    form = {"token": signed_in.tokens.refresh_token or "", "client_id": house.known.page.client_id}
    await take_back(house.issuer, None, form, CALLER, NOW)


ENDS: list[Act] = [
    _user_disabled,
    _user_disabled_and_enabled,
    _password_changed,
    _signed_out,
    _session_revoked,
    _grant_revoked,
    _user_revoked,
    _client_revoked,
    _taken_back,
]


@pytest.mark.parametrize("spent", [False, True], ids=["fresh", "as a retry"])
@pytest.mark.parametrize("end", ENDS, ids=[end.__name__.strip("_") for end in ENDS])
async def test_what_has_ended_is_not_refreshed(house: House, end: Act, spent: bool) -> None:
    """Its tokens are dead as well; a sign-in of somebody else goes on."""
    signed_in = await house.sign_in()
    bystander = (await house.sign_in("bob@example.com", house.known.web)).tokens
    if spent:
        await house.refresh(signed_in.tokens.refresh_token)
    await end(house, signed_in)
    with pytest.raises(InvalidGrant):
        await house.refresh(signed_in.tokens.refresh_token)
    assert await house.killed(signed_in.tokens.access_token)
    assert await house.killed(bystander.access_token) is None
    assert (await house.refresh(bystander.refresh_token, house.known.web)).refresh_token


async def test_a_disabled_client_refreshes_again_when_it_is_enabled(house: House) -> None:
    """Its grants wait; the access tokens of before stay dead."""
    tokens = (await house.sign_in()).tokens
    await clients.disable(house.issuer, BY, house.known.page.client_id, NOW)
    with pytest.raises(InvalidClient):
        await house.refresh(tokens.refresh_token)
    await clients.enable(house.issuer, BY, house.known.page.client_id, NOW)
    fresh = await house.refresh(tokens.refresh_token)
    assert await house.killed(tokens.access_token) == "client"
    assert await house.killed(fresh.access_token) is None


async def test_everything_revoked_leaves_sessions_that_refresh(house: House) -> None:
    """`revoke everything` is about access tokens: what is refreshed afterwards lives."""
    tokens = (await house.sign_in()).tokens
    await revoking.everything(house.issuer, BY, NOW)
    assert await house.killed(tokens.access_token) == "issuer"
    assert await house.killed((await house.refresh(tokens.refresh_token)).access_token) is None


async def test_roles_are_those_of_now(house: House) -> None:
    """Tokens with the old ones are dead; the session stays."""
    tokens = (await house.sign_in()).tokens
    assert claims(tokens.access_token)["roles"] == ["staff"]
    await users.set_roles(house.issuer, BY, ALICE, ("auditor",), NOW)
    fresh = await house.refresh(tokens.refresh_token)
    assert claims(fresh.access_token)["roles"] == ["auditor"]
    assert await house.killed(tokens.access_token) == "subject"
    assert await house.killed(fresh.access_token) is None


async def test_time_ends_it_to_the_second(house: House) -> None:
    """The refresh token's own, and the session's, which no refresh prolongs; no access token outlives it."""
    terms = house.issuer.terms
    tokens = (await house.sign_in()).tokens
    last = NOW + terms.refresh_lifetime
    with pytest.raises(InvalidGrant):
        await house.refresh(tokens.refresh_token, now=last)
    at, end = last - 1, NOW + terms.session_lifetime
    while at < end - 1:
        tokens = await house.refresh(tokens.refresh_token, now=at)
        assert claims(tokens.access_token)["exp"] <= end
        at = min(at + terms.refresh_lifetime - 1, end - 1)
    tokens = await house.refresh(tokens.refresh_token, now=end - 1)
    assert tokens.expires_in == 1
    with pytest.raises(InvalidGrant):
        await house.refresh(tokens.refresh_token, now=end)


async def test_a_strangers_token_is_refused_and_not_spent(house: House) -> None:
    """Another client, a made-up token, a cut one, an access token: refused; the owner's still works."""
    tokens = (await house.sign_in()).tokens
    raw = tokens.refresh_token or ""
    with pytest.raises(InvalidGrant):
        await house.refresh(raw, house.known.web)
    with pytest.raises(UnauthorizedClient):
        await house.refresh(raw, house.known.machine)
    for text in (
        raw[:-1],
        raw + "A",
        raw.upper(),
        "wwr_",
        "x",
        tokens.access_token,
        "\N{SNOWMAN}",
        raw.removeprefix("wwr_"),
    ):
        with pytest.raises(InvalidGrant):
            await house.refresh(text)
    assert (await house.refresh(raw)).refresh_token != raw


async def test_a_refresh_narrows_and_never_widens(house: House) -> None:
    """RFC 6749 §6, RFC 8707 §2.2; a refusal spends nothing, and narrowing is for this token only."""
    raw = (await house.sign_in()).tokens.refresh_token
    for scope in ("orders:read admin", "stock", "orders:read  orders:write", "\x00"):
        with pytest.raises(InvalidScope):
            await house.refresh(raw, scope=scope)
    for resource in (OTHER_AUDIENCE, AUDIENCE + "//", AUDIENCE + "/x", "https://nobody.example"):
        with pytest.raises(InvalidTarget):
            await house.refresh(raw, resource=resource)
    narrow = await house.refresh(raw, scope="orders:read", resource=AUDIENCE)
    assert (narrow.scope, claims(narrow.access_token)["scope"]) == ("orders:read", "orders:read")
    assert (await house.refresh(narrow.refresh_token)).scope == "orders:read orders:write"


async def test_a_refresh_that_races_with_a_revocation_gives_nothing_that_lives(house: House) -> None:
    """60 times, in another process: whoever was first, afterwards every token is dead and nothing refreshes."""
    outcomes = {"refused": 0, "dead": 0}
    async with house.another_process() as other:
        for number in range(60):
            client = house.known.web if number % 2 else house.known.keeper
            victim = await house.sign_in(client=client)
            revocation = (_grant_revoked, _session_revoked, _user_revoked)[number % 3]
            last = victim.tokens
            revoked = asyncio.create_task(revocation(other, victim))
            await asyncio.sleep(number % 10 / 2000)
            try:
                last = await house.refresh(last.refresh_token, client)
            except InvalidGrant:
                outcomes["refused"] += 1
            else:
                outcomes["dead"] += 1
            await revoked
            assert await house.killed(last.access_token)
            with pytest.raises(InvalidGrant):
                await house.refresh(last.refresh_token, client)
    assert all(outcomes.values()), outcomes
    print(f"\n  refreshes that raced with a revocation: {outcomes}")
