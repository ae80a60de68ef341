"""Who a client is that asks here, by whichever way it has registered: the one door to every endpoint for clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

from watchword.errors import InvalidKey
from watchword.jose.jwk import secret_key
from watchword.jose.jws import VerifyingKey
from watchword_server.flows.issuer import Issuer
from watchword_server.ports import Head
from watchword_server.protocol import client_assertion
from watchword_server.protocol.client_assertion import PRIVATE_KEY_JWT, SECRET_JWT, Believed, Reading
from watchword_server.protocol.client_authentication import asserting, authenticated, presented, ways
from watchword_server.protocol.errors import InvalidClient
from watchword_server.protocol.values import PUBLIC, Client

Endpoint = Literal["token", "par", "revoke", "introspect", "device_authorization"]

PROVEN: Final[frozenset[Endpoint]] = frozenset({"introspect"})
"""Where it is not enough to have a name (RFC 7662 §2.1)."""
SPENT: Final = "assertion"
"""The kind of value that counts once."""

Keys = Mapping[str, VerifyingKey]
Judge = Callable[[str, Keys, Reading, int], Believed]


async def authenticate(
    issuer: Issuer, head: Head, authorization: str | None, form: Mapping[str, str], now: int, endpoint: Endpoint
) -> Client:
    """The client that asks. Raises InvalidClient, alike for every reason; Unavailable where nobody can tell now."""
    given = presented(authorization, form)
    found = await issuer.stores.clients.find(given.client_id, head)
    if found is None:
        found = issuer.documents.at_hand(given.client_id, now)  # by its metadata document, which nobody fetches here
    if given.assertion is None:
        client = authenticated(found, given, now)
        if client.kind == PUBLIC and endpoint in PROVEN:
            raise InvalidClient("a public client proves nothing")
        return client
    client = asserting(found, given)
    await prove(issuer, client, given.assertion, ways(client)[0], client_assertion.opened, now)
    return client


async def prove(issuer: Issuer, client: Client, text: str, way: str, judge: Judge, now: int) -> None:
    """Believe an assertion that nobody has shown before (RFC 7523 §3). Raises InvalidClient.

    Its name is spent when everything else is found good, so that nobody can spend it for somebody else.
    """
    said = client_assertion.claimed(text)
    if said.alg not in client_assertion.algorithms(client.metadata, way):
        raise InvalidClient("assertion is unsigned, or signed in a way that this client does not use")
    on = Reading(client.client_id, client_assertion.audience(client.metadata, issuer.terms.issuer))
    believed = _by_any(text, await _keys(issuer, client, way, said.alg, said.kid, now), on, judge, now)
    if not await issuer.spent.spend(SPENT, client_assertion.spent_as(client.client_id, believed), believed.until):
        raise InvalidClient("assertion was shown before")


def _by_any(text: str, keys: Sequence[Keys], on: Reading, judge: Judge, now: int) -> Believed:
    refused = InvalidClient("the client has no key for this, or its keys cannot be read")
    for one in keys:
        try:
            return judge(text, one, on, now)
        except InvalidClient as error:
            refused = error
    raise refused


async def _keys(issuer: Issuer, client: Client, way: str, alg: str, kid: str, now: int) -> Sequence[Keys]:
    """What may have signed it: one of the client's keys, or one of its secrets under whatever name."""
    if way == PRIVATE_KEY_JWT:
        return [await issuer.client_keys.verification(client, alg, kid, now)]
    if way != SECRET_JWT:
        return []
    secrets = [await asyncio.to_thread(issuer.key_store.unseal, one, client.client_id) for one in _sealed(client, now)]
    try:
        return [{kid: secret_key(secret, alg, kid)} for secret in secrets]
    except InvalidKey as error:
        raise InvalidClient("the client's secret is too short for its algorithm") from error


def _sealed(client: Client, now: int) -> list[bytes]:
    """The secret that it has, and the one before it for as long as that is good."""
    retiring = client.metadata.retiring_secret
    older = retiring.sealed if retiring is not None and now < retiring.until else None
    return [sealed for sealed in (client.metadata.sealed_secret, older) if sealed is not None]
