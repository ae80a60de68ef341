"""`watchword serve`: one node, from its start to its graceful stop."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from watchword_server.main.deployment import deployed, refusals
from watchword_server.settings import Settings

if TYPE_CHECKING:
    import socket

    from watchword_server.flows.issuer import Issuer
    from watchword_server.ports import Mailer
    from watchword_server.web.pages.rendering import Pages
    from watchword_server.web.serving import Certificate
    from watchword_server.web.upkeep import Upkeep

PROMOTION_POLL: Final = 0.25
"""Seconds between two looks whether a promotion is complete."""

logger = logging.getLogger(__name__)


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


async def _serve(settings: Settings, listener: socket.socket) -> None:
    from watchword_server.web.application import application
    from watchword_server.web.arrivals import Arrivals
    from watchword_server.web.express import Express
    from watchword_server.web.front import Front
    from watchword_server.web.serving import serve
    from watchword_server.web.upkeep import Upkeep

    await _arrival(settings, listener)
    async with deployed(settings) as deployment, _shared(settings, deployment.issuer) as (issuer, without):
        # Whoever cannot sign does not begin to serve.
        await issuer.keyring.at(await issuer.stores.log.head(), int(time.time()))
        upkeep = Upkeep(issuer, _mailer(settings), time.time)
        deployment.store.on_commit(upkeep.news)
        front = Front(
            issuer=issuer,
            pages=_pages(settings),
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
    with refusals():
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


def _pages(settings: Settings) -> Pages:
    """Raises Refused for a logo or colours that cannot be shown."""
    from watchword_server.flows.administration import Refused
    from watchword_server.web.pages.brand import Brand, UnfitBrand, logo
    from watchword_server.web.pages.rendering import Pages

    said = settings.pages
    try:
        brand = Brand(
            name=said.name,
            logo=None if said.logo is None else logo(said.logo.read_bytes()),
            color=said.color,
            color_dark=said.color_dark,
            night=said.night,
            night_dark=said.night_dark,
            help=said.help,
            privacy=said.privacy,
            terms=said.terms,
        )
        return Pages(brand, settings.issuer)
    except UnfitBrand as error:
        raise Refused(str(error)) from error
    except OSError as error:
        raise Refused(f"pages.logo cannot be read: {error.strerror}") from error


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
