"""Telling a client about a person (OpenID Connect Core §5.3): what was consented to, for as long as that holds."""

from __future__ import annotations

import msgspec

from watchword.jose.kinds import Kind
from watchword.policy import Principal
from watchword_server.flows.for_clients import sealed_for
from watchword_server.flows.issuer import Issuer
from watchword_server.flows.presented import presented
from watchword_server.flows.subjects import subject_for
from watchword_server.people.values import User
from watchword_server.ports import Head
from watchword_server.protocol.errors import InsufficientScope, InvalidSession
from watchword_server.protocol.person import by_name, by_scopes, facts
from watchword_server.protocol.targets import OPENID
from watchword_server.protocol.values import Client, Grant


class Allowed(msgspec.Struct, frozen=True):
    """A token that may ask, with all that it leads to."""

    principal: Principal
    client: Client
    grant: Grant
    user: User


async def userinfo(issuer: Issuer, token: str, now: int) -> bytes | str:
    """The claims as JSON (bytes), or as a JWT (str) for a client that has chosen so (§5.3.2).

    Raises InvalidSession, also for a token that was revoked a moment ago; InsufficientScope; NoSigningKey or
    NoEncryptionKey where the answer cannot be made as the client wants it.
    """
    head = await issuer.stores.log.head()
    found = await _allowed(issuer, head, token, now)
    said = await _claims(issuer, found)
    metadata = found.client.metadata
    signs, seals = metadata.userinfo_signed_response_alg, metadata.userinfo_encrypted_response_alg
    if signs is None and seals is None:
        return msgspec.json.encode(said)
    enc = metadata.userinfo_encrypted_response_enc
    if signs is None:
        return await sealed_for(issuer, found.client, msgspec.json.encode(said).decode(), seals, enc, now, "json")
    whole = {**said, "iss": issuer.terms.issuer, "aud": found.client.client_id}
    ring = await issuer.keyring.at(head, now)
    signed = ring.signs_for(Kind.ID_TOKEN, signs)(msgspec.json.encode(whole))
    return await sealed_for(issuer, found.client, signed, seals, enc, now)


async def _allowed(issuer: Issuer, head: Head, token: str, now: int) -> Allowed:
    principal = await presented(issuer, token, now)
    if not principal.has(OPENID):
        raise InsufficientScope(OPENID)
    client = await issuer.stores.clients.find(principal.client_id, head)
    grant = await issuer.stores.grants.find(principal.gid) if principal.gid is not None else None
    if client is None or client.disabled_at is not None:
        raise InvalidSession("client is gone or disabled")
    if grant is None or grant.ended_at is not None or now >= grant.expires_at or grant.client_id != client.client_id:
        raise InvalidSession("grant is gone or has ended")
    user = await issuer.stores.users.find(grant.sub)
    if user is None or user.disabled_at is not None:
        raise InvalidSession("user is gone or disabled")
    return Allowed(principal, client, grant, user)


async def _claims(issuer: Issuer, found: Allowed) -> dict[str, object]:
    known, asked = facts(found.user), found.grant.authentication
    return {
        "sub": await subject_for(issuer, found.client, found.user.sub),
        **by_scopes(known, found.principal.scopes),
        **(by_name(known, asked.claims.userinfo) if asked is not None else {}),
    }
