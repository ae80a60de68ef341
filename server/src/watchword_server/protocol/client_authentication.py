"""Who a client is, from what it sends (RFC 6749 §2.3). Secrets are 256 random bits, kept as SHA-256."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode
from collections.abc import Mapping

import msgspec

from watchword_server.protocol.errors import InvalidClient
from watchword_server.protocol.form import decoded
from watchword_server.protocol.values import PUBLIC, Api, Client

MAX_CREDENTIALS = 1024
"""Characters of the longest Authorization header that is looked at."""


class Credentials(msgspec.Struct, frozen=True):
    """What was presented: a `client_id`, and a secret unless the client is public."""

    client_id: str
    secret: str | None


def presented(authorization: str | None, form: Mapping[str, str]) -> Credentials:
    """Read client credentials from the header or the form, never from both (RFC 6749 §2.3)."""
    in_form = "client_secret" in form
    if authorization is not None:
        if in_form:
            raise InvalidClient("two ways of client authentication at once")
        given = _basic(authorization)
        if form.get("client_id", given.client_id) != given.client_id:
            raise InvalidClient("client_id differs from the authenticated client")
        return given
    if "client_id" not in form:
        raise InvalidClient("no client authentication")
    return Credentials(form["client_id"], form.get("client_secret"))


def authenticated(client: Client | None, given: Credentials) -> Client:
    """The client, if it is who it claims to be; every failure looks the same to the caller."""
    if client is None:
        raise InvalidClient("unknown client")
    if client.disabled_at is not None:
        raise InvalidClient("client is disabled")
    if client.kind == PUBLIC:
        if given.secret is not None:
            raise InvalidClient("public client with a secret")
        return client
    if not _fits(client.secret_hash, given.secret):
        raise InvalidClient("wrong client secret")
    return client


def authenticated_api(api: Api | None, given: Credentials) -> Api:
    """The API, if these are its credentials."""
    if api is None or not _fits(api.secret_hash, given.secret):
        raise InvalidClient("unknown API or wrong secret")
    return api


def secret_hash(secret: str) -> bytes:
    """What is kept of a secret of 256 random bits."""
    return hashlib.sha256(secret.encode()).digest()


def _fits(kept: bytes | None, secret: str | None) -> bool:
    if kept is None or not secret:
        return False
    return hmac.compare_digest(secret_hash(secret), kept)


def _basic(authorization: str) -> Credentials:
    """HTTP Basic whose two halves are form-encoded (RFC 6749 §2.3.1)."""
    scheme, _, blob = authorization.partition(" ")
    if scheme.lower() != "basic" or len(blob) > MAX_CREDENTIALS:
        raise InvalidClient("Authorization is not Basic")
    try:
        name, colon, secret = b64decode(blob.strip(), validate=True).decode("utf-8").partition(":")
        name, secret = decoded(name), decoded(secret)
    except ValueError as error:
        raise InvalidClient("Authorization is not base64") from error
    if not colon or not name or not secret:
        raise InvalidClient("empty client_id or secret")
    return Credentials(name, secret)
