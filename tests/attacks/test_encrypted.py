"""Attacks on encrypted access tokens, shown to the whole verifier that has private keys (group A, the lines on JWE)."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator, Mapping
from typing import Final

import pytest

from tests.attacks.costs import too_dear
from tests.attacks.judges import ALGORITHMS, Judge
from tests.sdk.honest_issuer import AUDIENCE, CREDENTIALS, Issuer
from tests.sdk.jose.test_jwe import (
    BROKEN,
    ENVELOPES,
    EPK,
    HEADERS,
    P256,
    RSA,
    WRAPPED,
    X25519,
    deflated,
    epk_of,
    with_part,
)
from tests.sdk.minting import AUDIENCE as FIXED_AUDIENCE
from tests.sdk.minting import ISSUER, NOW, Mint, changed, header, key
from tests.sdk.sealing import joined, parts, sealed
from watchword import Principal, Verifier
from watchword.errors import BadEncryption, InvalidKey, Malformed, Misconfigured, UnknownKey, WrongType
from watchword.freshness import Clocks
from watchword.jose.jwe import DecryptionKey, decryption_key, encryption_key
from watchword.jose.jwk import public_key
from watchword.policy import MAX_TOKEN

PRIVATE: Final = (P256, WRAPPED, X25519, RSA)


@pytest.fixture(scope="module")
def openers(target: Issuer) -> Iterator[list[Judge]]:
    """Verifiers with private keys: on fixed keys, and following an issuer."""
    jwks = {"keys": [key(alg).public_jwk() for alg in ALGORITHMS]}
    mine = {"keys": [private.private_jwk() for private in PRIVATE]}
    clocks = Clocks(time.monotonic, lambda: float(NOW))
    offline = Verifier(issuer=ISSUER, audience=FIXED_AUDIENCE, jwks=jwks, decryption_jwks=mine, clocks=clocks)
    with Verifier(issuer=target.url, audience=AUDIENCE, credentials=CREDENTIALS, decryption_jwks=mine) as online:
        yield [
            Judge("on fixed keys", offline, Mint),
            Judge("following an issuer", online, lambda: Mint(target.url, AUDIENCE, int(time.time()))),
        ]


def inside(mint: Mint) -> bytes:
    """What is worth stealing: a good token."""
    return mint.token().encode()


@pytest.mark.parametrize("private", PRIVATE, ids=lambda private: str(private.alg))
async def test_a_good_encrypted_token_is_accepted(private: DecryptionKey, openers: list[Judge]) -> None:
    """Or all of this would show nothing."""
    for judge in openers:
        first, *others = await judge.verdicts(sealed(private, inside(judge.mint())))
        assert isinstance(first, Principal)
        assert all(other is first for other in others)


@pytest.mark.parametrize("name", [*HEADERS, *(name for name in ENVELOPES if name != "a JWS")])
async def test_a_forged_envelope_is_refused(name: str, openers: list[Judge]) -> None:
    """By everybody and every time with the class that `jwe.decrypt` has for it, and nothing else comes out."""
    forged, refusal = HEADERS.get(name) or (ENVELOPES[name], Malformed)
    for judge in openers:
        assert await judge.verdicts(forged) == [refusal] * 3, judge.name


async def test_a_pbes2_count_of_2_to_the_31_costs_nothing(openers: list[Judge], judges: list[Judge]) -> None:
    """Passwords are off (CVE-2022-36083, CVE-2026-27932): nobody counts, with private keys or without them."""
    for judge in [*openers, *judges]:
        for alg in ("PBES2-HS256+A128KW", "PBES2-HS384+A192KW", "PBES2-HS512+A256KW"):
            bomb = sealed(P256, inside(judge.mint()), alg=alg, p2c=2**31 - 1, p2s="c2FsdHNhbHQ")
            began = time.thread_time()
            verdicts = await judge.verdicts(bomb)
            assert time.thread_time() - began < 0.1
            assert verdicts == [WrongType if judge in openers else Malformed] * 3


@pytest.mark.parametrize("size", [20_000, 10_000_000, 100_000_000], ids=lambda size: f"{size:,} bytes")
def test_what_is_inflated_is_bounded(size: int, openers: list[Judge]) -> None:
    """However much it would become (CVE-2024-28102, CVE-2024-28180): no more than a token's length ever comes out."""
    bomb = sealed(P256, deflated(bytes(size)), zip="DEF")
    for judge in openers:
        assert judge.blocking(bomb) is Malformed
        # The least of several: a verifier that follows an issuer may be reading its log at that moment.
        assert min(peak_of(judge, bomb) for _ in range(5)) < 16 * MAX_TOKEN


def peak_of(judge: Judge, text: str) -> int:
    """Bytes that were held at once, by all threads, while a token was judged."""
    tracemalloc.start()
    try:
        judge.blocking(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_compression_is_refused(name: str, openers: list[Judge]) -> None:
    """Whole, raw, and nothing after it; and a good one is opened."""
    for judge in openers:
        assert judge.blocking(sealed(P256, BROKEN[name], zip="DEF")) is Malformed
        assert isinstance(judge.blocking(sealed(P256, deflated(inside(judge.mint())), zip="DEF")), Principal)


def test_rsa1_5_is_off_and_no_failure_tells_why(openers: list[Judge]) -> None:
    """Truly encrypted by RSA1_5 or not: never opened. What cannot be decrypted has one class and one message."""
    for judge in openers:
        mint = judge.mint()
        assert judge.blocking(sealed(RSA, inside(mint), by="RSA1_5")) is WrongType
        good = sealed(RSA, inside(mint))
        some = parts(good)
        bent = [joined(*some[:at], bytes([some[at][0] ^ 1]) + some[at][1:], *some[at + 1 :]) for at in (1, 2, 3, 4)]
        said = set()
        for text in [sealed(RSA, inside(mint), by="RSA1_5", alg="RSA-OAEP-256"), *bent]:
            with pytest.raises(BadEncryption) as refused:
                judge.verifier.verify_sync(text)
            said.add(str(refused.value))
        assert len(said) == 1


@pytest.mark.parametrize(
    "private", [P256, WRAPPED, X25519], ids=lambda private: f"{private.alg} {private.material.crv}"
)
def test_an_ephemeral_key_off_the_curve_is_refused(private: DecryptionKey, openers: list[Judge]) -> None:
    """CVE-2016-9121: a point of another curve would give the private key away, some bits at a time."""
    other = epk_of(private)
    wrong = [
        changed(EPK, {"y": epk_of(P256)["y"]}),
        changed(EPK, {"x": EPK["y"], "y": EPK["x"]}),
        {**EPK, "crv": "P-384"},
    ]
    for judge in openers:
        for epk in wrong if private is not X25519 else [EPK, {**other, "x": "A" * 43}, {**other, "crv": "Ed25519"}]:
            assert judge.blocking(sealed(private, inside(judge.mint()), epk=epk)) is Malformed


@pytest.mark.parametrize("private", [RSA, WRAPPED], ids=lambda private: str(private.alg))
def test_an_empty_encrypted_key_is_refused(private: DecryptionKey, openers: list[Judge]) -> None:
    """CVE-2026-34986: no panic, no key of zeros."""
    for judge in openers:
        assert judge.blocking(with_part(sealed(private, inside(judge.mint())), 1, b"")) is Malformed


ENCRYPTS, SIGNS = P256.public_jwk(), key().public_jwk()
# fmt: off
CONFUSED: Mapping[str, dict[str, object]] = {
    "a signature key":       {**P256.private_jwk(), "use": "sig"},
    "key_ops of signatures": {**changed(P256.private_jwk(), {"use": ...}), "key_ops": ["sign"]},
    "key_ops of another":    {**changed(P256.private_jwk(), {"use": ...}), "key_ops": ["unwrapKey"]},
    "alg of signatures":     {**P256.private_jwk(), "alg": "ES256"},
    "alg of another kty":    {**P256.private_jwk(), "alg": "RSA-OAEP-256"},
    "alg that is off":       {**RSA.private_jwk(), "alg": "RSA1_5"},
    "alg with SHA-1":        {**RSA.private_jwk(), "alg": "RSA-OAEP"},
    "alg of passwords":      {**RSA.private_jwk(), "alg": "PBES2-HS256+A128KW"},
    "a secret":              {"kty": "oct", "k": "A" * 22, "alg": "A128KW", "kid": "s"},
    "a public key":          ENCRYPTS,
}
# fmt: on


@pytest.mark.parametrize("name", CONFUSED)
def test_a_key_for_something_else_decrypts_nothing(name: str) -> None:
    """Neither given to a verifier nor registered at the issuer by the same door (RFC 7517 §4.2, §4.3, §4.4)."""
    with pytest.raises(InvalidKey):
        decryption_key(CONFUSED[name])
    with pytest.raises(Misconfigured):
        Verifier(issuer=ISSUER, audience=AUDIENCE, jwks={"keys": [SIGNS]}, decryption_jwks={"keys": [CONFUSED[name]]})


def test_one_key_is_not_for_both() -> None:
    """What encrypts verifies nothing, what verifies encrypts nothing, whatever the set it lies in."""
    for jwk in (ENCRYPTS, RSA.public_jwk(), X25519.public_jwk()):
        with pytest.raises(InvalidKey):
            public_key(jwk)
        with pytest.raises(Misconfigured):
            Verifier(issuer=ISSUER, audience=AUDIENCE, jwks={"keys": [jwk]})
    for alg in ("ES256", "RS256", "EdDSA"):
        with pytest.raises(InvalidKey):
            encryption_key(key(alg).public_jwk())


async def test_a_token_signed_by_the_private_key_that_decrypts_is_refused(openers: list[Judge]) -> None:
    """Whoever stole the API's key can read its tokens, and still cannot make one."""
    for judge in openers:
        for private in (P256, RSA):
            head = {"alg": "ES256" if private is P256 else "RS256", "kid": private.kid, "typ": "at+jwt"}
            signed = judge.mint().token(head, alg=head["alg"])
            assert await judge.verdicts(signed) == [UnknownKey] * 3
            assert await judge.verdicts(sealed(P256, signed.encode())) == [UnknownKey] * 3


@pytest.mark.parametrize("private", PRIVATE, ids=lambda private: private.alg + private.material.crv)
def test_a_refused_encrypted_token_costs_no_more_than_a_good_one(private: DecryptionKey, openers: list[Judge]) -> None:
    """Of the same key and of the longest that is read: whatever is wrong outside, inside, or with its shape."""
    judge = openers[0]
    mint = judge.mint()
    token = sealed(private, inside(mint))
    fat = mint.claims(x="x" * 8_000)
    refused = {
        "a bent tag": with_part(token, 4, bytes(16)),
        "another header": with_part(token, 0, parts(token)[0][:-1] + b" }"),
        "a large one, bent": with_part(sealed(private, mint.token(body=fat).encode()), 4, bytes(16)),
        "brackets": sealed(private, x=[{}] * 250),
        "brackets in a text": sealed(private, x=[*([],) * 40, "[{" * 350]),
        "many numbers": sealed(private, x=[1.1e9] * 60),
        "inside noise": sealed(private, b"." * 11_000),
        "inside a forgery": sealed(private, mint.token().rpartition(".")[0].encode() + b"." + b"A" * 86),
        "inside a header of brackets": sealed(private, mint.token(header(kid="x", y=[{}] * 400)).encode()),
        "inside a bomb": sealed(private, deflated(bytes(10_000_000)), zip="DEF"),
        "five dots": "....",
        "five large segments": ".".join(["A" * 3_200] * 5),
    }
    bounded = {name: (text, "good") for name, text in refused.items()}
    accepted = {"good": lambda number: sealed(private, mint.token(body=fat | {"jti": f"{number}"}).encode())}
    assert too_dear(judge, bounded, accepted) == {}
