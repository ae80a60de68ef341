"""Clients by metadata document: read when somebody comes with one, kept when a person has allowed it something.

draft-ietf-oauth-client-id-metadata-document. What is kept is what is known at the token endpoint, which fetches
nothing. A document is read again when it is no longer fresh and somebody comes with it. One that is gone or out of
order lets nobody begin anything; what people allowed before goes on until they, or an operator, end it
(docs/decisions/0033-mcp.md).
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from watchword.wire.metadata import is_local
from watchword_server.changes import Change, KeepClient
from watchword_server.flows import clients
from watchword_server.flows.documents_read import is_fresh
from watchword_server.people.networks import network
from watchword_server.ports import Fetched, FetchFailed, Head
from watchword_server.protocol import client_document
from watchword_server.protocol.authorization import UnknownClient
from watchword_server.protocol.client_document import LIMIT, BadDocument, is_address
from watchword_server.protocol.errors import InvalidClient, TooManyAttempts
from watchword_server.protocol.uris import BadRegistration, shown
from watchword_server.protocol.values import Client

if TYPE_CHECKING:
    from watchword_server.flows.issuer import Caller, Issuer

WINDOW: Final = 300
"""Seconds in which the first few new documents for a network are free; the next ones wait, each twice as long."""
JSON: Final = re.compile(r"application/(?:[a-z0-9!#$&^_.-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)
"""What a document is served as: a file that somebody could upload to a host is mostly served as something else."""

logger = logging.getLogger(__name__)


class NoDocument(UnknownClient):
    """Its address is none, or what lies there is not to be had or not in order. The message is for the log."""


def is_by_document(client: Client) -> bool:
    """Whether it is known by its metadata document."""
    return client.metadata.document_fresh_until is not None


async def known(issuer: Issuer, client_id: str, head: Head | None, now: int) -> Client | None:
    """The client as it is registered, or by a document that was read before; nothing is fetched."""
    found = await issuer.stores.clients.find(client_id, head)
    return found if found is not None else issuer.documents.at_hand(client_id, now)


async def current(issuer: Issuer, client_id: str, head: Head | None, caller: Caller, now: int) -> Client | None:
    """The client as it is registered, or as its document says now. None: there is none.

    Raises NoDocument where nothing good lies at the address, TooManyAttempts and Busy.
    """
    kept = await issuer.stores.clients.find(client_id, head)
    if kept is not None and (kept.disabled_at is not None or not is_by_document(kept)):
        return kept
    if not is_address(client_id):
        return None
    if not issuer.terms.metadata_documents:
        raise NoDocument("no client is known by its metadata document here")
    described = kept if kept is not None and is_fresh(kept, now) else issuer.documents.at_hand(client_id, now)
    if described is None:
        described = await _read(issuer, client_id, kept is None, caller, now)
    access = client_document.open_to_all(await issuer.stores.apis.all())
    found = replace(described, access=access, created_at=described.created_at if kept is None else kept.created_at)
    issuer.documents.put(found)  # with what is open to all now, for who knows it by `known` next
    return found


async def must_be_readable(issuer: Issuer, client_id: str, caller: Caller, now: int) -> None:
    """Read the document of who asks without a person; `known` knows it then. Raises InvalidClient, alike for every
    reason, and TooManyAttempts and Busy.
    """
    try:
        await current(issuer, client_id, None, caller, now)
    except NoDocument as error:
        raise InvalidClient(f"no metadata document: {error}") from error


async def kept_too(issuer: Issuer, client: Client) -> tuple[Change, ...]:
    """What keeps a client that a person has just allowed something, where it is not kept as it is."""
    if not is_by_document(client) or await issuer.stores.clients.find(client.client_id) == client:
        return ()
    return (KeepClient(client),)


async def _read(issuer: Issuer, client_id: str, is_new: bool, caller: Caller, now: int) -> Client:
    try:
        address = client_document.checked_address(client_id)
    except BadDocument as error:
        raise NoDocument(str(error)) from error
    # On this machine everybody has one address, and only this machine reaches a local issuer.
    if is_new and not is_local(issuer.terms.issuer):
        pause = await issuer.attempts.begin((f"document:{network(caller.address)}:{now // WINDOW}",), now)
        if pause:
            raise TooManyAttempts("many unknown metadata documents were asked for from there", pause)
    return await issuer.documents.read(address, lambda: _fetched(issuer, address, now))


async def _fetched(issuer: Issuer, address: str, now: int) -> Client:
    """The client that a document describes, checked as any registration is. Raises NoDocument."""
    try:
        got = await issuer.fetcher.get(address, by_operator=False, limit=LIMIT)
        found = await clients.checked(issuer, _described(address, got, now))
    except (FetchFailed, BadDocument, BadRegistration) as error:
        logger.info("no client by its metadata document", extra={"client_id": shown(address), "reason": str(error)})
        raise NoDocument(str(error)) from error
    issuer.logos.look(found, now)
    return found


def _described(address: str, got: Fetched, now: int) -> Client:
    if not JSON.fullmatch(got.media_type):
        raise BadDocument("not served as application/json")
    proposal = client_document.read(address, got.body)
    return client_document.client(address, proposal, {}, now + client_document.lasts(got.fresh_for), now)
