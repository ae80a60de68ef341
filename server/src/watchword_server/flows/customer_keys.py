"""API keys for the customers of an API: made, listed and revoked by operators. `key_trade.py` trades them for tokens.

Not to be confused with `api_keys.py`, the encryption keys of APIs. Every key has a grant, so everything that ends a
grant ends the key, with all tokens that were made of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from watchword.jose.b64 import b64url
from watchword.log import Entry
from watchword_server.changes import Add, EndGrant
from watchword_server.flows import clients, users
from watchword_server.flows.administration import Operator, Refused, Taken, Unknown
from watchword_server.flows.issuer import Issuer, audit, revoke
from watchword_server.ports import Conflict
from watchword_server.protocol.grants import api_key
from watchword_server.protocol.registration import NAME
from watchword_server.protocol.uris import BadRegistration
from watchword_server.protocol.values import ApiKey, Grant
from watchword_server.revocation import deaths

DAY = 24 * 3600


@dataclass(frozen=True, slots=True)
class NewKey:
    """What an operator says of a key. Without `user` it acts for its client; no `scope` is all that the client has."""

    client_id: str
    audience: str
    name: str
    scope: tuple[str, ...] = ()
    days: int = 365
    user: str | None = None


class Listed(msgspec.Struct, frozen=True):
    """A key, and what it may do; without a grant, that it was for is forgotten."""

    key: ApiKey
    grant: Grant | None


async def add(issuer: Issuer, by: Operator, new: NewKey, now: int) -> tuple[Listed, str]:
    """Make a key; the second part is the key itself, which nobody can read again."""
    client = await clients.find(issuer, new.client_id)
    api = await clients.find_api(issuer, new.audience)
    sub = client.client_id if new.user is None else (await users.find(issuer, new.user)).sub
    if not 1 <= new.days <= api_key.LONGEST:
        raise Refused(f"a key is good for 1 to {api_key.LONGEST} days")
    if not NAME.fullmatch(new.name):
        raise Refused("a name has 1 to 100 characters, none of them a control character")
    try:
        scope = api_key.may_have(client, api.audience, new.scope)
    except BadRegistration as error:
        raise Refused(str(error)) from error
    id, until = _new_id(issuer), now + new.days * DAY
    text = api_key.spelled(id, issuer.random(api_key.SECRET_BYTES))
    grant = Grant(issuer.identifier(), client.client_id, sub, api.audience, scope, now, until)
    key = ApiKey(id, api_key.kept(text), grant.gid, new.name, now, until)
    row = audit(by.caller, now, by.actor, "api_key.add", target=f"api-key:{id}", client_id=client.client_id, sub=sub)
    try:
        await issuer.stores.journal.save(Add(grant), Add(key), row)
    except Conflict as error:
        raise Taken("another key was made in this moment: run it again") from error
    return Listed(key, grant), text


async def listed(issuer: Issuer, client_id: str | None, after: str, limit: int) -> Sequence[Listed]:
    """A client's keys, newest first; or a page of all in the order of ids, those beyond `after`."""
    store = issuer.stores.customer_keys
    keys = await store.all(after, limit) if client_id is None else await store.of(client_id)
    return [Listed(key, await issuer.stores.grants.find(key.gid)) for key in keys]


async def revoke_key(issuer: Issuer, by: Operator, name: str, now: int) -> Sequence[Entry]:
    """End a key, by its id or the key itself, and all tokens that were made of it. Again is no mistake."""
    id = api_key.id_in(name) or name
    key = await issuer.stores.customer_keys.named(id)
    if key is None:
        raise Unknown("no such API key; list them with `watchword api-key list`")
    lifetime = (await issuer.stores.log.head()).lifetime
    row = audit(by.caller, now, by.actor, "api_key.revoke", target=f"api-key:{key.id}")
    ends = EndGrant(key.gid, now), revoke(deaths.grant(key.gid, now, lifetime))
    return await issuer.stores.journal.save(*ends, row)


def _new_id(issuer: Issuer) -> str:
    """Letters and digits: it stands in commands, and is read out."""
    id = b64url(issuer.random(api_key.ID_BYTES))
    return id if id.isalnum() else _new_id(issuer)
