"""What must be sent after the commit: at least once, in time, and nothing of what failed."""

from __future__ import annotations

import pytest

from tests.stores.people_and_programs import NOW
from watchword_server.changes import Send, SetRoles
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
