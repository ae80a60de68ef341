"""What independent programs say of an input: Python's own `json` and `base64`, and PyJWT."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from jwt.algorithms import get_default_algorithms

from tests.fuzz.target import Violation

_ALGORITHMS: Final = get_default_algorithms()


def decoded(segment: bytes) -> bytes:
    """The bytes of a base64url segment. Raises Violation unless it is their one spelling (RFC 7515 §2)."""
    data = base64.b64decode(segment + b"=" * (-len(segment) % 4), altchars=b"-_")
    if base64.urlsafe_b64encode(data).rstrip(b"=") != segment:
        raise Violation("a second spelling of a segment was accepted")
    return data


def json_object(text: bytes) -> dict[str, Any]:
    """The object. Raises Violation where RFC 8259 or RFC 7519 §4 are not kept to the letter."""
    try:
        found = json.loads(
            text.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refused, parse_float=_finite
        )
    except (ValueError, RecursionError) as error:
        raise Violation(f"JSON that is not strict was accepted: {error}") from error
    if not isinstance(found, dict):
        raise Violation("JSON that is no object was accepted")
    return found


def must_be_signed(alg: str, jwk: Mapping[str, Any], message: bytes, signature: bytes) -> None:
    """Raises Violation unless PyJWT accepts the signature."""
    algorithm = _ALGORITHMS[alg]
    if not algorithm.verify(message, algorithm.from_jwk(json.dumps(dict(jwk))), signature):
        raise Violation("PyJWT refuses a signature that was accepted")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a member occurs twice")
    return dict(pairs)


def _refused(text: str) -> NoReturn:
    raise ValueError("a number that is none")


def _finite(text: str) -> float:
    if math.isinf(number := float(text)):
        raise ValueError("an infinite number")
    return number
