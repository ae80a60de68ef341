"""An upgrade of two nodes on PostgreSQL without a moment of downtime: `migrate`, then one node after the other."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import asyncpg
import httpx2
import pytest

from tests.stories.processes import Program, Site, bearer, deployment, free_ports, start, until
from watchword_server.adapters.sql.postgres import upgrade

pytestmark = pytest.mark.fault

NEXT = "9999"
GREW = f"""
ALTER TABLE users ADD COLUMN phone TEXT;
CREATE TABLE later (id BIGINT PRIMARY KEY);
UPDATE alembic_version SET version_num = '{NEXT}'
"""
NEWER = f"""
import sys
from watchword_server.adapters.sql import upgrade
upgrade.REVISION = "{NEXT}"
from watchword_server.main import main
sys.argv[0] = "watchword"
main()
"""
"""The version that comes with the next migration."""


async def run(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(sql)
    await connection.close()


def newer(site: Site, folder: Path, port: int) -> Program:
    """A node of the next version, on the same database and with the same master key."""
    program = folder / "newer.py"
    program.write_text(NEWER)
    command = (sys.executable, str(program), "serve", "--config", str(site.config), "--listen", f"127.0.0.1:{port}")
    return start("newer", command, cwd=site.folder)


def test_two_versions_serve_one_database(postgres, tmp_path):
    """Version N goes on when the schema has grown; what one gives out, the other renews, and takes back."""
    url = postgres.database()
    asyncio.run(upgrade.migrate(url))
    with deployment(tmp_path, settings=f'database = "{url}"', api=False) as site:
        user, client = site.new_user(), site.new_client(first_party=True)
        tokens = site.sign_in(user, client)
        (port,) = free_ports()
        early = newer(site, tmp_path, port)
        until(lambda: early.process.poll() is not None, 30)
        assert f"wants {NEXT}: run `watchword migrate`" in early.said
        early.stop()
        asyncio.run(run(url, GREW))
        later = newer(site, tmp_path, port)
        try:
            there = f"http://127.0.0.1:{port}"
            later.wait_until_ready(f"{there}/readyz")
            form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
            renewed = httpx2.post(f"{there}/token", data=form, auth=client.auth, trust_env=False).json()
            again = site.refresh(client, renewed["refresh_token"])
            assert again.status_code == 200
            # Started anew, version N finds a schema that it has never seen, and serves it.
            site.restart()
            shown = {"headers": bearer(again.json()["access_token"]), "trust_env": False}
            assert httpx2.get(f"{there}/session", **shown).status_code == 200
            site.cli("user", "disable", user.email)
            assert httpx2.get(f"{there}/session", **shown).status_code == 401
            assert site.refresh(client, again.json()["refresh_token"]).status_code == 400
            found = site.cli("migrate", "--check")
            assert (found["found"], found["due"]) == (NEXT, False)
        finally:
            later.stop()
