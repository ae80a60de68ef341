"""What has expired goes, a bounded batch at a time; what has not, stays."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from tests.stores.people_and_programs import AUDIT, ENCRYPTED, GRANT, NOW, PARENTS, SESSION, TOKEN
from watchword_server.changes import Add, Revoke, Send


async def test_only_what_has_expired_goes(stores):
    """Sessions, grants, refresh tokens and entries before `now`; audit rows before their own limit."""
    for n, end in enumerate((NOW - 1, NOW)):
        gid, sid = f"gid-{n}", f"sid-{n}"
        await stores.journal.save(
            *(PARENTS if n == 0 else ()),
            Add(replace(SESSION, sid=sid, expires_at=end)),
            Add(replace(GRANT, gid=gid, sid=sid, expires_at=end)),
            Add(replace(TOKEN, hash=bytes([n]), gid=gid, expires_at=end)),
            Revoke("token", f"jti-{n}", end),
            msgspec.structs.replace(AUDIT, at=end * 1000),
        )
    assert await stores.journal.purge(NOW, NOW * 1000) == 5
    assert [await stores.sessions.find(f"sid-{n}") is None for n in (0, 1)] == [True, False]
    assert [await stores.grants.find(f"gid-{n}") is None for n in (0, 1)] == [True, False]
    assert [await stores.refresh_tokens.find(bytes([n])) is None for n in (0, 1)] == [True, False]
    _, alive = await stores.log.alive(0)
    assert [entry.id for entry in alive] == ["jti-1"]
    assert [row.at for row in await stores.audit.latest(9)] == [NOW * 1000]
    assert await stores.journal.purge(NOW, NOW * 1000) == 0
    assert await stores.users.find(SESSION.sub) is not None


async def test_a_grant_stays_while_a_token_of_it_does(stores):
    """A token without its grant would be nothing that can be judged."""
    await stores.journal.save(*PARENTS, Add(SESSION), Add(replace(GRANT, expires_at=1)), Add(TOKEN))
    assert await stores.journal.purge(NOW, 0) == 0
    assert await stores.journal.purge(TOKEN.expires_at + 1, 0) == 2
    assert await stores.grants.find(GRANT.gid) is None


async def test_an_encrypted_token_goes_when_it_has_expired(stores):
    """Until then it can be asked for."""
    await stores.journal.save(Add(ENCRYPTED))
    assert await stores.journal.purge(ENCRYPTED.expires_at, 0) == 0
    assert await stores.encrypted_tokens.find(ENCRYPTED.hash) == ENCRYPTED
    assert await stores.journal.purge(ENCRYPTED.expires_at + 1, 0) == 1
    assert await stores.encrypted_tokens.find(ENCRYPTED.hash) is None


async def test_a_purge_is_bounded_and_comes_to_an_end(stores):
    """It never holds the writer for long, however much has expired."""
    await stores.journal.save(*[Revoke("token", f"jti-{n}", 1) for n in range(1200)])
    await stores.journal.save(*[msgspec.structs.replace(AUDIT, at=n) for n in range(1200)])
    gone = [await stores.journal.purge(NOW, NOW) for _ in range(4)]
    assert gone == [1000, 1000, 400, 0]
    assert (await stores.log.head()).rev == 1200
    assert list(await stores.journal.save(Revoke("token", "next", 1))) != []
    assert (await stores.log.head()).rev == 1201


async def test_a_message_goes_when_it_was_sent_and_its_number_never_comes_back(stores):
    """A late answer about an old message must not hit a new one."""
    await stores.journal.save(Send("mail", {"to": "x"}, NOW))
    (first,) = await stores.outbox.due(NOW, 9)
    assert await stores.journal.purge(NOW + 10**6, 0) == 0
    await stores.outbox.sent(first.number)
    assert await stores.journal.purge(NOW, 0) == 1
    await stores.journal.save(Send("mail", {"to": "y"}, NOW))
    (second,) = await stores.outbox.due(NOW, 9)
    assert second.number > first.number
