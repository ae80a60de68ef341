"""Compact JWE: every algorithm, and every known way to cheat (group A of the attack catalogue, by its lines)."""

from __future__ import annotations

import gc
import json
import time
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sdk.minting import changed, key
from tests.sdk.sealing import KINDS, decryptor, joined, parts, sealed
from watchword.errors import BadEncryption, InvalidKey, InvalidToken, Malformed, Misconfigured, UnknownKey, WrongType
from watchword.jose import jwe
from watchword.jose.b64 import b64url, unb64url
from watchword.jose.jwe import DecryptionKey, encryption_key
from watchword.jose.members import public_members

TYPES = ("at+jwt",)
LIMIT = 16 * 1024
P256 = decryptor()
WRAPPED = decryptor("ECDH-ES+A128KW")
X25519 = decryptor("ECDH-ES", "X25519")
RSA = decryptor("RSA-OAEP-256")
KEYS = {found.kid: found for found in (P256, WRAPPED, X25519, RSA)}
GOOD = sealed(P256)
PRIME = 2**255 - 19


def decrypt(token: str | bytes, limit: int = LIMIT) -> bytes:
    """Decrypt with the keys of this test."""
    return jwe.decrypt(token, KEYS, TYPES, limit)[1]


# The algorithms


@pytest.mark.parametrize("enc", jwe.ENCRYPTIONS)
@pytest.mark.parametrize(("alg", "crv"), KINDS)
def test_every_algorithm_opens_what_it_sealed(alg: str, crv: str, enc: str) -> None:
    """And what a second reading of RFC 7518 seals, with every kind of key and content encryption (§4.1, §5.1)."""
    private = decryptor(alg, crv)
    keys = {private.kid: private}
    token = jwe.encrypt(b"payload", encryption_key(private.public_jwk()), enc, "at+jwt")
    header, plaintext = jwe.decrypt(token, keys, TYPES, LIMIT)
    epk = {} if alg == "RSA-OAEP-256" else {"epk": header["epk"]}
    assert plaintext == b"payload"
    assert header == {"alg": alg, "enc": enc, "kid": private.kid, "typ": "at+jwt", "cty": "JWT", **epk}
    assert jwe.decrypt(sealed(private, b"theirs", enc), keys, TYPES, LIMIT)[1] == b"theirs"
    assert jwe.decrypt(sealed(private, b"", enc).encode(), keys, TYPES, LIMIT)[1] == b""


def test_a_token_is_for_the_holder_of_one_key() -> None:
    """Another key of the same kind, under the same kid, opens nothing."""
    for alg, crv in KINDS:
        other = DecryptionKey.generate(alg, crv)
        with pytest.raises(BadEncryption):
            jwe.decrypt(sealed(decryptor(alg, crv)), {decryptor(alg, crv).kid: other}, TYPES, LIMIT)


@pytest.mark.parametrize("party", ["apu", "apv"])
def test_the_names_of_the_parties_go_into_the_key(party: str) -> None:
    """RFC 7518 §4.6.1.2 and §4.6.1.3; an empty one is as none."""
    assert decrypt(sealed(P256, b"x", **{party: b64url(b"Alice")})) == b"x"
    assert decrypt(sealed(P256, b"x", **{party: ""})) == b"x"


@pytest.mark.parametrize("party", ["apu", "apv"])
def test_a_party_has_at_most_512_characters(party: str) -> None:
    """As they stand in the header; what is longer is not even decoded."""
    assert decrypt(sealed(P256, b"x", **{party: "A" * 512})) == b"x"
    for length in (513, 514):
        with pytest.raises(Malformed, match="apu or apv is not a string of a sensible length"):
            decrypt(sealed(P256, b"x", **{party: "A" * length}))


def test_a_content_encryption_that_is_not_known_is_the_callers_mistake() -> None:
    """The two that nobody needs, and what is none at all."""
    for enc in ("A192GCM", "A192CBC-HS384", "A128KW", "none", ""):
        with pytest.raises(Misconfigured):
            jwe.encrypt(b"{}", encryption_key(P256.public_jwk()), enc, "at+jwt")


# The header


def cut(at: int, by: int = 1) -> str:
    """GOOD with one of its parts that many bytes shorter."""
    some = parts(GOOD)
    return joined(*some[:at], some[at][:-by], *some[at + 1 :])


def with_part(token: str, at: int, part: bytes) -> str:
    """A token with one part replaced."""
    some = parts(token)
    return joined(*some[:at], part, *some[at + 1 :])


def epk_of(private: DecryptionKey, **changes: object) -> dict[str, object]:
    """A fresh public key of the same kind with members changed."""
    fresh = DecryptionKey.generate(private.alg, private.material.crv)
    return changed(public_members(fresh.key.raw_value.public_key()), changes)


EPK = epk_of(P256)
DIGITS = parts(GOOD)[0][:-1] + b',"x":' + b"9" * 2000 + b"}"
X, ZERO = str(EPK["x"]), b64url(bytes(32))
# fmt: off
HEADERS: dict[str, tuple[str, type[InvalidToken]]] = {
    "alg none":                      (sealed(P256, alg="none"), WrongType),
    "alg missing":                   (sealed(P256, alg=...), WrongType),
    "alg null":                      (sealed(P256, alg=None), WrongType),
    "alg a list":                    (sealed(P256, alg=["ECDH-ES"]), WrongType),
    "alg in another case":           (sealed(P256, alg="ecdh-es"), WrongType),
    "alg of another key":            (sealed(P256, alg="RSA-OAEP-256"), WrongType),
    "alg of the same curve":         (sealed(P256, by="ECDH-ES+A128KW"), WrongType),
    "alg dir":                       (sealed(P256, alg="dir"), WrongType),
    "alg A256KW":                    (sealed(P256, alg="A256KW"), WrongType),
    "alg A256GCMKW":                 (sealed(P256, alg="A256GCMKW", iv="AAAAAAAAAAAAAAAA", tag="A" * 22), WrongType),
    "RSA1_5 padding oracle":         (sealed(RSA, by="RSA1_5"), WrongType),
    "RSA-OAEP with SHA-1":           (sealed(RSA, by="RSA-OAEP"), WrongType),
    "RSA1_5 said to be OAEP":        (sealed(RSA, by="RSA1_5", alg="RSA-OAEP-256"), BadEncryption),
    "RSA-OAEP said to be SHA-256":   (sealed(RSA, by="RSA-OAEP", alg="RSA-OAEP-256"), BadEncryption),
    "wrapped said to be direct":     (sealed(WRAPPED, alg="ECDH-ES"), WrongType),
    "A128KW said to be A256KW":      (sealed(WRAPPED, by="ECDH-ES+A256KW", alg="ECDH-ES+A128KW"), BadEncryption),
    "enc missing":                   (sealed(P256, enc=...), WrongType),
    "enc null":                      (sealed(P256, enc=None), WrongType),
    "enc a list":                    (sealed(P256, enc=["A128GCM"]), WrongType),
    "enc none":                      (sealed(P256, enc="none"), WrongType),
    "enc that wraps keys":           (sealed(P256, enc="A128KW"), WrongType),
    "enc of another size":           (sealed(RSA, enc="A256GCM"), BadEncryption),
    "enc of another kind":           (sealed(WRAPPED, b"x" * 16, enc="A128CBC-HS256"), Malformed),
    "crit empty":                    (sealed(P256, crit=[]), WrongType),
    "crit unknown":                  (sealed(P256, crit=["exp"], exp=1), WrongType),
    "crit of registered names":      (sealed(P256, crit=["alg"]), WrongType),
    "crit null":                     (sealed(P256, crit=None), WrongType),
    "b64":                           (sealed(P256, b64=True), WrongType),
    "p2c":                           (sealed(P256, p2c=1000), WrongType),
    "p2s":                           (sealed(P256, p2s="c2FsdA"), WrongType),
    "zip of another kind":           (sealed(P256, zip="GZ"), WrongType),
    "zip in another case":           (sealed(P256, zip="def"), WrongType),
    "zip null":                      (sealed(P256, zip=None), WrongType),
    "zip a list":                    (sealed(P256, zip=["DEF"]), WrongType),
    "typ of another kind":           (sealed(P256, typ="JWT"), WrongType),
    "typ missing":                   (sealed(P256, typ=...), WrongType),
    "typ a list":                    (sealed(P256, typ=["at+jwt"]), WrongType),
    "cty missing":                   (sealed(P256, cty=...), WrongType),
    "cty of another kind":           (sealed(P256, cty="json"), WrongType),
    "cty null":                      (sealed(P256, cty=None), WrongType),
    "kid missing":                   (sealed(P256, kid=...), UnknownKey),
    "kid unknown":                   (sealed(P256, kid="other"), UnknownKey),
    "kid a list":                    (sealed(P256, kid=[P256.kid]), UnknownKey),
    "kid a path":                    (sealed(P256, kid="../../dev/null"), UnknownKey),
    "kid of another key":            (sealed(P256, kid=RSA.kid), WrongType),
    "epk missing":                   (sealed(P256, epk=...), Malformed),
    "epk null":                      (sealed(P256, epk=None), Malformed),
    "epk a string":                  (sealed(P256, epk="epk"), Malformed),
    "epk a list":                    (sealed(P256, epk=[EPK]), Malformed),
    "epk empty":                     (sealed(P256, epk={}), Malformed),
    "epk private":                   (sealed(P256, epk=EPK | {"d": "AQAB"}), Malformed),
    "epk with a secret":             (sealed(P256, epk=EPK | {"k": "AQAB"}), Malformed),
    "epk of another kty":            (sealed(P256, epk=EPK | {"kty": "OKP"}), Malformed),
    "epk without kty":               (sealed(P256, epk=epk_of(P256, kty=...)), Malformed),
    "epk without crv":               (sealed(P256, epk=epk_of(P256, crv=...)), Malformed),
    "epk with crv a list":           (sealed(P256, epk=EPK | {"crv": ["P-256"]}), Malformed),
    "epk without y":                 (sealed(P256, epk=epk_of(P256, y=...)), Malformed),
    "epk with x a number":           (sealed(P256, epk=EPK | {"x": 5}), Malformed),
    "epk with a padded x":           (sealed(P256, epk=EPK | {"x": X + "="}), Malformed),
    "epk with a long x":             (sealed(P256, epk=EPK | {"x": b64url(b"\0" + unb64url(X))}), Malformed),
    "epk off the curve":             (sealed(P256, epk=EPK | {"y": epk_of(P256)["y"]}), Malformed),
    "epk at infinity":               (sealed(P256, epk=EPK | {"x": ZERO, "y": ZERO}), Malformed),
    "epk on P-384":                  (sealed(P256, epk=epk_of(decryptor("ECDH-ES", "P-384"))), Malformed),
    "epk on X25519":                 (sealed(P256, epk=epk_of(X25519)), Malformed),
    "epk on P-256 for X25519":       (sealed(X25519, epk=EPK), Malformed),
    "epk on Ed25519 for X25519":     (sealed(X25519, epk=dict(key("EdDSA").public_jwk())), Malformed),
    "epk on X25519, not canonical":  (sealed(X25519, epk=epk_of(X25519, x=b64url(b"\xff" * 32))), Malformed),
    "epk of somebody else":          (sealed(P256, epk=EPK), BadEncryption),
    "apu padded":                    (sealed(P256, apu="Qg=="), Malformed),
    "apu with unused bits set":      (sealed(P256, apu="Qh"), Malformed),
    "apv a list":                    (sealed(P256, apv=["Qg"]), Malformed),
    "apv null":                      (sealed(P256, apv=None), Malformed),
    "apv too long":                  (sealed(P256, apv="A" * 516), Malformed),
    "header not an object":          (sealed(P256, head=b"[]"), Malformed),
    "header not JSON":               (sealed(P256, head=b"{"), Malformed),
    "header with a member twice":    (sealed(P256, head=b'{"alg":"ECDH-ES",' + parts(GOOD)[0][1:]), Malformed),
    "header with a BOM":             (sealed(P256, head=b"\xef\xbb\xbf" + parts(GOOD)[0]), Malformed),
    "header in UTF-16":              (sealed(P256, head=parts(GOOD)[0].decode().encode("utf-16")), Malformed),
    "header nested 1,000 levels":    (sealed(P256, x=json.loads("[" * 900 + "]" * 900)), Malformed),
    "header with 2,000 digits":      (sealed(P256, head=DIGITS), Malformed),
    "header of 1 MB":                (sealed(P256, x="x" * 1_000_000), Malformed),
}
# fmt: on


@pytest.mark.parametrize("name", HEADERS)
def test_an_attack_on_the_header_is_refused(name: str) -> None:
    """Each line of the catalogue ends in its typed refusal (RFC 7516, RFC 7518, RFC 8725)."""
    token, error = HEADERS[name]
    with pytest.raises(error) as refused:
        decrypt(token, len(token))
    assert type(refused.value) is error


def test_a_content_encryption_off_the_list_is_refused() -> None:
    """Also where the token is truly made by it: the two of 192 bits, which nobody needs."""
    for private in (P256, WRAPPED, RSA):
        for enc in ("A192GCM", "A192CBC-HS384"):
            with pytest.raises(WrongType, match="enc"):
                decrypt(sealed(private, b"{}", enc))


def test_a_header_has_at_most_2048_characters() -> None:
    """Longer ones are refused for their length, before anything in them is decoded."""
    room = 2048 * 3 // 4 - len(parts(sealed(P256, x=""))[0])
    longest = sealed(P256, b"x", x="y" * room)
    assert longest.index(".") == 2048
    assert decrypt(longest) == b"x"
    for segment in (b64url(bytes(1537)), "A" * 2049):
        with pytest.raises(Malformed, match="header is too long"):
            decrypt(segment + longest[2048:])


@pytest.mark.parametrize("order", [0, 1, 2, 3, 4])
def test_a_small_order_point_is_refused(order: int) -> None:
    """Whoever sends one knows what is agreed (RFC 7748 §6.1), so neither an ephemeral nor a static key is one."""
    u = SMALL_ORDER[order].to_bytes(32, "little")
    epk = {"kty": "OKP", "crv": "X25519", "x": b64url(u)}
    with pytest.raises(Malformed):
        decrypt(sealed(X25519, epk=epk))
    with pytest.raises(InvalidKey, match="small order"):
        encryption_key(epk, "ECDH-ES")


SMALL_ORDER = (
    0,
    1,
    PRIME - 1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
)
"""All coordinates below the prime whose point has order 1, 2, 4 or 8, on the curve or its twist."""


@pytest.mark.parametrize(("typ", "cty"), [("at+jwt", "jwt"), ("AT+JWT", "JWT"), ("At+Jwt", "Jwt")])
def test_media_types_do_not_mind_the_case(typ: str, cty: str) -> None:
    """RFC 7516 §4.1.11 and §4.1.12, RFC 2045 §5.1: `typ` and `cty` alike."""
    assert decrypt(sealed(P256, b"x", typ=typ, cty=cty)) == b"x"


def test_a_media_type_is_ascii() -> None:
    """U+212A lowers to k: what only looks like a type is none."""
    with pytest.raises(WrongType):
        jwe.decrypt(sealed(P256, typ="to\u212aen+jwt"), KEYS, ("token+jwt",), LIMIT)


def test_a_token_without_kid_typ_or_cty_needs_a_caller_that_says_so() -> None:
    """Each as the empty string: nothing is found by leaving something out."""
    token = sealed(P256, b"x", kid=..., typ=..., cty=...)
    refusals = (({P256.kid: P256}, ("",), ("",)), ({"": P256}, TYPES, ("",)), ({"": P256}, ("",), ("jwt",)))
    for keys, types, contents in refusals:
        with pytest.raises((UnknownKey, WrongType)):
            jwe.decrypt(token, keys, types, LIMIT, contents)
    with pytest.raises(WrongType, match="cty"):
        jwe.decrypt(token, {"": P256}, ("",), LIMIT)
    assert jwe.decrypt(token, {"": P256}, ("",), LIMIT, ("",))[1] == b"x"


def test_what_is_no_extension_is_not_looked_at() -> None:
    """A header may bring keys and addresses (RFC 7516 §4.1.4 to §4.1.8): nothing is trusted or fetched for them."""
    extra = {"jku": "https://evil.example/jwks", "jwk": EPK, "x5u": "https://evil.example", "x5c": ["AA=="], "foo": 1}
    assert decrypt(sealed(P256, b"x", **extra)) == b"x"
    assert decrypt(sealed(RSA, b"x", epk="not looked at", apu=5)) == b"x"


# The envelope

IV, TAG = parts(GOOD)[2], parts(GOOD)[4]
SEGMENTS = GOOD.split(".")
CBC = sealed(P256, b"x" * 40, "A256CBC-HS512")
SHORT_CBC = sealed(P256, b"x" * 40, "A128CBC-HS256")
# fmt: off
ENVELOPES: dict[str, str | bytes] = {
    "empty":                             "",
    "a JWS":                             ".".join(SEGMENTS[:3]),
    "four segments":                     ".".join(SEGMENTS[:4]),
    "six segments":                      GOOD + ".",
    "100 kB of dots":                    "." * 100_000,
    "not ASCII":                         GOOD + "\u00e9",
    "bytes that are not ASCII":          GOOD.encode() + b"\xe9",
    "a line break at the end":           GOOD + "\n",
    "a space in front":                  " " + GOOD,
    "padding":                           GOOD + "=",
    "NUL":                               GOOD + "\0",
    "JSON serialization":                json.dumps({"protected": SEGMENTS[0], "ciphertext": SEGMENTS[3]}),
    "header missing":                    with_part(GOOD, 0, b""),
    "iv missing":                        with_part(GOOD, 2, b""),
    "iv too short":                      cut(2),
    "iv too long":                       with_part(GOOD, 2, IV + b"\0"),
    "iv of 16 bytes for GCM":            with_part(GOOD, 2, IV + bytes(4)),
    "iv of 12 bytes for CBC":            with_part(CBC, 2, IV),
    "tag missing":                       with_part(GOOD, 4, b""),
    "tag truncated by 1":                cut(4),
    "tag truncated by 4":                cut(4, 4),
    "tag truncated by 8":                cut(4, 8),
    "tag too long":                      with_part(GOOD, 4, TAG + b"\0"),
    "tag of half the length for CBC":    with_part(CBC, 4, parts(CBC)[4][:16]),
    "ciphertext missing for CBC":        with_part(CBC, 3, b""),
    "ciphertext not of whole blocks":    with_part(CBC, 3, parts(CBC)[3][:-1]),
    "ciphertext missing for short CBC":  with_part(SHORT_CBC, 3, b""),
    "half a block for short CBC":        with_part(SHORT_CBC, 3, parts(SHORT_CBC)[3][:-8]),
    "empty encrypted_key for RSA":       with_part(sealed(RSA), 1, b""),
    "empty encrypted_key for a wrap":    with_part(sealed(WRAPPED), 1, b""),
    "encrypted_key where none may be":   with_part(GOOD, 1, bytes(24)),
    "encrypted_key a block too long":    with_part(sealed(WRAPPED), 1, bytes(32)),
    "encrypted_key a block too short":   with_part(sealed(WRAPPED), 1, bytes(16)),
    "encrypted_key a byte too long":     with_part(sealed(RSA), 1, b"\0" + parts(sealed(RSA))[1]),
    "encrypted_key a byte too short":    with_part(sealed(RSA), 1, parts(sealed(RSA))[1][1:]),
    "wrapped key of another enc":        sealed(WRAPPED, cek=bytes(32)),
}
for _at, _name in enumerate(("header", "encrypted_key", "iv", "ciphertext", "tag")):
    for _what, _more in {"padded": "=", "with a line break": "\n", "with a +": "+", "with a /": "/"}.items():
        _some = sealed(WRAPPED, b"{} ").split(".")
        ENVELOPES[f"{_name} {_what}"] = ".".join((*_some[:_at], _some[_at] + _more, *_some[_at + 1 :]))
# fmt: on


@pytest.mark.parametrize("name", ENVELOPES)
def test_an_attack_on_the_envelope_is_refused(name: str) -> None:
    """Before any key is used (RFC 7516 §5.2, §7.1; CVE-2026-34986 for the empty encrypted key)."""
    with pytest.raises(Malformed):
        decrypt(ENVELOPES[name], 1 << 20)


@pytest.mark.parametrize("at", [1, 2, 3, 4])
@pytest.mark.parametrize("private", [P256, WRAPPED, X25519, RSA], ids=lambda private: str(private.alg))
def test_a_flipped_bit_is_one_refusal(private: DecryptionKey, at: int) -> None:
    """Wherever it is: one class and one message, and nothing behind it that says why (RFC 7516 §11.5)."""
    for enc in jwe.ENCRYPTIONS:
        some = parts(sealed(private, b"x" * 40, enc))
        if not some[at]:
            continue
        with pytest.raises(BadEncryption) as refused:
            decrypt(joined(*some[:at], bytes((some[at][0] ^ 1,)) + some[at][1:], *some[at + 1 :]))
        assert str(refused.value) == "the token cannot be decrypted"
        assert refused.value.__cause__ is None
        assert refused.value.__suppress_context__


def test_the_header_is_authenticated() -> None:
    """The same members in another spelling are another token (RFC 7516 §5.1, step 14)."""
    for private in (P256, WRAPPED, X25519, RSA):
        token = sealed(private)
        with pytest.raises(BadEncryption):
            decrypt(with_part(token, 0, parts(token)[0][:-1] + b" }"))


def test_a_content_key_of_a_wrong_length_is_no_key() -> None:
    """RSA wraps any length: AES-256 by its key, where the header says AES-128, is not what was said (RFC 7516 §5.2)."""
    token = sealed(RSA, b"{}", "A256GCM")
    assert decrypt(token) == b"{}"
    lying = sealed(RSA, cek=bytes(32))
    with pytest.raises(BadEncryption):
        decrypt(lying)


def refusal_times(tokens: dict[str, str], rounds: int) -> dict[str, float]:
    """The least time of this thread that each token's refusal takes, in seconds, measured in turns."""
    spent: dict[str, list[float]] = {name: [] for name in tokens}
    for _ in range(rounds):
        for name, token in tokens.items():
            start = time.thread_time()
            with pytest.raises(InvalidToken):
                decrypt(token, 4 << 20)
            spent[name].append(time.thread_time() - start)
    return {name: min(times) for name, times in spent.items()}


@pytest.mark.parametrize("private", [WRAPPED, RSA], ids=lambda private: str(private.alg))
def test_a_bad_encrypted_key_takes_as_long_as_a_bad_tag(private: DecryptionKey) -> None:
    """No early exit after a failed unwrap: the ciphertext, here a large one, is gone through all the same.

    What it takes to read so long a token is left out of both: that of one whose tag is too short. An early exit would
    take a tenth at every attempt; others on the machine disturb one, hardly five.
    """
    some = parts(sealed(private, bytes(2 << 20), "A256CBC-HS512"))
    tokens = {
        name: joined(*some[:at], bytes((some[at][0] ^ 1,)) + some[at][1:], *some[at + 1 :])
        for name, at in (("encrypted_key", 1), ("tag", 4))
    }
    tokens["reading"] = joined(*some[:4], some[4][1:])
    seen = []
    for _ in range(5):
        times = refusal_times(tokens, 5)
        early, late = (times[name] - times["reading"] for name in ("encrypted_key", "tag"))
        seen.append(early / late)
        if 0.5 < seen[-1] < 2:
            return
    pytest.fail(f"the refusal of a bad encrypted key takes {seen} times that of a bad tag")


def test_the_limit_is_the_callers() -> None:
    """It bounds the token and, where that is compressed, what comes out of it."""
    token = sealed(P256, b"x" * 1000)
    assert decrypt(token, len(token)) == b"x" * 1000
    for limit in (len(token) - 1, 0):
        with pytest.raises(Malformed, match="too long"):
            decrypt(token, limit)


# What is made to hurt


def deflated(data: bytes) -> bytes:
    """Raw DEFLATE (RFC 1951)."""
    deflater = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


def compressed(data: bytes) -> str:
    """A token that says that its plaintext is compressed."""
    return sealed(P256, data, zip="DEF")


def test_a_compressed_plaintext_is_inflated_up_to_the_limit() -> None:
    """RFC 7516 §4.1.3: to exactly `limit` bytes, not one more."""
    for size in (0, 1, LIMIT):
        assert decrypt(compressed(deflated(bytes(size)))) == bytes(size)
    with pytest.raises(Malformed, match="too long"):
        decrypt(compressed(deflated(bytes(LIMIT + 1))))


BROKEN = {
    "not DEFLATE": b"\xff" * 20,
    "nothing": b"",
    "cut short": deflated(b"some text")[:-1],
    "with something after it": deflated(b"some text") + b"\0",
    "with zlib's header": zlib.compress(b"some text"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_compression_is_refused(name: str) -> None:
    """One plaintext for one token: whole, raw, and nothing after it."""
    with pytest.raises(Malformed, match="compressed"):
        decrypt(compressed(BROKEN[name]))


def test_a_jwe_def_bomb_of_97_kb_costs_little() -> None:
    """It would inflate to 100 MB (CVE-2024-28102 and others): refused in under 100 ms, in about the limit's memory."""
    block = bytes(1 << 20)
    deflater = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    bomb = b"".join(deflater.compress(block) for _ in range(100)) + deflater.flush()
    token, limit = compressed(bomb), 256 * 1024
    assert 97_000 < len(bomb) < 105_000
    assert spent_on(token, limit) < 0.1
    gc.collect()
    tracemalloc.start()
    with pytest.raises(Malformed, match="too long"):
        decrypt(token, limit)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * limit


def spent_on(token: str, limit: int = LIMIT) -> float:
    """Seconds until the refusal; the best of three, since others share the machine."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        with pytest.raises(InvalidToken):
            decrypt(token, limit)
        times.append(time.perf_counter() - start)
    return min(times)


@pytest.mark.parametrize("alg", ["PBES2-HS256+A128KW", "PBES2-HS512+A256KW", "ECDH-ES"])
def test_a_pbes2_count_of_2_to_the_31_costs_nothing(alg: str) -> None:
    """CVE-2022-36083, CVE-2026-27932: a password's algorithm is off, and no header makes us count."""
    token = sealed(P256, alg=alg, p2c=2**31 - 1, p2s="c2FsdHNhbHQ")
    assert spent_on(token) < 0.1
    with pytest.raises(WrongType):
        decrypt(token)


@given(st.one_of(st.text(max_size=80), st.binary(max_size=80), st.text(alphabet="ab-_.=", max_size=40)))
def test_any_text_is_refused_with_one_kind_of_error(token: str | bytes) -> None:
    """Whatever the bytes."""
    with pytest.raises(InvalidToken):
        decrypt(token)


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
        decrypt(mutated)


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)
NAMES = st.sampled_from(["alg", "enc", "kid", "typ", "cty", "zip", "epk", "apu", "apv", "crit"])


@given(NAMES, VALUES, st.sampled_from([P256, X25519, WRAPPED, RSA]))
def test_any_value_in_a_header_is_opened_or_refused(name: str, value: object, private: DecryptionKey) -> None:
    """A member of any type, also where nothing else is wrong."""
    token = sealed(private, **{name: value})
    try:
        assert decrypt(token) == b"{}"
    except InvalidToken:
        return


@given(st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "d"]), st.one_of(VALUES, st.just(X)), max_size=5))
def test_any_ephemeral_key_is_refused(changes: dict[str, object]) -> None:
    """A key of any shape, right members among wrong ones."""
    with pytest.raises(InvalidToken):
        decrypt(sealed(P256, epk=EPK | changes))
