"""Devices, API keys, the tree of grants and what tokens are bound to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
BYTES = sa.LargeBinary()


def upgrade() -> None:
    """Expand: the new columns are empty, or have a default, where older code writes."""
    op.add_column("apis", sa.Column("self_service", NUMBER, nullable=False, server_default="0"))
    op.add_column("grants", sa.Column("jkt", TEXT, nullable=True))
    op.add_column("grants", sa.Column("act", TEXT, nullable=True))
    op.add_column("grants", sa.Column("lineage", TEXT, nullable=False, server_default="[]"))
    op.add_column("codes", sa.Column("jkt", TEXT, nullable=True))
    op.create_table(
        "device_requests",
        sa.Column("hash", BYTES, nullable=False, primary_key=True),
        sa.Column("user_hash", BYTES, nullable=False, unique=True),
        sa.Column("client_id", TEXT, nullable=False),
        sa.Column("audience", TEXT, nullable=False),
        sa.Column("scope", TEXT, nullable=False),
        sa.Column("created_at", NUMBER, nullable=False),
        sa.Column("expires_at", NUMBER, nullable=False),
        sa.Column("interval", NUMBER, nullable=False),
        sa.Column("address", TEXT, nullable=False),
        sa.Column("agent", TEXT, nullable=False),
        sa.Column("polled_at", NUMBER, nullable=True),
        sa.Column("gid", TEXT, nullable=True),
        sa.Column("denied_at", NUMBER, nullable=True),
        sa.Column("spent_at", NUMBER, nullable=True),
        sqlite_strict=True,
    )
    op.create_table(
        "api_keys",
        sa.Column("id", TEXT, nullable=False, primary_key=True),
        sa.Column("hash", BYTES, nullable=False, unique=True),
        sa.Column("gid", TEXT, sa.ForeignKey("grants.gid"), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("created_at", NUMBER, nullable=False),
        sa.Column("expires_at", NUMBER, nullable=False),
        sa.Column("last_used_at", NUMBER, nullable=True),
        sqlite_strict=True,
    )
    op.create_index("ix_device_requests_expires_at", "device_requests", ["expires_at"])
    op.create_index("ix_api_keys_gid", "api_keys", ["gid"])
    op.create_index("ix_api_keys_expires_at", "api_keys", ["expires_at"])
    child = sa.text("parent IS NOT NULL")
    op.create_index("ix_grants_parent", "grants", ["parent"], sqlite_where=child, postgresql_where=child)
