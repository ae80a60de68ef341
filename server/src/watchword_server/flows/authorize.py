"""The authorization endpoint: what has to happen at a browser before a client gets its answer.

RFC 6749 §4.1, OpenID Connect Core §3.1.2. A request that nobody has to do anything for is answered at once. Any other
waits: it is kept for the browser that brought it, found again by its handle, and considered anew at each step, so that
what changes meanwhile counts. It is answered once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec

from watchword_server.changes import Add, Advance, Change, Finish, Remember, Unrevoked
from watchword_server.flows import at_browser, client_documents, requests
from watchword_server.flows.at_browser import Account, Visitor, kept, spelled
from watchword_server.flows.granting import given_in
from watchword_server.flows.hints import hinted
from watchword_server.flows.issuer import Issuer, audit
from watchword_server.flows.requests import resolved
from watchword_server.flows.subjects import subject_for
from watchword_server.ports import Conflict, Head
from watchword_server.protocol import responses
from watchword_server.protocol.authorization import (
    PARAMETERS,
    Addressee,
    Asked,
    AuthorizationRequest,
    addressed,
    read,
)
from watchword_server.protocol.claims import acr_for, covered, scopes_asked
from watchword_server.protocol.errors import AccessDenied, InvalidRequest, LoginRequired, OAuthError
from watchword_server.protocol.grants.authorization_code import LIFETIME, PREFIX, Code
from watchword_server.protocol.interaction import Standing, Step, is_sure, next_step
from watchword_server.protocol.person import is_another
from watchword_server.protocol.targets import OPENID, reach
from watchword_server.protocol.values import Client, Consent, Grant, Interaction

WAITS: Final = 30 * 60
"""Seconds for which a request waits for a person."""


class Ready(msgspec.Struct, frozen=True):
    """An answer for the client."""

    to: Addressee
    parameters: Mapping[str, str]


class Needed(msgspec.Struct, frozen=True):
    """Somebody has to do something first. `secret` is the browser's, where it had none."""

    step: Step
    handle: str
    secret: str | None = None


Outcome = Ready | Needed


class Gone(Exception):
    """Nothing waits by this handle at this browser: it was answered, has expired, or never was."""


class Case(msgspec.Struct, frozen=True):
    """What a request comes down to, at this browser and now.

    `scope` is what the client may get; `request.scope` is what the person is asked for: that, and the scopes that tell
    the claims which it asks for by name.
    """

    client: Client
    request: AuthorizationRequest
    scope: tuple[str, ...]
    audience: str
    accounts: Sequence[Account]
    account: Account | None
    standing: Standing


async def begin(issuer: Issuer, asked: Asked, visitor: Visitor, now: int) -> Outcome:
    """Take a request. Raises NotAddressable where nobody but the person can be told."""
    head = await issuer.stores.log.head()
    client = await client_documents.current(issuer, asked.values.get("client_id", ""), head, visitor.caller, now)
    before = await _came_before(issuer, asked, visitor, now)
    if before is not None:
        return await go_on(issuer, *before, visitor, now)
    whole = await resolved(issuer, client, asked, now)
    to = addressed(client, whole.asked, _is_native(client))
    try:
        if whole.error is not None:
            raise whole.error
        case = await _considered(issuer, client, to, whole.asked, visitor, None, now)
        step = next_step(case.request, case.standing, now)
        if step is Step.ANSWER:
            return await _granted(issuer, head, case, None, case.request.scope, (), visitor, now)
        return await _kept_waiting(issuer, asked, whole.asked, step, case.client, visitor, now)
    except OAuthError as error:
        return _refused(issuer, to, error)


async def waiting(issuer: Issuer, handle: str, visitor: Visitor, now: int) -> Interaction:
    """The request that waits by this handle. Raises Gone, alike for every reason."""
    found = await issuer.stores.requests.interaction(kept(handle))
    if found is None or found.browser != visitor.browser or now >= found.expires_at:
        raise Gone("no such request waits here")
    return found


async def go_on(issuer: Issuer, handle: str, on: Interaction, visitor: Visitor, now: int) -> Outcome:
    """What is next for a request that waits."""
    head = await issuer.stores.log.head()
    to, case = await _again(issuer, on, visitor, now)
    if isinstance(case, OAuthError):
        return await _told(issuer, to, case, on, visitor, now)
    try:
        step = next_step(case.request, case.standing, now)
        if step is Step.ANSWER:
            return await _granted(issuer, head, case, on, case.request.scope, (), visitor, now)
        return Needed(step, handle)
    except OAuthError as error:
        return await _told(issuer, to, error, on, visitor, now)


async def consider(issuer: Issuer, on: Interaction, visitor: Visitor, now: int) -> Case:
    """A request that waits, to be shown to the person. Raises OAuthError where it is none any more."""
    _, case = await _again(issuer, on, visitor, now)
    if isinstance(case, OAuthError):
        raise case
    return case


async def allow(
    issuer: Issuer, handle: str, on: Interaction, scopes: Collection[str], remember: bool, visitor: Visitor, now: int
) -> Outcome:
    """The person has consented, to these scopes of those that were asked for, and to what cannot be left out."""
    head = await issuer.stores.log.head()
    to, case = await _again(issuer, on, visitor, now)
    if isinstance(case, OAuthError):
        return await _told(issuer, to, case, on, visitor, now)
    step = next_step(case.request, case.standing, now)
    if step not in (Step.CONSENT, Step.ANSWER) or case.account is None:
        return Needed(step, handle)
    granted = tuple(one for one in case.request.scope if one in scopes or one == OPENID)
    remember = remember and is_sure(case.client, to.redirect_uri)
    kept_too = (Remember(_consent(case, case.account, granted, now)),) if remember else ()
    if not granted:
        return await deny(issuer, on, visitor, now)
    try:
        return await _granted(issuer, head, case, on, granted, kept_too, visitor, now)
    except OAuthError as error:
        return await _told(issuer, to, error, on, visitor, now)


async def deny(issuer: Issuer, on: Interaction, visitor: Visitor, now: int) -> Outcome:
    """The person has not consented: the client hears that, and nothing else."""
    to, _ = await _again(issuer, on, visitor, now)
    return await _told(issuer, to, AccessDenied("the person did not allow it"), on, visitor, now)


async def select(issuer: Issuer, handle: str, on: Interaction, sid: str, visitor: Visitor, now: int) -> Outcome:
    """The person has chosen among the accounts that are signed in at this browser."""
    chosen = [one for one in await at_browser.accounts(issuer, visitor, now) if one.session.sid == sid]
    if not chosen:
        return Needed(Step.SELECT_ACCOUNT, handle)
    signed_in = on.signed_in if on.signed_in == sid else None
    try:
        await issuer.stores.journal.save(Advance(on.hash, signed_in, sid))
    except Conflict as error:
        raise Gone("answered meanwhile") from error
    on = msgspec.structs.replace(on, signed_in=signed_in, selected=sid)
    return await go_on(issuer, handle, on, visitor, now)


async def _again(issuer: Issuer, on: Interaction, visitor: Visitor, now: int) -> tuple[Addressee, Case | OAuthError]:
    """A request that waits, as it is now: the client may have been changed or disabled since. Raises Gone."""
    client = await client_documents.current(issuer, on.client_id, None, visitor.caller, now)
    if client is None:
        raise Gone("its client is gone")
    asked = Asked(on.parameters)
    to = addressed(client, asked, _is_native(client))
    try:
        return to, await _considered(issuer, client, to, asked, visitor, on, now)
    except OAuthError as error:
        return to, error


async def _considered(
    issuer: Issuer,
    client: Client | None,
    to: Addressee,
    asked: Asked,
    visitor: Visitor,
    on: Interaction | None,
    now: int,
) -> Case:
    assert client is not None, "an addressee is a client's"  # noqa: S101  # `addressed` has refused everything else
    request = read(client, to, asked, client.metadata.pkce == "required")
    audience, scope = reach(client, issuer.terms.issuer, asked.values.get("scope"), request.resource)
    by_name = sorted(scopes_asked(request.claims) - set(scope)) if OPENID in scope else []
    request = msgspec.structs.replace(
        request,
        scope=(*scope, *by_name),
        max_age=request.max_age if request.max_age is not None else client.metadata.default_max_age,
        acr_values=request.acr_values or client.metadata.default_acr_values,
    )
    accounts = await at_browser.accounts(issuer, visitor, now)
    named = await _named(issuer, client, request, accounts, now)
    account = _current(accounts, on, named)
    standing = await _standing(issuer, client, to, audience, account, named, on)
    return Case(client, request, scope, audience, accounts, account, standing)


async def _named(
    issuer: Issuer, client: Client, request: AuthorizationRequest, accounts: Sequence[Account], now: int
) -> str | None:
    """The `sub` of whom the client speaks, by a hint or by asking for a `sub` (OpenID Connect Core §5.5.1).

    None where it speaks of nobody. Whoever is not signed in here is named as the client names them.
    """
    wanted = [how for where in (request.claims.id_token, request.claims.userinfo) if (how := where.get("sub"))]
    names = [str(value) for how in wanted for value in how.values]
    if request.id_token_hint is not None:
        hint = await hinted(issuer, request.id_token_hint, now)
        if hint is None:
            raise InvalidRequest("id_token_hint is not an ID token of this issuer")
        if names and hint.sub not in names:
            raise LoginRequired("id_token_hint and claims name two people")
        names = [hint.sub]
    if not names:
        return None
    for one in accounts:
        if await subject_for(issuer, client, one.user.sub) in names:
            return one.user.sub
    return names[0]


def _current(accounts: Sequence[Account], on: Interaction | None, named: str | None) -> Account | None:
    """Whose answer it will be: who signed in or was chosen for it, else who is named, else who was here last."""
    chosen = (on.selected or on.signed_in) if on is not None else None
    by_choice = [one for one in accounts if one.session.sid == chosen]
    by_name = [one for one in accounts if one.user.sub == named]
    return next(iter((*by_choice, *by_name, *accounts)), None)


async def _standing(
    issuer: Issuer,
    client: Client,
    to: Addressee,
    audience: str,
    account: Account | None,
    named: str | None,
    on: Interaction | None,
) -> Standing:
    if account is None:
        return Standing(hinted=named)
    sub, sid = account.user.sub, account.session.sid
    sure = is_sure(client, to.redirect_uri)
    consent = await issuer.stores.consents.find(sub, client.client_id, audience) if sure else None
    return Standing(
        sub=sub,
        signed_in_at=account.session.auth_time,
        consented=frozenset(consent.scope) if consent is not None else frozenset(),
        trusted=client.first_party and sure,
        hinted=named,
        is_new=on is not None and on.signed_in == sid,
        has_selected=on is not None and on.selected == sid,
    )


async def _came_before(issuer: Issuer, link: Asked, visitor: Visitor, now: int) -> tuple[str, Interaction] | None:
    """A pushed request that waits at this very browser, whose person comes by the same link again."""
    handle = requests.handle(link, visitor.browser) if visitor.browser is not None else None
    found = await issuer.stores.requests.interaction(kept(handle)) if handle is not None else None
    if handle is None or found is None or found.client_id != link.values.get("client_id"):
        return None
    return (handle, found) if found.browser == visitor.browser and now < found.expires_at else None


async def _kept_waiting(
    issuer: Issuer, link: Asked, asked: Asked, step: Step, client: Client, visitor: Visitor, now: int
) -> Needed:
    secret = None if visitor.browser is not None else spelled(issuer)
    browser = visitor.browser or kept(secret or "")
    handle = requests.handle(link, browser) or spelled(issuer)
    known = {name: value for name, value in asked.values.items() if name in PARAMETERS}
    waits = Interaction(kept(handle), client.client_id, known, browser, now + WAITS)
    await issuer.stores.journal.save(Add(waits))
    return Needed(step, handle, secret)


async def _granted(
    issuer: Issuer,
    head: Head,
    case: Case,
    on: Interaction | None,
    allowed: tuple[str, ...],
    more: tuple[Change, ...],
    visitor: Visitor,
    now: int,
) -> Ready:
    """A grant, and a code for it. A second answer to one request finds that it is gone."""
    account, to = case.account, case.request.to
    if account is None or is_another(case.request.claims, await subject_for(issuer, case.client, account.user.sub)):
        raise LoginRequired("nobody, or another person, is signed in")
    grant = _grant(issuer, case, account, allowed, now)
    raw = PREFIX + spelled(issuer)
    code = Code(
        hash=kept(raw),
        client_id=case.client.client_id,
        redirect_uri=to.redirect_uri,
        code_challenge=case.request.code_challenge,
        nonce=case.request.nonce,
        gid=grant.gid,
        expires_at=now + LIFETIME,
        jkt=case.request.dpop_jkt,
    )
    actor, facts = f"user:{grant.sub}", {"client_id": grant.client_id, "scope": " ".join(grant.scope)}
    try:
        await issuer.stores.journal.save(
            Unrevoked(head.rev, sub=grant.sub, client_id=grant.client_id, sid=account.session.sid),
            *([Finish(on.hash)] if on is not None else ()),
            *await client_documents.kept_too(issuer, case.client),
            *more,
            Add(grant),
            Add(code),
            audit(visitor.caller, now, actor, "authorization.grant", target=f"grant:{grant.gid}", **facts),
        )
    except Conflict as error:
        raise Gone("answered, or revoked, meanwhile") from error
    return Ready(to, responses.of_code(to, issuer.terms.issuer, raw))


def _grant(issuer: Issuer, case: Case, account: Account, allowed: tuple[str, ...], now: int) -> Grant:
    scope, asked, session = tuple(one for one in case.scope if one in allowed), case.request.claims, account.session
    acr = acr_for(session.amr, case.request.acr_values, asked)
    return given_in(issuer, session, case.client, case.audience, scope, acr, now, covered(asked, allowed))


def _consent(case: Case, account: Account, granted: tuple[str, ...], now: int) -> Consent:
    """What was allowed now, and what was before and is not asked for now."""
    before = case.standing.consented - set(case.request.scope)
    return Consent(account.user.sub, case.client.client_id, case.audience, (*granted, *sorted(before)), now)


async def _told(issuer: Issuer, to: Addressee, error: OAuthError, on: Interaction, visitor: Visitor, now: int) -> Ready:
    """The client hears of a refusal, and nothing waits any more."""
    row = audit(visitor.caller, now, "anonymous", "authorization.refuse", error.code, f"client:{on.client_id}")
    try:
        await issuer.stores.journal.save(Finish(on.hash), row)
    except Conflict as conflict:
        raise Gone("answered meanwhile") from conflict
    return _refused(issuer, to, error)


def _refused(issuer: Issuer, to: Addressee, error: OAuthError) -> Ready:
    return Ready(to, responses.of_error(to, issuer.terms.issuer, error))


def _is_native(client: Client | None) -> bool:
    return client is not None and client.metadata.application_type == "native"
