"""Which schemas this code can serve.

Revisions are numbers of four digits, one after the other. Most only expand: what older code says still means the
same, and what it writes leaves new columns empty. One that takes something away says so, by raising `oldest` in the
table `compatibility`: the revision of the oldest code that the schema still serves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

REVISION: Final = "0007"
"""The migration that this code was written for."""

REVISIONS: Final = "SELECT version_num FROM alembic_version"
OLDEST: Final = "SELECT oldest FROM compatibility"


class SchemaError(Exception):
    """The database cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """From which revision (None: there was none) to which; equal when nothing was due."""

    place: str
    found: str | None
    wanted: str


@dataclass(frozen=True, slots=True)
class Schema:
    """What stands in a database: its revision, where it has one, and the `oldest` code that it serves, if it says."""

    revision: str | None
    oldest: str | None
    empty: bool
    """Whether there is no table at all."""

    @property
    def is_behind(self) -> bool:
        """Whether there are migrations to apply."""
        return self.revision is None or self.revision < REVISION

    @property
    def wanted(self) -> str:
        """The revision that it should have."""
        return self.revision if self.revision is not None and self.serves else REVISION

    @property
    def serves(self) -> bool:
        """Whether this code finds what it needs."""
        if self.revision == REVISION:
            return True
        return not self.is_behind and self.oldest is not None and self.oldest <= REVISION


def must_be_ours(schema: Schema, place: str) -> None:
    """Raises SchemaError for a database that this version must not touch."""
    if schema.revision is None and not schema.empty:
        raise SchemaError(f"{place} is the database of another program: name one of its own for Watchword.")
    if not schema.is_behind and not schema.serves:
        raise SchemaError(
            f"{place} was written by a newer version of Watchword (revision {schema.revision}, this one knows"
            f" {REVISION}): run that version, or restore a backup that was made before the upgrade."
        )
