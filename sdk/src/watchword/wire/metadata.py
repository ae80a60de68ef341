"""What an issuer says of itself (RFC 8414), and which addresses may be spoken to at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from watchword.errors import CannotDecide, Misconfigured
from watchword.jose.jwt import claims

WELL_KNOWN: Final = "/.well-known/oauth-authorization-server"
MAX_DOCUMENT: Final = 64 * 1024
"""Bytes of the largest metadata document, key set or small answer that is read."""
LONGEST_LIFETIME: Final = 86_400
"""Seconds: what an access token may live at most when the issuer publishes no maximum."""
HEARTBEAT: Final = 2.0
"""Seconds between heartbeats when the issuer publishes no interval."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """The issuer's endpoints; empty where it has none. Durations in seconds."""

    issuer: str
    jwks_uri: str = ""
    token_endpoint: str = ""
    introspection_endpoint: str = ""
    revocations: str = ""
    stream: str = ""
    ack: str = ""
    feed_jwks_uri: str = ""
    clients: str = ""
    max_lifetime: int = LONGEST_LIFETIME
    heartbeat: float = HEARTBEAT


_ENDPOINTS: Final[Mapping[str, str]] = {
    "jwks_uri": "jwks_uri",
    "token_endpoint": "token_endpoint",
    "introspection_endpoint": "introspection_endpoint",
    "revocations": "watchword_revocations_endpoint",
    "stream": "watchword_revocations_stream_endpoint",
    "ack": "watchword_revocations_ack_endpoint",
    "feed_jwks_uri": "watchword_revocations_jwks_uri",
    "clients": "watchword_client_documents",
}


def read(body: bytes, issuer: str) -> Metadata:
    """The metadata in a document that was fetched for `issuer` (RFC 8414 §3.3).

    Raises InvalidToken subclasses for bytes that are not JSON, CannotDecide when the document is another's.
    """
    document = claims(body)
    if document.get("issuer") != issuer:
        raise CannotDecide(f"the metadata for {issuer} names another issuer; they must be equal to the letter")
    addresses = {field: _address(document, name, issuer) for field, name in _ENDPOINTS.items()}
    return Metadata(
        issuer=issuer,
        max_lifetime=int(_seconds(document, "watchword_access_token_max_lifetime", LONGEST_LIFETIME)),
        heartbeat=_seconds(document, "watchword_heartbeat_interval", HEARTBEAT),
        **addresses,
    )


def address_of(issuer: str) -> str:
    """Where an issuer's metadata lies: the well-known path goes before its own (RFC 8414 §3.1)."""
    parts = urlsplit(issuer)
    return f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{parts.path.rstrip('/')}"


def checked(url: str, what: str) -> str:
    """`url` when it may be spoken to: https, or http to this very machine. Raises Misconfigured, naming `what`."""
    fault = _fault(url)
    if fault:
        raise Misconfigured(f"{what} {fault}")
    return url


def checked_issuer(issuer: str) -> str:
    """An issuer identifier: as `checked`, and without query or fragment (RFC 8414 §2). Raises Misconfigured."""
    checked(issuer, "issuer")
    if "?" in issuer or "#" in issuer:
        raise Misconfigured("issuer must not have a query or a fragment")
    return issuer


def origin(url: str) -> str:
    """Scheme, host and port, the port only when it is not the scheme's own (RFC 6454 §6.1)."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    shown = f"[{host}]" if ":" in host else host
    usual = {"https": 443, "http": 80}.get(parts.scheme)
    return f"{parts.scheme}://{shown}" + ("" if parts.port in (None, usual) else f":{parts.port}")


def _address(document: Mapping[str, object], name: str, issuer: str) -> str:
    url = document.get(name, "")
    if not isinstance(url, str):
        raise CannotDecide(f"{name} in the metadata of {issuer} is not a string")
    if not url:
        return ""
    # A secure issuer must not send anyone over an open line, not even to this machine.
    if _fault(url) or (issuer.startswith("https:") and not url.startswith("https:")):
        raise CannotDecide(f"{name} in the metadata of {issuer} is not an https address")
    return url


def _seconds(document: Mapping[str, object], name: str, otherwise: float) -> float:
    value = document.get(name, otherwise)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise CannotDecide(f"{name} in the issuer's metadata is not a number of seconds")
    return value


def _fault(url: str) -> str:
    """Why a URL must not be spoken to; empty when it may."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # a property that raises on nonsense
    except ValueError:
        return "is not a URL"
    if not parts.hostname or parts.username is not None or parts.password is not None:
        return "must be a URL with a host and without a user"
    if parts.scheme == "https" or (parts.scheme == "http" and is_local(url)):
        return ""
    return "must be https; plain http is for loopback only"


def is_local(url: str) -> bool:
    """Whether a URL's host is this very machine: `localhost` or a loopback address."""
    host = (urlsplit(url).hostname or "").lower()
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
