"""Keys that look right and protect nothing, and keys that are for something else: no verifier trusts one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.attacks.judges import Judge
from tests.sdk.honest_issuer import AUDIENCE, CREDENTIALS, Issuer
from tests.sdk.jose.test_jwk import number, roca_like
from tests.sdk.minting import ISSUER, Mint, changed, key
from watchword import Principal, Verifier
from watchword.errors import InvalidKey, Misconfigured, UnknownKey
from watchword.jose import jws
from watchword.jose.b64 import b64url, unb64url
from watchword.jose.jwk import SigningKey, secret_key
from watchword.jose.kinds import Kind

KID: Final = "the odd one"


@cache
def short_rsa() -> rsa.RSAPrivateKey:
    """A key that can be factored."""
    return rsa.generate_private_key(65537, 1024)


def short_rsa_signature(message: bytes) -> bytes:
    return short_rsa().sign(message, padding.PKCS1v15(), hashes.SHA256())


def no_signature_needed(message: bytes) -> bytes:
    """With e = 1 the padded hash is its own signature (RFC 8017 §9.2)."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(message)
    prefix = bytes.fromhex("3031300d060960864801650304020105000420")
    return (b"\0\1" + b"\xff" * 202 + b"\0" + prefix + digest.finalize()).rjust(256, b"\0")


RSA, EC, OKP = (key(alg).public_jwk() for alg in ("RS512", "ES384", "EdDSA"))
SECRET: Final = bytes(range(64))
RS256 = changed(RSA, {"alg": "RS256"})


def by(alg: str) -> Any:
    """What signs with the test run's key of an algorithm."""
    return key(alg).sign


def anything(message: bytes) -> bytes:
    """Under a point of small order everybody signs: R is the identity and S is 0."""
    return b"\1" + bytes(63)


ORDER_2: Final = b64url((2**255 - 20).to_bytes(32, "little"))

# fmt: off
WEAK: Mapping[str, tuple[Mapping[str, object], Any]] = {
    "RSA 1024":           ({**RS256, "n": number(short_rsa().public_key().public_numbers().n)}, short_rsa_signature),
    "RSA e=1":            ({**RS256, "e": number(1)}, no_signature_needed),
    "RSA e=3":            ({**RS256, "e": number(3)}, no_signature_needed),
    "ROCA":               ({**RS256, "n": number(roca_like())}, no_signature_needed),
    "EC off the curve":   ({**EC, "y": key("ES384").public_jwk()["x"]}, by("ES384")),
    "Ed25519 identity":   ({**OKP, "x": b64url(b"\1" + bytes(31))}, anything),
    "Ed25519 order 2":    ({**OKP, "x": ORDER_2}, anything),
    "Ed25519 order 4":    ({**OKP, "x": b64url(bytes(32))}, anything),
    "a short HMAC key":   ({"kty": "oct", "k": b64url(SECRET[:16]), "alg": "HS256"},
                           lambda message: secret_key(SECRET[:32], "HS256", KID).sign(message)),
    "a long HMAC key":    ({"kty": "oct", "k": b64url(SECRET), "alg": "HS256"}, secret_key(SECRET, "HS256", KID).sign),
}
CONFUSED: Mapping[str, tuple[Mapping[str, object], Any]] = {
    "use enc":            ({**EC, "use": "enc"}, by("ES384")),
    "key_ops encrypt":    ({**changed(RS256, {"use": ...}), "key_ops": ["encrypt"]}, by("RS512")),
    "key_ops wrapKey":    ({**changed(RS256, {"use": ...}), "key_ops": ["wrapKey", "verify"]}, by("RS512")),
    "key_ops deriveKey":  ({**EC, "key_ops": ["deriveKey"]}, by("ES384")),
    "use against key_ops": ({**EC, "use": "sig", "key_ops": ["deriveBits"]}, by("ES384")),
    "alg for encryption": ({**RSA, "alg": "RSA-OAEP-256"}, by("RS512")),
    "alg of agreement":   ({**EC, "alg": "ECDH-ES"}, by("ES384")),
    "alg of another kty": ({**EC, "alg": "RS256"}, by("ES384")),
    "alg of a MAC":       ({**RSA, "alg": "HS256"}, by("RS512")),
    "alg of another curve": ({**EC, "alg": "ES256"}, by("ES384")),
    "no alg for RSA":     (changed(RSA, {"alg": ...}), by("RS512")),
    "a private key":      ({**OKP, "d": OKP["x"]}, by("EdDSA")),
}
# fmt: on
CASES = [pytest.param(jwk, sign, id=name) for name, (jwk, sign) in [*WEAK.items(), *CONFUSED.items()]]


def signed(like: str, alg: object, sign: Any) -> str:
    """A token of the odd key that says what another says, signed as well as anybody could."""
    return jws.signer(Odd(str(alg), sign), Kind.ACCESS_TOKEN)(unb64url(like.split(".")[1]))


class Odd:
    """What signs by a function."""

    kid = KID

    def __init__(self, alg: str, sign: Any) -> None:
        self.alg = alg
        self.sign = sign


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    """An issuer whose key set the tests change."""
    running = Issuer()
    running.key = key("ES256")
    yield running
    running.stop()


@pytest.mark.parametrize(("jwk", "sign"), CASES)
async def test_a_key_that_must_not_be_used_verifies_nothing(
    jwk: Mapping[str, object], sign: Any, issuer: Issuer
) -> None:
    """Skipped in a set without losing the others, on fixed keys and published by an issuer; alone it is no set."""
    odd = {**jwk, "kid": KID}
    issuer.published = [odd, key().public_jwk(), {**odd, "kid": "again"}]
    with pytest.raises(Misconfigured):
        Verifier(issuer=ISSUER, audience=AUDIENCE, jwks={"keys": [odd]})
    offline = Verifier(issuer=issuer.url, audience=AUDIENCE, jwks={"keys": issuer.published})
    with Verifier(issuer=issuer.url, audience=AUDIENCE, credentials=CREDENTIALS) as online:
        for judge in (Judge("on fixed keys", offline, Mint), Judge("following an issuer", online, Mint)):
            good = issuer.token()
            assert isinstance(await judge.awaiting(good), Principal)
            assert await judge.verdicts(signed(good, jwk.get("alg", "RS512"), sign)) == [UnknownKey] * 3


@pytest.mark.parametrize(("secret", "alg"), [
    (b"", "HS256"), (b"secret", "HS256"), (SECRET[:31], "HS256"), (SECRET[:47], "HS384"), (SECRET[:63], "HS512"),
])  # fmt: skip
def test_a_short_hmac_key_is_not_registered(secret: bytes, alg: str) -> None:
    """RFC 7518 §3.2: at least as long as the hash; and HMAC keys are for clients, never for access tokens."""
    with pytest.raises(InvalidKey):
        secret_key(secret, alg, "client-1")


@pytest.mark.parametrize("alg", ["RS256", "PS256"])
def test_a_short_rsa_key_does_not_sign(alg: str) -> None:
    """The issuer refuses by the same rule what its verifiers would refuse."""
    form = serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    with pytest.raises(InvalidKey):
        SigningKey.load(short_rsa().private_bytes(*form), alg)


def test_the_odd_keys_would_verify_if_they_were_let_in() -> None:
    """The forgeries of this file are right by the arithmetic of their keys: only the door keeps them out."""
    short_rsa().public_key().verify(short_rsa_signature(b"text"), b"text", padding.PKCS1v15(), hashes.SHA256())
    n = int.from_bytes(unb64url(RSA["n"]), "big")
    honest = int.from_bytes(SigningKey.load(key("RS512").pkcs8(), "RS256").sign(b"text"), "big")
    assert pow(honest, 65537, n) == int.from_bytes(no_signature_needed(b"text"), "big")
