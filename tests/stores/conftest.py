"""A database, and the stores on it."""

from __future__ import annotations

from functools import partial

import pytest

from tests.stores.databases import ADAPTERS, Database


@pytest.fixture(scope="session", params=ADAPTERS)
def empty(request, tmp_path_factory):
    """An empty database of each kind, made once: its migrations take a while."""
    server = partial(request.getfixturevalue, "postgres")
    where = ADAPTERS[request.param].make(tmp_path_factory.mktemp("empty"), server)
    return Database(request.param, where)


@pytest.fixture
def database(empty, tmp_path):
    """An empty database for one test."""
    return Database(empty.adapter, ADAPTERS[empty.adapter].fresh(empty.where, tmp_path))


@pytest.fixture
async def store(database):
    """The database, opened."""
    store = database.open()
    yield store
    await store.close()


@pytest.fixture
async def stores(store):
    """Its readers and its journal."""
    return store.stores
