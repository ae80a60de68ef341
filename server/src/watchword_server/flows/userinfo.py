"""Telling a client about a person (OpenID Connect Core §5.3): what was consented to, for as long as that holds."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from watchword.jose.kinds import Kind
from watchword.policy import Principal
from watchword_server.flows import dpop
from watchword_server.flows.for_clients import sealed_for
from watchword_server.flows.issuer import Issuer
from watchword_server.flows.presented import presented
from watchword_server.flows.subjects import subject_for
from watchword_server.people.values import User
from watchword_server.ports import Head
from watchword_server.protocol.errors import InsufficientScope, InvalidDPoPProof, InvalidSession
from watchword_server.protocol.person import by_name, by_scopes, facts
from watchword_server.protocol.targets import OPENID
from watchword_server.protocol.values import Client, Grant


class Shown(NamedTuple):
    """An access token as it came: as a bearer token, or with the proofs of a request by this method."""

    token: str
    method: str = ""
    proofs: tuple[str, ...] | None = None


class Allowed(msgspec.Struct, frozen=True):
    """A token that may ask, with all that it leads to."""

    principal: Principal
    client: Client
    grant: Grant
    user: User


async def userinfo(issuer: Issuer, shown: Shown, now: int) -> bytes | str:
    """The claims as JSON (bytes), or as a JWT (str) for a client that has chosen so (§5.3.2).

    Raises InvalidSession, also for a token that was revoked a moment ago; InvalidDPoPProof and UseDPoPNonce;
    InsufficientScope; NoSigningKey or NoEncryptionKey where the answer cannot be made as the client wants it.
    """
    head = await issuer.stores.log.head()
    found = await _allowed(issuer, head, shown, now)
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


async def _allowed(issuer: Issuer, head: Head, shown: Shown, now: int) -> Allowed:
    principal = await presented(issuer, shown.token, now, bound=shown.proofs is not None)
    await _must_be_held(issuer, principal, shown, now)
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


async def _must_be_held(issuer: Issuer, principal: Principal, shown: Shown, now: int) -> None:
    """A bound token comes with a proof by its key, once; any other comes without (RFC 9449 §7)."""
    if shown.proofs is None:
        return
    proof = await dpop.shown(issuer, shown.proofs, shown.method, "/userinfo", now, shown.token)
    if proof is None:
        raise InvalidDPoPProof("the token came without a DPoP proof")
    if principal.confirmation is None or principal.confirmation != proof.jkt:
        raise InvalidSession("token is bound to no key, or to another one")
    await dpop.spend(issuer, proof)


async def _claims(issuer: Issuer, found: Allowed) -> dict[str, object]:
    known, asked = facts(found.user), found.grant.authentication
    return {
        "sub": await subject_for(issuer, found.client, found.user.sub),
        **by_scopes(known, found.principal.scopes),
        **(by_name(known, asked.claims.userinfo) if asked is not None else {}),
    }
