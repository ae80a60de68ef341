"""Forgetting: everything that has expired goes, whatever came of it; nothing else does, and nobody notices."""

from __future__ import annotations

import pytest

from tests.server.flows.house import ALICE, BOB, BY, NOW, House
from watchword_server.flows import keys, revoking, users
from watchword_server.flows.purge import purge
from watchword_server.protocol.errors import InvalidGrant, RefreshReused
from watchword_server.protocol.grants.refresh_token import RETRY
from watchword_server.revocation.deaths import KEY_MEMORY, SLACK

DAY = 24 * 3600


async def purged(house: House, now: int) -> int:
    """How many rows went, until none does."""
    gone = 0
    while batch := await purge(house.issuer, now):
        gone += batch
    return gone


def lasting(house: House) -> list[object]:
    """What no purge may touch."""
    return [house.rows(f"SELECT * FROM {table}") for table in ("users", "clients", "apis", "keys", "head")]


async def test_nothing_goes_before_its_time(house: House) -> None:
    """A day with everything in it: the next second, not one row is gone."""
    tokens = (await house.sign_in()).tokens
    await house.refresh(tokens.refresh_token)
    await revoking.token(house.issuer, BY, "some-jti", NOW)
    await revoking.everything(house.issuer, BY, NOW)
    await users.set_password(house.issuer, BY, BOB, "another Password 9", NOW)
    before = house.everything()
    assert await purged(house, NOW + 1) == 0
    assert house.everything() == before


async def test_each_thing_goes_when_its_own_time_is_over(house: House) -> None:
    """Refresh tokens, then sessions with their grants; people, clients, APIs and keys never."""
    terms = house.issuer.terms
    old = (await house.sign_in()).tokens
    later = terms.session_lifetime // 2
    await house.sign_in(BOB, now=NOW + later)
    kept = lasting(house)

    def left() -> tuple[int, int, int]:
        return house.count("sessions"), house.count("grants"), house.count("refresh_tokens")

    assert left() == (2, 2, 2)
    assert await purged(house, NOW + terms.refresh_lifetime) == 0
    assert await purged(house, NOW + terms.refresh_lifetime + 1) == 1
    assert left() == (2, 2, 1)
    with pytest.raises(InvalidGrant):
        await house.refresh(old.refresh_token, now=NOW + 1)
    assert await purged(house, NOW + terms.session_lifetime + 1) == 3
    assert left() == (1, 1, 0)
    assert await purged(house, NOW + later + terms.session_lifetime + 1) == 2
    assert left() == (0, 0, 0)
    assert lasting(house) == kept


async def test_a_spent_token_is_known_as_long_as_it_would_have_lived(house: House) -> None:
    """Forgotten earlier, its replay would not be seen; the purge in between changes nothing about that."""
    first = (await house.sign_in()).tokens
    second = await house.refresh(first.refresh_token, now=NOW + 1)
    await purged(house, NOW + house.issuer.terms.refresh_lifetime)
    with pytest.raises(RefreshReused):
        await house.refresh(first.refresh_token, now=NOW + 2 + RETRY)
    assert await house.killed(second.access_token) in ("grant", "session")


async def test_an_entry_is_forgotten_when_nothing_it_could_hit_is_alive(house: House) -> None:
    """The longest lifetime ever in force and the slack for clocks; a stolen key stays dead for a month."""
    (subject,) = await revoking.user(house.issuer, BY, ALICE, NOW)
    (token,) = await revoking.token(house.issuer, BY, "some-jti", NOW)
    head = await house.issuer.stores.log.head()
    (kid,) = house.rows("SELECT kid FROM keys WHERE use = 'access' AND active_at > 0")[0]
    await keys.revoke_key(house.issuer, BY, kid, NOW)
    assert subject.until == NOW + head.lifetime + SLACK
    assert token.until >= NOW + head.lifetime
    assert await purged(house, subject.until) == 0
    assert await purged(house, max(subject.until, token.until) + 1) == 2
    assert house.rows("SELECT kind, until FROM revocations") == [("key", NOW + KEY_MEMORY)]
    assert (await house.issuer.stores.log.head()).rev == head.rev + 1, "the log goes on counting"
    assert await purged(house, NOW + KEY_MEMORY + 1) == 1
    (entry,) = await revoking.user(house.issuer, BY, BOB, NOW + KEY_MEMORY + 1)
    assert entry.seq == head.rev + 2


async def test_audit_rows_are_kept_as_long_as_the_operator_wants(house: House) -> None:
    """To the second, and not for what else is old."""
    retention = house.issuer.terms.audit_retention
    await house.sign_in(now=NOW + DAY)
    rows = house.count("audit")
    (early,) = house.rows("SELECT count(*) FROM audit WHERE at < ?", (NOW + DAY) * 1000)[0]
    assert 0 < early < rows
    before = lasting(house)
    await purged(house, NOW + DAY + retention)
    assert house.count("audit") == rows - early
    await purged(house, NOW + DAY + 1 + retention)
    assert house.count("audit") == 0
    assert lasting(house) == before


async def test_a_lot_goes_in_batches_that_hold_nobody_up(house: House) -> None:
    """1,200 audit rows: no batch takes more than 500 of a table, and a sign-in in between works."""
    for number in range(1200):
        if number % 100 == 0:
            await revoking.token(house.issuer, BY, f"jti-{number}", NOW)
        await house.ask(house.known.machine, {"grant_type": "client_credentials"})
    rows, end = house.count("audit"), NOW + house.issuer.terms.audit_retention + DAY
    batches = []
    while gone := await purge(house.issuer, end):
        batches.append(gone)
        await house.sign_in(now=end)
    assert sum(batches) >= rows
    assert len(batches) >= 3
    assert max(batches) <= 6 * 500
    assert house.count("audit") == len(batches)
