"""Verifying a token never seen before, with every check on, over the bare signature check of `cryptography`."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwt as joserfc_jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import import_key

from bench import report, rounds, tokens
from bench.progress import counter
from bench.result import Figure, Section, median, spread
from watchword import Verifier
from watchword.jose.b64 import unb64url
from watchword.jose.jwk import SigningKey

ALGORITHMS: Final = ("RS256", "ES256", "EdDSA")
BOUND: Final = 9.0
"""Microseconds over raw `cryptography`."""
ROUNDS: Final = 40
PER_TURN: Final = 101
"""Tokens in one turn; the first makes the key known and is not measured."""
RAW, OURS, PYJWT, JOSERFC = CANDIDATES = ("raw cryptography", "watchword", "PyJWT", "joserfc")

Checks = Callable[[str], object]


def measure() -> Section:
    """All algorithms beside all peers."""
    warnings.simplefilter("ignore", SecurityWarning)  # joserfc would have `Ed25519` in headers, which few can read
    figures: list[Figure] = []
    table: list[tuple[str, ...]] = [("algorithm", "token, bytes", *CANDIDATES, "watchword over raw")]
    raw: dict[str, list[float]] = {}
    for alg in ALGORITHMS:
        key = SigningKey.generate(alg)
        made = tokens.program_tokens(key, PER_TURN)
        times = _compare(key.public_jwk(), made, counter(f"verify {alg}", ROUNDS))
        over = [ours - bare for ours, bare in zip(times[OURS], times[RAW], strict=True)]
        figures.append(Figure(f"verify cold {alg}: over raw cryptography", median(over), "µs", BOUND))
        figures += [
            Figure(f"verify cold {alg}: {peer} to watchword", _ratio(times[peer], times[OURS]), "×")
            for peer in (PYJWT, JOSERFC)
        ]
        table.append((alg, str(len(made[0])), *(spread(times[name], 1) for name in CANDIDATES), spread(over, 1)))
        raw |= {f"{alg} {name}": values for name, values in times.items()}
    return Section("Verify, cold", figures, table, NOTES, raw)


def _compare(jwk: dict[str, str], made: Sequence[bytes], progress: Callable[[int], None]) -> dict[str, list[float]]:
    pyjwt, joserfc = _pyjwt(jwk), _joserfc(jwk)
    candidates = {
        RAW: lambda: _bare(jwk, made),
        OURS: lambda: _each(_watchword(jwk, made[0]), made[1:]),
        PYJWT: lambda: _each(pyjwt, made[1:]),
        JOSERFC: lambda: _each(joserfc, made[1:]),
    }
    return rounds.interleave(candidates, ROUNDS, PER_TURN - 1, progress)


def _ratio(above: Sequence[float], below: Sequence[float]) -> float:
    return median([a / b for a, b in zip(above, below, strict=True)])


def _each(check: Checks, made: Sequence[bytes]) -> rounds.Turn:
    """A turn over fresh strings: what a request brings was never hashed before."""
    texts = [token.decode() for token in made]

    def turn() -> None:
        for text in texts:
            check(text)

    return turn


def _watchword(jwk: dict[str, str], first: bytes) -> Checks:
    """A new Verifier, so that no token is in its cache; only the key is known to it, as in any running process."""
    verifier = Verifier(issuer=tokens.ISSUER, audience=tokens.AUDIENCE, jwks={"keys": [jwk]})
    verifier.verify_sync(first.decode())
    return verifier.verify_sync


def _pyjwt(jwk: dict[str, str]) -> Checks:
    key = jwt.PyJWK(jwk)
    options: Any = {"require": ["iss", "aud", "exp", "iat"]}
    return lambda token: jwt.decode(
        token, key, algorithms=[jwk["alg"]], audience=tokens.AUDIENCE, issuer=tokens.ISSUER, options=options
    )


def _joserfc(jwk: dict[str, str]) -> Checks:
    key: Any = import_key({**jwk})
    claims = joserfc_jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": tokens.ISSUER},
        aud={"essential": True, "value": tokens.AUDIENCE},
        exp={"essential": True},
        iat={"essential": True},
    )
    algorithms = [jwk["alg"]]
    return lambda token: claims.validate(joserfc_jwt.decode(token, key, algorithms).claims)


def _bare(jwk: dict[str, str], made: Sequence[bytes]) -> rounds.Turn:
    """Only the signature check, on arguments that were split, decoded and converted beforehand."""
    key: Any = jwt.PyJWK(jwk).key
    verify = key.verify
    arguments = [_arguments(key, token) for token in made[1:]]

    def turn() -> None:
        for given in arguments:
            verify(*given)

    return turn


def _arguments(key: object, token: bytes) -> tuple[object, ...]:
    signed, _, text = token.rpartition(b".")
    signature = unb64url(text)
    match key:
        case rsa.RSAPublicKey():
            return signature, signed, padding.PKCS1v15(), SHA256()
        case ec.EllipticCurvePublicKey():
            numbers = (int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
            return encode_dss_signature(*numbers), signed, ec.ECDSA(SHA256())
        case ed25519.Ed25519PublicKey():
            return signature, signed
    raise TypeError("no such key is compared")


NOTES: Final = (
    f"CPU µs a token: median (lowest to highest) of {ROUNDS} interleaved rounds of {PER_TURN - 1} distinct tokens.",
    "raw: `public_key.verify` alone, all decoded in advance. The overhead is the median of each round's difference.",
    "watchword: `Verifier.verify_sync`, offline on fixed keys, with an empty cache in every round and all checks on.",
    "PyJWT: `decode` with `iss`, `aud`, `exp` and `iat` required. joserfc: `decode`, a claims registry for the same.",
    "Neither of the two looks at `typ`, duplicate members, lifetime or revocation. Keys are prepared in advance.",
)

if __name__ == "__main__":
    sys.exit(report.alone(measure))
