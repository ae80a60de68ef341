"""The revocation endpoint (RFC 7009): a client takes back its own token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from watchword.log import Entry
from watchword_server.changes import Change, EndGrant
from watchword_server.flows import endings
from watchword_server.flows.client_authentication import authenticate
from watchword_server.flows.issuer import Caller, Issuer, audit, revoke
from watchword_server.flows.presented import presented
from watchword_server.protocol.errors import InvalidRequest, InvalidSession
from watchword_server.protocol.refresh_token import kept
from watchword_server.protocol.values import Client
from watchword_server.revocation import deaths


async def take_back(
    issuer: Issuer, authorization: str | None, form: Mapping[str, str], caller: Caller, now: int
) -> Sequence[Entry]:
    """Revoke an access token by its `jti`, or a refresh token with its whole grant (RFC 7009 §2.1).

    A token that is unknown, dead or another client's changes nothing, and the answer is the same (§2.2).
    """
    head = await issuer.stores.log.head()
    client = await authenticate(issuer, head, authorization, form, now, "revoke")
    if "token" not in form:
        raise InvalidRequest("token is missing")
    token = form["token"]
    # An access token is a JWT and has two dots; a refresh token has none. The hint is not needed (§2.1).
    found = _access_token if "." in token else _refresh_token
    target, changes = await found(issuer, client, token, now)
    outcome = "ok" if changes else "nothing to revoke"
    row = audit(caller, now, f"client:{client.client_id}", "token.revoke", outcome, target)
    return await issuer.stores.journal.save(*changes, row)


async def _access_token(issuer: Issuer, client: Client, token: str, now: int) -> tuple[str, Sequence[Change]]:
    try:
        principal = await presented(issuer, token, now, bound=True)
    except InvalidSession:
        return "", ()
    if principal.client_id != client.client_id:
        return "", ()
    return f"token:{principal.token_id}", endings.of_token(principal.token_id, int(principal.expires_at), now)


async def _refresh_token(issuer: Issuer, client: Client, token: str, now: int) -> tuple[str, Sequence[Change]]:
    record = await issuer.stores.refresh_tokens.find(kept(token))
    grant = await issuer.stores.grants.find(record.gid) if record else None
    if grant is None or grant.client_id != client.client_id or grant.ended_at is not None:
        return "", ()
    head = await issuer.stores.log.head()
    death = deaths.grant(grant.gid, now, head.lifetime)
    return f"grant:{grant.gid}", (EndGrant(grant.gid, now), revoke(death))
