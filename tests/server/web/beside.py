"""Another process beside the server, on the same data folder: what it reads there, and what it does to it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager

from tests.server.web.served import Served
from watchword_server.flows.administration import Operator
from watchword_server.flows.issuer import Caller, Issuer
from watchword_server.main import load_settings, open_issuer

BY = Operator("test", Caller())


@asynccontextmanager
async def opened(server: Served) -> AsyncIterator[Issuer]:
    """The deployment as a command of the operator has it."""
    async with open_issuer(load_settings(None, {"issuer": server.issuer, "data": server.data})) as issuer:
        yield issuer


@contextmanager
def locked(server: Served) -> Iterator[Callable[[], object]]:
    """The database, held by a writer; the value is a function that lets go of it."""
    with closing(sqlite3.connect(server.data / "watchword.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield lambda: other.execute("ROLLBACK")
        if other.in_transaction:
            other.execute("ROLLBACK")


def issued(server: Served) -> list[str]:
    """The `jti` of every token of client_credentials, as the audit trail has them."""
    with closing(sqlite3.connect(server.data / "watchword.db")) as database:
        rows = database.execute("SELECT detail FROM audit WHERE action = 'token.issue' ORDER BY id").fetchall()
    return [json.loads(detail)["jti"] for (detail,) in rows]
