"""Codes, consents, requests that wait for a person, and what OpenID Connect tells of people and clients."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
BYTES = sa.LargeBinary()


def upgrade() -> None:
    """Expand: the new columns are empty, or have a default, where older code writes."""
    op.add_column("users", sa.Column("profile", TEXT, nullable=False, server_default="{}"))
    op.add_column("clients", sa.Column("metadata", TEXT, nullable=False, server_default="{}"))
    op.add_column("sessions", sa.Column("browser", BYTES, nullable=True))
    op.add_column("sessions", sa.Column("authenticated_at", NUMBER, nullable=True))
    op.add_column("grants", sa.Column("made_in", TEXT, nullable=True))
    op.add_column("grants", sa.Column("authentication", TEXT, nullable=True))
    op.create_table(
        "codes",
        sa.Column("hash", BYTES, nullable=False, primary_key=True),
        sa.Column("client_id", TEXT, nullable=False),
        sa.Column("redirect_uri", TEXT, nullable=False),
        sa.Column("code_challenge", TEXT, nullable=True),
        sa.Column("nonce", TEXT, nullable=True),
        sa.Column("gid", TEXT, nullable=False),
        sa.Column("expires_at", NUMBER, nullable=False),
        sa.Column("spent_at", NUMBER, nullable=True),
        sqlite_strict=True,
    )
    op.create_table(
        "consents",
        sa.Column("sub", TEXT, sa.ForeignKey("users.sub"), nullable=False, primary_key=True),
        sa.Column("client_id", TEXT, sa.ForeignKey("clients.client_id"), nullable=False, primary_key=True),
        sa.Column("audience", TEXT, nullable=False, primary_key=True),
        sa.Column("scope", TEXT, nullable=False),
        sa.Column("granted_at", NUMBER, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "interactions",
        sa.Column("hash", BYTES, nullable=False, primary_key=True),
        sa.Column("client_id", TEXT, nullable=False),
        sa.Column("parameters", TEXT, nullable=False),
        sa.Column("browser", BYTES, nullable=False),
        sa.Column("expires_at", NUMBER, nullable=False),
        sa.Column("signed_in", TEXT, nullable=True),
        sa.Column("selected", TEXT, nullable=True),
        sqlite_strict=True,
    )
    op.create_table(
        "pushed_requests",
        sa.Column("hash", BYTES, nullable=False, primary_key=True),
        sa.Column("client_id", TEXT, nullable=False),
        sa.Column("parameters", TEXT, nullable=False),
        sa.Column("expires_at", NUMBER, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "invitations",
        sa.Column("hash", BYTES, nullable=False, primary_key=True),
        sa.Column("created_at", NUMBER, nullable=False),
        sa.Column("expires_at", NUMBER, nullable=False),
        sa.Column("uses_left", NUMBER, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "secrets",
        sa.Column("name", TEXT, nullable=False, primary_key=True),
        sa.Column("value", BYTES, nullable=False),
        sqlite_strict=True,
    )
    for table, column in (
        ("grants", "made_in"),
        ("sessions", "browser"),
        ("codes", "expires_at"),
        ("interactions", "expires_at"),
        ("interactions", "browser"),
        ("pushed_requests", "expires_at"),
    ):
        op.create_index(f"ix_{table}_{column}", table, [column])
