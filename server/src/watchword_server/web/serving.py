"""uvicorn, from a bound socket to a graceful end."""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, cast

import uvicorn

from watchword_server.ports import Unavailable
from watchword_server.web.asgi import App
from watchword_server.web.connection import KEEP_ALIVE, Connection
from watchword_server.web.express import Express

BACKLOG: Final = 2048
"""Connections that may wait to be accepted."""
CIPHERS: Final = "ECDHE+AESGCM"
"""Of TLS 1.2: what RFC 9325 §4.2 recommends. Those of TLS 1.3 are all good, and not chosen by this. uvicorn's own list
leaves nothing for TLS 1.2 but CBC with SHA-1.
"""
FILES: Final = 65_536
"""Connections and files that a node may hold at once, where the system lets it: every verifier keeps one open."""
GRACE: Final = 10
"""Seconds that running requests have to end when the server stops."""
LINGER: Final = 0.5
"""Seconds before that in which idle connections are told to close: one that is closed unasked may lose a request."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """Files (PEM) for serving https."""

    chain: Path
    key: Path


def bound(host: str, port: int) -> socket.socket:
    """A socket at this address. Raises Unavailable with a sentence that says how to mend it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        place = socket.getaddrinfo(
            host, port, family=0 if family == socket.AF_INET else family, type=socket.SOCK_STREAM
        )[0]
        listener = socket.socket(place[0], socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place[4])
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise Unavailable(
            f"cannot listen at {host}:{port}: {why}; stop what is there, or choose another address with --listen"
        ) from error
    listener.setblocking(False)
    return listener


async def serve(
    app: App,
    express: Express,
    listener: socket.socket,
    certificate: Certificate | None,
    ready: Callable[[], None],
    stopping: asyncio.Event,
    leave: Callable[[], Awaitable[None]],
) -> None:
    """Serve until SIGTERM or SIGINT.

    Then `stopping` is set, so that every answer closes its connection, and `leave` ends what would never end; when all
    have gone, or after LINGER, there are no new connections, and the rest has GRACE. A second signal ends the rest
    at once. Raises Unavailable for a certificate that cannot be used.
    """
    _open_more_files()
    server = uvicorn.Server(_loaded(_config(app, express, certificate), certificate))
    loop = asyncio.get_running_loop()
    ending: list[asyncio.Task[None]] = []

    async def end() -> None:
        for connection in server.server_state.connections:
            cast(Connection, connection).leave()
        await leave()
        until = loop.time() + LINGER
        while server.server_state.connections and loop.time() < until:  # noqa: ASYNC110  # nor when a connection ends
            await asyncio.sleep(0.01)
        server.should_exit = True

    def stop() -> None:
        if stopping.is_set():
            server.force_exit = server.should_exit = True
            return
        stopping.set()
        ending.append(loop.create_task(end()))

    # uvicorn's own handlers would end the process by the signal after a graceful stop; and ours must stand before the
    # first request is answered, for whoever saw it answered may send one.
    server.capture_signals = nullcontext  # type: ignore[method-assign,assignment]  # the one way to leave them out
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    serving = loop.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():  # noqa: ASYNC110  # uvicorn tells nobody when it has started
        await asyncio.sleep(0.005)
    if not serving.done():
        ready()
    await serving
    await asyncio.gather(*ending)


def _open_more_files() -> None:
    """The usual limit of 1,024 would end at some 900 verifiers."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _loaded(config: uvicorn.Config, certificate: Certificate | None) -> uvicorn.Config:
    try:
        config.load()
    except OSError as error:  # ssl.SSLError too
        raise Unavailable(
            f"the certificate {certificate and certificate.chain} with the key {certificate and certificate.key} "
            f"cannot be used: {error.strerror or error}; both are PEM files that belong together"
        ) from error
    return config


def _config(app: App, express: Express, certificate: Certificate | None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        # uvicorn calls it once a connection, as it would a class.
        http=cast("type[asyncio.Protocol]", partial(Connection, express)),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,  # RFC 9110 §6.6.1; `watchword doctor` compares the clocks by it
        proxy_headers=False,  # it would believe every local process; the door does this, for trusted proxies only
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
        ssl_certfile=certificate.chain if certificate else None,
        ssl_keyfile=certificate.key if certificate else None,
        ssl_ciphers=CIPHERS,
    )
