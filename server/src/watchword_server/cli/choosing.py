"""The options by which APIs and clients choose for their tokens, and how a choice is shown."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from msgspec.structs import replace

from watchword.errors import WatchwordError
from watchword.jose.jwt import claims
from watchword_server.cli.answers import shown
from watchword_server.cli.desk import Desk
from watchword_server.cli.failures import Usage
from watchword_server.flows import choices
from watchword_server.protocol.registration import ALGORITHMS, ENC
from watchword_server.protocol.values import Api, Encryption

LARGEST: Final = 64 * 1024
"""Bytes of the largest file that may hold a key."""

UNITS: Final[Mapping[str, int]] = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}
"""Seconds."""

Alg = Annotated[
    str | None, typer.Option("--alg", metavar="ALG", help=f"Tokens are signed with it: {', '.join(ALGORITHMS)}.")
]
NoAlg = Annotated[bool, typer.Option("--no-alg", help="Leave open what tokens are signed with.")]
KeyFile = Annotated[
    Path | None,
    typer.Option("--encryption-key", metavar="FILE", help="Encrypt tokens to this public key, a JWK with its `alg`."),
]
JwksUri = Annotated[
    str | None, typer.Option("--jwks-uri", metavar="URL", help="Encrypt tokens to the first key that is usable there.")
]
NoEncryption = Annotated[bool, typer.Option("--no-encryption", help="Sign tokens, and encrypt them no longer.")]
Enc = Annotated[
    str | None,
    typer.Option("--enc", metavar="ENC", help=f"A128GCM, A256GCM, A128CBC-HS256 or A256CBC-HS512; {ENC} else."),
]


def encryption(key: Path | None, jwks_uri: str | None, enc: str | None, before: Encryption | None) -> Encryption | None:
    """What the options say; None when they say nothing. `--enc` alone changes what was `before`. Raises Usage."""
    if key is not None and jwks_uri is not None:
        raise Usage("say --encryption-key or --jwks-uri, not both")
    if key is not None:
        return Encryption(enc or ENC, jwk=_jwk(key))
    if jwks_uri is not None:
        return Encryption(enc or ENC, jwks_uri=jwks_uri)
    if enc is not None and before is None:
        raise Usage("--enc says how, not to whom: say --encryption-key or --jwks-uri too")
    return None if enc is None or before is None else replace(before, enc=enc)


async def begins(desk: Desk, alg: str | None) -> tuple[dict[str, int], str]:
    """From when on a chosen algorithm signs: for programs, and as a sentence."""
    at = None if alg is None else await choices.signs_from(desk.issuer, alg, desk.now)
    if at is None:
        return {}, ""
    if at <= desk.now:
        return {"alg_begins_at": at}, f"New tokens are signed with {alg} from now on."
    later = f"New tokens are signed with {alg} from {shown('alg_begins_at', at)} on: its key is published first."
    return {"alg_begins_at": at}, later


async def warning(desk: Desk, api: Api) -> tuple[dict[str, str], str]:
    """What stands in the way of encrypting now: for programs, and as a sentence."""
    # What a server would log stands in the answer; without a handler, Python would print it as well.
    logging.getLogger("watchword_server").addHandler(logging.NullHandler())
    trouble = await choices.trouble(desk.issuer, api, desk.now)
    return ({"warning": trouble}, "Until that is mended, this API gets no tokens.") if trouble else ({}, "")


def seconds(span: str) -> int:
    """What a span of time such as `24h` says; 0 for an empty one. Raises Usage."""
    if not span:
        return 0
    number, unit = span[:-1], span[-1]
    if unit not in UNITS or not number.isascii() or not number.isdigit() or len(number) > 9:
        raise Usage(f"{span!r} is no span of time: say a number and one of {', '.join(UNITS)}, such as 24h")
    return int(number) * UNITS[unit]


def sentences(*parts: str) -> str:
    """Those that there are, one a line."""
    return "\n".join(filter(None, parts))


def described(encryption: Encryption | None) -> Mapping[str, Any] | None:
    """An encryption as programs read it."""
    if encryption is None:
        return None
    if encryption.jwks_uri is not None:
        return {"enc": encryption.enc, "jwks_uri": encryption.jwks_uri}
    return {"enc": encryption.enc, "jwk": dict(encryption.jwk or {})}


def as_text(jwk: Mapping[str, str]) -> str:
    """A key on one line, as it goes into a file."""
    return json.dumps(jwk, separators=(",", ":"))


def _jwk(path: Path) -> Mapping[str, object]:
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    try:
        found = claims(content) if len(content) <= LARGEST else {}
    except WatchwordError:
        found = {}
    if "keys" in found:
        raise Usage(f"{path} holds a key set: give one key of it, or publish the set and say --jwks-uri")
    if "kty" not in found:
        raise Usage(f"{path} holds no JWK: a key as one JSON object, such as `watchword api new-encryption-key` makes")
    return found
