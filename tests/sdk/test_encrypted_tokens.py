"""Encrypted access tokens: opened by who has the private key, and believed only for what is signed inside."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Mapping

import msgspec
import pytest

from tests.sdk.minting import AUDIENCE, ISSUER, NOW, claims, header, key, token
from tests.sdk.sealing import KINDS
from watchword import Verifier
from watchword.errors import (
    BadEncryption,
    BadSignature,
    InvalidToken,
    Malformed,
    Misconfigured,
    Revoked,
    UnknownKey,
    WrongAudience,
    WrongType,
)
from watchword.freshness import Clocks
from watchword.jose.jwe import DecryptionKey, encrypt, encryption_key
from watchword.log import Entry, Snapshot

KEY = DecryptionKey.generate("ECDH-ES")
OTHER = DecryptionKey.generate("ECDH-ES+A256KW", "X25519")


def verifier(*keys: DecryptionKey) -> Verifier:
    """An offline Verifier with these private keys."""
    return Verifier(
        issuer=ISSUER,
        audience=AUDIENCE,
        jwks={"keys": [key().public_jwk(), key("RS256").public_jwk()]},
        decryption_jwks={"keys": [one.private_jwk() for one in keys]} if keys else None,
        clocks=Clocks(lambda: 0.0, lambda: float(NOW)),
    )


def encrypted(inside: str | bytes, to: DecryptionKey = KEY, enc: str = "A128GCM", typ: str = "at+jwt") -> str:
    """What anybody can make who knows the public key."""
    text = inside.encode() if isinstance(inside, str) else inside
    return encrypt(text, encryption_key(to.public_jwk()), enc, typ)


@pytest.mark.parametrize(("alg", "crv"), KINDS, ids=lambda part: part or "none")
@pytest.mark.parametrize("enc", ["A128GCM", "A256GCM", "A128CBC-HS256", "A256CBC-HS512"])
def test_an_encrypted_token_speaks_for_the_same_principal(alg: str, crv: str, enc: str) -> None:
    """Whatever it is encrypted with, what is inside decides."""
    private = DecryptionKey.generate(alg, *([crv] if crv else []))
    judge, plain = verifier(private), token()
    assert judge.verify_sync(encrypted(plain, private, enc)) == judge.verify_sync(plain)


def test_several_keys_are_told_apart_by_their_kid() -> None:
    """So that a key can be replaced while tokens to the old one are alive."""
    judge = verifier(KEY, OTHER)
    assert judge.verify_sync(encrypted(token(), KEY)) == judge.verify_sync(encrypted(token(), OTHER))
    with pytest.raises(UnknownKey):
        verifier(OTHER).verify_sync(encrypted(token(), KEY))


def test_who_has_no_private_key_sees_no_token() -> None:
    """Five segments are not a JWT to a Verifier without `decryption_jwks`."""
    with pytest.raises(Malformed):
        verifier().verify_sync(encrypted(token()))


def unsigned(body: Mapping[str, object]) -> bytes:
    """Bare claims."""
    return msgspec.json.encode(body)


@pytest.mark.parametrize(
    ("inside", "refusal"),
    [
        (unsigned(claims()), Malformed),
        (token({"alg": "none", "typ": "at+jwt"}).rpartition(".")[0] + ".", UnknownKey),
        (token(header(alg="none")), WrongType),
        (token(header("EdDSA"), alg="EdDSA"), UnknownKey),
        (token()[:-4] + "AAAA", BadSignature),
        (token(header(typ="JWT")), WrongType),
        (token(body=claims(aud="https://other.example.com")), WrongAudience),
        (encrypted(token()), Malformed),
        (b"\xff" * 40, Malformed),
        (b"", Malformed),
    ],
    ids=["claims", "none", "alg-none", "other-key", "signature", "id-token", "other-api", "twice", "noise", "empty"],
)
def test_what_is_encrypted_is_not_believed_for_that(inside: str | bytes, refusal: type[InvalidToken]) -> None:
    """Decryption is not authentication: the public key is public (CVE-2026-29000)."""
    with pytest.raises(refusal):
        verifier(KEY).verify_sync(encrypted(inside))


@pytest.mark.parametrize("typ", ["JWT", "logout+jwt", "watchword-delta+jwt", ""])
def test_another_kind_of_envelope_is_refused(typ: str) -> None:
    """The envelope names its kind as the token does."""
    with pytest.raises(WrongType):
        verifier(KEY).verify_sync(encrypted(token(), typ=typ))


def test_a_bent_envelope_is_refused() -> None:
    """Every part is authenticated."""
    judge, good = verifier(KEY), encrypted(token())
    parts = good.split(".")
    for index in (2, 3, 4):
        bent = parts.copy()
        bent[index] = ("B" if bent[index][0] == "A" else "A") + bent[index][1:]
        with pytest.raises(BadEncryption):
            judge.verify_sync(".".join(bent))
    assert judge.verify_sync(good).subject == "user-1"


def test_a_cached_encrypted_token_is_asked_for_revocation() -> None:
    """By its `jti`, as any other."""
    judge, text = verifier(KEY), encrypted(token())
    assert judge.verify_sync(text) is judge.verify_sync(text)
    dead = Entry(1, "token", str(claims()["jti"]), NOW + 1000)
    judge._revocations.apply(Snapshot(ISSUER, "log", 1, "head", 1, (dead,)))
    with pytest.raises(Revoked):
        judge.verify_sync(text)


@pytest.mark.parametrize(
    "jwks",
    [
        {},
        {"keys": []},
        {"keys": [KEY.public_jwk()]},
        {"keys": [{**KEY.private_jwk(), "use": "sig"}]},
        {"keys": [KEY.private_jwk(), {"kty": "EC"}]},
    ],
    ids=["no-set", "none", "public", "for-signatures", "one-broken"],
)
def test_a_broken_private_key_set_is_the_programs_mistake(jwks: Mapping[str, object]) -> None:
    """Said at the start, not at the first token; and without a word of the key."""
    with pytest.raises(Misconfigured, match="decryption_jwks") as refusal:
        Verifier(issuer=ISSUER, audience=AUDIENCE, jwks={"keys": [key().public_jwk()]}, decryption_jwks=jwks)
    assert KEY.private_jwk()["d"] not in str(refusal.value)


def test_without_the_extra_package_the_program_is_told_what_to_install() -> None:
    """And everything else works without it."""
    program = """
    import sys
    sys.modules["joserfc"] = None
    from watchword import Verifier
    from watchword.errors import Misconfigured
    from watchword.jose.jwk import SigningKey
    jwks = {"keys": [SigningKey.generate("ES256").public_jwk()]}
    Verifier(issuer="https://id.example.com", audience="a", jwks=jwks)
    try:
        Verifier(issuer="https://id.example.com", audience="a", jwks=jwks, decryption_jwks={"keys": [{"kty": "EC"}]})
    except Misconfigured as error:
        print(error)
    """
    ran = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    assert "watchword[jwe]" in ran.stdout
