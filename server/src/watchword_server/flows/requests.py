"""What a client asks for, wherever it stands: in the request, in a request object, or pushed here beforehand.

RFC 9101, RFC 9126 §4, OpenID Connect Core §6. Where a request object or a pushed request is used, all that is asked
comes from it. What stands outside is ignored but for the `client_id`: browsers and people can change that.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

from watchword.jose.b64 import b64url
from watchword_server.changes import TakePushed
from watchword_server.flows.issuer import Issuer
from watchword_server.ports import Conflict, FetchFailed
from watchword_server.protocol import request_object
from watchword_server.protocol.authorization import Asked
from watchword_server.protocol.errors import (
    InvalidRequest,
    InvalidRequestObject,
    InvalidRequestUri,
    OAuthError,
    RequestNotSupported,
    RequestUriNotSupported,
)
from watchword_server.protocol.fapi2 import permits
from watchword_server.protocol.request_object import LIMIT, Reading
from watchword_server.protocol.values import Client

PUSHED: Final = "urn:ietf:params:oauth:request_uri:"
"""What our own references begin with (RFC 9126 §2.2)."""
LONGEST: Final = len(PUSHED) + 43
"""Characters: 256 random bits follow."""
_GONE: Final = "no request of this client waits by this request_uri"
"""Alike for every reason: whoever guesses learns nothing."""


class Resolved(NamedTuple):
    """What is asked. With an `error` it is what stands outside, which only says where the refusal may go."""

    asked: Asked
    error: OAuthError | None = None


async def resolved(issuer: Issuer, client: Client | None, asked: Asked, now: int) -> Resolved:
    """A request at the authorization endpoint, with neither `request` nor `request_uri` left in it.

    Nothing of a request object that is refused is believed. So the refusal goes to the redirect URI that stands
    outside, if that is a registered one, and else the person is told: `addressed` decides, as ever.
    """
    if client is None or client.disabled_at is not None:
        return Resolved(asked)  # nobody is asked for it, and nothing fetched; `addressed` refuses it
    try:
        reference = asked.values.get("request_uri", "")
        if reference.startswith(PUSHED):
            _must_be_plain(asked)
            return Resolved(await _taken(issuer, client, reference, now))
        if client.metadata.require_pushed_authorization_requests:
            raise InvalidRequest("this client has to push its requests (RFC 9126 §5)")
        return Resolved(await opened(issuer, client, asked, now))
    except OAuthError as error:
        return Resolved(asked, error)


def handle(asked: Asked, browser: bytes) -> str | None:
    """By which a pushed request waits at the browser that came with it, so that the same link finds it there again: it
    is used up when it is answered, not when a page is loaded (FAPI 2.0 §5.3.2.2, note 3). None for other requests.

    Who knows the link, as the client does, does not know this.
    """
    reference = asked.values.get("request_uri", "")
    if asked.repeated or not _is_ours(reference):
        return None
    return b64url(hashlib.sha256(reference.encode("ascii") + browser).digest())


async def opened(issuer: Issuer, client: Client, asked: Asked, now: int) -> Asked:
    """What is asked, by a request object or without. Raises OAuthError."""
    text = await _object(issuer, client, asked)
    if text is None:
        if client.metadata.require_signed_request_object:
            raise InvalidRequest("this client has to sign its requests (RFC 9101 §10.5)")
        return asked
    metadata = client.metadata
    hint = request_object.signed_by(text, metadata.request_object_signing_alg)
    if not permits(client, hint.alg):
        raise InvalidRequestObject(f"this client does not sign its requests with {hint.alg} (FAPI 2.0 §5.4.1)")
    keys = await issuer.client_keys.verification(client, hint.alg, hint.kid, now)
    if not keys:
        raise InvalidRequestObject(f"the client has no key for {hint.alg}, or its keys cannot be read")
    reading = Reading(client.client_id, issuer.terms.issuer, metadata.require_signed_request_object)
    return Asked(request_object.opened(text, keys, reading, now))


async def _object(issuer: Issuer, client: Client, asked: Asked) -> str | bytes | None:
    """The request object, by value or by reference; None where there is none."""
    values = asked.values
    if values.keys().isdisjoint({"request", "request_uri"}):
        return None
    _must_be_plain(asked)
    has_keys = client.metadata.jwks is not None or client.metadata.jwks_uri is not None
    if "request_uri" in values:
        return await _fetched(issuer, client, values["request_uri"], has_keys)
    if not has_keys:
        raise RequestNotSupported("the client has no keys that could verify a request object")
    return values["request"]


def _must_be_plain(asked: Asked) -> None:
    if asked.repeated:
        raise InvalidRequest("a parameter appears twice")
    if {"request", "request_uri"} <= asked.values.keys():
        raise InvalidRequest("request and request_uri at once (RFC 9101 §5)")


async def _fetched(issuer: Issuer, client: Client, reference: str, has_keys: bool) -> bytes:
    if not client.metadata.request_uris or not has_keys:
        raise RequestUriNotSupported("the client has registered no request_uris, or no keys")
    url = request_object.place(client.metadata.request_uris, reference)
    if url is None:
        raise InvalidRequestUri("request_uri is not registered for this client")
    try:
        return (await issuer.references.document(client, url, LIMIT)).strip()
    except FetchFailed as error:
        raise InvalidRequestUri("nothing can be read at the request_uri") from error


async def _taken(issuer: Issuer, client: Client, reference: str, now: int) -> Asked:
    """A request that this client has pushed, once: exactly one of many racing callers gets it."""
    found = await issuer.stores.requests.pushed(kept(reference)) if _is_ours(reference) else None
    if found is None or found.client_id != client.client_id or now >= found.expires_at:
        raise InvalidRequestUri(_GONE)
    try:
        await issuer.stores.journal.save(TakePushed(found.hash))
    except Conflict as error:
        raise InvalidRequestUri(_GONE) from error
    return Asked(found.parameters)


def _is_ours(reference: str) -> bool:
    return reference.startswith(PUSHED) and len(reference) == LONGEST and reference.isascii()


def kept(reference: str) -> bytes:
    """What is kept of a `request_uri` of ours."""
    return hashlib.sha256(reference.encode("ascii")).digest()
