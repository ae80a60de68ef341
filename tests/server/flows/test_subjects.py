"""Who a person is to a client, and that every token dies whatever it calls the person."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace

from tests.server.flows.house import ALICE, BOB, BY, NOW, House, claims
from tests.server.flows.relying import access_token, allowed, identified, registered, verified
from watchword_server.flows import clients, revoking, users
from watchword_server.flows.made_once import LENGTH
from watchword_server.flows.salt import NAME
from watchword_server.flows.subjects import deaths_of, subject_for
from watchword_server.flows.userinfo import Shown, userinfo
from watchword_server.protocol.errors import InvalidSession, UnauthorizedClient
from watchword_server.protocol.values import Client, ClientMetadata

FORUM = "https://forum.example/callback"
PAIRWISE = {"subject_type": "pairwise"}


async def test_a_public_client_gets_the_same_sub_as_all_others(house: House) -> None:
    """OpenID Connect Core §8: it is what this deployment calls the person; no salt is made for that."""
    sub = await house.sub()
    assert await subject_for(house.issuer, await registered(house.issuer), sub) == sub
    assert house.count("secrets") == 0


async def test_a_pairwise_client_gets_a_sub_for_its_sector(house: House) -> None:
    """§8.1: the same to all clients of a host, another to each host and for each person, and never the real one."""
    issuer, alice, bob = house.issuer, await house.sub(), await house.sub(BOB)
    shop, till = await registered(house.issuer, **PAIRWISE), await registered(house.issuer, **PAIRWISE)
    forum = await registered(house.issuer, FORUM, **PAIRWISE)
    seen = [await subject_for(issuer, client, sub) for client in (shop, forum) for sub in (alice, bob)]
    assert len({*seen, alice, bob}) == 6
    assert await subject_for(issuer, till, alice) == seen[0]


async def test_a_pairwise_sub_is_the_same_in_every_process_and_after_a_restart(house: House) -> None:
    """However many ask for the first one at once, one salt is made, and it stays."""
    client, sub = await registered(house.issuer, **PAIRWISE), await house.sub()
    async with house.another_process() as second, house.another_process() as third:
        found = await asyncio.gather(*(subject_for(one.issuer, client, sub) for one in (house, second, third)))
    async with house.another_process() as later:
        assert {await subject_for(later.issuer, client, sub), *found} == {found[0]}
    ((name, value),) = house.rows("SELECT name, value FROM secrets")
    assert (name, len(value)) == (NAME, LENGTH)


async def test_a_pairwise_client_without_a_sector_gets_no_sub(house: House) -> None:
    """No other may stand in for it, and it costs nobody else anything when the person is revoked."""
    nowhere = Client("c", "C", "public", None, frozenset(), {}, NOW, metadata=ClientMetadata(subject_type="pairwise"))
    with pytest.raises(UnauthorizedClient):
        await subject_for(house.issuer, nowhere, await house.sub())


async def test_a_client_sees_one_sub_everywhere(house: House) -> None:
    """ID token, access token and userinfo: who reads an access token learns nothing that the client must not."""
    client = await registered(house.issuer, **PAIRWISE, userinfo_signed_response_alg="ES256")
    grant = await allowed(house.issuer, client)
    access = await access_token(house.issuer, client, grant)
    _, told = await verified(house.issuer, await identified(house.issuer, client, grant))
    _, info = await verified(house.issuer, str(await userinfo(house.issuer, Shown(access), NOW)))
    assert told["sub"] == info["sub"] == claims(access)["sub"] != grant.sub


Act = Callable[[House], Awaitable[object]]


@pytest.mark.parametrize("act", [
    pytest.param(lambda house: users.disable(house.issuer, BY, ALICE, NOW), id="disabled"),
    pytest.param(lambda house: users.set_password(house.issuer, BY, ALICE, "another Password 8", NOW), id="password"),
    pytest.param(lambda house: users.set_roles(house.issuer, BY, ALICE, ("boss",), NOW), id="roles"),
    pytest.param(lambda house: revoking.user(house.issuer, BY, ALICE, NOW), id="revoked"),
])  # fmt: skip
@pytest.mark.parametrize("offline", [False, True], ids=["online", "offline"])
async def test_what_kills_a_person_kills_tokens_that_call_them_otherwise(house: House, act: Act, offline: bool) -> None:
    """The feed names every `sub` that living grants use, so verifiers need not know that two are one person."""
    shop, forum = await registered(house.issuer, **PAIRWISE), await registered(house.issuer, FORUM, **PAIRWISE)
    hers = [(client, await allowed(house.issuer, client, offline=offline)) for client in (shop, forum)]
    tokens = [await access_token(house.issuer, client, grant) for client, grant in hers]
    bob = await access_token(house.issuer, shop, await allowed(house.issuer, shop, email=BOB))
    assert [await house.killed(token) for token in (*tokens, bob)] == [None, None, None]
    await act(house)
    assert [await house.killed(token) for token in (*tokens, bob)] == ["subject", "subject", None]
    for token in tokens:
        with pytest.raises(InvalidSession):
            await userinfo(house.issuer, Shown(token), NOW)


async def test_a_person_with_other_roles_goes_on_with_new_tokens(house: House) -> None:
    """What died is what was made before: the grant lives, and its next token counts."""
    client = await registered(house.issuer, **PAIRWISE)
    grant = await allowed(house.issuer, client)
    await users.set_roles(house.issuer, BY, ALICE, ("boss",), NOW)
    assert await house.killed(await access_token(house.issuer, client, grant)) is None


@pytest.mark.parametrize("kind", ["session", "grant"])
async def test_a_token_that_calls_a_person_otherwise_dies_with_its_session_and_grant(house: House, kind: str) -> None:
    """Those are the same for everybody."""
    client = await registered(house.issuer, **PAIRWISE)
    grant = await allowed(house.issuer, client)
    token = await access_token(house.issuer, client, grant)
    if kind == "session":
        await revoking.session(house.issuer, BY, str(grant.sid), NOW)
    else:
        await revoking.grant(house.issuer, BY, grant.gid, NOW)
    assert await house.killed(token) == kind


@pytest.mark.parametrize(("before", "after", "killed"), [
    (PAIRWISE, {}, "client"),
    ({}, PAIRWISE, "client"),
    (PAIRWISE, {**PAIRWISE, "client_uri": "https://shop.example"}, None),
    ({}, {"client_uri": "https://shop.example"}, None),
])  # fmt: skip
async def test_a_client_that_gets_other_names_for_people_loses_its_tokens(
    house: House, before: dict[str, str], after: dict[str, str], killed: str | None
) -> None:
    """Else one of them would call somebody as nobody is called any more, and outlive what kills that person."""
    client = await registered(house.issuer, **before)
    token = await access_token(house.issuer, client, await allowed(house.issuer, client))
    other = ClientMetadata(id_token_signed_response_alg="ES256", **after)  # type: ignore[arg-type]  # as declared
    await clients.change(house.issuer, BY, replace(client, metadata=other), NOW)
    assert await house.killed(token) == killed


async def test_a_client_at_another_host_loses_its_tokens_where_that_gives_other_names(house: House) -> None:
    """Public names are the same everywhere."""
    pairs = [(await registered(house.issuer, **PAIRWISE), "client"), (await registered(house.issuer), None)]
    for client, killed in pairs:
        token = await access_token(house.issuer, client, await allowed(house.issuer, client))
        await clients.change(house.issuer, BY, replace(client, redirect_uris=(FORUM,)), NOW)
        assert await house.killed(token) == killed


async def test_a_person_is_called_dead_once_by_each_name(house: House) -> None:
    """However many grants there are at a sector; and a public client needs no further name."""
    shop, till = await registered(house.issuer, **PAIRWISE), await registered(house.issuer, **PAIRWISE)
    for client in (shop, shop, till, await registered(house.issuer)):
        await allowed(house.issuer, client)
    sub = await house.sub()
    names = [entry.id for entry in await deaths_of(house.issuer, sub, NOW, 900)]
    assert names == [sub, await subject_for(house.issuer, shop, sub)]
