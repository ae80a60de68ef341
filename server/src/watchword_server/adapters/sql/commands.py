"""Every statement that writes."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Delete,
    Insert,
    Select,
    Table,
    Update,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import Insert as Upsert
from sqlalchemy.sql import ClauseElement

from watchword_server.adapters.sql.queries import AUDIT
from watchword_server.adapters.sql.records import Record
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
    spent,
    users,
)
from watchword_server.adapters.sql.statements import Commands, Value
from watchword_server.changes import StoredKey
from watchword_server.people.values import Session, User
from watchword_server.protocol.grants.authorization_code import Code
from watchword_server.protocol.values import (
    Api,
    ApiKey,
    Client,
    Consent,
    DeploymentSecret,
    DeviceRequest,
    EncryptedToken,
    Grant,
    Interaction,
    Invitation,
    PushedRequest,
    RefreshToken,
)

AUDIT_SIZES: Final = (1, 8, 32)
"""Rows of the audit inserts: one statement for many rows, since each costs its own trip through the driver."""
LEASE_SIZES: Final = (1, 8, 64)
"""Rows of the statements that keep leases, for the same reason."""
LAPSED: Final = 60
"""Seconds for which a lease that has ended is kept: nodes whose clocks differ must not take what others still count."""

REPLAYED: Final = 24 * 3600
"""Seconds for which a code that has expired is remembered: who sends it once more ends what it was exchanged for."""
TOO_LATE: Final = 3600
"""Seconds for which a device that comes too late is told so (RFC 8628 §3.5)."""

_ABOVE: Final = grants.alias("above")

PURGED_AT_ONCE: Final = 500
"""Rows of each table in one purge, so that it never holds the writer for long."""

TABLES: Final[dict[type[Record], Table]] = {
    User: users,
    Session: sessions,
    Client: clients,
    Api: apis,
    Grant: grants,
    RefreshToken: refresh_tokens,
    EncryptedToken: encrypted_tokens,
    StoredKey: keys,
    Code: codes,
    Consent: consents,
    Interaction: interactions,
    PushedRequest: pushed_requests,
    Invitation: invitations,
    DeploymentSecret: secrets,
    DeviceRequest: device_requests,
    ApiKey: api_keys,
}


def commands() -> Commands[ClauseElement]:
    """The orders."""
    return Commands(
        add={kind.__name__: _insert(table) for kind, table in TABLES.items() if kind is not Consent},
        set_password=_change(users.c.sub, "password_hash"),
        set_profile=_change(users.c.sub, "name", "profile"),
        set_roles=_change(users.c.sub, "roles"),
        set_user_disabled=_change(users.c.sub, "disabled_at"),
        set_client_disabled=_change(clients.c.client_id, "disabled_at"),
        set_client_secret=_change(clients.c.client_id, "secret_hash"),
        reseal_secret=_reseal_secret(),
        replace_client=_change(
            clients.c.client_id, "name", "grant_types", "redirect_uris", "origins", "rotates", "metadata"
        ),
        keep_client=_keep_client(),
        set_api_secret=_change(apis.c.audience, "secret_hash"),
        set_api_alg=_change(apis.c.audience, "access_token_alg"),
        set_self_service=_change(apis.c.audience, "self_service"),
        set_api_encryption=_change(apis.c.audience, "encryption"),
        set_client_alg=_change(clients.c.client_id, "access_token_alg"),
        end_session=_end(sessions.c.sid),
        end_grants_of_session=_end(grants.c.sid),
        end_sessions_of_user=_end(sessions.c.sub),
        end_grants_of_user=_end(grants.c.sub),
        end_grant=_end(grants.c.gid),
        end_grants_of_client=(
            update(grants)
            .where(
                grants.c.ended_at.is_(None),
                or_(grants.c.client_id == bindparam("client_id"), grants.c.sub == bindparam("client_id")),
            )
            .values(ended_at=bindparam("at"))
        ),
        end_grants_between=(
            update(grants)
            .where(
                grants.c.ended_at.is_(None),
                grants.c.sub == bindparam("by_sub"),
                grants.c.client_id == bindparam("to_client_id"),
            )
            .values(ended_at=bindparam("at"))
        ),
        end_below=_end_below(grants.c.parent == bindparam("gid")),
        end_below_client=_end_below(
            _came_of(or_(_ABOVE.c.client_id == bindparam("client_id"), _ABOVE.c.sub == bindparam("client_id")))
        ),
        end_below_between=_end_below(
            _came_of(and_(_ABOVE.c.sub == bindparam("by_sub"), _ABOVE.c.client_id == bindparam("to_client_id")))
        ),
        bind_grant=_change(grants.c.gid, "jkt"),
        alive=select(grants.c.gid).where(grants.c.gid == bindparam("gid"), grants.c.ended_at.is_(None)),
        reauthenticate=(
            update(sessions)
            .where(sessions.c.sid == bindparam("of"), sessions.c.ended_at.is_(None))
            .values(authenticated_at=bindparam("at"), amr=bindparam("amr"))
        ),
        move_sessions=_move(sessions.c.browser),
        move_interactions=_move(interactions.c.browser),
        remember=_remember(),
        forget=delete(consents).where(
            consents.c.sub == bindparam("sub"), consents.c.client_id == bindparam("client_id")
        ),
        advance=(
            update(interactions)
            .where(interactions.c.hash == bindparam("of"))
            .values(signed_in=bindparam("signed_in"), selected=bindparam("selected"))
        ),
        finish=delete(interactions).where(interactions.c.hash == bindparam("hash")),
        take_pushed=delete(pushed_requests).where(pushed_requests.c.hash == bindparam("hash")),
        use_invitation=(
            update(invitations)
            .where(
                invitations.c.hash == bindparam("of"),
                invitations.c.uses_left > 0,
                invitations.c.expires_at > bindparam("now"),
            )
            .values(uses_left=invitations.c.uses_left - 1)
        ),
        spend_code=_spend_code(),
        poll_device=(
            update(device_requests)
            .where(device_requests.c.hash == bindparam("of"))
            .values(polled_at=bindparam("at"), interval=bindparam("seconds"))
        ),
        decide_device=_decide_device(),
        spend_device=_spend_device(),
        use_api_key=(
            update(api_keys)
            .where(
                api_keys.c.id == bindparam("of"),
                or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at < bindparam("at")),
            )
            .values(last_used_at=bindparam("at"))
        ),
        spend=_spend(),
        unrevoked=_unrevoked(),
        activate_key=_activate(),
        reseal_key=(
            update(keys)
            .where(keys.c.kid == bindparam("of"), keys.c.sealed == bindparam("was"))
            .values(sealed=bindparam("sealed"))
        ),
        drop_key=delete(keys).where(keys.c.kid == bindparam("of"), keys.c.retired_at.is_not(None)),
        retire_key=_retire({}),
        revoke_key=_retire({"revoked_at": bindparam("at"), "sealed": bindparam("sealed")}),
        raise_lifetime=update(head).values(lifetime=bindparam("seconds")).where(head.c.lifetime < bindparam("seconds")),
        send=_insert(outbox, "number"),
        claim=(
            update(outbox)
            .where(outbox.c.number == bindparam("of"), outbox.c.due_at <= bindparam("now"))
            .values(due_at=bindparam("until"))
        ),
        sent=update(outbox).where(outbox.c.number == bindparam("of")).values(due_at=null()),
        retry=(
            update(outbox)
            .where(outbox.c.number == bindparam("of"))
            .values(due_at=bindparam("due_at"), attempts=outbox.c.attempts + 1, reason=bindparam("reason"))
        ),
        keep_leases={size: _keep_leases(size) for size in LEASE_SIZES},
        spend_once=_spend_once(),
        purge=_purges(),
        purge_audit=_purge_audit(),
        begin_log=_begin_log(),
        head=select(head.c.log, head.c.seq, head.c.chain, head.c.state),
        move_head=update(head).values(seq=bindparam("seq"), chain=bindparam("chain"), state=bindparam("state")),
        append=_insert(revocations),
        audit={size: _audit(size) for size in AUDIT_SIZES},
    )


def _change(key: Column[str], *names: str) -> Update:
    values: dict[str, BindParameter[Value]] = {name: bindparam(name) for name in names}
    return update(key.table).where(key == bindparam(f"for_{key.name}")).values(values)


def _reseal_secret() -> Update:
    """Within what is kept of a client: nobody else's change of it is lost, and what is sealed stands nowhere else."""
    kept = clients.c.metadata
    was, sealed = (bindparam(name, type_=kept.type) for name in ("was", "sealed"))
    anew = func.replace(kept, was, sealed, type_=kept.type)
    return update(clients).where(clients.c.client_id == bindparam("of"), kept.contains(was)).values({kept.name: anew})


def _move(column: Column[bytes]) -> Update:
    return update(column.table).where(column == bindparam("was")).values({column.name: bindparam("to")})


def _end(column: Column[str]) -> Update:
    """End what is still alive of whom the column names."""
    alive = column.table.c.ended_at.is_(None)
    return update(column.table).where(alive, column == bindparam(column.name)).values(ended_at=bindparam("at"))


def _insert(table: Table, *but: str) -> Insert:
    values: dict[str, BindParameter[Any]] = {
        column.name: bindparam(column.name) for column in table.c if column.name not in but
    }
    return insert(table).values(values).inline()  # nobody asks for the number that a row was given


def _audit(size: int) -> Insert:
    return insert(audit).values(
        [{column.name: bindparam(f"{column.name}_{n}") for column in AUDIT} for n in range(size)]
    )


def _spend() -> Update:
    """Wins for one caller only: the database, not the flow, decides the race."""
    grant_lives = exists().where(grants.c.gid == refresh_tokens.c.gid, grants.c.ended_at.is_(None))
    return (
        update(refresh_tokens)
        .where(refresh_tokens.c.hash == bindparam("spent"), refresh_tokens.c.spent_at.is_(None), grant_lives)
        .values(
            spent_at=bindparam("at"),
            successor_hash=bindparam("successor_hash"),
            sealed_successor=bindparam("sealed_successor"),
        )
    )


def _spend_code() -> Update:
    """As for refresh tokens: the database decides the race."""
    grant_lives = exists().where(grants.c.gid == codes.c.gid, grants.c.ended_at.is_(None))
    return (
        update(codes)
        .where(codes.c.hash == bindparam("of"), codes.c.spent_at.is_(None), grant_lives)
        .values(spent_at=bindparam("at"))
    )


def _came_of(which: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether a grant is a child of one of these."""
    return grants.c.parent.in_(select(_ABOVE.c.gid).where(which))


def _end_below(first: ColumnElement[bool]) -> Update:
    """End all that came by token exchange of some grants; `first` says which are their children."""
    known = select(grants.c.gid).where(first).cte("below", recursive=True)
    child = grants.alias("child")
    below = known.union(select(child.c.gid).where(child.c.parent == known.c.gid))
    alive = grants.c.ended_at.is_(None)
    return update(grants).where(alive, grants.c.gid.in_(select(below.c.gid))).values(ended_at=bindparam("at"))


def _keep_client() -> Upsert:
    """What its metadata document says now; whether an operator has disabled it stays as it is."""
    values: dict[str, BindParameter[Any]] = {column.name: bindparam(column.name) for column in clients.c}
    put = Upsert(clients).values(values)
    names = ("name", "kind", "grant_types", "access", "redirect_uris", "origins", "metadata")
    return put.on_conflict_do_update(index_elements=[clients.c.client_id], set_={n: put.excluded[n] for n in names})


def _decide_device() -> Update:
    """One answer of a person: the first."""
    waits = (device_requests.c.gid.is_(None), device_requests.c.denied_at.is_(None))
    return (
        update(device_requests)
        .where(device_requests.c.hash == bindparam("of"), *waits)
        .values(gid=bindparam("to_gid"), denied_at=bindparam("denied_at"))
    )


def _spend_device() -> Update:
    """As for refresh tokens: the database decides the race."""
    grant_lives = exists().where(grants.c.gid == device_requests.c.gid, grants.c.ended_at.is_(None))
    return (
        update(device_requests)
        .where(device_requests.c.hash == bindparam("of"), device_requests.c.spent_at.is_(None), grant_lives)
        .values(spent_at=bindparam("at"))
    )


def _remember() -> Upsert:
    """What was allowed last counts."""
    values: dict[str, BindParameter[Any]] = {column.name: bindparam(column.name) for column in consents.c}
    put = Upsert(consents).values(values)
    latest = {"scope": put.excluded.scope, "granted_at": put.excluded.granted_at}
    keys = [consents.c.sub, consents.c.client_id, consents.c.audience]
    return put.on_conflict_do_update(index_elements=keys, set_=latest)


def _spend_once() -> Upsert:
    """Hits one row for one caller only, and none for all others: a race is no error, so nobody's transaction dies."""
    values: dict[str, BindParameter[Any]] = {column.name: bindparam(column.name) for column in spent.c}
    return Upsert(spent).values(values).on_conflict_do_nothing()


def _unrevoked() -> Select[*tuple[Any, ...]]:
    """One row when nothing named was revoked after `rev`: in a transaction that no revocation can come between."""
    hit = or_(
        and_(revocations.c.kind == "subject", revocations.c.id == bindparam("sub")),
        and_(revocations.c.kind == "client", revocations.c.id == bindparam("client_id")),
        and_(revocations.c.kind == "session", revocations.c.id == bindparam("sid")),
        revocations.c.kind == "issuer",
    )
    return select(head.c.id).where(~exists().where(revocations.c.seq > bindparam("rev"), hit))


def _activate() -> Update:
    """Only forwards: of two that rotate at once, one finds nothing left to do."""
    usable = (keys.c.retired_at.is_(None), keys.c.revoked_at.is_(None))
    later = or_(keys.c.active_at.is_(None), keys.c.active_at > bindparam("at"))
    return update(keys).where(keys.c.kid == bindparam("of"), *usable, later).values(active_at=bindparam("at"))


def _retire(also: dict[str, ColumnElement[Any]]) -> Update:
    first = func.coalesce(keys.c.retired_at, bindparam("at"))
    return update(keys).where(keys.c.kid == bindparam("of")).values(retired_at=first, **also)


def _begin_log() -> Insert:
    """The head of a new log, unless another process was first."""
    row: Select[*tuple[object, ...]] = select(
        literal(1),
        bindparam("log", type_=head.c.log.type),
        literal(0),
        bindparam("chain", type_=head.c.chain.type),
        literal(0),
        literal(0),
    )
    return insert(head).from_select([column.name for column in head.c], row.where(~exists(select(head.c.id))))


def _keep_leases(size: int) -> Upsert:
    """Nothing runs backwards, in whatever order several nodes write: a late or repeated row changes nothing.

    A row with an empty `log` brings no acknowledgement. Written as PostgreSQL's; SQLite takes the very same clause.
    """
    insert = Upsert(leases).values(
        [{column.name: bindparam(f"{column.name}_{n}") for column in leases.c} for n in range(size)]
    )
    new, old = insert.excluded, leases.c
    no_news = or_(new.log == bindparam("no_log", ""), and_(new.log == old.log, new.seq <= old.seq))
    latest = {name: case((no_news, old[name]), else_=new[name]) for name in ("log", "seq", "acknowledged_at")}
    later = {name: case((new[name] > old[name], new[name]), else_=old[name]) for name in ("heard_at", "until")}
    known = {"name": new.name, "refuse_after": new.refuse_after}
    return insert.on_conflict_do_update(index_elements=[old.audience, old.verifier], set_={**known, **latest, **later})


def _purges() -> tuple[Delete, ...]:
    """What has expired by `now`; children before their parents."""
    now: BindParameter[int] = bindparam("now")
    childless = ~exists().where(refresh_tokens.c.gid == grants.c.gid)
    keyless = ~exists().where(api_keys.c.gid == grants.c.gid)
    return (
        _purge(refresh_tokens.c.hash, refresh_tokens.c.expires_at < now),
        _purge(encrypted_tokens.c.hash, encrypted_tokens.c.expires_at < now),
        _purge(codes.c.hash, codes.c.expires_at < now - REPLAYED),
        _purge(interactions.c.hash, interactions.c.expires_at < now),
        _purge(pushed_requests.c.hash, pushed_requests.c.expires_at < now),
        delete(invitations).where(invitations.c.expires_at < now),
        _purge(device_requests.c.hash, device_requests.c.expires_at < now - TOO_LATE),
        _purge(api_keys.c.id, api_keys.c.expires_at < now),
        _purge(grants.c.gid, grants.c.expires_at < now, childless, keyless),
        _purge(sessions.c.sid, sessions.c.expires_at < now),
        _purge(revocations.c.seq, revocations.c.until < now),
        _purge(outbox.c.number, outbox.c.due_at.is_(None)),
        delete(leases).where(leases.c.until + LAPSED < now),
        _purge(spent.c.hash, spent.c.expires_at < now),
    )


def _purge(key: ColumnElement[object], *conditions: ColumnElement[bool]) -> Delete:
    return delete(key.table).where(key.in_(select(key).where(*conditions).limit(PURGED_AT_ONCE)))


def _purge_audit() -> Delete:
    """Rows stand in the order of time, so only the oldest are looked at; an index on `at` would cost every save."""
    oldest = select(audit.c.id, audit.c.at).order_by(audit.c.id).limit(PURGED_AT_ONCE).subquery()
    return delete(audit).where(audit.c.id.in_(select(oldest.c.id).where(oldest.c.at < bindparam("before"))))
