"""Looking a database over without changing anything."""

from __future__ import annotations

from typing import Final

from watchword_server.adapters.sql.examination import Examination
from watchword_server.adapters.sql.postgres import connections
from watchword_server.adapters.sql.postgres.connections import FAULTS, Connection, Manners, place, reason
from watchword_server.adapters.sql.postgres.upgrade import schema
from watchword_server.ports import Unavailable

_EXAMINER: Final = Manners(reads_only=False, statement=5_000, lock=1_000, idle=5_000)
_FACTS: Final = """
SELECT current_setting('synchronous_commit'), current_setting('fsync'), current_setting('full_page_writes'),
    current_setting('server_encoding'), COALESCE((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false),
    inet_server_addr() IS NULL OR inet_client_addr() = inet_server_addr()
"""


async def examine(url: str) -> Examination:
    """The state of a database. Raises Unavailable when it cannot be reached or read."""
    connection = await connections.connect(url, _EXAMINER)
    try:
        return await _examine(url, connection)
    except FAULTS as error:
        raise Unavailable(f"{place(url)}: {reason(error)}") from error
    finally:
        connection.terminate()


async def _examine(url: str, connection: Connection) -> Examination:
    found = await schema(connection)
    commits, fsync, pages, encoding, encrypted, near = await connection.fetchrow(_FACTS)
    newest = await connection.fetchval("SELECT at FROM audit ORDER BY id DESC LIMIT 1") if found.revision else None
    faults = [
        f"{name} = {value}"
        for name, value, bad in (
            ("synchronous_commit", commits, commits in connections.OFF),
            ("fsync", fsync, fsync != "on"),
            ("full_page_writes", pages, pages != "on"),
            ("server_encoding", encoding, encoding != "UTF8"),
        )
        if bad
    ]
    return Examination(
        place=place(url),
        integrity="ok",
        revision=found.revision or "none",
        expected_revision=found.wanted,
        writable=await _writable(connection),
        newest=None if newest is None else newest / 1000,
        risks=(*faults, *(() if encrypted or near else ("others can read the connection to the database",))),
        migrates_itself=False,
    )


async def _writable(connection: Connection) -> str:
    if await connection.fetchval("SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on'"):
        return "the server takes no writes"
    return "ok"
