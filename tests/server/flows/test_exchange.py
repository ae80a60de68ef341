"""Token exchange on a real deployment: what is given, what is refused, and that a cut reaches all that came of it."""

from __future__ import annotations

import asyncio
import dataclasses
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing

import pytest
from msgspec.structs import replace

from tests.server.flows.exchanging import agent, exchanged, form
from tests.server.flows.house import ALICE, AUDIENCE, BOB, BY, NOW, OTHER_AUDIENCE, SCOPES, House, Program, claims
from tests.server.flows.key_sets import FIRST
from tests.server.flows.relying import access_token, allowed, registered
from watchword.log import Entry
from watchword_server.changes import Change
from watchword_server.flows import apps, clients, endings, grant_tree, revoking, session, taking_back, users
from watchword_server.flows.at_browser import Account, Visitor
from watchword_server.flows.exchange import exchange
from watchword_server.flows.introspect import introspect
from watchword_server.flows.issuer import Caller
from watchword_server.flows.presented import presented
from watchword_server.flows.token import GRANTS, TokenRequest
from watchword_server.protocol.errors import (
    InvalidRequest,
    InvalidSession,
    RefreshReused,
    UnacceptableToken,
    UnauthorizedClient,
)
from watchword_server.protocol.grants.token_exchange import ACCESS_TOKEN, JWT, Bounds
from watchword_server.protocol.values import ClientMetadata, Encryption

KEY, OTHER_KEY = "k" * 43, "o" * 43
"""Thumbprints."""


async def hers(house: House, client: Program | None = None, email: str = ALICE) -> str:
    """An access token that somebody got by signing in."""
    return (await house.sign_in(email, client or house.known.web)).tokens.access_token


async def dead(house: House, *tokens: str) -> list[str | None]:
    """What kills each."""
    return [await house.killed(token) for token in tokens]


async def test_an_agent_gets_a_token_of_its_own_for_a_persons(house: House) -> None:
    """It says for whom, by whom, within what, and ends with the token that it came of (RFC 8693 §2.2.1, §4.1)."""
    mine, token = await agent(house, house.known.web.client_id), await hers(house)
    got = await exchanged(house, mine, token, scope="orders:read")
    before, said = claims(token), claims(got.access_token)
    assert (said["sub"], said["aud"], said["scope"]) == (before["sub"], AUDIENCE, "orders:read")
    assert (said["client_id"], said["act"]) == (mine.client_id, {"sub": mine.client_id})
    assert said["lineage"] == [before["gid"], before["jti"]]
    assert (said["via"], said["sid"]) == ([before["client_id"]], before["sid"])
    assert (said["exp"], said["roles"]) == (before["exp"], ["staff"])
    assert said["jti"] == said["gid"] != before["gid"]
    assert (got.issued_token_type, got.refresh_token, got.token_type) == (ACCESS_TOKEN, None, "Bearer")
    kept = await grant_tree.find(house.issuer, said["gid"])
    assert (kept.parent, kept.lineage, kept.act) == (before["gid"], (before["gid"],), said["act"])
    assert (await presented(house.issuer, got.access_token, NOW, AUDIENCE)).actor == {"sub": mine.client_id}


async def test_a_chain_names_everybody_and_ends_where_the_operator_says(house: House) -> None:
    """Who acts now, and who acted before; all grants, tokens and clients that it came through."""
    web = house.known.web.client_id
    first = await agent(house, web)
    second = await agent(house, first.client_id)
    third = await agent(house, second.client_id)
    token = await hers(house)
    one = (await exchanged(house, first, token)).access_token
    two = (await exchanged(house, second, one)).access_token
    said = claims(two)
    assert said["act"] == {"sub": second.client_id, "act": {"sub": first.client_id}}
    assert said["lineage"] == [claims(one)["gid"], claims(token)["gid"], claims(token)["jti"]]
    assert said["via"] == [first.client_id, web]
    with pytest.raises(InvalidRequest, match="no more than 2 exchanges may follow"):
        await exchanged(within(house, Bounds(depth=2)), third, two)
    await exchanged(within(house, Bounds(depth=3)), third, two)


def within(house: House, bounds: Bounds) -> House:
    """The same deployment with other bounds."""
    terms = dataclasses.replace(house.issuer.terms, exchange=bounds)
    return dataclasses.replace(house, issuer=dataclasses.replace(house.issuer, terms=terms))


async def test_so_many_come_of_one_grant_and_no_more(house: House) -> None:
    """Others are not concerned."""
    mine, token = await agent(house, house.known.web.client_id), await hers(house)
    other, few = await hers(house), within(house, Bounds(children=2))
    for _ in range(2):
        await exchanged(few, mine, token)
    with pytest.raises(InvalidRequest, match="no more than 2 exchanges may come of one grant"):
        await exchanged(few, mine, token)
    await exchanged(few, mine, other)


@pytest.mark.parametrize("acts_for", [(), ("client_of_somebody_else",)])
async def test_whose_tokens_an_agent_may_bring_is_the_operators_to_say(house: House, acts_for: tuple[str, ...]) -> None:
    """Whatever the request claims of itself; an actor token that is not its own is none."""
    mine, token = await agent(house, *acts_for), await hers(house)
    friend = await agent(house, house.known.web.client_id, grants=("client_credentials",))
    his = (await house.ask(friend, {"grant_type": "client_credentials", "resource": AUDIENCE})).access_token
    for more in ({}, {"actor_token": his, "actor_token_type": ACCESS_TOKEN}, {"client_id": mine.client_id}):
        with pytest.raises(UnacceptableToken):
            await exchanged(house, mine, token, **more)
    assert house.count("grants") == 1


async def test_only_who_may_impersonate_leaves_itself_out_and_nobody_else(house: House) -> None:
    """With an actor token of its own it says that it acts, if it wants to; `client_id` says so always."""
    web = house.known.web.client_id
    first = await agent(house, web)
    mine = await agent(house, web, first.client_id, impersonates=True, grants=("client_credentials",))
    own = (await house.ask(mine, {"grant_type": "client_credentials", "resource": AUDIENCE})).access_token
    token = await hers(house)
    alone = claims((await exchanged(house, mine, token)).access_token)
    assert "act" not in alone
    assert alone["client_id"] == mine.client_id
    says = await exchanged(house, mine, token, actor_token=own, actor_token_type=JWT)
    assert claims(says.access_token)["act"] == {"sub": mine.client_id}
    after = await exchanged(house, mine, (await exchanged(house, first, token)).access_token)
    assert claims(after.access_token)["act"] == {"sub": first.client_id}


async def test_another_api_is_reached_with_scopes_that_both_sides_know(house: House) -> None:
    """RFC 8707: one audience, and what the subject token has not is not had elsewhere."""
    await clients.add_api(house.issuer, BY, "https://mail.example", "Mail", ("orders:read", "mail"), NOW)
    access = {"https://mail.example": ("orders:read", "mail"), OTHER_AUDIENCE: ("stock",)}
    mine, token = await agent(house, house.known.web.client_id, access=access), await hers(house)
    said = claims((await exchanged(house, mine, token, resource="https://mail.example")).access_token)
    assert (said["aud"], said["scope"]) == ("https://mail.example", "orders:read")


@pytest.mark.parametrize("kind", [ACCESS_TOKEN, JWT])
async def test_an_encrypted_token_is_exchanged_as_any_other(house: House, kind: str) -> None:
    """We made it, so we know what is inside; and what comes of it is encrypted to its API as well."""
    encryption = Encryption("A256GCM", jwk=FIRST.public_jwk())
    await clients.add_api(house.issuer, BY, "https://vault.example", "Vault", ("read",), NOW, encryption=encryption)
    mine = await agent(house, access={"https://vault.example": ("read",)}, grants=("client_credentials",))
    own = (await house.ask(mine, {"grant_type": "client_credentials"})).access_token
    got = (await exchanged(house, mine, own, subject_token_type=kind)).access_token
    assert own.count(".") == got.count(".") == 4
    said = (await presented(house.issuer, got, NOW)).claims
    assert said["lineage"] == [(await presented(house.issuer, own, NOW)).token_id]


async def test_a_client_may_narrow_its_own_token(house: House) -> None:
    """Nobody has to allow it; and it gets no further life."""
    mine = await agent(house, grants=("client_credentials",))
    own = (await house.ask(mine, {"grant_type": "client_credentials", "resource": AUDIENCE})).access_token
    got = await exchanged(house, mine, own, now=NOW + 60, scope="orders:read")
    said = claims(got.access_token)
    assert (said["sub"], said["scope"], said["exp"]) == (mine.client_id, "orders:read", claims(own)["exp"])
    assert (said["lineage"], "via" in said) == ([claims(own)["jti"]], False)


@pytest.mark.parametrize("kind", ["access_token", "jwt"])
async def test_a_token_that_is_no_good_one_is_worth_nothing(house: House, kind: str) -> None:
    """Forged, expired, revoked, of a person who is gone: one refusal for all (RFC 8693 §2.2.2)."""
    mine, token = await agent(house, house.known.web.client_id), await hers(house)
    signed_in = await house.sign_in(BOB, house.known.web)
    bob = signed_in.tokens.access_token
    await users.disable(house.issuer, BY, BOB, NOW)
    revoked = await hers(house)
    await revoking.token(house.issuer, BY, revoked, NOW)
    over = await hers(house)
    await revoking.session(house.issuer, BY, claims(over)["sid"], NOW)
    more = {"subject_token_type": f"urn:ietf:params:oauth:token-type:{kind}"}
    for bad in (token[:-4] + "AAAA", "a.b.c", "x", str(signed_in.tokens.refresh_token), bob, revoked, over):
        with pytest.raises(UnacceptableToken):
            await exchanged(house, mine, bad, **more)
    with pytest.raises(UnacceptableToken):
        await exchanged(house, mine, token, now=claims(token)["exp"] + 6, **more)
    await exchanged(house, mine, token, **more)


async def test_a_client_that_may_not_exchange_is_told_so(house: House) -> None:
    """By its registration, before the token is looked at."""
    token = await hers(house)
    for client in (house.known.web, house.known.page):
        with pytest.raises(UnauthorizedClient):
            await house.ask(client, form(token))


async def test_a_bound_token_needs_the_proof_of_its_key(house: House) -> None:
    """Whoever has only found it cannot turn it into a free one; and the new one is bound to the key that was proven."""
    mine = await agent(house, house.known.machine.client_id)
    ask = TokenRequest(house.known.machine.authorization, {"grant_type": "client_credentials"}, b"", Caller(), NOW)
    bound = await _bound(house, ask, KEY)
    for jkt in (None, OTHER_KEY):
        with pytest.raises(UnacceptableToken):
            await _exchange_with(house, mine, bound, jkt)
    got = await _exchange_with(house, mine, bound, KEY)
    assert claims(got)["cnf"] == {"jkt": KEY}


async def _bound(house: House, ask: TokenRequest, jkt: str) -> str:
    """A token of a request whose proof was of this key."""
    issuer = house.issuer
    head = await issuer.stores.log.head()
    client = await issuer.stores.clients.find(house.known.machine.client_id)
    assert client is not None
    tokens = await GRANTS["client_credentials"](issuer, head, client, replace(ask, jkt=jkt))
    return tokens.access_token


async def _exchange_with(house: House, by: Program, token: str, jkt: str | None) -> str:
    issuer = house.issuer
    head = await issuer.stores.log.head()
    client = await issuer.stores.clients.find(by.client_id)
    assert client is not None
    return (await exchange(issuer, head, client, form(token), jkt, Caller(), NOW)).access_token


class Tree:
    """A person's token, what two agents made of it in a row, and a sibling that came of another grant of hers."""

    def __init__(self, house: House) -> None:
        self.house = house

    async def grow(self) -> None:
        """Make it."""
        house = self.house
        self.web = house.known.web
        self.first = await agent(house, self.web.client_id, house.known.keeper.client_id, name="First")
        self.second = await agent(house, self.first.client_id, name="Second")
        self.root = await self._allowed(self.web)
        self.child = (await exchanged(house, self.first, self.root)).access_token
        self.grandchild = (await exchanged(house, self.second, self.child)).access_token
        self.sibling = (await exchanged(house, self.first, await self._allowed(house.known.keeper))).access_token

    async def _allowed(self, to: Program) -> str:
        """A token that she got in a session of its own; quicker than by her password."""
        client = await clients.find(self.house.issuer, to.client_id)
        grant = await allowed(self.house.issuer, client, scope=SCOPES, audience=AUDIENCE)
        return await access_token(self.house.issuer, client, grant)

    @property
    def all(self) -> tuple[str, ...]:
        """The root, its child, its grandchild, and the sibling."""
        return self.root, self.child, self.grandchild, self.sibling


@pytest.fixture
async def tree(house: House) -> Tree:
    """One that is alive."""
    made = Tree(house)
    await made.grow()
    assert await dead(house, *made.all) == [None] * 4
    return made


def gid(token: str) -> str:
    """The grant of a token."""
    return str(claims(token)["gid"])


Cut = Callable[[House, Tree], Awaitable[object]]
# fmt: off
CUTS: dict[str, tuple[Cut, list[str | None], int]] = {
    "root": (
        lambda house, tree: revoking.grant(house.issuer, BY, gid(tree.root), NOW),
        ["grant", "grant", "grant", None], 1),
    "middle": (
        lambda house, tree: revoking.grant(house.issuer, BY, gid(tree.child), NOW),
        [None, "grant", "grant", None], 1),
    "leaf": (
        lambda house, tree: revoking.grant(house.issuer, BY, gid(tree.grandchild), NOW),
        [None, None, "grant", None], 1),
    "the root's token": (
        lambda house, tree: revoking.token(house.issuer, BY, tree.root, NOW),
        ["token", "token", "token", None], 1),
    "by the app itself": (
        lambda house, tree: taking_back.take_back(
            house.issuer, tree.web.authorization, {"token": tree.root}, Caller(), NOW),
        ["token", "token", "token", None], 1),
    "its token": (
        lambda house, tree: revoking.token(house.issuer, BY, tree.child, NOW),
        [None, "token", "token", None], 1),
    "by the agent itself": (
        lambda house, tree: taking_back.take_back(
            house.issuer, tree.first.authorization, {"token": tree.child}, Caller(), NOW),
        [None, "token", "token", None], 1),
    "the app": (
        lambda house, tree: revoking.client(house.issuer, BY, tree.web.client_id, NOW),
        ["client", "client", "client", None], 1),
    "the app, disabled": (
        lambda house, tree: clients.disable(house.issuer, BY, tree.web.client_id, NOW),
        ["client", "client", "client", None], 1),
    "the first agent": (
        lambda house, tree: revoking.client(house.issuer, BY, tree.first.client_id, NOW),
        [None, "client", "client", "client"], 1),
    "session": (
        lambda house, tree: revoking.session(house.issuer, BY, claims(tree.root)["sid"], NOW),
        ["session", "session", "session", None], 1),
    "person": (
        lambda house, tree: revoking.user(house.issuer, BY, ALICE, NOW),
        ["subject", "subject", "subject", "subject"], 1),
    "roles": (
        lambda house, tree: users.set_roles(house.issuer, BY, ALICE, ("boss",), NOW),
        ["subject", "subject", "subject", "subject"], 1),
    "everything": (
        lambda house, tree: revoking.everything(house.issuer, BY, NOW),
        ["issuer", "issuer", "issuer", "issuer"], 1),
}
# fmt: on


@pytest.mark.parametrize("cut", CUTS)
async def test_a_cut_kills_what_came_of_it_and_nothing_beside_it(house: House, tree: Tree, cut: str) -> None:
    """By one entry, however much that is; and nothing comes any more of what is dead."""
    act, expected, entries = CUTS[cut]
    before = house.count("revocations")
    await act(house, tree)
    assert await dead(house, *tree.all) == expected
    assert house.count("revocations") - before == entries
    if expected[1] is not None:
        with pytest.raises(UnacceptableToken):
            await exchanged(house, tree.second, tree.child)
    if expected[2] is not None:
        assert await introspect(house.issuer, house.known.api.authorization, {"token": tree.grandchild}, NOW) == {
            "active": False
        }


async def test_what_has_ended_stands_so_in_the_database(house: House, tree: Tree) -> None:
    """All of it, also what another client has."""
    await revoking.grant(house.issuer, BY, gid(tree.root), NOW)
    grants = {token: await grant_tree.find(house.issuer, gid(token)) for token in tree.all}
    assert [grants[token].ended_at for token in tree.all] == [NOW, NOW, NOW, None]


async def test_a_client_that_is_enabled_again_can_be_acted_for_again(house: House, tree: Tree) -> None:
    """What died stays dead; what is new counts, in the same second."""
    await clients.disable(house.issuer, BY, tree.web.client_id, NOW)
    await clients.enable(house.issuer, BY, tree.web.client_id, NOW)
    token = await hers(house)
    assert await dead(house, (await exchanged(house, tree.first, token)).access_token, tree.child) == [None, "client"]


async def test_introspection_says_who_acts(house: House, tree: Tree) -> None:
    """RFC 8693 §4.1, for the API that the token is for."""
    said = await introspect(house.issuer, house.known.api.authorization, {"token": tree.grandchild}, NOW)
    assert said["active"] is True
    assert said["act"] == {"sub": tree.second.client_id, "act": {"sub": tree.first.client_id}}


async def test_who_acts_for_a_person_ends_no_session_of_theirs(house: House) -> None:
    """Also an agent that is the operator's own."""
    mine, token = await agent(house, house.known.web.client_id), await hers(house)
    with closing(sqlite3.connect(house.data / "watchword.db")) as database:
        database.execute("UPDATE clients SET first_party = 1 WHERE client_id = ?", (mine.client_id,))
        database.commit()
    async with house.another_process() as other:
        child = (await exchanged(other, mine, token)).access_token
        await session.current(other.issuer, token, NOW)
        with pytest.raises(InvalidSession):
            await session.sign_out(other.issuer, child, Caller(), NOW)


async def test_a_programs_own_token_becomes_the_root_of_a_tree(house: House) -> None:
    """However many exchange it at once, one root; it ends with the token, and dies with its client."""
    machine = house.known.machine
    mine = await agent(house, machine.client_id)
    token = (await house.ask(machine, {"grant_type": "client_credentials"})).access_token
    got = await asyncio.gather(*(exchanged(house, mine, token) for _ in range(3)))
    children = [one.access_token for one in got]
    roots = {tuple(claims(one)["lineage"]) for one in children}
    assert roots == {(claims(token)["jti"],)}
    root = await grant_tree.find(house.issuer, claims(token)["jti"])
    assert (root.client_id, root.sub, root.lineage) == (machine.client_id, machine.client_id, ())
    assert root.expires_at == claims(token)["exp"]
    assert [claims(one)["sub"] for one in children] == [machine.client_id] * 3
    await revoking.client(house.issuer, BY, machine.client_id, NOW)
    assert await dead(house, token, *children) == ["client"] * 4
    assert [(await grant_tree.find(house.issuer, gid(one))).ended_at for one in children] == [NOW] * 3


@pytest.mark.parametrize("how", ["operator", "client"])
async def test_a_programs_token_that_is_taken_back_takes_its_tree_along(house: House, how: str) -> None:
    """Though the token itself names no grant."""
    machine = house.known.machine
    mine = await agent(house, machine.client_id)
    token, other = [(await house.ask(machine, {"grant_type": "client_credentials"})).access_token for _ in range(2)]
    child, beside = [(await exchanged(house, mine, one)).access_token for one in (token, other)]
    if how == "operator":
        await revoking.token(house.issuer, BY, claims(token)["jti"], NOW)
    else:
        form = {"token": token}
        await taking_back.take_back(house.issuer, machine.authorization, form, Caller(), NOW)
    assert await dead(house, token, child, other, beside) == ["token", "token", None, None]
    with pytest.raises(UnacceptableToken):
        await exchanged(house, mine, token)


async def test_a_token_calls_a_person_as_the_one_that_it_came_of(house: House) -> None:
    """A pairwise name goes down the chain, so what kills the person kills every token, also of agents elsewhere."""
    shop = await registered(house.issuer, subject_type="pairwise")
    grant = await allowed(house.issuer, shop, scope=("openid", "orders:read"), audience=AUDIENCE)
    token = await access_token(house.issuer, shop, grant)
    elsewhere = {"redirect_uri": "https://agent.example/cb", "subject_type": "pairwise"}
    mine = await agent(house, shop.client_id, grants=("authorization_code",), **elsewhere)
    child = (await exchanged(house, mine, token)).access_token
    assert claims(child)["sub"] == claims(token)["sub"] != await house.sub()
    assert (await grant_tree.find(house.issuer, gid(child))).sub == await house.sub()
    assert claims(child)["scope"] == "orders:read"
    assert "roles" not in claims(child), "the subject token has none"
    await users.disable(house.issuer, BY, ALICE, NOW)
    assert await dead(house, token, child) == ["subject", "subject"]


async def test_a_client_that_gets_other_names_for_people_loses_what_came_of_its_tokens(house: House) -> None:
    """Those call the person as nobody is called any more."""
    shop = await registered(house.issuer, subject_type="pairwise")
    grant = await allowed(house.issuer, shop, scope=("openid", "orders:read"), audience=AUDIENCE)
    mine = await agent(house, shop.client_id)
    child = (await exchanged(house, mine, await access_token(house.issuer, shop, grant))).access_token
    public = replace(shop, metadata=ClientMetadata(id_token_signed_response_alg="ES256"))
    await clients.change(house.issuer, BY, public, NOW)
    assert await dead(house, child) == ["client"]


async def test_the_account_page_lists_what_the_person_allowed_and_takes_back_all_that_came_of_it(
    house: House, tree: Tree
) -> None:
    """Agents came by themselves: they go with the app that they act for."""
    user = await users.find(house.issuer, ALICE)
    account = Account((await house.issuer.stores.sessions.of(user.sub))[0], user)
    listed = [app.client.client_id for app in await apps.with_access(house.issuer, user.sub, NOW)]
    assert sorted(listed) == sorted([tree.web.client_id, house.known.keeper.client_id])
    before = house.count("revocations")
    assert await apps.take_back(house.issuer, account, tree.web.client_id, Visitor(caller=Caller()), NOW)
    assert await dead(house, *tree.all) == ["grant", "grant", "grant", None]
    assert house.count("revocations") - before == 1


async def test_what_is_made_while_an_ancestor_is_cut_is_dead_or_not_made(house: House, tree: Tree) -> None:
    """A loop of exchanges by another process beside one cut: nothing that came out of it lives."""
    made: list[str] = []

    async with house.another_process() as other:

        async def loop() -> None:
            while True:
                try:
                    made.append((await exchanged(other, tree.second, tree.child)).access_token)
                except UnacceptableToken:
                    return

        racing = [asyncio.create_task(loop()) for _ in range(3)]
        async with asyncio.timeout(30):
            while len(made) < 20:
                await asyncio.sleep(0)
        await revoking.grant(house.issuer, BY, gid(tree.root), NOW)
        async with asyncio.timeout(30):
            await asyncio.gather(*racing)
    assert {await house.killed(token) for token in made} == {"grant"}
    assert house.rows("SELECT count(*) FROM grants WHERE parent = ? AND ended_at IS NULL", gid(tree.child)) == [(0,)]


async def test_what_an_app_made_of_its_own_token_goes_with_it_by_the_same_entry(house: House) -> None:
    """Though the person finds the app among those that have access by both."""
    mine = await agent(house, redirect_uri="https://shop.example/cb", grants=("authorization_code",))
    client = await clients.find(house.issuer, mine.client_id)
    grant = await allowed(house.issuer, client, scope=("orders:read",), audience=AUDIENCE)
    token = await access_token(house.issuer, client, grant)
    child = (await exchanged(house, mine, token)).access_token
    user, before = await users.find(house.issuer, ALICE), house.count("revocations")
    account = Account((await house.issuer.stores.sessions.of(user.sub))[0], user)
    assert await apps.take_back(house.issuer, account, mine.client_id, Visitor(caller=Caller()), NOW)
    assert await dead(house, token, child) == ["grant", "grant"]
    assert house.count("revocations") - before == 1


class Interrupted:
    """A journal before whose next save something else is saved."""

    def __init__(self, house: House, act: Callable[[], Awaitable[object]]) -> None:
        self._journal, self._act = house.issuer.stores.journal, [act]

    async def save(self, *changes: Change) -> Sequence[Entry]:
        """As `Journal` promises."""
        while self._act:
            await self._act.pop()()
        return await self._journal.save(*changes)


@pytest.mark.parametrize(
    "cut", ["root", "middle", "its token", "the app", "the first agent", "session", "person", "roles"]
)
async def test_what_was_decided_before_a_cut_and_would_be_saved_after_it_is_not_made(
    house: House, tree: Tree, cut: str
) -> None:
    """The log had not moved when the token was found good; when its child is saved, it has."""
    journal = Interrupted(house, lambda: CUTS[cut][0](house, tree))
    stores = replace(house.issuer.stores, journal=journal)
    late = dataclasses.replace(house, issuer=dataclasses.replace(house.issuer, stores=stores))
    before = house.count("grants")
    with pytest.raises(UnacceptableToken):
        await exchanged(late, tree.second, tree.child)
    assert house.count("grants") == before


async def test_end_of_a_grant_by_a_reused_refresh_token_reaches_agents(house: House) -> None:
    """RFC 9700 §4.14.2: a stolen family takes along what was made of it."""
    mine = await agent(house, house.known.page.client_id)
    signed_in = await house.sign_in(ALICE, house.known.page)
    child = (await exchanged(house, mine, signed_in.tokens.access_token)).access_token
    raw = signed_in.tokens.refresh_token
    await house.refresh((await house.refresh(raw)).refresh_token)
    with pytest.raises(RefreshReused):
        await house.refresh(raw)
    assert await dead(house, child) != [None]
    assert (await grant_tree.find(house.issuer, gid(child))).ended_at == NOW


async def test_endings_of_a_person_name_no_agent(house: House, tree: Tree) -> None:
    """One entry: nothing that a chain could be longer than, and no client that is told of a sign-in it never had."""
    ends = await endings.of_person(house.issuer, await house.sub(), NOW, 900)
    assert len([one for one in ends if type(one).__name__ == "Revoke"]) == 1


async def test_an_exchange_is_on_record(house: House) -> None:
    """Who, of whose token, for whom."""
    mine, token = await agent(house, house.known.web.client_id), await hers(house)
    got = await exchanged(house, mine, token)
    row = (await house.issuer.stores.audit.latest(1))[0]
    assert (row.actor, row.action, row.target) == (
        f"client:{mine.client_id}", "grant.exchange", f"grant:{gid(got.access_token)}",
    )  # fmt: skip
    assert row.detail == {"of": f"client:{house.known.web.client_id}", "sub": await house.sub()}
