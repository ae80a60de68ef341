"""The cookbook of RFC 7520, with its examples of RFC 7797 and of Curve25519: every one of them, through our doors.

An example that we do not read stands in a table here with its reason, and the tables are exact.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests.vectors.doors import LIMIT, TYPES, alone, opened
from tests.vectors.outside import Json, Report, cookbook, say
from watchword.errors import BadSignature, InvalidKey, InvalidToken, WrongType
from watchword.jose import jwe, jws
from watchword.jose.b64 import b64url, unb64url
from watchword.jose.jwk import PublicKey, SecretKey, SigningKey, public_key, shared_key, thumbprint

Where = tuple[str, str]
"""An example and one of its serializations."""

JSON_FORM = "a JSON serialization: only the compact one is read"
DETACHED = "detached content: the token says nothing of what was signed"
UNENCODED = "b64=false: the payload is not encoded"
SHARED = "a secret that both sides share: we only encrypt to public keys"
PBES2 = "PBES2: a password, and work that the sender chooses"
RSA1_5 = "RSA1_5: padding that turns into an oracle"
SHA_1 = "RSA-OAEP: with SHA-1"

UNREAD_JWS: Mapping[str, str] = {"jws/4_5": DETACHED, "rfc7797/hmac-sha2_b64_false": UNENCODED}
UNREAD_JWE: Mapping[str, str] = {
    "6 encrypt": SHA_1,
    "jwe/5_1": RSA1_5,
    "jwe/5_2": SHA_1,
    "jwe/5_3": PBES2,
    "jwe/5_6": SHARED,
    "jwe/5_7": SHARED,
    "jwe/5_8": SHARED,
    "jwe/5_9": SHARED,
}
"""Compact ones by example; JSON_FORM is the reason of all the others."""

WRONG_SIGNINGS: Mapping[str, str] = {
    "rfc7797/hmac-sha2_b64_false": "its `sig` is that of the file beside it; the tokens under `output` are right"
}
ALWAYS_THE_SAME = ("HS256", "RS256", "EdDSA")
"""The others sign with chance, so that no signature comes twice."""

PRIVATE = ("d", "p", "q", "dp", "dq", "qi")


class Signing(NamedTuple):
    """One signature of an example: what is signed, and with which key."""

    example: str
    message: bytes
    signature: bytes
    jwk: Json
    alg: str


def examples(vectors: Path, member: str) -> dict[str, Json]:
    """The examples that have such a member; that of nesting is two."""
    found = cookbook(vectors)
    nested = found.pop("6")
    found |= {"6 sign": nested["sign"], "6 encrypt": nested["encrypt"]}
    return {name: example for name, example in found.items() if member in example}


def outputs(example: Json) -> Iterator[tuple[str, str]]:
    for form, output in example["output"].items():
        yield form, output if form == "compact" else json.dumps(output)


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def public_half(jwk: Json) -> Json:
    return {name: value for name, value in jwk.items() if name not in PRIVATE}


def verifying(jwk: Json, alg: str) -> PublicKey | SecretKey:
    return shared_key(jwk, alg) if "k" in jwk else public_key(public_half(jwk), alg)


def signing(jwk: Json, alg: str) -> SigningKey | SecretKey:
    return shared_key(jwk, alg) if "k" in jwk else SigningKey.load(pkcs8(jwk), alg)


def pkcs8(jwk: Json) -> bytes:
    """A private JWK in the form that a SigningKey is kept in."""
    number = {name: int.from_bytes(unb64url(jwk[name])) for name in (*PRIVATE, "n", "e") if name in jwk}
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
    if jwk["kty"] == "RSA":
        public = rsa.RSAPublicNumbers(number["e"], number["n"])
        p, q, d, dp, dq, qi = (number[name] for name in ("p", "q", "d", "dp", "dq", "qi"))
        key = rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, public).private_key()
    elif jwk["kty"] == "EC":
        key = ec.derive_private_key(number["d"], ec.SECP521R1())
    else:
        key = ed25519.Ed25519PrivateKey.from_private_bytes(unb64url(jwk["d"]))
    der, form, plain = serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(der, form, plain)


def signings(vectors: Path) -> list[Signing]:
    return [
        Signing(name, part["sig-input"].encode(), unb64url(part["sig"]), jwk, alg)
        for name, example in examples(vectors, "signing").items()
        for part, jwk, alg in zip(
            as_list(example["signing"]),
            as_list(example["input"]["key"]),
            as_list(example["input"]["alg"]),
            strict=True,
        )
    ]


def payload_of(token: str, example: Json) -> str | None:
    """What the example's key has signed; of several keys the first."""
    jwk, alg = as_list(example["input"]["key"])[0], as_list(example["input"]["alg"])[0]
    try:
        return jws.verify(token, alone(verifying(jwk, alg)), TYPES, LIMIT)[1].decode()
    except InvalidToken:
        return None


def plaintext_of(token: str, example: Json) -> str | None:
    asked = example["input"]
    jwk = as_list(asked["key"])[0] if "key" in asked else {"kty": "oct", "k": b64url(asked["pwd"].encode())}
    found = opened(token, jwk, as_list(asked["alg"])[0])
    return None if found is None else found.decode()


def reason(where: Where, unread: Mapping[str, str]) -> str | None:
    name, form = where
    return unread.get(name) if form == "compact" else JSON_FORM


def said(what: str, found: Mapping[Where, str | None], unread: Mapping[str, str]) -> str:
    reasons = Counter(str(reason(where, unread)) for where, text in found.items() if text is None)
    listed = ", ".join(f"{number} {why.partition(':')[0]}" for why, number in reasons.most_common())
    read = sum(text is not None for text in found.values())
    return f"RFC 7520 cookbook, {what}: {len(found)} tokens, {read} read, {len(found) - read} not: {listed}"


@pytest.mark.parametrize(
    ("what", "member", "unread"), [("JWS", "signing", UNREAD_JWS), ("JWE", "encrypting_content", UNREAD_JWE)]
)
def test_every_token_is_read_or_stands_in_the_table(
    what: str, member: str, unread: Mapping[str, str], vectors: Path, record_property: Report
) -> None:
    """With the payload or plaintext of the example, in each of its serializations."""
    read, content = (payload_of, "payload") if what == "JWS" else (plaintext_of, "plaintext")
    all_of = examples(vectors, member)
    found = {(name, form): read(token, example) for name, example in all_of.items() for form, token in outputs(example)}
    expected = {where: None if reason(where, unread) else all_of[where[0]]["input"][content] for where in found}
    assert found == expected
    assert {(name, "compact") for name in unread} <= set(found)
    say(record_property, said(what, found, unread))


def test_every_signature_belongs_to_its_message(vectors: Path) -> None:
    """Also those of the examples whose serialization we do not read."""
    for case in signings(vectors):
        key = verifying(case.jwk, case.alg)
        if case.example in WRONG_SIGNINGS:
            with pytest.raises(BadSignature):
                key.verify(case.message, case.signature)
        else:
            key.verify(case.message, case.signature)
        with pytest.raises(BadSignature):
            key.verify(case.message + b" ", case.signature)


def test_every_signature_is_made_again(vectors: Path, record_property: Report) -> None:
    """Byte for byte, or where chance is in it as another one that verifies."""
    same = 0
    for case in signings(vectors):
        made = signing(case.jwk, case.alg).sign(case.message)
        verifying(case.jwk, case.alg).verify(case.message, made)
        as_before = case.alg in ALWAYS_THE_SAME and case.example not in WRONG_SIGNINGS
        assert (made == case.signature) is as_before, case.example
        same += as_before
    number, wrong = len(signings(vectors)), len(WRONG_SIGNINGS)
    line = f"{number}, {number - wrong} verify, {wrong} is that of another file; {same} are made again byte for byte"
    say(record_property, f"RFC 7520 cookbook, signatures: {line}")


def test_what_the_b64_example_signs_verifies_but_never_as_a_token(vectors: Path) -> None:
    """RFC 7797: the signature is good, and it is `b64` that refuses the token, also where its payload is base64url."""
    example = examples(vectors, "signing")["rfc7797/hmac-sha2_b64_false"]
    key = shared_key(example["input"]["key"])
    message, _, signature = example["output"]["compact"].rpartition(".")
    key.verify(message.encode(), unb64url(signature))
    message = f"{message.partition('.')[0]}.dGV4dA"
    with pytest.raises(WrongType, match="extension"):
        jws.verify(f"{message}.{b64url(key.sign(message.encode()))}", alone(key), TYPES, LIMIT)


def test_the_keys_go_through_the_doors_that_they_are_made_for(vectors: Path) -> None:
    """§3: public, private and symmetric, each refused at the doors of the others."""
    keys = {name.partition("/")[2]: jwk for name, jwk in cookbook(vectors).items() if name.startswith("jwk/")}
    assert set(keys) == {"3_1", "3_2", "3_3", "3_4", "3_5", "3_6"}
    doors: Mapping[str, Callable[[Json], object]] = {
        "public": lambda jwk: public_key(jwk, "RS256" if jwk["kty"] == "RSA" else None),
        "shared": shared_key,
        "encrypt": lambda jwk: jwe.encryption_key(jwk, "RSA-OAEP-256" if jwk["kty"] == "RSA" else "ECDH-ES"),
        "decrypt": lambda jwk: jwe.decryption_key(jwk, "RSA-OAEP-256" if jwk["kty"] == "RSA" else "ECDH-ES"),
    }
    open_to = {number: [name for name, door in doors.items() if not refuses(door, jwk)] for number, jwk in keys.items()}
    # 3.2 and 3.4 are private signature keys, 3.6 is a secret for A256GCM: a signing key is loaded from PKCS #8 only,
    # and nothing is encrypted under a shared secret.
    assert open_to == {"3_1": ["public"], "3_2": [], "3_3": ["public"], "3_4": [], "3_5": ["shared"], "3_6": []}
    with pytest.raises(InvalidKey, match="no algorithm"):
        public_key(keys["3_3"])  # an RSA key that names no algorithm does for none


@pytest.mark.parametrize(
    ("public", "private", "alg"), [("jwk/3_1", "jwk/3_2", "ES512"), ("jwk/3_3", "jwk/3_4", "PS512")]
)
def test_the_private_keys_sign_what_their_public_keys_verify(
    public: str, private: str, alg: str, vectors: Path
) -> None:
    """§3.1 to §3.4: two halves of a key have one name."""
    keys = cookbook(vectors)
    signer, verifier = signing(keys[private], alg), public_key(keys[public], alg)
    assert signer.kid == verifier.thumbprint == thumbprint(keys[public])
    token = jws.signer(signer, "JWT")(b"{}")
    assert jws.verify(token, {signer.kid: verifier}, ("jwt",), LIMIT) == ("jwt", b"{}")


def test_the_nested_example_works_with_the_algorithms_that_we_have(vectors: Path) -> None:
    """§6 with RSA-OAEP-256 for RSA-OAEP: the same keys, signed inside, encrypted outside."""
    found = examples(vectors, "output")
    inner, asked = found["6 sign"], found["6 encrypt"]["input"]
    jwk = {**asked["key"], "alg": "RSA-OAEP-256"}
    outer = jwe.encrypt(asked["plaintext"].encode(), jwe.encryption_key(public_half(jwk)), asked["enc"], "JWT")
    assert opened(outer, jwk) == inner["output"]["compact"].encode()
    assert payload_of(asked["plaintext"], inner) == inner["input"]["payload"]


def refuses(door: Callable[[Json], object], jwk: Json) -> bool:
    try:
        door(jwk)
    except InvalidKey:
        return True
    return False
