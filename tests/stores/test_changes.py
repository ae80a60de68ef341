"""What each change does, and to what it does nothing."""

from __future__ import annotations

import asyncio

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
    SESSION,
    TOKEN,
    USER,
)
from watchword_server.changes import (
    ActivateKey,
    Add,
    DropKey,
    EndGrant,
    EndGrantsOf,
    EndSession,
    EndSessionsOf,
    RaiseLifetime,
    ReplaceClient,
    ResealKey,
    ResealSecret,
    RetireKey,
    Revoke,
    Send,
    SetApiAlg,
    SetApiEncryption,
    SetApiSecret,
    SetClientAlg,
    SetClientDisabled,
    SetClientSecret,
    SetPassword,
    SetRoles,
    SetUserDisabled,
    Spend,
    Unresealed,
    Unrevoked,
)
from watchword_server.ports import Conflict
from watchword_server.protocol.values import ClientMetadata, Encryption, RetiringSecret

SPEND = Spend(TOKEN.hash, NOW + 1, b"n" * 32, b"sealed")


async def test_a_user_is_changed_in_one_respect_at_a_time(stores):
    """Password, roles, disabled and enabled again."""
    await stores.journal.save(*EVERYTHING)
    await stores.journal.save(SetPassword(USER.sub, "$new"))
    assert await stores.users.find(USER.sub) == replace(USER, password_hash="$new")
    await stores.journal.save(SetPassword(USER.sub, USER.password_hash), SetRoles(USER.sub, ()))
    assert await stores.users.find(USER.sub) == replace(USER, roles=())
    await stores.journal.save(SetRoles(USER.sub, USER.roles), SetUserDisabled(USER.sub, NOW))
    assert await stores.users.find(USER.sub) == replace(USER, disabled_at=NOW)
    await stores.journal.save(SetUserDisabled(USER.sub, None))
    assert await stores.users.find(USER.sub) == USER


async def test_a_client_and_an_api_change_their_secrets(stores):
    """And a client is disabled and enabled."""
    await stores.journal.save(*EVERYTHING)
    await stores.journal.save(SetClientSecret(CLIENT.client_id, b"1"), SetApiSecret(API.audience, b"2"))
    assert await stores.clients.find(CLIENT.client_id) == replace(CLIENT, secret_hash=b"1")
    assert await stores.apis.of(API.client_id) == replace(API, secret_hash=b"2")
    await stores.journal.save(SetClientDisabled(CLIENT.client_id, None))
    assert (await stores.clients.find(CLIENT.client_id)).disabled_at is None


async def test_a_client_and_an_api_choose_for_their_tokens(stores):
    """And leave it open again; one choice does not touch the other."""
    await stores.journal.save(*EVERYTHING)
    url = Encryption("A128CBC-HS256", jwks_uri="https://orders.example/jwks.json")
    await stores.journal.save(
        SetClientAlg(CLIENT.client_id, "ES512"), SetApiAlg(API.audience, "RS384"), SetApiEncryption(API.audience, url)
    )
    assert await stores.clients.find(CLIENT.client_id) == replace(CLIENT, access_token_alg="ES512")
    assert await stores.apis.find(API.audience) == replace(API, access_token_alg="RS384", encryption=url)
    await stores.journal.save(SetApiAlg(API.audience, None))
    assert await stores.apis.of(API.client_id) == replace(API, access_token_alg=None, encryption=url)
    await stores.journal.save(SetClientAlg(CLIENT.client_id, None), SetApiEncryption(API.audience, None))
    assert await stores.clients.find(CLIENT.client_id) == replace(CLIENT, access_token_alg=None)
    assert await stores.apis.find(API.audience) == replace(API, access_token_alg=None, encryption=None)


@pytest.mark.parametrize(
    "change",
    [
        SetApiAlg("nowhere", "ES256"),
        SetApiEncryption("nowhere", None),
        SetClientAlg("nothing", "ES256"),
        SetPassword("nobody", "$x"),
        SetRoles("nobody", ()),
        SetUserDisabled("nobody", NOW),
        SetClientDisabled("nothing", NOW),
        SetClientSecret("nothing", b"x"),
        SetApiSecret("nowhere", b"x"),
        RetireKey("no-key", NOW, revoked=True),
        ActivateKey("no-key", NOW),
        ResealKey("no-key", b"", b"x"),
        ResealSecret("nothing", b"sealed", b"x"),
        DropKey("no-key"),
        replace(SPEND, hash=b"unknown"),
    ],
    ids=lambda change: type(change).__name__,
)
async def test_a_change_of_something_unknown_is_a_conflict(stores, change):
    """Nothing of its transaction happens."""
    await stores.journal.save(*EVERYTHING)
    with pytest.raises(Conflict):
        await stores.journal.save(Revoke("subject", USER.sub, NOW), change, AUDIT)
    assert (await stores.log.head()).rev == 0
    assert list(await stores.audit.latest(9)) == []


async def test_ending_a_session_ends_its_grants(stores):
    """And no others; a second time changes nothing."""
    other = replace(GRANT, gid="gid-2", sid="sid-2")
    await stores.journal.save(*EVERYTHING, Add(other))
    await stores.journal.save(EndSession(SESSION.sid, NOW + 5))
    await stores.journal.save(EndSession(SESSION.sid, NOW + 9))
    assert await stores.sessions.find(SESSION.sid) == replace(SESSION, ended_at=NOW + 5)
    assert await stores.grants.find(GRANT.gid) == replace(GRANT, ended_at=NOW + 5)
    assert await stores.grants.find("gid-2") == other


async def test_ending_all_of_a_user_ends_sessions_and_grants(stores):
    """Those of other people stay."""
    theirs = (replace(SESSION, sid="sid-bob", sub="sub-bob"), replace(GRANT, gid="gid-bob", sub="sub-bob", sid=None))
    loose = replace(GRANT, gid="gid-loose", sid=None)
    await stores.journal.save(*EVERYTHING, Add(OTHER_USER), *map(Add, theirs), Add(loose))
    await stores.journal.save(EndSessionsOf(USER.sub, NOW))
    assert list(await stores.sessions.of(USER.sub)) == []
    assert [(await stores.grants.find(gid)).ended_at for gid in ("gid-1", "gid-loose", "gid-bob")] == [NOW, NOW, None]
    assert (await stores.sessions.find("sid-bob")).ended_at is None


async def test_grants_end_one_by_one_or_by_client(stores):
    """And an end never moves."""
    others = [replace(GRANT, gid="gid-2"), replace(GRANT, gid="gid-3", client_id=OTHER_CLIENT.client_id)]
    await stores.journal.save(*EVERYTHING, Add(OTHER_CLIENT), *map(Add, others))
    await stores.journal.save(EndGrant("gid-1", NOW))
    await stores.journal.save(EndGrantsOf(CLIENT.client_id, NOW + 1))
    ends = [(await stores.grants.find(f"gid-{n}")).ended_at for n in (1, 2, 3)]
    assert ends == [NOW, NOW + 1, None]


async def test_a_refresh_token_is_spent_for_its_successor(stores):
    """The spent one remembers what it became."""
    await stores.journal.save(*EVERYTHING)
    await stores.journal.save(SPEND, Add(replace(TOKEN, hash=SPEND.successor_hash)))
    spent = replace(TOKEN, spent_at=NOW + 1, successor_hash=SPEND.successor_hash, sealed_successor=b"sealed")
    assert await stores.refresh_tokens.find(TOKEN.hash) == spent
    assert (await stores.refresh_tokens.find(SPEND.successor_hash)).spent_at is None


@pytest.mark.parametrize("before", [SPEND, EndGrant(GRANT.gid, NOW), EndSession(SESSION.sid, NOW)], ids=str)
async def test_a_token_that_was_spent_or_cut_is_not_spent_again(stores, before):
    """The loser leaves no successor behind."""
    await stores.journal.save(*EVERYTHING)
    await stores.journal.save(before)
    with pytest.raises(Conflict):
        await stores.journal.save(replace(SPEND, successor_hash=b"m" * 32), Add(replace(TOKEN, hash=b"m" * 32)), AUDIT)
    assert await stores.refresh_tokens.find(b"m" * 32) is None


async def test_exactly_one_of_many_tasks_spends_a_token(stores):
    """All others see a Conflict, and nothing of them happens."""
    await stores.journal.save(*EVERYTHING)

    async def spend(n: int) -> bool:
        mine = n.to_bytes(32)
        try:
            await stores.journal.save(replace(SPEND, successor_hash=mine), Add(replace(TOKEN, hash=mine)))
        except Conflict:
            return False
        return True

    assert sum(await asyncio.gather(*map(spend, range(50)))) == 1
    winner = (await stores.refresh_tokens.find(TOKEN.hash)).successor_hash
    found = [await stores.refresh_tokens.find(n.to_bytes(32)) for n in range(50)]
    assert [token.hash for token in found if token] == [winner]


@pytest.mark.parametrize(
    ("entry", "guard", "holds"),
    [
        (("subject", "sub-ann"), {"sub": "sub-ann"}, False),
        (("client", "web"), {"client_id": "web"}, False),
        (("session", "sid-1"), {"sid": "sid-1"}, False),
        (("issuer", ""), {}, False),
        (("subject", "sub-ann"), {"sub": "sub-bob", "client_id": "sub-ann", "sid": "sub-ann"}, True),
        (("token", "sub-ann"), {"sub": "sub-ann"}, True),
        (("subject", "sub-ann"), {}, True),
    ],
)
async def test_a_session_is_not_opened_on_what_was_revoked_meanwhile(stores, entry, guard, holds):
    """What was decided at `rev` is void when an entry after it hits whom it was decided for."""
    await stores.journal.save(*EVERYTHING, Revoke("subject", USER.sub, NOW))
    rev = (await stores.log.head()).rev
    await stores.journal.save(Revoke(*entry, NOW))
    late = Add(replace(SESSION, sid="sid-late"))
    if holds:
        await stores.journal.save(Unrevoked(rev, **guard), late)
    else:
        with pytest.raises(Conflict):
            await stores.journal.save(Unrevoked(rev, **guard), late)
    assert (await stores.sessions.find("sid-late") is not None) is holds
    await stores.journal.save(Unrevoked(rev + 1, **guard))


async def test_a_key_retires_first_and_is_revoked_later(stores):
    """The time when it retired stays."""
    await stores.journal.save(Add(KEY))
    await stores.journal.save(RetireKey(KEY.kid, NOW + 1, revoked=False))
    assert list(await stores.keys.all()) == [replace(KEY, retired_at=NOW + 1)]
    await stores.journal.save(RetireKey(KEY.kid, NOW + 2, revoked=True))
    assert list(await stores.keys.all()) == []


async def test_a_key_is_called_and_only_ever_sooner(stores):
    """Of two that call it, the later one finds nothing left to do."""
    await stores.journal.save(Add(KEY))
    for at in (NOW + 9, NOW + 5):
        await stores.journal.save(ActivateKey(KEY.kid, at))
        assert list(await stores.keys.all()) == [replace(KEY, active_at=at)]
    for at in (NOW + 5, NOW + 6):
        with pytest.raises(Conflict):
            await stores.journal.save(ActivateKey(KEY.kid, at))


@pytest.mark.parametrize("revoked", [False, True])
async def test_a_key_that_has_ended_is_never_called_again(stores, revoked):
    """Whatever else was decided with it does not happen either."""
    await stores.journal.save(Add(KEY), RetireKey(KEY.kid, NOW, revoked=revoked))
    with pytest.raises(Conflict):
        await stores.journal.save(ActivateKey(KEY.kid, NOW), AUDIT)
    assert list(await stores.audit.latest(9)) == []


async def test_one_key_of_a_kind_waits_and_one_is_appointed(stores):
    """Of two processes that see a gap, one fills it; another use, another algorithm and retired keys are apart."""
    appointed = replace(KEY, kid="kid-2", active_at=NOW)
    await stores.journal.save(Add(KEY), Add(appointed))
    for twin in (KEY, appointed):
        with pytest.raises(Conflict):
            await stores.journal.save(Add(replace(twin, kid="kid-3")))
        for apart in ({"use": "feed"}, {"alg": "EdDSA"}, {"retired_at": NOW}):
            await stores.journal.save(Add(replace(twin, kid=f"{twin.kid}-{apart}", **apart)))
    with pytest.raises(Conflict):
        await stores.journal.save(ActivateKey(KEY.kid, NOW))
    await stores.journal.save(RetireKey("kid-2", NOW, revoked=False), ActivateKey(KEY.kid, NOW))
    await stores.journal.save(Add(replace(KEY, kid="kid-3")))


async def test_a_revoked_key_loses_its_private_half(stores):
    """One that retires keeps it: nothing has happened to it."""
    others = [replace(KEY, kid=alg, alg=alg) for alg in ("RS256", "EdDSA")]
    await stores.journal.save(Add(KEY), *map(Add, others))
    await stores.journal.save(RetireKey("RS256", NOW, revoked=False), RetireKey("EdDSA", NOW, revoked=True))
    kept = {key.kid: key.sealed for key in await stores.keys.all()}
    assert kept == {KEY.kid: KEY.sealed, "RS256": KEY.sealed}
    with pytest.raises(Conflict):
        await stores.journal.save(ResealKey("EdDSA", KEY.sealed, b"again"))


async def test_a_key_is_sealed_anew_only_by_who_knows_how_it_was(stores):
    """Two that reseal at once never leave what neither meant."""
    await stores.journal.save(Add(KEY))
    await stores.journal.save(ResealKey(KEY.kid, KEY.sealed, b"\x02other"))
    assert list(await stores.keys.all()) == [replace(KEY, sealed=b"\x02other")]
    with pytest.raises(Conflict):
        await stores.journal.save(ResealKey(KEY.kid, KEY.sealed, b"\x02third"))


async def test_a_secret_is_sealed_anew_within_all_else_that_is_kept(stores):
    """Whoever changes the client meanwhile loses nothing, and who has read an older seal changes nothing."""
    first, second, third = (bytes(range(number, 256)) for number in (0, 1, 2))
    retiring = RetiringSecret(b"h", NOW, third)
    metadata = ClientMetadata(client_uri="https://app.example", sealed_secret=first, retiring_secret=retiring)
    client = replace(CLIENT, metadata=metadata)
    await stores.journal.save(Add(client), Add(replace(client, client_id="another")))
    renamed = replace(client, name="Renamed", metadata=replace(metadata, contacts=("a@app.example",)))
    await stores.journal.save(ReplaceClient(renamed))
    await stores.journal.save(ResealSecret(client.client_id, first, second))
    kept = replace(renamed, metadata=replace(renamed.metadata, sealed_secret=second))
    assert await stores.clients.find(client.client_id) == kept
    with pytest.raises(Conflict):
        await stores.journal.save(ResealSecret(client.client_id, first, third))
    await stores.journal.save(ResealSecret(client.client_id, third, first))
    assert (await stores.clients.find(client.client_id)).metadata.retiring_secret.sealed == first
    assert (await stores.clients.find("another")).metadata == metadata


async def test_only_a_retired_key_is_dropped_and_only_once(stores):
    """One that signs, will sign or waits stays, whoever asks."""
    signing = replace(KEY, kid="kid-2", active_at=NOW)
    await stores.journal.save(Add(KEY), Add(signing))
    for key in (KEY, signing):
        with pytest.raises(Conflict):
            await stores.journal.save(DropKey(key.kid))
    await stores.journal.save(RetireKey("kid-2", NOW, revoked=False))
    await stores.journal.save(DropKey("kid-2"))
    assert list(await stores.keys.all()) == [KEY]
    with pytest.raises(Conflict):
        await stores.journal.save(DropKey("kid-2"), AUDIT)
    assert list(await stores.audit.latest(9)) == []


async def test_the_longest_lifetime_only_grows(stores):
    """It says how long an old token may live, so it never goes down."""
    for seconds, longest in ((900, 900), (60, 900), (3600, 3600)):
        await stores.journal.save(RaiseLifetime(seconds))
        assert (await stores.log.head()).lifetime == longest


async def test_the_state_moves_with_what_is_cached_and_with_nothing_else(stores):
    """Users, clients, APIs and keys move it; sessions, tokens, audit rows and failed changes do not."""

    async def moves(*changes) -> bool:
        before = (await stores.log.head()).state
        await stores.journal.save(*changes)
        return (await stores.log.head()).state != before

    assert await moves(Add(USER))
    assert await moves(Add(CLIENT))
    assert await moves(Add(API))
    assert await moves(Add(KEY))
    assert not await moves(Add(SESSION), Add(GRANT), Add(TOKEN), AUDIT, Send("t", {}, NOW), Revoke("token", "t", NOW))
    assert await moves(SetPassword(USER.sub, "$"))
    assert await moves(SetRoles(USER.sub, ()))
    assert await moves(SetUserDisabled(USER.sub, NOW))
    assert await moves(SetClientDisabled(CLIENT.client_id, NOW))
    assert await moves(SetClientSecret(CLIENT.client_id, b"1"))
    assert await moves(SetApiSecret(API.audience, b"1"))
    assert await moves(SetApiAlg(API.audience, None))
    assert await moves(SetApiEncryption(API.audience, None))
    assert await moves(SetClientAlg(CLIENT.client_id, None))
    assert not await moves(Add(replace(ENCRYPTED, hash=b"another")))
    assert await moves(ActivateKey(KEY.kid, NOW))
    assert not await moves(ResealKey(KEY.kid, KEY.sealed, KEY.sealed))
    assert await moves(RetireKey(KEY.kid, NOW, revoked=False))
    assert await moves(DropKey(KEY.kid))
    assert not await moves(SPEND, EndSession(SESSION.sid, NOW), EndGrant(GRANT.gid, NOW), RaiseLifetime(5))
    before = await stores.log.head()
    with pytest.raises(Conflict):
        await stores.journal.save(SetUserDisabled(USER.sub, None), SetRoles("nobody", ()))
    assert await stores.log.head() == before


async def test_what_another_process_changes_is_seen_at_once(database, store):
    """Caches ask the database whether they are right, whoever changed it."""
    await store.stores.journal.save(*EVERYTHING)
    assert await store.stores.clients.find(CLIENT.client_id) == CLIENT
    assert await store.stores.apis.of(API.client_id) == API
    other = database.open()
    try:
        await other.stores.journal.save(SetClientDisabled(CLIENT.client_id, 7), SetApiSecret(API.audience, b"new"))
    finally:
        await other.close()
    assert await store.stores.clients.find(CLIENT.client_id) == replace(CLIENT, disabled_at=7)
    assert await store.stores.apis.of(API.client_id) == replace(API, secret_hash=b"new")


async def test_what_was_decided_beside_a_key_holds_while_that_is_sealed_as_it_was(stores):
    """Then it changes nothing, not even what others keep; after another seal, or the key's end, nothing happens."""
    await stores.journal.save(*EVERYTHING)
    before = await stores.log.head()
    await stores.journal.save(Unresealed(KEY.kid, KEY.sealed), AUDIT)
    assert await stores.log.head() == before
    assert KEY in await stores.keys.all()
    another = replace(KEY, kid="another", active_at=None)
    for change in (ResealKey(KEY.kid, KEY.sealed, b"anew"), RetireKey(KEY.kid, NOW, revoked=True)):
        await stores.journal.save(change)
        with pytest.raises(Conflict):
            await stores.journal.save(Unresealed(KEY.kid, KEY.sealed), Add(another))
    with pytest.raises(Conflict):
        await stores.journal.save(Unresealed("nobody", KEY.sealed), Add(another))
    assert await stores.keys.all() == []
