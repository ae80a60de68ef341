"""What every story may ask for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stories.processes import Site, deployment

HERE = Path(__file__).parent
OTHERWISE = ("interop", "browser", "fault", "soak")


@pytest.hookimpl(tryfirst=True)  # before `-m` looks at them
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What stands here is a story, unless it is marked otherwise."""
    for item in items:
        if HERE in item.path.parents and not any(item.get_closest_marker(name) for name in OTHERWISE):
            item.add_marker(pytest.mark.story)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A running issuer and demo API of this module's own."""
    folder: Path = tmp_path_factory.mktemp("site")
    with deployment(folder) as found:
        yield found
