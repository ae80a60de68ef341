"""A statement, compiled once: the text that a driver takes, and the order of its parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.sql import ClauseElement

Value = str | bytes | int | None
Row = tuple[Any, ...]
"""As the driver gives it: the schema alone says what stands in it."""


class Step(NamedTuple):
    """A statement with its parameters. `must` says that it has to hit exactly one row."""

    text: str
    arguments: tuple[Value, ...]
    must: bool


@dataclass(frozen=True, slots=True)
class Sql:
    """A compiled statement. `fixed` are the parameters that always have the same value."""

    text: str
    order: tuple[str, ...]
    fixed: dict[str, Value]

    def bind(self, **values: Value) -> tuple[Value, ...]:
        """The parameters in the order that the text wants. Raises KeyError for one that is missing."""
        known = {**self.fixed, **values}
        return tuple([known[name] for name in self.order])

    def step(self, **values: Value) -> Step:
        """To be run, whatever it hits."""
        return Step(self.text, self.bind(**values), must=False)

    def must(self, **values: Value) -> Step:
        """To be run, and a Conflict when it does not hit exactly one row."""
        return Step(self.text, self.bind(**values), must=True)


def compiled(statement: ClauseElement, dialect: Dialect) -> Sql:
    """Compile for a dialect with positional parameters."""
    result = statement.compile(dialect=dialect)
    order = tuple(getattr(result, "positiontup", None) or ())
    fixed = {name: value for name, value in result.params.items() if value is not None}
    return Sql(str(result), order, fixed)
