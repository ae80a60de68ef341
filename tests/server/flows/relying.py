"""A program that lets people in by the issuer: registered, with what they allowed it, and what it gets for that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from joserfc import jwe, jwk, jws

from tests.server.flows.house import ALICE, BY, NOW
from watchword_server.changes import Add, SetProfile
from watchword_server.flows import clients, minting, users
from watchword_server.flows.id_tokens import id_token
from watchword_server.flows.issuer import Issuer
from watchword_server.people.values import Session
from watchword_server.protocol.claims import NOTHING, ClaimsRequest
from watchword_server.protocol.values import Authentication, Client, ClientMetadata, Grant

CALLBACK = "https://shop.example/callback"
PROFILE: dict[str, object] = {
    "given_name": "Alice",
    "family_name": "Adams",
    "email_verified": True,
    "phone_number": "+44 20 7946 0018",
    "address": {"locality": "London", "country": "GB"},
    "updated_at": NOW,
    "shoe_size": 38,
}
NONCE = "n-0S6_WzA2Mj"
SIGNED_IN = NOW - 300


async def registered(issuer: Issuer, callback: str = CALLBACK, **metadata: Any) -> Client:
    """A client for signing in; its ID tokens are signed with a key that is quick to make, unless it says otherwise."""
    chosen = ClientMetadata(**{"id_token_signed_response_alg": "ES256", **metadata})
    grants = frozenset({"authorization_code", "refresh_token"})
    new = clients.NewClient("Shop", "confidential", grants, {}, redirect_uris=(callback,), metadata=chosen)
    return (await clients.add(issuer, BY, new, NOW))[0]


async def known(issuer: Issuer, email: str = ALICE, name: str = "Alice Adams") -> str:
    """Let more be known of somebody; their `sub`."""
    sub = (await users.find(issuer, email)).sub
    await issuer.stores.journal.save(SetProfile(sub, name, PROFILE))
    return sub


async def allowed(
    issuer: Issuer,
    client: Client,
    scope: Sequence[str] = ("openid",),
    claims: ClaimsRequest = NOTHING,
    offline: bool = False,
    email: str = ALICE,
    audience: str | None = None,
    acr: str | None = None,
) -> Grant:
    """What somebody allowed a client, in a session of its own; at userinfo, unless at an API."""
    sub, sid, gid = (await users.find(issuer, email)).sub, issuer.identifier(), issuer.identifier()
    until = NOW + issuer.terms.session_lifetime
    told = Authentication(sid=sid, auth_time=SIGNED_IN, amr=("pwd",), acr=acr, claims=claims)
    grant = Grant(
        gid,
        client.client_id,
        sub,
        audience or issuer.terms.issuer,
        tuple(scope),
        NOW,
        until,
        sid=None if offline else sid,
        made_in=sid,
        authentication=told,
    )
    session = Session(sid, sub, "", ("pwd",), SIGNED_IN, until, "", "")
    await issuer.stores.journal.save(Add(session), Add(grant))
    return grant


async def access_token(issuer: Issuer, client: Client, grant: Grant, now: int = NOW, **narrowed: Any) -> str:
    """An access token of the grant, with all of its scope unless another is given."""
    head = await issuer.stores.log.head()
    scope = narrowed.get("scope", grant.scope)
    minted = await minting.for_grant(issuer, head, client, grant, scope, (), now, None)
    await issuer.stores.journal.save(*minted.changes)
    return minted.tokens.access_token


async def identified(
    issuer: Issuer, client: Client, grant: Grant, access: str = "access", nonce: str | None = NONCE, now: int = NOW
) -> str:
    """The ID token beside an access token."""
    head = await issuer.stores.log.head()
    user = await issuer.stores.users.find(grant.sub)
    assert user is not None
    return await id_token(issuer, head, client, grant, user, access_token=access, nonce=nonce, now=now)


async def published(issuer: Issuer, now: int = NOW) -> jwk.KeySet:
    """The issuer's keys, as a client reads them."""
    ring = await issuer.keyring.at(await issuer.stores.log.head(), now)
    return jwk.KeySet.import_key_set(msgspec.json.decode(ring.jwks))


async def verified(issuer: Issuer, token: str, now: int = NOW) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a JWT, its signature checked by another library than ours with the key that `kid` names."""
    algorithms = ["RS256", "ES256", "PS256", "EdDSA", "ES384"]
    read = jws.deserialize_compact(token, await published(issuer, now), algorithms=algorithms)
    return dict(read.headers()), msgspec.json.decode(read.payload)


def decrypted(token: str, private: dict[str, str]) -> tuple[dict[str, Any], bytes]:
    """Header and plaintext of a JWE, opened by another library than ours."""
    key = jwk.import_key({**private})
    registry = jwe.JWERegistry(algorithms=[private["alg"], "A128CBC-HS256", "A256GCM"])
    read = jwe.decrypt_compact(token, key, registry=registry)
    assert read.plaintext is not None
    return dict(read.headers()), read.plaintext
