"""What is kept for programs that act for themselves or for others: devices, API keys, and the tree of grants."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.stores.people_and_programs import API, CLIENT, EVERYTHING, GRANT, NOW, SESSION, USER
from watchword_server.changes import (
    Add,
    Alive,
    BindGrant,
    DecideDevice,
    EndGrant,
    EndGrantsBetween,
    EndGrantsOf,
    EndSession,
    EndSessionsOf,
    KeepClient,
    PollDevice,
    Revoke,
    SetClientDisabled,
    SpendDevice,
    UseApiKey,
)
from watchword_server.ports import Conflict
from watchword_server.protocol.values import ApiKey, Client, ClientMetadata, DeviceRequest, Grant, RetiringSecret

DEVICE = DeviceRequest(
    b"d" * 32, b"u" * 32, "web", API.audience, ("orders.read",), NOW, NOW + 600, 5, "192.0.2.7", "TV/1"
)
KEY = ApiKey("AbCd1234", b"k" * 32, GRANT.gid, "Acme", NOW, NOW + 3600)
AGENT = Client("agent", "Agent", "public", None, frozenset(), {}, NOW)


def child(gid: str, of: Grant, **other: object) -> Grant:
    """What an agent got for a token of another grant."""
    made = replace(of, gid=gid, client_id="agent", parent=of.gid, lineage=(of.gid, *of.lineage), act={"sub": "agent"})
    return replace(made, **other)


CHILD = child("gid-child", GRANT, jkt="thumbprint")
GRANDCHILD = child("gid-grandchild", CHILD)
SIBLING = replace(GRANT, gid="gid-sibling")
TREE = (*EVERYTHING, Add(AGENT), Add(SIBLING), Add(CHILD), Add(GRANDCHILD), Add(child("gid-nephew", SIBLING)))


@pytest.fixture
async def stores(store):
    """Two grants of one person, one of which was exchanged twice in a row, the other once."""
    await store.stores.journal.save(*TREE)
    return store.stores


async def ended(stores) -> set[str]:
    """Which of the grants have ended."""
    gids = [add.record.gid for add in TREE if isinstance(add.record, Grant)]
    return {gid for gid in gids if (await stores.grants.find(gid)).ended_at is not None}


async def test_a_grant_is_read_with_its_lineage(stores):
    """Who acts, for whom, and to which key it is bound."""
    assert await stores.grants.find("gid-grandchild") == GRANDCHILD
    assert await stores.grants.find("gid-child") == CHILD
    assert GRANDCHILD.lineage == ("gid-child", "gid-1")


async def test_a_tree_is_a_grant_with_all_that_came_of_it(stores):
    """And nothing beside it or above it."""
    assert {one.gid for one in await stores.grants.tree("gid-1", 9)} == {"gid-1", "gid-child", "gid-grandchild"}
    assert [one.gid for one in await stores.grants.tree("gid-grandchild", 9)] == ["gid-grandchild"]
    assert len(await stores.grants.tree("gid-1", 2)) == 2
    assert [await stores.grants.children(gid) for gid in ("gid-1", "gid-child", "gid-grandchild")] == [1, 1, 0]


ALL = {"gid-1", "gid-sibling", "gid-child", "gid-grandchild", "gid-nephew"}
# fmt: off
CUTS = {
    "the root":            (EndGrant("gid-1", NOW), {"gid-1", "gid-child", "gid-grandchild"}),
    "in the middle":       (EndGrant("gid-child", NOW), {"gid-child", "gid-grandchild"}),
    "a leaf":              (EndGrant("gid-grandchild", NOW), {"gid-grandchild"}),
    "the person's client": (EndGrantsOf("web", NOW), ALL),
    "the agent":           (EndGrantsOf("agent", NOW), {"gid-child", "gid-grandchild", "gid-nephew"}),
    "between the two":     (EndGrantsBetween(USER.sub, "web", NOW), ALL),
    "the session":         (EndSession(SESSION.sid, NOW), ALL),
    "the person":          (EndSessionsOf(USER.sub, NOW), ALL),
}
# fmt: on


@pytest.mark.parametrize("cut", CUTS)
async def test_what_ends_a_grant_ends_what_came_of_it(stores, cut):
    """All of it, and nothing else; a descendant has another client, so it is found by where it came from."""
    change, gone = CUTS[cut]
    await stores.journal.save(change)
    assert await ended(stores) == gone


async def test_what_programs_got_for_themselves_ends_with_them(stores):
    """A token without a grant was exchanged: the grant that this made names whom it speaks for."""
    await stores.journal.save(Add(replace(GRANT, gid="gid-own", client_id="agent", sub="web", sid=None)))
    await stores.journal.save(Add(child("gid-of-own", await stores.grants.find("gid-own"))))
    assert set(await stores.grants.heads_of("web")) == {"gid-1", "gid-sibling", "gid-own"}
    await stores.journal.save(EndGrantsOf("web", NOW))
    assert (await stores.grants.find("gid-own")).ended_at == NOW
    assert (await stores.grants.find("gid-of-own")).ended_at == NOW
    assert await stores.grants.heads_of("web") == []


async def test_heads_are_grants_that_others_came_of(stores):
    """Only those need an entry of their own in the log when their client dies."""
    assert set(await stores.grants.heads_of("web")) == {"gid-1", "gid-sibling"}
    assert await stores.grants.heads_of("agent") == ["gid-child"]
    await stores.journal.save(EndGrant("gid-grandchild", NOW))
    assert await stores.grants.heads_of("agent") == []


async def test_nothing_comes_of_a_grant_that_has_ended(stores):
    """Whoever decided on it before loses the race."""
    late = child("gid-late", GRANDCHILD)
    await stores.journal.save(Alive("gid-grandchild"), Add(late))
    await stores.journal.save(EndGrant("gid-1", NOW), Revoke("grant", "gid-1", NOW))
    assert (await stores.grants.find("gid-late")).ended_at == NOW
    with pytest.raises(Conflict):
        await stores.journal.save(Alive("gid-grandchild"), Add(replace(late, gid="gid-later")))
    assert await stores.grants.find("gid-later") is None


async def test_a_grant_is_bound_to_a_key(stores):
    """By the first token that was."""
    await stores.journal.save(BindGrant("gid-1", "thumbprint"))
    assert (await stores.grants.find("gid-1")).jkt == "thumbprint"


async def test_a_device_waits_for_one_answer(stores):
    """The first counts, and its grant is there when the device asks again."""
    await stores.journal.save(Add(DEVICE))
    waiting = await stores.devices.find(DEVICE.hash)
    assert (waiting.request, waiting.grant, waiting.session, waiting.user) == (DEVICE, None, None, None)
    assert await stores.devices.named(DEVICE.user_hash) == DEVICE
    with pytest.raises(Conflict):
        await stores.journal.save(SpendDevice(DEVICE.hash, NOW))
    await stores.journal.save(PollDevice(DEVICE.hash, NOW + 5, 10))
    await stores.journal.save(DecideDevice(DEVICE.hash, GRANT.gid, None))
    with pytest.raises(Conflict):
        await stores.journal.save(DecideDevice(DEVICE.hash, None, NOW))
    waiting = await stores.devices.find(DEVICE.hash)
    assert waiting.request == replace(DEVICE, polled_at=NOW + 5, interval=10, gid=GRANT.gid)
    assert (waiting.grant, waiting.user) == (GRANT, USER)


async def test_a_device_code_is_spent_once_and_while_its_grant_lives(stores):
    """The database decides the race."""
    other = replace(DEVICE, hash=b"e" * 32, user_hash=b"v" * 32)
    await stores.journal.save(Add(DEVICE), Add(other))
    await stores.journal.save(DecideDevice(DEVICE.hash, GRANT.gid, None), DecideDevice(other.hash, SIBLING.gid, None))
    await stores.journal.save(SpendDevice(DEVICE.hash, NOW))
    with pytest.raises(Conflict):
        await stores.journal.save(SpendDevice(DEVICE.hash, NOW))
    await stores.journal.save(EndGrant(SIBLING.gid, NOW))
    with pytest.raises(Conflict):
        await stores.journal.save(SpendDevice(other.hash, NOW))


async def test_two_devices_never_show_the_same_code(stores):
    """The second has to think of another."""
    await stores.journal.save(Add(DEVICE))
    with pytest.raises(Conflict):
        await stores.journal.save(Add(replace(DEVICE, hash=b"e" * 32)))


async def test_an_api_key_leads_to_its_grant_and_its_person(stores):
    """In one look; who it belongs to is its grant's to say."""
    await stores.journal.save(Add(KEY))
    held = await stores.customer_keys.find(KEY.hash)
    assert (held.key, held.grant, held.user) == (KEY, GRANT, USER)
    assert await stores.customer_keys.named(KEY.id) == KEY
    assert await stores.customer_keys.of("web") == [KEY]
    assert await stores.customer_keys.of("agent") == []
    assert await stores.customer_keys.all("", 9) == [KEY]
    assert await stores.customer_keys.find(b"x" * 32) is None


async def test_the_last_use_of_an_api_key_never_runs_backwards(stores):
    """Nodes write it when they like."""
    await stores.journal.save(Add(KEY))
    for at in (NOW + 60, NOW + 30):
        await stores.journal.save(UseApiKey(KEY.id, at))
    assert (await stores.customer_keys.named(KEY.id)).last_used_at == NOW + 60


async def test_a_client_by_metadata_document_is_kept_as_the_document_says(stores):
    """Again and again; but one that an operator has disabled stays so."""
    url = "https://agent.example/client.json"
    known = Client(
        url, "Agent", "public", None, frozenset(), {}, NOW, metadata=ClientMetadata(document_fresh_until=NOW + 60)
    )
    await stores.journal.save(KeepClient(known))
    assert await stores.clients.find(url) == known
    await stores.journal.save(SetClientDisabled(url, NOW))
    later = replace(
        known, name="Agent 2", access={API.audience: ("orders.read",)}, redirect_uris=("http://localhost/",)
    )
    await stores.journal.save(KeepClient(later))
    assert await stores.clients.find(url) == replace(later, disabled_at=NOW)


async def test_what_a_client_says_of_its_keys_is_read_as_it_was_written(stores):
    """Bytes inside JSON, too."""
    metadata = ClientMetadata(
        sealed_secret=b"\x00\xff",
        retiring_secret=RetiringSecret(b"\xff" * 32, NOW, b"\x00"),
        acts_for=("web",),
        fapi2=True,
    )
    await stores.journal.save(Add(replace(CLIENT, client_id="signs", metadata=metadata)))
    assert (await stores.clients.find("signs")).metadata == metadata


async def test_what_has_expired_goes(stores):
    """A key before its grant."""
    await stores.journal.save(Add(DEVICE), Add(KEY))
    for _ in range(3):
        await stores.journal.purge(NOW + 10_000_000, 0)
    assert await stores.devices.find(DEVICE.hash) is None
    assert await stores.customer_keys.find(KEY.hash) is None
    assert await stores.grants.find(GRANT.gid) is None
