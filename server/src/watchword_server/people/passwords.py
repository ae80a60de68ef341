"""Passwords: what may become one, and the one form that is hashed."""

from __future__ import annotations

import unicodedata

MIN_LENGTH = 8
MAX_LENGTH = 256
"""Characters. Longer ones are refused, never cut (ASVS 6.2.9)."""


class WeakPassword(ValueError):
    """Not acceptable as a new password; the message says why."""


def normalized(password: str) -> str:
    """NFKC, so that one password typed on two keyboards is one (NIST SP 800-63B §3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


def acceptable(password: str, email: str) -> str:
    """The normalized form of a new password, or WeakPassword."""
    text = normalized(password)
    if len(text) < MIN_LENGTH:
        raise WeakPassword(f"a password has at least {MIN_LENGTH} characters")
    if len(text) > MAX_LENGTH:
        raise WeakPassword(f"a password has at most {MAX_LENGTH} characters")
    if text.casefold() in {email, email.partition("@")[0]}:
        raise WeakPassword("a password is not the e-mail address")
    return text
