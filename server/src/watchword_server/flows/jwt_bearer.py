"""The grant by a client's own assertion (RFC 7523 §2.1): whether it is good, and for the first time."""

from __future__ import annotations

from collections.abc import Mapping

from watchword_server.flows.client_authentication import prove
from watchword_server.flows.issuer import Issuer
from watchword_server.ports import Head
from watchword_server.protocol import client_assertion
from watchword_server.protocol.client_assertion import PRIVATE_KEY_JWT
from watchword_server.protocol.client_authentication import known
from watchword_server.protocol.errors import InvalidClient, InvalidGrant
from watchword_server.protocol.grants.jwt_bearer import assertion
from watchword_server.protocol.values import Client


async def asserting_client(issuer: Issuer, head: Head, form: Mapping[str, str], now: int) -> Client:
    """The client that shows by the assertion alone who it is. Raises InvalidGrant, alike for every reason."""
    text = assertion(form)
    try:
        said = client_assertion.claimed(text)
        if form.get("client_id", said.client_id) != said.client_id:
            raise InvalidGrant("client_id differs from the sub of the assertion")
        client = known(await issuer.stores.clients.find(said.client_id, head))
    except InvalidClient as error:
        raise InvalidGrant(str(error)) from error
    await must_be_asserted(issuer, client, form, now)
    return client


async def must_be_asserted(issuer: Issuer, client: Client, form: Mapping[str, str], now: int) -> None:
    """Raises InvalidGrant unless the assertion is this client's own, and was never shown before."""
    try:
        await prove(issuer, client, assertion(form), PRIVATE_KEY_JWT, client_assertion.granting, now)
    except InvalidClient as error:
        raise InvalidGrant(str(error)) from error
