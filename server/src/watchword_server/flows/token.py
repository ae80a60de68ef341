"""The token endpoint (RFC 6749 §3.2): who asks, by which grant, and what they get."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from watchword_server.flows import minting
from watchword_server.flows.issuer import Caller, Issuer, audit
from watchword_server.flows.minting import Tokens
from watchword_server.flows.refresh import refresh
from watchword_server.ports import Head
from watchword_server.protocol.client_authentication import authenticated, presented
from watchword_server.protocol.errors import InvalidRequest, UnsupportedGrantType
from watchword_server.protocol.grants import client_credentials, refresh_token
from watchword_server.protocol.values import Client

Story = Callable[[Issuer, Head, Client, Mapping[str, str], Caller, int], Awaitable[Tokens]]


async def answer(
    issuer: Issuer, authorization: str | None, form: Mapping[str, str], caller: Caller, now: int
) -> Tokens:
    """Trade a token request for tokens. Every refusal is an OAuthError (RFC 6749 §5.2)."""
    head = await issuer.stores.log.head()
    given = presented(authorization, form)
    client = authenticated(await issuer.stores.clients.find(given.client_id), given)
    if "grant_type" not in form:
        raise InvalidRequest("grant_type is missing")
    story = GRANTS.get(form["grant_type"])
    if story is None:
        raise UnsupportedGrantType("no such grant")
    return await story(issuer, head, client, form, caller, now)


async def _client_credentials(
    issuer: Issuer, head: Head, client: Client, form: Mapping[str, str], caller: Caller, now: int
) -> Tokens:
    audience, scope = client_credentials.allow(client, form)
    tokens = await minting.for_client(issuer, head, client.client_id, audience, scope, now)
    actor = f"client:{client.client_id}"
    await issuer.stores.journal.save(audit(caller, now, actor, "token.issue", target=audience, jti=tokens.jti))
    return tokens


async def _refresh_token(
    issuer: Issuer, head: Head, client: Client, form: Mapping[str, str], caller: Caller, now: int
) -> Tokens:
    if "refresh_token" not in form:
        raise InvalidRequest("refresh_token is missing")
    return await refresh(issuer, client, form["refresh_token"], form.get("scope"), form.get("resource"), caller, now)


GRANTS: Mapping[str, Story] = {
    client_credentials.GRANT_TYPE: _client_credentials,
    refresh_token.GRANT_TYPE: _refresh_token,
}
