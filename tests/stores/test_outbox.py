"""What must be sent after the commit: at least once, in time, and nothing of what failed."""

from __future__ import annotations

import asyncio

import pytest

from tests.stores.people_and_programs import NOW
from watchword_server.changes import Audit, Send, SetRoles
from watchword_server.ports import Conflict, Parcel


async def test_a_message_is_due_when_its_time_has_come(stores):
    """Oldest first, at most as many as asked for."""
    await stores.journal.save(Send("b", {"n": 2}, NOW + 5), Send("a", {"n": 1, "to": "ünï"}, NOW))
    assert list(await stores.outbox.due(NOW - 1, 9)) == []
    assert list(await stores.outbox.due(NOW, 9)) == [Parcel(2, "a", {"n": 1, "to": "ünï"}, 0)]
    assert [parcel.topic for parcel in await stores.outbox.due(NOW + 5, 9)] == ["a", "b"]
    assert [parcel.topic for parcel in await stores.outbox.due(NOW + 5, 1)] == ["a"]


async def test_a_message_of_a_failed_transaction_never_leaves(stores):
    """It is part of what caused it."""
    with pytest.raises(Conflict):
        await stores.journal.save(Send("a", {}, NOW), SetRoles("nobody", ()))
    assert list(await stores.outbox.due(NOW, 9)) == []


async def test_a_failed_attempt_is_counted_and_tried_again_later(stores):
    """And a sent message is never due again."""
    await stores.journal.save(Send("a", {}, NOW))
    (parcel,) = await stores.outbox.due(NOW, 9)
    await stores.outbox.retry(parcel.number, NOW + 60, "connection refused")
    assert list(await stores.outbox.due(NOW + 59, 9)) == []
    assert list(await stores.outbox.due(NOW + 60, 9)) == [Parcel(parcel.number, "a", {}, 1)]
    await stores.outbox.sent(parcel.number)
    assert list(await stores.outbox.due(NOW + 10**9, 9)) == []


async def test_of_many_who_would_send_a_message_one_may(database):
    """Also of other processes; until its time is over, and then again one."""
    ours, theirs = database.open(), database.open()
    await ours.stores.journal.save(Send("a", {}, NOW), Send("b", {}, NOW + 1))
    for now in (NOW, NOW + 60):
        claims = [store.stores.outbox.claim(1, now, now + 60) for store in (ours, theirs) * 10]
        assert sorted(await asyncio.gather(*claims)) == [False] * 19 + [True]
        assert list(await theirs.stores.outbox.due(now, 9)) == ([] if now == NOW else [Parcel(2, "b", {}, 0)])
    assert not await ours.stores.outbox.claim(2, NOW, NOW + 60), "it is not due"
    await ours.stores.outbox.sent(1)
    assert not await ours.stores.outbox.claim(1, NOW + 10**6, NOW + 10**7), "it is sent"
    for store in (ours, theirs):
        await store.close()


async def test_what_became_of_a_message_is_on_record(stores):
    """In the same transaction."""
    await stores.journal.save(Send("a", {}, NOW))
    failed, sent = Audit(1, "operator:outbox", "a", "failed"), Audit(2, "operator:outbox", "a", "ok")
    await stores.outbox.retry(1, NOW + 5, "no", failed)
    await stores.outbox.sent(1, sent)
    assert list(await stores.audit.latest(9)) == [sent, failed]
