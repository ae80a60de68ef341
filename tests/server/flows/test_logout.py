"""What ends with a session: everything, in one transaction, and the clients that let somebody in by it are told."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass

import pytest

from tests.server.flows.house import ALICE, BOB, BY, CALLER, NOW, House, claims
from tests.server.flows.relying import registered
from watchword_server.changes import Add, EndGrant
from watchword_server.flows import revoking, session, users
from watchword_server.flows.endings import BACKCHANNEL
from watchword_server.people.values import Session
from watchword_server.ports import Unavailable
from watchword_server.protocol.errors import RefreshReused
from watchword_server.protocol.values import Client, Grant

URI = "https://shop.example/told"


@dataclass(frozen=True)
class Signed:
    """A first-party sign-in whose session others were let in by, too."""

    sid: str
    sub: str
    access: str
    refresh: str


async def signed_in(house: House, email: str = ALICE) -> Signed:
    """By the public first-party client."""
    found = await house.sign_in(email)
    access, refresh = found.tokens.access_token, found.tokens.refresh_token or ""
    return Signed(found.session.sid, found.user.sub, access, refresh)


async def let_in(house: House, client: Client, sub: str, sid: str, offline: bool = False) -> Grant:
    """What a client got in a session."""
    gid, own = house.issuer.identifier(), None if offline else sid
    grant = Grant(gid, client.client_id, sub, "a", ("openid",), NOW, NOW + 9**6, sid=own, made_in=sid)
    await house.issuer.stores.journal.save(Add(grant))
    return grant


async def listener(house: House) -> Client:
    """A client that wants to hear of logouts."""
    return await registered(house.issuer, backchannel_logout_uri=URI)


def told(house: House) -> list[tuple[str, str, str]]:
    """Who is to be told of what: client, person, session."""
    rows = house.rows("SELECT body FROM outbox WHERE topic = ? ORDER BY number", BACKCHANNEL)
    return [(body["client_id"], body["sub"], body["sid"]) for (text,) in rows for body in [json.loads(text)]]


# fmt: off
End = Callable[[House, Signed], Awaitable[object]]
ENDS: dict[str, End] = {
    "signs out":            lambda house, one: session.sign_out(house.issuer, one.access, CALLER, NOW),
    "session revoked":      lambda house, one: revoking.session(house.issuer, BY, one.sid, NOW),
    "person revoked":       lambda house, one: revoking.user(house.issuer, BY, ALICE, NOW),
    "person disabled":      lambda house, one: users.disable(house.issuer, BY, ALICE, NOW),
    "another password":     lambda house, one: users.set_password(house.issuer, BY, ALICE, "another Password 9", NOW),
    "a refresh token again": lambda house, one: again(house, one.refresh),
}
GOES_ON: dict[str, End] = {
    "other roles":          lambda house, one: users.set_roles(house.issuer, BY, ALICE, ("boss",), NOW),
    "every token revoked":  lambda house, one: revoking.everything(house.issuer, BY, NOW),
    "a client revoked":     lambda house, one: revoking.client(house.issuer, BY, house.known.page.client_id, NOW),
    "a grant revoked":      lambda house, one: revoking.grant(house.issuer, BY, claims(one.access)["gid"], NOW),
}
# fmt: on


async def again(house: House, raw: str) -> None:
    """A refresh token is used, and so is the next one; then the first comes back."""
    await house.refresh((await house.refresh(raw)).refresh_token)
    with pytest.raises(RefreshReused):
        await house.refresh(raw)


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
async def test_however_a_session_ends_everything_of_it_does(house: House, end: End) -> None:
    """Session, grants and tokens; and whoever let the person in by it hears of it, once."""
    one, shop = await signed_in(house), await listener(house)
    grant = await let_in(house, shop, one.sub, one.sid)
    await end(house, one)
    assert (await house.issuer.stores.sessions.find(one.sid)).ended_at == NOW
    assert (await house.issuer.stores.grants.find(grant.gid)).ended_at == NOW
    assert await house.killed(one.access) in {"session", "subject", "grant"}
    assert told(house) == [(shop.client_id, one.sub, one.sid)]
    await revoking.session(house.issuer, BY, one.sid, NOW)
    await revoking.user(house.issuer, BY, ALICE, NOW)
    assert len(told(house)) == 1, "a session that has ended ends once"


@pytest.mark.parametrize("event", GOES_ON.values(), ids=GOES_ON)
async def test_nobody_is_told_of_a_session_that_goes_on(house: House, event: End) -> None:
    """Tokens die by it, the sign-in does not."""
    one = await signed_in(house)
    await let_in(house, await listener(house), one.sub, one.sid)
    await event(house, one)
    assert (await house.issuer.stores.sessions.find(one.sid)).ended_at is None
    assert told(house) == []


async def test_who_let_somebody_in_is_told_whatever_became_of_its_grant(house: House) -> None:
    """One that outlives the session, several of one client, one that has ended: one message for each client."""
    one = await signed_in(house)
    offline, twice, ended, silent = [await listener(house) for _ in range(3)] + [await registered(house.issuer)]
    kept = await let_in(house, offline, one.sub, one.sid, offline=True)
    for _ in range(2):
        await let_in(house, twice, one.sub, one.sid)
    await house.issuer.stores.journal.save(EndGrant((await let_in(house, ended, one.sub, one.sid)).gid, NOW))
    await let_in(house, silent, one.sub, one.sid)
    await session.sign_out(house.issuer, one.access, CALLER, NOW)
    assert sorted(told(house)) == sorted((client.client_id, one.sub, one.sid) for client in (offline, twice, ended))
    assert (await house.issuer.stores.grants.find(kept.gid)).ended_at is None, "it outlives the session"


async def test_of_a_persons_sessions_each_ends_by_itself(house: House) -> None:
    """Whoever was let in by two is told of two; another person's, and one that had ended, are none of them."""
    shop = await listener(house)
    first, second, third, bobs = [await signed_in(house, email) for email in (ALICE, ALICE, ALICE, BOB)]
    for one in (first, second, third, bobs):
        await let_in(house, shop, one.sub, one.sid)
    await revoking.session(house.issuer, BY, third.sid, NOW)
    await session.sign_out(house.issuer, second.access, CALLER, NOW)
    assert [sid for _, _, sid in told(house)] == [third.sid, second.sid]
    fourth = await signed_in(house)
    await let_in(house, shop, fourth.sub, fourth.sid)
    await users.disable(house.issuer, BY, ALICE, NOW)
    assert sorted(sid for _, _, sid in told(house)[2:]) == sorted((first.sid, fourth.sid))


async def test_nobody_is_told_of_what_did_not_happen(house: House) -> None:
    """The message is in the transaction of what it tells."""
    one = await signed_in(house)
    await let_in(house, await listener(house), one.sub, one.sid)
    before = house.everything()
    with closing(sqlite3.connect(house.data / "watchword.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable):
            await session.sign_out(house.issuer, one.access, CALLER, NOW)
        other.execute("ROLLBACK")
    assert house.everything() == before


async def test_a_session_at_a_browser_ends_like_any_other(house: House) -> None:
    """Also one that nobody has any grant by."""
    sid, sub = house.issuer.identifier(), await house.sub()
    opened = Session(sid, sub, "", ("pwd",), NOW, NOW + 60, "", "", browser=b"b" * 32)
    await house.issuer.stores.journal.save(Add(opened))
    (entry,) = await revoking.session(house.issuer, BY, sid, NOW)
    assert (entry.kind, entry.id) == ("session", sid)
    assert await house.issuer.stores.sessions.at(b"b" * 32) == []
