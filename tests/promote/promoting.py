"""One promotion on the adapters themselves, with what is done at each of its steps."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from watchword_server.adapters.sql.postgres import connections, upgrade
from watchword_server.adapters.sql.promote.promotion import Task
from watchword_server.changes import Audit
from watchword_server.promotion import PromotionStep

PLACE = "PostgreSQL at 127.0.0.1/test"


def task(path: Path, url: str, at: Callable[[PromotionStep], None] = lambda _: None) -> Task:
    """What `main/databases.py` puts together, for a promotion that nobody has to agree to."""

    async def migrate() -> None:
        await upgrade.migrate(url)

    async def agreed() -> None:
        """At once."""

    return Task(
        path=path,
        id=secrets.token_hex(8),
        place=PLACE,
        connect=lambda: connections.connect(url, connections.MIGRATION),
        migrate=migrate,
        tell=at,
        agreed=agreed,
        row=lambda rows: Audit(1, "operator:test", "issuer.promote", "ok", PLACE, "", "", "", {"rows": rows}),
        nudge=lambda: None,
    )
