"""Attacks on the claims, under signatures that are good (group A of the catalogue)."""

from __future__ import annotations

import json
from typing import Final

from tests.attacks.attack import Forge, Lines, attacks
from tests.sdk.minting import CLAIMS, Mint, header, sealed
from watchword.errors import BadLifetime, Expired, Malformed, NotYetValid, WrongAudience, WrongConfirmation, WrongIssuer

LATEST: Final = 253_402_300_799
"""The last second of the year 9999."""
HEAD: Final = json.dumps(header()).encode()


def said(**changes: object) -> Forge:
    """A token whose claims were changed; a change to `...` leaves one out."""
    return lambda mint: mint.token(body=mint.claims(**changes))


def dated(**changes: float) -> Forge:
    """A token with dates this many seconds away from now."""
    return lambda mint: mint.token(body=mint.claims(**{name: mint.now + away for name, away in changes.items()}))


def spelled(member: str, text: str) -> Forge:
    """A token with one claim in exactly this spelling."""

    def forge(mint: Mint) -> str:
        rest = json.dumps(mint.claims(**{member: ...}))
        return sealed(HEAD, f'{rest[:-1]}, "{member}": {text}}}'.encode())

    return forge


def written(before: bytes = b"", after: bytes = b"", was: bytes = b"", now: bytes = b"") -> Forge:
    """A token with something before or after its claims, or with some of their bytes replaced."""

    def forge(mint: Mint) -> str:
        return sealed(HEAD, before + json.dumps(mint.claims()).encode().replace(was, now) + after)

    return forge


def instead(payload: bytes) -> Forge:
    """A token with exactly this payload."""
    return lambda mint: sealed(HEAD, payload)


def again(name: str) -> Forge:
    """A token that says one of its claims a second time, word for word."""

    def forge(mint: Mint) -> str:
        claims = mint.claims()
        twice = json.dumps(claims)[:-1] + f", {json.dumps(name)}: {json.dumps(claims[name])}}}"
        return sealed(HEAD, twice.encode())

    return forge


# fmt: off
BAD_DATES = (
    *("NaN", "Infinity", "-Infinity", "1e400", "true", "false", '"1800000000"', "[]", "[1800000000]", "{}", "null", ""),
)
FAR_DATES = ("-1", "-0.5", "253402300800", "1e30", str(2**64), str(-(2**63)))
LONG = "9" * 10_000
WRONG_NAMES = {"empty": "", "null": None, "a number": 5, "a list": ["x"], "too long": "x" * 257}

LINES: Lines = {
    "NaN, Infinity, 1e400, true, string, list, null as exp/nbf/iat": {
        f"{text or 'nothing'} as {date}": (spelled(date, text), Malformed)
        for date in ("exp", "nbf", "iat") for text in BAD_DATES
    },
    "exp negative / zero / year 10000 / 1e30": {
        **{f"{text} as {date}": (spelled(date, text), Malformed)
           for date in ("exp", "nbf", "iat") for text in FAR_DATES},
        "exp zero": (said(exp=0), Expired),
        "exp passed": (dated(exp=-6, iat=-60), Expired),
        "exp in the year 9999": (said(exp=LATEST), BadLifetime),
        "iat after exp": (dated(exp=1, iat=2), BadLifetime),
        "no lifetime at all": (dated(exp=0, iat=0), BadLifetime),
        "lives for days": (dated(exp=200_000), BadLifetime),
        "iat zero": (said(iat=0), BadLifetime),
    },
    "nbf or iat in the future beyond leeway": {
        "nbf": (dated(nbf=60), NotYetValid),
        "iat": (dated(iat=60), NotYetValid),
        "both, in fractions": (dated(nbf=6.5, iat=6.5), NotYetValid),
    },
    "iss prefix / slash / case / list; aud substring / prefix / list / object": {
        "iss slash": (lambda m: said(iss=m.issuer + "/")(m), WrongIssuer),
        "iss prefix": (lambda m: said(iss=m.issuer[:-1])(m), WrongIssuer),
        "iss extended": (lambda m: said(iss=m.issuer + ".evil.example")(m), WrongIssuer),
        "iss with a user": (lambda m: said(iss=m.issuer.replace("://", "://evil@"))(m), WrongIssuer),
        "iss case": (lambda m: said(iss=m.issuer.upper())(m), WrongIssuer),
        "iss with a space": (lambda m: said(iss=m.issuer + " ")(m), WrongIssuer),
        "iss list": (lambda m: said(iss=[m.issuer])(m), Malformed),
        "iss empty": (said(iss=""), Malformed),
        "iss null": (said(iss=None), Malformed),
        "aud prefix": (lambda m: said(aud=m.audience[:-1])(m), WrongAudience),
        "aud extended": (lambda m: said(aud=m.audience + "/x")(m), WrongAudience),
        "aud substring": (lambda m: said(aud=f"{m.audience} https://other.example")(m), WrongAudience),
        "aud case": (lambda m: said(aud=m.audience.upper())(m), WrongAudience),
        "aud the issuer": (lambda m: said(aud=m.issuer)(m), WrongAudience),
        "aud the client": (lambda m: said(aud="client-1")(m), WrongAudience),
        "aud wildcard": (said(aud="*"), WrongAudience),
        "aud list": (lambda m: said(aud=[m.audience])(m), Malformed),
        "aud list of several": (lambda m: said(aud=[m.audience, "https://other.example"])(m), Malformed),
        "aud object": (lambda m: said(aud={m.audience: 1})(m), Malformed),
        "aud empty": (said(aud=""), Malformed),
        "aud null": (said(aud=None), Malformed),
    },
    "no exp / no iat check on third-party JWT": {
        f"no {name}": (said(**{name: ...}), Malformed)
        for name in ("exp", "iat", "iss", "sub", "aud", "jti", "client_id")
    },
    "DPoP- or mTLS-bound token sent as Bearer": {
        "DPoP-bound": (said(cnf={"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}), WrongConfirmation),
        "DPoP-bound, cut": (said(cnf={"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0"}), WrongConfirmation),
        "mTLS-bound": (said(cnf={"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsX"}), WrongConfirmation),
        "bound to what is not known": (said(cnf={"x": 1}), WrongConfirmation),
        "cnf empty": (said(cnf={}), WrongConfirmation),
        "cnf null": (said(cnf=None), WrongConfirmation),
        "cnf false": (said(cnf=False), WrongConfirmation),
    },
    "duplicate JSON members (header or claims)": {
        **{f"{name} twice": (again(name), Malformed) for name in CLAIMS},
        "sub before itself": (written(was=b"{", now=b'{"sub": "admin", '), Malformed),
        "sub in another spelling": (written(was=b"{", now=b'{"su\\u0062": "admin", '), Malformed),
        "a member twice in what is not known": (spelled("x", '{"a": 1, "a": 1}'), Malformed),
        "a member twice in a list": (spelled("x", '[[{"a": 1, "a": 1}]]'), Malformed),
        "a member twice in cnf": (spelled("cnf", '{"a": 1, "a": 1}'), Malformed),
    },
    "trailing data, BOM, UTF-16, bad UTF-8, comments, non-object payload": {
        "trailing data": (written(after=b"x"), Malformed),
        "a second object": (written(after=b"{}"), Malformed),
        "a NUL after": (written(after=b"\0"), Malformed),
        "BOM": (written(before=b"\xef\xbb\xbf"), Malformed),
        "UTF-16": (lambda m: sealed(HEAD, json.dumps(m.claims()).encode("utf-16")), Malformed),
        "bad UTF-8": (written(was=b"user-1", now=b"user-\xff"), Malformed),
        "overlong UTF-8": (written(was=b"user-1", now=b"user-\xc0\xb1"), Malformed),
        "lone surrogate": (written(was=b"user-1", now=b"user-\\ud800"), Malformed),
        "a control character": (written(was=b"user-1", now=b"user-\n1"), Malformed),
        "a comment": (written(before=b"/**/"), Malformed),
        "a comma too many": (written(was=b"}", now=b",}"), Malformed),
        "single quotes": (written(was=b'"', now=b"'"), Malformed),
        "a list": (written(b"[", b"]"), Malformed),
        "null": (instead(b"null"), Malformed),
        "a string": (instead(b'"x"'), Malformed),
        "a number": (instead(b"7"), Malformed),
        "an empty object": (instead(b"{}"), Malformed),
        "no JSON": (instead(b"x"), Malformed),
        "nothing": (instead(b""), Malformed),
    },
    "nested 20,000 levels, 10,000-digit integer": {
        "20,000 levels": (spelled("x", "[" * 20_000 + "]" * 20_000), Malformed),
        "lists, as many as are read": (spelled("x", "[" * 5_000 + "]" * 5_000), Malformed),
        "objects": (spelled("x", '{"a":' * 1_500 + "1" + "}" * 1_500), Malformed),
        "lists without an end": (spelled("x", "[" * 11_000), Malformed),
        "33 levels": (spelled("x", "[" * 33 + "]" * 33), Malformed),
        "in cnf": (spelled("cnf", "[" * 5_000 + "]" * 5_000), Malformed),
        "in roles": (spelled("roles", "[" * 5_000 + "]" * 5_000), Malformed),
        "in aud": (spelled("aud", "[" * 5_000 + "]" * 5_000), Malformed),
        **{f"10,000 digits as {name}": (spelled(name, LONG), Malformed)
           for name in ("exp", "nbf", "iat", "rev", "sub", "roles")},
        "10,000 digits below zero": (spelled("exp", "-" + LONG), Malformed),
        "10,000 digits of a fraction too large": (spelled("exp", LONG + ".5"), Malformed),
        "an exponent of 10,000 digits": (spelled("exp", "1e" + LONG), Malformed),
    },
    "1 MB header / payload / 100 kB of dots": {
        "1 MB claim": (said(x="x" * 1_000_000), Malformed),
        "1 MB of claims": (said(**{f"claim-{number}": 1 for number in range(60_000)}), Malformed),
        "a byte more than is read": (said(x="x" * 12_200), Malformed),
    },
    "": {
        **{f"{name} {kind}": (said(**{name: value}), Malformed)
           for name in ("sub", "jti", "client_id", "sid", "gid")
           for kind, value in WRONG_NAMES.items()},
        **{f"rev {text[:20]}": (spelled("rev", text), Malformed)
           for text in ("-1", "true", "null", '"7"', "7.0", "7.5", "[7]", str(2**63))},
        "scope a list": (said(scope=["orders:read"]), Malformed),
        "scope null": (said(scope=None), Malformed),
        "scope with two spaces": (said(scope="orders:read  orders:write"), Malformed),
        "scope with a space in front": (said(scope=" orders:read"), Malformed),
        "roles a string": (said(roles="admin"), Malformed),
        "roles of numbers": (said(roles=["a", 5]), Malformed),
        "roles an object": (said(roles={"admin": True}), Malformed),
        "roles null": (said(roles=None), Malformed),
    },
}
# fmt: on

ATTACKS: Final = attacks(LINES)
