"""Before the race: whoever verifies accepts what is good and refuses what is not; what a signer signs verifies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from bench import tokens
from bench.material import Material
from bench.result import Unmeasured
from watchword.jose import jws

HOUR: Final = 3600


def as_verifier(name: str, key: Material, accepts: Callable[[str], bool]) -> None:
    """Raises Unmeasured unless a contestant judges tokens of this key as all are asked to."""
    good, *_ = tokens.program_tokens(key.ours, 1)
    if not accepts(good.decode()):
        raise Unmeasured(f"{name} refuses a good {key.alg} token")
    for what, token in _bad_tokens(key, good):
        if accepts(token):
            raise Unmeasured(f"{name} accepts {key.alg} tokens {what}: it does not do the work of the others")


def as_signer(
    name: str, key: Material, seal: Callable[[dict[str, Any]], str | None], accepts: Callable[[str], bool]
) -> None:
    """Raises Unmeasured unless what a contestant signs is a good token."""
    token = seal(claims())
    if token is None or not accepts(token):
        raise Unmeasured(f"{name} signs {key.alg} tokens that are no good")


def claims() -> dict[str, Any]:
    """Good ones."""
    return tokens.as_dict(tokens.program_claims(1)[0])


def accepted(check: Callable[[str], object]) -> Callable[[str], bool]:
    """Whether a check returns; libraries refuse by exceptions of their own."""

    def accepts(token: str) -> bool:
        try:
            check(token)
        except Exception:
            return False
        return True

    return accepts


def _bad_tokens(key: Material, good: bytes) -> Iterator[tuple[str, str]]:
    sign = jws.signer(key.ours, tokens.TYPE)
    yield "with another signature", _altered(good.decode())
    for what, change in _CHANGES:
        yield what, sign(msgspec.json.encode(change(claims())))


def _altered(token: str) -> str:
    """Another character near the middle of the signature, where all six bits count."""
    at = (token.rindex(".") + len(token)) // 2
    return f"{token[:at]}{'A' if token[at] != 'A' else 'B'}{token[at + 1 :]}"


def _without(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda found: {member: value for member, value in found.items() if member != name}


_CHANGES: Final[tuple[tuple[str, Callable[[dict[str, Any]], dict[str, Any]]], ...]] = (
    ("of another issuer", lambda found: {**found, "iss": "https://other.example.com"}),
    ("for another audience", lambda found: {**found, "aud": "https://other.example.com"}),
    ("that has expired", lambda found: {**found, "iat": found["iat"] - 2 * HOUR, "exp": found["exp"] - HOUR}),
    ("without iss", _without("iss")),
    ("without aud", _without("aud")),
    ("without exp", _without("exp")),
    ("without iat", _without("iat")),
)
