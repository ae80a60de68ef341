"""Keys are checked at the door: weak, contradictory and private ones stay outside."""

from __future__ import annotations

import json
from functools import cache
from math import prod
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519

from tests.sdk.minting import ASYMMETRIC, changed, key
from watchword.errors import BadSignature, InvalidKey
from watchword.jose.b64 import b64url, unb64url
from watchword.jose.jwk import (
    PublicKey,
    SigningKey,
    key_set,
    public_key,
    secret_key,
    shared_key,
    shared_key_set,
    thumbprint,
)
from watchword.jose.weak import _ROCA_PRIMES, rsa_fault


@pytest.mark.parametrize("alg", ASYMMETRIC)
def test_a_key_goes_out_and_comes_back(alg: str) -> None:
    """Made, exported as JWK and PKCS #8, loaded, and still the same key."""
    made = SigningKey.generate(alg)
    again = SigningKey.load(made.pkcs8(), alg)
    public = public_key(made.public_jwk())
    public.verify(b"message", again.sign(b"message"))
    assert again == made
    assert again.public_jwk() == made.public_jwk()
    assert (public.kid, public.alg, public.jwk["use"]) == (made.kid, alg, "sig")
    assert made.kid == thumbprint(made.public_jwk()) == public.thumbprint
    with pytest.raises(BadSignature):
        public.verify(b"another", again.sign(b"message"))


def test_a_private_key_does_not_show_itself() -> None:
    """Neither in its repr nor in its JWK."""
    made = key("ES256")
    assert set(made.public_jwk()) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
    assert repr(made) == f"SigningKey(kid={made.kid!r}, alg='ES256')"
    assert "s3cret" not in repr(secret_key(b"s3cret" * 8, "HS256", "c"))


@cache
def weak_rsa(bits: int) -> str:
    """A modulus of that length, as a JWK member."""
    return number(rsa.generate_private_key(65537, bits).public_key().public_numbers().n)


def number(value: int) -> str:
    """A Base64urlUInt (RFC 7518 §2)."""
    return b64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def roca_like() -> int:
    """A modulus of 2048 bits that is a power of 65537 modulo every small prime, as the broken generator's are."""
    product = prod(_ROCA_PRIMES)
    return 65537 + (product << 2048 - product.bit_length())


def test_the_roca_pattern_is_found() -> None:
    """CVE-2017-15361: only a modulus with the fingerprint is refused for it."""
    assert "ROCA" in str(rsa_fault(roca_like(), 65537))
    assert rsa_fault(int.from_bytes(unb64url(str(key("RS256").public_jwk()["n"])), "big"), 65537) is None


RSA, EC, OKP = (dict(key(alg).public_jwk()) for alg in ("RS256", "ES256", "EdDSA"))
OTHER_EC = dict(SigningKey.generate("ES256").public_jwk())
N = int.from_bytes(unb64url(RSA["n"]), "big")


@pytest.mark.parametrize(
    ("jwk", "changes"),
    [
        pytest.param(RSA, {"n": weak_rsa(1024)}, id="RSA 1024"),
        pytest.param(RSA, {"n": number(N >> 1 | 1)}, id="RSA 2047"),
        pytest.param(RSA, {"n": number(1 << 8192 | 1)}, id="RSA over 8192"),
        pytest.param(RSA, {"n": number(N - 1)}, id="RSA even modulus"),
        pytest.param(RSA, {"n": number(roca_like())}, id="ROCA"),
        pytest.param(RSA, {"n": b64url(b"\0" + unb64url(RSA["n"]))}, id="RSA leading zero"),
        pytest.param(RSA, {"n": RSA["n"] + "="}, id="RSA padded modulus"),
        pytest.param(RSA, {"n": 5}, id="RSA modulus a number"),
        pytest.param(RSA, {"n": ""}, id="RSA empty modulus"),
        pytest.param(RSA, {"n": ...}, id="RSA no modulus"),
        pytest.param(RSA, {"e": ...}, id="RSA no exponent"),
        pytest.param(RSA, {"e": number(1)}, id="e=1"),
        pytest.param(RSA, {"e": number(3)}, id="e=3"),
        pytest.param(RSA, {"e": number(65536)}, id="e even"),
        pytest.param(RSA, {"e": number(2**32 + 1)}, id="e huge"),
        pytest.param(RSA, {"e": "AAEAAQ"}, id="e leading zero"),
        pytest.param(RSA, {"alg": ...}, id="RSA without alg"),
        pytest.param(RSA, {"alg": "ES256"}, id="RSA as ES256"),
        pytest.param(RSA, {"alg": "HS256"}, id="RSA as HS256"),
        pytest.param(RSA, {"alg": "none"}, id="RSA as none"),
        pytest.param(RSA, {"alg": "RSA-OAEP"}, id="RSA for encryption, by alg"),
        pytest.param(RSA, {"alg": ["RS256"]}, id="alg a list"),
        pytest.param(RSA, {"alg": None}, id="alg null"),
        pytest.param(RSA, {"crv": "P-256"}, id="RSA with a curve"),
        pytest.param(RSA, {"crv": ""}, id="RSA with an empty curve"),
        pytest.param(RSA, {"use": "enc"}, id="RSA for encryption, by use"),
        pytest.param(RSA, {"use": ["sig"]}, id="use a list"),
        pytest.param(RSA, {"key_ops": ["encrypt"]}, id="RSA for encryption, by key_ops"),
        pytest.param(RSA, {"key_ops": ["verify", "encrypt"]}, id="key_ops for both"),
        pytest.param(RSA, {"key_ops": ["sign"]}, id="key_ops only signs"),
        pytest.param(RSA, {"key_ops": ["verify", "verify"]}, id="key_ops twice"),
        pytest.param(RSA, {"key_ops": "verify"}, id="key_ops a string"),
        pytest.param(RSA, {"key_ops": [["verify"]]}, id="key_ops a list of lists"),
        pytest.param(RSA, {"key_ops": []}, id="key_ops empty"),
        pytest.param(RSA, {"d": "AQAB"}, id="RSA private"),
        pytest.param(EC, {"d": "AQAB"}, id="EC private"),
        pytest.param(OKP, {"d": "AQAB"}, id="OKP private"),
        pytest.param(EC, {"k": "AQAB"}, id="EC with a secret"),
        pytest.param(EC, {"y": OTHER_EC["y"]}, id="EC off the curve"),
        pytest.param(EC, {"x": b64url(bytes(32)), "y": b64url(bytes(32))}, id="EC at infinity"),
        pytest.param(EC, {"x": b64url(b"\0" + unb64url(EC["x"]))}, id="EC too long"),
        pytest.param(EC, {"x": b64url(unb64url(EC["x"])[1:])}, id="EC too short"),
        pytest.param(EC, {"x": EC["x"][:-1] + "-"}, id="EC unused bits"),
        pytest.param(EC, {"crv": "P-384"}, id="EC another curve"),
        pytest.param(EC, {"crv": "P-384", "alg": ...}, id="EC another curve, no alg"),
        pytest.param(EC, {"crv": "secp256k1", "alg": ...}, id="EC exotic curve"),
        pytest.param(EC, {"crv": ["P-256"]}, id="crv a list"),
        pytest.param(EC, {"crv": ...}, id="EC without curve"),
        pytest.param(EC, {"alg": "ES384"}, id="EC another alg"),
        pytest.param(EC, {"kty": "OKP"}, id="EC as OKP"),
        pytest.param(EC, {"kty": "oct"}, id="EC as oct"),
        pytest.param(EC, {"kty": ["EC"]}, id="kty a list"),
        pytest.param(EC, {"kid": ""}, id="kid empty"),
        pytest.param(EC, {"kid": 7}, id="kid a number"),
        pytest.param(EC, {"kid": "k" * 257}, id="kid too long"),
        pytest.param(OKP, {"x": b64url(bytes(32))}, id="Ed25519 order 4"),
        pytest.param(OKP, {"x": b64url(b"\1" + bytes(31))}, id="Ed25519 identity"),
        pytest.param(OKP, {"x": b64url((2**255 - 20).to_bytes(32, "little"))}, id="Ed25519 order 2"),
        pytest.param(
            OKP,
            {"x": b64url(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"))},
            id="Ed25519 order 8",
        ),
        pytest.param(
            OKP,
            {"x": b64url(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"))},
            id="Ed25519 order 8, other sign",
        ),
        pytest.param(OKP, {"x": b64url((2**255 - 19 + 3).to_bytes(32, "little"))}, id="Ed25519 not canonical"),
        pytest.param(OKP, {"x": b64url(b"\2" + bytes(31))}, id="Ed25519 off the curve"),
        pytest.param(OKP, {"x": b64url(bytes(31))}, id="Ed25519 too short"),
        pytest.param(OKP, {"crv": "X25519", "alg": ...}, id="OKP for agreement"),
        pytest.param(OKP, {"crv": "Ed448", "alg": ...}, id="OKP exotic curve"),
        pytest.param({"kty": "oct", "k": b64url(bytes(64)), "alg": "HS256"}, {}, id="a secret"),
        pytest.param({"kty": "oct", "k": b64url(bytes(64)), "alg": "ES256"}, {}, id="a secret as ES256"),
        pytest.param({}, {}, id="nothing"),
    ],
)
def test_a_bad_key_is_refused(jwk: dict[str, object], changes: dict[str, object]) -> None:
    """At import, and so at every use (RFC 7517 §4, RFC 7518 §6, RFC 8725 §3)."""
    with pytest.raises(InvalidKey):
        public_key(changed(jwk, changes))


@pytest.mark.parametrize(
    ("jwk", "changes", "alg"),
    [
        (RSA, {"alg": ...}, "PS512"),
        (RSA, {}, None),
        (RSA, {}, "RS256"),
        (EC, {"alg": ...}, None),
        (EC, {"use": ..., "key_ops": ["verify"]}, None),
        (EC, {"key_ops": ["sign", "verify"]}, None),
        (OKP, {"alg": ...}, None),
        (OKP, {"kid": ..., "x5t": "what is not known is not looked at"}, None),
    ],
)
def test_a_key_may_leave_out_what_is_implied(
    jwk: dict[str, object], changes: dict[str, object], alg: str | None
) -> None:
    """`use`, `kid`, and `alg` where the curve or the caller says it (RFC 7517 §4)."""
    found = public_key(changed(jwk, changes), alg)
    assert found.alg == (alg or jwk["alg"])
    assert found.thumbprint == thumbprint(jwk)


def test_an_argument_may_not_contradict_the_key() -> None:
    """Where several name the algorithm, they agree or the key is refused."""
    for jwk, alg in ((RSA, "PS256"), (EC, "ES384"), (OKP, "ES256"), (changed(RSA, {"alg": ...}), "HS256")):
        with pytest.raises(InvalidKey):
            public_key(jwk, alg)


def test_a_key_set_keeps_what_is_good() -> None:
    """Broken, exotic, symmetric and second members are skipped without losing the others (RFC 7517 §5)."""
    second = {**OTHER_EC, "kid": EC["kid"]}
    members: list[object] = [
        *(None, 5, "x", [], {}, {"kty": "oct", "k": b64url(bytes(64)), "alg": "HS256", "kid": "s"}),
        *({**RSA, "e": "AQ"}, {**EC, "use": "enc", "kid": "e"}, {**EC, "crv": "secp256k1"}),
        *(EC, second, RSA, OKP),
    ]
    found = key_set({"keys": members})
    assert list(found) == [EC["kid"], RSA["kid"], OKP["kid"]]
    assert found[EC["kid"]] == public_key(EC)


@pytest.mark.parametrize("document", [{}, {"keys": {}}, {"keys": None}, {"key": []}])
def test_what_is_no_key_set_is_refused(document: dict[str, object]) -> None:
    """A set may be empty, but it must be one."""
    with pytest.raises(InvalidKey):
        key_set(document)
    assert key_set({"keys": []}) == {}


@pytest.mark.parametrize(
    ("secret", "alg"),
    [
        (bytes(31), "HS256"),
        (bytes(47), "HS384"),
        (bytes(63), "HS512"),
        (bytes(64), "ES256"),
        (bytes(64), "none"),
        (b"", "HS256"),
    ],
)
def test_a_secret_is_for_hmac_and_as_long_as_the_hash(secret: bytes, alg: str) -> None:
    """RFC 7518 §3.2."""
    with pytest.raises(InvalidKey):
        secret_key(secret, alg, "c")


OCT: dict[str, object] = {"kty": "oct", "k": b64url(bytes(range(32))), "alg": "HS256", "kid": "c", "use": "sig"}


def test_a_secret_is_read_from_its_jwk() -> None:
    """RFC 7518 §6.4; by its own words or by the argument's, and named by its thumbprint where it has no name."""
    found = shared_key(OCT)
    assert (found.kid, found.alg) == ("c", "HS256")
    found.verify(b"text", secret_key(bytes(range(32)), "HS256", "c").sign(b"text"))
    bare = {name: OCT[name] for name in ("kty", "k")}
    assert shared_key(bare, "HS256").kid == thumbprint(OCT)
    assert shared_key({**OCT, "key_ops": ["sign", "verify"]}, "HS256") == found


@pytest.mark.parametrize(
    "change",
    [
        {"kty": "EC"},
        {"kty": None},
        {"alg": "HS384"},
        {"alg": "ES256"},
        {"alg": "A256KW"},
        {"alg": 256},
        {"use": "enc"},
        {"key_ops": ["sign"]},
        {"key_ops": ["verify", "encrypt"]},
        {"kid": ""},
        {"k": b64url(bytes(31))},
        {"k": b64url(bytes(32)) + "="},
        {"k": None},
        {"k": ""},
    ],
)
def test_a_secret_that_contradicts_itself_is_refused(change: dict[str, object]) -> None:
    """By the rules for public keys; and no word of the secret is in the refusal or behind it."""
    jwk = {**OCT, **change}
    with pytest.raises(InvalidKey) as refusal:
        shared_key(jwk)
    assert str(OCT["k"]) not in f"{refusal.value}{refusal.value.__cause__}"
    with pytest.raises(InvalidKey):
        shared_key_set({"keys": [OCT, {**jwk, "kid": "d"} if "kid" not in change else jwk]})


def test_a_secret_without_an_algorithm_or_with_two_is_refused() -> None:
    """What it is for never comes from its length."""
    with pytest.raises(InvalidKey):
        shared_key({name: value for name, value in OCT.items() if name != "alg"})
    with pytest.raises(InvalidKey):
        shared_key(OCT, "HS512")


def test_a_set_of_secrets_is_whole_or_refused() -> None:
    """It is the reader's own: a public key among them, or two of one name, is a mistake."""
    assert list(shared_key_set({"keys": [OCT, {**OCT, "kid": "d"}]})) == ["c", "d"]
    assert shared_key_set({"keys": []}) == {}
    for document in ({}, {"keys": {}}, {"keys": [OCT, OCT]}, {"keys": [OCT, EC]}, {"keys": [OCT, None]}):
        with pytest.raises(InvalidKey):
            shared_key_set(document)
    assert key_set({"keys": [OCT, EC]}).keys() == {EC["kid"]}


def test_a_private_key_must_fit_its_algorithm() -> None:
    """Another kind, another curve, a weak one, or no key at all is not loaded."""
    pkcs8 = (serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    k1 = ec.generate_private_key(ec.SECP256K1()).private_bytes(*pkcs8)
    agreement = x25519.X25519PrivateKey.generate().private_bytes(*pkcs8)
    weak = rsa.generate_private_key(65537, 1024).private_bytes(*pkcs8)
    good = key("ES256").pkcs8()
    cases = [(good, "ES384"), (good, "RS256"), (good, "EdDSA"), (good, "HS256"), (good, "none"), (good[:-1], "ES256")]
    for data, alg in [*cases, (k1, "ES256"), (agreement, "EdDSA"), (weak, "RS256"), (b"", "ES256")]:
        with pytest.raises(InvalidKey):
            SigningKey.load(data, alg)
    with pytest.raises(InvalidKey):
        SigningKey.generate("HS256")


def test_equal_keys_are_equal() -> None:
    """By id, algorithm and material, whatever else their JWKs say: a refetched key set changes nothing."""
    assert public_key(EC) == public_key({**EC, "x5t": "new"})
    assert public_key(EC) != public_key({**OTHER_EC, "kid": EC["kid"]})
    assert public_key(RSA) != public_key({**RSA, "alg": "PS256"})
    assert len({public_key(EC), public_key(EC)}) == 1
    assert isinstance(public_key(EC), PublicKey)


def test_the_thumbprints_of_the_rfcs_come_out(vectors: Path) -> None:
    """RFC 7638 §3.1 and RFC 8037 A.3."""
    cases = [
        case
        for case in json.loads((vectors / "rfc_examples.json").read_text())["cases"]
        if case["kind"] == "jwk-thumbprint"
    ]
    assert len(cases) == 2
    for case in cases:
        assert thumbprint(case["jwk"]) == case["expect"]
