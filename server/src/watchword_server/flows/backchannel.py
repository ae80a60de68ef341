"""Telling a client that a session has ended (OpenID Connect Back-Channel Logout 1.0)."""

from __future__ import annotations

from typing import Final

import msgspec

from watchword.jose.kinds import Kind
from watchword_server.changes import Audit
from watchword_server.flows.api_keys import NoEncryptionKey
from watchword_server.flows.for_clients import sealed_for
from watchword_server.flows.issuer import Caller, Issuer, audit
from watchword_server.flows.keyring import NoSigningKey
from watchword_server.flows.subjects import subject_for
from watchword_server.ports import FetchFailed, KeyStoreError, Parcel
from watchword_server.protocol.errors import UnauthorizedClient
from watchword_server.protocol.logout_token import claims
from watchword_server.protocol.values import Client

GIVEN_UP: Final = 24 * 3600
"""Seconds after which a client that never took its logout token is not asked any more."""
ACTOR: Final = "operator:outbox"


class NotTold(Exception):
    """The client has not taken it; the message says why, in words of ours alone."""


async def tell(issuer: Issuer, parcel: Parcel, now: int) -> None:
    """Bring a logout token, made for this attempt, to a client. Raises NotTold.

    A client that is gone or disabled, or does not want to hear of it any more, counts as told.
    """
    client = await issuer.stores.clients.find(str(parcel.body["client_id"]))
    if client is None or client.disabled_at is not None or client.metadata.backchannel_logout_uri is None:
        return
    try:
        token = await _token(issuer, client, str(parcel.body["sub"]), str(parcel.body["sid"]), now)
        uri, by_operator = client.metadata.backchannel_logout_uri, not client.metadata.registered_itself
        await issuer.fetcher.post(uri, {"logout_token": token}, by_operator=by_operator)
    except (FetchFailed, NoSigningKey, NoEncryptionKey, KeyStoreError, UnauthorizedClient) as error:
        raise NotTold(str(error)) from error


async def _token(issuer: Issuer, client: Client, sub: str, sid: str, now: int) -> str:
    """Signed and, where the client wants that, encrypted as its ID tokens are (§2.4)."""
    known_as = await subject_for(issuer, client, sub)
    said = claims(issuer.terms.issuer, client.client_id, known_as, sid, issuer.identifier(), now)
    ring, chosen = await issuer.keyring.at(await issuer.stores.log.head(), now), client.metadata
    signed = ring.signs_for(Kind.LOGOUT_TOKEN, chosen.id_token_signed_response_alg)(msgspec.json.encode(said))
    alg, enc = chosen.id_token_encrypted_response_alg, chosen.id_token_encrypted_response_enc
    return await sealed_for(issuer, client, signed, alg, enc, now)


def is_over(parcel: Parcel, now: int) -> bool:
    """Whether it has been tried for long enough."""
    return now - int(parcel.body["at"]) >= GIVEN_UP


def row(parcel: Parcel, now: float, outcome: str, reason: str = "") -> Audit:
    """What the audit trail keeps of an attempt."""
    facts: dict[str, str | int] = {"sid": str(parcel.body["sid"]), "attempt": parcel.attempts + 1}
    if reason:
        facts["reason"] = reason
    target = f"client:{parcel.body['client_id']}"
    return audit(Caller(), now, ACTOR, "logout.backchannel", outcome, target, **facts)
