"""Every statement that writes. Those that the group commit itself runs are named in `writer.py`."""

from __future__ import annotations

from typing import Final

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
from sqlalchemy.engine.interfaces import Dialect

from watchword_server.adapters.sql.compiled import Sql, Value, compiled
from watchword_server.adapters.sql.queries import AUDIT
from watchword_server.adapters.sql.records import Record
from watchword_server.adapters.sql.schema import (
    apis,
    audit,
    clients,
    grants,
    head,
    keys,
    outbox,
    refresh_tokens,
    revocations,
    sessions,
    users,
)
from watchword_server.changes import StoredKey
from watchword_server.people.values import Session, User
from watchword_server.protocol.values import Api, Client, Grant, RefreshToken

AUDIT_SIZES: Final = (32, 8, 1)
"""Rows of the audit inserts: one statement for many rows, since each costs its own trip through the driver."""

PURGED_AT_ONCE: Final = 500
"""Rows of each table in one purge, so that it never holds the writer for long."""

TABLES: Final[dict[type[Record], Table]] = {
    User: users,
    Session: sessions,
    Client: clients,
    Api: apis,
    Grant: grants,
    RefreshToken: refresh_tokens,
    StoredKey: keys,
}


class Commands:
    """The orders, compiled for one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        def sql(statement: Insert | Update | Delete | Select[int]) -> Sql:
            return compiled(statement, dialect)

        def change(key: Column[str], *names: str) -> Sql:
            values: dict[str, BindParameter[Value]] = {name: bindparam(name) for name in names}
            return sql(update(key.table).where(key == bindparam(f"for_{key.name}")).values(values))

        def end(table: Table, *conditions: ColumnElement[bool]) -> Sql:
            alive = table.c.ended_at.is_(None)
            return sql(update(table).where(alive, *conditions).values(ended_at=bindparam("at")))

        self.add = {kind: sql(_insert(table)) for kind, table in TABLES.items()}
        self.set_password = change(users.c.sub, "password_hash")
        self.set_roles = change(users.c.sub, "roles")
        self.set_user_disabled = change(users.c.sub, "disabled_at")
        self.set_client_disabled = change(clients.c.client_id, "disabled_at")
        self.set_client_secret = change(clients.c.client_id, "secret_hash")
        self.set_api_secret = change(apis.c.audience, "secret_hash")

        self.end_session = end(sessions, sessions.c.sid == bindparam("sid"))
        self.end_grants_of_session = end(grants, grants.c.sid == bindparam("sid"))
        self.end_sessions_of_user = end(sessions, sessions.c.sub == bindparam("sub"))
        self.end_grants_of_user = end(grants, grants.c.sub == bindparam("sub"))
        self.end_grant = end(grants, grants.c.gid == bindparam("gid"))
        self.end_grants_of_client = end(grants, grants.c.client_id == bindparam("client_id"))

        self.spend = sql(_spend())
        self.unrevoked = sql(_unrevoked())
        self.retire_key = sql(_retire({}))
        self.revoke_key = sql(_retire({"revoked_at": bindparam("at")}))
        self.raise_lifetime = sql(
            update(head).values(lifetime=bindparam("seconds")).where(head.c.lifetime < bindparam("seconds"))
        )

        self.send = sql(_insert(outbox, "number"))
        self.sent = sql(update(outbox).where(outbox.c.number == bindparam("of")).values(due_at=null()))
        self.retry = sql(
            update(outbox)
            .where(outbox.c.number == bindparam("of"))
            .values(due_at=bindparam("due_at"), attempts=outbox.c.attempts + 1, reason=bindparam("reason"))
        )

        self.begin_log = sql(_begin_log())
        self.head = sql(select(head.c.log, head.c.seq, head.c.chain, head.c.state))
        self.move_head = sql(
            update(head).values(seq=bindparam("seq"), chain=bindparam("chain"), state=bindparam("state"))
        )
        self.append = sql(_insert(revocations))
        self.audit = {size: sql(_audit(size)) for size in AUDIT_SIZES}
        self.purge = tuple(map(sql, _purges()))
        self.purge_audit = sql(_purge_audit())


def _insert(table: Table, *but: str) -> Insert:
    return insert(table).values({column.name: bindparam(column.name) for column in table.c if column.name not in but})


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


def _unrevoked() -> Update:
    """Hits the head's one row when nothing named was revoked after `rev`. An update, so that it also holds that row."""
    hit = or_(
        and_(revocations.c.kind == "subject", revocations.c.id == bindparam("sub")),
        and_(revocations.c.kind == "client", revocations.c.id == bindparam("client_id")),
        and_(revocations.c.kind == "session", revocations.c.id == bindparam("sid")),
        revocations.c.kind == "issuer",
    )
    return update(head).values(id=head.c.id).where(~exists().where(revocations.c.seq > bindparam("rev"), hit))


def _retire(also: dict[str, ColumnElement[int]]) -> Update:
    first = func.coalesce(keys.c.retired_at, bindparam("at"))
    return update(keys).where(keys.c.kid == bindparam("of")).values(retired_at=first, **also)


def _begin_log() -> Insert:
    """The head of a new log, unless another process was first."""
    row: Select[*tuple[object, ...]] = select(
        literal(1), bindparam("log"), literal(0), bindparam("chain"), literal(0), literal(0)
    )
    return insert(head).from_select([column.name for column in head.c], row.where(~exists(select(head.c.id))))


def _purges() -> tuple[Delete, ...]:
    """What has expired by `now`; children before their parents."""
    now: BindParameter[int] = bindparam("now")
    childless = ~exists().where(refresh_tokens.c.gid == grants.c.gid)
    return (
        _purge(refresh_tokens.c.hash, refresh_tokens.c.expires_at < now),
        _purge(grants.c.gid, grants.c.expires_at < now, childless),
        _purge(sessions.c.sid, sessions.c.expires_at < now),
        _purge(revocations.c.seq, revocations.c.until < now),
        _purge(outbox.c.number, outbox.c.due_at.is_(None)),
    )


def _purge(key: ColumnElement[object], *conditions: ColumnElement[bool]) -> Delete:
    return delete(key.table).where(key.in_(select(key).where(*conditions).limit(PURGED_AT_ONCE)))


def _purge_audit() -> Delete:
    """Rows stand in the order of time, so only the oldest are looked at; an index on `at` would cost every save."""
    oldest = select(audit.c.id, audit.c.at).order_by(audit.c.id).limit(PURGED_AT_ONCE).subquery()
    return delete(audit).where(audit.c.id.in_(select(oldest.c.id).where(oldest.c.at < bindparam("before"))))
