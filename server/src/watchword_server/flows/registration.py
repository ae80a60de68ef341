"""Clients that register themselves (RFC 7591), and look after what they registered (RFC 7592)."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

from msgspec.structs import replace

from watchword.jose.b64 import b64url
from watchword.log import Entry
from watchword.wire.metadata import is_local
from watchword_server.changes import (
    Add,
    Change,
    EndGrantsOf,
    ReplaceClient,
    SetClientDisabled,
    Unrevoked,
    UseInvitation,
)
from watchword_server.flows import clients
from watchword_server.flows.administration import Operator, Refused
from watchword_server.flows.client_keys import deaths_by_removal
from watchword_server.flows.clients import NewClient
from watchword_server.flows.for_verifiers import deaths_by_ban
from watchword_server.flows.issuer import Caller, Issuer, audit, revoke
from watchword_server.flows.subjects import deaths_by_renaming
from watchword_server.people.networks import network
from watchword_server.ports import Conflict
from watchword_server.protocol import self_registration
from watchword_server.protocol.client_authentication import secret_hash
from watchword_server.protocol.client_document import open_to_all
from watchword_server.protocol.errors import (
    InvalidClientMetadata,
    InvalidRedirectUri,
    InvalidSession,
    OAuthError,
    RegistrationOff,
    TooManyRegistrations,
)
from watchword_server.protocol.self_registration import Proposal
from watchword_server.protocol.uris import BadRedirectUri, BadRegistration
from watchword_server.protocol.values import CONFIDENTIAL, PUBLIC, Client, ClientMetadata, Invitation
from watchword_server.revocation import deaths

MANAGEMENT_PREFIX: Final = "wwg_"
INVITATION_PREFIX: Final = "wwi_"
WINDOW: Final = 300
"""Seconds in which the first few registrations from a network are free; the next ones wait, each twice as long."""
TRIES: Final = 5
"""How often a registration is saved anew when others change keys at the same moment."""
DAY: Final = 24 * 3600
MOST_USES: Final = 100_000
MOST_DAYS: Final = 366
_UNSPEAKABLE: Final = re.compile(r"[^ !#-\[\]-~]")
"""What an `error_description` must not have (RFC 6749 §5.2)."""


class Registered(NamedTuple):
    """A client, and what only it knows: its secret when that is new, and its registration access token."""

    client: Client
    token: str
    secret: str | None = None


async def register(
    issuer: Issuer, members: Mapping[str, object], bearer: str | None, caller: Caller, now: int
) -> Registered:
    """Register a client by what it says (RFC 7591 §3). Every refusal is an OAuthError."""
    invitation = await _admitted(issuer, bearer, now)
    try:
        proposal = self_registration.read(members)
        if invitation is None:
            await _must_not_be_many(issuer, network(caller.address), now)
        token = _token(issuer, MANAGEMENT_PREFIX)
        client, secret, conditions = await clients.made(issuer, await _new(issuer, proposal, token), now)
        client = await clients.checked(issuer, client)
    except BadRegistration as error:
        raise _refusal(error) from error
    await _save(issuer, client, conditions, invitation, caller, now)
    issuer.logos.look(client, now)
    return Registered(client, token, secret)


async def current(issuer: Issuer, client_id: str, bearer: str | None) -> Registered:
    """What is registered (RFC 7592 §2.1); its token stays."""
    return Registered(await _managed(issuer, client_id, bearer), bearer or "")


async def update(
    issuer: Issuer, client_id: str, bearer: str | None, members: Mapping[str, object], caller: Caller, now: int
) -> Registered:
    """Replace all that the client said by this (RFC 7592 §2.2). It gets another token, and the old one is dead.

    What it may have at APIs, and its secret, stay as they are.
    """
    head = await issuer.stores.log.head()
    client = await _managed(issuer, client_id, bearer)
    try:
        self_registration.must_be_about(client, members)
        _must_not_choose_a_secret(client, members)
        proposal = self_registration.read(members)
        self_registration.may_become(client, proposal)
        await _must_not_be_many(issuer, client_id, now)
        token = _token(issuer, MANAGEMENT_PREFIX)
        wanted = replace(
            client,
            name=proposal.name,
            grant_types=proposal.grant_types,
            redirect_uris=proposal.redirect_uris,
            origins=proposal.origins,
            metadata=_renewed(client.metadata, proposal, token),
        )
        wanted = await clients.checked(issuer, wanted)
    except BadRegistration as error:
        raise _refusal(error) from error
    keys_too = await clients.keys_for(issuer, wanted, now)
    row = audit(caller, now, f"client:{client_id}", "client.update", target=f"client:{client_id}")
    renamed = await deaths_by_renaming(issuer, client, wanted, now)
    gone = *deaths_by_removal(client, wanted, now), *await deaths_by_ban(issuer, client, wanted, now)
    guard = Unrevoked(head.rev, client_id=client_id)  # or it would bring back what an operator takes away
    await issuer.stores.journal.save(guard, ReplaceClient(wanted), *renamed, *gone, *keys_too, row)
    issuer.logos.look(wanted, now)
    return Registered(wanted, token)


async def remove(issuer: Issuer, client_id: str, bearer: str | None, caller: Caller, now: int) -> Sequence[Entry]:
    """The client goes (RFC 7592 §2.3): its tokens die everywhere, its grants end, its token opens nothing any more."""
    client = await _managed(issuer, client_id, bearer)
    head = await issuer.stores.log.head()
    return await issuer.stores.journal.save(
        SetClientDisabled(client_id, now),
        ReplaceClient(replace(client, metadata=replace(client.metadata, management_hash=None))),
        EndGrantsOf(client_id, now),
        revoke(deaths.client(client_id, now, head.lifetime)),
        audit(caller, now, f"client:{client_id}", "client.remove", target=f"client:{client_id}"),
    )


async def invite(issuer: Issuer, by: Operator, uses: int, days: int, now: int) -> tuple[Invitation, str]:
    """An initial access token (RFC 7591 §3) that so many clients may register with; nobody can read it again."""
    if not 0 < uses <= MOST_USES or not 0 < days <= MOST_DAYS:
        raise Refused(f"an invitation is for 1 to {MOST_USES} clients, and for 1 to {MOST_DAYS} days")
    token = _token(issuer, INVITATION_PREFIX)
    invitation = Invitation(_hash(token), now, now + days * DAY, uses)
    row = audit(by.caller, now, by.actor, "client.invite", uses=uses, days=days)
    await issuer.stores.journal.save(Add(invitation), row)
    return invitation, token


async def _admitted(issuer: Issuer, bearer: str | None, now: int) -> Invitation | None:
    """The invitation that was presented; None where nobody needs one."""
    mode = issuer.terms.registration
    if mode == "off":
        raise RegistrationOff("clients do not register themselves here")
    if mode == "open" and bearer is None:
        return None
    return await _invitation(issuer, _hash(bearer or ""), now)


async def _invitation(issuer: Issuer, hash: bytes, now: int) -> Invitation:
    found = await issuer.stores.invitations.find(hash)
    if found is None or found.uses_left <= 0 or found.expires_at <= now:
        raise InvalidSession("initial access token that is missing, unknown, used up or expired")
    return found


async def _must_not_be_many(issuer: Issuer, who: str, now: int) -> None:
    """A few in each window are free; then each waits longer than the one before. Not for who is on this machine."""
    if is_local(issuer.terms.issuer):
        return
    pause = await issuer.attempts.begin((f"registration:{who}:{now // WINDOW}",), now)
    if pause:
        raise TooManyRegistrations("many registrations came from there; wait before the next one", pause)


async def _new(issuer: Issuer, proposal: Proposal, token: str) -> NewClient:
    """At an API that serves itself it may ask for everything, whatever it named: what it will need, an API's
    challenges tell it later on (RFC 6750 §3.1).
    """
    found = [await issuer.stores.apis.find(audience) for audience in issuer.terms.registration_apis]
    apis = {api.audience: api for api in found if api is not None}
    return NewClient(
        name=proposal.name,
        kind=PUBLIC if proposal.is_public else CONFIDENTIAL,
        grant_types=proposal.grant_types,
        access={**self_registration.access(proposal.scope, apis), **open_to_all(await issuer.stores.apis.all())},
        redirect_uris=proposal.redirect_uris,
        origins=proposal.origins,
        metadata=_metadata(proposal, token, "required" if proposal.is_public else issuer.terms.registration_pkce),
    )


def _metadata(proposal: Proposal, token: str, pkce: Literal["required", "optional"]) -> ClientMetadata:
    return replace(proposal.metadata, pkce=pkce, registered_itself=True, management_hash=_hash(token))


def _renewed(before: ClientMetadata, proposal: Proposal, token: str) -> ClientMetadata:
    """What is not the client's to say stays as it is."""
    kept = {name: getattr(before, name) for name in self_registration.BEYOND_SAYING}
    return replace(proposal.metadata, **{**kept, "management_hash": _hash(token)})


async def _save(
    issuer: Issuer,
    client: Client,
    conditions: Sequence[Change],
    invitation: Invitation | None,
    caller: Caller,
    now: int,
) -> None:
    """Others may add keys at the same moment, or be the last whom the invitation was for."""
    used: tuple[Change, ...] = () if invitation is None else (UseInvitation(invitation.hash, now),)
    how = "open" if invitation is None else "invitation"
    row = audit(caller, now, "anonymous", "client.register", target=f"client:{client.client_id}", by=how)
    for tried in range(TRIES):
        keys_too = await clients.keys_for(issuer, client, now)
        try:
            await issuer.stores.journal.save(*conditions, *used, Add(client), *keys_too, row)
        except Conflict:
            if tried == TRIES - 1:
                raise
            if invitation is not None:
                await _invitation(issuer, invitation.hash, now)  # refused where it was used up meanwhile
        else:
            return


async def _managed(issuer: Issuer, client_id: str, bearer: str | None) -> Client:
    """The client that has this registration access token. Unknown, removed and wrong are one refusal (RFC 7592 §3)."""
    if issuer.terms.registration == "off":
        raise RegistrationOff("clients do not register themselves here")
    client = await issuer.stores.clients.find(client_id)
    kept = client.metadata.management_hash if client is not None and client.disabled_at is None else None
    if client is None or kept is None or not hmac.compare_digest(kept, _hash(bearer or "")):
        raise InvalidSession("no such client, or not its registration access token")
    return client


def _must_not_choose_a_secret(client: Client, members: Mapping[str, object]) -> None:
    given = members.get("client_secret")
    if given is None:
        return
    if client.secret_hash is None or not isinstance(given, str) or not _is(client.secret_hash, given):
        raise BadRegistration("client_secret is not the client's to choose (RFC 7592 §2.2)")


def _is(kept: bytes, secret: str) -> bool:
    return hmac.compare_digest(kept, secret_hash(secret))


def _refusal(error: BadRegistration) -> OAuthError:
    """In ASCII, for developers."""
    text = _UNSPEAKABLE.sub("?", str(error).replace("§", "section "))
    return InvalidRedirectUri(text) if isinstance(error, BadRedirectUri) else InvalidClientMetadata(text)


def _token(issuer: Issuer, prefix: str) -> str:
    return prefix + b64url(issuer.random(32))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
