"""Puts readers and writer of one database together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from watchword_server.adapters.sql import readers
from watchword_server.adapters.sql.journal import SqlJournal, SqlOutbox, Writer
from watchword_server.adapters.sql.leases import SqlLeases
from watchword_server.adapters.sql.spent import SqlSpent
from watchword_server.adapters.sql.statements import Commands, Sql
from watchword_server.ports import Stores


class Store(Protocol):
    """The stores of one database, as one process holds them."""

    @property
    def stores(self) -> Stores: ...

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call back on this event loop after a commit that moved the log or `Head.state`."""
        ...


def assembled(source: readers.Source, writer: Writer, commands: Commands[Sql]) -> Stores:
    """Every port over them."""
    return Stores(
        log=readers.SqlLog(source),
        users=readers.SqlUsers(source),
        clients=readers.SqlClients(source),
        apis=readers.SqlApis(source),
        sessions=readers.SqlSessions(source),
        grants=readers.SqlGrants(source),
        codes=readers.SqlCodes(source),
        devices=readers.SqlDevices(source),
        customer_keys=readers.SqlCustomerKeys(source),
        consents=readers.SqlConsents(source),
        requests=readers.SqlRequests(source),
        invitations=readers.SqlInvitations(source),
        secrets=readers.SqlSecrets(source),
        refresh_tokens=readers.SqlRefreshTokens(source),
        encrypted_tokens=readers.SqlEncryptedTokens(source),
        keys=readers.SqlKeys(source),
        audit=readers.SqlAuditTrail(source),
        outbox=SqlOutbox(source, writer, commands),
        leases=SqlLeases(source, writer, commands),
        spent=SqlSpent(writer, commands),
        journal=SqlJournal(writer, commands),
    )
