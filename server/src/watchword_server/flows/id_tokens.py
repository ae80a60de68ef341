"""Making ID tokens (OpenID Connect Core §2)."""

from __future__ import annotations

from typing import Final

import msgspec

from watchword.jose.kinds import Kind
from watchword_server.flows.abreast import sign_abreast
from watchword_server.flows.for_clients import sealed_for
from watchword_server.flows.issuer import Issuer
from watchword_server.flows.subjects import subject_for
from watchword_server.people.values import User
from watchword_server.ports import Head
from watchword_server.protocol.errors import InvalidGrant
from watchword_server.protocol.id_token import Event, claims, left_half
from watchword_server.protocol.person import by_name, facts
from watchword_server.protocol.values import Client, Grant

LIFETIME: Final = 10 * 60
"""Seconds: an ID token is read when it comes. As a hint it is good after that, too."""


async def id_token(
    issuer: Issuer,
    head: Head,
    client: Client,
    grant: Grant,
    user: User,
    *,
    access_token: str,
    nonce: str | None,
    now: int,
) -> str:
    """The ID token beside `access_token`, as the client wants it signed and encrypted; of a refresh it has no `nonce`.

    `head` was read before the others. Facts about the person are in it only where they were asked for by name: scopes
    ask userinfo (§5.4). Raises NoSigningKey, and NoEncryptionKey rather than telling others what only the client may
    read.
    """
    how = grant.authentication
    if how is None:
        raise InvalidGrant("the grant is not of OpenID Connect")
    metadata, asked = client.metadata, how.claims.id_token
    alg = metadata.id_token_signed_response_alg
    event = Event(
        sub=await subject_for(issuer, client, grant.sub),
        sid=how.sid,
        auth_time=how.auth_time,
        amr=how.amr,
        acr=how.acr,
    )
    said = claims(
        issuer.terms.issuer,
        client.client_id,
        event,
        now,
        LIFETIME,
        nonce=nonce,
        at_hash=left_half(access_token, alg),
        person=by_name(facts(user), asked) if asked else None,
    )
    ring = await issuer.keyring.at(head, now)
    signed = await sign_abreast(ring.signs_for(Kind.ID_TOKEN, alg), msgspec.json.encode(said))
    seal_alg, enc = metadata.id_token_encrypted_response_alg, metadata.id_token_encrypted_response_enc
    return await sealed_for(issuer, client, signed, seal_alg, enc, now)
