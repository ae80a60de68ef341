"""The version before and this one on one schema, as during an upgrade: each reads what the other wrote.

`before/` holds the statements of the revision before the newest migrations, as that version's code runs them.
Whoever adds a migration puts those there that were valid until then.
"""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import asyncpg
import msgspec
import pytest

from tests.stores.people_and_programs import API, AUDIT, CLIENT, EVERYTHING, GRANT, NOW, SESSION, TOKEN, USER
from watchword_server.adapters.sql import statements
from watchword_server.adapters.sql.plan import plan
from watchword_server.changes import Add, EndSession, Revoke, SetPassword, Spend, Unrevoked
from watchword_server.ports import Conflict
from watchword_server.protocol.values import RefreshToken

NEWER = {
    "apis.encryption": "0",
    "grants.authentication": "NULL, NULL, '[]'",
    "codes.spent_at": "NULL",
}
"""The last column that the version before knew of a table, and what this one reads for those that came after it."""
BEFORE = Path(__file__).parent / "before"
SUCCESSOR = RefreshToken(b"i" * 32, TOKEN.gid, NOW, NOW + 600)


def texts(part: object) -> list[dict[str, object]]:
    """Every statement, however deep it stands."""
    if isinstance(part, dict) and "text" in part:
        return [part]
    parts = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return [found for one in parts for found in texts(one)]


def without_newer_columns(text: str) -> str:
    """A question of the version before, whose answer this version's code can read all the same."""
    head, found, tail = text.partition(" FROM ")
    for column, defaults in NEWER.items():
        head = re.sub(rf"{re.escape(column)}( AS \w+)?", rf"\g<0>, {defaults}", head)
    return head + found + tail


def spoken_by_both(now, then):
    """The statements of the version before, and those of this one that it has not got."""
    both = {part: now[part] | then[part] for part in now}
    both["commands"]["add"] = now["commands"]["add"] | then["commands"]["add"]
    for statement in both["queries"].values():
        if statement["text"].startswith("SELECT"):
            statement["text"] = without_newer_columns(statement["text"])
    return both


def save_as_before(journal, then):
    """Make a journal write as that version did: without values for columns that it did not know."""
    known = {statement["text"]: len(statement["order"]) for statement in then["commands"]["add"].values()}

    async def save(*changes):
        whole = plan(journal._commands, changes)
        steps = [step._replace(arguments=step.arguments[: known.get(step.text)]) for step in whole.steps]
        return (await journal._writer.run(msgspec.structs.replace(whole, steps=steps))).entries

    journal.save = save


@pytest.fixture
def older(database, monkeypatch):
    """A store that says everything in the words of the version before, where that had any."""
    dialect = "postgres" if database.adapter == "postgres" else "sqlite"
    now = json.loads(statements.path(dialect).read_bytes())
    then = json.loads((BEFORE / f"{database.adapter}.json").read_bytes())
    both = spoken_by_both(now, then)
    spoken = msgspec.json.decode(json.dumps(both), type=statements.Statements[statements.Sql])

    def open():
        with monkeypatch.context() as patch:
            for place in ("postgres.store.load", "sqlite.store.load"):
                patch.setattr(f"watchword_server.adapters.sql.{place}", lambda _: spoken)
            store = database.open()
        save_as_before(store.stores.journal, then)
        return store

    return open


async def test_the_schema_takes_every_statement_of_the_version_before(database):
    """None of them has lost its meaning."""
    said = texts(json.loads((BEFORE / f"{database.adapter}.json").read_bytes()))
    assert len(said) > 50
    if database.adapter == "sqlite":
        with closing(sqlite3.connect(database.where)) as connection:
            for sql in said:
                connection.execute(f"EXPLAIN {sql['text']}", [None] * len(sql.get("order", ())))
        return
    connection = await asyncpg.connect(database.where)
    for sql in said:
        await connection.prepare(sql["text"])
    await connection.close()


async def test_each_version_reads_what_the_other_wrote(store, older):
    """Records, spent tokens and the log, whoever was first; one chain for both."""
    before = older()
    try:
        ours, theirs = store.stores, before.stores
        await theirs.journal.save(*EVERYTHING, Revoke("token", "a", NOW), AUDIT)
        assert await ours.users.find(USER.sub) == USER
        assert await ours.clients.find(CLIENT.client_id) == CLIENT
        assert await ours.apis.find(API.audience) == API
        await ours.journal.save(Spend(TOKEN.hash, NOW, SUCCESSOR.hash, b"sealed"), Add(SUCCESSOR), AUDIT)
        with pytest.raises(Conflict):
            await theirs.journal.save(Spend(TOKEN.hash, NOW, b"other", b"sealed"))
        assert await theirs.refresh_tokens.find(SUCCESSOR.hash) == SUCCESSOR
        await theirs.journal.save(SetPassword(USER.sub, "new"), Revoke("subject", USER.sub, NOW))
        with pytest.raises(Conflict):
            await ours.journal.save(Unrevoked(1, sub=USER.sub), EndSession(SESSION.sid, NOW))
        await ours.journal.save(EndSession(SESSION.sid, NOW), Revoke("session", SESSION.sid, NOW))
        assert (await theirs.grants.find(GRANT.gid)).ended_at == NOW
        assert await ours.log.head() == await theirs.log.head()
        assert [entry.seq for entry in (await theirs.log.after(0, 9))[1]] == [1, 2, 3]
        assert len(await theirs.audit.latest(9)) == 2
    finally:
        await before.close()
