"""Keys at their edges: every private member, every bound, and what nobody can change afterwards."""

from __future__ import annotations

import hashlib
from dataclasses import FrozenInstanceError

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, x25519

from tests.sdk.minting import ASYMMETRIC, changed, key
from watchword.errors import InvalidKey
from watchword.jose.b64 import b64url, unb64url
from watchword.jose.jwk import SigningKey, key_set, public_key, secret_key, shared_key, thumbprint
from watchword.jose.members import CURVES, public_members, read_octets, read_uint, write_uint

PKCS8 = (serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
OCT: dict[str, object] = {"kty": "oct", "k": b64url(bytes(64)), "alg": "HS256"}


@pytest.mark.parametrize("member", ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"])
@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
def test_every_private_member_is_refused_in_a_public_key(alg: str, member: str) -> None:
    """Whatever its value (RFC 7518 §6.2.2, §6.3.2, §6.4; `priv` of AKP): somebody has published a secret."""
    for value in ("AQAB", "", None, []):
        with pytest.raises(InvalidKey, match="private key where a public one is due"):
            public_key({**key(alg).public_jwk(), member: value})


def test_a_key_does_not_change() -> None:
    """A key is shared between threads and remembered in caches."""
    held = (public_key(key().public_jwk()), key(), secret_key(bytes(64), "HS256", "c"))
    for found in held:
        assert not hasattr(found, "__dict__")
        with pytest.raises(FrozenInstanceError):
            found.alg = "none"  # type: ignore[misc]  # that is the point


def test_a_keys_jwk_is_its_own_and_read_only() -> None:
    """Who gave the JWK may go on using it; who reads it cannot write."""
    given: dict[str, object] = dict(key().public_jwk())
    found = public_key(given)
    given["alg"] = "none"
    assert found.jwk["alg"] == "ES256"
    with pytest.raises(TypeError):
        found.jwk["alg"] = "none"  # type: ignore[index]  # that is the point
    key().public_jwk()["alg"] = "none"
    assert key().public_jwk()["alg"] == "ES256"


def test_equal_keys_count_once() -> None:
    """A public key, a secret, a private key: each may stand in a set, by its name, algorithm and material."""
    jwk, stored = key().public_jwk(), key().pkcs8()
    assert len({public_key(jwk), public_key({**jwk, "x5t": "new"})}) == 1
    assert len({SigningKey.load(stored, "ES256"), SigningKey.load(stored, "ES256")}) == 1
    assert len({secret_key(bytes(64), "HS256", "c"), secret_key(bytes(64), "HS256", "c")}) == 1


def test_a_repr_shows_names_only() -> None:
    """Keys end up in logs; what else they hold is long, or secret."""
    made, secret = key(), secret_key(b"s3cret" * 8, "HS256", "c")
    assert repr(made) == f"SigningKey(kid={made.kid!r}, alg='ES256')"
    assert repr(secret) == "SecretKey(kid='c', alg='HS256')"
    public = public_key(made.public_jwk())
    assert repr(public) == f"PublicKey(kid={made.kid!r}, alg='ES256', thumbprint={made.kid!r})"


@pytest.mark.parametrize("alg", ASYMMETRIC)
def test_a_new_key_has_the_least_members(alg: str) -> None:
    """RSA: 2048 bits and 65537; the curves of RFC 7518 §3.4 and RFC 8037; `kid`, `alg`, `use` beside them."""
    jwk = key(alg).public_jwk()
    kinds = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
    curves = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519"}
    assert (jwk["kty"], jwk.get("crv")) == (kinds[alg[:2]], curves.get(alg))
    if jwk["kty"] == "RSA":
        assert jwk["e"] == "AQAB"
        assert int.from_bytes(unb64url(jwk["n"]), "big").bit_length() == 2048
    own = {"RSA": {"n", "e"}, "EC": {"crv", "x", "y"}, "OKP": {"crv", "x"}}[jwk["kty"]]
    assert set(jwk) == {"kty", "kid", "alg", "use", *own}
    assert (jwk["alg"], jwk["use"], jwk["kid"]) == (alg, "sig", key(alg).kid)


def test_a_key_is_made_and_loaded_wherever_one_asks() -> None:
    """Both need no key: asked of one, they pay no attention to it."""
    assert key("ES256").generate("EdDSA").alg == "EdDSA"
    assert key("EdDSA").load(key("ES256").pkcs8(), "ES256") == key("ES256")


def test_a_stored_key_is_pkcs8_and_nothing_else() -> None:
    """RFC 5958, DER, unencrypted: what any other program would read too."""
    for alg in ("RS256", "ES256", "EdDSA"):
        stored = key(alg).pkcs8()
        assert serialization.load_der_private_key(stored, None).private_bytes(*PKCS8) == stored
        assert isinstance(stored, bytes)


@pytest.mark.parametrize(
    ("private", "alg"),
    [
        (ec.generate_private_key(ec.SECP256K1()), "ES256"),
        (ec.generate_private_key(ec.SECP384R1()), "ES256"),
        (x25519.X25519PrivateKey.generate(), "EdDSA"),
        (ed448.Ed448PrivateKey.generate(), "EdDSA"),
        (ed25519.Ed25519PrivateKey.generate(), "ES256"),
    ],
)
def test_a_private_key_of_another_kind_is_not_loaded(private: x25519.X25519PrivateKey, alg: str) -> None:
    """By its kind or its curve, before anything is signed."""
    with pytest.raises(InvalidKey):
        SigningKey.load(private.private_bytes(*PKCS8), alg)


P256_OID, UNKNOWN_OID = (bytes.fromhex(f"06082a8648ce3d0301{end}") for end in ("07", "7f"))


def test_a_stored_key_that_no_library_knows_is_refused() -> None:
    """A curve without a name, and DSA, which the library still loads."""
    stored = key().pkcs8()
    assert stored.count(P256_OID) == 1
    old = dsa.generate_private_key(1024).private_bytes(*PKCS8)
    for data in (stored.replace(P256_OID, UNKNOWN_OID), old):
        for alg in ("ES256", "RS256", "EdDSA"):
            with pytest.raises(InvalidKey):
                SigningKey.load(data, alg)


def test_an_encrypted_private_key_is_not_loaded() -> None:
    """There is no password to ask for: what rests is sealed elsewhere."""
    locked = (serialization.Encoding.DER, serialization.PrivateFormat.PKCS8)
    sealed = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        *locked, serialization.BestAvailableEncryption(b"password")
    )
    with pytest.raises(InvalidKey, match="not an unencrypted PKCS #8 key"):
        SigningKey.load(sealed, "ES256")


@pytest.mark.parametrize("alg", ["none", "HS256", "es256", "", "ECDH-ES", "RSA-OAEP-256"])
def test_what_is_no_signature_algorithm_makes_no_key(alg: str) -> None:
    """Not even with a good private key at hand."""
    for make in (lambda: SigningKey.generate(alg), lambda: SigningKey.load(key().pkcs8(), alg)):
        with pytest.raises(InvalidKey, match="not an asymmetric signature algorithm"):
            make()


@pytest.mark.parametrize(("kid", "fits"), [("k", True), ("k" * 256, True), ("k" * 257, False), ("", False)])
def test_a_kid_has_1_to_256_characters(kid: str, fits: bool) -> None:
    """For public keys and for secrets."""
    for read in (lambda: public_key({**key().public_jwk(), "kid": kid}), lambda: shared_key({**OCT, "kid": kid})):
        if fits:
            assert read().kid == kid
        else:
            with pytest.raises(InvalidKey, match="kid"):
                read()


@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
def test_a_thumbprint_is_the_hash_of_the_members_in_order(alg: str) -> None:
    """RFC 7638 §3: sorted, without white space, and without what is not required."""
    jwk = key(alg).public_jwk()
    names = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}[jwk["kty"]]
    text = "{" + ",".join(f'"{name}":"{jwk[name]}"' for name in names) + "}"
    expected = b64url(hashlib.sha256(text.encode()).digest())
    assert thumbprint(jwk) == thumbprint({**jwk, "x5t": "x"}) == key(alg).kid == expected
    assert public_key({name: jwk[name] for name in jwk if name != "kid"}).kid == expected


def test_a_secrets_thumbprint_is_that_of_its_two_members() -> None:
    """RFC 7638 §3.2."""
    text = f'{{"k":"{OCT["k"]}","kty":"oct"}}'
    assert thumbprint(OCT) == shared_key(OCT).kid == b64url(hashlib.sha256(text.encode()).digest())


@pytest.mark.parametrize("jwk", [{}, {"kty": None}, {"kty": ["EC"]}, {"kty": "ec"}, {"kty": "XXECXX"}, {"kty": "EC"}])
def test_what_has_no_kind_has_no_thumbprint(jwk: dict[str, object]) -> None:
    """Or a kind, and not all of its members."""
    with pytest.raises(InvalidKey):
        thumbprint(jwk)


@pytest.mark.parametrize("crv", CURVES)
def test_a_coordinate_keeps_its_leading_zeros(crv: str) -> None:
    """RFC 7518 §6.2.1.2: as long as the field, for the keys (one in 128) whose x or y begins with a zero."""
    curve = CURVES[crv]
    size = (curve.key_size + 7) // 8
    jwks = [public_members(ec.derive_private_key(scalar, curve).public_key()) for scalar in range(1, 400)]
    assert {len(unb64url(jwk[name])) for jwk in jwks for name in ("x", "y")} == {size}
    jwk = next(one for one in jwks if unb64url(one["x"])[0] == 0)
    assert any(unb64url(one["y"])[0] == 0 for one in jwks)
    assert public_key(jwk).jwk["crv"] == crv
    for name in ("x", "y"):
        with pytest.raises(InvalidKey):
            public_key({**jwk, name: b64url(unb64url(jwk[name])[1:])})


def test_a_curve_that_is_not_ours_has_no_name() -> None:
    """And so no key on it comes in by its JWK."""
    jwk = public_members(ec.generate_private_key(ec.SECP256K1()).public_key())
    assert jwk["crv"] == ""
    with pytest.raises(InvalidKey):
        public_key(jwk)


def test_a_number_is_written_in_its_shortest_form_or_in_so_many_bytes() -> None:
    """RFC 7518 §2, and back."""
    for number in (1, 127, 128, 255, 256, 65535, 65536, 65537, 2**2047):
        text = write_uint(number)
        assert read_uint({"n": text}, "n") == number
        assert len(unb64url(text)) == (number.bit_length() + 7) // 8
    assert unb64url(write_uint(5, 4)) == b"\0\0\0\5"
    for text in ("", "AA", "AAE"):
        with pytest.raises(InvalidKey, match="not in its shortest form"):
            read_uint({"n": text}, "n")
    assert read_octets({"x": "AAE"}, "x", 2) == b"\0\1"
    for size in (1, 3):
        with pytest.raises(InvalidKey, match="wrong length"):
            read_octets({"x": "AAE"}, "x", size)


@pytest.mark.parametrize("ops", [["verify"], ["sign", "verify"], ["verify", "sign"]])
def test_a_key_that_says_it_verifies_is_taken(ops: list[str]) -> None:
    """RFC 7517 §4.3; `sign` beside it does no harm."""
    assert public_key({**key().public_jwk(), "key_ops": ops}).kid == key().kid


@pytest.mark.parametrize(
    "change",
    [
        *(
            {"key_ops": ops}
            for ops in ([], ["sign"], ["verify", "verify"], ["verify", "wrapKey"], ["verify", 5], ["verify", []])
        ),
        *({"key_ops": ops} for ops in ("verify", ("verify",), {"verify": 1}, None, ["XXverifyXX"], ["VERIFY"])),
        *({"use": use} for use in ("enc", "SIG", "", None, ["sig"])),
    ],
)
def test_a_key_that_says_otherwise_is_not(change: dict[str, object]) -> None:
    """Or says it in a way that another reader could take for something else."""
    with pytest.raises(InvalidKey):
        public_key({**key().public_jwk(), **change})
    with pytest.raises(InvalidKey):
        shared_key({**OCT, **change})


def test_no_alg_and_no_curve_is_no_algorithm() -> None:
    """And the empty one is none either."""
    for alg in (None, "", "XXXX"):
        with pytest.raises(InvalidKey):
            public_key(changed(key("RS256").public_jwk(), {"alg": ...}), alg)
    with pytest.raises(InvalidKey):
        public_key(changed(key().public_jwk(), {"alg": ..., "crv": "XXXX"}))


def test_a_public_key_with_a_secret_beside_it_is_no_secret() -> None:
    """Its kind decides, and not that there is a `k` to be found."""
    for alg in ("RS256", "ES256", "EdDSA"):
        with pytest.raises(InvalidKey, match="not an oct key"):
            shared_key({**key(alg).public_jwk(), "k": OCT["k"], "alg": "HS256"})


def test_a_secret_of_exactly_the_hash_is_long_enough() -> None:
    """RFC 7518 §3.2: the same size as the hash output or larger."""
    for alg, size in (("HS256", 32), ("HS384", 48), ("HS512", 64)):
        assert secret_key(bytes(size), alg, "c").alg == alg
        with pytest.raises(InvalidKey, match="shorter than the hash"):
            secret_key(bytes(size - 1), alg, "c")


def test_a_set_is_an_object_with_a_list() -> None:
    """Nothing that merely looks like one."""
    for document in (None, 5, "keys", [], [{"keys": []}], {"keys": ()}, {"keys": {"a": 1}}, {"KEYS": []}):
        with pytest.raises(InvalidKey, match="not a JWK set"):
            key_set(document)  # type: ignore[arg-type]  # that is the point
