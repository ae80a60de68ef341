"""Leases: written by many rows at a time, read by who waits for acknowledgements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from watchword_server.adapters.sql import records
from watchword_server.adapters.sql.journal import Writer
from watchword_server.adapters.sql.plan import Plan
from watchword_server.adapters.sql.readers import Source
from watchword_server.adapters.sql.statements import Commands, Sql, Step
from watchword_server.ports import Lease


class SqlLeases:
    """Verifier processes that may be alive."""

    def __init__(self, source: Source, writer: Writer, commands: Commands[Sql]) -> None:
        self._source = source
        self._queries = source.queries
        self._writer = writer
        self._sizes = sorted(commands.keep_leases.items(), reverse=True)

    async def find(self, audience: str, verifier: str) -> Lease | None:
        return await self._source.one(records.lease, self._queries.lease, audience=audience, verifier=verifier)

    async def count(self, audience: str, now: int) -> int:
        (found,) = await self._source.every(records.number, self._queries.leases_of, audience=audience, now=now)
        return found

    async def all(self, now: int) -> Sequence[Lease]:
        return await self._source.every(records.lease, self._queries.leases, now=now)

    async def behind(self, log: str, seq: int, now: int) -> Sequence[Lease]:
        return await self._source.every(records.lease, self._queries.leases_behind, log=log, seq=seq, now=now)

    async def keep(self, leases: Sequence[Lease]) -> None:
        # In one order everywhere: two nodes that write the same rows must not wait for each other.
        ordered = sorted(leases, key=lambda lease: (lease.audience, lease.verifier))
        await self._writer.run(Plan(tuple(self._steps(ordered))))

    def _steps(self, leases: Sequence[Lease]) -> Iterator[Step]:
        start = 0
        for size, sql in self._sizes:
            while len(leases) - start >= size:
                yield sql.step(**_columns(leases[start : start + size]))
                start += size


def _columns(leases: Sequence[Lease]) -> dict[str, str | int]:
    return {
        f"{name}_{number}": value
        for number, lease in enumerate(leases)
        for name, value in msgspec.structs.asdict(lease).items()
    }
