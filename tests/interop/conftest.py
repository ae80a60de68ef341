"""What every test against others' programs may ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stories.processes import Site, deployment


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A running issuer and demo API of this module's own."""
    with deployment(tmp_path_factory.mktemp("site")) as found:
        yield found
