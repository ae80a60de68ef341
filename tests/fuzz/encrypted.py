"""Encrypted access tokens: `jwe.decrypt`, and a Verifier that holds the API's private keys."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any, Final

from tests.fuzz import compact, jwe_reference, key_reference, keys, reference, tokens
from tests.fuzz.json_text import ABYSS, Known, Native, change, gathered, parse
from tests.fuzz.keyring import ec_key, rsa_key, x25519_key
from tests.fuzz.target import UNUSABLE, Target, Violation
from watchword.errors import InvalidToken
from watchword.freshness import Clocks
from watchword.jose import jwe
from watchword.policy import MAX_TOKEN, Principal
from watchword.verifier import Verifier

PRIVATE: Final[Mapping[str, Any]] = {
    "ECDH-ES": ec_key("P-256", "reader"),
    "ECDH-ES+A128KW": x25519_key("reader"),
    "ECDH-ES+A192KW": ec_key("P-384", "reader"),
    "ECDH-ES+A256KW": ec_key("P-521", "reader"),
    "RSA-OAEP-256": rsa_key("reader"),
}
"""The reader's keys, each named by its algorithm."""
TYPES: Final = frozenset(("at+jwt", "application/at+jwt"))
_JWKS: Final = {"keys": [{**jwk, "kid": jwk["alg"]} for jwk in keys.private_jwks()]}
_KEYS: Final = jwe.decryption_key_set(_JWKS)
_VERIFIER: Final = Verifier(
    issuer=tokens.ISSUER,
    audience=tokens.AUDIENCE,
    jwks=tokens.JWKS,
    decryption_jwks=_JWKS,
    clocks=Clocks(lambda: 0.0, lambda: tokens.NOW),
)
_INSIDE: Final = tokens.signed(tokens.header_of(tokens.USUAL), tokens.payload_of(), tokens.USUAL)
_BOMB: Final = b"\0" * 3_000_000
_PARTIES: Final[tuple[Any, ...]] = ("", "QWxpY2U", "QQ==", "A", "x" * 513, 1, [], "é")
# fmt: off
KNOWN_HEADER: Final[Known] = gathered((
    *(("alg", alg) for alg in (*PRIVATE, "RSA1_5", "RSA-OAEP", "dir", "A128KW", "PBES2-HS256+A128KW", "none", "ES256")),
    *(("enc", enc) for enc in (*jwe_reference.CEK, "A192GCM", "A192CBC-HS384", "none", "A128KW")),
    *(("kid", kid) for kid in (*PRIVATE, "", "x" * 3_000)),
    *(("typ", typ) for typ in ("at+jwt", "AT+JWT", "JWT", "application/at+jwt")),
    *(("cty", cty) for cty in ("JWT", "jwt", "application/jwt", "JWE", "")),
    *(("zip", name) for name in ("DEF", "def", "GZIP", "", None, True)),
    *((party, text) for party in ("apu", "apv") for text in _PARTIES),
    ("crit", ["exp"]), ("crit", []), ("b64", False), ("p2c", 2**31 - 1), ("p2s", "AAAA"), ("p2c", 1),
    ("iv", "A" * 16), ("tag", "A" * 22), ("x", ABYSS),
    *(("epk", jwe_reference.ephemeral(private)) for alg, private in PRIVATE.items() if alg != "RSA-OAEP-256"),
    ("epk", {**jwe_reference.ephemeral(PRIVATE["ECDH-ES"]), "d": "AQAB"}), ("epk", {}), ("epk", None), ("epk", []),
    *(("epk", {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": y}) for y in ("A" * 43, "A" * 42 + "E", "")),
    *(("epk", {"kty": "OKP", "crv": "X25519", "x": x}) for x in keys.ODD_POINTS), ("jwk", {}), ("jku", "https://attacker.example"),
))
# fmt: on


def _header(alg: str, enc: str, **more: Any) -> bytes:
    private = PRIVATE[alg]
    point = {"epk": jwe_reference.ephemeral(private)} if jwe_reference.can_seal(private) else {}
    said = {"alg": alg, "enc": enc, "kid": alg, "typ": "at+jwt", "cty": "JWT", **point, **more}
    return json.dumps(said, separators=(",", ":")).encode()


def _sealed(header: bytes, plaintext: bytes, alg: str, chance: Random) -> bytes:
    return jwe_reference.seal(header, plaintext, alg, PRIVATE[alg], chance)


def _seeds() -> Iterator[bytes]:
    chance = Random("watchword fuzz seeds")
    for number, enc in enumerate(("A128GCM", "A256GCM", "A128CBC-HS256", "A256CBC-HS512")):
        for alg in list(PRIVATE)[number % 2 :: 2] if number else list(PRIVATE):
            yield _sealed(_header(alg, enc), _INSIDE, alg, chance)
    alg = "ECDH-ES"
    yield _sealed(_header(alg, "A128GCM", zip="DEF"), _deflated(_INSIDE), alg, chance)
    yield _sealed(_header(alg, "A128GCM", zip="DEF"), _deflated(_BOMB), alg, chance)
    yield _sealed(_header(alg, "A128CBC-HS256", zip="DEF"), _deflated(_INSIDE) + b"more", alg, chance)
    yield _sealed(_header(alg, "A128GCM", apu="QWxpY2U", apv="Qm9i"), _INSIDE, alg, chance)
    yield _sealed(_header(alg, "A128GCM"), tokens.payload_of(), alg, chance)
    yield _sealed(_header(alg, "A128GCM"), _sealed(_header(alg, "A128GCM"), _INSIDE, alg, chance), alg, chance)
    yield _sealed(_header(alg, "A128GCM"), _INSIDE.rpartition(b".")[0] + b".", alg, chance)
    yield _sealed(_header(alg, "A256CBC-HS512"), b"", alg, chance)
    yield _sealed(_header(alg, "A128GCM", p2c=2**31 - 1, p2s="AAAA"), _INSIDE, alg, chance)
    yield _INSIDE
    yield b"." * 40


def _deflated(data: bytes) -> bytes:
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return squeezer.compress(data) + squeezer.flush()


def _inflated(data: bytes) -> bytes:
    return zlib.decompressobj(-15).decompress(data, 2 * MAX_TOKEN)


def _change(data: bytes, chance: Random, native: Native) -> bytes:
    segments = data.split(b".")
    dice = chance.random()
    if len(segments) != 5 or dice < 0.05:
        return native(data) if dice < 0.4 else _sealed(_header("ECDH-ES", "A128GCM"), _INSIDE, "ECDH-ES", chance)
    if dice < 0.25:
        place = chance.randrange(5)
        spoil = chance.choice((compact.respelled, _bytes_changed))
        segments[place] = spoil(segments[place], chance, native)
        return compact.rebuilt(segments)
    header, alg, plaintext = _taken_apart(segments)
    if chance.random() < 0.2:  # as in `tokens`
        alg = chance.choice(("ECDH-ES", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A192KW", "RSA-OAEP-256"))
        header, plaintext = _header(alg, chance.choice(list(jwe_reference.CEK))), _INSIDE
    if dice < 0.65:
        header = change(header, KNOWN_HEADER, chance, native)
    if dice > 0.60:
        plaintext = _inside_changed(plaintext, chance, native)
    if chance.random() < 0.15:
        return compact.rebuilt([compact.spelled(header), *segments[1:]])
    alg = _alg_for(header, alg)
    if chance.random() < 0.1 and jwe_reference.can_seal(PRIVATE[alg]):
        point = jwe_reference.ephemeral(PRIVATE[alg])
        header = change(header, {"epk": [point, {**point, "d": "AQAB"}]}, chance, native)
    return _sealed(header, plaintext, alg, chance)


def _bytes_changed(segment: bytes, chance: Random, native: Native) -> bytes:
    return compact.spelled(compact.signature_changed(compact.read(segment), chance, native))


def _taken_apart(segments: list[bytes]) -> tuple[bytes, str, bytes]:
    """Header, the algorithm of the key that it names, plaintext; where nothing opens, that of a good token."""
    header = compact.read(segments[0])
    alg = _alg_for(header, "ECDH-ES")
    try:
        said = json.loads(header)
        plaintext = jwe_reference.opened(said, segments, alg, PRIVATE[alg])
        return header, alg, _inflated(plaintext) if said.get("zip") == "DEF" else plaintext
    except Exception:  # what `cryptography` and zlib raise has no common root
        return header, alg, _INSIDE


def _alg_for(header: bytes, otherwise: str) -> str:
    try:
        kid = dict(parse(header)).get("kid")
    except UNUSABLE:
        return otherwise
    return kid if isinstance(kid, str) and kid in PRIVATE else otherwise


def _inside_changed(plaintext: bytes, chance: Random, native: Native) -> bytes:
    dice = chance.random()
    if dice < 0.6:
        return tokens.change_token(plaintext, chance, native)
    if dice < 0.7:
        return _deflated(plaintext) + chance.choice((b"", b"", b"x"))
    if dice < 0.75:
        return _deflated(_BOMB[: chance.choice((MAX_TOKEN, MAX_TOKEN + 1, 1_000_000, 3_000_000))])
    return chance.choice((native(plaintext), b"", tokens.payload_of(), _INSIDE, plaintext * 3))


def _prepare(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _call(token: str) -> tuple[dict[str, Any], bytes, Principal | None]:
    try:
        header, plaintext = jwe.decrypt(token, _KEYS, TYPES, MAX_TOKEN)
    except InvalidToken:
        if token.count(".") == 4 and _verified(token):
            raise Violation("the Verifier accepts what cannot be decrypted") from None
        raise
    return header, plaintext, _verified(token)


def _verified(token: str) -> Principal | None:
    try:
        return _VERIFIER.verify_sync(token)
    except InvalidToken:
        return None


def _judge(token: str, result: tuple[dict[str, Any], bytes, Principal | None]) -> str:
    header, plaintext, principal = result
    if max(len(token), len(plaintext)) > MAX_TOKEN:
        raise Violation("an encrypted token of too many bytes was accepted")
    segments = token.encode("ascii").split(b".")
    if len(segments) != 5:
        raise Violation("a token of another number of segments was decrypted")
    raw_header, *_ = map(reference.decoded, segments)
    if reference.json_object(raw_header) != header:
        raise Violation("the header says something else")
    _judge_header(header)
    found = jwe_reference.opened(header, segments, header["alg"], PRIVATE[header["alg"]])
    if (_whole(found) if "zip" in header else found) != plaintext:
        raise Violation("the plaintext is another")
    _judge_again(token, header, plaintext)
    if principal is None:
        return "opened"
    opener = tokens.opener_of()
    inside = plaintext.decode("ascii")
    if opener.open(inside, tokens.NOW).principal != principal:
        raise Violation("the principal is not that of the token inside")
    tokens.judge(inside, (opener, principal))
    return "accepted"


def _whole(data: bytes) -> bytes:
    inflater = zlib.decompressobj(-15)
    found = inflater.decompress(data)
    if not inflater.eof or inflater.unused_data:
        raise Violation("compressed text that does not end where it should was accepted")
    return found


def _judge_header(header: Mapping[str, Any]) -> None:
    if header["alg"] != header["kid"] or header["alg"] not in PRIVATE or header["enc"] not in jwe_reference.CEK:
        raise Violation("decrypted under another key or algorithm")
    if header["typ"].lower() not in TYPES or header["cty"].lower() != "jwt" or header.get("zip", "DEF") != "DEF":
        raise Violation("decrypted as another type")
    if not {"crit", "b64", "p2c", "p2s"}.isdisjoint(header):
        raise Violation("decrypted with an extension")
    if jwe_reference.can_seal(PRIVATE[header["alg"]]):
        if not keys.PRIVATE.isdisjoint(header["epk"]):
            raise Violation("a private key passed for an ephemeral one")
        key_reference.must_be_sound(header["epk"])


def _judge_again(token: str, header: Mapping[str, Any], plaintext: bytes) -> None:
    """The same at the second look, and nothing with a letter changed: every segment is authenticated."""
    if jwe.decrypt(token, _KEYS, TYPES, MAX_TOKEN) != (header, plaintext):
        raise Violation("the second look finds something else")
    seed = hashlib.sha256(token.encode()).digest()
    place = int.from_bytes(seed[:4], "big") % len(token)
    letter = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."[seed[4] % 65]
    changed = token[:place] + letter + token[place + 1 :]
    try:
        if changed != token and jwe.decrypt(changed, _KEYS, TYPES, MAX_TOKEN):
            raise Violation("an encrypted token with one letter changed was decrypted")
    except InvalidToken:
        return


TARGET: Final = Target(
    name="encrypted",
    limit=20 * 1024,
    refusals=(InvalidToken,),
    seeds=_seeds,
    change=_change,
    prepare=_prepare,
    call=_call,
    judge=_judge,
    budget_ms=lambda data: 25,
)
