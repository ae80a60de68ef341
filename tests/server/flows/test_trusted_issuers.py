"""Tokens of other issuers that the operator trusts: who may bring them, what they are worth, by whose keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

import pytest

from tests.server.flows.exchanging import agent, exchanged
from tests.server.flows.house import ALICE, AUDIENCE, BY, NOW, URL, House, Program, claims
from tests.server.flows.key_sets import Published, document
from tests.server.request_objects import key, signed
from watchword_server.flows import grant_tree, revoking
from watchword_server.flows.client_keys import KEEP
from watchword_server.flows.trusted_issuers import TrustedIssuers
from watchword_server.protocol.errors import InvalidScope, InvalidTarget, UnacceptableToken
from watchword_server.protocol.foreign_token import Trust
from watchword_server.protocol.grants.token_exchange import JWT

THEM: Final = "https://ci.example"
KEY, NEXT = key(), key()
IS_JWT: Final = {"subject_token_type": JWT}


def token(by: Any = KEY, **changes: object) -> str:
    """One of theirs."""
    own = {"iss": THEM, "sub": "repo:shop", "aud": URL, "iat": NOW, "nbf": NOW, "exp": NOW + 300, "jti": "j-1"}
    return signed(by, {name: value for name, value in {**own, **changes}.items() if value is not ...}, typ="JWT")


def trusting(house: House, *clients: Program, fetcher: Published | None = None, **more: Any) -> House:
    """The deployment of an operator who trusts them."""
    keys: dict[str, Any] = {"jwks": {"keys": [KEY.public_jwk()]}} if fetcher is None else {"jwks_uri": f"{THEM}/jwks"}
    given = {"audience": URL, "scopes": ("orders:read", "mail"), **keys, **more}
    trust = Trust(issuer=THEM, clients=tuple(one.client_id for one in clients), **given)
    trusted = TrustedIssuers(fetcher or Published(), [trust])  # type: ignore[arg-type]  # it only gets
    return replace(house, issuer=replace(house.issuer, trusted=trusted))


@asynccontextmanager
async def published(house: House, mine: Program, fetcher: Published) -> AsyncIterator[House]:
    """Keys that lie at an address."""
    found = trusting(house, mine, fetcher=fetcher)
    try:
        yield found
    finally:
        found.issuer.trusted.close()


async def test_a_token_of_a_trusted_issuer_becomes_one_of_ours(house: House) -> None:
    """Its subject is named with its issuer; it is worth what the operator says, and lives no longer than it did."""
    mine = await agent(house)
    house = trusting(house, mine)
    got = await exchanged(house, mine, token(), resource=AUDIENCE, **IS_JWT)
    said = claims(got.access_token)
    assert (said["sub"], said["aud"], said["scope"]) == (f"{THEM}#repo:shop", AUDIENCE, "orders:read")
    assert (said["exp"], said["act"], said["client_id"]) == (NOW + 300, {"sub": mine.client_id}, mine.client_id)
    assert "sid" not in said
    assert "roles" not in said
    with pytest.raises(InvalidScope):
        await exchanged(house, mine, token(), resource=AUDIENCE, scope="orders:write", **IS_JWT)
    with pytest.raises(InvalidTarget):
        await exchanged(house, mine, token(), resource="https://nowhere.example", **IS_JWT)


async def test_its_subject_is_nobody_of_ours(house: House) -> None:
    """Whatever it writes: a person's `sub`, a client's id."""
    mine = await agent(house)
    house = trusting(house, mine)
    for sub in (await house.sub(ALICE), mine.client_id, house.known.web.client_id):
        got = await exchanged(house, mine, token(sub=sub), resource=AUDIENCE, **IS_JWT)
        assert claims(got.access_token)["sub"] == f"{THEM}#{sub}"


async def test_only_the_clients_that_the_operator_names_may_bring_them(house: House) -> None:
    """Who may act for everybody here is none of them."""
    mine, other = await agent(house), await agent(house, "*")
    house = trusting(house, mine)
    with pytest.raises(UnacceptableToken):
        await exchanged(house, other, token(), resource=AUDIENCE, **IS_JWT)


@pytest.mark.parametrize("bad", [
    pytest.param(token(aud=THEM), id="for another"),
    pytest.param(token(aud=[URL, THEM]), id="for others too"),
    pytest.param(token(iss=f"{THEM}/"), id="of another"),
    pytest.param(token(exp=...), id="for ever"),
    pytest.param(token(iat=...), id="of no age"),
    pytest.param(token(exp=NOW), id="over"),
    pytest.param(token(nbf=NOW + 100), id="not yet"),
    pytest.param(token(NEXT), id="by another key"),
    pytest.param(token(cnf={"jkt": "k" * 43}), id="bound"),
    pytest.param(token(may_act={"sub": "somebody"}), id="for another actor"),
    pytest.param(token()[:-4] + "AAAA", id="forged"),
])  # fmt: skip
async def test_a_token_that_does_not_fit_is_worth_nothing(house: House, bad: str) -> None:
    """It is verified as anybody else's would be (RFC 7519 §7.2)."""
    mine = await agent(house)
    house = trusting(house, mine)
    with pytest.raises(UnacceptableToken):
        await exchanged(house, mine, bad, resource=AUDIENCE, **IS_JWT)
    assert house.count("grants") == 0


async def test_it_is_no_access_token_of_ours(house: House) -> None:
    """RFC 8693 §3: that type says that we have issued it."""
    mine = await agent(house)
    with pytest.raises(UnacceptableToken):
        await exchanged(trusting(house, mine), mine, token(), resource=AUDIENCE)


async def test_however_often_it_comes_it_is_one_root(house: House) -> None:
    """Which an operator can cut: then the same token is worth nothing any more, and what came of it is dead."""
    mine = await agent(house)
    house = trusting(house, mine)
    got = [await exchanged(house, mine, token(), resource=AUDIENCE, **IS_JWT) for _ in range(2)]
    ((root,),) = {tuple(claims(one.access_token)["lineage"]) for one in got}
    assert (await grant_tree.find(house.issuer, root)).client_id == mine.client_id
    await revoking.grant(house.issuer, BY, root, NOW)
    assert [await house.killed(one.access_token) for one in got] == ["grant", "grant"]
    with pytest.raises(UnacceptableToken):
        await exchanged(house, mine, token(), resource=AUDIENCE, **IS_JWT)
    assert await exchanged(house, mine, token(jti="j-2"), resource=AUDIENCE, **IS_JWT)


async def test_an_agent_goes_on_with_what_came_of_it(house: House) -> None:
    """As with any token of ours."""
    mine = await agent(house)
    second = await agent(house, mine.client_id)
    house = trusting(house, mine)
    first = await exchanged(house, mine, token(act={"sub": "job"}), resource=AUDIENCE, **IS_JWT)
    said = claims((await exchanged(house, second, first.access_token)).access_token)
    assert said["sub"] == f"{THEM}#repo:shop"
    assert said["act"] == {
        "sub": second.client_id, "act": {"sub": mine.client_id, "act": {"iss": THEM, "sub": "job"}},
    }  # fmt: skip


async def test_published_keys_are_fetched_once_and_again_for_a_kid_that_is_new(house: House) -> None:
    """Once for all who come at the same moment; a stranger's `kid` costs no second look within the cool-down."""
    mine, fetcher = await agent(house), Published(document(KEY.public_jwk()))
    async with published(house, mine, fetcher) as found:
        ask = {"resource": AUDIENCE, **IS_JWT}
        await asyncio.gather(*(exchanged(found, mine, token(jti=f"j-{n}"), **ask) for n in range(5)))
        assert fetcher.asked == [f"{THEM}/jwks"]
        fetcher.body = document(KEY.public_jwk(), NEXT.public_jwk())
        with pytest.raises(UnacceptableToken):
            await exchanged(found, mine, token(NEXT), **ask)
        assert len(fetcher.asked) == 1
        later = {"iat": NOW + 20, "nbf": NOW + 20}
        await exchanged(found, mine, token(NEXT, **later), now=NOW + 20, **ask)
        assert len(fetcher.asked) == 2


async def test_keys_that_cannot_be_had_open_nothing(house: House) -> None:
    """Before they were ever seen, and once they were not seen for as long as they are kept."""
    mine, fetcher = await agent(house), Published(document(KEY.public_jwk()))
    fetcher.broken = "nobody answers"
    async with published(house, mine, fetcher) as found:
        with pytest.raises(UnacceptableToken):
            await exchanged(found, mine, token(), resource=AUDIENCE, **IS_JWT)
    fetcher.broken = ""
    async with published(house, mine, fetcher) as found:
        await exchanged(found, mine, token(), resource=AUDIENCE, **IS_JWT)
        fetcher.broken, late = "nobody answers", NOW + KEEP + 10
        with pytest.raises(UnacceptableToken):
            await exchanged(
                found, mine, token(iat=late, nbf=late, exp=late + 60), now=late, resource=AUDIENCE, **IS_JWT
            )
