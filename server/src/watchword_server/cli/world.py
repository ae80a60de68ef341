"""What the command line needs of the composition root, and nothing more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watchword_server.flows.administration import Operator
    from watchword_server.flows.issuer import Issuer
    from watchword_server.promotion import Promoted, PromotionStep
    from watchword_server.settings import Settings


@dataclass(frozen=True, slots=True)
class DatabaseReport:
    """What the database says of itself, for `watchword doctor`. Read without changing anything but for a probe."""

    place: str
    """Where it is, for people: a path, or a URL without its password."""
    integrity: str
    """`ok`, or what the quick check found."""
    revision: str
    expected_revision: str
    """The schema that it has, and the one that this version wants; equal when there is nothing to do."""
    writable: str
    """`ok`, or why a write transaction could not begin (it is rolled back)."""
    newest: float | None
    """Seconds since 1970 of the newest audit row; None while there is none."""
    risks: tuple[str, ...] = ()
    """What could lose an acknowledged commit, or let others read it, each with what to do."""
    migrates_itself: bool = True
    """Whether `watchword serve` brings the schema up to date; else `watchword migrate` does."""


@dataclass(frozen=True, slots=True)
class Migration:
    """What `watchword migrate` found and did. `found` is None where there was no schema."""

    place: str
    found: str | None
    wanted: str


@dataclass(frozen=True, slots=True)
class World:
    """Made by `main.py`, the only room that knows all the others; handed to `cli.run`."""

    load_settings: Callable[[Path | None, Mapping[str, object]], Settings]
    """The file given with --config (None: `watchword.toml` where there is one) and flags, nested as the settings are:
    `{"issuer": ..., "listen": ..., "data": Path(...)}`. Raises SettingsError with one clear sentence."""
    open: Callable[[Settings], AbstractAsyncContextManager[Issuer]]
    """The deployment, ready to work: migrated, keys prepared; closed at the end, and a running server told to look."""
    serve: Callable[[Settings], int]
    """Serve until SIGTERM or SIGINT; the exit code."""
    examine: Callable[[Settings], Awaitable[DatabaseReport | None]]
    """The state of the database; None while there is none. Raises Unavailable where it cannot be opened."""
    migrate: Callable[[Settings, bool], Awaitable[Migration]]
    """Bring the schema up to date, or only look whether that is due. Raises Refused, Unavailable."""
    ask_redis: Callable[[Settings], Awaitable[str | None]]
    """Why the Redis of the settings cannot be used; None when it can, or there is none."""
    promote: Callable[
        [Settings, Operator, Callable[[PromotionStep], None], Callable[[], Awaitable[None]]], Awaitable[Promoted]
    ]
    """Move the SQLite deployment to the setting `database`: tells every step, and waits for an agreement to the cut.
    Raises Refused, KeyStoreError, Unavailable."""
    undo_promotion: Callable[[Settings, Operator], Awaitable[bool]]
    """Take back what a promotion has left. Whether there was anything. Raises Refused, Unavailable."""
