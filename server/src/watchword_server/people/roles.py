"""Roles: names that an operator gives to people, and that travel in their tokens (RFC 9068 §2.2.3.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}")
MOST = 32
"""Roles of one person: they travel in every token."""


class BadRole(ValueError):
    """Not a name that a role can have."""


def role_names(names: Iterable[str]) -> tuple[str, ...]:
    """Sorted and without repeats, or BadRole."""
    roles = tuple(sorted(set(names)))
    bad = [role for role in roles if not NAME.fullmatch(role)]
    if bad:
        raise BadRole(f"{bad[0]!r} is not a role name: letters, digits and . _ : / - only, at most 64")
    if len(roles) > MOST:
        raise BadRole(f"a person has at most {MOST} roles")
    return roles
