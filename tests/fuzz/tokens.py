"""Access tokens: `Opener.open` and an offline `Verifier.verify_sync` must say the same, and be right."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any, Final

from tests.fuzz import compact, reference
from tests.fuzz.json_text import ABYSS, Known, Native, change, gathered, parse
from tests.fuzz.keyring import signing_key
from tests.fuzz.target import UNUSABLE, Target, Violation
from watchword.errors import Expired, InvalidToken, NotYetValid
from watchword.freshness import Clocks
from watchword.jose.jwk import SigningKey, key_set
from watchword.policy import MAX_TOKEN, Opener, Policy, Principal
from watchword.verifier import Verifier

NOW: Final = 1_800_000_000
ISSUER: Final = "https://id.example.com"
AUDIENCE: Final = "https://orders.example.com"
LEEWAY: Final = 5
MAX_LIFETIME: Final = 86_400
TYPES: Final = frozenset(("at+jwt", "application/at+jwt"))

ALGORITHMS: Final = ("ES256", "EdDSA", "ES384", "ES512", "RS256", "PS256")
TRUSTED: Final = {key.kid: key for key in (signing_key(alg, f"trusted {alg}") for alg in ALGORITHMS)}
USUAL: Final = next(iter(TRUSTED.values()))
STRANGER: Final = signing_key("ES256", "stranger")
JWKS: Final = {"keys": [key.public_jwk() for key in TRUSTED.values()]}

CLAIMS: Final[Mapping[str, Any]] = {
    "iss": ISSUER,
    "sub": "user-1",
    "aud": AUDIENCE,
    "exp": NOW + 900,
    "iat": NOW,
    "jti": "AAAAAAAAAAAAAAAAAAAAAA",
    "client_id": "client-1",
    "rev": 7,
    "scope": "orders:read orders:write",
    "sid": "session-1",
    "gid": "grant-1",
    "roles": ["buyer"],
}
# fmt: off
_TIMES: Final = (
    0, NOW - 86_400, NOW - 5, NOW - 1, NOW, NOW + 5, NOW + 6, NOW + 86_400, NOW + 0.5, -1, 1e10, 253_402_300_799,
)
KNOWN_CLAIMS: Final[Known] = gathered((
    *((name, time) for name in ("exp", "iat", "nbf") for time in _TIMES),
    *CLAIMS.items(),
    ("aud", [AUDIENCE]), ("aud", [AUDIENCE, "x"]), ("aud", AUDIENCE + "/"), ("iss", ISSUER + "/"), ("iss", [ISSUER]),
    ("cnf", {"jkt": "x"}), ("cnf", None), ("rev", 2**63), ("rev", -1), ("rev", 1.0), ("sid", ""),
    ("scope", "a  b"), ("scope", ["a"]), ("roles", ["a", 1]), ("roles", "a"), ("big", 2**70), ("x", ABYSS),
    ("act", {"sub": "agent", "act": {"sub": "other"}}), ("x", {"y": [1, {"z": None}]}),
))
KNOWN_HEADER: Final[Known] = gathered((
    *(("alg", alg) for alg in (*ALGORITHMS, "none", "None", "HS256", "HS512", "ES256K", "RS1", "RSA-OAEP")),
    *(("kid", kid) for kid in (*TRUSTED, STRANGER.kid, "", "../key", "x" * 5_000)),
    *(("typ", typ) for typ in ("at+jwt", "AT+JWT", "application/at+jwt", "JWT", "dpop+jwt", "at+jwt ", "at+jw\u0166")),
    ("crit", ["exp"]), ("crit", []), ("crit", ["b64"]), ("b64", False), ("b64", True), ("zip", "DEF"), ("cty", "JWT"),
    ("jwk", STRANGER.public_jwk()), ("jku", "https://attacker.example/keys"), ("x5c", ["AAAA"]), ("x5u", "file:///"),
    ("enc", "A128GCM"), ("p2c", 2**31 - 1), ("x", ABYSS),
))
# fmt: on


def signed(header: bytes, payload: bytes, key: SigningKey) -> bytes:
    """A token over exact bytes."""
    message = compact.spelled(header) + b"." + compact.spelled(payload)
    return message + b"." + compact.spelled(key.sign(message))


def header_of(key: SigningKey, **more: object) -> bytes:
    """The header that goes with a key."""
    return json.dumps({"alg": key.alg, "kid": key.kid, "typ": "at+jwt", **more}, separators=(",", ":")).encode()


def payload_of(**changes: object) -> bytes:
    """CLAIMS with members changed or added."""
    return json.dumps({**CLAIMS, **changes}, separators=(",", ":")).encode()


def _seeds() -> Iterator[bytes]:
    for key in TRUSTED.values():
        yield signed(header_of(key), payload_of(), key)
    key = USUAL
    yield signed(header_of(key, typ="application/AT+JWT"), payload_of(nbf=NOW, exp=NOW + 900.5), key)
    yield signed(header_of(key, jwk=STRANGER.public_jwk()), payload_of(act={"sub": "é", "list": [1, 2.5, None]}), key)
    yield signed(header_of(key), payload_of(auth_time=NOW, acr="1", amr=["pwd"], name='A "quoted" \\ name'), key)
    yield signed(header_of(key), payload_of(padding="x" * 3_000), key)
    yield signed(header_of(key), payload_of(many=[[]] * 200, objects=[{}] * 200), key)
    yield signed(header_of(key), b" " + payload_of(), key)
    yield signed(header_of(key), payload_of(cnf={"jkt": "x"}), key)
    yield signed(header_of(key, crit=["exp"], exp=NOW), payload_of(), key)
    yield signed(header_of(USUAL), payload_of(), STRANGER)
    yield _keyed_with_a_public_key()
    yield signed(b'{"alg":"none","typ":"at+jwt"}', payload_of(), key).rpartition(b".")[0] + b"."
    yield b"." * 300
    yield from _published()


def _keyed_with_a_public_key() -> bytes:
    """HS256, keyed with what everybody knows."""
    header = json.dumps({"alg": "HS256", "kid": USUAL.kid, "typ": "at+jwt"}).encode()
    message = compact.spelled(header) + b"." + compact.spelled(payload_of())
    secret = json.dumps(USUAL.public_jwk()).encode()
    return message + b"." + compact.spelled(hmac.digest(secret, message, "sha256"))


def _published() -> Iterator[bytes]:
    """Tokens of Wycheproof, where they are at hand (tests/conftest.py says where from)."""
    folder = Path(os.environ.get("WATCHWORD_VECTORS") or Path(__file__).parents[3] / "shared" / "vectors")
    path = folder / "wycheproof" / "json_web_signature_test.json"
    if path.is_file():
        groups = json.loads(path.read_text())["testGroups"]
        texts = {test["jws"] for group in groups for test in group["tests"] if isinstance(test["jws"], str)}
        yield from (text.encode() for text in sorted(texts))


def change_token(data: bytes, chance: Random, native: Native) -> bytes:
    """A token near the given one, signed again half of the time."""
    segments = data.split(b".")
    dice = chance.random()
    if len(segments) != 3 or len(data) > MAX_TOKEN:
        return native(data) if dice < 0.5 else signed(header_of(USUAL), payload_of(), USUAL)
    if dice < 0.08:
        return native(data)
    header, payload, signature = map(compact.read, segments)
    if chance.random() < 0.3:  # from a good one again: what is broken already only hides what comes behind
        header, payload = header_of(USUAL), payload_of()
    if dice < 0.18:
        place = chance.randrange(3)
        segments[place] = compact.respelled(segments[place], chance, native)
        return compact.rebuilt(segments)
    if dice < 0.26:
        return compact.rebuilt([*segments[:2], compact.spelled(compact.signature_changed(signature, chance, native))])
    if dice < 0.45:
        header = change(header, KNOWN_HEADER, chance, native)
    if dice > 0.40:
        payload = change(payload, KNOWN_CLAIMS, chance, native)
    if chance.random() < 0.6:
        return _signed_again(header, payload, chance)
    return compact.rebuilt([compact.spelled(header), compact.spelled(payload), segments[2]])


def _signed_again(header: bytes, payload: bytes, chance: Random) -> bytes:
    """Signed by the key that the header names; now and then under a good header, or by a stranger."""
    dice = chance.random()
    if dice < 0.05:
        return signed(header, payload, STRANGER)
    key = TRUSTED.get(_kid_in(header)) if dice < 0.8 else None
    if key is None:
        key = USUAL if chance.random() < 0.9 else chance.choice(list(TRUSTED.values()))
        header = header if dice > 0.95 else header_of(key)
    token = signed(header, payload, key)
    if chance.random() < 0.05:  # the spelling itself is signed: only the decoder can refuse it
        message, _, _ = token.rpartition(b".")
        message = message + chance.choice((b"=", b"A", b"\n", b"+"))
        return message + b"." + compact.spelled(key.sign(message))
    return token


def _kid_in(header: bytes) -> str:
    try:
        return str(dict(parse(header)).get("kid"))
    except UNUSABLE:
        return ""


_VERIFIER: Final = Verifier(issuer=ISSUER, audience=AUDIENCE, jwks=JWKS, clocks=Clocks(lambda: 0.0, lambda: NOW))
_POLICY: Final = Policy(ISSUER, AUDIENCE, LEEWAY, MAX_LIFETIME)
_KEYS: Final = key_set(JWKS)
_JWK_OF: Final = {str(jwk["kid"]): jwk for jwk in JWKS["keys"]}


def opener_of() -> Opener:
    """A new Opener that trusts JWKS: what an earlier input left behind decides nothing."""
    opener = Opener(_POLICY)
    opener.trust(_KEYS)
    return opener


def _prepare(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _call(token: str) -> tuple[Opener, Principal]:
    opener = opener_of()
    try:
        alone = opener.open(token, NOW).principal
    except InvalidToken as error:
        if len(token) % 4 == 0:  # a share of them, since the answer costs the same again
            _must_refuse_too(token, error)
        raise
    if _VERIFIER.verify_sync(token) != alone:
        raise Violation("Verifier and Opener find different principals in one token")
    return opener, alone


def _must_refuse_too(token: str, error: InvalidToken) -> None:
    try:
        _VERIFIER.verify_sync(token)
    except InvalidToken as other:
        if type(other) is not type(error):
            raise Violation("Verifier and Opener refuse for different reasons") from error
    else:
        raise Violation("the Verifier accepts what the Opener refuses")


def judge(token: str, result: tuple[Opener, Principal]) -> str:
    """Raises Violation unless independent programs find the token good, and the principal is what it says."""
    opener, principal = result
    if len(token) > MAX_TOKEN:
        raise Violation("a token of too many bytes was accepted")
    segments = token.encode("ascii").split(b".")
    if len(segments) != 3:
        raise Violation("a token of another number of segments was accepted")
    header, payload, signature = map(reference.decoded, segments)
    jwk = _judge_header(reference.json_object(header))
    reference.must_be_signed(str(jwk["alg"]), jwk, segments[0] + b"." + segments[1], signature)
    claims = reference.json_object(payload)
    _judge_claims(claims)
    _judge_principal(principal, claims, str(jwk["kid"]))
    _judge_again(token, opener, principal)
    return "accepted"


def _judge_header(header: Mapping[str, Any]) -> Mapping[str, Any]:
    jwk = _JWK_OF.get(header["kid"])
    if jwk is None or header["alg"] != jwk["alg"]:
        raise Violation("accepted under another key or algorithm")
    if header["typ"].lower() not in TYPES or "crit" in header or "b64" in header:
        raise Violation("accepted as another type, or with an extension")
    return jwk


def _judge_claims(claims: Mapping[str, Any]) -> None:
    times = [claims["exp"], claims["iat"], claims.get("nbf", 0)]
    if any(type(time) not in (int, float) or not 0 <= time < 2.6e11 for time in times):
        raise Violation("accepted a time that is none")
    expires, issued, starts = times
    if expires + LEEWAY <= NOW or issued > NOW + LEEWAY or starts > NOW + LEEWAY:
        raise Violation("accepted outside its time")
    if not 0 < expires - issued <= MAX_LIFETIME:
        raise Violation("accepted a lifetime that is none, or too long")
    if claims["iss"] != ISSUER or claims["aud"] != AUDIENCE:
        raise Violation("accepted from another issuer, or for another API")
    if any(type(claims[name]) is not str or not claims[name] for name in ("sub", "jti", "client_id")):
        raise Violation("accepted without a name")
    if "cnf" in claims:
        raise Violation("accepted a token that is bound to a key")


def _judge_principal(principal: Principal, claims: Mapping[str, Any], kid: str) -> None:
    said = (
        *(claims[name] for name in ("sub", "client_id", "jti", "iss", "aud", "iat", "exp")),
        *(claims.get("rev", 0), claims.get("sid") or None, claims.get("gid") or None),
        *(frozenset(filter(None, claims.get("scope", "").split(" "))), frozenset(claims.get("roles", ())), kid),
    )
    found = (
        *(principal.subject, principal.client_id, principal.token_id, principal.issuer, principal.audience),
        *(principal.issued_at, principal.expires_at, principal.rev, principal.sid, principal.gid),
        *(principal.scopes, principal.roles, principal.key_id),
    )
    if said != found:
        raise Violation("the principal says something else than the token")
    if principal.claims != claims:
        raise Violation("`claims` says something else than the token")


def _judge_again(token: str, opener: Opener, principal: Principal) -> None:
    """The same at the second look; nothing after its end; nothing with a letter changed."""
    if _VERIFIER.verify_sync(token) != principal or opener.open(token, NOW).principal != principal:
        raise Violation("the second look finds something else")
    for time in (principal.expires_at + LEEWAY, principal.issued_at - LEEWAY - 1):
        if not _refuses(opener, token, time, (Expired, NotYetValid)):
            raise Violation("accepted outside its time")
    changed = _one_letter_changed(token)
    if changed != token and not _refuses(opener, changed, NOW, (InvalidToken,)):
        raise Violation("a token with one letter changed was accepted")


def _one_letter_changed(token: str) -> str:
    seed = hashlib.sha256(token.encode()).digest()
    place = int.from_bytes(seed[:4], "big") % len(token)
    letter = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."[seed[4] % 65]
    return token[:place] + letter + token[place + 1 :]


def _refuses(opener: Opener, token: str, now: float, kinds: tuple[type[Exception], ...]) -> bool:
    try:
        opener.open(token, now)
    except kinds:
        return True
    return False


TARGET: Final = Target(
    name="tokens",
    limit=20 * 1024,
    refusals=(InvalidToken,),
    seeds=_seeds,
    change=change_token,
    prepare=_prepare,
    call=_call,
    judge=judge,
    budget_ms=lambda data: 25,
)
