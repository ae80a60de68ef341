"""Addresses that may be registered: those that browsers are sent to, and those that the issuer goes to itself."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})
LONGEST: Final = 2000
"""Characters of a URI."""
_URI: Final = re.compile(r"[a-z][a-z0-9+.-]{0,100}:[!$-;=?-\[\]_a-z~]+")
"""Characters of RFC 3986 §2 without `#`: no space, no backslash that a browser would take for a slash."""
_PRIVATE_USE: Final = re.compile(r"[a-z][a-z0-9-]*(\.[a-z0-9-]+)+")
"""A scheme that is a domain from right to left (RFC 8252 §7.1); none that a browser or a system runs has a dot."""
_FRAGMENT: Final = re.compile(r"#[!$-;=?-Z_a-z~]{0,200}")


class BadRegistration(ValueError):
    """It cannot be registered like this; the message says why."""


class BadRedirectUri(BadRegistration):
    """A redirect URI cannot be registered like this (RFC 7591 §3.2.2)."""


def checked_redirect_uri(uri: str, native: bool, what: str = "redirect URI") -> str:
    """Absolute and without a fragment (RFC 6749 §3.1.2): https, or http on loopback (RFC 8252 §7.3).

    A native program may have one of a private-use scheme too, such as `com.example.app:/signed-in` (RFC 8252 §7.1).
    """
    parts = _parts(uri, what, BadRedirectUri)
    if native and _PRIVATE_USE.fullmatch(parts.scheme) and uri.startswith(f"{parts.scheme}:/"):
        return uri
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        too = (
            "a native program may also have a scheme such as com.example.app" if native else "or it is a native program"
        )
        raise BadRedirectUri(f"{what} {shown(uri)} is neither https nor http on loopback; {too}")
    if "*" in uri or not parts.hostname:
        raise BadRedirectUri(f"{what} {shown(uri)} has no host, or a wildcard")
    return uri


def checked_address(uri: str, local: bool, what: str, fragment: bool = False) -> str:
    """Where the issuer goes, or leads people: https; on this machine only for an issuer that is there, then http too.

    `local`: only this machine reaches the issuer. `fragment`: there may be one, which names a content.
    """
    bare, hash_sign, rest = uri.partition("#")
    if hash_sign and (not fragment or not _FRAGMENT.fullmatch(hash_sign + rest)):
        raise BadRegistration(f"{what} {shown(uri)} has a fragment")
    parts = _parts(bare, what, BadRegistration)
    if not parts.hostname:
        raise BadRegistration(f"{what} {shown(uri)} has no host")
    if parts.hostname in LOOPBACK and not local:
        raise BadRegistration(f"{what} {shown(uri)} names this machine, and the issuer is for others too")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise BadRegistration(f"{what} {shown(uri)} is not https")
    return uri


def checked_origin(origin: str) -> str:
    """Scheme, host and port, nothing else (RFC 6454 §6.2); https, or http on loopback."""
    parts = _parts(origin, "origin", BadRegistration)
    if f"{parts.scheme}://{parts.netloc}" != origin or not parts.hostname or origin != origin.lower():
        raise BadRegistration(f"{shown(origin)} is not an origin: scheme://host[:port], lower case")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise BadRegistration(f"origin {shown(origin)} is not https")
    return origin


def host_of(uri: str) -> str | None:
    """The host of an address that was checked; None for one of a private-use scheme."""
    parts = urlsplit(uri)
    return parts.hostname if parts.scheme in ("https", "http") else None


def origin_of(uri: str) -> str | None:
    """The origin of an address that was checked, as browsers write it; None for one of a private-use scheme."""
    parts = urlsplit(uri)
    if parts.scheme not in ("https", "http"):
        return None
    own = {"https": 443, "http": 80}[parts.scheme]
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}" + ("" if parts.port in (None, own) else f":{parts.port}")


def shown(uri: str) -> str:
    """As it stands in a sentence: not at any length."""
    return repr(uri if len(uri) <= 200 else f"{uri[:200]}…")


def _parts(uri: str, what: str, refusal: type[BadRegistration]) -> SplitResult:
    try:
        parts = urlsplit(uri)
        _ = parts.hostname, parts.port  # both are parsed only when they are asked for
    except ValueError:
        raise refusal(f"{what} {shown(uri)} is not a URI") from None
    if len(uri) > LONGEST or not _URI.fullmatch(uri) or not {"@", "%"}.isdisjoint(parts.netloc) or parts.port == 0:
        raise refusal(
            f"{what} {shown(uri)} is not an absolute URI (RFC 3986), is longer than {LONGEST} characters,"
            " or has a fragment or a user"
        )
    return parts
