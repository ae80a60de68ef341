"""What was saved is what is read, and an identity is given once."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from tests.stores.people_and_programs import (
    API,
    AUDIT,
    CLIENT,
    ENCRYPTED,
    EVERYTHING,
    GRANT,
    KEY,
    NOW,
    OTHER_CLIENT,
    OTHER_USER,
    PARENTS,
    SESSION,
    TOKEN,
    USER,
)
from watchword_server.changes import Add, EndSession, RetireKey, SetClientDisabled, Spend
from watchword_server.ports import Conflict
from watchword_server.protocol.grants.refresh_token import Found


async def test_every_record_comes_back_as_it_was_saved(stores):
    """Read your writes: what `save` has answered is there at once."""
    await stores.journal.save(*EVERYTHING, Add(OTHER_USER), Add(OTHER_CLIENT))
    assert await stores.users.find(USER.sub) == USER
    assert await stores.users.named(USER.email) == USER
    assert await stores.users.find(OTHER_USER.sub) == OTHER_USER
    assert await stores.clients.find(CLIENT.client_id) == CLIENT
    assert await stores.clients.find(OTHER_CLIENT.client_id) == OTHER_CLIENT
    assert await stores.apis.find(API.audience) == API
    assert await stores.apis.of(API.client_id) == API
    assert await stores.sessions.find(SESSION.sid) == SESSION
    assert await stores.grants.find(GRANT.gid) == GRANT
    assert await stores.refresh_tokens.find(TOKEN.hash) == TOKEN
    assert await stores.encrypted_tokens.find(ENCRYPTED.hash) == ENCRYPTED
    assert list(await stores.keys.all()) == [KEY]


async def test_a_record_survives_closing_and_opening(database):
    """Nothing lives in the process only."""
    first = database.open()
    await first.stores.journal.save(*EVERYTHING, AUDIT)
    await first.close()
    second = database.open()
    try:
        assert await second.stores.clients.find(CLIENT.client_id) == CLIENT
        assert list(await second.stores.audit.latest(9)) == [AUDIT]
    finally:
        await second.close()


async def test_what_is_not_there_is_none(stores):
    """Also what cannot be there: half a surrogate pair, a number beyond 64 bits."""
    for name in ("nobody", "", "\ud800", "a\x00b", "x' OR 1=1 --"):
        assert await stores.users.find(name) is None
        assert await stores.users.named(name) is None
        assert await stores.clients.find(name) is None
        assert await stores.apis.find(name) is None
        assert await stores.apis.of(name) is None
        assert await stores.sessions.find(name) is None
        assert await stores.grants.find(name) is None
    assert await stores.refresh_tokens.find(b"") is None
    assert await stores.encrypted_tokens.find(b"") is None
    assert await stores.log.chain_at(2**70) is None


@pytest.mark.parametrize(
    "twin",
    [
        replace(USER, email="else@example.com"),
        replace(USER, sub="sub-else"),
        CLIENT,
        replace(API, client_id="api-else"),
        replace(API, audience="https://else.example"),
        SESSION,
        GRANT,
        TOKEN,
        ENCRYPTED,
        KEY,
    ],
    ids=lambda twin: type(twin).__name__,
)
async def test_a_taken_identity_is_a_conflict_and_changes_nothing(stores, twin):
    """The id, the e-mail address and the audience are unique; the rest of that transaction goes with it."""
    await stores.journal.save(*EVERYTHING)
    with pytest.raises(Conflict):
        await stores.journal.save(Add(OTHER_USER), Add(twin), AUDIT)
    assert await stores.users.find(OTHER_USER.sub) is None
    assert list(await stores.audit.latest(9)) == []


@pytest.mark.parametrize(
    "orphan",
    [replace(SESSION, sub="nobody"), replace(GRANT, client_id="nothing"), replace(TOKEN, gid="no-grant")],
    ids=lambda orphan: type(orphan).__name__,
)
async def test_a_record_whose_owner_is_gone_is_a_conflict(stores, orphan):
    """It was decided on a state that is no more."""
    await stores.journal.save(*PARENTS)
    with pytest.raises(Conflict):
        await stores.journal.save(Add(orphan))


async def test_people_and_programs_are_listed_by_page(stores):
    """In the order of their names, those beyond the last one seen."""
    people = [replace(USER, sub=f"s{n}", email=f"{n}@example.com") for n in range(5)]
    programs = [replace(CLIENT, client_id=f"c{n}") for n in range(5)]
    await stores.journal.save(*map(Add, reversed(people)), *map(Add, reversed(programs)))
    assert list(await stores.users.all("", 2)) == people[:2]
    assert list(await stores.users.all("1@example.com", 9)) == people[2:]
    assert list(await stores.clients.all("", 2)) == programs[:2]
    assert list(await stores.clients.all("c1", 9)) == programs[2:]
    assert list(await stores.apis.all()) == []


async def test_open_sessions_of_a_user_are_listed_newest_first(stores):
    """Those of others and those that ended are not among them."""
    mine = [replace(SESSION, sid=f"sid-{n}", created_at=NOW + n) for n in range(4)]
    theirs = replace(SESSION, sid="sid-bob", sub=OTHER_USER.sub)
    await stores.journal.save(*PARENTS, Add(OTHER_USER), *map(Add, [*mine, theirs]))
    await stores.journal.save(EndSession("sid-2", NOW))
    assert [session.sid for session in await stores.sessions.of(USER.sub)] == ["sid-3", "sid-1", "sid-0"]


async def test_keys_are_listed_oldest_first_and_a_revoked_one_never(stores):
    """A retired key is still listed: tokens that it signed are alive."""
    algs = ("ES256", "RS256", "EdDSA")
    keys = [replace(KEY, kid=f"kid-{n}", alg=alg, created_at=NOW - n) for n, alg in enumerate(algs)]
    await stores.journal.save(*map(Add, keys))
    await stores.journal.save(RetireKey("kid-2", NOW, revoked=False), RetireKey("kid-1", NOW, revoked=True))
    assert list(await stores.keys.all()) == [replace(keys[2], retired_at=NOW), keys[0]]


async def test_the_audit_trail_is_read_newest_first(stores):
    """Every row as it was written."""
    rows = [msgspec.structs.replace(AUDIT, at=AUDIT.at + n, detail={}) for n in range(50)]
    for row in rows[:3]:
        await stores.journal.save(row)
    await stores.journal.save(*rows[3:])
    assert list(await stores.audit.latest(1000)) == rows[::-1]
    assert list(await stores.audit.latest(2)) == [rows[49], rows[48]]


async def test_text_that_no_database_can_keep_is_refused_at_once(stores):
    """A ValueError for the caller who brings it, whoever shares the commit."""
    with pytest.raises(ValueError, match="surrogates"):
        await stores.journal.save(msgspec.structs.replace(AUDIT, agent="\ud800"))
    with pytest.raises(ValueError, match="surrogates"):
        await stores.journal.save(Add(replace(USER, name="\ud800")))
    assert list(await stores.audit.latest(9)) == []


async def test_a_refresh_token_comes_with_all_that_it_leads_to(stores):
    """Its successor, grant, session and user, each as it is by itself; and nothing where there is nothing."""
    assert await stores.refresh_tokens.family(TOKEN.hash) == Found(None, None, None, None, None)
    await stores.journal.save(*EVERYTHING)
    assert await stores.refresh_tokens.family(TOKEN.hash) == Found(TOKEN, None, GRANT, SESSION, USER)
    successor = replace(TOKEN, hash=b"i" * 32)
    await stores.journal.save(Spend(TOKEN.hash, NOW, successor.hash, b"sealed"), Add(successor))
    spent = replace(TOKEN, spent_at=NOW, successor_hash=successor.hash, sealed_successor=b"sealed")
    assert await stores.refresh_tokens.family(TOKEN.hash) == Found(spent, successor, GRANT, SESSION, USER)
    alone = replace(GRANT, gid="gid-2", sid=None, sub="nobody")
    await stores.journal.save(Add(alone), Add(replace(TOKEN, hash=b"j" * 32, gid="gid-2")))
    found = await stores.refresh_tokens.family(b"j" * 32)
    assert (found.grant, found.session, found.user) == (alone, None, None)


async def test_a_record_is_as_of_the_head_that_its_reader_has(database, store):
    """Never older than that head; with a later one it is read anew."""
    stores = store.stores
    await stores.journal.save(*EVERYTHING)
    before = await stores.log.head()
    assert await stores.clients.find(CLIENT.client_id, before) == CLIENT
    other = database.open()
    await other.stores.journal.save(SetClientDisabled(CLIENT.client_id, 7))
    await other.close()
    after = await stores.log.head()
    assert after.state > before.state
    assert await stores.clients.find(CLIENT.client_id, after) == replace(CLIENT, disabled_at=7)
    assert await stores.clients.find(CLIENT.client_id) == replace(CLIENT, disabled_at=7)
