"""Pushed authorization requests (RFC 9126): a client says beforehand, and by itself, what it will ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from watchword.jose.b64 import b64url
from watchword_server.changes import Add
from watchword_server.flows import dpop
from watchword_server.flows.client_authentication import authenticate
from watchword_server.flows.issuer import Issuer
from watchword_server.flows.requests import PUSHED, kept, opened
from watchword_server.protocol.authorization import PARAMETERS, Asked, NotAddressable, addressed, read
from watchword_server.protocol.dpop import must_be_signed_well
from watchword_server.protocol.errors import InvalidDPoPProof, InvalidRequest
from watchword_server.protocol.targets import reach
from watchword_server.protocol.values import Client, PushedRequest

WAITS: Final = 60
"""Seconds in which a person has to be sent here with it."""


class Pushed(NamedTuple):
    """What a request is called from now on, for so many seconds."""

    request_uri: str
    expires_in: int


async def push(
    issuer: Issuer, authorization: str | None, form: Mapping[str, str], now: int, proofs: Sequence[str] = ()
) -> Pushed:
    """Keep a request that the authorization endpoint would take. Every refusal is an OAuthError (RFC 9126 §2.3).

    Nothing has happened yet that an audit would have to tell: nobody is asked and nothing allowed before a person
    comes with it, and what they answer is audited.
    """
    proof = await dpop.shown(issuer, proofs, "POST", "/par", now)
    head = await issuer.stores.log.head()
    client = await authenticate(issuer, head, authorization, form, now, "par")
    must_be_signed_well(client, proof)
    jkt = await dpop.spend(issuer, proof)
    if "request_uri" in form:
        raise InvalidRequest("request_uri has no place in a pushed request (RFC 9126 §2.1)")
    asked = await opened(issuer, client, Asked({**form, "client_id": client.client_id}), now)
    if jkt is not None:
        asked = _bound(asked, jkt)
    _must_be_answerable(issuer, client, asked)
    request_uri = PUSHED + b64url(issuer.random(32))
    parameters = {name: asked.values[name] for name in PARAMETERS & asked.values.keys()}
    await issuer.stores.journal.save(Add(PushedRequest(kept(request_uri), client.client_id, parameters, now + WAITS)))
    return Pushed(request_uri, WAITS)


def _bound(asked: Asked, jkt: str) -> Asked:
    """What is asked, with its code bound to the key that was proven (RFC 9449 §10.1)."""
    if asked.values.get("dpop_jkt", jkt) != jkt:
        raise InvalidDPoPProof("dpop_jkt names another key than the proof is by")
    return asked._replace(values={**asked.values, "dpop_jkt": jkt})


def _must_be_answerable(issuer: Issuer, client: Client, asked: Asked) -> None:
    """As far as it can be told without a person. It is told once more when one comes: the client may change."""
    metadata = client.metadata
    try:
        to = addressed(client, asked, metadata.application_type == "native")
    except NotAddressable as error:
        raise InvalidRequest(str(error)) from error
    request = read(client, to, asked, metadata.pkce == "required")
    reach(client, issuer.terms.issuer, asked.values.get("scope"), request.resource)
