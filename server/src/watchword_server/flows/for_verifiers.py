"""What an API is told of a client that signs its own tokens: keys and scopes, so that no token needs a trip here."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from watchword.client_tokens import CLIENT_ID, LONGEST_FRESH
from watchword_server.changes import Revoke
from watchword_server.flows.client_keys import have_other_keys
from watchword_server.flows.issuer import Issuer, revoke
from watchword_server.protocol.errors import TemporarilyUnavailable
from watchword_server.protocol.values import Api, Client
from watchword_server.revocation import deaths


class ClientSheet(msgspec.Struct, frozen=True):
    """A client as one API may know it. `rev` is what was read of the revocation log before all else.

    `jwks` has public keys only, each with its `kid` and `alg`. What the client issued at `revoked_at` (seconds) or
    before is dead; 0 where it was not revoked of late. It may be kept for `fresh_for` seconds.
    """

    client_id: str
    jwks: dict[str, list[dict[str, object]]]
    scope: str
    rev: int
    fresh_for: int
    revoked_at: int


async def sheet(issuer: Issuer, api: Api, client_id: str, now: int) -> ClientSheet | None:
    """The sheet of a client that may sign tokens for this API; None for every other, whatever it lacks.

    Raises TemporarilyUnavailable where the client's keys cannot be read now.
    """
    head = await issuer.stores.log.head()
    client = await issuer.stores.clients.find(client_id, head)
    if client is None or not may_sign(client, api.audience):
        return None
    keys = await issuer.client_keys.signing(client, now)
    if keys is None:
        raise TemporarilyUnavailable("the client's keys cannot be read")
    span = deaths.span_of_client(head.lifetime)
    until = await issuer.feed.remembered(("client", client_id), ("issuer", ""))
    return ClientSheet(
        client_id=client_id,
        jwks={"keys": [{**key.jwk, "kid": key.kid, "alg": key.alg, "use": "sig"} for key in keys.values()]},
        scope=" ".join(client.access[api.audience]),
        rev=head.rev,
        fresh_for=LONGEST_FRESH,
        revoked_at=max(0, until - span),
    )


async def deaths_by_ban(issuer: Issuer, before: Client, after: Client, now: int) -> Sequence[Revoke]:
    """What has to die when a client may sign tokens no longer, or not with keys whose names are no use to kill them by.

    To be saved with the change, beside `deaths_by_removal`.
    """
    may_go_on = after.metadata.signs_tokens and not have_other_keys(before, after)
    if not before.metadata.signs_tokens or may_go_on:
        return ()
    return (revoke(deaths.client(after.client_id, now, (await issuer.stores.log.head()).lifetime)),)


def may_sign(client: Client, audience: str) -> bool:
    """Whether an operator lets the client sign tokens for this API. One that is known by its own document never may."""
    metadata = client.metadata
    known_to_us = metadata.document_fresh_until is None and CLIENT_ID.fullmatch(client.client_id)
    return bool(client.disabled_at is None and metadata.signs_tokens and known_to_us and audience in client.access)
