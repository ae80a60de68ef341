"""The doors for keys: `public_key`, `key_set`, `encryption_key`, `encryption_key_set`, `decryption_key`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any, Final

from tests.fuzz import compact, key_reference
from tests.fuzz.json_text import Known, Members, Native, change, gathered, parse, write
from tests.fuzz.keyring import ec_key, rsa_key, signing_key, x25519_key
from tests.fuzz.target import UNUSABLE, Target, Violation
from watchword.errors import InvalidKey
from watchword.jose import jwe
from watchword.jose.jwk import PublicKey, key_set, public_key

SIGNATURES: Final = {
    "RSA": frozenset(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
    "P-256": frozenset(("ES256",)),
    "P-384": frozenset(("ES384",)),
    "P-521": frozenset(("ES512",)),
    "Ed25519": frozenset(("EdDSA",)),
}
_AGREEMENTS: Final = frozenset(("ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW"))
ENCRYPTIONS: Final = {
    "RSA": frozenset(("RSA-OAEP-256",)),
    **dict.fromkeys(("P-256", "P-384", "P-521", "X25519"), _AGREEMENTS),
}
PRIVATE: Final = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"))
_P25519: Final = 2**255 - 19


def _uint(number: int, size: int = 0) -> str:
    return compact.spelled(number.to_bytes(size or (number.bit_length() + 7) // 8, "big")).decode()


def _little(number: int) -> str:
    return compact.spelled(number.to_bytes(32, "little")).decode()


def _with_the_weakness_of_roca(bits: int = 2048) -> int:
    """A modulus that is a power of 65537 for every small prime, as the broken generator made them."""
    product = key_reference.ROCA_PRODUCT
    base = pow(65537, 1234567, product)
    number = base + product * ((1 << bits - 1) // product + 1)
    while number.bit_length() != bits or number % 2 == 0:
        number += product
    return number


_N: Final = rsa_key("trusted").public_key().public_numbers().n
WEAK_MODULI: Final = (
    *(_N >> 1024 | 1, _N >> 1 | 1, _N - 1, _N << 6145 | 1, _N << 6144 | 1, 2**4096 + 1),
    _with_the_weakness_of_roca(),
)
SMALL_ORDER: Final = key_reference.small_order_points()
ODD_POINTS: Final = (
    *(_little(number) for number in (*SMALL_ORDER, 2, _P25519, _P25519 + 1, _P25519 - 1, 2**255 + 1, 2**256 - 1, 9)),
)
# fmt: off
KNOWN: Final[Known] = gathered((
    *(("alg", alg) for algs in (*SIGNATURES.values(), *ENCRYPTIONS.values()) for alg in sorted(algs)),
    *(("alg", alg) for alg in ("none", "HS256", "RSA-OAEP", "RSA1_5", "dir", "ES256K", "A128KW", "PBES2-HS256+A128KW")),
    *(("kty", kty) for kty in ("RSA", "EC", "OKP", "oct", "rsa", "AKP")),
    *(("crv", crv) for crv in ("P-256", "P-384", "P-521", "Ed25519", "X25519", "Ed448", "secp256k1", "p-256")),
    *(("use", use) for use in ("sig", "enc", "", None, ["sig"])),
    *(("key_ops", ops) for ops in (["verify"], ["sign", "verify"], ["verify", "verify"], ["sign"], [], "verify")),
    *(("key_ops", ops) for ops in (["deriveKey"], ["wrapKey"], ["deriveBits", "deriveKey"], ["decrypt", "encrypt"])),
    *(("kid", kid) for kid in ("", "x", "x" * 256, "x" * 257, 1, None)),
    *(("e", _uint(e)) for e in (1, 2, 3, 17, 65535, 65536, 65537, 65538, 2**32 - 1, 2**32 + 1, 2**64 + 1, 2**2048 + 1)),
    *(("n", _uint(n)) for n in WEAK_MODULI), ("n", "AA" + _uint(_N)), ("e", "AAEAAQ"), ("e", ""), ("n", ""),
    *(("x", x) for x in ODD_POINTS), ("x", "AA"), ("y", "AA"), ("x", _uint(0, 32)), ("y", _uint(0, 32)),
    ("y", _uint(2**256 - 1)), ("d", _uint(0, 32)), ("d", _uint(2**256 - 1)), ("d", _uint(1, 32)), ("oth", []),
    *((name, "AQAB") for name in sorted(PRIVATE)), ("x5c", ["AAAA"]), ("x5u", "https://a.example"), ("ext", True),
))
# fmt: on


def _seeds() -> Iterator[bytes]:
    singles = [*_signature_jwks(), *_encryption_jwks(), *private_jwks()]
    for jwk in singles:
        yield json.dumps(jwk).encode()
    for x in ODD_POINTS:
        yield json.dumps({"kty": "OKP", "crv": "Ed25519", "x": x}).encode()
        yield json.dumps({"kty": "OKP", "crv": "X25519", "alg": "ECDH-ES", "x": x}).encode()
    for n in WEAK_MODULI:
        yield json.dumps({"kty": "RSA", "alg": "RS256", "n": _uint(n), "e": "AQAB"}).encode()
    yield json.dumps({"kty": "oct", "alg": "HS256", "k": "A" * 43}).encode()
    yield json.dumps({"keys": singles[:12]}).encode()
    yield json.dumps({"keys": [{}, 1, None, [], *singles[3:5], *singles[3:5]]}).encode()
    many = [{"kty": "OKP", "crv": "Ed25519", "x": ODD_POINTS[-1], "kid": str(number)} for number in range(20)]
    yield json.dumps({"keys": many}).encode()


@cache
def _good() -> tuple[bytes, ...]:
    return tuple(json.dumps(jwk).encode() for jwk in (*_signature_jwks(), *_encryption_jwks()))


def _signature_jwks() -> Iterator[dict[str, Any]]:
    for alg in ("RS256", "PS384", "ES256", "ES384", "ES512", "EdDSA"):
        jwk = signing_key(alg).public_jwk()
        yield dict(jwk)
        yield {name: value for name, value in jwk.items() if name not in ("kid", "use", "alg")}
    yield {**signing_key("ES256").public_jwk(), "key_ops": ["verify"]}
    one, other = signing_key("ES256").public_jwk(), signing_key("RS256").public_jwk()
    yield {**one, **other}  # the members of two keys in one
    yield {**other, **one}
    yield {**other, **one, "kty": "RSA"}


def _encryption_jwks() -> Iterator[dict[str, Any]]:
    for private in private_jwks():
        yield {name: value for name, value in private.items() if name not in PRIVATE}


def private_jwks() -> Iterator[dict[str, Any]]:
    """One private key of each kind that decrypts, each with its own algorithm."""
    private = rsa_key("reader").private_numbers()
    public = private.public_numbers
    named = {"n": public.n, "e": public.e, "d": private.d, "p": private.p, "q": private.q}
    named |= {"dp": private.dmp1, "dq": private.dmq1, "qi": private.iqmp}
    yield {"kty": "RSA", "alg": "RSA-OAEP-256", "use": "enc", **{name: _uint(number) for name, number in named.items()}}
    for crv, alg in (("P-256", "ECDH-ES"), ("P-384", "ECDH-ES+A192KW"), ("P-521", "ECDH-ES+A256KW")):
        numbers = ec_key(crv, "reader").private_numbers()
        size = {"P-256": 32, "P-384": 48, "P-521": 66}[crv]
        point = {"x": numbers.public_numbers.x, "y": numbers.public_numbers.y, "d": numbers.private_value}
        yield {"kty": "EC", "crv": crv, "alg": alg, **{name: _uint(number, size) for name, number in point.items()}}
    key = x25519_key("reader")
    x, d = key.public_key().public_bytes_raw(), key.private_bytes_raw()
    text = {"x": compact.spelled(x).decode(), "d": compact.spelled(d).decode()}
    yield {"kty": "OKP", "crv": "X25519", "alg": "ECDH-ES+A128KW", **text}


def _change(data: bytes, chance: Random, native: Native) -> bytes:
    # To check a private RSA key takes as long as a hundred others; and what is broken already hides what comes behind.
    if chance.random() < (0.9 if _budget(data) > 40 else 0.3):
        data = chance.choice(_good())
    if chance.random() < 0.3:
        try:
            return write(_bytes_changed(parse(data), chance, native))
        except UNUSABLE:
            return native(data)
    return change(data, KNOWN, chance, native)


def _bytes_changed(value: Any, chance: Random, native: Native) -> Any:
    """One string that holds bytes holds others: numbers and coordinates are reached behind their base64url."""
    if isinstance(value, Members):
        places = [place for place, (_, member) in enumerate(value) if isinstance(member, (str, list))]
        if places:
            place = chance.choice(places)
            name, member = value[place]
            return Members([*value[:place], (name, _bytes_changed(member, chance, native)), *value[place + 1 :]])
    if isinstance(value, list) and value:
        place = chance.randrange(len(value))
        return [*value[:place], _bytes_changed(value[place], chance, native), *value[place + 1 :]]
    if isinstance(value, str):
        text = value.encode("utf-8", "surrogatepass")
        if chance.random() < 0.3:
            return compact.respelled(text, chance, native).decode("latin-1")
        return compact.spelled(_number_changed(compact.read(text), chance, native)).decode()
    return value


def _number_changed(data: bytes, chance: Random, native: Native) -> bytes:
    number, size = int.from_bytes(data, "big"), len(data)
    near = (number + chance.choice((1, -1, 2, 2**31, -(2**31)))) % 256**size
    return chance.choice((native(data), near.to_bytes(size, "big"), b"\0" + data, data[1:], data + data))


@dataclass(frozen=True, slots=True)
class Opened:
    """What the doors made of one document."""

    document: Any
    keys: Mapping[str, Any]
    sets: Mapping[str, Mapping[str, Any]]


_DOORS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "public_key": public_key,
    "public_key as RS256": lambda jwk: public_key(jwk, "RS256"),
    "encryption_key": jwe.encryption_key,
    "decryption_key": jwe.decryption_key,
}
_SET_DOORS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "key_set": key_set,
    "encryption_key_set": jwe.encryption_key_set,
    "decryption_key_set": jwe.decryption_key_set,
}


def _prepare(data: bytes) -> Any:
    try:
        return json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


def _call(document: Any) -> Opened:
    sets = dict(_answers(_SET_DOORS, document))
    keys = dict(_answers(_DOORS, document)) if isinstance(document, dict) else {}
    if not sets and not keys:
        raise InvalidKey("at every door")
    return Opened(document, keys, sets)


def _answers(doors: Mapping[str, Callable[[Any], Any]], document: Any) -> Iterator[tuple[str, Any]]:
    for name, door in doors.items():
        try:
            yield name, door(document)
        except InvalidKey:
            continue


def _judge(document: Any, opened: Opened) -> str:
    for door, key in opened.keys.items():
        _judge_key(opened.document, key, door)
    for door, keys in opened.sets.items():
        _judge_set(opened.document["keys"], keys, door)
    return "key" if opened.keys else "set" if any(opened.sets.values()) else "empty set"


def _judge_key(jwk: Mapping[str, Any], key: Any, door: str) -> None:
    private = isinstance(key, jwe.DecryptionKey)
    if not private and not PRIVATE.isdisjoint(jwk):
        raise Violation("a private key passed for a public one")
    kind = jwk.get("crv", jwk["kty"])
    if jwk["kty"] != {"RSA": "RSA", "Ed25519": "OKP", "X25519": "OKP"}.get(kind, "EC"):
        raise Violation("a key of two kinds")
    known = SIGNATURES if isinstance(key, PublicKey) else ENCRYPTIONS
    if key.alg not in known[kind] or jwk.get("alg", key.alg) != key.alg:
        raise Violation("a key for another algorithm")
    _judge_purpose(jwk, "sig" if isinstance(key, PublicKey) else "enc")
    if key.thumbprint != _thumbprint(jwk) or key.kid != jwk.get("kid", key.thumbprint):
        raise Violation("a key of another name")
    if not isinstance(key.kid, str) or not 0 < len(key.kid) <= 256:
        raise Violation("a name of no sensible length")
    key_reference.must_be_sound(jwk)
    if private:
        key_reference.must_belong_together(jwk)
    if "d" in repr(key) and str(jwk.get("d", "-")) in repr(key) and len(str(jwk.get("d", ""))) > 8:
        raise Violation("a private key in a repr")
    if _DOORS[door](dict(jwk)) != key:
        raise Violation("the same key twice is not the same")


def _judge_purpose(jwk: Mapping[str, Any], use: str) -> None:
    needed = {"verify"} if use == "sig" else {"encrypt", "wrapKey", "deriveKey", "deriveBits", "decrypt", "unwrapKey"}
    if jwk.get("use", use) != use or ("key_ops" in jwk and needed.isdisjoint(jwk["key_ops"])):
        raise Violation("a key for another use")
    if len(set(jwk.get("key_ops", ()))) != len(jwk.get("key_ops", ())):
        raise Violation("an operation twice")


def _thumbprint(jwk: Mapping[str, Any]) -> str:
    """RFC 7638 §3, by hand."""
    names = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}[jwk["kty"]]
    text = json.dumps({name: jwk[name] for name in names}, separators=(",", ":"))
    return compact.spelled(hashlib.sha256(text.encode()).digest()).decode()


def _judge_set(members: list[Any], keys: Mapping[str, Any], door: str) -> None:
    """Exactly what the members' own door lets in, the first of each name."""
    single = _DOORS[door.removesuffix("_set") if door != "key_set" else "public_key"]
    alone: dict[str, Any] = {}
    for member in members:
        try:
            key = single(member if isinstance(member, dict) else {})
        except InvalidKey:
            continue
        alone.setdefault(key.kid, key)
    if alone != dict(keys) or any(kid != key.kid for kid, key in keys.items()):
        raise Violation("a set of other keys than its members")
    for key in keys.values():
        key_reference.must_be_sound(next(member for member in members if _is(member, key)))


def _is(member: Any, key: Any) -> bool:
    try:
        return bool(_thumbprint(member) == key.thumbprint and member.get("kid", key.thumbprint) == key.kid)
    except UNUSABLE:
        return False


def _budget(data: bytes) -> float:
    """A private RSA key is the reader's own, and takes long to check; a set costs by its members."""
    return 25 + 0.6 * data.count(b"kty") + 150 * data.count(b'"p"')


TARGET: Final = Target(
    name="keys",
    limit=16 * 1024,
    refusals=(InvalidKey,),
    seeds=_seeds,
    change=_change,
    prepare=_prepare,
    call=_call,
    judge=_judge,
    budget_ms=_budget,
)
