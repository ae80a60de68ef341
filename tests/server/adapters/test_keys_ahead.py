"""Migration 0002: a database that the version before has made and used goes on, with the keys that it has."""

from __future__ import annotations

import secrets
import sqlite3
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path

import msgspec
import pytest
from alembic import command
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from watchword.jose.b64 import b64url
from watchword.jose.jwk import SigningKey, key_set
from watchword_server.adapters.sql.migrations import run
from watchword_server.adapters.sql.sqlite import connections
from watchword_server.flows import keys
from watchword_server.flows.administration import Operator
from watchword_server.flows.issuer import Caller, Issuer
from watchword_server.flows.key_life import ACCESS, FEED, kin, state
from watchword_server.main import load_settings, open_issuer

URL = "http://localhost:8000"
BY = Operator("test", Caller())
T = 1_700_000_000
MASTER = bytes(range(32))
COLUMNS = "kid, use, alg, public, sealed, created_at, retired_at, revoked_at"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder as the version before left it: no key has been published ahead."""
    folder = tmp_path / "data"
    connections.create(folder / "watchword.db")
    with closing(connections.connect(folder / "watchword.db")) as connection:
        engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
        config = run.settings()
        with engine.begin() as borrowed:
            config.attributes["connection"] = borrowed
            command.upgrade(config, "0001")
    return folder


def opened(data: Path) -> AbstractAsyncContextManager[Issuer]:
    """This version on a data folder."""
    return open_issuer(load_settings(None, {"issuer": URL, "data": data}))


def made(use: str, at: int, **ends: int) -> tuple[object, ...]:
    """A key as the version before kept it, sealed as it sealed."""
    key, nonce = SigningKey.generate("ES256"), secrets.token_bytes(12)
    cipher = AESGCM(HKDF(SHA256(), 32, salt=None, info=b"watchword keystore v1").derive(MASTER))
    bound = "\n".join(("watchword key", key.kid, use, key.alg)).encode()
    sealed = b"\x01" + nonce + cipher.encrypt(nonce, key.pkcs8(), bound)
    public = msgspec.json.encode(key.public_jwk()).decode()
    return (key.kid, use, key.alg, public, sealed, at, ends.get("retired_at"), ends.get("revoked_at"))


def with_keys(data: Path, *wanted: tuple[str, int, dict[str, int]]) -> list[str]:
    """Put keys into the old database; their names."""
    rows = [made(use, at, **ends) for use, at, ends in wanted]
    (data / "master.key").touch(0o600)
    (data / "master.key").write_text(b64url(MASTER))
    with closing(sqlite3.connect(data / "watchword.db")) as database, database:
        database.executemany(f"INSERT INTO keys ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    return [str(row[0]) for row in rows]


async def test_keys_go_on_as_they_were(data: Path) -> None:
    """What signed signs, what retired is published, what was revoked stays so; and a next key is published beside."""
    signing, retired, revoked, feed = with_keys(
        data,
        (ACCESS, T, {}),
        (ACCESS, T - 900, {"retired_at": T}),
        (ACCESS, T - 1800, {"retired_at": T - 900, "revoked_at": T - 900}),
        (FEED, T, {}),
    )
    async with opened(data) as issuer:
        stored = {key.kid: key for key in await issuer.stores.keys.all()}
        assert (stored[signing].active_at, state(stored[signing], T)) == (T, "signing")
        assert (stored[retired].active_at, state(stored[retired], T)) == (T - 900, "retired")
        assert revoked not in stored
        assert stored[feed].active_at == T
        ring = await issuer.keyring.at(await issuer.stores.log.head(), T + 1)
        assert {signing, retired} < set(key_set(msgspec.json.decode(ring.jwks)))
        assert all(kin(stored.values(), use, "ES256").waiting() for use in (ACCESS, FEED))
        now = T + issuer.terms.rotate_every
        done = await keys.rotate(issuer, BY, ACCESS, now)
        assert done.predecessor.kid == signing
        assert (done.successor.active_at or 0) >= now


async def test_of_two_keys_that_were_made_at_once_the_newest_goes_on(data: Path) -> None:
    """Two processes that started at once could both make one; the version before signed with the newest."""
    older, same, newest = with_keys(data, (ACCESS, T, {}), (ACCESS, T + 5, {}), (ACCESS, T + 5, {}))
    newest, same = max(same, newest), min(same, newest)
    async with opened(data) as issuer:
        stored = {key.kid: key for key in await issuer.stores.keys.all()}
        assert [stored[kid].retired_at for kid in (older, same, newest)] == [T + 5, T + 5, None]
        family = kin(stored.values(), ACCESS, "ES256")
        assert family.signing(T + 5) == stored[newest]


async def test_an_empty_database_gets_its_first_keys(data: Path) -> None:
    """As a new one does."""
    async with opened(data) as issuer:
        assert len(await issuer.stores.keys.all()) == 4


OLD_ROWS = """
INSERT INTO clients (client_id, name, kind, secret_hash, grant_types, access, created_at, first_party, redirect_uris,
                     origins, rotates, disabled_at)
VALUES ('c', 'C', 'public', NULL, '[]', '{}', 1, 0, '[]', '[]', 1, NULL);
INSERT INTO apis (audience, name, scopes, client_id, secret_hash, created_at) VALUES ('a', 'A', '[]', 'api', x'00', 1);
"""


async def test_both_versions_run_on_one_database(data: Path) -> None:
    """What the version before writes beside this one is read; only its rotation has to wait for its upgrade."""
    async with opened(data) as issuer:
        with closing(sqlite3.connect(data / "watchword.db")) as database, database:
            database.executescript(OLD_ROWS)
        client, api = await issuer.stores.clients.find("c"), await issuer.stores.apis.find("a")
        assert client is not None
        assert api is not None
        assert (client.access_token_alg, api.access_token_alg, api.encryption) == (None, None, None)
        new = made(ACCESS, T)
        with (
            closing(sqlite3.connect(data / "watchword.db")) as database,
            pytest.raises(sqlite3.IntegrityError, match="UNIQUE"),
        ):
            database.execute(f"INSERT INTO keys ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", new)
