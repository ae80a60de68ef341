"""What a person has to do before an authorization request is answered (OpenID Connect Core §3.1.2.1 to §3.1.2.4)."""

from __future__ import annotations

from enum import Enum, auto

import msgspec

from watchword_server.protocol.authorization import AuthorizationRequest
from watchword_server.protocol.errors import ConsentRequired, LoginRequired, SelectionRequired
from watchword_server.protocol.targets import OFFLINE
from watchword_server.protocol.values import PUBLIC, Client


def is_sure(client: Client, redirect_uri: str) -> bool:
    """Whether an answer to this address reaches this very client: by its secret, or by a host that it holds.

    Any program on a person's device can listen on loopback, take the scheme of another's app, and use a public
    `client_id`: then the person is asked each time (RFC 8252 §8.6). So they are about a client by its metadata
    document, for that may say something else the next time.
    """
    if client.metadata.document_fresh_until is not None:
        return False
    return client.kind != PUBLIC or redirect_uri.startswith("https://")


class Step(Enum):
    """The next thing to show, or that nothing is left."""

    SIGN_UP = auto()
    SIGN_IN = auto()
    SELECT_ACCOUNT = auto()
    CONSENT = auto()
    ANSWER = auto()


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Who is signed in at this browser, and what happened since the request came. Times are seconds since 1970."""

    sub: str | None = None
    """None: nobody."""
    signed_in_at: int = 0
    consented: frozenset[str] = frozenset()
    """Scopes that this person has allowed this client, then or now."""
    trusted: bool = False
    """Whether the client is the operator's own, so that nobody is asked but for `offline_access`."""
    hinted: str | None = None
    """The `sub` of a good `id_token_hint`."""
    is_new: bool = False
    """Whether the person signed in for this request."""
    has_selected: bool = False
    has_answered: bool = False
    """Whether the person was asked for consent for this request, and gave it."""


def next_step(ask: AuthorizationRequest, standing: Standing, now: int) -> Step:
    """What comes next. With prompt=none, whatever would have to be shown is an InteractionRequired instead."""
    step = _next(ask, standing, now)
    if "none" not in ask.prompt:
        return step
    match step:
        case Step.SIGN_UP | Step.SIGN_IN:
            raise LoginRequired("nobody is signed in as it is asked for")
        case Step.SELECT_ACCOUNT:
            raise SelectionRequired("another person is signed in")
        case Step.CONSENT:
            raise ConsentRequired("not all of this was consented to")
        case Step.ANSWER:
            return step


def _next(ask: AuthorizationRequest, standing: Standing, now: int) -> Step:
    if not standing.is_new:
        if "create" in ask.prompt:
            return Step.SIGN_UP
        if "login" in ask.prompt or standing.sub is None or _is_too_old(ask, standing, now):
            return Step.SIGN_IN
        if "select_account" in ask.prompt and not standing.has_selected:
            return Step.SELECT_ACCOUNT
    if standing.sub is None:
        return Step.SIGN_IN
    if standing.hinted not in (None, standing.sub):
        # Someone else than the one the client speaks of (§3.1.2.2); nothing is answered for the wrong person.
        return Step.SELECT_ACCOUNT
    return Step.ANSWER if _is_allowed(ask, standing) else Step.CONSENT


def _is_too_old(ask: AuthorizationRequest, standing: Standing, now: int) -> bool:
    return ask.max_age is not None and now - standing.signed_in_at > ask.max_age


def _is_allowed(ask: AuthorizationRequest, standing: Standing) -> bool:
    if standing.has_answered:
        return True
    if "consent" in ask.prompt:
        return False
    if standing.trusted:
        return OFFLINE not in ask.scope or OFFLINE in standing.consented
    return set(ask.scope) <= standing.consented
