"""Keys to encrypt to and to decrypt with: weak, contradictory and misplaced ones stay outside."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import FrozenInstanceError
from functools import cache

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.sdk.minting import changed, key
from tests.sdk.sealing import CURVES, KINDS, decryptor
from watchword.errors import InvalidKey, Misconfigured
from watchword.jose.b64 import b64url, unb64url
from watchword.jose.jwe import (
    ENCRYPTIONS,
    KEY_ALGORITHMS,
    DecryptionKey,
    Sealed,
    decrypt,
    decryption_key,
    decryption_key_set,
    encrypt,
    encryption_key,
    encryption_key_set,
)
from watchword.jose.jwk import public_key
from watchword.jose.members import public_members, write_uint

P256 = decryptor()
X25519 = decryptor("ECDH-ES", "X25519")
RSA = decryptor("RSA-OAEP-256")
PRIME = 2**255 - 19


@cache
def other_rsa() -> DecryptionKey:
    """Another RSA key."""
    return DecryptionKey.generate("RSA-OAEP-256")


@pytest.mark.parametrize(("alg", "crv"), KINDS)
def test_a_key_goes_out_and_comes_back(alg: str, crv: str) -> None:
    """As a private JWK and as a public one, named by its thumbprint."""
    made = decryptor(alg, crv)
    again, public = decryption_key(made.private_jwk()), encryption_key(made.public_jwk())
    assert again == made
    assert again.private_jwk() == made.private_jwk()
    assert (public.kid, public.alg, public.thumbprint, public.jwk["use"]) == (made.kid, alg, made.kid, "enc")
    assert json.loads(json.dumps(made.private_jwk())) == made.private_jwk()


def test_a_private_key_does_not_show_itself() -> None:
    """Neither in its repr nor in its public JWK."""
    for made in (P256, X25519, RSA):
        assert repr(made) == f"DecryptionKey(kid={made.kid!r}, alg={made.alg!r}, thumbprint={made.kid!r})"
        public = encryption_key(made.public_jwk())
        assert repr(public) == f"EncryptionKey(kid={made.kid!r}, alg={made.alg!r}, thumbprint={made.kid!r})"
        assert {"d", "p", "q", "dp", "dq", "qi"}.isdisjoint(made.public_jwk())
        assert "d" in made.private_jwk()


def test_equal_keys_are_equal_and_count_once() -> None:
    """By id, algorithm and material, whatever else their JWKs say."""
    public, private = P256.public_jwk(), P256.private_jwk()
    assert len({encryption_key(public), encryption_key(public | {"x5t": "new"})}) == 1
    assert len({decryption_key(private), decryption_key(private | {"x5t": "new"})}) == 1
    other = {"kid": P256.kid, **changed(OTHER.private_jwk(), {"kid": ...})}
    assert encryption_key(public) != encryption_key(changed(other, {"d": ...}))
    assert decryption_key(private) != decryption_key(other)
    for change in ({"kid": "mine"}, {"alg": "ECDH-ES+A128KW"}):
        assert encryption_key(public) != encryption_key(public | change)
        assert decryption_key(private) != decryption_key(private | change)


def test_a_key_and_the_row_of_a_table_do_not_change() -> None:
    """They are shared between threads; nobody turns one algorithm into another at run time."""
    rows = (KEY_ALGORITHMS["ECDH-ES"], ENCRYPTIONS["A128GCM"], P256.material, Sealed(b"", b"", b"", b"", b""))
    for held in (P256, encryption_key(P256.public_jwk()), *rows):
        assert not hasattr(held, "__dict__")
        for name in held.__dataclass_fields__:
            with pytest.raises(FrozenInstanceError):
                setattr(held, name, "none")


def test_a_keys_jwk_is_its_own_and_read_only() -> None:
    """Who gave the JWK may go on using it; who reads it cannot write."""
    given: dict[str, object] = dict(P256.public_jwk())
    found = encryption_key(given)
    given["alg"] = "none"
    assert found.jwk["alg"] == "ECDH-ES"
    with pytest.raises(TypeError):
        found.jwk["alg"] = "none"  # type: ignore[index]  # that is the point


def test_a_key_is_made_wherever_one_asks() -> None:
    """It needs no key: asked of one, it pays no attention to it."""
    made = P256.generate("ECDH-ES+A256KW")
    assert (made.alg, made.material.crv) == ("ECDH-ES+A256KW", "P-256")
    assert P256.generate("ECDH-ES", "X25519").material.crv == "X25519"


def test_a_key_keeps_the_name_it_came_with() -> None:
    """A `kid` of one's own, and the algorithm from the argument where the JWK has none."""
    jwk = changed(P256.private_jwk(), {"kid": "mine", "alg": ..., "use": ...})
    found = decryption_key(jwk, "ECDH-ES+A256KW")
    assert (found.kid, found.alg, found.thumbprint) == ("mine", "ECDH-ES+A256KW", P256.kid)
    assert found.public_jwk()["kid"] == found.private_jwk()["kid"] == encryption_key(found.public_jwk()).kid == "mine"


def test_a_key_without_a_name_is_named_by_its_thumbprint() -> None:
    """RFC 7638: the same name for both halves."""
    for made in (P256, X25519, RSA):
        bare = {"kid": ...}
        assert encryption_key(changed(made.public_jwk(), bare)).kid == made.thumbprint
        assert decryption_key(changed(made.private_jwk(), bare)).kid == made.thumbprint


@pytest.mark.parametrize(
    ("alg", "crv", "said"),
    [
        *(("ECDH-ES", crv, "not a curve to agree on") for crv in ("Ed25519", "secp256k1", "")),
        *((alg, "", "not an algorithm for encryption") for alg in ("dir", "RSA-OAEP", "")),
    ],
)
def test_a_key_of_another_kind_is_not_made(alg: str, crv: str, said: str) -> None:
    """Curves that sign, exotic ones, and algorithms that are off."""
    with pytest.raises(InvalidKey, match=said):
        DecryptionKey.generate(alg, crv)


EC_JWK, OKP_JWK, RSA_JWK = (found.public_jwk() for found in (P256, X25519, RSA))
OTHER = DecryptionKey.generate("ECDH-ES")
WEAK = rsa.generate_private_key(65537, 1024)
U = int.from_bytes(unb64url(OKP_JWK["x"]), "little")
N = int.from_bytes(unb64url(RSA_JWK["n"]), "big")
# fmt: off
PUBLIC = {
    "RSA 1024":                  RSA_JWK | {"n": write_uint(WEAK.public_key().public_numbers().n)},
    "RSA e=1":                   RSA_JWK | {"e": "AQ"},
    "RSA e=3":                   RSA_JWK | {"e": "Aw"},
    "RSA even modulus":          RSA_JWK | {"n": write_uint(N - 1)},
    "RSA leading zero":          RSA_JWK | {"n": b64url(b"\0" + unb64url(RSA_JWK["n"]))},
    "RSA without modulus":       changed(RSA_JWK, {"n": ...}),
    "RSA with a curve":          RSA_JWK | {"crv": "P-256"},
    "RSA with an empty curve":   RSA_JWK | {"crv": ""},
    "RSA1_5":                    RSA_JWK | {"alg": "RSA1_5"},
    "RSA-OAEP with SHA-1":       RSA_JWK | {"alg": "RSA-OAEP"},
    "RSA for ECDH-ES":           RSA_JWK | {"alg": "ECDH-ES"},
    "RSA for signatures, alg":   RSA_JWK | {"alg": "RS256"},
    "RSA for signatures, use":   RSA_JWK | {"use": "sig"},
    "RSA for signatures, ops":   RSA_JWK | {"key_ops": ["verify"]},
    "RSA for both, by ops":      RSA_JWK | {"key_ops": ["encrypt", "verify"]},
    "RSA that only decrypts":    RSA_JWK | {"key_ops": ["decrypt"]},
    "use a list":                RSA_JWK | {"use": ["enc"]},
    "use null":                  RSA_JWK | {"use": None},
    "key_ops empty":             RSA_JWK | {"key_ops": []},
    "key_ops a string":          RSA_JWK | {"key_ops": "encrypt"},
    "key_ops an object":         RSA_JWK | {"key_ops": {"encrypt": 1}},
    "key_ops null":              RSA_JWK | {"key_ops": None},
    "key_ops twice":             RSA_JWK | {"key_ops": ["encrypt", "encrypt"]},
    "key_ops a list of lists":   RSA_JWK | {"key_ops": [["encrypt"]]},
    "key_ops with a list":       RSA_JWK | {"key_ops": ["encrypt", []]},
    "key_ops with a number":     RSA_JWK | {"key_ops": ["encrypt", 5]},
    "key_ops of EC for RSA":     RSA_JWK | {"key_ops": ["deriveKey"]},
    "key_ops of RSA for EC":     EC_JWK | {"key_ops": ["wrapKey"]},
    "alg missing":               changed(EC_JWK, {"alg": ...}),
    "alg null":                  EC_JWK | {"alg": None},
    "alg a list":                EC_JWK | {"alg": ["ECDH-ES"]},
    "alg dir":                   EC_JWK | {"alg": "dir"},
    "alg none":                  EC_JWK | {"alg": "none"},
    "EC for RSA":                EC_JWK | {"alg": "RSA-OAEP-256"},
    "EC private":                P256.private_jwk(),
    "RSA private":               RSA.private_jwk(),
    "OKP private":               X25519.private_jwk(),
    "EC with a secret":          EC_JWK | {"k": "AQAB"},
    "EC off the curve":          EC_JWK | {"y": OTHER.public_jwk()["y"]},
    "EC at infinity":            EC_JWK | {"x": b64url(bytes(32)), "y": b64url(bytes(32))},
    "EC too long":               EC_JWK | {"x": b64url(b"\0" + unb64url(EC_JWK["x"]))},
    "EC another curve":          EC_JWK | {"crv": "P-384"},
    "EC exotic curve":           EC_JWK | {"crv": "secp256k1"},
    "EC without curve":          changed(EC_JWK, {"crv": ...}),
    "EC as OKP":                 EC_JWK | {"kty": "OKP"},
    "EC without kty":            changed(EC_JWK, {"kty": ...}),
    "crv a list":                EC_JWK | {"crv": ["P-256"]},
    "kty a list":                EC_JWK | {"kty": ["EC"]},
    "OKP that signs":            dict(key("EdDSA").public_jwk()) | {"alg": "ECDH-ES", "use": "enc"},
    "OKP not canonical":         OKP_JWK | {"x": b64url((PRIME + 9).to_bytes(32, "little"))},
    "OKP with the top bit set":  OKP_JWK | {"x": b64url((U | 1 << 255).to_bytes(32, "little"))},
    "OKP too short":             OKP_JWK | {"x": b64url(bytes(31))},
    "OKP padded":                OKP_JWK | {"x": OKP_JWK["x"] + "="},
    "kid empty":                 EC_JWK | {"kid": ""},
    "kid a number":              EC_JWK | {"kid": 7},
    "kid too long":              EC_JWK | {"kid": "k" * 257},
    "a secret":                  {"kty": "oct", "k": b64url(bytes(32)), "alg": "ECDH-ES"},
    "a secret for dir":          {"kty": "oct", "k": b64url(bytes(32)), "alg": "dir"},
    "a secret for a wrap":       {"kty": "oct", "k": b64url(bytes(32)), "alg": "A256KW"},
    "nothing":                   {},
}
EC_PRIVATE, OKP_PRIVATE, RSA_PRIVATE = (found.private_jwk() for found in (P256, X25519, RSA))
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
PRIVATE = {
    **{f"RSA without {name}": changed(RSA_PRIVATE, {name: ...}) for name in ("d", "p", "q", "dp", "dq", "qi")},
    **{f"RSA with another {name}": RSA_PRIVATE | {name: other_rsa().private_jwk()[name]} for name in
       ("n", "d", "p", "q", "dp", "dq", "qi")},
    "RSA with p and q swapped":  RSA_PRIVATE | {"p": RSA_PRIVATE["q"], "q": RSA_PRIVATE["p"]},
    "RSA of three primes":       RSA_PRIVATE | {"oth": [{"r": "AQ", "d": "AQ", "t": "AQ"}]},
    "RSA e=3":                   RSA_PRIVATE | {"e": "Aw"},
    "EC of somebody else":       EC_PRIVATE | {"d": OTHER.private_jwk()["d"]},
    "EC d=0":                    EC_PRIVATE | {"d": b64url(bytes(32))},
    "EC d=n":                    EC_PRIVATE | {"d": write_uint(P256_ORDER)},
    "EC d over n":               EC_PRIVATE | {"d": write_uint(P256_ORDER + 5)},
    "EC d too short":            EC_PRIVATE | {"d": b64url(unb64url(EC_PRIVATE["d"])[1:])},
    "EC d too long":             EC_PRIVATE | {"d": b64url(b"\0" + unb64url(EC_PRIVATE["d"]))},
    "EC d a number":             EC_PRIVATE | {"d": 5},
    "EC off the curve":          EC_PRIVATE | {"y": OTHER.public_jwk()["y"]},
    "OKP of somebody else":      OKP_PRIVATE | {"x": DecryptionKey.generate("ECDH-ES", "X25519").public_jwk()["x"]},
    "OKP d padded":              OKP_PRIVATE | {"d": OKP_PRIVATE["d"] + "="},
    "OKP d too short":           OKP_PRIVATE | {"d": b64url(bytes(31))},
    "public only, EC":           EC_JWK,
    "public only, OKP":          OKP_JWK,
    "public only, RSA":          RSA_JWK,
    "EC with a secret":          EC_PRIVATE | {"k": "AQAB"},
    "for signatures, by use":    EC_PRIVATE | {"use": "sig"},
    "for signatures, by ops":    EC_PRIVATE | {"key_ops": ["sign"]},
    "for both, by ops":          RSA_PRIVATE | {"key_ops": ["decrypt", "sign"]},
    "that only encrypts":        RSA_PRIVATE | {"key_ops": ["encrypt"]},
    "alg missing":               changed(EC_PRIVATE, {"alg": ...}),
    "alg of another kind":       EC_PRIVATE | {"alg": "RSA-OAEP-256"},
    "alg A256KW":                EC_PRIVATE | {"alg": "A256KW"},
    "kid empty":                 EC_PRIVATE | {"kid": ""},
    "a secret":                  {"kty": "oct", "k": b64url(bytes(32)), "alg": "ECDH-ES"},
    "nothing":                   {},
}
# fmt: on


@pytest.mark.parametrize("name", PUBLIC)
def test_a_key_that_nobody_should_encrypt_to_stays_outside(name: str) -> None:
    """Weak, contradictory, private, symmetric or unknown (RFC 7517 §4, RFC 7518 §6; sign and encrypt confused)."""
    with pytest.raises(InvalidKey):
        encryption_key(PUBLIC[name])
    assert encryption_key_set({"keys": [PUBLIC[name], OTHER.public_jwk()]}) == {
        OTHER.kid: encryption_key(OTHER.public_jwk())
    }


@pytest.mark.parametrize("name", PRIVATE)
def test_a_private_key_that_does_not_fit_together_stays_outside(name: str) -> None:
    """Members that contradict each other would decrypt nothing, or leak: a set with one is refused as a whole."""
    with pytest.raises(InvalidKey):
        decryption_key(PRIVATE[name])
    with pytest.raises(InvalidKey):
        decryption_key_set({"keys": [OTHER.private_jwk(), PRIVATE[name]]})


def test_a_refused_key_does_not_show_what_is_private() -> None:
    """Nothing of the private members is in the message or in what lies behind it."""
    for jwk in PRIVATE.values():
        try:
            decryption_key(jwk)
        except InvalidKey as error:
            said = f"{error} {error.__cause__!r}"
        secrets = [value for name, value in jwk.items() if name in {"d", "p", "q"} and isinstance(value, str)]
        assert not any(secret in said for secret in secrets if len(secret) > 8)


def test_an_algorithm_said_twice_must_be_the_same() -> None:
    """By the JWK and by the caller."""
    assert encryption_key(EC_JWK, "ECDH-ES").alg == "ECDH-ES"
    for alg in ("ECDH-ES+A128KW", "RSA-OAEP-256", "dir", ""):
        with pytest.raises(InvalidKey):
            encryption_key(EC_JWK, alg)


@pytest.mark.parametrize(
    ("ops", "private_ops"), [(["deriveKey"], ["deriveKey", "deriveBits"]), (["deriveBits"], ["deriveBits"])]
)
def test_operations_of_an_agreement_are_understood(ops: list[str], private_ops: list[str]) -> None:
    """RFC 7517 §4.3: the same two for both halves."""
    assert encryption_key(EC_JWK | {"key_ops": ops}).kid == P256.kid
    assert decryption_key(EC_PRIVATE | {"key_ops": private_ops}).kid == P256.kid


def test_operations_of_rsa_are_understood() -> None:
    """A private key may name what its public half does too."""
    for ops in (["wrapKey"], ["encrypt"], ["encrypt", "wrapKey"]):
        assert encryption_key(RSA_JWK | {"key_ops": ops}).kid == RSA.kid
    for ops in (["unwrapKey", "wrapKey"], ["decrypt"], ["decrypt", "encrypt", "unwrapKey"]):
        assert decryption_key(RSA_PRIVATE | {"key_ops": ops}).kid == RSA.kid


def test_a_signature_key_is_no_encryption_key_and_the_other_way_round() -> None:
    """Wycheproof JWE 106 to 111, JWS 353 to 356: a JWKS with both gives each door its own."""
    both = {"keys": [key().public_jwk(), EC_JWK, key("EdDSA").public_jwk(), OKP_JWK, RSA_JWK]}
    assert set(encryption_key_set(both)) == {P256.kid, X25519.kid, RSA.kid}
    for jwk in (key().public_jwk(), key("RS256").public_jwk()):
        with pytest.raises(InvalidKey):
            encryption_key(jwk)
    for jwk in (EC_JWK, OKP_JWK, RSA_JWK):
        with pytest.raises(InvalidKey):
            public_key(jwk)


@pytest.mark.parametrize("document", [{}, {"keys": None}, {"keys": {}}, {"keys": "[]"}, [], None, "keys"])
def test_what_is_no_key_set_is_refused(document: object) -> None:
    """RFC 7517 §5: an object with a list."""
    for reader in (encryption_key_set, decryption_key_set):
        with pytest.raises(InvalidKey, match="not a JWK set"):
            reader(document)  # type: ignore[arg-type]  # that is the point


def test_of_two_keys_of_one_kid_the_first_stays_or_none() -> None:
    """In others' set the first, in one's own set it is a mistake."""
    twice = [found.private_jwk() | {"kid": "same"} for found in (P256, OTHER)]
    public = [found.public_jwk() | {"kid": "same"} for found in (P256, OTHER)]
    assert encryption_key_set({"keys": public})["same"].thumbprint == P256.kid
    with pytest.raises(InvalidKey, match="two"):
        decryption_key_set({"keys": twice})
    for member in (None, 5, "key", []):
        with pytest.raises(InvalidKey):
            decryption_key_set({"keys": [member]})
        assert encryption_key_set({"keys": [member]}) == {}
    assert decryption_key_set({"keys": [EC_PRIVATE, RSA_PRIVATE]}) == {P256.kid: P256, RSA.kid: RSA}


@pytest.mark.parametrize("crv", CURVES)
def test_leading_zeros_of_a_coordinate_and_of_d_are_kept(crv: str) -> None:
    """RFC 7518 §6.2.1.2: always the field's length. One key in 128 has one."""
    if crv == "X25519":
        assert len(X25519.private_jwk()["d"]) == 43
        return
    made = DecryptionKey.generate("ECDH-ES", crv)
    size = (made.key.raw_value.key_size + 7) // 8
    one = ec.derive_private_key(1, made.key.raw_value.curve)
    jwk = public_members(one.public_key()) | {"d": write_uint(1, size), "alg": "ECDH-ES"}
    assert decryption_key(jwk).private_jwk()["d"] == write_uint(1, size)
    assert {len(unb64url(made.private_jwk()[name])) for name in ("x", "y", "d")} == {size}


def test_an_rsa_key_of_2049_bits_takes_257_bytes() -> None:
    """RFC 8017 §7.1.2: as many as the modulus has, however many bits of the first one are used."""
    p, q = (rsa.generate_private_key(65537, bits).private_numbers().p for bits in (2050, 2048))
    d = pow(65537, -1, (p - 1) * (q - 1))
    parts = (p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q))
    private = rsa.RSAPrivateNumbers(*parts, rsa.RSAPublicNumbers(65537, p * q)).private_key()
    assert private.key_size == 2049
    jwk = public_members(private.public_key()) | RSA.material.write_private(private)
    made = decryption_key(jwk, "RSA-OAEP-256")
    token = encrypt(b"text", encryption_key(made.public_jwk()), "A128GCM", "at+jwt")
    assert decrypt(token, {made.kid: made}, ("at+jwt",), 16_384)[1] == b"text"


def test_every_key_asks_for_joserfc_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing is said before anything is said about the key."""
    monkeypatch.setitem(sys.modules, "joserfc", None)
    for make in (
        lambda: encryption_key({}),
        lambda: decryption_key({}),
        lambda: encryption_key_set({"keys": [{}]}),
        lambda: DecryptionKey.generate("ECDH-ES"),
    ):
        with pytest.raises(Misconfigured, match=r"^encrypted tokens need joserfc: pip install watchword\[jwe\]$"):
            make()


WITHOUT = """
import sys
sys.modules["joserfc"] = None
from watchword import Verifier
from watchword.errors import Misconfigured
from watchword.jose import jwe
for make in (lambda: jwe.DecryptionKey.generate("ECDH-ES"), lambda: jwe.encryption_key({}),
             lambda: jwe.decryption_key({}), lambda: jwe.encryption_key_set({"keys": [{}]})):
    try:
        make()
    except Misconfigured as error:
        print(error)
"""


def test_without_joserfc_the_error_says_what_to_install() -> None:
    """Only where a key is made; importing and verifying go without (`pip install watchword[jwe]`)."""
    ran = subprocess.run([sys.executable, "-c", WITHOUT], check=True, capture_output=True, text=True, timeout=30)
    assert ran.stdout.splitlines() == ["encrypted tokens need joserfc: pip install watchword[jwe]"] * 4
