"""`watchword client key`: the public keys by which a client shows who it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from watchword.errors import WatchwordError
from watchword.jose.jwk import thumbprint
from watchword.jose.jwt import claims
from watchword.jose.members import public_members
from watchword_server.cli.answers import Answer
from watchword_server.cli.choosing import LARGEST
from watchword_server.cli.desk import Desk, at_desk, enlist, group
from watchword_server.cli.failures import Usage
from watchword_server.flows import registered_keys
from watchword_server.flows.client_keys import name_of, registered
from watchword_server.protocol.values import Client

Which = Annotated[str, typer.Argument(metavar="CLIENT_ID")]
File = Annotated[Path, typer.Argument(metavar="FILE", help="The public key: a JWK, or PEM (BEGIN PUBLIC KEY).")]
Kid = Annotated[str | None, typer.Option("--kid", help="Its name in what it signs; else its own, or its thumbprint.")]
Named = Annotated[str, typer.Argument(metavar="KID")]

COLUMNS = ("kid", "kty", "crv", "alg", "use")
BESIDE = "It is good from now on, beside the others. Sign with it, then remove the old one."
DEAD = "It is dead everywhere: nothing that it has signed, or will, is taken any more."


def commands() -> typer.Typer:
    """The group of commands."""
    app = group("The public keys of a client, registered by value.")
    for name, act in (("add", add), ("list", list_), ("remove", remove)):
        enlist(app, name, at_desk(act), dashes=act is remove)
    return app


async def add(desk: Desk, client_id: Which, file: File, kid: Kid = None) -> Answer:
    """Register one more key, beside those that there are."""
    jwk = read(file)
    if kid is not None:
        jwk = {**jwk, "kid": kid}
    client = await registered_keys.add(desk.issuer, desk.by, client_id, jwk, desk.now)
    return Answer({**document(client), "kid": name_of(jwk)}, note=BESIDE)


async def list_(desk: Desk, client_id: Which) -> Answer:
    """List the keys of a client."""
    rows = [described(jwk) for jwk in await registered_keys.of(desk.issuer, client_id)]
    return Answer({"client_id": client_id, "keys": rows}, rows, COLUMNS, f"{len(rows)} in all.")


async def remove(desk: Desk, client_id: Which, kid: Named) -> Answer:
    """Take a key away, now and everywhere."""
    client = await registered_keys.remove(desk.issuer, desk.by, client_id, kid, desk.now)
    return Answer({**document(client), "kid": kid}, note=DEAD)


def document(client: Client) -> dict[str, Any]:
    """A client's keys as programs read them."""
    return {"client_id": client.client_id, "keys": [described(jwk) for jwk in registered(client.metadata)]}


def described(jwk: Mapping[str, object]) -> dict[str, Any]:
    """A public key, named as it is named where it signs."""
    return {**jwk, "kid": name_of(jwk)}


def read(path: Path) -> Mapping[str, object]:
    """The public key in a file. Raises Usage."""
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise Usage(f"{path} is too large for a key")
    found = _from_pem(content, path) if b"-----BEGIN" in content else _from_json(content)
    if "kty" not in found:
        raise Usage(f"{path} holds no key: give a JWK as one JSON object, or PEM (BEGIN PUBLIC KEY)")
    return found


def _from_json(content: bytes) -> Mapping[str, object]:
    try:
        return claims(content)
    except WatchwordError:
        return {}


def _from_pem(content: bytes, path: Path) -> Mapping[str, object]:
    if b"PRIVATE KEY" in content:
        raise Usage(f"{path} holds a private key: it stays with the client, and only its public half is registered")
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        return {}
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        return {}
    jwk = public_members(key)
    return {**jwk, "kid": thumbprint(jwk), "use": "sig"}
