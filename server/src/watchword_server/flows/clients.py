"""Administering clients and APIs. Secrets are made here, shown once, and kept as SHA-256."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import msgspec
from msgspec.structs import replace

from watchword.wire.metadata import is_local
from watchword_server.changes import Add, Change, ReplaceClient, SetApiSecret, SetClientDisabled, SetClientSecret
from watchword_server.flows import client_secrets, keys
from watchword_server.flows.administration import Operator, Refused, Taken, Unknown
from watchword_server.flows.client_keys import deaths_by_removal
from watchword_server.flows.for_verifiers import deaths_by_ban
from watchword_server.flows.issuer import Issuer, audit, revoke
from watchword_server.flows.subjects import deaths_by_renaming
from watchword_server.flows.token import GRANTS
from watchword_server.ports import Conflict, FetchFailed
from watchword_server.protocol import fapi2
from watchword_server.protocol.client_metadata import checked_metadata, must_list
from watchword_server.protocol.grants.authorization_code import GRANT_TYPE as AUTHORIZATION_CODE
from watchword_server.protocol.grants.device_code import GRANT_TYPE as DEVICE_CODE
from watchword_server.protocol.registration import (
    checked_alg,
    checked_api,
    checked_client,
    checked_encryption,
)
from watchword_server.protocol.uris import BadRegistration
from watchword_server.protocol.values import CONFIDENTIAL, Api, Client, ClientMetadata, Encryption, RetiringSecret
from watchword_server.revocation import deaths

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NewClient:
    """What an operator says of a client. `access`: for each audience, the scopes it may have."""

    name: str
    kind: Literal["confidential", "public"]
    grant_types: frozenset[str]
    access: Mapping[str, tuple[str, ...]]
    first_party: bool = False
    redirect_uris: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    rotates: bool = True
    access_token_alg: str | None = None
    metadata: ClientMetadata = field(default_factory=ClientMetadata)


async def add_api(
    issuer: Issuer,
    by: Operator,
    audience: str,
    name: str,
    scopes: tuple[str, ...],
    now: int,
    access_token_alg: str | None = None,
    encryption: Encryption | None = None,
    self_service: bool = False,
) -> tuple[Api, str]:
    """Register an API; the second part is its secret, which nobody can read again.

    `self_service`: clients that no operator registered may ask for its scopes too.
    """
    fresh = client_secrets.plain(issuer)
    wanted = registrable(issuer, encryption)
    client_id = f"api_{issuer.identifier()}"
    api = Api(audience, name, scopes, client_id, fresh.hash, now, access_token_alg, wanted, self_service)
    try:
        checked_api(api)
        if audience == issuer.terms.issuer:
            raise BadRegistration(
                "the issuer's own URL is the audience of tokens for userinfo; name the API by its own"
            )
    except BadRegistration as error:
        raise Refused(str(error)) from error
    keys_too = await begun(issuer, access_token_alg, now)
    row = audit(by.caller, now, by.actor, "api.add", target=f"api:{audience}")
    await _save(issuer, f"the API {audience} is registered already", Add(api), *keys_too, row)
    return api, fresh.secret


def registrable(issuer: Issuer, encryption: Encryption | None) -> Encryption | None:
    """How an API's tokens are encrypted, as it may be registered here. Raises Refused."""
    try:
        return None if encryption is None else checked_encryption(encryption, is_local(issuer.terms.issuer))
    except BadRegistration as error:
        raise Refused(str(error)) from error


async def begun(issuer: Issuer, alg: str | None, now: int) -> Sequence[Change]:
    """The keys that a chosen algorithm needs, to be saved with the choice. Raises Refused."""
    try:
        return () if alg is None else await keys.begin(issuer, checked_alg(alg), now)
    except BadRegistration as error:
        raise Refused(str(error)) from error


async def find_api(issuer: Issuer, audience: str) -> Api:
    """By audience or `client_id`."""
    api = await issuer.stores.apis.find(audience) or await issuer.stores.apis.of(audience)
    if api is None:
        raise Unknown(f"no API {audience}; list them with `watchword api list`")
    return api


async def new_api_secret(issuer: Issuer, by: Operator, audience: str, now: int) -> tuple[Api, str]:
    """Replace an API's secret; the old one stops at once."""
    api = await find_api(issuer, audience)
    fresh = client_secrets.plain(issuer)
    row = audit(by.caller, now, by.actor, "api.secret", target=f"api:{api.audience}")
    await issuer.stores.journal.save(SetApiSecret(api.audience, fresh.hash), row)
    return api, fresh.secret


async def add(issuer: Issuer, by: Operator, new: NewClient, now: int) -> tuple[Client, str | None]:
    """Register a client; the second part is the secret of a confidential one, shown this once."""
    client, secret, conditions = await made(issuer, new, now)
    try:
        client = await checked(issuer, client)
    except BadRegistration as error:
        raise Refused(str(error)) from error
    keys_too = await keys_for(issuer, client, now)
    row = audit(by.caller, now, by.actor, "client.add", target=f"client:{client.client_id}")
    await _save(issuer, "the client is registered already", *conditions, Add(client), *keys_too, row)
    return client, secret


class Unchecked(NamedTuple):
    """A client that nobody has looked at yet, its secret if it needs one, and on which condition it may be saved."""

    client: Client
    secret: str | None
    conditions: tuple[Change, ...] = ()


async def made(issuer: Issuer, new: NewClient, now: int) -> Unchecked:
    """A new client, unchecked. Raises KeyStoreError where its secret has to be sealed and cannot be."""
    client_id = f"client_{issuer.identifier()}"
    metadata, fresh = new.metadata, None
    if not client_secrets.needs_none(new.kind, metadata):
        fresh = await client_secrets.make(issuer, client_id, client_secrets.signs(metadata))
        metadata = replace(metadata, sealed_secret=fresh.sealed)
    client = Client(
        client_id=client_id,
        name=new.name,
        kind=new.kind,
        secret_hash=None if fresh is None else fresh.hash,
        grant_types=new.grant_types,
        access=new.access,
        created_at=now,
        first_party=new.first_party,
        redirect_uris=new.redirect_uris,
        origins=new.origins,
        rotates=new.rotates,
        access_token_alg=new.access_token_alg,
        metadata=metadata,
    )
    return Unchecked(client, None) if fresh is None else Unchecked(client, fresh.secret, fresh.conditions)


async def checked(issuer: Issuer, client: Client) -> Client:
    """The client as it may be registered here, whoever says it. Raises BadRegistration."""
    apis = {api.audience: api for api in await issuer.stores.apis.all()}
    checked_client(client, apis, (*GRANTS, AUTHORIZATION_CODE))
    local = is_local(issuer.terms.issuer)
    # On a thread: the checks of RSA keys take a while.
    settled = await asyncio.to_thread(checked_metadata, fapi2.profiled(client), local)
    if settled.metadata.sector_identifier_uri is not None:
        await _must_share_a_sector(issuer, settled, settled.metadata.sector_identifier_uri)
    return settled


async def keys_for(issuer: Issuer, client: Client, now: int) -> Sequence[Change]:
    """The keys that a client's choice of algorithms needs, to be saved with it. Raises Refused."""
    chosen = [client.access_token_alg, client.metadata.userinfo_signed_response_alg]
    if not {AUTHORIZATION_CODE, DEVICE_CODE}.isdisjoint(client.grant_types):
        chosen.append(client.metadata.id_token_signed_response_alg)
    algs = sorted({alg for alg in chosen if alg is not None})
    return [change for alg in algs for change in await begun(issuer, alg, now)]


async def find(issuer: Issuer, client_id: str) -> Client:
    """By `client_id`."""
    client = await issuer.stores.clients.find(client_id)
    if client is None:
        raise Unknown(f"no client {client_id}; list them with `watchword client list`")
    return client


async def change(issuer: Issuer, by: Operator, client: Client, now: int) -> Client:
    """Replace what was registered of a client by this. What people allowed it stays.

    So do its tokens, unless it knows people by other names from now on.
    """
    before = await find(issuer, client.client_id)
    must_not_be_by_document(before)
    try:
        client = await checked(issuer, client)
    except BadRegistration as error:
        raise Refused(str(error)) from error
    keys_too = await keys_for(issuer, client, now)
    row = audit(by.caller, now, by.actor, "client.set", target=f"client:{client.client_id}")
    renamed = await deaths_by_renaming(issuer, before, client, now)
    gone = *deaths_by_removal(before, client, now), *await deaths_by_ban(issuer, before, client, now)
    await issuer.stores.journal.save(ReplaceClient(client), *renamed, *gone, *keys_too, row)
    return client


def must_not_be_by_document(client: Client) -> None:
    """What is changed here of such a client, the next reading of its document would undo. Raises Refused."""
    if client.metadata.document_fresh_until is not None:
        raise Refused(
            f"{client.client_id} is what its metadata document says: it is changed there, and here it can be disabled"
        )


async def new_secret(
    issuer: Issuer, by: Operator, client_id: str, now: int, overlap: int = 0, signing: bool = False
) -> tuple[Client, str]:
    """Replace a client's secret. The one before is good for `overlap` seconds more, and one before that not at all.

    `signing`: it is to be one that the client can sign with; always so where that is the client's way.
    """
    client = await find(issuer, client_id)
    if client.kind != CONFIDENTIAL:
        raise Refused(f"{client_id} is a public client and has no secret")
    if not 0 <= overlap <= client_secrets.LONGEST_OVERLAP:
        raise Refused(f"two secrets are good at once for at most {client_secrets.LONGEST_OVERLAP // 86400} days")
    fresh = await client_secrets.make(issuer, client_id, signing or client_secrets.signs(client.metadata))
    metadata = replace(client.metadata, sealed_secret=fresh.sealed, retiring_secret=_retiring(client, now, overlap))
    client = replace(client, secret_hash=fresh.hash, metadata=metadata)
    row = audit(by.caller, now, by.actor, "client.secret", target=f"client:{client_id}", overlap=overlap)
    changes = (SetClientSecret(client_id, fresh.hash), ReplaceClient(client))
    await _save(issuer, "others changed keys at the same moment: run it again", *fresh.conditions, *changes, row)
    return client, fresh.secret


def _retiring(client: Client, now: int, overlap: int) -> RetiringSecret | None:
    if client.secret_hash is None or not overlap:
        return None
    return RetiringSecret(client.secret_hash, now + overlap, client.metadata.sealed_secret)


async def disable(issuer: Issuer, by: Operator, client_id: str, now: int) -> Client:
    """Stop a client: no new tokens, and those it has die everywhere. Its grants wait for it to be enabled."""
    client = await find(issuer, client_id)
    head = await issuer.stores.log.head()
    await issuer.stores.journal.save(
        SetClientDisabled(client_id, now),
        revoke(deaths.client(client_id, now, head.lifetime)),
        audit(by.caller, now, by.actor, "client.disable", target=f"client:{client_id}"),
    )
    return replace(client, disabled_at=now)


async def enable(issuer: Issuer, by: Operator, client_id: str, now: int) -> Client:
    """Let a disabled client work again; the tokens that died stay dead."""
    client = await find(issuer, client_id)
    row = audit(by.caller, now, by.actor, "client.enable", target=f"client:{client_id}")
    await issuer.stores.journal.save(SetClientDisabled(client_id, None), row)
    return replace(client, disabled_at=None)


async def _must_share_a_sector(issuer: Issuer, client: Client, uri: str) -> None:
    """All redirect URIs stand in the document at this address (OpenID Connect Registration 1.0 §5)."""
    try:
        found = await issuer.fetcher.get(uri, by_operator=not client.metadata.registered_itself)
    except FetchFailed as error:
        logger.warning("cannot read a sector_identifier_uri", extra={"reason": str(error)})
        raise BadRegistration("sector_identifier_uri cannot be read") from error
    try:
        document = msgspec.json.decode(found.body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRegistration("sector_identifier_uri is not JSON") from error
    must_list(document, client.redirect_uris, uri)


async def _save(issuer: Issuer, taken: str, *changes: Change) -> None:
    try:
        await issuer.stores.journal.save(*changes)
    except Conflict as error:
        raise Taken(taken) from error
