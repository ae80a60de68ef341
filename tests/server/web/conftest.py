"""Servers for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.server.web.asking import Site, asking
from tests.server.web.served import Served, served


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server as it comes: no proxies, a private feed, cookies for this host."""
    with served(tmp_path_factory.mktemp("plain")) as found:
        yield found


@pytest.fixture(scope="session")
def behind_proxies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that trusts loopback and 10.0.0.0/8, logs requests as JSON, and whose feed is public."""
    settings = {"TRUSTED_PROXIES": "127.0.0.1,10.0.0.0/8", "FEED__PUBLIC": "true"}
    settings |= {"LOG__REQUESTS": "true", "LOG__FORMAT": "json"}
    with served(tmp_path_factory.mktemp("proxied"), **settings) as found:
        yield found


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with programs that ask for people."""
    with asking(tmp_path_factory.mktemp("asking"), PAGES__SIGN_UP="true") as found:
        yield found
