"""Where a deployment of a soak keeps its data."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.stories.processes import environ, watchword


@dataclass(frozen=True)
class Database:
    """`settings` gives the lines of watchword.toml that name a fresh one, for as long as the block lasts."""

    title: str
    settings: Callable[[], AbstractContextManager[str]]


@contextmanager
def _sqlite() -> Iterator[str]:
    """In the data folder, without a line."""
    yield ""


@contextmanager
def _postgres() -> Iterator[str]:
    """A server of our own, which writes durably, and a Redis beside it."""
    from tests.servers import postgres, redis

    with postgres.server() as database, redis.server() as limits:
        url = database.database()
        migrate(url)
        yield f'database = "{url}"\nredis.url = "{limits.url}"\n'


def migrate(url: str) -> None:
    """Make the schema in an empty database."""
    settings = environ(WATCHWORD_ISSUER="http://localhost", WATCHWORD_DATABASE=url)
    with tempfile.TemporaryDirectory() as empty:
        ran = watchword("migrate", cwd=Path(empty), env=settings)
    assert ran.code == 0, ran.err


DATABASES: Final[Mapping[str, Database]] = {
    "sqlite": Database("SQLite", _sqlite),
    "postgres": Database("PostgreSQL and Redis", _postgres),
}
