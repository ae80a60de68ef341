"""Who a client is, from what it sends (RFC 6749 §2.3). Secrets are 256 random bits or more, kept as SHA-256."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode
from collections.abc import Mapping
from typing import Final

import msgspec

from watchword_server.protocol.client_assertion import ASSERTING, PRIVATE_KEY_JWT, TYPE, claimed
from watchword_server.protocol.errors import InvalidClient
from watchword_server.protocol.form import decoded
from watchword_server.protocol.values import PUBLIC, Api, Client

NONE: Final = "none"
BASIC: Final = "client_secret_basic"
POST: Final = "client_secret_post"
SECRET_METHODS: Final = (BASIC, POST)
"""Ways to show a secret (OpenID Connect Core §9)."""
METHODS: Final = (*SECRET_METHODS, *ASSERTING, NONE)
ASSERTION: Final = "client_assertion"
"""The way of who sends one: whether it is signed with a key or a secret is the client's registration to say."""
MAX_CREDENTIALS: Final = 1024
"""Characters of the longest Authorization header that is looked at."""


class Credentials(msgspec.Struct, frozen=True):
    """What was presented: a `client_id`, by which way, and a secret or an assertion unless the client is public."""

    client_id: str
    way: str
    secret: str | None = None
    assertion: str | None = None

    def __repr__(self) -> str:
        return f"Credentials({self.client_id!r}, {self.way!r})"


def presented(authorization: str | None, form: Mapping[str, str]) -> Credentials:
    """Read client credentials from the header or the form, by one way and never two (RFC 6749 §2.3)."""
    if ASSERTION in form or "client_assertion_type" in form:
        return _asserted(authorization, form)
    if authorization is not None:
        if "client_secret" in form:
            raise InvalidClient("two ways of client authentication at once")
        given = _basic(authorization)
        if form.get("client_id", given.client_id) != given.client_id:
            raise InvalidClient("client_id differs from the authenticated client")
        return given
    if "client_id" not in form:
        raise InvalidClient("no client authentication")
    secret = form.get("client_secret")
    return Credentials(form["client_id"], NONE if secret is None else POST, secret)


def authenticated(client: Client | None, given: Credentials, now: int) -> Client:
    """The client, if it is who it claims to be by a secret, or is public; every failure looks the same to the caller.

    `now` is in seconds: a secret that was replaced may be good for a while.
    """
    client = known(client)
    if given.way not in ways(client):
        raise InvalidClient(f"the client does not authenticate by {given.way}")
    if client.kind == PUBLIC:
        return client
    if not _fits(client.secret_hash, given.secret) and not _fits(_retiring(client, now), given.secret):
        raise InvalidClient("wrong client secret")
    return client


def asserting(client: Client | None, given: Credentials) -> Client:
    """The client that is to show by an assertion who it is, if that is its way."""
    client = known(client)
    if given.assertion is None or ways(client)[0] not in ASSERTING:
        raise InvalidClient("the client does not authenticate by assertions")
    return client


def known(client: Client | None) -> Client:
    """The client, if there is one and it is not disabled."""
    if client is None:
        raise InvalidClient("unknown client")
    if client.disabled_at is not None:
        raise InvalidClient("client is disabled")
    return client


def ways(client: Client) -> tuple[str, ...]:
    """How a client may authenticate: as it has registered, and no other way (RFC 7591 §2)."""
    if client.kind == PUBLIC:
        return (NONE,)
    if client.metadata.fapi2:  # FAPI 2.0 Security Profile §5.3.2.1
        return (PRIVATE_KEY_JWT,)
    method = client.metadata.token_endpoint_auth_method
    return SECRET_METHODS if method is None else (method,)


def stays(client: Client, authorization: str | None) -> bool:
    """Whether the very same request of a client that has authenticated is as good later.

    By HTTP Basic it is, unless its secret is being replaced; by an assertion it never is.
    """
    if authorization is None:
        return False
    return client.metadata.retiring_secret is None or _fits(client.secret_hash, _basic(authorization).secret)


def authenticated_api(api: Api | None, given: Credentials) -> Api:
    """The API, if these are its credentials."""
    if api is None or not _fits(api.secret_hash, given.secret):
        raise InvalidClient("unknown API or wrong secret")
    return api


def secret_hash(secret: str) -> bytes:
    """What is kept of a random secret."""
    return hashlib.sha256(secret.encode()).digest()


def _retiring(client: Client, now: int) -> bytes | None:
    retiring = client.metadata.retiring_secret
    return retiring.hash if retiring is not None and now < retiring.until else None


def _fits(kept: bytes | None, secret: str | None) -> bool:
    if kept is None or not secret:
        return False
    return hmac.compare_digest(secret_hash(secret), kept)


def _asserted(authorization: str | None, form: Mapping[str, str]) -> Credentials:
    """RFC 7521 §4.2: the client_id may stand in the assertion alone; where both say it, they agree."""
    if authorization is not None or "client_secret" in form:
        raise InvalidClient("two ways of client authentication at once")
    if form.get("client_assertion_type") != TYPE or ASSERTION not in form:
        raise InvalidClient("client_assertion or client_assertion_type is missing, or of another kind")
    client_id = claimed(form[ASSERTION]).client_id
    if form.get("client_id", client_id) != client_id:
        raise InvalidClient("client_id differs from the sub of the assertion")
    return Credentials(client_id, ASSERTION, assertion=form[ASSERTION])


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
    return Credentials(name, BASIC, secret)
