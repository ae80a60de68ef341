"""What APIs and clients choose for their tokens: the algorithm that signs them, and the key that encrypts them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from watchword.errors import InvalidKey
from watchword.jose.jwe import DecryptionKey
from watchword_server.changes import Change, SetApiAlg, SetApiEncryption, SetClientAlg, SetSelfService
from watchword_server.flows import clients, keys
from watchword_server.flows.administration import Operator, Refused
from watchword_server.flows.api_keys import NoEncryptionKey
from watchword_server.flows.issuer import Issuer, audit
from watchword_server.flows.key_life import ACCESS, kin
from watchword_server.protocol.registration import ENC
from watchword_server.protocol.values import Api, Client, Encryption


@dataclass(frozen=True, slots=True)
class ApiChoice:
    """What is to be chosen anew; None: no longer, UNSET: as before."""

    access_token_alg: str | UnsetType | None = UNSET
    encryption: Encryption | UnsetType | None = UNSET
    self_service: bool | UnsetType = UNSET


async def set_api(issuer: Issuer, by: Operator, audience: str, choice: ApiChoice, now: int) -> Api:
    """Choose for an API, by audience or `client_id`. Tokens that were made before stay as they are."""
    api = await clients.find_api(issuer, audience)
    changes: list[Change] = []
    if not isinstance(choice.access_token_alg, UnsetType):
        begun = await clients.begun(issuer, choice.access_token_alg, now)
        changes += [SetApiAlg(api.audience, choice.access_token_alg), *begun]
        api = replace(api, access_token_alg=choice.access_token_alg)
    if not isinstance(choice.encryption, UnsetType):
        api = replace(api, encryption=clients.registrable(issuer, choice.encryption))
        changes.append(SetApiEncryption(api.audience, api.encryption))
    if not isinstance(choice.self_service, UnsetType):
        api = replace(api, self_service=choice.self_service)
        changes.append(SetSelfService(api.audience, api.self_service))
    row = audit(
        by.caller,
        now,
        by.actor,
        "api.set",
        target=f"api:{api.audience}",
        alg=api.access_token_alg or "",
        encryption=_named(api.encryption),
        self_service=int(api.self_service),
    )
    await issuer.stores.journal.save(*changes, row)
    return api


async def set_client_alg(issuer: Issuer, by: Operator, client_id: str, alg: str | None, now: int) -> Client:
    """Choose what a client's tokens are signed with, where the API does not mind; None: what the deployment chose."""
    client = await clients.find(issuer, client_id)
    begun = await clients.begun(issuer, alg, now)
    row = audit(by.caller, now, by.actor, "client.set", target=f"client:{client_id}", alg=alg or "")
    await issuer.stores.journal.save(SetClientAlg(client_id, alg), *begun, row)
    return replace(client, access_token_alg=alg)


async def new_encryption_key(
    issuer: Issuer, by: Operator, audience: str, alg: str, crv: str, now: int, register: bool
) -> tuple[Api, Mapping[str, str]]:
    """Make a pair for an API; the second part is the private key (a JWK), which is kept nowhere.

    Without `register` nothing changes yet: the API can be given the key before any token is encrypted to it.
    """
    api = await clients.find_api(issuer, audience)
    try:
        made = DecryptionKey.generate(alg, crv)
    except InvalidKey as error:
        raise Refused(str(error)) from error
    if register:
        enc = api.encryption.enc if api.encryption else ENC
        choice = ApiChoice(encryption=Encryption(enc, jwk=made.public_jwk()))
        api = await set_api(issuer, by, api.audience, choice, now)
    return api, made.private_jwk()


async def signs_from(issuer: Issuer, alg: str, now: int) -> int | None:
    """From when on (seconds) tokens are signed with a chosen algorithm; None when no key of it was called."""
    family = kin(await keys.current(issuer), ACCESS, alg)
    if family.signing(now) is not None:
        return now  # though its successor may have been called already
    appointed = family.appointed()
    return None if appointed is None or appointed.active_at is None else max(now, appointed.active_at)


async def trouble(issuer: Issuer, api: Api, now: int) -> str:
    """Why no token for this API can be encrypted now; empty when one can be."""
    if api.encryption is None:
        return ""
    try:
        await issuer.api_keys.key_of(api, api.encryption, now)
    except NoEncryptionKey as error:
        return str(error)
    return ""


def _named(encryption: Encryption | None) -> str:
    """For the audit trail."""
    if encryption is None:
        return ""
    if encryption.jwks_uri is not None:
        return encryption.jwks_uri.partition("?")[0]  # a query is where somebody may have put a secret
    return str((encryption.jwk or {}).get("kid", "a key without a kid"))
