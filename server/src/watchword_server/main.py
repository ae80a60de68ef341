"""The composition root: the only room that knows all the others. It imports them where they are needed, so that
each command loads no more than its own."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from watchword_server import settings as configuration
from watchword_server.settings import Settings

if TYPE_CHECKING:
    import socket

    from watchword_server.adapters.keystore.sealed import SealedKeys
    from watchword_server.adapters.sql.promote.promotion import Task
    from watchword_server.adapters.sql.stores import Store
    from watchword_server.changes import StoredKey
    from watchword_server.cli.world import DatabaseReport, Migration
    from watchword_server.flows.administration import Operator
    from watchword_server.flows.issuer import Issuer, Terms
    from watchword_server.ports import Mailer, Promoted, PromotionStep, Stores
    from watchword_server.web.serving import Certificate
    from watchword_server.web.upkeep import Upkeep

DATABASE: Final = "watchword.db"
MASTER_KEY: Final = "master.key"
PROMOTION_POLL: Final = 0.25
"""Seconds between two looks whether a promotion is complete."""
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

    application(World(load_settings, open_issuer, serve, examine, migrate, ask_redis, promote, undo_promotion))()


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

    from watchword_server.cli.world import DatabaseReport

    if settings.database is not None:
        from watchword_server.adapters.sql.postgres import examination as postgres

        return DatabaseReport(**asdict(await postgres.examine(settings.database.reveal())))
    from watchword_server.adapters.sql.sqlite import examination as sqlite

    found = await asyncio.to_thread(sqlite.examine, settings.data / DATABASE)
    return None if found is None else DatabaseReport(**asdict(found))


async def migrate(settings: Settings, only_look: bool) -> Migration:
    """Bring the schema up to date, or see whether that is due. Raises Refused, Unavailable."""
    import asyncio

    from watchword_server.cli.world import Migration

    with _refusals():
        if settings.database is not None:
            from watchword_server.adapters.sql.postgres import upgrade as postgres

            act = postgres.due if only_look else postgres.migrate
            return Migration(**asdict(await act(settings.database.reveal())))
        from watchword_server.adapters.sql.sqlite import store as sqlite

        work = sqlite.due if only_look else sqlite.migrate
        return Migration(**asdict(await asyncio.to_thread(work, settings.data / DATABASE)))


async def ask_redis(settings: Settings) -> str | None:
    """Why the Redis of the settings cannot be used, for `watchword doctor`; None when it can, or there is none."""
    if settings.redis.url is None:
        return None
    from watchword_server.adapters.redis.link import examine

    return await examine(settings.redis.url.reveal())


async def promote(
    settings: Settings, by: Operator, tell: Callable[[PromotionStep], None], agreed: Callable[[], Awaitable[None]]
) -> Promoted:
    """Move the SQLite file to PostgreSQL while servers run. Raises Refused, KeyStoreError, Unavailable."""
    import asyncio

    from watchword_server.adapters.sql.promote import promotion

    with _refusals():
        path = settings.data / DATABASE
        keys = await asyncio.to_thread(promotion.keys, path)
        await asyncio.to_thread(_must_open, _sealed_keys(settings), keys)
        return await promotion.promote(_promotion(settings, by, tell, agreed))


async def undo_promotion(settings: Settings, by: Operator) -> bool:
    """Take back what a promotion has left. Whether there was anything. Raises Refused, Unavailable."""
    from watchword_server.adapters.sql.promote import promotion

    async def agreed() -> None:
        """Nobody asks."""

    with _refusals():
        return await promotion.undo(_promotion(settings, by, lambda _: None, agreed))


def _promotion(
    settings: Settings, by: Operator, tell: Callable[[PromotionStep], None], agreed: Callable[[], Awaitable[None]]
) -> Task:
    import secrets

    from watchword_server.adapters import nudge
    from watchword_server.adapters.sql.postgres import connections, upgrade
    from watchword_server.adapters.sql.promote.promotion import Task
    from watchword_server.flows.administration import Refused
    from watchword_server.flows.issuer import audit

    if settings.database is None:
        raise Refused("nothing says where to: set `database`")
    url = settings.database.reveal()
    place = connections.place(url)

    async def migrate() -> None:
        await upgrade.migrate(url)

    return Task(
        path=settings.data / DATABASE,
        id=secrets.token_hex(8),
        place=place,
        connect=lambda: connections.connect(url, connections.MIGRATION),
        migrate=migrate,
        tell=tell,
        agreed=agreed,
        row=lambda rows: audit(by.caller, time.time(), by.actor, "issuer.promote", target=place, rows=rows),
        nudge=lambda: nudge.send(settings.data),
    )


def _must_open(sealed: SealedKeys, keys: Sequence[StoredKey]) -> None:
    """What cannot be opened here cannot be opened by any node. Raises KeyStoreError."""
    for key in keys:
        sealed.open(key)


@contextmanager
def _refusals() -> Iterator[None]:
    """What an adapter will not do is a refusal, and its sentence is for the operator."""
    from watchword_server.adapters.sql.upgrade import SchemaError
    from watchword_server.flows.administration import Refused
    from watchword_server.ports import NotPromoted

    try:
        yield
    except (NotPromoted, SchemaError) as error:
        raise Refused(str(error)) from error


async def _serve(settings: Settings, listener: socket.socket) -> None:
    from watchword_server.web.application import application
    from watchword_server.web.arrivals import Arrivals
    from watchword_server.web.express import Express
    from watchword_server.web.front import Front
    from watchword_server.web.serving import serve
    from watchword_server.web.upkeep import Upkeep

    await _arrival(settings, listener)
    async with _deployment(settings) as deployment, _shared(settings, deployment.issuer) as (issuer, without):
        # Whoever cannot sign does not begin to serve.
        await issuer.keyring.at(await issuer.stores.log.head(), int(time.time()))
        upkeep = Upkeep(issuer, _mailer(settings), time.time)
        deployment.store.on_commit(upkeep.news)
        front = Front(
            issuer=issuer,
            clock=time.time,
            ailment=upkeep.ailment,
            without=without,
            trusted_proxies=settings.trusted_proxies,
            cookie_domain=settings.cookie_domain,
            log_requests=settings.log.requests,
        )

        def ready() -> None:
            _settle_memory()
            logger.info("ready", extra={"issuer": settings.issuer, "listen": settings.listen})

        arrivals = Arrivals(front.trusted_proxies)
        app, express = application(front, arrivals), Express(front, arrivals)
        with _nudges(settings, upkeep):
            async with upkeep:
                await serve(app, express, listener, _certificate(settings), ready, front.stopping, issuer.feed.close)
        logger.info("stopped")


async def _arrival(settings: Settings, listener: socket.socket) -> None:
    """Where a deployment is moving into the database: wait until it is there, and answer that nobody is ready."""
    import asyncio

    from watchword_server.ports import Unavailable, Unfinished

    if settings.database is None:
        return
    from watchword_server.adapters.sql.postgres.upgrade import must_be_servable
    from watchword_server.web.waiting import waiting

    url = settings.database.reveal()
    with _refusals():
        try:
            await must_be_servable(url)
            return
        except Unfinished as error:
            logger.warning("waits for a promotion", extra={"reason": str(error)})
        async with waiting(listener, _certificate(settings), "a deployment is moving into the database"):
            while True:
                await asyncio.sleep(PROMOTION_POLL)
                with suppress(Unavailable):  # Unfinished still, or the database is away for a moment
                    await must_be_servable(url)
                    return


@asynccontextmanager
async def _shared(settings: Settings, issuer: Issuer) -> AsyncIterator[tuple[Issuer, Callable[[], tuple[str, ...]]]]:
    """The issuer with what its nodes share in Redis, and whether they do without it now; as it is without a Redis."""
    if settings.redis.url is None:
        yield issuer, tuple
        return
    from watchword_server.adapters.redis.attempts import RedisAttempts, SharedAttempts
    from watchword_server.adapters.redis.link import Link
    from watchword_server.adapters.redis.spent import GuardedSpent, RedisSpent

    link = Link(settings.redis.url.reveal(), settings.issuer)
    try:
        await link.open()
        attempts = SharedAttempts(RedisAttempts(link), issuer.attempts)
        spent = GuardedSpent(RedisSpent(link), issuer.spent)
        yield replace(issuer, attempts=attempts, spent=spent), lambda: () if link.up else ("redis",)
    finally:
        await link.close()


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
    from watchword_server.flows.leases import Register

    async with _store(settings) as store:
        hasher = Argon2(settings.passwords.queue)
        # An issuer on loopback is for development: nobody else reaches it, so it may reach this machine's own servers.
        local = is_local(settings.issuer)
        api_keys = ApiKeys(GuardedFetcher(local=local, networks=settings.fetch.allowed_networks))
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
                random=Chance(),
            )
            await keys.prepare(issuer, Operator("watchword", Caller()), int(time.time()))
            yield Deployment(issuer, store)
        finally:
            api_keys.close()
            hasher.close()


@asynccontextmanager
async def _store(settings: Settings) -> AsyncIterator[Store]:
    """The database. Its driver is imported only where it is used."""
    if settings.database is not None:
        from watchword_server.adapters.sql.postgres import store as postgres

        with _refusals():
            shared = await postgres.open_store(settings.database.reveal())
        try:
            yield shared
        finally:
            await shared.close()
        return
    from watchword_server.adapters.sql.sqlite import store as sqlite

    with _refusals():
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
    return _sealed_keys(settings)


def _sealed_keys(settings: Settings) -> SealedKeys:
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
def _nudges(settings: Settings, upkeep: Upkeep) -> Iterator[None]:
    """Hear of other processes' commits at once; without that they are found by polling, a little later."""
    if settings.database is not None:  # which tells of them itself
        yield
        return
    from watchword_server.adapters.nudge import Listener

    try:
        listener = Listener(settings.data, upkeep.news)
    except OSError as error:
        logger.warning("nudges cannot be heard", extra={"reason": error.strerror})
        yield
        return
    try:
        yield
    finally:
        listener.close()
