"""Token exchange (RFC 8693): a client gets a token of its own for one that it was given, and never more than that was.

Who may exchange whose tokens follows from what was verified of the token, never from what the request says. What comes
of an exchange is a child of the grant that the token stands on, so that ending one ends all that came of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from watchword_server.protocol.claims import NOTHING
from watchword_server.protocol.errors import (
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    UnacceptableToken,
    UnauthorizedClient,
)
from watchword_server.protocol.targets import IDENTITY, is_for, target
from watchword_server.protocol.values import CONFIDENTIAL, Client, Grant

GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"
JWT: Final = "urn:ietf:params:oauth:token-type:jwt"
TYPES: Final = (ACCESS_TOKEN, JWT)
"""What is taken, and what is given: our access tokens are JWTs."""
ANY_CLIENT: Final = "*"


class Bounds(msgspec.Struct, frozen=True):
    """How many exchanges may follow one another, and how many may come of one grant."""

    depth: int = 8
    children: int = 1000


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a request asks for (§2.1)."""

    subject_token: str
    subject_token_type: str
    actor_token: str | None
    issued_token_type: str
    audience: str | None
    scope: str | None


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says that was found good. Seconds since 1970."""

    name: str
    """As the token calls its subject; whoever holds it knows that already."""
    grant: Grant
    """What the token stands on. Its client is whose token it is."""
    scope: tuple[str, ...]
    expires_at: int
    act: Mapping[str, object] | None = None
    may_act: Mapping[str, object] | None = None
    """Who may act, where the token says so (§4.4)."""
    via: tuple[str, ...] = ()
    """The clients through whose hands it came, the last one first."""
    token_id: str | None = None
    """By which it may be taken back, where it is one of ours."""
    lineage: tuple[str, ...] = ()
    """What it came of itself, as it says."""


def wanted(client: Client, form: Mapping[str, str]) -> Wanted:
    """Read a request, of a client that has shown who it is. Raises what §2.2.2 says."""
    if client.kind != CONFIDENTIAL or GRANT_TYPE not in client.grant_types:
        raise UnauthorizedClient("client may not exchange tokens")
    if "subject_token" not in form or form.get("subject_token_type") not in TYPES:
        raise InvalidRequest(f"subject_token is missing, or its subject_token_type is none of {' '.join(TYPES)}")
    if ("actor_token" in form) != ("actor_token_type" in form) or form.get("actor_token_type", JWT) not in TYPES:
        raise InvalidRequest(f"actor_token needs an actor_token_type of {' '.join(TYPES)}, and is needed by it")
    issued = form.get("requested_token_type", ACCESS_TOKEN)
    if issued not in TYPES:
        raise InvalidRequest(f"requested_token_type is none of {' '.join(TYPES)}")
    return Wanted(
        subject_token=form["subject_token"],
        subject_token_type=form["subject_token_type"],
        actor_token=form.get("actor_token"),
        issued_token_type=issued,
        audience=_audience(form.get("resource"), form.get("audience")),
        scope=form.get("scope"),
    )


def decide(client: Client, subject: Subject, ask: Wanted, bounds: Bounds, gid: str, now: int) -> Grant:
    """What the client gets: a grant that comes of the subject token's, and ends with that token at the latest.

    `now` is in seconds. Raises UnacceptableToken, InvalidTarget, InvalidScope, or InvalidRequest beyond the bounds.
    """
    above = subject.grant
    must_live(above, now)
    _must_act_for(client, above.client_id)
    if subject.may_act is not None:
        _must_be_named(client, subject.may_act)
    if now >= subject.expires_at:
        raise UnacceptableToken("subject token has expired")
    audience, scope = _narrowed(client, subject, ask)
    act = _acting(client, subject.act, with_actor=ask.actor_token is not None)
    lineage = (above.gid, *above.lineage)
    if max(len(lineage), sum(1 for _ in actors(act))) > bounds.depth:
        raise InvalidRequest(f"no more than {bounds.depth} exchanges may follow one another here")
    return Grant(
        gid=gid,
        client_id=client.client_id,
        sub=above.sub,
        audience=audience,
        scope=scope,
        created_at=now,
        # Nobody makes a token live longer by exchanging it: that is what refresh tokens are for.
        expires_at=min(subject.expires_at, above.expires_at),
        sid=above.sid,
        parent=above.gid,
        authentication=None if above.authentication is None else replace(above.authentication, claims=NOTHING),
        act=act,
        lineage=lineage,
    )


def must_live(grant: Grant, now: int) -> None:
    """Raises UnacceptableToken where nothing may come of a grant any more."""
    if grant.ended_at is not None or now >= grant.expires_at:
        raise UnacceptableToken("the subject token's grant has ended")


def must_have_room(children: int, bounds: Bounds) -> None:
    """Raises InvalidRequest where as many came of one grant already as may."""
    if children >= bounds.children:
        raise InvalidRequest(f"no more than {bounds.children} exchanges may come of one grant here")


def must_be_the_clients_own(client: Client, client_id: str, sub: str) -> None:
    """An actor token says nothing but who the client is, which it has shown (§2.1). Raises UnacceptableToken."""
    if client_id != client.client_id or sub != client.client_id:
        raise UnacceptableToken("actor token is not the client's own, about itself")


def came_by(client: Client, subject: Subject) -> tuple[str, ...]:
    """The clients through whose hands the new token came: what takes back one of them takes back this token too."""
    known = dict.fromkeys((subject.grant.client_id, *subject.via))
    return tuple(one for one in known if one != client.client_id)


def descends(grant: Grant, subject: Subject) -> tuple[str, ...]:
    """What the new token came of: the grants above its own, and the tokens, which may be taken back by themselves."""
    token = () if subject.token_id is None else (subject.token_id,)
    return tuple(dict.fromkeys((*grant.lineage, *token, *subject.lineage)))


def actors(act: Mapping[str, object] | None) -> Iterator[Mapping[str, object]]:
    """Who acts, and who acted before, the present one first (§4.1)."""
    while act is not None:
        yield act
        before = act.get("act")
        act = before if isinstance(before, dict) else None


def _audience(resource: str | None, audience: str | None) -> str | None:
    """Both name an API here; one for each token (RFC 8707 §2)."""
    if audience is not None and not is_for(resource, audience):
        raise InvalidTarget("a token is for one API: `resource` and `audience` differ")
    return audience if audience is not None else resource


def _must_act_for(client: Client, of: str) -> None:
    if of != client.client_id and {of, ANY_CLIENT}.isdisjoint(client.metadata.acts_for):
        raise UnacceptableToken("client may not exchange tokens of that client")


def _must_be_named(client: Client, may_act: Mapping[str, object]) -> None:
    """All that identifies the actor has to fit (§4.4); what is not known here cannot."""
    known: dict[str, object] = {"sub": client.client_id, "client_id": client.client_id}
    if "sub" not in may_act or any(name not in known or known[name] != value for name, value in may_act.items()):
        raise UnacceptableToken("may_act of the subject token names somebody else")


def _narrowed(client: Client, subject: Subject, ask: Wanted) -> tuple[str, tuple[str, ...]]:
    """The API, and the scopes: of those that the client may have there, no more than the subject token has.

    Who a person is, is told to whom they have allowed that, and to nobody who acts for them.
    """
    held = subject.grant.audience
    resource = ask.audience if ask.audience is not None else held if held in client.access else None
    audience, allowed = target(client, ask.scope, resource)
    scope = tuple(one for one in allowed if one in subject.scope and one not in IDENTITY)
    if ask.scope is not None and scope != allowed:
        raise InvalidScope("more than the subject token has")
    if not scope and client.access[audience]:
        raise InvalidScope("the subject token has none of the scopes that this client may have there")
    return audience, scope


def _acting(client: Client, before: Mapping[str, object] | None, with_actor: bool) -> Mapping[str, object] | None:
    """Who acts in the new token (§4.1): this client, and before it those who acted in the subject token.

    Only who may impersonate is left out, and only itself: who acted before stays. Who acts already is not named twice.
    """
    if client.metadata.impersonates and not with_actor:
        return before
    mine: dict[str, object] = {"sub": client.client_id}
    if before is None:
        return mine
    is_mine = {name: value for name, value in before.items() if name != "act"} == mine
    return before if is_mine else {**mine, "act": before}
