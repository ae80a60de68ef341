"""Fills a SQLite deployment with people and their sign-ins, by the store's own statements.

    made = fill(site.data / "watchword.db", client_id, audience, users=100_000, sessions=200_000)
    site.refresh(client, made.refresh_token(7))

    python -m tests.stories.seeding FILE CLIENT_ID AUDIENCE USERS SESSIONS

Everybody has the same password hash, which is made once. Nothing is revoked, so no server that runs has to hear of it.
"""

from __future__ import annotations

import hashlib
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from watchword.jose.b64 import b64url
from watchword_server.adapters.sql import records
from watchword_server.adapters.sql.records import Record
from watchword_server.adapters.sql.sqlite import connections
from watchword_server.adapters.sql.statements import load
from watchword_server.people.values import Session, User
from watchword_server.protocol.refresh_token import kept, spelled
from watchword_server.protocol.values import Grant, RefreshToken

DAY = 24 * 3600
AT_ONCE = 5000
"""Rows in one transaction: a server beside it goes on."""


@dataclass(frozen=True)
class Seeded:
    """What was made. People and sign-ins are numbered from 0."""

    client_id: str
    users: int
    sessions: int

    def email(self, number: int) -> str:
        """With whom a person signs in."""
        return f"person-{number}@example.com"

    def sub(self, number: int) -> str:
        """A person's subject."""
        return f"{_name('sub', number):0<22}"

    def sid(self, number: int) -> str:
        """A sign-in's session."""
        return _name("sid", number)

    def refresh_token(self, number: int) -> str:
        """The refresh token of a sign-in, which nobody has used."""
        return spelled(hashlib.sha256(f"refresh token {number}".encode()).digest())


def fill(
    path: Path, client_id: str, audience: str, users: int, sessions: int, scope: tuple[str, ...] = ("orders:read",)
) -> Seeded:
    """Add people, each with some sign-ins of a first-party client, and audit rows of them."""
    made, now = Seeded(client_id, users, sessions), int(time.time())
    with closing(connections.writer(path)) as database:
        database.execute("PRAGMA cache_size = -262144")  # random keys in a small cache would be read again and again
        _add(database, (_user(made, number, now) for number in range(users)))
        _add(database, (_session(made, number, now) for number in range(sessions)))
        _add(database, (_grant(made, number, audience, scope, now) for number in range(sessions)))
        _add(database, (_token(made, number, now) for number in range(sessions)))
    return made


def _add(database: sqlite3.Connection, wanted: Iterator[Record]) -> None:
    statements = load("sqlite").commands.add
    while some := list(islice(wanted, AT_ONCE)):
        insert = statements[type(some[0]).__name__]
        connections.begin(database)
        database.executemany(insert.text, [records.row(record) for record in some])
        database.execute("COMMIT")


def _user(made: Seeded, number: int, now: int) -> User:
    return User(made.sub(number), made.email(number), f"Person {number}", HASH, (), now)


def _session(made: Seeded, number: int, now: int) -> Session:
    sub = made.sub(number % made.users)
    return Session(made.sid(number), sub, made.client_id, ("pwd",), now, now + 30 * DAY, "192.0.2.1", "a browser", None)


def _grant(made: Seeded, number: int, audience: str, scope: tuple[str, ...], now: int) -> Grant:
    sub, sid = made.sub(number % made.users), made.sid(number)
    return Grant(_name("gid", number), made.client_id, sub, audience, scope, now, now + 30 * DAY, sid, None, None)


def _token(made: Seeded, number: int, now: int) -> RefreshToken:
    return RefreshToken(kept(made.refresh_token(number)), _name("gid", number), now, now + 14 * DAY)


def _name(kind: str, number: int) -> str:
    """Random for whoever reads it, and always the same."""
    return "s" + b64url(hashlib.sha256(f"{kind} {number}".encode()).digest()[:16])[1:]


HASH = "$argon2id$v=19$m=19456,t=2,p=1$c2VlZGVkIHBlb3BsZQ$nQ1JmYbUSqjGp0iZLmxlQW1p7lS1i8n1q3xVw9m0dZk"
"""Of no password that anybody knows, and as long as every other."""


if __name__ == "__main__":
    file, client, api, people, sign_ins = sys.argv[1:]
    fill(Path(file), client, api, int(people), int(sign_ins))
