"""The composition root: the only room that knows all the others. It imports them where they are needed, so that
each command loads no more than its own."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from watchword_server import settings as configuration
from watchword_server.settings import Settings

if TYPE_CHECKING:
    import socket

    from watchword_server.adapters.keystore.sealed import SealedKeys
    from watchword_server.adapters.sql.store import Store
    from watchword_server.cli.world import DatabaseReport
    from watchword_server.flows.issuer import Issuer, Terms
    from watchword_server.ports import Mailer, Stores
    from watchword_server.web.serving import Certificate
    from watchword_server.web.upkeep import Upkeep

DATABASE: Final = "watchword.db"
MASTER_KEY: Final = "master.key"
COLLECT_RARELY: Final = (20_000, 20, 20)
"""Thresholds of the garbage collector's generations."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Deployment:
    """An issuer with the store that it works on."""

    issuer: Issuer
    store: Store


def main() -> None:
    """The command `watchword`."""
    # A start makes many objects and hardly any garbage: looking for it would cost a twentieth of the time.
    gc.set_threshold(*COLLECT_RARELY)
    from watchword_server.cli import World, application

    application(World(load_settings, open_issuer, serve, examine))()


def load_settings(config: Path | None, overrides: Mapping[str, object]) -> Settings:
    """Read the settings. Raises SettingsError."""
    return configuration.load(config, overrides)


@asynccontextmanager
async def open_issuer(settings: Settings) -> AsyncIterator[Issuer]:
    """The deployment of a data folder, ready to work; other processes on it hear of what is committed."""
    async with _deployment(settings) as deployment:
        yield deployment.issuer


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; the exit code."""
    import asyncio

    import uvloop

    from watchword_server.adapters.logs.setup import configure
    from watchword_server.web.arrivals import current_facts
    from watchword_server.web.serving import bound

    configure(settings.log.level, settings.log.format, current_facts)
    with bound(*settings.address) as listener, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, listener))
    return 0


async def examine(settings: Settings) -> DatabaseReport | None:
    """The state of the database, for `watchword doctor`; None where there is none. Raises Unavailable."""
    import asyncio

    from watchword_server.adapters.sql.examination import examine
    from watchword_server.cli.world import DatabaseReport

    found = await asyncio.to_thread(examine, settings.data / DATABASE)
    return None if found is None else DatabaseReport(**asdict(found))


async def _serve(settings: Settings, listener: socket.socket) -> None:
    from watchword_server.web.application import application
    from watchword_server.web.arrivals import Arrivals
    from watchword_server.web.express import Express
    from watchword_server.web.front import Front
    from watchword_server.web.serving import serve
    from watchword_server.web.upkeep import Upkeep

    async with _deployment(settings) as deployment:
        issuer = deployment.issuer
        # Whoever cannot sign does not begin to serve.
        await issuer.keyring.at(await issuer.stores.log.head(), int(time.time()))
        upkeep = Upkeep(issuer, _mailer(settings), time.time)
        deployment.store.on_commit(upkeep.news)
        front = Front(
            issuer=issuer,
            clock=time.time,
            ailment=upkeep.ailment,
            trusted_proxies=settings.trusted_proxies,
            cookie_domain=settings.cookie_domain,
            log_requests=settings.log.requests,
        )

        def ready() -> None:
            _settle_memory()
            logger.info("ready", extra={"issuer": settings.issuer, "listen": settings.listen})

        arrivals = Arrivals(front.trusted_proxies)
        app, express = application(front, arrivals), Express(front, arrivals)
        with _nudges(settings.data, upkeep):
            async with upkeep:
                await serve(app, express, listener, _certificate(settings), ready, issuer.feed.close)
        logger.info("stopped")


def _settle_memory() -> None:
    """What stands at start stands for ever: the garbage collector need not walk through it time and again."""
    gc.collect()
    gc.freeze()


@asynccontextmanager
async def _deployment(settings: Settings) -> AsyncIterator[Deployment]:
    from watchword.wire.metadata import is_local
    from watchword_server.adapters.argon2 import Argon2
    from watchword_server.adapters.chance import Chance
    from watchword_server.adapters.fetch import GuardedFetcher
    from watchword_server.adapters.memory.attempts import Attempts
    from watchword_server.flows import keys
    from watchword_server.flows.administration import Operator
    from watchword_server.flows.api_keys import ApiKeys
    from watchword_server.flows.feed import Feed
    from watchword_server.flows.issuer import Caller, Issuer
    from watchword_server.flows.keyring import KeyRing

    store = _store(settings)
    hasher = Argon2(settings.passwords.queue)
    # An issuer on loopback is for development: nobody else reaches it, so it may reach this machine's own servers.
    local = is_local(settings.issuer)
    api_keys = ApiKeys(GuardedFetcher(local=local, networks=settings.fetch.allowed_networks))
    try:
        stores = store.stores
        key_store = await _key_store(settings, stores)
        terms = _terms(settings)
        keyring = KeyRing(stores.keys, key_store, terms.algorithm)
        issuer = Issuer(
            terms=terms,
            stores=stores,
            keyring=keyring,
            feed=Feed(terms.issuer, stores.log, keyring, time.time),
            key_store=key_store,
            master_keys=key_store.masters,
            hasher=hasher,
            attempts=Attempts(),
            api_keys=api_keys,
            random=Chance(),
        )
        await keys.prepare(issuer, Operator("watchword", Caller()), int(time.time()))
        yield Deployment(issuer, store)
    finally:
        api_keys.close()
        hasher.close()
        store.close()


def _store(settings: Settings) -> Store:
    from watchword_server.adapters.sql.store import open_store
    from watchword_server.adapters.sql.upgrade import SchemaError
    from watchword_server.flows.administration import Refused

    try:
        return open_store(settings.data / DATABASE)
    except SchemaError as error:
        raise Refused(str(error)) from error


async def _key_store(settings: Settings, stores: Stores) -> SealedKeys:
    """No master key is read before one is needed: whoever only takes tokens back needs none."""
    from watchword_server.adapters.keystore.sealed import SealedKeys

    if settings.master_key_command is not None:
        from watchword_server.adapters.keystore.command import MasterKeyCommand

        return SealedKeys(MasterKeyCommand(settings.master_key_command))
    if settings.master_key is not None:
        from watchword_server.adapters.keystore.setting import MasterKeySetting

        return SealedKeys(MasterKeySetting(settings.master_key.reveal()))
    from watchword_server.adapters.keystore.file import MasterKeyFile

    file = MasterKeyFile(settings.data / MASTER_KEY)
    # Only a database without keys may get a new master key: beside others it would open none of them.
    if not await stores.keys.all():
        file.create()
    return SealedKeys(file)


def _terms(settings: Settings) -> Terms:
    from watchword_server.flows.issuer import Terms

    return Terms(
        issuer=settings.issuer,
        access_lifetime=settings.tokens.access_lifetime,
        refresh_lifetime=settings.tokens.refresh_lifetime,
        session_lifetime=settings.sessions.lifetime,
        algorithm=settings.tokens.algorithm,
        rotate_every=settings.keys.rotate_every,
        publish_ahead=settings.keys.publish_ahead,
        feed_public=settings.feed.public,
        audit_retention=settings.audit.retention,
    )


def _mailer(settings: Settings) -> Mailer:
    from watchword_server.adapters.smtp.nowhere import NoMailer

    smtp = settings.smtp
    if smtp.host is None or smtp.sender is None:
        return NoMailer()
    from watchword_server.adapters.smtp.mailer import SmtpMailer

    password = smtp.password.reveal() if smtp.password else None
    return SmtpMailer(smtp.host, smtp.port, smtp.sender, smtp.tls, smtp.username, password)


def _certificate(settings: Settings) -> Certificate | None:
    from watchword_server.web.serving import Certificate

    tls = settings.tls
    return Certificate(tls.certificate, tls.key) if tls.certificate and tls.key else None


@contextmanager
def _nudges(folder: Path, upkeep: Upkeep) -> Iterator[None]:
    """Hear of other processes' commits at once; without that they are found by polling, a little later."""
    from watchword_server.adapters.nudge import Listener

    try:
        listener = Listener(folder, upkeep.news)
    except OSError as error:
        logger.warning("nudges cannot be heard", extra={"reason": error.strerror})
        yield
        return
    try:
        yield
    finally:
        listener.close()
