"""The life of signing keys: made at first start, replaced, thrown away when stolen."""

from __future__ import annotations

from collections.abc import Sequence

from watchword_server.changes import Add, RaiseLifetime, RetireKey, StoredKey
from watchword_server.flows.administration import Operator, Refused, Unknown
from watchword_server.flows.issuer import Issuer, audit, revoke
from watchword_server.flows.keyring import ACCESS, FEED
from watchword_server.revocation import deaths


async def prepare(issuer: Issuer, by: Operator, now: int) -> None:
    """At start: make the keys that are missing, and remember the lifetime that is in force."""
    missing = issuer.keyring.first_keys(await issuer.stores.keys.all(), now)
    head = await issuer.stores.log.head()
    raised = issuer.terms.access_lifetime > head.lifetime
    if missing or raised:
        await issuer.stores.journal.save(
            *missing,
            RaiseLifetime(issuer.terms.access_lifetime),
            audit(by.caller, now, by.actor, "issuer.prepare", keys=len(missing)),
        )


async def current(issuer: Issuer) -> Sequence[StoredKey]:
    """Every key that is not revoked, oldest first."""
    return await issuer.stores.keys.all()


async def rotate(issuer: Issuer, by: Operator, use: str, now: int) -> StoredKey:
    """Sign with a new key from now on; the old one stays published until its last token has expired."""
    new = issuer.key_store.make(_algorithm(issuer, use), use, now)
    old = [key for key in await issuer.stores.keys.all() if key.use == use and key.retired_at is None]
    await issuer.stores.journal.save(
        Add(new),
        *(RetireKey(key.kid, now, revoked=False) for key in old),
        audit(by.caller, now, by.actor, "key.rotate", target=f"key:{new.kid}", use=use),
    )
    return new


async def revoke_key(issuer: Issuer, by: Operator, kid: str, now: int) -> StoredKey:
    """A stolen key: every token it ever signed dies everywhere, whatever it claims. Returns the key that follows."""
    found = next((key for key in await issuer.stores.keys.all() if key.kid == kid), None)
    if found is None:
        raise Unknown(f"no key {kid}; list them with `watchword key list`")
    new = issuer.key_store.make(_algorithm(issuer, found.use), found.use, now)
    await issuer.stores.journal.save(
        RetireKey(kid, now, revoked=True),
        Add(new),
        revoke(deaths.key(kid, now)),
        audit(by.caller, now, by.actor, "key.revoke", target=f"key:{kid}", successor=new.kid),
    )
    return new


def _algorithm(issuer: Issuer, use: str) -> str:
    algorithms = {ACCESS: issuer.terms.algorithm, FEED: "ES256"}
    if use not in algorithms:
        raise Refused(f"a key is for {' or '.join(algorithms)}, not {use}")
    return algorithms[use]
