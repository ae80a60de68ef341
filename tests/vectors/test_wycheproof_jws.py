"""Wycheproof on signatures and on keys for them: every case ends as its file says, or as a table here says, and why."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.vectors.doors import LIMIT, TYPES, alone, opened, trusted, verified
from tests.vectors.outside import Case, Json, Report, count, say, surprises, wycheproof
from watchword.errors import InvalidKey, UnknownKey
from watchword.jose import jws
from watchword.jose.b64 import b64url
from watchword.jose.jwk import key_set, public_key, shared_key

PS384_KEY = "the key says PS256 and the token PS384: a key is for one algorithm (the file checks this on PS512 keys)"
ES521 = "the key says ES521, which is no algorithm (RFC 7518 §3.1 has ES512 for P-521)"
QUESTION_MARK = "a '?' inside base64url (RFC 7515 §2); in the signature the file refuses it too (361)"
TWIN = "byte for byte case 357, which is valid: the padding that it speaks of got lost (wycheproof issue 236)"

SIGNATURES: Mapping[int, str] = {
    346: PS384_KEY,
    347: ES521,
    350: PS384_KEY,
    351: ES521,
    367: TWIN,
    370: TWIN,
    372: QUESTION_MARK,
    373: QUESTION_MARK,
}
TWINS = "those two repeat the valid 357 byte for byte; with the padding that they speak of, 395 agree"
WRAPPED = "A256KW: a key wrapped under a shared secret; we only encrypt to public keys"

FILES: Mapping[str, Mapping[int, str]] = {
    "json_web_signature_test": SIGNATURES,
    "json_web_key_test": {},
    "json_web_crypto_test": {50: WRAPPED},
}


def accepted(case: Case) -> bool:
    """Whether the case's token comes through, with the content that it has; only refusals count as a no."""
    if "jwe" in case.test:
        return opened(case.token, case.group["private"]) == b"foo"
    payload = verified(case.token, case.group)
    return payload is not None and payload == urlsafe_b64decode(case.token.split(".")[1] + "==")


@pytest.mark.parametrize("name", FILES)
def test_every_case_ends_as_the_file_or_the_table_says(name: str, vectors: Path, record_property: Report) -> None:
    """Any difference is a row with its reason, and any row is a difference."""
    cases = wycheproof(vectors, name)
    differing = [case for case in cases if accepted(case) != case.valid]
    assert surprises(differing, FILES[name]) == {}
    note = TWINS if FILES[name] is SIGNATURES else ""
    say(record_property, count(f"Wycheproof {name}", len(cases), differing, note))


def other_alg(alg: str) -> Callable[[Case], tuple[str, Json]]:
    return lambda case: (case.token, {"public": {**case.group["public"], "alg": alg}})


def no_question_mark(case: Case) -> tuple[str, Json]:
    return case.token.replace("?", ""), case.group


@pytest.mark.parametrize(
    ("number", "mended"),
    [
        (346, other_alg("PS384")),
        (347, other_alg("ES512")),
        (350, other_alg("PS384")),
        (351, other_alg("ES512")),
        (372, no_question_mark),
        (373, no_question_mark),
    ],
)
def test_a_case_that_we_refuse_has_nothing_else_wrong(
    number: int, mended: Callable[[Case], tuple[str, Json]], vectors: Path
) -> None:
    """With the one thing mended that its row names, the token verifies."""
    case = next(case for case in wycheproof(vectors, "json_web_signature_test") if case.number == number)
    assert verified(case.token, case.group) is None
    assert verified(*mended(case)) is not None


@pytest.mark.parametrize("number", [367, 370])
def test_the_padding_that_two_cases_have_lost_is_refused(number: int, vectors: Path) -> None:
    """367 and 370 are called invalid for padding that their text does not have: with it, wherever, we refuse them."""
    cases = {case.number: case for case in wycheproof(vectors, "json_web_signature_test")}
    case, secret = cases[number], shared_key(cases[357].group["private"])
    assert (case.token, case.group) == (cases[357].token, cases[357].group)
    header, payload, _ = case.token.split(".")
    for signed in (f"{header}.{payload}", f"{header}=.{payload}", f"{header}====.{payload}", f"{header}.{payload}=="):
        token = f"{signed}.{b64url(secret.sign(signed.encode()))}"
        assert (verified(token, case.group) is None) is ("=" in signed)
        assert verified(f"{token}=", case.group) is None


@pytest.mark.parametrize(("number", "fault"), [(1, "not an oct key"), (4, "two secrets of one kid")])
def test_a_set_of_secrets_that_says_two_things_is_refused_whole(number: int, fault: str, vectors: Path) -> None:
    """Mixed with a public key, or two of one `kid`. (One `k` of case 4 has unused bits set, and is mended here.)"""
    case = next(case for case in wycheproof(vectors, "json_web_key_test") if case.number == number)
    keys = [{**jwk, "k": one_spelling(jwk["k"])} if "k" in jwk else jwk for jwk in case.group["private"]["keys"]]
    with pytest.raises(InvalidKey, match=fault):
        trusted({"private": {"keys": keys}})
    for jwk in keys:
        assert trusted({"private" if "k" in jwk else "public": {"keys": [jwk]}})


def one_spelling(text: str) -> str:
    return b64url(urlsafe_b64decode(text + "=="))


@pytest.mark.parametrize(("number", "alg"), [(353, "RS256"), (354, "ES256"), (355, "RS256"), (356, "ES256")])
def test_a_key_for_encryption_is_refused_for_that_alone(number: int, alg: str, vectors: Path) -> None:
    """These keys name no `alg` either: it is `use` and `key_ops` that refuse them, and without those they verify."""
    case = next(case for case in wycheproof(vectors, "json_web_signature_test") if case.number == number)
    jwk = case.group["public"]
    with pytest.raises(InvalidKey, match=r"not for signatures|key_ops"):
        public_key(jwk, alg)
    unbound = {name: value for name, value in jwk.items() if name not in {"use", "key_ops"}}
    jws.verify(case.token, alone(public_key(unbound, alg)), TYPES, LIMIT)


def test_no_secret_comes_out_of_a_published_set(vectors: Path) -> None:
    """Sets that mix secrets and public keys: as a published set they give only the public ones."""
    secrets = [case for case in wycheproof(vectors, "json_web_key_test") if "public" not in case.group]
    assert len(secrets) == 15
    for case in secrets:
        published = key_set(case.group["private"])
        assert {key.alg for key in published.values()} <= {"ES256"}
        with pytest.raises(UnknownKey):
            jws.verify(case.token, published, TYPES, LIMIT)
