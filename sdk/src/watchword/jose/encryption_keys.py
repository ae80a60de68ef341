"""Keys to encrypt to and to decrypt with (RFC 7517, RFC 7518 §4 and §6, RFC 8037), checked at the door."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa

from watchword.errors import InvalidKey, Misconfigured, WatchwordError
from watchword.jose.jwk import thumbprint
from watchword.jose.materials import MATERIALS, Jwk, Material
from watchword.jose.members import PRIVATE, public_members, read_kid, read_text


@dataclass(frozen=True, slots=True)
class KeyAlgorithm:
    """A row: `kty` are the kinds of key that the algorithm takes."""

    name: str
    kty: frozenset[str]
    # Any: joserfc's model of the algorithm and of the content encryption, and its Recipient.
    content_key: Callable[[Any, Any, Any], bytes]
    """The content encryption key that a recipient finds (RFC 7516 §5.2, steps 7 to 10)."""
    sealed_size: Callable[[Any, int], int]
    """Bytes of the encrypted key, from the private key and the bytes of the content encryption key."""


@dataclass(frozen=True, slots=True)
class EncryptionKey:
    """A public key and the one algorithm that is used with it. Equal when id, algorithm and material are."""

    kid: str
    alg: str
    thumbprint: str
    jwk: Jwk = field(repr=False, compare=False)
    key: Any = field(repr=False, compare=False)
    """The public key as joserfc takes it."""


@dataclass(frozen=True, slots=True)
class DecryptionKey:
    """A private key and the one algorithm that it is for. Neither repr nor `public_jwk` shows what is private."""

    kid: str
    alg: str
    thumbprint: str
    material: Material = field(repr=False, compare=False)
    key: Any = field(repr=False, compare=False)
    """The private key as joserfc takes it."""

    @staticmethod
    def generate(alg: str, crv: str = "P-256") -> DecryptionKey:
        """A new key, named by its thumbprint; `crv` is for the algorithms that agree on one. Raises InvalidKey."""
        row = _key_algorithm(alg)
        curve = "" if "RSA" in row.kty else crv
        material = next((found for found in MATERIALS.values() if found.kty in row.kty and found.crv == curve), None)
        if material is None:
            raise InvalidKey("not a curve to agree on")
        private = material.generate()
        return decryption_key({**public_members(private.public_key()), **material.write_private(private)}, alg)

    def public_jwk(self) -> dict[str, str]:
        """The public half as it goes to whoever encrypts: with `kid`, `alg` and `use`."""
        members = public_members(self.key.raw_value.public_key())
        return {**members, "kid": self.kid, "alg": self.alg, "use": "enc"}

    def private_jwk(self) -> dict[str, str]:
        """All of the key (RFC 7517 §9.2): seal it before it rests anywhere."""
        return {**self.public_jwk(), **self.material.write_private(self.key.raw_value)}


def encryption_key(jwk: Jwk, alg: str | None = None) -> EncryptionKey:
    """A key to encrypt to, from its public JWK. A JWK without `kid` is named by its thumbprint.

    The algorithm is the JWK's `alg` or the argument; where both speak they must agree. Raises InvalidKey for
    anything weak, contradictory, private, symmetric or unknown, and Misconfigured where joserfc is not installed.
    """
    row, material = _checked(jwk, alg)
    if not PRIVATE.isdisjoint(jwk):
        raise InvalidKey("private key where a public one is due")
    _must_say(jwk, material.public_ops, material.public_ops)
    public, name = _read(material.read, jwk)
    return EncryptionKey(read_kid(jwk, name), row.name, name, MappingProxyType(dict(jwk)), _held(public, material))


def decryption_key(jwk: Jwk, alg: str | None = None) -> DecryptionKey:
    """A key to decrypt with, from its private JWK, by the same rules as `encryption_key`.

    Private and public members must belong together; an RSA key must have all of RFC 7518 §6.3.2 but `oth`.
    """
    row, material = _checked(jwk, alg)
    if "k" in jwk or "oth" in jwk:
        raise InvalidKey("a secret, or a key of more than two primes")
    _must_say(jwk, material.private_ops, material.private_ops | material.public_ops)
    private, name = _read(material.read_private, jwk)
    return DecryptionKey(read_kid(jwk, name), row.name, name, material, _held(private, material))


def encryption_key_set(document: Mapping[str, object]) -> dict[str, EncryptionKey]:
    """The keys of a JWKS that one can encrypt to, by `kid` (RFC 7517 §5).

    A member that is broken, exotic, without an `alg` for encryption, or a second of its `kid` is left out and
    costs the others nothing. Raises InvalidKey when the document is no JWKS at all.
    """
    keys: dict[str, EncryptionKey] = {}
    for member in _members(document):
        try:
            key = encryption_key(member if isinstance(member, dict) else {})
        except InvalidKey:
            continue
        keys.setdefault(key.kid, key)
    return keys


def decryption_key_set(document: Mapping[str, object]) -> dict[str, DecryptionKey]:
    """One's own private keys by `kid`. Raises InvalidKey for a set with any member that could not be used."""
    keys: dict[str, DecryptionKey] = {}
    for member in _members(document):
        key = decryption_key(member if isinstance(member, dict) else {})
        if key.kid in keys:
            raise InvalidKey("two decryption keys of one kid")
        keys[key.kid] = key
    return keys


def library() -> Any:
    """joserfc, with its JWE and JWK. Loaded by the first key: who never decrypts need not have it installed."""
    try:
        import joserfc.jwe
        import joserfc.jwk
    except ImportError as error:
        raise Misconfigured("encrypted tokens need joserfc: pip install watchword[jwe]") from error
    return joserfc


def _checked(jwk: Jwk, wanted: str | None) -> tuple[KeyAlgorithm, Material]:
    library()
    names = {*([read_text(jwk, "alg")] if "alg" in jwk else []), *([wanted] if wanted is not None else [])}
    if len(names) != 1:
        raise InvalidKey("no algorithm for the key, or contradicting ones")
    row = _key_algorithm(names.pop())
    crv = read_text(jwk, "crv") if "crv" in jwk else ""
    material = MATERIALS.get((read_text(jwk, "kty"), crv))
    if material is None or material.kty not in row.kty or ("crv" in jwk and not crv):
        raise InvalidKey("kty, crv and algorithm contradict each other, or are not known")
    if jwk.get("use", "enc") != "enc":
        raise InvalidKey("key is not for encryption")
    return row, material


def _key_algorithm(alg: str) -> KeyAlgorithm:
    row = KEY_ALGORITHMS.get(alg)
    if row is None:
        raise InvalidKey("not an algorithm for encryption that is known")
    return row


def _must_say(jwk: Jwk, needed: frozenset[str], allowed: frozenset[str]) -> None:
    if "key_ops" not in jwk:
        return
    ops = jwk["key_ops"]
    if not isinstance(ops, list) or not all(isinstance(op, str) for op in ops):
        raise InvalidKey("key_ops is not a list of strings")
    if len(set(ops)) != len(ops) or needed.isdisjoint(ops) or not allowed.issuperset(ops):
        raise InvalidKey("key_ops does not say what the key is needed for, or says more")


def _read(reader: Callable[[Jwk], Any], jwk: Jwk) -> tuple[Any, str]:
    try:
        return reader(jwk), thumbprint(jwk)
    except (WatchwordError, ValueError, UnsupportedAlgorithm) as error:
        raise InvalidKey(f"broken key: {error}") from error


def _held(key: object, material: Material) -> Any:
    return getattr(library().jwk, material.joserfc).import_key(key)


def _members(document: Mapping[str, object]) -> list[object]:
    members = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(members, list):
        raise InvalidKey("not a JWK set")
    return members


def _decrypted(alg: Any, enc: Any, recipient: Any) -> bytes:
    return bytes(alg.decrypt_cek(recipient))


def _agreed(alg: Any, enc: Any, recipient: Any) -> bytes:
    return bytes(alg.decrypt_agreed_upon_key(enc, recipient))


def _unwrapped(alg: Any, enc: Any, recipient: Any) -> bytes:
    return bytes(alg.unwrap_cek_with_auk(recipient.encrypted_key, _agreed(alg, enc, recipient)))


def _modulus(key: rsa.RSAPrivateKey, cek: int) -> int:
    return (key.key_size + 7) // 8


def _nothing(key: object, cek: int) -> int:
    return 0


def _with_check(key: object, cek: int) -> int:
    return cek + 8  # RFC 3394 §2.2.1: one block more


# fmt: off
_RSA_KEYS: Final = frozenset(("RSA",))
_CURVE_KEYS: Final = frozenset(("EC", "OKP"))

KEY_ALGORITHMS: Final[Mapping[str, KeyAlgorithm]] = {row.name: row for row in (
    #            name              kty          content_key  sealed_size
    KeyAlgorithm("RSA-OAEP-256",   _RSA_KEYS,   _decrypted,  _modulus),
    KeyAlgorithm("ECDH-ES",        _CURVE_KEYS, _agreed,     _nothing),
    KeyAlgorithm("ECDH-ES+A128KW", _CURVE_KEYS, _unwrapped,  _with_check),
    KeyAlgorithm("ECDH-ES+A192KW", _CURVE_KEYS, _unwrapped,  _with_check),
    KeyAlgorithm("ECDH-ES+A256KW", _CURVE_KEYS, _unwrapped,  _with_check),
)}
# fmt: on
