"""What every test against others' programs may ask for."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from tests.stories.processes import Site, deployment

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# `make test` collects these files too, and has nothing that these need.
collect_ignore = [] if find_spec("playwright") and find_spec("django") else ["test_relying_parties.py"]
collect_ignore += [] if find_spec("fastmcp") else ["test_fastmcp.py"]
collect_ignore += [] if find_spec("requests_oauth2client") else ["test_requests_oauth2client.py"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A running issuer and demo API of this module's own."""
    with deployment(tmp_path_factory.mktemp("site")) as found:
        yield found


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests; each has visitors of its own."""
    from tests.browser.chromium import chromium

    with chromium() as found:
        yield found
