"""RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0 §2): who is asked first, and where it goes after."""

from __future__ import annotations

from collections.abc import Collection

import msgspec


class Hint(msgspec.Struct, frozen=True):
    """An `id_token_hint` that this issuer has signed; it may have expired."""

    client_id: str
    sub: str
    sid: str | None


class LogoutRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What came with the request. `hint` is None where there was none, and where it was a bad one."""

    hint: Hint | None = None
    client_id: str | None = None
    post_logout_redirect_uri: str | None = None


class Ending(msgspec.Struct, frozen=True):
    """What follows. `asks`: the person has to confirm first. `redirect_uri`: where to go when it is done."""

    asks: bool
    redirect_uri: str | None = None


def ending(ask: LogoutRequest, registered: Collection[str], sid: str | None, sub: str | None) -> Ending:
    """Decide a logout. `registered` are the URIs of the client that the hint was made for.

    Nobody is signed out by a link on a stranger's page, and nobody is sent anywhere but to a registered URI of a client
    that has shown whom it speaks of (§3).
    """
    hint = ask.hint
    if hint is None or ask.client_id not in (None, hint.client_id):
        return Ending(asks=True)
    uri = ask.post_logout_redirect_uri
    if uri is not None and uri not in registered:
        return Ending(asks=True)
    if sub is None or _speaks_of(hint, sid, sub):
        return Ending(asks=False, redirect_uri=uri)
    return Ending(asks=True)


def _speaks_of(hint: Hint, sid: str | None, sub: str) -> bool:
    """Whether the hint was made in this session or, without a `sid`, for this person."""
    return hint.sid == sid if hint.sid is not None else hint.sub == sub
