"""The composition root: the only room that knows all the others. It imports them where they are needed, so that
each command loads no more than its own."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from watchword_server import settings as configuration
from watchword_server.main.databases import ask_redis, examine, migrate, promote, undo_promotion
from watchword_server.main.deployment import deployed
from watchword_server.main.serving import serve
from watchword_server.settings import Settings

if TYPE_CHECKING:
    from watchword_server.flows.issuer import Issuer

__all__ = ["examine", "load_settings", "main", "open_issuer"]

COLLECT_RARELY: Final = (20_000, 20, 20)
"""Thresholds of the garbage collector's generations."""


def main() -> None:
    """The command `watchword`."""
    # A start makes many objects and hardly any garbage: looking for it would cost a twentieth of the time.
    gc.set_threshold(*COLLECT_RARELY)
    from watchword_server.cli import World, application

    application(World(load_settings, open_issuer, serve, examine, migrate, ask_redis, promote, undo_promotion))()


def load_settings(config: Path | None, overrides: Mapping[str, object]) -> Settings:
    """Read the settings. Raises SettingsError."""
    return configuration.load(config, overrides)


@asynccontextmanager
async def open_issuer(settings: Settings) -> AsyncIterator[Issuer]:
    """The deployment of a data folder, ready to work; other processes on it hear of what is committed."""
    async with deployed(settings) as deployment:
        yield deployment.issuer
