"""A device that cannot show a page gets its tokens through a person at another one (RFC 8628): asked for, and answered.

What it is told when it asks whether somebody has answered is in `device_tokens`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

import msgspec

from watchword.jose.b64 import b64url
from watchword.wire.metadata import is_local
from watchword_server.changes import Add, Advance, Change, DecideDevice, Finish, Unrevoked
from watchword_server.flows import at_browser
from watchword_server.flows.at_browser import Account, Visitor, kept, spelled
from watchword_server.flows.authorize import WAITS, Gone
from watchword_server.flows.client_authentication import authenticate
from watchword_server.flows.granting import given_in
from watchword_server.flows.issuer import Caller, Issuer, audit
from watchword_server.people.networks import network
from watchword_server.ports import Conflict
from watchword_server.protocol import device
from watchword_server.protocol.claims import NOTHING, acr_for
from watchword_server.protocol.errors import OAuthError, TooManyAttempts, TooManyDevices
from watchword_server.protocol.grants import device_code
from watchword_server.protocol.grants.device_code import INTERVAL, LIFETIME, PREFIX, must_be_allowed
from watchword_server.protocol.targets import reach
from watchword_server.protocol.values import Client, DeviceRequest, Grant, Interaction

USER_CODE: Final = "user_code"
"""Of all that waits for a person at a browser, only what is for a device has this parameter."""
TRIES: Final = 5
"""How often a code that is taken is made anew."""


class Begun(NamedTuple):
    """What a device has to show, and to ask with, for so many seconds and every so many seconds."""

    device_code: str
    user_code: str
    expires_in: int
    interval: int


class Unknown(Exception):
    """No device waits by this code: it never did, was answered, or has waited for too long."""


class Case(msgspec.Struct, frozen=True):
    """A device before a person. `account` is who would answer; None where somebody has to sign in first."""

    request: DeviceRequest
    client: Client
    user_code: str
    audience: str
    scope: tuple[str, ...]
    accounts: Sequence[Account]
    account: Account | None


# --- the device


async def begin(issuer: Issuer, authorization: str | None, form: Mapping[str, str], caller: Caller, now: int) -> Begun:
    """Make the codes that a device waits by (RFC 8628 §3.1, §3.2). Every refusal is an OAuthError."""
    head = await issuer.stores.log.head()
    client = await authenticate(issuer, head, authorization, form, now, "device_authorization")
    must_be_allowed(client)
    audience, scope = reach(client, issuer.terms.issuer, form.get("scope"), form.get("resource"))
    await _must_not_be_many(issuer, caller, now)
    raw = PREFIX + b64url(issuer.random(32))
    code = await _named(issuer, raw, client, audience, scope, caller, now)
    return Begun(raw, device.shown(code), LIFETIME, INTERVAL)


async def _named(
    issuer: Issuer, raw: str, client: Client, audience: str, scope: tuple[str, ...], caller: Caller, now: int
) -> str:
    """The code that a person will type. Somebody else may have it: then another."""
    row = audit(caller, now, f"client:{client.client_id}", "device.ask", target=audience, scope=" ".join(scope))
    for _ in range(TRIES):
        code = device.made(issuer.random(device.ENTROPY))
        with suppress(Conflict):
            await issuer.stores.journal.save(Add(_request(raw, code, client, audience, scope, caller, now)), row)
            return code
    raise Conflict("every code that was tried is taken")


def _request(
    raw: str, code: str, client: Client, audience: str, scope: tuple[str, ...], caller: Caller, now: int
) -> DeviceRequest:
    return DeviceRequest(
        hash=device_code.kept(raw),
        user_hash=device.kept(code),
        client_id=client.client_id,
        audience=audience,
        scope=scope,
        created_at=now,
        expires_at=now + LIFETIME,
        interval=INTERVAL,
        address=caller.address,
        agent=caller.agent,
    )


async def _must_not_be_many(issuer: Issuer, caller: Caller, now: int) -> None:
    """Not for who is on this machine."""
    if is_local(issuer.terms.issuer):
        return
    pause = await issuer.attempts.begin(device.asking(network(caller.address), issuer.random(1)[0], now), now)
    if pause:
        raise TooManyDevices("many devices have asked from there; wait before the next one", pause)


# --- the person


def is_one(on: Interaction) -> bool:
    """Whether a device waits by this."""
    return USER_CODE in on.parameters


async def find(issuer: Issuer, code: str, visitor: Visitor, browser: bytes, now: int) -> str:
    """A handle by which the device waits for this browser. Raises Unknown, TooManyAttempts.

    Guesses are counted by account, or by browser where nobody is signed in; by network; and all together.
    """
    who = await at_browser.accounts(issuer, visitor, now)
    name = who[0].user.sub if who else b64url(browser)
    budget = device.guessing(code, name, network(visitor.caller.address), now)
    pause = await issuer.attempts.begin(budget, now)
    if pause:
        await _missed(issuer, visitor.caller, who, "too many attempts", now)
        raise TooManyAttempts("too many codes that no device shows", pause)
    request = await issuer.stores.devices.named(device.kept(code))
    if request is None or not _waits(request, now):
        await _missed(issuer, visitor.caller, who, "unknown code", now)
        raise Unknown("no device waits by this code")
    await issuer.attempts.take_back(budget)  # and no more: a code of one's own must not pay for guesses
    handle = spelled(issuer)
    until = min(now + WAITS, request.expires_at)
    waits = Interaction(kept(handle), request.client_id, {USER_CODE: code}, browser, until)
    await issuer.stores.journal.save(Add(waits))
    return handle


async def consider(issuer: Issuer, on: Interaction, visitor: Visitor, now: int) -> Case:
    """The device that waits, as it is now: its client may have been changed or disabled since. Raises Gone, also where
    it is no device that waits.
    """
    request = await issuer.stores.devices.named(device.kept(on.parameters.get(USER_CODE, "")))
    client = await issuer.stores.clients.find(on.client_id)
    if request is None or not _waits(request, now) or client is None or client.disabled_at is not None:
        raise Gone("the device does not wait any more")
    try:
        must_be_allowed(client)
        audience, scope = reach(client, issuer.terms.issuer, " ".join(request.scope), request.audience)
    except OAuthError as error:
        raise Gone("the client may not ask for this any more") from error
    accounts = await at_browser.accounts(issuer, visitor, now)
    account = _who(accounts, client, on, now)
    return Case(request, client, on.parameters[USER_CODE], audience, scope, accounts, account)


async def choose(issuer: Issuer, on: Interaction, sid: str, visitor: Visitor, now: int) -> None:
    """The person has chosen among the accounts at this browser; what is none of them changes nothing. Raises Gone."""
    if sid in {one.session.sid for one in await at_browser.accounts(issuer, visitor, now)}:
        try:
            await issuer.stores.journal.save(Advance(on.hash, on.signed_in if on.signed_in == sid else None, sid))
        except Conflict as error:
            raise Gone("answered meanwhile") from error


async def allow(issuer: Issuer, on: Interaction, visitor: Visitor, now: int) -> Case:
    """The person lets the device act for them: a grant that it may fetch the tokens of, once. Raises Gone."""
    head = await issuer.stores.log.head()
    case = await consider(issuer, on, visitor, now)
    account = _somebody(case)
    grant = _grant(issuer, case, account, now)
    guard = Unrevoked(head.rev, sub=grant.sub, client_id=grant.client_id, sid=account.session.sid)
    facts = {"client_id": grant.client_id, "scope": " ".join(grant.scope), "asked_from": case.request.address}
    row = audit(visitor.caller, now, f"user:{grant.sub}", "device.allow", target=f"grant:{grant.gid}", **facts)
    decided = DecideDevice(case.request.hash, grant.gid, None)
    await _decide(issuer, guard, Finish(on.hash), Add(grant), decided, row)
    return case


async def deny(issuer: Issuer, on: Interaction, visitor: Visitor, now: int) -> Case:
    """The person refuses the device, which hears that and nothing else. Raises Gone."""
    case = await consider(issuer, on, visitor, now)
    sub = _somebody(case).user.sub
    facts = {"client_id": case.client.client_id, "asked_from": case.request.address}
    row = audit(visitor.caller, now, f"user:{sub}", "device.deny", "denied", **facts)
    await _decide(issuer, Finish(on.hash), DecideDevice(case.request.hash, None, now), row)
    return case


async def _missed(issuer: Issuer, caller: Caller, who: Sequence[Account], why: str, now: int) -> None:
    actor = f"user:{who[0].user.sub}" if who else "anonymous"
    await issuer.stores.journal.save(audit(caller, now, actor, "device.find", why))


def _waits(request: DeviceRequest, now: int) -> bool:
    return request.gid is None and request.denied_at is None and now < request.expires_at


def _who(accounts: Sequence[Account], client: Client, on: Interaction, now: int) -> Account | None:
    """Who signed in or was chosen for it, else who was here last; None where that was too long ago for the client."""
    chosen = on.selected or on.signed_in
    one = next(iter((*[each for each in accounts if each.session.sid == chosen], *accounts)), None)
    longest = client.metadata.default_max_age
    if one is None or longest is None or one.session.sid == on.signed_in:
        return one
    return one if now - one.session.auth_time <= longest else None


def _somebody(case: Case) -> Account:
    if case.account is None:
        raise Gone("signed out meanwhile")
    return case.account


def _grant(issuer: Issuer, case: Case, account: Account, now: int) -> Grant:
    acr = acr_for(account.session.amr, case.client.metadata.default_acr_values, NOTHING)
    return given_in(issuer, account.session, case.client, case.audience, case.scope, acr, now)


async def _decide(issuer: Issuer, *changes: Change) -> None:
    """One answer: that of who comes second finds that the device waits no more."""
    try:
        await issuer.stores.journal.save(*changes)
    except Conflict as error:
        raise Gone("answered, or revoked, meanwhile") from error
