"""Values that count once: assertions, proofs and codes that were presented."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Expand: the version before takes nothing that is spent here."""
    op.create_table(
        "spent",
        sa.Column("hash", sa.LargeBinary(), nullable=False, primary_key=True),
        sa.Column("expires_at", NUMBER, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("ix_spent_expires_at", "spent", ["expires_at"])
