"""Administering the public keys of clients, registered by value: a new one beside the old, then the old one goes.

A key that goes is dead: what a client has signed with it for an API is refused there too, whatever it claims.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from watchword_server.changes import ReplaceClient
from watchword_server.flows import clients
from watchword_server.flows.administration import Operator, Refused, Unknown
from watchword_server.flows.client_keys import Jwk, death, name_of, registered
from watchword_server.flows.issuer import Issuer, audit
from watchword_server.protocol.uris import BadRegistration
from watchword_server.protocol.values import Client


async def of(issuer: Issuer, client_id: str) -> Sequence[Jwk]:
    """The keys of a client as they are registered. Raises Refused for one that publishes them."""
    client = await clients.find(issuer, client_id)
    _must_be_here(client)
    return registered(client.metadata)


async def add(issuer: Issuer, by: Operator, client_id: str, jwk: Jwk, now: int) -> Client:
    """Register one more key. Each has a `kid` of its own, by which it can be taken away again."""
    client = await clients.find(issuer, client_id)
    _must_be_here(client)
    before = registered(client.metadata)
    try:
        wanted = await clients.checked(issuer, _with(client, [*before, jwk]))
    except BadRegistration as error:
        raise Refused(str(error)) from error
    if len(registered(wanted.metadata)) <= len(before):
        raise Refused("this is no kind of key that is used here (RFC 7517 §5)")
    kid = name_of(jwk)
    if kid in map(name_of, before):
        raise Refused(f"{client_id} has a key {kid} already: remove it, or give the new one another `kid`")
    row = audit(by.caller, now, by.actor, "client.key.add", target=f"client:{client_id}", kid=kid)
    await issuer.stores.journal.save(ReplaceClient(wanted), row)
    return wanted


async def remove(issuer: Issuer, by: Operator, client_id: str, kid: str, now: int) -> Client:
    """Take a key away now and everywhere, whoever has it."""
    client = await clients.find(issuer, client_id)
    _must_be_here(client)
    before = registered(client.metadata)
    rest = [one for one in before if name_of(one) != kid]
    if len(rest) == len(before):
        raise Unknown(f"{client_id} has no key {kid}; list them with `watchword client key list {client_id}`")
    # Not checked anew: a client without a key cannot sign, and that is what was asked for.
    wanted = _with(client, rest)
    row = audit(by.caller, now, by.actor, "client.key.remove", target=f"client:{client_id}", kid=kid)
    await issuer.stores.journal.save(ReplaceClient(wanted), death(client_id, kid, now), row)
    return wanted


def _with(client: Client, keys: Sequence[Jwk]) -> Client:
    return replace(client, metadata=replace(client.metadata, jwks={"keys": list(keys)}))


def _must_be_here(client: Client) -> None:
    clients.must_not_be_by_document(client)
    if client.metadata.jwks_uri is not None:
        raise Refused(
            f"the keys of {client.client_id} lie at {client.metadata.jwks_uri}: change them there; where that is in"
            " wrong hands, register others with `watchword client set --jwks-uri '' --jwks FILE`"
        )
