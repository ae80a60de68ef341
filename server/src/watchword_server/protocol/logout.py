"""RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0 §2): who is asked first, and where it goes after."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol, TypeVar
from urllib.parse import urlencode

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


class SignedIn(Protocol):
    """Somebody who is signed in: the session, and who it is to the client that the hint was made for."""

    @property
    def sid(self) -> str: ...
    @property
    def sub(self) -> str: ...


Someone = TypeVar("Someone", bound=SignedIn)


def ending(ask: LogoutRequest, registered: Collection[str], signed_in: SignedIn | None) -> Ending:
    """Decide a logout. `registered` are the URIs of the client that the hint was made for.

    Nobody is signed out by a link on a stranger's page, and nobody is sent anywhere but to a registered URI of a client
    that has shown whom it speaks of (§3).
    """
    hint, uri = ask.hint, ask.post_logout_redirect_uri
    is_sound = hint is not None and ask.client_id in (None, hint.client_id) and (uri is None or uri in registered)
    if signed_in is None:
        return Ending(asks=False, redirect_uri=uri if is_sound else None)
    if hint is None or not is_sound:
        return Ending(asks=True)
    return Ending(asks=not speaks_of(hint, signed_in), redirect_uri=uri)


def speaks_of(hint: Hint, signed_in: SignedIn) -> bool:
    """Whether the hint was made in this session or, without a `sid`, for this person."""
    return hint.sid == signed_in.sid if hint.sid is not None else hint.sub == signed_in.sub


def meant(hint: Hint | None, signed_in: Sequence[Someone]) -> Someone | None:
    """Whose session is to end, of all who are signed in at a browser; the one in use stands first."""
    hinted = (one for one in signed_in if hint is not None and speaks_of(hint, one))
    return next(hinted, signed_in[0] if signed_in else None)


def location(redirect_uri: str, state: str | None) -> str:
    """Where the browser goes when it is done: the URI as it is registered, with the client's own `state` (§3)."""
    if state is None:
        return redirect_uri
    return f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{urlencode({'state': state})}"
