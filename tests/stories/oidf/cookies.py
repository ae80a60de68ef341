"""A cookie jar as strict as a browser's (RFC 6265bis): host-only cookies, prefixes, Secure, Path, SameSite."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Cookie:
    """One that was taken."""

    name: str
    value: str
    host: str
    path: str
    secure: bool
    same_site: str
    until: float
    """Seconds since 1970."""


@dataclass
class Jar:
    """The cookies of one browser."""

    kept: dict[tuple[str, str, str], Cookie] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    """Headers that a browser drops without a word."""

    def take(self, url: str, headers: Iterable[str]) -> None:
        """Every Set-Cookie of an answer."""
        for header in headers:
            cookie = read(url, header)
            if cookie is None:
                self.refused.append(header)
                continue
            where = (cookie.host, cookie.path, cookie.name)
            self.kept.pop(where, None)
            if cookie.until > time.time():
                self.kept[where] = cookie

    def header(self, url: str, *, from_elsewhere: bool, safe: bool) -> str:
        """What a navigation sends. `from_elsewhere`: another site began it; `safe`: it is a GET."""
        parts, now = urlsplit(url), time.time()
        allowed = {"lax", "none"} if safe else {"none"}
        return "; ".join(
            f"{cookie.name}={cookie.value}"
            for cookie in self.kept.values()
            if cookie.host == parts.hostname
            and cookie.until > now
            and (trustworthy(url) or not cookie.secure)
            and covers(cookie.path, parts.path or "/")
            and (not from_elsewhere or cookie.same_site in allowed)
        )


def read(url: str, header: str) -> Cookie | None:
    """A Set-Cookie header; None for one that a browser does not take."""
    first, *rest = (part.strip() for part in header.split(";"))
    name, found, value = first.partition("=")
    attributes = {key.strip().lower(): text.strip() for key, _, text in (part.partition("=") for part in rest)}
    parts = urlsplit(url)
    secure, path, domain = "secure" in attributes, attributes.get("path", ""), attributes.get("domain")
    whole = path if path.startswith("/") else parts.path.rpartition("/")[0] or "/"
    same_site = attributes.get("samesite", "lax").lower()
    bad = (
        not found
        or not name
        or (secure and not trustworthy(url))
        or (domain is not None and domain.lstrip(".") != parts.hostname)
        or (name.startswith("__Secure-") and not secure)
        or (name.startswith("__Host-") and (not secure or path != "/" or domain is not None))
        or (same_site == "none" and not secure)
    )
    if bad:
        return None
    return Cookie(name, value, parts.hostname or "", whole, secure, same_site, _until(attributes))


def trustworthy(url: str) -> bool:
    """Whether browsers let a URL have Secure cookies: https, and this machine by its name (Secure Contexts §3.1)."""
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname == "localhost"


def covers(path: str, asked: str) -> bool:
    """Whether a cookie's path covers what is asked for (§5.1.4)."""
    return asked == path or asked.startswith(path if path.endswith("/") else f"{path}/")


def _until(attributes: dict[str, str]) -> float:
    if "max-age" in attributes:
        return time.time() + int(attributes["max-age"])
    if "expires" in attributes:
        return parsedate_to_datetime(attributes["expires"]).timestamp()
    return time.time() + 86_400
