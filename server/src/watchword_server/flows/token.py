"""The token endpoint (RFC 6749 §3.2): who asks, by which grant, and what they get."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from watchword_server.changes import Audit
from watchword_server.flows import device_tokens, dpop, minting
from watchword_server.flows.client_authentication import authenticate
from watchword_server.flows.encryption import seal_of
from watchword_server.flows.exchange import exchange
from watchword_server.flows.issuer import Caller, Issuer
from watchword_server.flows.jwt_bearer import asserting_client, must_be_asserted
from watchword_server.flows.key_trade import trade
from watchword_server.flows.minting import Standing, Tokens
from watchword_server.flows.redeem import redeem_code
from watchword_server.flows.refresh import Shown, refresh
from watchword_server.flows.repeats import Decided
from watchword_server.ports import Head
from watchword_server.protocol.client_authentication import stays
from watchword_server.protocol.dpop import must_prove
from watchword_server.protocol.errors import InvalidRequest, UnsupportedGrantType
from watchword_server.protocol.grants import (
    api_key,
    authorization_code,
    client_credentials,
    device_code,
    jwt_bearer,
    refresh_token,
    token_exchange,
)
from watchword_server.protocol.targets import chosen_alg
from watchword_server.protocol.values import Client


class TokenRequest(msgspec.Struct, frozen=True):
    """A request as it came: the form, and the body that it was read from.

    `proofs` are the values of its DPoP headers (RFC 9449 §4.1); `jkt` is the thumbprint of the key that one of them has
    proven.
    """

    authorization: str | None
    form: Mapping[str, str]
    body: bytes
    caller: Caller
    now: int
    proofs: tuple[str, ...] = ()
    jkt: str | None = None


Story = Callable[[Issuer, Head, Client, TokenRequest], Awaitable[Tokens]]


def digest(authorization: bytes, body: bytes) -> bytes:
    """What a request is remembered by: header and form, each with its length, so that no two run together."""
    return hashlib.sha256(b"%d\n%b%b" % (len(authorization), authorization, body)).digest()


async def answer(issuer: Issuer, ask: TokenRequest) -> Tokens:
    """Trade a token request for tokens. Every refusal is an OAuthError (RFC 6749 §5.2)."""
    proof = await dpop.shown(issuer, ask.proofs, "POST", "/token", ask.now)
    head = await issuer.stores.log.head()
    if ask.form.get("grant_type") == api_key.GRANT_TYPE:  # the key says whose it is
        return await trade(issuer, head, ask.authorization, ask.form, proof, ask.caller, ask.now)
    client = await _asker(issuer, head, ask)
    if "grant_type" not in ask.form:
        raise InvalidRequest("grant_type is missing")
    story = GRANTS.get(ask.form["grant_type"])
    if story is None:
        raise UnsupportedGrantType("no such grant")
    must_prove(client, proof)
    jkt = await dpop.spend(issuer, proof)
    return await story(issuer, head, client, msgspec.structs.replace(ask, jkt=jkt))


def standing(issuer: Issuer, now: int) -> Standing | None:
    """How things stand, where that can be told at once."""
    head = issuer.stores.log.latest()
    ring = issuer.keyring.known(head, now) if head is not None else None
    return None if head is None or ring is None else Standing(head, ring)


def recall(issuer: Issuer, on: Standing, sent: bytes) -> Decided | None:
    """What an equal request was found to deserve, if nothing has changed since. None: ask `answer`."""
    return issuer.repeats.recall(sent, on.head.state)


def issue_again(
    issuer: Issuer, asked: Sequence[tuple[Standing, Decided, Caller]], now: int
) -> Sequence[tuple[Tokens, Audit]]:
    """New tokens for recalled requests, with the audit rows to be saved before any token is handed out."""
    tokens = minting.for_clients(issuer, [(on, decided) for on, decided, _ in asked], now)
    return [(one, _issued(decided, one, caller, now)) for one, (_, decided, caller) in zip(tokens, asked, strict=True)]


async def _asker(issuer: Issuer, head: Head, ask: TokenRequest) -> Client:
    if jwt_bearer.stands_alone(ask.authorization, ask.form):
        return await asserting_client(issuer, head, ask.form, ask.now)
    return await authenticate(issuer, head, ask.authorization, ask.form, ask.now, "token")


async def _jwt_bearer(issuer: Issuer, head: Head, client: Client, ask: TokenRequest) -> Tokens:
    audience, scope = jwt_bearer.allow(client, ask.form)
    if not jwt_bearer.stands_alone(ask.authorization, ask.form):  # else it was looked at when the client was
        await must_be_asserted(issuer, client, ask.form, ask.now)
    return await _for_itself(issuer, head, client, ask, audience, scope, again=False)


async def _client_credentials(issuer: Issuer, head: Head, client: Client, ask: TokenRequest) -> Tokens:
    audience, scope = client_credentials.allow(client, ask.form)
    return await _for_itself(issuer, head, client, ask, audience, scope, again=stays(client, ask.authorization))


async def _for_itself(
    issuer: Issuer,
    head: Head,
    client: Client,
    ask: TokenRequest,
    audience: str,
    scope: tuple[str, ...],
    again: bool,
) -> Tokens:
    """A token of a program that acts for itself. `again`: the very same request deserves another one."""
    api = await minting.registered(issuer, audience, head)
    seal = await seal_of(issuer, api, ask.now)
    ring = await issuer.keyring.at(head, ask.now)
    alg = minting.signed_well(ring, client, chosen_alg(api, client))
    decided = Decided(client.client_id, audience, " ".join(scope), alg)
    if again and seal is None and ask.jkt is None:  # what is recalled is answered as it is signed, and bound to no key
        sent = digest((ask.authorization or "").encode("latin-1"), ask.body)
        issuer.repeats.learn(sent, head.state, decided)
    on = Standing(head, ring)
    (tokens,) = minting.for_clients(issuer, [(on, decided)], ask.now, ask.jkt)
    minted = minting.sealed_up(issuer, seal, tokens, ask.now)
    await issuer.stores.journal.save(*minted.changes, _issued(decided, minted.tokens, ask.caller, ask.now))
    return minted.tokens


async def _authorization_code(issuer: Issuer, head: Head, client: Client, ask: TokenRequest) -> Tokens:
    return await redeem_code(issuer, head, client, ask.form, ask.jkt, ask.caller, ask.now)


async def _token_exchange(issuer: Issuer, head: Head, client: Client, ask: TokenRequest) -> Tokens:
    return await exchange(issuer, head, client, ask.form, ask.jkt, ask.caller, ask.now)


async def _refresh_token(issuer: Issuer, head: Head, client: Client, ask: TokenRequest) -> Tokens:
    form = ask.form
    if "refresh_token" not in form:
        raise InvalidRequest("refresh_token is missing")
    shown = Shown(form["refresh_token"], form.get("scope"), form.get("resource"), ask.jkt)
    return await refresh(issuer, head, client, shown, ask.caller, ask.now)


async def _device_code(issuer: Issuer, head: Head, client: Client, ask: TokenRequest) -> Tokens:
    return await device_tokens.fetch(issuer, head, client, ask.form, ask.jkt, ask.caller, ask.now)


def _issued(decided: Decided, tokens: Tokens, caller: Caller, now: int) -> Audit:
    # Written out: it is on the path of every token.
    return Audit(
        at=now * 1000,
        actor=f"client:{decided.client_id}",
        action="token.issue",
        outcome="ok",
        target=decided.audience,
        address=caller.address,
        agent=caller.agent,
        request_id=caller.request_id,
        detail={"jti": tokens.jti},
    )


GRANTS: Mapping[str, Story] = {
    authorization_code.GRANT_TYPE: _authorization_code,
    client_credentials.GRANT_TYPE: _client_credentials,
    jwt_bearer.GRANT_TYPE: _jwt_bearer,
    device_code.GRANT_TYPE: _device_code,
    refresh_token.GRANT_TYPE: _refresh_token,
    token_exchange.GRANT_TYPE: _token_exchange,
}
