"""Compact JWS: every algorithm, and every known way to cheat."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from tests.attacks.attack import Attack
from tests.attacks.envelope import ATTACKS, LIMIT, P256_ORDER, paired, with_pair
from tests.sdk.minting import ASYMMETRIC, Mint, header, key, token, trusted
from watchword.errors import BadSignature, InvalidToken, Malformed, UnknownKey, WrongType
from watchword.jose import jws
from watchword.jose.b64 import b64url, unb64url
from watchword.jose.jwk import public_key, secret_key

TYPES = ("at+jwt",)
PAYLOAD = b'{"a":1}'
MINT = Mint()


def verify(text: str | bytes, *algs: str) -> tuple[str, bytes]:
    """Verify against the keys of these algorithms (ES256 when none is named)."""
    keys = {found.kid: found for found in map(trusted, algs or ("ES256",))}
    return jws.verify(text, keys, TYPES, LIMIT)


@pytest.mark.parametrize("alg", ASYMMETRIC)
def test_every_algorithm_verifies_what_it_signed(alg: str) -> None:
    """And nothing that was changed since (RFC 7518 §3.1, RFC 8037 §3.1); leading zeros of r and s come by chance."""
    seal = jws.signer(key(alg), "at+jwt")
    for number in range(3 if alg[0] in "RP" else 300):
        text = seal(b'{"a":%d}' % number)
        assert verify(text, alg) == verify(text.encode(), *ASYMMETRIC) == ("at+jwt", b'{"a":%d}' % number)
    head, body, signature = seal(b"{}").split(".")
    for broken in (f"{head}.{body}.{_flipped(signature)}", f"{head}.{b64url(PAYLOAD)}.{signature}"):
        with pytest.raises(BadSignature):
            verify(broken, alg)


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_a_shared_secret_verifies_where_it_is_asked_for(alg: str) -> None:
    """HMAC is for clients that sign with their own secret (RFC 7518 §3.2), by a key made for it on purpose."""
    secret = secret_key(bytes(range(64)), alg, "client-1")
    text = jws.signer(secret, "jwt")(PAYLOAD)
    assert jws.verify(text, {"client-1": secret}, ("jwt",), LIMIT) == ("jwt", PAYLOAD)
    other = secret_key(bytes(64), alg, "client-1")
    for keys in ({"client-1": other}, {"client-1": trusted()}):
        with pytest.raises(InvalidToken):
            jws.verify(text, keys, ("jwt",), LIMIT)


def _flipped(signature: str) -> str:
    raw = bytearray(unb64url(signature))
    raw[len(raw) // 3] ^= 1
    return b64url(bytes(raw))


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_an_attack_on_the_envelope_is_refused(attack: Attack) -> None:
    """With its typed refusal (RFC 7515, RFC 8725). tests/attacks shows the same to the whole verifier."""
    with pytest.raises(attack.refusal):
        verify(attack.forge(MINT), "RS256", "ES256", "EdDSA")


def test_what_is_no_extension_is_not_looked_at() -> None:
    """A header may bring its own key material: a good signature of the named key stays good, theirs is not asked."""
    extras = {"jwk": key("ES384").public_jwk(), "jku": "http://127.0.0.1:1/", "x5c": ["x"], "x5u": 5, "cty": "JWT"}
    assert verify(token(header(**extras), PAYLOAD)) == ("at+jwt", PAYLOAD)


def test_a_small_order_key_verifies_nothing() -> None:
    """Under the identity point every message has the signature (identity, 0): such a key does not come in."""
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64url(b"\1" + bytes(31))}
    with pytest.raises(Exception, match="small order"):
        public_key(jwk)


def test_the_high_s_twin_is_another_text_for_the_same_token() -> None:
    """It may verify, so nothing may be revoked or remembered by a token's text alone (RFC 7515 knows no low-s)."""
    twin = with_pair(token(), lambda r, s: paired(r, P256_ORDER - s))
    assert verify(twin)[1] == verify(token())[1]


@pytest.mark.parametrize("alg", ["ES256", "ES384", "ES512"])
def test_the_raw_form_is_that_of_the_library(alg: str) -> None:
    """Our DER is what the library reads and writes, leading zeros and high bits included."""
    private = serialization.load_der_private_key(key(alg).pkcs8(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    size = (private.key_size + 7) // 8
    scheme = ec.ECDSA({"ES256": hashes.SHA256(), "ES384": hashes.SHA384(), "ES512": hashes.SHA512()}[alg])
    for number in range(300):
        message = str(number).encode()
        r, s = decode_dss_signature(private.sign(message, scheme))
        trusted(alg).verify(message, r.to_bytes(size, "big") + s.to_bytes(size, "big"))


def test_a_short_r_or_s_verifies() -> None:
    """A value with leading zeros (one signature in 128) keeps its place; both are among these."""
    short = set()
    for number in range(10_000):
        message = str(number).encode()
        signature = key().sign(message)
        for half in (0, 32):
            if signature[half] == 0:
                trusted().verify(message, signature)
                short.add(half)
        if len(short) == 2:
            return
    pytest.fail("10,000 signatures and no leading zero: the signer does not keep the fields' length")


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "At+Jwt"])
def test_a_media_type_does_not_mind_the_case(typ: str) -> None:
    """RFC 7515 §4.1.9 and RFC 2045 §5.1; the answer is in lower case."""
    assert verify(token(header(typ=typ), PAYLOAD)) == ("at+jwt", PAYLOAD)


def test_a_media_type_is_ascii() -> None:
    """U+212A lowers to k: what only looks like a type is none."""
    with pytest.raises(WrongType):
        jws.verify(token(header(typ="to\u212aen+jwt"), PAYLOAD), {key().kid: trusted()}, ("token+jwt",), LIMIT)


def test_a_token_without_kid_or_typ_needs_a_caller_that_says_so() -> None:
    """Both as the empty string: nothing is found by leaving something out."""
    text = token({"alg": "ES256"}, PAYLOAD)
    with pytest.raises(WrongType):
        jws.verify(text, {"": trusted()}, TYPES, LIMIT)
    with pytest.raises(UnknownKey):
        jws.verify(text, {key().kid: trusted()}, ("",), LIMIT)
    assert jws.verify(text, {"": trusted()}, ("",), LIMIT) == ("", PAYLOAD)


def test_the_limit_is_the_callers() -> None:
    """Access tokens end at 16 KiB, a feed's snapshot may be large; the header stays small in both."""
    text = token(body=b"x" * 100_000)
    assert jws.verify(text, {key().kid: trusted()}, TYPES, len(text))[1] == b"x" * 100_000
    for limit in (len(text) - 1, 0):
        with pytest.raises(Malformed, match="too long"):
            jws.verify(text, {key().kid: trusted()}, TYPES, limit)


def test_a_signer_writes_the_three_members() -> None:
    """`alg`, `kid` and `typ`, in this order and nothing else, so that a verifier knows the header by heart."""
    head = unb64url(jws.signer(key(), "at+jwt")(PAYLOAD).split(".")[0])
    assert head == b'{"alg":"ES256","kid":"%b","typ":"at+jwt"}' % key().kid.encode()


@given(st.one_of(st.text(max_size=80), st.binary(max_size=80), st.text(alphabet="ab-_.=", max_size=40)))
def test_any_text_is_refused_with_one_kind_of_error(text: str | bytes) -> None:
    """Whatever the bytes."""
    with pytest.raises(InvalidToken):
        verify(text)


@given(st.integers(0, 2**31), st.integers(0, 127), st.sampled_from(["replace", "insert", "delete"]))
def test_no_mutation_of_a_good_token_is_accepted(place: int, byte: int, how: str) -> None:
    """One character changed, inserted or left out: the same token or a refusal."""
    good = GOOD.encode()
    place %= len(good)
    rest = good[place:] if how == "insert" else good[place + 1 :]
    mutated = good[:place] + (b"" if how == "delete" else bytes([byte])) + rest
    if mutated == good:
        return
    with pytest.raises(InvalidToken):
        verify(mutated)


GOOD = token()


def test_the_rfcs_own_tokens_verify(vectors: Path) -> None:
    """RFC 7515 A.1 (HMAC) and RFC 8037 A.4 (Ed25519), which have neither `kid` nor `at+jwt`."""
    cases = [case for case in json.loads((vectors / "rfc_examples.json").read_text())["cases"] if case["kind"] == "jws"]
    assert {case["jwk"]["kty"] for case in cases} == {"OKP", "oct"}
    for case in cases:
        jwk = {name: value for name, value in case["jwk"].items() if name != "d"}
        known = secret_key(unb64url(jwk["k"]), "HS256", "") if jwk["kty"] == "oct" else public_key(jwk)
        _, payload = jws.verify(case["token"], {"": known}, ("", "jwt"), LIMIT)
        assert payload == case.get("payload", payload.decode()).encode()
