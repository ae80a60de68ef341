"""What is mutated, and the tests that judge it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

ROOM: Final = Path("sdk/src/watchword")
TESTS: Final = Path("tests/sdk")

_KEYS: Final = ("jose/test_jwk.py", "jose/test_jwk_edges.py")
_ENCRYPTION: Final = ("jose/test_encryption_keys.py", "jose/test_jwe.py")

MODULES: Final[Mapping[str, tuple[str, ...]]] = {
    "dpop": ("test_dpop.py",),
    "jose.algorithms": ("jose/test_algorithms.py", "jose/test_jws.py", *_KEYS),
    "jose.b64": ("jose/test_b64.py", "jose/test_jws.py"),
    "jose.encryption_keys": _ENCRYPTION,
    "jose.jwe": _ENCRYPTION[::-1],
    "jose.jwk": (*_KEYS, "jose/test_jws.py"),
    "jose.jws": ("jose/test_jws.py", "jose/test_jws_edges.py"),
    "jose.jwt": ("jose/test_jwt.py", "jose/test_jwt_edges.py", "jose/test_jws.py"),
    "jose.kinds": ("jose/test_kinds.py",),
    "jose.materials": _ENCRYPTION,
    "jose.members": (*_KEYS, *_ENCRYPTION),
    "jose.weak": ("jose/test_weak.py", *_KEYS),
    "policy": ("test_policy.py", "test_policy_edges.py", "test_step_up.py", "test_bound_tokens.py"),
    "revocations": ("test_revocations.py", "test_revocations_edges.py", "test_pages.py"),
}
"""Each module with the files of its tests, asked one after the other until one finds the change."""


def source_of(module: str) -> Path:
    """The file of `jose.jws`, from the repository's root."""
    return ROOM.joinpath(*module.split(".")).with_suffix(".py")


def tests_of(module: str) -> list[str]:
    """The files that judge a module."""
    return [str(TESTS / name) for name in MODULES[module]]
