"""What every story may ask for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stories.processes import Site, deployment


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A running issuer and demo API of this module's own."""
    folder: Path = tmp_path_factory.mktemp("site")
    with deployment(folder) as found:
        yield found
