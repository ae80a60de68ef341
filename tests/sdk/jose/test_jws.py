"""Compact JWS: every algorithm, and every known way to cheat (group A of the attack catalogue, by its lines)."""

from __future__ import annotations

import hmac
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from tests.sdk.minting import ASYMMETRIC, header, key, sealed, token, trusted
from watchword.errors import BadSignature, InvalidToken, Malformed, UnknownKey, WrongType
from watchword.jose import jws
from watchword.jose.b64 import b64url, unb64url
from watchword.jose.jwk import public_key, secret_key

TYPES = ("at+jwt",)
LIMIT = 16 * 1024
PAYLOAD = b'{"a":1}'
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493


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


def _split(text: str) -> tuple[str, bytes]:
    signed, _, signature = text.rpartition(".")
    return signed, unb64url(signature)


def _resigned(change: object) -> str:
    """A good token whose r and s went through a function from (r, s) to the new signature."""
    signed, raw = _split(token())
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    return f"{signed}.{b64url(change(r, s))}"  # type: ignore[operator]  # a function, as the docstring says


def _raw(r: int, s: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _ed25519_plus_order() -> str:
    signed, raw = _split(token(alg="EdDSA"))
    s = int.from_bytes(raw[32:], "little") + ED25519_ORDER
    return f"{signed}.{b64url(raw[:32] + s.to_bytes(32, 'little'))}"


def _hmac_with(secret: bytes, alg: str = "RS256") -> str:
    head = b64url(json.dumps({**header(alg), "alg": "HS256"}).encode())
    signed = f"{head}.{b64url(PAYLOAD)}"
    return f"{signed}.{b64url(hmac.digest(secret, signed.encode(), 'sha256'))}"


def _public_bytes(encoding: serialization.Encoding) -> bytes:
    private = serialization.load_der_private_key(key("RS256").pkcs8(), None)
    return private.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)


def _with_another_key() -> dict[str, object]:
    """A header that brings its own key, and would verify with it."""
    return header(jwk=key("ES384").public_jwk())


def _part(index: int, change: object) -> str:
    parts = token().split(".")
    parts[index] = change(parts[index])  # type: ignore[operator]  # a function from text to text
    return ".".join(parts)


_STANDARD = str.maketrans("-_", "+/")
_P256_KID = key().kid

ATTACKS = {
    # alg none / None / nOnE / missing / null / list
    "alg none": (token(header(alg="none")), WrongType),
    "alg None": (token(header(alg="None")), WrongType),
    "alg nOnE": (token(header(alg="nOnE")), WrongType),
    "alg none, empty signature": (token(header(alg="none")).rpartition(".")[0] + ".", WrongType),
    "alg missing": (token(header(alg=...)), WrongType),
    "alg null": (token(header(alg=None)), WrongType),
    "alg list": (token(header(alg=["ES256"])), WrongType),
    "alg in lower case": (token(header(alg="es256")), WrongType),
    # HS256 keyed with RSA/EC public key (PEM, DER, JWK, n)
    "HS256 keyed with PEM": (_hmac_with(_public_bytes(serialization.Encoding.PEM)), WrongType),
    "HS256 keyed with DER": (_hmac_with(_public_bytes(serialization.Encoding.DER)), WrongType),
    "HS256 keyed with JWK": (_hmac_with(json.dumps(key("RS256").public_jwk()).encode()), WrongType),
    "HS256 keyed with n": (_hmac_with(unb64url(key("RS256").public_jwk()["n"])), WrongType),
    # header alg allowed, signature made with another alg
    "PS256 signature under RS256": (
        sealed(json.dumps(header("RS256")).encode(), PAYLOAD, "PS256"), BadSignature,
    ),
    "header alg of another key": (token(header(alg="ES384"), alg="ES384"), WrongType),
    "header alg PS256 of an RS256 key": (token({**header("RS256"), "alg": "PS256"}, alg="RS256"), WrongType),
    # embedded jwk / x5c, jku / x5u
    "embedded jwk": (token(_with_another_key(), alg="ES384"), BadSignature),
    "embedded jwk, its own kid": (token({**_with_another_key(), "kid": key("ES384").kid}, alg="ES384"), UnknownKey),
    "jku": (token(header(kid="other", jku="http://127.0.0.1:1/jwks.json")), UnknownKey),
    "x5u": (token(header(kid="other", x5u="http://127.0.0.1:1/chain.pem")), UnknownKey),
    "x5c": (token(header(kid="other", x5c=["MIIB"])), UnknownKey),
    # kid path traversal, SQL, NUL, URL, 100 kB, list
    "kid path": (token(header(kid="../../../../dev/null")), UnknownKey),
    "kid SQL": (token(header(kid="x' UNION SELECT 'secret")), UnknownKey),
    "kid NUL": (token(header(kid=f"{_P256_KID}\0")), UnknownKey),
    "kid URL": (token(header(kid="https://evil.example/key")), UnknownKey),
    "kid 100 kB": (token(header(kid="k" * 100_000)), Malformed),
    "kid 5 kB": (token(header(kid="k" * 5_000)), Malformed),
    "kid list": (token(header(kid=[_P256_KID])), UnknownKey),
    "kid object": (token(header(kid={"kid": _P256_KID})), UnknownKey),
    "kid null": (token(header(kid=None)), UnknownKey),
    "kid missing": (token(header(kid=...)), UnknownKey),
    "kid empty": (token(header(kid="")), UnknownKey),
    "kid case": (token(header(kid=_P256_KID.swapcase())), UnknownKey),
    # crit unknown / empty / non-list / duplicates / registered names
    "crit unknown": (token(header(crit=["exp"], exp=1)), WrongType),
    "crit empty": (token(header(crit=[])), WrongType),
    "crit non-list": (token(header(crit="exp")), WrongType),
    "crit null": (token(header(crit=None)), WrongType),
    "crit duplicates": (token(header(crit=["b64", "b64"], b64=True)), WrongType),
    "crit registered names": (token(header(crit=["alg", "kid", "typ"])), WrongType),
    # b64=false, with or without crit
    "b64=false": (token(header(b64=False)), WrongType),
    "b64=false with crit": (token(header(b64=False, crit=["b64"])), WrongType),
    "b64=true": (token(header(b64=True)), WrongType),
    # r=s=0, r or s >= n, DER signature, wrong length
    "r=s=0": (_resigned(lambda r, s: bytes(64)), BadSignature),
    "r=0": (_resigned(lambda r, s: _raw(0, s)), BadSignature),
    "s=0": (_resigned(lambda r, s: _raw(r, 0)), BadSignature),
    "r=n": (_resigned(lambda r, s: _raw(P256_ORDER, s)), BadSignature),
    "s=n": (_resigned(lambda r, s: _raw(r, P256_ORDER)), BadSignature),
    "r=s=n": (_resigned(lambda r, s: _raw(P256_ORDER, P256_ORDER)), BadSignature),
    "r and s all ones": (_resigned(lambda r, s: b"\xff" * 64), BadSignature),
    "DER signature": (_resigned(lambda r, s: b"\x30\x46" + _raw(r, s)), BadSignature),
    "a byte more": (_resigned(lambda r, s: _raw(r, s) + b"\0"), BadSignature),
    "a byte less": (_resigned(lambda r, s: _raw(r, s)[:-1]), BadSignature),
    "r and s swapped": (_resigned(lambda r, s: _raw(s, r)), BadSignature),
    # EdDSA S+L
    "EdDSA S+L": (_ed25519_plus_order(), BadSignature),
    # zero-length / truncated signature
    "zero-length signature": (_part(2, lambda part: ""), BadSignature),
    "truncated signature": (_part(2, lambda part: part[:40]), BadSignature),
    # duplicate JSON members (header or claims)
    "duplicate header member": (
        sealed(b'{"alg":"ES256","kid":"%b","typ":"x","typ":"at+jwt"}' % _P256_KID.encode(), PAYLOAD), Malformed,
    ),
    # non-canonical base64url, padding, whitespace, std alphabet
    "padding in the signature": (_part(2, lambda part: part + "=="), Malformed),
    "padding in the payload": (_part(1, lambda part: part + "="), BadSignature),
    "padding in the header": (_part(0, lambda part: part + "="), Malformed),
    "white space before": (" " + token(), Malformed),
    "white space after": (token() + "\n", Malformed),
    "white space inside": (_part(2, lambda part: part[:9] + " " + part[9:]), Malformed),
    "unused bits in the signature": (_part(2, lambda part: part[:-1] + chr(ord(part[-1]) + 1)), Malformed),
    "not ASCII": (_part(1, lambda part: part + "é"), Malformed),
    "lone surrogate": (_part(1, lambda part: part + "\udcff"), Malformed),
    # trailing data, BOM, UTF-16, bad UTF-8, comments, non-object (here the header's)
    "header with trailing data": (sealed(json.dumps(header()).encode() + b"x", PAYLOAD), Malformed),
    "header with a BOM": (sealed(b"\xef\xbb\xbf" + json.dumps(header()).encode(), PAYLOAD), Malformed),
    "header in UTF-16": (sealed(json.dumps(header()).encode("utf-16"), PAYLOAD), Malformed),
    "header in bad UTF-8": (sealed(b'{"alg":"ES256\xff"}', PAYLOAD), Malformed),
    "header a list": (sealed(json.dumps([header()]).encode(), PAYLOAD), Malformed),
    "header nothing": (_part(0, lambda part: ""), Malformed),
    # nested 20,000 levels
    "header nested": (sealed(b'{"x":' + b"[" * 2_900, PAYLOAD), Malformed),
    # 1 MB header / payload / 100 kB of dots
    "1 MB header": (token(header(x="x" * 1_000_000)), Malformed),
    "1 MB payload": (token(body=b"x" * 1_000_000), Malformed),
    "100 kB of dots": ("." * 100_000, Malformed),
    "as many dots as are read": ("." * LIMIT, Malformed),
    # ID token / logout token / DPoP proof / request object / JARM sent as access token
    "ID token": (token(header(typ="JWT")), WrongType),
    "logout token": (token(header(typ="logout+jwt")), WrongType),
    "DPoP proof": (token(header(typ="dpop+jwt")), WrongType),
    "request object": (token(header(typ="oauth-authz-req+jwt")), WrongType),
    "JARM": (token(header(typ=...)), WrongType),
    "typ null": (token(header(typ=None)), WrongType),
    "typ empty": (token(header(typ="")), WrongType),
    "typ list": (token(header(typ=["at+jwt"])), WrongType),
    "typ with a parameter": (token(header(typ="at+jwt;x=y")), WrongType),
    "typ with a look-alike": (token(header(typ="at+\u0458wt")), WrongType),
    # JWE and other shapes
    "five segments": (token() + ".x.y", Malformed),
    "four segments": (token() + ".", Malformed),
    "two segments": (token().rpartition(".")[0], Malformed),
    "one segment": (token().split(".")[0], Malformed),
    "two dots alone": ("..", Malformed),
    "nothing": ("", Malformed),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_on_the_envelope_is_refused(name: str) -> None:
    """Each line of the catalogue ends in its typed refusal (RFC 7515, RFC 8725)."""
    text, refusal = ATTACKS[name]
    with pytest.raises(refusal):
        verify(text, "RS256", "ES256", "EdDSA")


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
    assert verify(_resigned(lambda r, s: _raw(r, P256_ORDER - s)))[1] == verify(token())[1]


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
