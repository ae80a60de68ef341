"""The schema: text, bytes and integers only, so that SQLite and PostgreSQL hold exactly the same.

Lists and maps are JSON text. Columns are named after the fields of the values that they keep. A change here
needs a revision in `migrations/versions` (the tests compare the two), its number in `upgrade.py`, and `make sql`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    and_,
)

_NUMBER = BigInteger().with_variant(Integer(), "sqlite")
# Compared by its bytes, as in SQLite: an order by the rules of a language is slower, and changes with the system.
_TEXT = Text().with_variant(Text(collation="C"), "postgresql")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _table(
    name: str, *parts: Column[int] | Column[str] | Column[bytes] | CheckConstraint, sqlite_autoincrement: bool = False
) -> Table:
    return Table(name, metadata, *parts, sqlite_strict=True, sqlite_autoincrement=sqlite_autoincrement)


def _text(
    name: str,
    *also: ForeignKey,
    null: bool = False,
    key: bool = False,
    unique: bool = False,
    default: str | None = None,
) -> Column[str]:
    """`default` is for a column that older code does not know and leaves out."""
    return Column(name, _TEXT, *also, nullable=null, primary_key=key, unique=unique, server_default=default)


def _number(
    name: str, *, null: bool = False, key: bool = False, counted: bool = False, default: str | None = None
) -> Column[int]:
    """`default` as in `_text`."""
    return Column(name, _NUMBER, nullable=null, primary_key=key, autoincrement=counted, server_default=default)


def _bytes(name: str, *, null: bool = False, key: bool = False, unique: bool = False) -> Column[bytes]:
    return Column(name, LargeBinary(), nullable=null, primary_key=key, unique=unique)


head = _table(
    "head",
    _number("id", key=True),
    _text("log"),
    _number("seq"),
    _bytes("chain"),
    _number("state"),
    _number("lifetime"),
    CheckConstraint("id = 1", name="single"),
)
"""One row: where the revocation log stands, and a count of changes to what others keep in caches."""

revocations = _table(
    "revocations",
    _number("seq", key=True),
    _text("kind"),
    _text("id"),
    _number("until"),
    _bytes("chain"),
)

users = _table(
    "users",
    _text("sub", key=True),
    _text("email", unique=True),
    _text("name"),
    _text("password_hash", null=True),
    _text("roles"),
    _number("created_at"),
    _number("disabled_at", null=True),
    _text("profile", default="{}"),
)

clients = _table(
    "clients",
    _text("client_id", key=True),
    _text("name"),
    _text("kind"),
    _bytes("secret_hash", null=True),
    _text("grant_types"),
    _text("access"),
    _number("created_at"),
    _number("first_party"),
    _text("redirect_uris"),
    _text("origins"),
    _number("rotates"),
    _number("disabled_at", null=True),
    _text("access_token_alg", null=True),
    _text("metadata", default="{}"),
)

apis = _table(
    "apis",
    _text("audience", key=True),
    _text("name"),
    _text("scopes"),
    _text("client_id", unique=True),
    _bytes("secret_hash"),
    _number("created_at"),
    _text("access_token_alg", null=True),
    _text("encryption", null=True),
    _number("self_service", default="0"),
)

sessions = _table(
    "sessions",
    _text("sid", key=True),
    _text("sub", ForeignKey("users.sub")),
    _text("client_id"),
    _text("amr"),
    _number("created_at"),
    _number("expires_at"),
    _text("address"),
    _text("agent"),
    _number("ended_at", null=True),
    _bytes("browser", null=True),
    _number("authenticated_at", null=True),
)

grants = _table(
    "grants",
    _text("gid", key=True),
    _text("client_id", ForeignKey("clients.client_id")),
    _text("sub"),
    _text("audience"),
    _text("scope"),
    _number("created_at"),
    _number("expires_at"),
    _text("sid", null=True),
    _text("parent", null=True),
    _number("ended_at", null=True),
    _text("made_in", null=True),
    _text("authentication", null=True),
    _text("jkt", null=True),
    _text("act", null=True),
    _text("lineage", default="[]"),
)

codes = _table(
    "codes",
    _bytes("hash", key=True),
    _text("client_id"),
    _text("redirect_uri"),
    _text("code_challenge", null=True),
    _text("nonce", null=True),
    _text("gid"),
    _number("expires_at"),
    _number("spent_at", null=True),
    _text("jkt", null=True),
)

consents = _table(
    "consents",
    _text("sub", ForeignKey("users.sub"), key=True),
    _text("client_id", ForeignKey("clients.client_id"), key=True),
    _text("audience", key=True),
    _text("scope"),
    _number("granted_at"),
)

interactions = _table(
    "interactions",
    _bytes("hash", key=True),
    _text("client_id"),
    _text("parameters"),
    _bytes("browser"),
    _number("expires_at"),
    _text("signed_in", null=True),
    _text("selected", null=True),
)
"""Authorization requests that wait for a person; an answered one is gone."""

pushed_requests = _table(
    "pushed_requests",
    _bytes("hash", key=True),
    _text("client_id"),
    _text("parameters"),
    _number("expires_at"),
)

device_requests = _table(
    "device_requests",
    _bytes("hash", key=True),
    _bytes("user_hash", unique=True),
    _text("client_id"),
    _text("audience"),
    _text("scope"),
    _number("created_at"),
    _number("expires_at"),
    _number("interval"),
    _text("address"),
    _text("agent"),
    _number("polled_at", null=True),
    _text("gid", null=True),
    _number("denied_at", null=True),
    _number("spent_at", null=True),
)

api_keys = _table(
    "api_keys",
    _text("id", key=True),
    _bytes("hash", unique=True),
    _text("gid", ForeignKey("grants.gid")),
    _text("name"),
    _number("created_at"),
    _number("expires_at"),
    _number("last_used_at", null=True),
)
"""Keys of the customers of an API; what each may do is in its grant."""

invitations = _table(
    "invitations",
    _bytes("hash", key=True),
    _number("created_at"),
    _number("expires_at"),
    _number("uses_left"),
)
"""Initial access tokens."""

secrets = _table(
    "secrets",
    _text("name", key=True),
    _bytes("value"),
)

refresh_tokens = _table(
    "refresh_tokens",
    _bytes("hash", key=True),
    _text("gid", ForeignKey("grants.gid")),
    _number("created_at"),
    _number("expires_at"),
    _number("spent_at", null=True),
    _bytes("successor_hash", null=True),
    _bytes("sealed_successor", null=True),
)

encrypted_tokens = _table(
    "encrypted_tokens",
    _bytes("hash", key=True),
    _bytes("sealed"),
    _number("expires_at"),
)

keys = _table(
    "keys",
    _text("kid", key=True),
    _text("use"),
    _text("alg"),
    _text("public"),
    _bytes("sealed"),
    _number("created_at"),
    _number("retired_at", null=True),
    _number("revoked_at", null=True),
    _number("active_at", null=True),
)

audit = _table(
    "audit",
    _number("id", key=True, counted=True),
    _number("at"),
    _text("actor"),
    _text("action"),
    _text("outcome"),
    _text("target"),
    _text("address"),
    _text("agent"),
    _text("request_id"),
    _text("detail"),
)

outbox = _table(
    "outbox",
    _number("number", key=True, counted=True),
    _text("topic"),
    _text("body"),
    _number("due_at", null=True),
    _number("attempts"),
    _text("reason"),
    # A number is never given out twice: a late `sent` must not hit a message that came after.
    sqlite_autoincrement=True,
)
"""Messages; those that were sent have no `due_at`."""

leases = _table(
    "leases",
    _text("audience", key=True),
    _text("verifier", key=True),
    _text("name"),
    _number("refuse_after"),
    _text("log"),
    _number("seq"),
    _number("acknowledged_at"),
    _number("heard_at"),
    _number("until"),
)
"""Verifier processes that may be alive. Written all the time, so it has no index beside its key: it is short."""

spent = _table(
    "spent",
    _bytes("hash", key=True),
    _number("expires_at"),
)
"""Values that count once, by the SHA-256 of their kind and themselves."""

compatibility = _table(
    "compatibility",
    _number("id", key=True),
    _text("oldest"),
    CheckConstraint("id = 1", name="single"),
)
"""One row: the revision of the oldest code that this schema serves."""

# What is looked for by something else than its identity: by whose it is, and by when it goes.
Index(None, revocations.c.until)
Index(None, sessions.c.sub)
Index(None, sessions.c.expires_at)
Index(None, grants.c.sub)
Index(None, grants.c.client_id)
Index(None, grants.c.sid)
Index(None, grants.c.expires_at)
Index(None, grants.c.made_in)
Index(None, sessions.c.browser)
Index(None, codes.c.expires_at)
Index(None, interactions.c.expires_at)
Index(None, interactions.c.browser)
Index(None, pushed_requests.c.expires_at)
Index(None, device_requests.c.expires_at)
Index(None, api_keys.c.gid)
Index(None, api_keys.c.expires_at)
Index(None, refresh_tokens.c.gid)
Index(None, refresh_tokens.c.expires_at)
Index(None, encrypted_tokens.c.expires_at)
Index(None, outbox.c.due_at)
Index(None, spent.c.expires_at)

# Few grants have a parent.
_child = grants.c.parent.is_not(None)
Index(None, grants.c.parent, sqlite_where=_child, postgresql_where=_child)

# What no two processes may do at once: appoint a key, or publish the one that waits for its turn.
_in_use = keys.c.retired_at.is_(None)
_appointed, _waiting = and_(_in_use, keys.c.active_at.is_not(None)), and_(_in_use, keys.c.active_at.is_(None))
Index("uq_keys_appointed", keys.c.use, keys.c.alg, unique=True, sqlite_where=_appointed, postgresql_where=_appointed)
Index("uq_keys_waiting", keys.c.use, keys.c.alg, unique=True, sqlite_where=_waiting, postgresql_where=_waiting)
