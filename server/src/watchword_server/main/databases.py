"""What operators do to the database itself: look at it, bring its schema up to date, move it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from watchword_server.main.deployment import DATABASE, refusals, sealed_keys
from watchword_server.settings import Settings

if TYPE_CHECKING:
    from watchword_server.adapters.keystore.sealed import SealedKeys
    from watchword_server.adapters.sql.promote.promotion import Task
    from watchword_server.changes import StoredKey
    from watchword_server.cli.world import DatabaseReport, Migration
    from watchword_server.flows.administration import Operator
    from watchword_server.promotion import Promoted, PromotionStep


async def examine(settings: Settings) -> DatabaseReport | None:
    """The state of the database, for `watchword doctor`; None where there is none. Raises Unavailable."""
    import asyncio

    from watchword_server.cli.world import DatabaseReport

    if settings.database is not None:
        from watchword_server.adapters.sql.postgres import examination as postgres

        return DatabaseReport(**asdict(await postgres.examine(settings.database.reveal())))
    from watchword_server.adapters.sql.sqlite import examination as sqlite

    found = await asyncio.to_thread(sqlite.examine, settings.data / DATABASE)
    return None if found is None else DatabaseReport(**asdict(found))


async def migrate(settings: Settings, only_look: bool) -> Migration:
    """Bring the schema up to date, or see whether that is due. Raises Refused, Unavailable."""
    import asyncio

    from watchword_server.cli.world import Migration

    with refusals():
        if settings.database is not None:
            from watchword_server.adapters.sql.postgres import upgrade as postgres

            act = postgres.due if only_look else postgres.migrate
            return Migration(**asdict(await act(settings.database.reveal())))
        from watchword_server.adapters.sql.sqlite import store as sqlite

        work = sqlite.due if only_look else sqlite.migrate
        return Migration(**asdict(await asyncio.to_thread(work, settings.data / DATABASE)))


async def ask_redis(settings: Settings) -> str | None:
    """Why the Redis of the settings cannot be used, for `watchword doctor`; None when it can, or there is none."""
    if settings.redis.url is None:
        return None
    from watchword_server.adapters.redis.link import examine

    return await examine(settings.redis.url.reveal())


async def promote(
    settings: Settings, by: Operator, tell: Callable[[PromotionStep], None], agreed: Callable[[], Awaitable[None]]
) -> Promoted:
    """Move the SQLite file to PostgreSQL while servers run. Raises Refused, KeyStoreError, Unavailable."""
    import asyncio

    from watchword_server.adapters.sql.promote import promotion

    with refusals():
        path = settings.data / DATABASE
        keys = await asyncio.to_thread(promotion.keys, path)
        await asyncio.to_thread(_must_open, sealed_keys(settings), keys)
        return await promotion.promote(_promotion(settings, by, tell, agreed))


async def undo_promotion(settings: Settings, by: Operator) -> bool:
    """Take back what a promotion has left. Whether there was anything. Raises Refused, Unavailable."""
    from watchword_server.adapters.sql.promote import promotion

    async def agreed() -> None:
        """Nobody asks."""

    with refusals():
        return await promotion.undo(_promotion(settings, by, lambda _: None, agreed))


def _promotion(
    settings: Settings, by: Operator, tell: Callable[[PromotionStep], None], agreed: Callable[[], Awaitable[None]]
) -> Task:
    import secrets

    from watchword_server.adapters import nudge
    from watchword_server.adapters.sql.postgres import connections, upgrade
    from watchword_server.adapters.sql.promote.promotion import Task
    from watchword_server.flows.administration import Refused
    from watchword_server.flows.issuer import audit

    if settings.database is None:
        raise Refused("nothing says where to: set `database`")
    url = settings.database.reveal()
    place = connections.place(url)

    async def migrate() -> None:
        await upgrade.migrate(url)

    return Task(
        path=settings.data / DATABASE,
        id=secrets.token_hex(8),
        place=place,
        connect=lambda: connections.connect(url, connections.MIGRATION),
        migrate=migrate,
        tell=tell,
        agreed=agreed,
        row=lambda rows: audit(by.caller, time.time(), by.actor, "issuer.promote", target=place, rows=rows),
        nudge=lambda: nudge.send(settings.data),
    )


def _must_open(sealed: SealedKeys, keys: Sequence[StoredKey]) -> None:
    """What cannot be opened here cannot be opened by any node. Raises KeyStoreError."""
    for key in keys:
        sealed.open(key)
