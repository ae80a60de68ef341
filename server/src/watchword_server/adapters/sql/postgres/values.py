"""What PostgreSQL can keep: text without NUL that is Unicode, and integers of 64 bits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from watchword_server.adapters.sql.statements import Value

LARGEST: Final = 2**63 - 1


def check(values: Iterable[Value]) -> None:
    """Find what would fail a whole batch at the one who brings it. Raises ValueError or OverflowError."""
    for value in values:
        if type(value) is str:  # and no other kind of text: this is on the path of every token
            if "\0" in value:
                raise ValueError("text with a NUL cannot be kept")
            if not value.isascii():
                value.encode()  # raises for half of a surrogate pair
        elif type(value) is int and not -LARGEST - 1 <= value <= LARGEST:
            raise OverflowError("a number of more than 64 bits cannot be kept")


def storable(value: Value) -> bool:
    """Whether any row can hold it: what none can hold, none has."""
    try:
        check((value,))
    except (ValueError, OverflowError):
        return False
    return True
