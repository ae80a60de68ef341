"""A deployment for each test."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.server.flows.house import House, Programs, furnished, opened


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Programs]:
    """A data folder with everybody in it, made once: passwords take a while."""
    data = tmp_path_factory.mktemp("template") / "data"
    return data, asyncio.run(furnished(data))


@pytest.fixture
async def house(template: tuple[Path, Programs], tmp_path: Path) -> AsyncIterator[House]:
    """A deployment of this test's own."""
    data, known = template
    shutil.copytree(data, tmp_path / "data")
    async with opened(tmp_path / "data") as issuer:
        yield House(issuer, tmp_path / "data", known)
