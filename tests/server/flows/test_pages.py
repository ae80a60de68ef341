"""All that is dead in pages: of any length, joined, and true whatever happens while they are read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.server.flows.house import NOW, URL, House
from tests.server.flows.test_feed import NONCE, read, running
from watchword.log import Delta, Heartbeat, Message, Snapshot, is_page
from watchword.revocations import Pages, RevocationSet
from watchword_server.changes import Revoke
from watchword_server.flows.feed import LONGEST_DELTA
from watchword_server.flows.pages import PAGE, Shelf, pages
from watchword_server.flows.purge import purge
from watchword_server.ports import Unavailable

LATER = NOW + 10_000_000


async def revoke(house: House, count: int, until: int = LATER) -> None:
    """So many sessions more, in one transaction."""
    seq = (await house.issuer.stores.log.head()).rev
    await house.issuer.stores.journal.save(*(Revoke("session", f"s-{seq + n}", until) for n in range(1, count + 1)))


async def told(house: House, log: str = "", seq: int | None = None) -> list[Message]:
    """What who takes pages is answered."""
    return [await read(house, event) async for event in house.issuer.feed.in_pages(log, seq, NONCE)]


def follower(messages: list[Message]) -> RevocationSet:
    """Who has read such an answer."""
    known = RevocationSet()
    taken = Pages(known)
    for page in messages[:-1]:
        assert is_page(page)
        taken.take(page)
    known.apply(taken.closed(messages[-1]))
    return known


async def must_know_all(house: House, known: RevocationSet, count: int) -> None:
    head = await house.issuer.stores.log.head()
    assert (known.log, known.seq, len(known)) == (head.log, head.rev, count)
    assert all(known.kills("", "", 0, "", "", f"s-{seq}") for seq in range(1, count + 1))


@pytest.mark.parametrize("count", [0, 1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE + 7])
async def test_pages_and_their_end_are_all_that_is_dead(house: House, count: int) -> None:
    """However many: as few pages as it takes, and a delta with the nonce."""
    if count:
        await revoke(house, count)
    messages = await told(house)
    assert len(messages) == 2 + count // PAGE
    assert isinstance(messages[-1], Delta)
    assert [message.nonce for message in messages] == [*[""] * (len(messages) - 1), NONCE]
    await must_know_all(house, follower(messages), count)


async def test_what_is_committed_while_pages_are_read_is_in_them_or_in_their_end(house: House) -> None:
    """After each message there is more; nothing of it is missed."""
    await revoke(house, 2 * PAGE)
    found = []
    async for event in house.issuer.feed.in_pages("", None, NONCE):
        found.append(await read(house, event))
        if is_page(found[-1]):
            await revoke(house, 3)
    await must_know_all(house, follower(found), found[-1].seq)


async def test_what_is_forgotten_while_pages_are_read_is_missed_by_nobody(house: House) -> None:
    """Every entry of the first page, and its last one too, is gone when the second is read."""
    await revoke(house, PAGE, until=NOW + 1)
    await revoke(house, 10)
    found = []
    async for event in house.issuer.feed.in_pages("", None, NONCE):
        found.append(await read(house, event))
        while await purge(house.issuer, NOW + 1000):
            pass
    known = follower(found)
    assert all(known.kills("", "", 0, "", "", f"s-{PAGE + n}") for n in range(1, 11))
    assert known.seq == PAGE + 10


async def test_who_is_not_far_behind_gets_a_delta(house: House) -> None:
    """One message, as for everybody else; who is too far behind, or follows another log, begins anew."""
    await revoke(house, 3)
    log = (await house.issuer.stores.log.head()).log
    (near,) = await told(house, log, 1)
    assert isinstance(near, Delta)
    assert (near.after, near.seq, near.nonce) == (1, 3, NONCE)
    await revoke(house, LONGEST_DELTA)
    for name, seq in ((log, 1), ("another", 3), (log, 10**6)):
        await must_know_all(house, follower(await told(house, name, seq)), LONGEST_DELTA + 3)


async def test_another_log_in_the_middle_ends_the_answer(house: House) -> None:
    """A restore: what was sent of the old one is never closed."""
    await revoke(house, PAGE + 1)
    stores = house.issuer.stores

    class Restored:
        """The log, and from the second page on another one."""

        def __init__(self) -> None:
            self.asked = 0

        async def alive_after(self, seq: int, now: int, limit: int):  # type: ignore[no-untyped-def]  # of the port
            self.asked += 1
            head, *rest = await stores.log.alive_after(seq, now, limit)
            return (head if self.asked == 1 else type(head)("another", *head_rest(head)), *rest)

    with pytest.raises(Unavailable, match="another log"):
        _ = [page async for page in pages(URL, Restored(), lambda: NOW * 1000)]  # type: ignore[arg-type]  # as far as asked


def head_rest(head):  # type: ignore[no-untyped-def]  # all of a head but its log
    return [getattr(head, name) for name in head.__slots__ if name != "log"]


async def test_many_who_start_at_once_have_the_log_read_once(house: House) -> None:
    """A fleet: the pages are the same for all, the ends are each reader's own; later entries come with them."""
    await revoke(house, PAGE + 5)
    first, second = await asyncio.gather(told(house), told(house))
    await revoke(house, 2)
    third = await told(house)
    assert first[:-1] == second[:-1] == third[:-1]
    await must_know_all(house, follower(third), PAGE + 7)


async def test_pages_that_lead_nowhere_any_more_are_cut_anew(house: House) -> None:
    """Too much has happened since: that answer fails, the next one is whole."""
    await revoke(house, 3)
    await told(house)
    await revoke(house, LONGEST_DELTA + 1)
    with pytest.raises(Unavailable):
        await told(house)
    await must_know_all(house, follower(await told(house)), LONGEST_DELTA + 4)


async def test_a_revoked_key_clears_the_shelf(house: House) -> None:
    """It may be the one that signed the pages, and nobody believes it any more."""
    await revoke(house, 3)
    before = await told(house)
    await house.issuer.stores.journal.save(Revoke("key", "whichever", LATER))
    await house.issuer.feed.catch_up()
    assert (await told(house))[0] != before[0]


async def test_a_shelf_hands_a_failure_to_all_and_keeps_nothing_of_it() -> None:
    """Whoever waits hears of it; the next one begins anew."""
    tries = 0

    async def cut() -> AsyncIterator[int]:
        nonlocal tries
        tries += 1
        yield tries
        if tries == 1:
            raise Unavailable("gone")

    async def read(shelf: Shelf[int]) -> list[int]:
        return [each async for each in shelf.read()]

    shelf = Shelf(cut)
    found = await asyncio.gather(read(shelf), read(shelf), return_exceptions=True)
    assert all(isinstance(each, Unavailable) for each in found)
    assert await read(shelf) == [2]
    assert await read(shelf) == [2]


async def test_a_stream_of_who_takes_pages_brings_no_long_message(house: House) -> None:
    """Where no delta leads on, a heartbeat says that there is something to be asked for."""
    await revoke(house, LONGEST_DELTA + 1)
    async with running(house):
        stream = house.issuer.feed.stream("another", 0, whole=False)
        first = await read(house, await anext(stream))
        assert isinstance(first, Heartbeat)
        assert first.seq == LONGEST_DELTA + 1
        assert isinstance(await read(house, await anext(house.issuer.feed.stream("another", 0))), Snapshot)
