"""E-mail addresses as account names."""

from __future__ import annotations

import unicodedata

MAX_LENGTH = 254
"""Characters of the longest address (RFC 5321 §4.5.3.1.3)."""


class BadAddress(ValueError):
    """Not an e-mail address that an account can have."""


def canonical(address: str) -> str:
    """The one spelling that an account is known by: NFKC, lower case, no surrounding space.

    Raises BadAddress. Two spellings of one account would give an attacker two budgets of guesses.
    """
    text = unicodedata.normalize("NFKC", address.strip()).casefold()
    name, at, domain = text.partition("@")
    if not (name and at and domain) or "@" in domain or len(text) > MAX_LENGTH:
        raise BadAddress("not an e-mail address")
    if any(unicodedata.category(character)[0] in "CZ" for character in text):
        raise BadAddress("an e-mail address has no spaces or control characters")
    return text
