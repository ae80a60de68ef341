"""Keys that are published before they sign; what an API or a client chose for its tokens; encrypted tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

SUPERSEDED = """
UPDATE keys SET retired_at = (
    SELECT max(newer.created_at) FROM keys AS newer
    WHERE newer.use = keys.use AND newer.alg = keys.alg AND newer.retired_at IS NULL
)
WHERE retired_at IS NULL AND EXISTS (
    SELECT 1 FROM keys AS newer
    WHERE newer.use = keys.use AND newer.alg = keys.alg AND newer.retired_at IS NULL
    AND (newer.created_at > keys.created_at OR (newer.created_at = keys.created_at AND newer.kid > keys.kid))
)
"""
"""Two that were started at the same moment could both make a key; the newest signed."""


def upgrade() -> None:
    """Expand: what the version before writes leaves the new columns empty, which is valid."""
    op.add_column("keys", sa.Column("active_at", NUMBER, nullable=True))
    # Until now every key signed from the moment it was made, until another was.
    op.execute("UPDATE keys SET active_at = created_at")
    op.execute(SUPERSEDED)
    for name, kind in (("uq_keys_appointed", "IS NOT NULL"), ("uq_keys_waiting", "IS NULL")):
        where = sa.text(f"retired_at IS NULL AND active_at {kind}")
        op.create_index(name, "keys", ["use", "alg"], unique=True, sqlite_where=where, postgresql_where=where)
    op.add_column("apis", sa.Column("access_token_alg", TEXT, nullable=True))
    op.add_column("apis", sa.Column("encryption", TEXT, nullable=True))
    op.add_column("clients", sa.Column("access_token_alg", TEXT, nullable=True))
    op.create_table(
        "encrypted_tokens",
        sa.Column("hash", sa.LargeBinary(), nullable=False, primary_key=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", NUMBER, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("ix_encrypted_tokens_expires_at", "encrypted_tokens", ["expires_at"])
