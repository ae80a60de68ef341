"""What lets an older version of the code know that it may serve a schema that it has never seen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Expand: all that was there stays as it is, so code of 0002 would still do."""
    op.create_table(
        "compatibility",
        sa.Column("id", NUMBER, nullable=False, primary_key=True, autoincrement=False),
        sa.Column("oldest", TEXT, nullable=False),
        sa.CheckConstraint("id = 1", name="single"),
        sqlite_strict=True,
    )
    op.execute("INSERT INTO compatibility (id, oldest) VALUES (1, '0002')")
