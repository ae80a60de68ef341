"""The two cookies of a session: the APIs see the access cookie, only `POST /session/refresh` sees the other."""

from __future__ import annotations

from typing import Final

from watchword_server.protocol.errors import InvalidRequest
from watchword_server.web.asgi import Header, Scope
from watchword_server.web.front import Front

REFRESH: Final = "__Secure-watchword-refresh"


def access_name(front: Front) -> str:
    """`__Host-` binds the cookie to this host alone (RFC 6265bis §4.1.3.2); a domain rules that out."""
    return "__Secure-watchword-access" if front.cookie_domain else "__Host-watchword-access"


def access_cookie(front: Front, token: str, max_age: int) -> Header:
    """Set the access cookie; an empty token with `max_age` 0 (seconds) takes it back."""
    domain = f"; Domain={front.cookie_domain}" if front.cookie_domain else ""
    return _set(f"{access_name(front)}={token}; Max-Age={max_age}; Path=/{domain}; Secure; HttpOnly; SameSite=Lax")


def refresh_cookie(front: Front, token: str, max_age: int) -> Header:
    """Set the refresh cookie; an empty token with `max_age` 0 (seconds) takes it back."""
    path = f"{front.path}/session/refresh"
    return _set(f"{REFRESH}={token}; Max-Age={max_age}; Path={path}; Secure; HttpOnly; SameSite=Strict")


def host_cookie(name: str, value: str, max_age: int) -> Header:
    """A cookie of our own pages, bound to this host; an empty value with `max_age` 0 (seconds) takes it back.

    Lax: whom an app sends here by a link is known; what another site posts here comes without it.
    """
    return _set(f"{name}={value}; Max-Age={max_age}; Path=/; Secure; HttpOnly; SameSite=Lax")


def cookie(scope: Scope, name: str) -> str | None:
    """The value of a cookie. One that comes twice may have been planted beside ours, so it is refused."""
    wanted = f"{name}="
    lines = (value.decode("latin-1") for key, value in scope["headers"] if key == b"cookie")
    pairs = (pair.strip(" \t") for line in lines for pair in line.split(";"))
    found = [pair.removeprefix(wanted) for pair in pairs if pair.startswith(wanted)]
    if len(found) > 1:
        raise InvalidRequest("a cookie stands twice")
    return found[0] if found and found[0] else None


def _set(text: str) -> Header:
    return b"set-cookie", text.encode("ascii")
