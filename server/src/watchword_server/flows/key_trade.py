"""An API key for a short token: asked by whoever has the key, or by the API that it was sent to."""

from __future__ import annotations

from collections.abc import Mapping

from watchword.dpop import Proof
from watchword_server.changes import UseApiKey
from watchword_server.flows import dpop, minting
from watchword_server.flows.issuer import Caller, Issuer, audit
from watchword_server.flows.minting import Tokens
from watchword_server.people.networks import network
from watchword_server.ports import Head
from watchword_server.protocol.client_authentication import authenticated_api, presented
from watchword_server.protocol.dpop import must_prove
from watchword_server.protocol.errors import InvalidGrant, InvalidRequest, TooManyAttempts
from watchword_server.protocol.grants import api_key
from watchword_server.protocol.values import Api


async def trade(
    issuer: Issuer,
    head: Head,
    authorization: str | None,
    form: Mapping[str, str],
    proof: Proof | None,
    caller: Caller,
    now: int,
) -> Tokens:
    """A short token for a key, to whoever has it, or to the API that it was sent to.

    `head` was read before all that is read here. Every refusal is an OAuthError; `proof` is spent once the key is
    found good.
    """
    asker = await _asker(issuer, authorization, form)
    if "api_key" not in form:
        raise InvalidRequest("api_key is missing")
    held = await issuer.stores.customer_keys.find(api_key.kept(form["api_key"]))
    owner = held.grant.client_id if held is not None and held.grant is not None else ""
    client = await issuer.stores.clients.find(owner, head)
    try:
        allowed = api_key.redeem(held, client, asker, form, now)
    except InvalidGrant as error:
        await _note_failure(issuer, asker, held.key.id if held is not None else "", str(error), caller, now)
        raise
    if held is None or client is None:
        raise InvalidGrant("unknown API key")
    must_prove(client, proof)
    jkt = await dpop.spend(issuer, proof)
    grant, scope, roles = allowed
    minted = await minting.for_grant(issuer, head, client, grant, scope, roles, now, None, jkt)
    used = (UseApiKey(held.key.id, now),) if api_key.is_note_due(held.key, now) else ()
    actor, detail = f"client:{client.client_id}", {"jti": minted.tokens.jti, "api_key": held.key.id}
    row = audit(caller, now, actor, "token.issue", target=grant.audience, **detail)
    await issuer.stores.journal.save(*used, *minted.changes, row)
    return minted.tokens


async def _asker(issuer: Issuer, authorization: str | None, form: Mapping[str, str]) -> Api | None:
    """The API that asks; None where nobody says who they are, since the key is enough."""
    if authorization is None and form.keys().isdisjoint(("client_id", "client_secret", "client_assertion")):
        return None
    given = presented(authorization, form)
    return authenticated_api(await issuer.stores.apis.of(given.client_id), given)


async def _note_failure(issuer: Issuer, asker: Api | None, id: str, why: str, caller: Caller, now: int) -> None:
    """Keep a trace, of strangers only so many: what nobody can guess needs no lock, but rows of the trail cost.

    Good keys never wait for this, whoever else fails from where they are. An API has bounds of its own, and leaves
    a trace only of keys that once were good.
    """
    if asker is None:
        pause = await issuer.attempts.begin((f"api-key:{network(caller.address)}",), now)
        if pause:
            raise TooManyAttempts("too many API keys that are not good", pause)
    elif not id:
        return
    actor = "anonymous" if asker is None else f"api:{asker.client_id}"
    await issuer.stores.journal.save(audit(caller, now, actor, "token.issue", why, f"api-key:{id}"))
