"""Every statement that reads."""

from __future__ import annotations

from sqlalchemy import BindParameter, ColumnElement, Select, Table, bindparam, select
from sqlalchemy.engine.interfaces import Dialect

from watchword_server.adapters.sql.compiled import Sql, compiled
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

ENTRY = (revocations.c.seq, revocations.c.kind, revocations.c.id, revocations.c.until)
AUDIT = tuple(column for column in audit.c if column is not audit.c.id)
LIMIT: BindParameter[int] = bindparam("limit")


class Queries:
    """The questions, compiled for one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        def sql(statement: Select[*tuple[object, ...]]) -> Sql:
            return compiled(statement, dialect)

        def one(table: Table, column: ColumnElement[object], name: str) -> Sql:
            return sql(select(table).where(column == bindparam(name)))

        self.head = sql(select(head.c.log, head.c.seq, head.c.chain, head.c.state, head.c.lifetime))
        self.after = sql(
            select(*ENTRY).where(revocations.c.seq > bindparam("seq")).order_by(revocations.c.seq).limit(LIMIT)
        )
        self.alive = sql(select(*ENTRY).where(revocations.c.until >= bindparam("now")).order_by(revocations.c.seq))
        self.chain = sql(select(revocations.c.chain).where(revocations.c.seq == bindparam("seq")))

        self.user = one(users, users.c.sub, "sub")
        self.user_named = one(users, users.c.email, "email")
        self.users = sql(select(users).where(users.c.email > bindparam("after")).order_by(users.c.email).limit(LIMIT))

        self.client = one(clients, clients.c.client_id, "client_id")
        self.clients = sql(
            select(clients).where(clients.c.client_id > bindparam("after")).order_by(clients.c.client_id).limit(LIMIT)
        )

        self.api = one(apis, apis.c.audience, "audience")
        self.api_of = one(apis, apis.c.client_id, "client_id")
        self.apis = sql(select(apis).order_by(apis.c.audience))

        self.session = one(sessions, sessions.c.sid, "sid")
        self.sessions_of = sql(
            select(sessions)
            .where(sessions.c.sub == bindparam("sub"), sessions.c.ended_at.is_(None))
            .order_by(sessions.c.created_at.desc(), sessions.c.sid)
        )
        self.grant = one(grants, grants.c.gid, "gid")
        self.refresh_token = one(refresh_tokens, refresh_tokens.c.hash, "hash")

        self.keys = sql(select(keys).where(keys.c.revoked_at.is_(None)).order_by(keys.c.created_at, keys.c.kid))
        self.audit = sql(select(*AUDIT).order_by(audit.c.id.desc()).limit(LIMIT))
        self.due = sql(
            select(outbox.c.number, outbox.c.topic, outbox.c.body, outbox.c.attempts)
            .where(outbox.c.due_at <= bindparam("now"))
            .order_by(outbox.c.due_at, outbox.c.number)
            .limit(LIMIT)
        )
