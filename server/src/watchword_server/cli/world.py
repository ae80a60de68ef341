"""What the command line needs of the composition root, and nothing more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watchword_server.flows.issuer import Issuer
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
