"""Every statement that reads."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BindParameter, Column, ColumnElement, Select, bindparam, exists, func, or_, select
from sqlalchemy.sql import ClauseElement

from watchword_server.adapters.sql.schema import (
    api_keys,
    apis,
    audit,
    clients,
    codes,
    consents,
    device_requests,
    encrypted_tokens,
    grants,
    head,
    interactions,
    invitations,
    keys,
    leases,
    outbox,
    pushed_requests,
    refresh_tokens,
    revocations,
    secrets,
    sessions,
    users,
)
from watchword_server.adapters.sql.statements import Queries

ENTRY = (revocations.c.seq, revocations.c.kind, revocations.c.id, revocations.c.until)
AUDIT = tuple(column for column in audit.c if column is not audit.c.id)
LIMIT: BindParameter[int] = bindparam("limit")
IDENTITY: Final = "watchword_identity"
"""The option of a look-up by identity that says in which column it stands."""
_ALIVE = leases.c.until >= bindparam("now")


def queries() -> Queries[ClauseElement]:
    """The questions."""
    return Queries(
        head=select(head.c.log, head.c.seq, head.c.chain, head.c.state, head.c.lifetime),
        after=select(*ENTRY).where(revocations.c.seq > bindparam("seq")).order_by(revocations.c.seq).limit(LIMIT),
        alive=select(*ENTRY).where(revocations.c.until >= bindparam("now")).order_by(revocations.c.seq),
        alive_after=(
            select(*ENTRY, revocations.c.chain)
            .where(revocations.c.seq > bindparam("seq"), revocations.c.until >= bindparam("now"))
            .order_by(revocations.c.seq)
            .limit(LIMIT)
        ),
        chain=select(revocations.c.chain).where(revocations.c.seq == bindparam("seq")),
        user=_one(users.c.sub),
        user_named=_one(users.c.email),
        users=_page(users.c.email),
        client=_one(clients.c.client_id),
        clients=_page(clients.c.client_id),
        api=_one(apis.c.audience),
        api_of=_one(apis.c.client_id),
        apis=select(apis).order_by(apis.c.audience),
        session=_one(sessions.c.sid),
        sessions_of=(
            select(sessions)
            .where(sessions.c.sub == bindparam("sub"), sessions.c.ended_at.is_(None))
            .order_by(sessions.c.created_at.desc(), sessions.c.sid)
        ),
        sessions_at=(
            select(sessions)
            .where(sessions.c.browser == bindparam("browser"), sessions.c.ended_at.is_(None))
            .order_by(sessions.c.created_at.desc(), sessions.c.sid)
            .limit(LIMIT)
        ),
        grant=_one(grants.c.gid),
        grants_of=(
            select(grants)
            .where(
                grants.c.sub == bindparam("sub"), grants.c.ended_at.is_(None), grants.c.expires_at > bindparam("now")
            )
            .order_by(grants.c.created_at.desc(), grants.c.gid)
        ),
        parties=_parties(sessions.c.sid == bindparam("sid")),
        parties_of=_parties(sessions.c.sub == bindparam("sub")),
        grant_tree=_tree(),
        children=select(func.count()).where(grants.c.parent == bindparam("gid"), grants.c.ended_at.is_(None)),
        heads_of=_heads(),
        redeemable=_redeemable(),
        waiting_device=_waiting_device(),
        device_named=_one(device_requests.c.user_hash),
        held_key=_held_key(),
        api_key=_one(api_keys.c.id),
        api_keys_of=_api_keys(grants.c.client_id == bindparam("client_id")),
        api_keys=select(api_keys).where(api_keys.c.id > bindparam("after")).order_by(api_keys.c.id).limit(LIMIT),
        consent=select(consents).where(
            consents.c.sub == bindparam("sub"),
            consents.c.client_id == bindparam("client_id"),
            consents.c.audience == bindparam("audience"),
        ),
        consents_of=select(consents).where(consents.c.sub == bindparam("sub")).order_by(consents.c.client_id),
        interaction=_one(interactions.c.hash),
        pushed_request=_one(pushed_requests.c.hash),
        invitation=_one(invitations.c.hash),
        secret=_one(secrets.c.name),
        refresh_token=_one(refresh_tokens.c.hash),
        family=_family(),
        encrypted_token=_one(encrypted_tokens.c.hash),
        keys=select(keys).where(keys.c.revoked_at.is_(None)).order_by(keys.c.created_at, keys.c.kid),
        audit=select(*AUDIT).order_by(audit.c.id.desc()).limit(LIMIT),
        due=(
            select(outbox.c.number, outbox.c.topic, outbox.c.body, outbox.c.attempts)
            .where(outbox.c.due_at <= bindparam("now"))
            .order_by(outbox.c.due_at, outbox.c.number)
            .limit(LIMIT)
        ),
        lease=select(leases).where(
            leases.c.audience == bindparam("audience"), leases.c.verifier == bindparam("verifier")
        ),
        leases_of=select(func.count()).where(leases.c.audience == bindparam("audience"), _ALIVE),
        leases=select(leases).where(_ALIVE).order_by(leases.c.audience, leases.c.name, leases.c.verifier),
        leases_behind=select(leases).where(
            _ALIVE, or_(leases.c.log != bindparam("log"), leases.c.seq < bindparam("seq"))
        ),
    )


def _one(column: Column[Any]) -> Select[*tuple[Any, ...]]:
    place = column.table.c.keys().index(column.name)
    return select(column.table).where(column == bindparam(column.name)).execution_options(**{IDENTITY: place})


def _family() -> Select[*tuple[Any, ...]]:
    """All that a refresh has to know, in one look."""
    successor = refresh_tokens.alias("successor")
    leads = (
        refresh_tokens.outerjoin(successor, successor.c.hash == refresh_tokens.c.successor_hash)
        .outerjoin(grants, grants.c.gid == refresh_tokens.c.gid)
        .outerjoin(sessions, sessions.c.sid == grants.c.sid)
        .outerjoin(users, users.c.sub == grants.c.sub)
    )
    whole = select(refresh_tokens, successor, grants, sessions, users).select_from(leads)
    return whole.where(refresh_tokens.c.hash == bindparam("hash")).execution_options(**{IDENTITY: 0})


def _parties(which: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    """Who got a grant in sessions that are open."""
    columns = (sessions.c.sid, sessions.c.sub, grants.c.client_id)
    held = select(*columns).distinct().select_from(sessions.join(grants, grants.c.made_in == sessions.c.sid))
    return held.where(which, sessions.c.ended_at.is_(None)).order_by(sessions.c.sid, grants.c.client_id)


def _redeemable() -> Select[*tuple[Any, ...]]:
    """All that the exchange of a code has to know, in one look."""
    leads = (
        codes.outerjoin(grants, grants.c.gid == codes.c.gid)
        .outerjoin(sessions, sessions.c.sid == grants.c.made_in)
        .outerjoin(users, users.c.sub == grants.c.sub)
    )
    whole = select(codes, grants, sessions, users).select_from(leads)
    return whole.where(codes.c.hash == bindparam("hash")).execution_options(**{IDENTITY: 0})


def _waiting_device() -> Select[*tuple[Any, ...]]:
    """All that a device that asks has to know, in one look."""
    leads = (
        device_requests.outerjoin(grants, grants.c.gid == device_requests.c.gid)
        .outerjoin(sessions, sessions.c.sid == grants.c.made_in)
        .outerjoin(users, users.c.sub == grants.c.sub)
    )
    whole = select(device_requests, grants, sessions, users).select_from(leads)
    return whole.where(device_requests.c.hash == bindparam("hash")).execution_options(**{IDENTITY: 0})


def _held_key() -> Select[*tuple[Any, ...]]:
    """All that the exchange of an API key has to know, in one look."""
    leads = (
        api_keys.outerjoin(grants, grants.c.gid == api_keys.c.gid)
        .outerjoin(sessions, sessions.c.sid == grants.c.made_in)
        .outerjoin(users, users.c.sub == grants.c.sub)
    )
    whole = select(api_keys, grants, sessions, users).select_from(leads)
    return whole.where(api_keys.c.hash == bindparam("hash")).execution_options(**{IDENTITY: 1})


def _api_keys(which: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    held = api_keys.join(grants, grants.c.gid == api_keys.c.gid)
    return select(api_keys).select_from(held).where(which).order_by(api_keys.c.created_at.desc(), api_keys.c.id)


def _tree() -> Select[*tuple[Any, ...]]:
    """A grant with all that came of it by token exchange, ended or not; the oldest first, so parents come first."""
    known = select(grants.c.gid).where(grants.c.gid == bindparam("gid")).cte("below", recursive=True)
    child = grants.alias("child")
    below = known.union(select(child.c.gid).where(child.c.parent == known.c.gid))
    held = select(grants).where(grants.c.gid.in_(select(below.c.gid)))
    return held.order_by(grants.c.created_at, grants.c.gid).limit(LIMIT)


def _heads() -> Select[*tuple[Any, ...]]:
    """The grants of a client, or for itself, that live and that others came from."""
    child = grants.alias("child")
    others = exists().where(child.c.parent == grants.c.gid, child.c.ended_at.is_(None))
    own = or_(grants.c.client_id == bindparam("client_id"), grants.c.sub == bindparam("client_id"))
    return select(grants.c.gid).where(grants.c.ended_at.is_(None), own, others).order_by(grants.c.gid)


def _page(column: Column[str]) -> Select[*tuple[Any, ...]]:
    return select(column.table).where(column > bindparam("after")).order_by(column).limit(LIMIT)
