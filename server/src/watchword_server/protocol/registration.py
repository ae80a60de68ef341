"""What may be registered: audiences, scopes, redirect URIs, origins, grants (RFC 7591 §2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from watchword_server.protocol.targets import SCOPE_TOKEN
from watchword_server.protocol.values import PUBLIC, Api, Client

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})
NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,100}")


class BadRegistration(ValueError):
    """It cannot be registered like this; the message says why."""


def checked_api(api: Api) -> Api:
    """The API as it may be registered."""
    _name(api.name)
    parts = urlsplit(api.audience)
    if not parts.scheme or not (parts.netloc or parts.path) or "#" in api.audience or not api.audience.isprintable():
        raise BadRegistration(f"audience {api.audience!r} is not an absolute URI without a fragment (RFC 8707 §2)")
    if len(api.audience) > 256 or " " in api.audience:
        raise BadRegistration("an audience has at most 256 characters and no space")
    _scopes(api.scopes)
    return api


def checked_client(client: Client, apis: Mapping[str, Api], grant_types: Iterable[str]) -> Client:
    """The client as it may be registered, given the APIs and grants that there are."""
    _name(client.name)
    unknown = client.grant_types - set(grant_types)
    if unknown:
        raise BadRegistration(f"no such grant: {min(unknown)}")
    if client.kind == PUBLIC and "client_credentials" in client.grant_types:
        raise BadRegistration("a public client cannot use client_credentials: it has no secret (RFC 6749 §4.4)")
    for audience, scopes in client.access.items():
        _access(audience, scopes, apis)
    for uri in client.redirect_uris:
        _redirect_uri(uri)
    for origin in client.origins:
        _origin(origin)
    return client


def _name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise BadRegistration("a name has 1 to 100 characters, none of them a control character")


def _scopes(scopes: Iterable[str]) -> None:
    for scope in scopes:
        if not SCOPE_TOKEN.fullmatch(scope):
            raise BadRegistration(f"{scope!r} is not a scope (RFC 6749 §3.3)")


def _access(audience: str, scopes: tuple[str, ...], apis: Mapping[str, Api]) -> None:
    if audience not in apis:
        raise BadRegistration(f"no API {audience}; register it with `watchword api add`")
    unknown = set(scopes) - set(apis[audience].scopes)
    if unknown:
        raise BadRegistration(f"{audience} has no scope {min(unknown)}")


def _redirect_uri(uri: str) -> None:
    """Absolute, without a fragment (RFC 6749 §3.1.2); https, or http on loopback (RFC 8252 §7.3)."""
    parts = urlsplit(uri)
    if "#" in uri or "*" in uri or not parts.hostname or not uri.isprintable() or "@" in parts.netloc:
        raise BadRegistration(f"redirect URI {uri!r} is not absolute, or has a fragment, wildcard or user")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise BadRegistration(f"redirect URI {uri!r} is not https")


def _origin(origin: str) -> None:
    """Scheme, host and port, nothing else (RFC 6454 §6.2); https, or http on loopback."""
    parts = urlsplit(origin)
    if f"{parts.scheme}://{parts.netloc}" != origin or not parts.hostname or origin != origin.lower():
        raise BadRegistration(f"{origin!r} is not an origin: scheme://host[:port], lower case")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise BadRegistration(f"origin {origin!r} is not https")
