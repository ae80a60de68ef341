"""One way to cheat with a token, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.sdk.minting import Mint
from watchword.errors import InvalidToken

Forge = Callable[[Mint], Any]
"""What is presented in the place of a good token of that mint."""


@dataclass(frozen=True, slots=True)
class Attack:
    """`line` is the catalogue's, or empty where it has none; `refusal` is how every verifier must answer."""

    line: str
    name: str
    forge: Forge
    refusal: type[InvalidToken]

    def __str__(self) -> str:
        return f"{self.line or 'beyond the catalogue'}: {self.name}"


Lines = Mapping[str, Mapping[str, tuple[Forge, type[InvalidToken]]]]


def attacks(lines: Lines) -> list[Attack]:
    """The attacks of a table by lines of the catalogue and names."""
    return [Attack(line, name, *case) for line, cases in lines.items() for name, case in cases.items()]
