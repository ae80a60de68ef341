"""Everything that the first version keeps."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def text(
    name: str, *also: sa.ForeignKey, null: bool = False, key: bool = False, unique: bool = False
) -> sa.Column[str]:
    return sa.Column(name, TEXT, *also, nullable=null, primary_key=key, unique=unique)


def number(name: str, *, null: bool = False, key: bool = False, counted: bool = False) -> sa.Column[int]:
    return sa.Column(name, NUMBER, nullable=null, primary_key=key, autoincrement=counted)


def octets(name: str, *, null: bool = False, key: bool = False) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=null, primary_key=key)


def upgrade() -> None:
    """Expand: version N and N+1 both run on what this leaves."""
    log()
    people()
    programs()
    tokens()
    trail()


def log() -> None:
    op.create_table(
        "head",
        number("id", key=True),
        text("log"),
        number("seq"),
        octets("chain"),
        number("state"),
        number("lifetime"),
        sa.CheckConstraint("id = 1", name="single"),
        sqlite_strict=True,
    )
    op.create_table(
        "revocations",
        number("seq", key=True),
        text("kind"),
        text("id"),
        number("until"),
        octets("chain"),
        sqlite_strict=True,
    )
    op.create_index("ix_revocations_until", "revocations", ["until"])


def people() -> None:
    op.create_table(
        "users",
        text("sub", key=True),
        text("email", unique=True),
        text("name"),
        text("password_hash", null=True),
        text("roles"),
        number("created_at"),
        number("disabled_at", null=True),
        sqlite_strict=True,
    )
    op.create_table(
        "sessions",
        text("sid", key=True),
        text("sub", sa.ForeignKey("users.sub")),
        text("client_id"),
        text("amr"),
        number("created_at"),
        number("expires_at"),
        text("address"),
        text("agent"),
        number("ended_at", null=True),
        sqlite_strict=True,
    )
    op.create_index("ix_sessions_sub", "sessions", ["sub"])
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])


def programs() -> None:
    op.create_table(
        "clients",
        text("client_id", key=True),
        text("name"),
        text("kind"),
        octets("secret_hash", null=True),
        text("grant_types"),
        text("access"),
        number("created_at"),
        number("first_party"),
        text("redirect_uris"),
        text("origins"),
        number("rotates"),
        number("disabled_at", null=True),
        sqlite_strict=True,
    )
    op.create_table(
        "apis",
        text("audience", key=True),
        text("name"),
        text("scopes"),
        text("client_id", unique=True),
        octets("secret_hash"),
        number("created_at"),
        sqlite_strict=True,
    )


def tokens() -> None:
    op.create_table(
        "grants",
        text("gid", key=True),
        text("client_id", sa.ForeignKey("clients.client_id")),
        text("sub"),
        text("audience"),
        text("scope"),
        number("created_at"),
        number("expires_at"),
        text("sid", null=True),
        text("parent", null=True),
        number("ended_at", null=True),
        sqlite_strict=True,
    )
    for column in ("sub", "client_id", "sid", "expires_at"):
        op.create_index(f"ix_grants_{column}", "grants", [column])
    op.create_table(
        "refresh_tokens",
        octets("hash", key=True),
        text("gid", sa.ForeignKey("grants.gid")),
        number("created_at"),
        number("expires_at"),
        number("spent_at", null=True),
        octets("successor_hash", null=True),
        octets("sealed_successor", null=True),
        sqlite_strict=True,
    )
    for column in ("gid", "expires_at"):
        op.create_index(f"ix_refresh_tokens_{column}", "refresh_tokens", [column])
    op.create_table(
        "keys",
        text("kid", key=True),
        text("use"),
        text("alg"),
        text("public"),
        octets("sealed"),
        number("created_at"),
        number("retired_at", null=True),
        number("revoked_at", null=True),
        sqlite_strict=True,
    )


def trail() -> None:
    op.create_table(
        "audit",
        number("id", key=True, counted=True),
        number("at"),
        text("actor"),
        text("action"),
        text("outcome"),
        text("target"),
        text("address"),
        text("agent"),
        text("request_id"),
        text("detail"),
        sqlite_strict=True,
    )
    op.create_table(
        "outbox",
        number("number", key=True, counted=True),
        text("topic"),
        text("body"),
        number("due_at", null=True),
        number("attempts"),
        text("reason"),
        sqlite_strict=True,
        sqlite_autoincrement=True,
    )
    op.create_index("ix_outbox_due_at", "outbox", ["due_at"])
