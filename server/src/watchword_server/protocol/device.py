"""The code that a person types for a device (RFC 8628 §6.1), and how often somebody may guess one (§5.1)."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final

LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so that no code is a word, and no digit or Y that could be taken for another letter."""
LENGTH: Final = 8
"""34 bits. With the limits below, guessing without a pause hits one of a thousand that wait every six weeks or so."""
ENTROPY: Final = 16
"""Bytes that a code is made of; so many that no letter is more likely than another."""
LONGEST: Final = 64
"""Characters of what somebody types; more is no code, however it is read."""
WINDOW: Final = 60
"""Seconds after which the guesses of all are counted anew."""
SLOTS: Final = 16
"""Codes fall into so many: all together are counted in each, so that many people may mistype at once."""
DOORS: Final = 8
"""Slots of one network in which devices that ask are counted, each for five a minute."""
_BETWEEN: Final = re.compile(r"[\s\u2010-\u2015_.-]+")
"""Spaces, and what people put for a dash."""


def made(entropy: bytes) -> str:
    """A code of these random bytes."""
    number, letters = int.from_bytes(entropy), []
    for _ in range(LENGTH):
        number, place = divmod(number, len(LETTERS))
        letters.append(LETTERS[place])
    return "".join(letters)


def shown(code: str) -> str:
    """In two halves, which is easier to read and to type."""
    return f"{code[: LENGTH // 2]}-{code[LENGTH // 2 :]}"


def read(text: str) -> str | None:
    """The code that somebody has typed, in whatever case and with whatever between; None for what cannot be one.

    Letters of full width, as some keyboards have them, are the same letters.
    """
    if len(text) > LONGEST:
        return None
    letters = _BETWEEN.sub("", unicodedata.normalize("NFKC", text)).upper()
    return letters if len(letters) == LENGTH and set(letters) <= set(LETTERS) else None


def kept(code: str) -> bytes:
    """What is kept of a code."""
    return hashlib.sha256(code.encode()).digest()


def guessing(code: str, who: str, network: str, now: int) -> tuple[str, str, str]:
    """What a guess counts against: who guesses (an account, or a browser), from where, and all together."""
    slot = kept(code)[0] % SLOTS
    return f"device-who:{who}", f"device-from:{network}", f"device-all:{now // WINDOW}:{slot}"


def asking(network: str, chance: int, now: int) -> tuple[str]:
    """What a device that asks counts against: about forty a minute from one network. `chance` is a random byte."""
    return (f"device-asks:{network}:{now // WINDOW}:{chance % DOORS}",)
