"""A database, and the stores on it."""

from __future__ import annotations

import pytest

from tests.stores.databases import ADAPTERS, Database


@pytest.fixture(scope="session", params=ADAPTERS)
def empty(request, tmp_path_factory):
    """An empty database of each kind, made once: its migrations take a while."""
    database = Database(request.param, str(tmp_path_factory.mktemp("empty") / "watchword.db"))
    database.open().close()
    return database


@pytest.fixture
def database(empty, tmp_path):
    """An empty database for one test."""
    return empty.copy(tmp_path)


@pytest.fixture
def store(database):
    """The database, opened."""
    store = database.open()
    yield store
    store.close()


@pytest.fixture
def stores(store):
    """Its readers and its journal."""
    return store.stores
