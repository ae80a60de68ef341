"""Making access tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from watchword_server.changes import Change
from watchword_server.flows.abreast import sign_abreast
from watchword_server.flows.encryption import Seal, seal_of, sealed
from watchword_server.flows.issuer import Issuer
from watchword_server.flows.keyring import NoSigningKey, Ring
from watchword_server.flows.repeats import Decided
from watchword_server.flows.subjects import subject_for
from watchword_server.ports import Head
from watchword_server.protocol.access_token import AccessClaims, payload
from watchword_server.protocol.errors import InvalidTarget
from watchword_server.protocol.fapi2 import permits
from watchword_server.protocol.targets import chosen_alg
from watchword_server.protocol.values import Api, Client, Grant


class Tokens(msgspec.Struct, frozen=True, gc=False):
    """The answer of a successful token request (RFC 6749 §5.1)."""

    access_token: str
    jti: str
    expires_in: int
    scope: str
    refresh_token: str | None = None
    id_token: str | None = None
    token_type: Literal["Bearer", "DPoP"] = "Bearer"
    issued_token_type: str | None = None
    """What kind of token it is, where one was exchanged for it (RFC 8693 §2.2.1)."""


class Came(NamedTuple):
    """What a token has of the one that it was exchanged for: how that calls its subject, what it descends from, and
    whose hands it came through.

    To another client the person may have another name; but who holds the token has read this one.
    """

    subject: str
    lineage: tuple[str, ...]
    via: tuple[str, ...]


class Minted(NamedTuple):
    """Tokens that were made, and what has to be saved before they are handed out."""

    tokens: Tokens
    changes: tuple[Change, ...] = ()


class Standing(NamedTuple):
    """The log and the keys as of one moment: what a token is made on."""

    head: Head
    ring: Ring


def for_clients(
    issuer: Issuer, asked: Sequence[tuple[Standing, Decided]], now: int, jkt: str | None = None
) -> list[Tokens]:
    """Tokens of programs that act for themselves: `sub` is the `client_id` (RFC 9068 §2.2).

    `jkt` is the thumbprint of the key that they are bound to.

    All claims, then all signatures: a signature leaves nothing else in the processor's caches, so that taking
    turns with it costs a fifth more.
    """
    url, until = issuer.terms.issuer, now + issuer.terms.access_lifetime
    claims = [
        AccessClaims(
            iss=url,
            sub=one.client_id,
            aud=one.audience,
            exp=until,
            iat=now,
            jti=issuer.identifier(),
            client_id=one.client_id,
            rev=on.head.rev,
            scope=one.scope,
            cnf=bound_to(jkt),
        )
        for on, one in asked
    ]
    payloads = [payload(one) for one in claims]
    signed = [on.ring.signs(one.alg)(text) for (on, one), text in zip(asked, payloads, strict=True)]
    kind = token_type(jkt)
    return [
        Tokens(text, one.jti, until - now, one.scope, token_type=kind) for text, one in zip(signed, claims, strict=True)
    ]


def signed_well(ring: Ring, client: Client, alg: str | None) -> str | None:
    """The algorithm that was chosen. Raises NoSigningKey where no key of it signs yet, and what signs instead is none
    that the client may take (FAPI 2.0 §5.4.1).
    """
    if not permits(client, ring.now(alg)):
        raise NoSigningKey(f"no {alg} key signs access tokens yet")
    return alg


def bound_to(jkt: str | None) -> Mapping[str, str] | None:
    """The claim that binds a token to a key (RFC 9449 §6.1)."""
    return None if jkt is None else {"jkt": jkt}


def token_type(jkt: str | None) -> Literal["Bearer", "DPoP"]:
    """How a token is to be shown (RFC 9449 §5)."""
    return "Bearer" if jkt is None else "DPoP"


async def registered(issuer: Issuer, audience: str, head: Head) -> Api:
    """The API that a token is for: without it nobody can say how the token must be made."""
    if audience == issuer.terms.issuer:
        return own_api(audience)
    api = await issuer.stores.apis.find(audience, head)
    if api is None:
        raise InvalidTarget("this API is not registered")
    return api


def own_api(issuer: str) -> Api:
    """The issuer as the API of its own userinfo: for tokens that are about a person and nothing else."""
    return Api(issuer, "userinfo", (), "", b"", 0)


async def for_grant(
    issuer: Issuer,
    head: Head,
    client: Client,
    grant: Grant,
    scope: Sequence[str],
    roles: Sequence[str],
    now: int,
    refresh: str | None,
    jkt: str | None = None,
    came: Came | None = None,
) -> Minted:
    """A token of a person by a client, who is named in it as the client knows them. It never outlives its grant.

    `jkt` is the thumbprint of the key that it is bound to. One that `came` by exchange is the only one of its grant,
    and has its name.
    """
    api = await registered(issuer, grant.audience, head)
    seal = await seal_of(issuer, api, now)
    how = grant.authentication
    claims = AccessClaims(
        iss=issuer.terms.issuer,
        sub=await subject_for(issuer, client, grant.sub) if came is None else came.subject,
        aud=grant.audience,
        exp=min(now + issuer.terms.access_lifetime, grant.expires_at),
        iat=now,
        jti=issuer.identifier() if came is None else grant.gid,
        client_id=grant.client_id,
        rev=head.rev,
        scope=" ".join(scope),
        sid=grant.sid,
        gid=grant.gid,
        roles=tuple(roles),
        acr=None if how is None else how.acr,
        auth_time=None if how is None else how.auth_time,
        lineage=grant.lineage if came is None else came.lineage,
        via=() if came is None else came.via,
        act=grant.act,
        cnf=bound_to(jkt),
    )
    ring = await issuer.keyring.at(head, now)
    alg = signed_well(ring, client, chosen_alg(api, client))
    signed = await sign_abreast(ring.signs(alg), payload(claims))
    tokens = Tokens(
        signed, claims.jti, claims.exp - now, claims.scope, refresh_token=refresh, token_type=token_type(jkt)
    )
    return sealed_up(issuer, seal, tokens, now)


def sealed_up(issuer: Issuer, seal: Seal | None, tokens: Tokens, now: int) -> Minted:
    """The tokens as their API wants them: `seal` is None only for an API that wants them signed and no more."""
    if seal is None:
        return Minted(tokens)
    text, change = sealed(issuer, seal, tokens.access_token, now + tokens.expires_in)
    return Minted(msgspec.structs.replace(tokens, access_token=text), (change,))
