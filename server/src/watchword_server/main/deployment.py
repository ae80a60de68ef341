"""A deployment, put together from its settings: database, keys, and the issuer that works on them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from watchword_server.settings import Settings

if TYPE_CHECKING:
    from watchword_server.adapters.keystore.sealed import SealedKeys
    from watchword_server.adapters.sql.stores import Store
    from watchword_server.flows.issuer import Issuer, Terms
    from watchword_server.ports import Stores
    from watchword_server.protocol.foreign_token import Trust

DATABASE: Final = "watchword.db"
MASTER_KEY: Final = "master.key"


@dataclass(frozen=True, slots=True)
class Deployment:
    """An issuer with the store that it works on."""

    issuer: Issuer
    store: Store


@asynccontextmanager
async def deployed(settings: Settings) -> AsyncIterator[Deployment]:
    """The deployment of these settings, with keys that can sign. Raises Refused, KeyStoreError, Unavailable."""
    from watchword.wire.metadata import is_local
    from watchword_server.adapters.argon2 import Argon2
    from watchword_server.adapters.chance import Chance
    from watchword_server.adapters.fetch import GuardedFetcher
    from watchword_server.adapters.memory.attempts import Attempts
    from watchword_server.flows import keys
    from watchword_server.flows.administration import Operator
    from watchword_server.flows.api_keys import ApiKeys
    from watchword_server.flows.client_keys import ClientKeys
    from watchword_server.flows.feed import Feed
    from watchword_server.flows.issuer import Caller, Issuer
    from watchword_server.flows.keyring import KeyRing
    from watchword_server.flows.leases import Register
    from watchword_server.flows.logos import Logos
    from watchword_server.flows.references import References
    from watchword_server.flows.trusted_issuers import TrustedIssuers

    async with _store(settings) as store:
        hasher = Argon2(settings.passwords.queue)
        # An issuer on loopback is for development: nobody else reaches it, so it may reach this machine's own servers.
        local = is_local(settings.issuer)
        fetcher = GuardedFetcher(local=local, networks=settings.fetch.allowed_networks)
        api_keys, client_keys, logos = ApiKeys(fetcher), ClientKeys(fetcher), Logos(fetcher)
        trusted = TrustedIssuers(fetcher, _trusts(settings))
        try:
            stores = store.stores
            key_store = await _key_store(settings, stores)
            terms = _terms(settings)
            keyring = KeyRing(stores.keys, key_store, terms.algorithm)
            feed = Feed(terms.issuer, stores.log, keyring, time.time)
            issuer = Issuer(
                terms=terms,
                stores=stores,
                keyring=keyring,
                feed=feed,
                register=Register(stores.leases, stores.log, feed, time.time),
                key_store=key_store,
                master_keys=key_store.masters,
                hasher=hasher,
                attempts=Attempts(),
                spent=stores.spent,
                api_keys=api_keys,
                client_keys=client_keys,
                references=References(fetcher),
                logos=logos,
                trusted=trusted,
                fetcher=fetcher,
                random=Chance(),
            )
            await keys.prepare(issuer, Operator("watchword", Caller()), int(time.time()))
            yield Deployment(issuer, store)
        finally:
            api_keys.close()
            client_keys.close()
            logos.close()
            trusted.close()
            hasher.close()


@asynccontextmanager
async def _store(settings: Settings) -> AsyncIterator[Store]:
    """The database. Its driver is imported only where it is used."""
    if settings.database is not None:
        from watchword_server.adapters.sql.postgres import store as postgres

        with refusals():
            shared = await postgres.open_store(settings.database.reveal())
        try:
            yield shared
        finally:
            await shared.close()
        return
    from watchword_server.adapters.sql.sqlite import store as sqlite

    with refusals():
        own = sqlite.open_store(settings.data / DATABASE)
    try:
        yield own
    finally:
        own.close()


async def _key_store(settings: Settings, stores: Stores) -> SealedKeys:
    """Only a database without keys may get a new master key: beside others it would open none of them."""
    if settings.master_key is None and settings.master_key_command is None and not await stores.keys.all():
        from watchword_server.adapters.keystore.file import MasterKeyFile

        MasterKeyFile(settings.data / MASTER_KEY).create()
    return sealed_keys(settings)


def sealed_keys(settings: Settings) -> SealedKeys:
    """No master key is read before one is needed: whoever only takes tokens back needs none."""
    from watchword_server.adapters.keystore.sealed import SealedKeys

    if settings.master_key_command is not None:
        from watchword_server.adapters.keystore.command import MasterKeyCommand

        return SealedKeys(MasterKeyCommand(settings.master_key_command))
    if settings.master_key is not None:
        from watchword_server.adapters.keystore.setting import MasterKeySetting

        return SealedKeys(MasterKeySetting(settings.master_key.reveal()))
    from watchword_server.adapters.keystore.file import MasterKeyFile

    return SealedKeys(MasterKeyFile(settings.data / MASTER_KEY))


def _terms(settings: Settings) -> Terms:
    from watchword_server.flows.issuer import Terms
    from watchword_server.protocol.grants.token_exchange import Bounds

    return Terms(
        issuer=settings.issuer,
        access_lifetime=settings.tokens.access_lifetime,
        refresh_lifetime=settings.tokens.refresh_lifetime,
        session_lifetime=settings.sessions.lifetime,
        offline_lifetime=settings.sessions.offline_lifetime,
        sign_up=settings.pages.sign_up,
        algorithm=settings.tokens.algorithm,
        rotate_every=settings.keys.rotate_every,
        publish_ahead=settings.keys.publish_ahead,
        feed_public=settings.feed.public,
        registration=settings.registration.mode,
        registration_pkce=settings.registration.pkce,
        registration_apis=settings.registration.apis,
        metadata_documents=settings.clients.metadata_documents,
        dpop_nonce=settings.dpop.nonce,
        audit_retention=settings.audit.retention,
        exchange=Bounds(settings.exchange.depth, settings.exchange.children),
    )


def _trusts(settings: Settings) -> list[Trust]:
    from watchword_server.protocol.foreign_token import Trust

    return [
        Trust(
            issuer=one.issuer,
            audience=one.audience or settings.issuer,
            clients=tuple(one.clients),
            scopes=tuple(one.scopes),
            jwks=one.jwks,
            jwks_uri=one.jwks_uri,
        )
        for one in settings.exchange.issuers
    ]


@contextmanager
def refusals() -> Iterator[None]:
    """What an adapter will not do is a refusal, and its sentence is for the operator."""
    from watchword_server.adapters.sql.upgrade import SchemaError
    from watchword_server.flows.administration import Refused
    from watchword_server.promotion import NotPromoted

    try:
        yield
    except (NotPromoted, SchemaError) as error:
        raise Refused(str(error)) from error
