"""Attacks on header, signature and encoding: everything before the claims are read (group A of the catalogue)."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives import serialization

from tests.attacks.attack import Forge, Lines, attacks
from tests.sdk.minting import Mint, header, key, sealed
from watchword.errors import BadSignature, Malformed, UnknownKey, WrongType
from watchword.jose.b64 import b64url, unb64url

LIMIT: Final = 16 * 1024
P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ED25519_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
KID: Final = key().kid


def headed(of: str = "ES256", /, **changes: object) -> Forge:
    """A token whose header has members changed (`...`: left out), truly signed."""
    return lambda mint: mint.token(header(of, **changes), alg=of)


def written(head: bytes) -> Forge:
    """A token with exactly this header, truly signed."""
    return lambda mint: sealed(head, json.dumps(mint.claims()).encode())


def more(members: bytes) -> Forge:
    """A token whose header has these members too, truly signed."""
    return written(HEAD[:-1] + b", " + members + b"}")


def cut(index: int, change: Callable[[str], str], alg: str = "ES256") -> Forge:
    """A good token, one of whose segments was changed."""

    def forge(mint: Mint) -> str:
        parts = mint.token(alg=alg).split(".")
        parts[index] = change(parts[index])
        return ".".join(parts)

    return forge


def with_pair(token: str, change: Callable[[int, int], bytes]) -> str:
    """An ES256 token, whose r and s went through a function to the new signature."""
    signed, _, signature = token.rpartition(".")
    pair = unb64url(signature)
    return f"{signed}.{b64url(change(int.from_bytes(pair[:32], 'big'), int.from_bytes(pair[32:], 'big')))}"


def resigned(change: Callable[[int, int], bytes]) -> Forge:
    """A good ES256 token with another r and s."""
    return lambda mint: with_pair(mint.token(), change)


def paired(r: int, s: int) -> bytes:
    """r and s as ES256 has them (RFC 7518 §3.4)."""
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def swapped(alg: str, other: str) -> Forge:
    """The header of one algorithm's key, over a signature by another's."""
    return lambda mint: sealed(json.dumps(header(alg)).encode(), json.dumps(mint.claims()).encode(), other)


def mac(secret: bytes, alg: str, says: str = "HS256") -> Forge:
    """A token under the name of an asymmetric key, with a MAC keyed by what everybody knows of it."""

    def forge(mint: Mint) -> str:
        head = b64url(json.dumps({**header(alg), "alg": says}).encode())
        signed = f"{head}.{b64url(json.dumps(mint.claims()).encode())}"
        return f"{signed}.{b64url(hmac.digest(secret, signed.encode(), 'sha256'))}"

    return forge


def known(alg: str, encoding: serialization.Encoding) -> bytes:
    """A public key as everybody has it."""
    private = serialization.load_der_private_key(key(alg).pkcs8(), None)
    return private.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)


def member(alg: str, name: str) -> bytes:
    """A member of a public JWK, decoded."""
    return unb64url(key(alg).public_jwk()[name])


def plus_the_order(mint: Mint) -> str:
    """The other S of an Ed25519 signature: S + L (RFC 8032 §8.4)."""
    signed, _, signature = mint.token(alg="EdDSA").rpartition(".")
    pair = unb64url(signature)
    s = int.from_bytes(pair[32:], "little") + ED25519_ORDER
    return f"{signed}.{b64url(pair[:32] + s.to_bytes(32, 'little'))}"


def unencoded(mint: Mint) -> str:
    """A true signature over a payload that was not encoded (RFC 7797 §3)."""
    head = b64url(json.dumps(header(b64=False, crit=["b64"])).encode())
    signed = f"{head}.payload"
    return f"{signed}.{b64url(key().sign(signed.encode()))}"


def in_the_standard_alphabet(mint: Mint) -> str:
    """A token in whose signature at least one character is another in plain base64."""
    while True:
        signed, _, signature = mint.token().rpartition(".")
        if "-" in signature or "_" in signature:
            return f"{signed}.{signature.replace('-', '+').replace('_', '/')}"


def detached(mint: Mint) -> str:
    """The payload is sent otherwise, or not at all (RFC 7515, appendix F)."""
    head, _, signature = mint.token().split(".")
    return f"{head}..{signature}"


def plain(**changes: object) -> bytes:
    """A header as bytes."""
    return json.dumps(header(**changes)).encode()


OTHER = key("ES384").public_jwk()
HEAD = plain()

# fmt: off
LINES: Lines = {
    "alg none / None / nOnE / missing / null / list": {
        "none": (headed(alg="none"), WrongType),
        "None": (headed(alg="None"), WrongType),
        "nOnE": (headed(alg="nOnE"), WrongType),
        "none, empty signature": (lambda m: m.token(header(alg="none")).rpartition(".")[0] + ".", WrongType),
        "missing": (headed(alg=...), WrongType),
        "empty": (headed(alg=""), WrongType),
        "null": (headed(alg=None), Malformed),
        "list": (headed(alg=["ES256"]), Malformed),
        "in lower case": (headed(alg="es256"), WrongType),
        "with a space": (headed(alg="ES256 "), WrongType),
    },
    "HS256 keyed with RSA/EC public key (PEM, DER, JWK, n)": {
        **{f"{alg} {name}": (mac(known(alg, encoding), alg), WrongType)
           for alg in ("RS256", "ES256") for name, encoding in {"PEM": PEM, "DER": DER}.items()},
        **{f"{alg} JWK": (mac(json.dumps(key(alg).public_jwk()).encode(), alg), WrongType)
           for alg in ("RS256", "ES256", "EdDSA")},
        "RSA n": (mac(member("RS256", "n"), "RS256"), WrongType),
        "EC x": (mac(member("ES256", "x"), "ES256"), WrongType),
        "Ed25519 x": (mac(member("EdDSA", "x"), "EdDSA"), WrongType),
        "a MAC under the right name": (mac(known("RS256", PEM), "RS256", "RS256"), BadSignature),
        "keyed with nothing": (mac(b"", "RS256"), WrongType),
    },
    "header alg allowed, signature made with another alg": {
        "PS256 signature under RS256": (swapped("RS256", "PS256"), BadSignature),
        "ES256 signature under EdDSA": (swapped("EdDSA", "ES256"), BadSignature),
        "EdDSA signature under ES256": (swapped("ES256", "EdDSA"), BadSignature),
        "ES384 signature under ES256": (swapped("ES256", "ES384"), BadSignature),
        "header of another key's alg": (headed("ES384", alg="ES384", kid=KID), WrongType),
        "PS256 of an RS256 key": (headed("RS256", alg="PS256"), WrongType),
        "RS512 of an RS256 key": (headed("RS256", alg="RS512"), WrongType),
    },
    "embedded jwk / x5c, jku / x5u": {
        "jwk": (lambda m: m.token(header(jwk=OTHER), alg="ES384"), BadSignature),
        "jwk, by its own kid": (headed("ES384", jwk=OTHER), UnknownKey),
        "jwk, and no kid": (headed("ES384", jwk=OTHER, kid=...), UnknownKey),
        "jku": (headed("ES384", jku="http://127.0.0.1:1/jwks.json"), UnknownKey),
        "x5u": (headed("ES384", x5u="http://127.0.0.1:1/chain.pem"), UnknownKey),
        "x5c": (headed("ES384", x5c=["MIIB"]), UnknownKey),
        "x5t": (headed("ES384", kid=..., x5t=KID), UnknownKey),
    },
    "kid path traversal, SQL, NUL, URL, 100 kB, list": {
        "path traversal": (headed(kid="../../../../dev/null"), UnknownKey),
        "path to the key": (headed(kid=f"./{KID}"), UnknownKey),
        "SQL": (headed(kid="x' UNION SELECT 'secret"), UnknownKey),
        "NUL": (headed(kid=f"{KID}\0"), UnknownKey),
        "NUL inside": (headed(kid=f"{KID}\0.pem"), UnknownKey),
        "URL": (headed(kid="https://evil.example/key"), UnknownKey),
        "100 kB": (headed(kid="k" * 100_000), Malformed),
        "5 kB": (headed(kid="k" * 5_000), Malformed),
        "1 kB": (headed(kid="k" * 1_000), UnknownKey),
        "list": (headed(kid=[KID]), Malformed),
        "object": (headed(kid={"kid": KID}), Malformed),
        "number": (headed(kid=5), Malformed),
        "null": (headed(kid=None), Malformed),
        "missing": (headed(kid=...), UnknownKey),
        "empty": (headed(kid=""), UnknownKey),
        "another case": (headed(kid=KID.swapcase()), UnknownKey),
        "prefix": (headed(kid=KID[:-1]), UnknownKey),
        "format string": (headed(kid="%s%n{0.__class__}"), UnknownKey),
        "lone surrogate": (written(plain(kid="?").replace(b"?", b"\\ud800")), Malformed),
    },
    "crit unknown / empty / non-list / duplicates / registered names": {
        "unknown": (headed(crit=["exp"], exp=1), WrongType),
        "empty": (headed(crit=[]), WrongType),
        "non-list": (headed(crit="exp"), WrongType),
        "null": (headed(crit=None), WrongType),
        "object": (headed(crit={}), WrongType),
        "duplicates": (headed(crit=["b64", "b64"], b64=True), WrongType),
        "registered names": (headed(crit=["alg", "kid", "typ"]), WrongType),
        "what is not there": (headed(crit=["x"]), WrongType),
    },
    "b64=false, with or without crit": {
        "without crit": (headed(b64=False), WrongType),
        "with crit": (headed(b64=False, crit=["b64"]), WrongType),
        "true": (headed(b64=True), WrongType),
        "null": (headed(b64=None), WrongType),
        "an unencoded payload": (unencoded, WrongType),
        "a detached payload": (detached, BadSignature),
    },
    "r=s=0, r or s >= n, DER signature, wrong length": {
        "r=s=0": (resigned(lambda r, s: bytes(64)), BadSignature),
        "r=0": (resigned(lambda r, s: paired(0, s)), BadSignature),
        "s=0": (resigned(lambda r, s: paired(r, 0)), BadSignature),
        "r=n": (resigned(lambda r, s: paired(P256_ORDER, s)), BadSignature),
        "s=n": (resigned(lambda r, s: paired(r, P256_ORDER)), BadSignature),
        "r=s=n": (resigned(lambda r, s: paired(P256_ORDER, P256_ORDER)), BadSignature),
        "r and s all ones": (resigned(lambda r, s: b"\xff" * 64), BadSignature),
        "DER": (resigned(lambda r, s: b"\x30\x46" + paired(r, s)), BadSignature),
        "a byte more": (resigned(lambda r, s: paired(r, s) + b"\0"), BadSignature),
        "a byte less": (resigned(lambda r, s: paired(r, s)[:-1]), BadSignature),
        "r and s swapped": (resigned(lambda r, s: paired(s, r)), BadSignature),
        "twice": (resigned(lambda r, s: paired(r, s) * 2), BadSignature),
        "RSA, a zero more": (cut(2, lambda part: b64url(b"\0" + unb64url(part)), "RS256"), BadSignature),
        "RSA, all ones": (cut(2, lambda part: b64url(b"\xff" * 256), "RS256"), BadSignature),
    },
    "EdDSA S+L, small-order key": {
        "S+L": (plus_the_order, BadSignature),
        "the identity and zero": (cut(2, lambda part: b64url(b"\1" + bytes(63)), "EdDSA"), BadSignature),
    },
    "zero-length / truncated signature": {
        **{f"{alg}, {name}": (cut(2, change, alg), BadSignature)
           for alg in ("ES256", "RS256", "EdDSA")
           for name, change in {"zero-length": lambda part: "", "truncated": lambda part: part[:40]}.items()},
    },
    "duplicate JSON members (header or claims)": {
        "typ in the header": (
            written(b'{"alg":"ES256","kid":"%b","typ":"x","typ":"at+jwt"}' % KID.encode()), Malformed,
        ),
        "alg in the header": (more(b'"alg": "ES256"'), Malformed),
        "kid in the header": (written(b'{"kid": "other", ' + HEAD[1:]), Malformed),
        "another spelling in the header": (written(b'{"\\u006bid": "other", ' + HEAD[1:]), Malformed),
        "an unknown one in the header": (more(b'"x": 1, "x": 1'), Malformed),
        "deep in the header": (more(b'"x": {"y": 1, "y": 1}'), Malformed),
    },
    "non-canonical base64url, padding, whitespace, std alphabet": {
        "padding in the signature": (cut(2, lambda part: part + "=="), Malformed),
        "padding in the payload": (cut(1, lambda part: part + "="), BadSignature),
        "padding in the header": (cut(0, lambda part: part + "="), Malformed),
        "white space before": (lambda m: " " + m.token(), Malformed),
        "white space after": (lambda m: m.token() + "\n", Malformed),
        "white space inside": (cut(2, lambda part: part[:9] + " " + part[9:]), Malformed),
        "unused bits in the signature": (cut(2, lambda part: part[:-1] + chr(ord(part[-1]) + 1)), Malformed),
        "standard alphabet": (in_the_standard_alphabet, Malformed),
        "percent encoding": (cut(2, lambda part: "%41" + part[1:]), Malformed),
        "not ASCII": (cut(1, lambda part: part + "é"), Malformed),
        "lone surrogate": (cut(1, lambda part: part + "\udcff"), Malformed),
    },
    "trailing data, BOM, UTF-16, bad UTF-8, comments, non-object payload": {
        "header with trailing data": (written(HEAD + b"x"), Malformed),
        "header with a BOM": (written(b"\xef\xbb\xbf" + HEAD), Malformed),
        "header in UTF-16": (written(HEAD.decode().encode("utf-16")), Malformed),
        "header in bad UTF-8": (written(HEAD.replace(b"ES256", b"ES256\xff")), Malformed),
        "header with bad UTF-8 in what is not looked at": (more(b'"x": "\xff"'), Malformed),
        "header with a comment": (written(b"/**/" + HEAD), Malformed),
        "header with NaN": (more(b'"x": NaN'), Malformed),
        "header a list": (written(b"[" + HEAD + b"]"), Malformed),
        "header a string": (written(b'"ES256"'), Malformed),
        "header nothing": (cut(0, lambda part: ""), Malformed),
    },
    "nested 20,000 levels, 10,000-digit integer": {
        "header nested 20,000 levels": (more(b'"x": ' + b"[" * 20_000 + b"]" * 20_000), Malformed),
        "header nested as far as it is read": (more(b'"x": ' + b"[" * 680 + b"]" * 680), Malformed),
        "header nested, and no end": (written(b'{"x":' + b"[" * 1_400), Malformed),
        "header nested 40 levels": (more(b'"x": ' + b"[" * 40 + b"]" * 40), Malformed),
        "header with 10,000 digits": (more(b'"x": ' + b"9" * 10_000), Malformed),
        "kid of 1,000 digits": (written(b'{"alg": "ES256", "kid": ' + b"9" * 1_000 + b"}"), Malformed),
    },
    "1 MB header / payload / 100 kB of dots": {
        "1 MB header": (headed(x="x" * 1_000_000), Malformed),
        "1 MB payload": (lambda m: m.token(body=m.claims(x="x" * 1_000_000)), Malformed),
        "1 MB signature": (cut(2, lambda part: part * 12_000), Malformed),
        "100 kB of dots": (lambda m: "." * 100_000, Malformed),
        "as many dots as are read": (lambda m: "." * LIMIT, Malformed),
        "header as long as a token": (headed(x="x" * 11_000), Malformed),
        "signature as long as a token": (cut(2, lambda part: part * 170), BadSignature),
    },
    "ID token / logout token / DPoP proof / request object / JARM sent as access token": {
        "ID token": (headed(typ="JWT"), WrongType),
        "logout token": (headed(typ="logout+jwt"), WrongType),
        "DPoP proof": (headed(typ="dpop+jwt"), WrongType),
        "request object": (headed(typ="oauth-authz-req+jwt"), WrongType),
        "JARM": (headed(typ=...), WrongType),
        "typ null": (headed(typ=None), Malformed),
        "typ empty": (headed(typ=""), WrongType),
        "typ list": (headed(typ=["at+jwt"]), Malformed),
        "typ with a parameter": (headed(typ="at+jwt;x=y"), WrongType),
        "typ with a space": (headed(typ="at+jwt "), WrongType),
        "typ with a look-alike": (headed(typ="at+\u0458wt"), WrongType),
    },
    "": {
        "five segments": (lambda m: m.token() + ".x.y", Malformed),
        "four segments": (lambda m: m.token() + ".", Malformed),
        "two segments": (lambda m: m.token().rpartition(".")[0], Malformed),
        "one segment": (lambda m: m.token().split(".")[0], Malformed),
        "two dots alone": (lambda m: "..", Malformed),
        "nothing": (lambda m: "", Malformed),
        "JSON serialisation": (lambda m: json.dumps(dict(zip(("protected", "payload", "signature"),
                                                             m.token().split("."), strict=True))), Malformed),
    },
}
NOT_TEXT: Lines = {
    "": {
        **{f"a Python {type(thing).__name__}": (lambda m, thing=thing: thing, Malformed)
           for thing in (None, 5, b"a.b.c", ["a.b.c"], {}, memoryview(b"a.b.c"))},
        "a good token as bytes": (lambda m: m.token().encode(), Malformed),
    },
}
# fmt: on

ATTACKS: Final = attacks(LINES)
NO_TOKENS: Final = attacks(NOT_TEXT)
"""What a program may hand in by mistake."""
