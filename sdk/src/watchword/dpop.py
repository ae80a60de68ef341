"""Proofs of possession, each for one HTTP request (RFC 9449): verified by APIs and by the issuer, made by clients."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from watchword.errors import InvalidKey, InvalidProof, InvalidToken, Malformed, Misconfigured, NonceRequired
from watchword.jose import jws
from watchword.jose.algorithms import ALGORITHMS
from watchword.jose.b64 import b64url, unb64url
from watchword.jose.jwk import PublicKey, SigningKey, public_key
from watchword.jose.jwt import BAD_BYTES, claims
from watchword.jose.kinds import Kind

MAX_PROOF: Final = 8 * 1024
"""Bytes of the longest proof that is looked at."""
LEEWAY: Final = 30
"""Seconds by which `iat` may lie before or after now: so long lives a proof, so wrong may the clocks of clients be."""
ALGS: Final = tuple(row.name for row in ALGORITHMS.values() if row.kty != "oct")
"""The algorithms that a proof may be signed by: never one with a shared secret."""
NONCE_LIFE: Final = 300
"""Seconds for which a nonce is accepted."""

_MAX_URL: Final = 2048
_MAX_ORIGINS: Final = 256
_NONCE: Final = re.compile(r"[!#-\[\]-~]{1,256}")  # RFC 9449 §8.1: NQCHAR
_PORTS: Final = {"https": 443, "http": 80}

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
_Date = int | float  # RFC 7519 §2: a NumericDate may have a fraction. Each is compared with now, and nothing else.


class _Header(msgspec.Struct, frozen=True):
    """What is read before the key is known; everything else of the header is judged with the key at hand."""

    alg: str
    jwk: dict[str, Any]
    kid: str = ""


class _Claims(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """RFC 9449 §4.2, with their types: another type, null too, is a refusal."""

    jti: _Text
    htm: _Text
    htu: str
    iat: _Date
    ath: _Text = ""
    nonce: _Text = ""
    nbf: _Date = 0
    exp: _Date | msgspec.UnsetType = msgspec.UNSET


_header: Final = msgspec.json.Decoder(_Header).decode
_decode: Final = msgspec.json.Decoder(_Claims).decode
_encode: Final = msgspec.json.Encoder().encode


class Presented(NamedTuple):
    """A proof, and the request that it came with: method, and the URL as the client sees it."""

    proof: str
    method: str
    url: str


class Proof(NamedTuple):
    """A proof that was found good. Times are in seconds since 1970."""

    jkt: str
    """The thumbprint of its key (RFC 7638), as tokens name it in `cnf`."""
    jti: str
    iat: float
    nonce: str
    """Empty when it has none."""
    alg: str
    until: float
    """From then on it would be refused as stale: for so long it has to be known that it was used."""

    @property
    def name(self) -> str:
        """What to remember it by: of this key only, so that nobody uses up the proofs of another; 43 characters."""
        return b64url(hashlib.sha256(f"{self.jkt}.{self.jti}".encode()).digest())


def verify(
    proof: str,
    *,
    method: str,
    url: str,
    now: float,
    access_token: str | None = None,
    leeway: float = LEEWAY,
    nonces: Nonces | None = None,
) -> Proof:
    """Verify a proof for one request, completely but for whether it was used before (RFC 9449 §4.3).

    `now` is in seconds since 1970. With `access_token` its hash must be in the proof. With `nonces` one of them must
    be. Raises InvalidProof, and NonceRequired when everything but the nonce is good.
    """
    key, found = _opened(proof)
    _must_be_for(found, method, url)
    _must_be_now(found, now, leeway)
    if access_token is not None and not hmac.compare_digest(found.ath.encode(), ath(access_token).encode()):
        raise InvalidProof("ath is not the hash of the token")
    if nonces is not None and not nonces.accepts(found.nonce, now):
        raise NonceRequired("the proof has none of our nonces, or an old one")
    return Proof(key.thumbprint, found.jti, found.iat, found.nonce, key.alg, found.iat + leeway)


def ath(access_token: str) -> str:
    """The hash by which a proof names the token that it came with (RFC 9449 §4.2)."""
    return b64url(hashlib.sha256(access_token.encode("utf-8", "surrogatepass")).digest())


def _opened(proof: str) -> tuple[PublicKey, _Claims]:
    """The key in a proof, and the claims that this key has signed."""
    if not isinstance(proof, str):
        raise InvalidProof("not a proof")
    try:
        header, payload, signed, signature = jws.segments(proof, MAX_PROOF)
        key = _key_of(header)
        key.verify(signed, unb64url(signature))
        return key, _read(unb64url(payload))
    except (InvalidToken, InvalidKey) as error:
        raise InvalidProof(f"not a proof: {error}") from error


@lru_cache(maxsize=1024)
def _key_of(header: bytes) -> PublicKey:
    """The public key of an encoded header, which is judged completely. A key's proofs all have the same header.

    Raises InvalidKey or a subclass of InvalidToken; of those nothing is kept.
    """
    try:
        found = _header(unb64url(header))
    except BAD_BYTES as error:
        raise Malformed("not the header of a proof") from error
    key = public_key(found.jwk, found.alg)  # refuses what is private or symmetric
    jws.read_header(header, {found.kid: key}, (Kind.DPOP_PROOF,))
    jws.must_be_strict(header)
    return key


def _read(payload: bytes) -> _Claims:
    """The claims, strictly: what is not written back to the very same bytes gets the longer look for duplicates."""
    try:
        found = _decode(payload)
        if _encode(found) != payload:
            claims(payload)
    except BAD_BYTES as error:
        raise Malformed("claims that are no claims of a proof") from error
    return found


def _must_be_for(found: _Claims, method: str, url: str) -> None:
    if found.htm != method:  # RFC 9110 §9.1: methods mind the case
        raise InvalidProof("htm is another method")
    if found.htu != url and target(found.htu) != target(url):
        raise InvalidProof("htu is another address")


def _must_be_now(found: _Claims, now: float, leeway: float) -> None:
    if found.iat <= now - leeway:  # compared, not added to: a number of JSON may be larger than any float
        raise InvalidProof("iat is too old")
    if found.iat > now + leeway or found.nbf > now + leeway:
        raise InvalidProof("iat or nbf lies in the future")
    if found.exp is not msgspec.UNSET and found.exp <= now - leeway:
        raise InvalidProof("exp has passed")


# Of RFC 3986 §2: a URI is written in these, and `urlsplit` would silently drop some of the others.
_URI: Final = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")
_PERCENT: Final = re.compile("%[0-9A-Fa-f]{2}")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


@lru_cache(maxsize=1024)
def target(url: str) -> str:
    """A URL as proofs are compared: normal by syntax and scheme, without query and fragment (RFC 3986 §6.2.2, §6.2.3).

    Raises InvalidProof for what is no absolute http or https URL.
    """
    if len(url) > _MAX_URL or not _URI.fullmatch(url):
        raise InvalidProof("not a URI")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidProof("not a URL") from error
    scheme, host = parts.scheme, _normal(_without_port(parts.netloc))
    if scheme not in _PORTS or not host or "@" in parts.netloc:
        raise InvalidProof("not a URL of http or https with a host and without a user")
    shown = "" if port in (None, _PORTS[scheme]) else f":{port}"
    return f"{scheme}://{host.lower()}{shown}{_without_dots(_normal(parts.path))}"


def _without_port(netloc: str) -> str:
    return netloc.rpartition(":")[0] if ":" in netloc.rpartition("]")[2] else netloc  # colons may stand in brackets


def _normal(text: str) -> str:
    """Percent-encoding in its one spelling: upper case, and none where none is needed (RFC 3986 §6.2.2.2)."""

    def spelled(found: re.Match[str]) -> str:
        character = chr(int(found[0][1:], 16))
        return character if character in _UNRESERVED else found[0].upper()

    return _PERCENT.sub(spelled, text)


def _without_dots(path: str) -> str:
    """A path with `.` and `..` resolved (RFC 3986 §5.2.4); never empty (§6.2.3)."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments and segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


class Nonces:
    """Nonces of a server that keeps none of them: each is its own time under a secret (RFC 9449 §8, §9).

    Whoever has the same secret accepts them as well. `life` is in seconds. Raises Misconfigured for a secret below
    32 bytes.
    """

    __slots__ = ("_life", "_secret")

    def __init__(self, secret: bytes, life: int = NONCE_LIFE) -> None:
        if len(secret) < 32:
            raise Misconfigured("a secret for nonces has at least 32 bytes")
        self._secret = secret
        self._life = life

    def make(self, now: float) -> str:
        """The nonce of this second."""
        return self._sealed(int(now).to_bytes(5, "big"))

    def accepts(self, nonce: str, now: float) -> bool:
        """Whether it is one of ours, and not older than `life`."""
        try:
            made = unb64url(nonce)[:5]
        except Malformed:
            return False
        if not hmac.compare_digest(self._sealed(made).encode(), nonce.encode()):
            return False
        return -self._life < int.from_bytes(made, "big") - now <= 1 + LEEWAY

    def _sealed(self, made: bytes) -> str:
        return b64url(made + hmac.digest(self._secret, b"watchword dpop nonce\n" + made, "sha256")[:16])


class ProofKey:
    """A client's key, and the nonces that servers have given it: makes proofs. For any number of threads."""

    __slots__ = ("_nonces", "_seal", "jkt")

    def __init__(self, key: SigningKey) -> None:
        jwk = key.public_jwk()
        self.jkt = key.kid
        """The thumbprint of the key (RFC 7638), as tokens name it in `cnf`."""
        self._nonces: dict[tuple[str, ...], str] = {}
        self._seal = jws.signer(key, Kind.DPOP_PROOF, jwk={name: jwk[name] for name in jwk if name not in _NO_MATERIAL})

    @staticmethod
    def generate(alg: str = "ES256") -> ProofKey:
        """A new key. Raises InvalidKey."""
        return ProofKey(SigningKey.generate(alg))

    def prove(self, method: str, url: str, *, now: float, jti: str, access_token: str | None = None) -> str:
        """A proof for one request (RFC 9449 §4.2). `jti` is new and random for each; `now` is in seconds since 1970.

        Raises InvalidProof for what is no http URL.
        """
        said = _Claims(
            jti,
            method,
            target(url),
            int(now),
            ath(access_token) if access_token is not None else "",
            self._nonces.get(_origin(url), ""),
        )
        return self._seal(_encode(said))

    def hear(self, url: str, nonce: str | None) -> bool:
        """Note the nonce (`DPoP-Nonce`) that an answer from `url` brought; whether it is a new one."""
        if nonce is None or not _NONCE.fullmatch(nonce):
            return False
        where = _origin(url)
        if self._nonces.get(where) == nonce:
            return False
        if len(self._nonces) >= _MAX_ORIGINS:
            self._nonces.clear()
        self._nonces[where] = nonce
        return True

    def __repr__(self) -> str:
        return f"ProofKey(jkt={self.jkt!r})"


_NO_MATERIAL: Final = frozenset(("kid", "alg", "use"))


def _origin(url: str) -> tuple[str, ...]:
    """Scheme, host and port."""
    return tuple(target(url).split("/")[:3])


def thumbprint_of(confirmation: object) -> str | None:
    """The key's thumbprint in a `cnf` claim that is nothing but one (RFC 9449 §6.1); None for anything else."""
    if not isinstance(confirmation, Mapping) or confirmation.keys() != {"jkt"}:
        return None
    jkt = confirmation["jkt"]
    return jkt if isinstance(jkt, str) and _THUMBPRINT.fullmatch(jkt) else None


_THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
"""32 bytes in base64url, in their one spelling."""
