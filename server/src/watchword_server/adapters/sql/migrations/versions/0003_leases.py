"""Leases: which verifier processes are alive, and what they have acknowledged."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Expand: the version before does not know the table, so what it serves is not counted until it is replaced."""
    op.create_table(
        "leases",
        sa.Column("audience", TEXT, nullable=False, primary_key=True),
        sa.Column("verifier", TEXT, nullable=False, primary_key=True),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("refuse_after", NUMBER, nullable=False),
        sa.Column("log", TEXT, nullable=False),
        sa.Column("seq", NUMBER, nullable=False),
        sa.Column("acknowledged_at", NUMBER, nullable=False),
        sa.Column("heard_at", NUMBER, nullable=False),
        sa.Column("until", NUMBER, nullable=False),
        sqlite_strict=True,
    )
