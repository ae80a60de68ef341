"""Values that count once, in a table: the database decides every race."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from watchword_server.adapters.sql.journal import Writer
from watchword_server.adapters.sql.plan import Plan
from watchword_server.adapters.sql.statements import Commands, Sql

CLOCKS: Final = 120
"""Seconds for which a value is remembered beyond its time: the purge goes by one clock, who asks by another."""


class SqlSpent:
    """Values that count once, for every node on this database."""

    def __init__(self, writer: Writer, commands: Commands[Sql]) -> None:
        self._writer = writer
        self._command = commands.spend_once

    async def spend(self, kind: str, value: str, until: int) -> bool:
        """Durable when it returns. Raises Unavailable, and then nobody knows whether it was spent."""
        hash = sha256(f"{kind}\0{value}".encode("utf-8", "surrogatepass")).digest()
        step = self._command.step(hash=hash, expires_at=until + CLOCKS)
        return (await self._writer.run(Plan((step,)))).rows == 1
