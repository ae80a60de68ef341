"""Keys made at the first start, rotated by schedule and by command, thrown away when stolen, sealed anew.

Whoever decides here has read a state that another process may be changing. The database lets one key of a kind wait
and one be appointed, so the slower of two gets a Conflict and looks again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from watchword_server.changes import Audit, Change, DropKey, RaiseLifetime, ResealKey, RetireKey, StoredKey
from watchword_server.flows.administration import Operator, Refused, Taken, Unknown
from watchword_server.flows.issuer import Caller, Issuer, audit, revoke
from watchword_server.flows.key_life import (
    ACCESS,
    FEED,
    USES,
    Kin,
    State,
    families,
    gone_at,
    has_room,
    is_due,
    kin,
    state,
)
from watchword_server.flows.key_turns import Rotation, lacking, own, rotation, succession
from watchword_server.flows.keyring import FEED_ALG
from watchword_server.ports import Conflict
from watchword_server.revocation import deaths

SCHEDULE: Final = Operator("schedule", Caller())
"""Who acts when the clock does."""
TRIES: Final = 5
"""How often a decision is made anew when others change keys at the same moment."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Life:
    """A key, and where it stands. `published_until` is in seconds; None while nothing has ended its life."""

    key: StoredKey
    state: State
    published_until: int | None


async def prepare(issuer: Issuer, by: Operator, now: int) -> None:
    """At start: make the keys that are missing, and remember the lifetime that is in force."""

    async def once() -> None:
        stored = await issuer.stores.keys.all()
        missing = [change for family in own(issuer, stored) for change in await lacking(issuer, stored, family, now)]
        raised = issuer.terms.access_lifetime > (await issuer.stores.log.head()).lifetime
        if missing or raised:
            await issuer.stores.journal.save(
                *missing,
                RaiseLifetime(issuer.terms.access_lifetime),
                audit(by.caller, now, by.actor, "issuer.prepare", keys=len(missing)),
            )

    await _persistently(once)


async def current(issuer: Issuer) -> Sequence[StoredKey]:
    """Every key that is not revoked, oldest first."""
    return await issuer.stores.keys.all()


async def lives(issuer: Issuer, now: int) -> Sequence[Life]:
    """Where every key stands that is not revoked, oldest first."""
    lifetime = await _longest(issuer)
    return [Life(key, state(key, now), gone_at(key, lifetime)) for key in await issuer.stores.keys.all()]


async def begin(issuer: Issuer, alg: str, now: int) -> Sequence[Change]:
    """What to save together with the first choice of an algorithm, so that there will be keys for it.

    They are announced first: until `publish_ahead` has passed, the deployment's own algorithm goes on signing.
    """
    stored = await issuer.stores.keys.all()
    return await lacking(issuer, stored, kin(stored, ACCESS, alg), now)


async def rotate(issuer: Issuer, by: Operator, use: str, now: int, alg: str | None = None) -> Rotation:
    """Call the waiting key as soon as it was published for long enough; retire the one before when it begins.

    The old key stays published until its last token has expired. Without `alg`, the deployment's own.
    """
    stored = await issuer.stores.keys.all()
    family = _named(issuer, stored, use, alg)
    done, changes = await rotation(issuer, family, _rotatable(stored, family, now), now)
    new = done.successor
    facts = {"target": f"key:{new.kid}", "use": use, "alg": new.alg}
    row = audit(by.caller, now, by.actor, "key.rotate", **facts, at=new.active_at or now)
    try:
        await issuer.stores.journal.save(*changes, row)
    except Conflict as error:
        raise Taken("somebody else changed keys at the same moment; see `watchword key list`") from error
    return done


async def revoke_key(issuer: Issuer, by: Operator, kid: str, now: int) -> StoredKey | None:
    """A stolen key: every token it ever signed dies everywhere, whatever it claims.

    Its private half is destroyed. Returns the key that signs in its place from now on, where it was in use.
    """

    async def once() -> StoredKey | None:
        stored = await issuer.stores.keys.all()
        lost = next((key for key in stored if key.kid == kid), None)
        if lost is None:
            raise Unknown(f"no key {kid}; list them with `watchword key list`")
        heir, changes = await succession(issuer, lost, stored, now)
        await issuer.stores.journal.save(
            RetireKey(kid, now, revoked=True),
            *changes,
            revoke(deaths.key(kid, now)),
            audit(by.caller, now, by.actor, "key.revoke", target=f"key:{kid}", successor=heir.kid if heir else ""),
        )
        return heir

    return await _persistently(once)


async def tend(issuer: Issuer, now: int) -> None:
    """What the clock demands: destroy what nobody needs, rotate what is due, publish what is missing.

    Any number of processes may do it at once: each step happens once. Raises KeyStoreError or Unavailable.
    """
    stored = await issuer.stores.keys.all()
    lifetime = await _longest(issuer)
    gone = [key for key in stored if (end := gone_at(key, lifetime)) is not None and end < now]
    await _unless_beaten(issuer, *(change for key in gone for change in (DropKey(key.kid), _row(now, "drop", key))))
    needed = own(issuer, stored)
    for family in (*needed, *(one for one in families(stored) if one not in needed)):
        await _tend(issuer, stored, family, now)
    await issuer.keyring.open_ahead(stored)


async def reseal(issuer: Issuer, by: Operator, now: int) -> Sequence[str]:
    """Seal every private key under the newest master key; the `kid` of those that were sealed under another."""
    stored = await issuer.stores.keys.all()
    fresh = [(key, await asyncio.to_thread(issuer.key_store.reseal, key)) for key in stored]
    changes = [ResealKey(key.kid, key.sealed, sealed) for key, sealed in fresh if sealed is not None]
    if changes:
        row = audit(by.caller, now, by.actor, "key.reseal", keys=len(changes))
        await issuer.stores.journal.save(*changes, row)
    return [change.kid for change in changes]


async def _tend(issuer: Issuer, stored: Sequence[StoredKey], family: Kin, now: int) -> None:
    old, terms = family.appointed(), issuer.terms
    due = is_due(family, now, terms.rotate_every, terms.publish_ahead) and has_room(stored, family.use)
    if old is not None and due:
        done, changes = await rotation(issuer, family, old, now)
        await _unless_beaten(issuer, *changes, _row(now, "rotate", done.successor))
    elif missing := await lacking(issuer, stored, family, now):
        await _unless_beaten(issuer, *missing, _row(now, "publish", family))


async def _longest(issuer: Issuer) -> int:
    """Seconds after which a token is of no use to anybody, whatever the clocks."""
    return (await issuer.stores.log.head()).lifetime + deaths.SLACK


async def _persistently(decide: Callable[[], Awaitable[T]]) -> T:
    """What must not fail because others change keys at the same moment: read again, decide again."""
    for _ in range(TRIES - 1):
        try:
            return await decide()
        except Conflict:
            continue
    return await decide()


def _named(issuer: Issuer, stored: Sequence[StoredKey], use: str, alg: str | None) -> Kin:
    """The keys that an operator means."""
    if use not in USES:
        raise Refused(f"a key is for {' or '.join(USES)}, not {use}")
    if use == FEED and alg not in (None, FEED_ALG):
        raise Refused(f"the feed is signed with {FEED_ALG} and nothing else")
    return kin(stored, use, FEED_ALG if use == FEED else alg or issuer.terms.algorithm)


def _rotatable(stored: Sequence[StoredKey], family: Kin, now: int) -> StoredKey:
    """The key that signs, and that another may follow now."""
    old = family.appointed()
    if old is None:
        raise Refused(f"no {family.alg} key signs {family.use} here; an API or a client that chooses it makes one")
    if family.called(now):
        raise Refused(f"a rotation is under way: {old.kid} will sign soon, see `watchword key list`")
    if not has_room(stored, family.use):
        raise Refused("too many keys are published; wait until older tokens have expired, see `watchword key list`")
    return old


def _row(now: int, act: str, of: StoredKey | Kin) -> Audit:
    target = f"key:{of.kid}" if isinstance(of, StoredKey) else ""
    return audit(SCHEDULE.caller, now, SCHEDULE.actor, f"key.{act}", target=target, use=of.use, alg=of.alg)


async def _unless_beaten(issuer: Issuer, *changes: Change) -> None:
    """Do what the clock demands, unless another process was faster."""
    if not changes:
        return
    try:
        await issuer.stores.journal.save(*changes)
    except Conflict:
        return
