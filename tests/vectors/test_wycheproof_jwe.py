"""Wycheproof on encryption and on X25519: every case ends as its file says, or as a table here says, and why."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.vectors.doors import held, opened
from tests.vectors.outside import Case, Json, Report, count, say, surprises, wycheproof
from watchword.errors import InvalidKey
from watchword.jose import jwe
from watchword.jose.b64 import b64url

SHARED = "a secret that both sides share (A…KW, A…GCMKW, dir): we only encrypt to public keys"
SHA_1 = "RSA-OAEP: with SHA-1; RSA-OAEP-256 is there"
RSA1_5 = "RSA1_5: padding that turns into an oracle (RFC 8725 §3.2)"
AES_192 = "A192GCM and A192CBC-HS384: not among the four content encryptions"

ENCRYPTION: Mapping[int, str] = {
    **dict.fromkeys((1, 23, 28, 29, 30, 31, 32, 69, 70, 71, 72, 73, 74, 75, 132, 133, 134, 135), SHARED),
    **dict.fromkeys((82, 83, 84, 85, 86, 87, 129), SHA_1),
    **dict.fromkeys((100, 101, 102, 103, 104, 105, 112, 128), RSA1_5),
    **dict.fromkeys((53, 56, 60, 61, 77, 80, 89, 92), AES_192),
}


def has_a_key(case: Case) -> bool:
    """Whether the case gets beyond the door for keys."""
    return bool(held(json.dumps(case.group["private"])))


def test_every_jwe_ends_as_the_file_or_the_table_says(vectors: Path, record_property: Report) -> None:
    """What policy keeps off is refused though valid; all else is as the file says, to the last byte of plaintext."""
    cases = wycheproof(vectors, "json_web_encryption_test")
    found = {case.number: opened(case.token, case.group["private"]) for case in cases}
    differing = [case for case in cases if (found[case.number] is not None) != case.valid]
    assert surprises(differing, ENCRYPTION) == {}
    plain = {case.number: bytes.fromhex(case.test["pt"]) for case in cases if found[case.number] is not None}
    assert plain == {number: text for number, text in found.items() if text is not None}
    tried = sum(has_a_key(case) for case in cases)
    note = f"off by policy, all of them; {tried} cases come with a key that we take"
    say(record_property, count("Wycheproof json_web_encryption_test", len(cases), differing, note))


@pytest.mark.parametrize("number", ENCRYPTION)
def test_a_row_of_the_table_names_what_its_case_has(number: int, vectors: Path) -> None:
    """A reason is not only written beside a number."""
    case = next(case for case in wycheproof(vectors, "json_web_encryption_test") if case.number == number)
    jwk, enc = case.group["private"], case.test["enc"]
    found = {
        SHARED: jwk["kty"] == "oct",
        SHA_1: jwk["alg"] == "RSA-OAEP",
        RSA1_5: jwk["alg"] == "RSA1_5",
        AES_192: enc in {"A192GCM", "A192CBC-HS384"} and has_a_key(case),
    }
    assert [why for why, holds in found.items() if holds] == [ENCRYPTION[number]]


# What becomes of an X25519 public key, by the first of these flags that its case has. The file calls all but those
# of `InvalidPublic` valid or acceptable: whether to take such a key is left to the implementation.
REFUSED: Mapping[str, str] = {
    "InvalidPublic": "not a key of X25519 at all",
    "ZeroSharedSecret": "a small order: what is agreed is zero, whoever asks (RFC 7748 §6.1)",
    "NonCanonicalPublic": "2^255 - 19 or more: RFC 7748 §5 would read it as another key, but a key has one spelling",
}
PLAINTEXT = b"agreed"
AGREED = {"alg": "ECDH-ES", "enc": "A128GCM"}


def derived(shared: bytes) -> bytes:
    """The Concat KDF for A128GCM without parties (RFC 7518 §4.6.2): one round of SHA-256."""

    def counted(text: bytes) -> bytes:
        return len(text).to_bytes(4, "big") + text

    info = counted(AGREED["enc"].encode()) + counted(b"") + counted(b"") + (128).to_bytes(4, "big")
    return hashlib.sha256((1).to_bytes(4, "big") + shared + info).digest()[:16]


def sealed(shared: bytes, epk: Json) -> str:
    """A JWE as whoever agreed on `shared` with the ephemeral key `epk` would make it (RFC 7516 §5.1)."""
    header, iv = b64url(json.dumps({**AGREED, "epk": epk}).encode()), bytes(12)
    both = AESGCM(derived(shared)).encrypt(iv, PLAINTEXT, header.encode())
    return ".".join((header, "", b64url(iv), b64url(both[:-16]), b64url(both[-16:])))


def fate(case: Case) -> str:
    return next((REFUSED[flag] for flag in REFUSED if flag in case.test["flags"]), "")


def is_taken(epk: Json) -> bool:
    try:
        jwe.encryption_key(epk, AGREED["alg"])
    except InvalidKey:
        return False
    return True


def test_every_agreement_on_x25519_opens_or_is_refused_for_its_reason(vectors: Path, record_property: Report) -> None:
    """The opener reaches the file's shared secret, and refuses keys that would give none."""
    cases = wycheproof(vectors, "x25519_jwk_test")
    tokens = {case.number: sealed(bytes.fromhex(case.test["shared"]), case.test["public"]) for case in cases}
    found = {case.number: opened(tokens[case.number], case.test["private"], AGREED["alg"]) for case in cases}
    assert set(found.values()) == {PLAINTEXT, None}
    assert {case.number for case in cases if found[case.number] is None} == {
        case.number for case in cases if fate(case)
    }
    assert not any(fate(case) for case in cases if case.valid)
    ends = Counter((case.test["result"], "opened" if found[case.number] else "refused") for case in cases)
    said = ", ".join(f"{number} {result} {end}" for (result, end), number in sorted(ends.items(), reverse=True))
    say(record_property, f"Wycheproof x25519_jwk_test: {len(cases)} cases: {said}")


def test_a_public_key_is_taken_to_encrypt_to_just_when_it_is_taken_from_a_token(vectors: Path) -> None:
    """Both doors know the same keys; three are good ones, of other curves than the private key's."""
    cases = wycheproof(vectors, "x25519_jwk_test")
    taken = {case.number for case in cases if is_taken(case.test["public"])}
    assert taken - {case.number for case in cases if not fate(case)} == {519, 520, 521}
    assert {case.number for case in cases if not fate(case)} <= taken


def test_a_secret_that_is_off_by_one_bit_does_not_open(vectors: Path) -> None:
    """The test above would notice an opener that takes anything."""
    case = wycheproof(vectors, "x25519_jwk_test")[0]
    shared = bytes.fromhex(case.test["shared"])
    other = bytes((shared[0] ^ 1, *shared[1:]))
    assert opened(sealed(shared, case.test["public"]), case.test["private"], AGREED["alg"]) == PLAINTEXT
    assert opened(sealed(other, case.test["public"]), case.test["private"], AGREED["alg"]) is None
