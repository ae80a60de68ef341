"""`watchword dev`: an issuer and a demo API on this machine, ready to try."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from watchword_server.cli import children, playground
from watchword_server.cli.answers import Answer
from watchword_server.cli.children import Child
from watchword_server.cli.desk import Call, Desk, operator
from watchword_server.cli.failures import Code, NotNow, Usage
from watchword_server.cli.listening import in_use
from watchword_server.cli.playground import Place
from watchword_server.cli.tour import welcome

FOLDER: Final = Path(".watchword")
HOSTS: Final = ("127.0.0.1", "::1")
"""What `localhost` may mean to a browser or to curl."""

Port = Annotated[int, typer.Option(min=1, max=65534, help="The issuer's; the demo API listens at the next one.")]


def dev(call: Call, port: Port = 8000) -> Answer:
    """Start an issuer and a demo API on this machine, and show what to try. The data folder is .watchword.

    With --json the first line on standard output is one JSON object that says where everything is, once it is
    ready. Exit code 5: a port is in use; 1: one of the two processes ended.
    """
    if call.config is not None:
        raise Usage("`watchword dev` writes its own settings into its data folder; leave --config away")
    place = Place(call.data or FOLDER, port)
    for number in (port, port + 1):
        _must_be_free(number)
    with _alone(place):
        return Answer({}, code=asyncio.run(_live(call, place)), silent=True)


@contextmanager
def _alone(place: Place) -> Iterator[None]:
    """Keep a second one off this folder: it would write its own port into the settings."""
    place.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(place.lock, os.O_WRONLY | os.O_CREAT, 0o600), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise NotNow(f"another `watchword dev` uses {place.folder}; end it, or choose another --data") from error
        yield


def _must_be_free(port: int) -> None:
    problems = [problem for host in HOSTS if (problem := in_use((host, port))) is not None and not _missing(host)]
    if problems:
        raise NotNow(f"port {port} cannot be used ({problems[0]}); end what uses it, or choose others with --port")


def _missing(host: str) -> bool:
    """Whether this machine does not have the address at all, as many have no IPv6."""
    return in_use((host, 0)) is not None


async def _live(call: Call, place: Place) -> int:
    asked = _when_asked_to_end()
    life = asyncio.create_task(_run(call, place))
    await asyncio.wait((asked, life), return_when=asyncio.FIRST_COMPLETED)
    if life.done():
        asked.cancel()
        return life.result()
    life.cancel()
    await asyncio.wait((life,))
    return Code.OK


def _when_asked_to_end() -> asyncio.Task[bool]:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, asked.set)
    return asyncio.create_task(asked.wait())


async def _run(call: Call, place: Place) -> int:
    """Set up, start both, and stay until one of them ends; whatever happens, none is left running."""
    first = not place.document.exists()
    playground.write_settings(place)
    document, client_id = await _prepare(call, place)
    async with AsyncExitStack() as stack:
        issuer = await children.start("issuer", "watchword_server", *_serve(call, place), environ=_environ())
        stack.push_async_callback(children.stop, issuer)
        await children.ready(issuer, f"http://127.0.0.1:{place.port}/readyz")
        environ = _environ() | _orders(place, document, client_id)
        orders = await children.start("orders", "watchword_server.demo", environ=environ)
        stack.push_async_callback(children.stop, orders)
        await children.ready(orders, f"http://127.0.0.1:{place.port + 1}/readyz")
        typer.echo(json.dumps(document) if call.json else welcome(place, document, first))
        return _ended(await children.first_to_end(issuer, orders))


def _ended(child: Child) -> int:
    typer.echo(f"watchword: {child.name} has ended, and so everything ends; what it said stands above", err=True)
    return Code.FAILED


async def _prepare(call: Call, place: Place) -> tuple[dict[str, Any], str]:
    settings = call.world.load_settings(place.settings, {})
    async with call.world.open(settings) as issuer:
        return await playground.prepare(Desk(issuer, operator(), int(time.time())), place)


def _serve(call: Call, place: Place) -> list[str]:
    return ["serve", "--config", str(place.settings), *(["--json"] if call.json else [])]


def _environ() -> dict[str, str]:
    """Without settings of another deployment that this shell may have."""
    own = {name: value for name, value in os.environ.items() if not name.upper().startswith("WATCHWORD_")}
    return own | {"NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}


def _orders(place: Place, document: dict[str, Any], client_id: str) -> dict[str, str]:
    return {
        "ORDERS_LISTEN": f"127.0.0.1:{place.port + 1}",
        "ORDERS_ISSUER": place.issuer,
        "ORDERS_AUDIENCE": document["api"]["audience"],
        "ORDERS_CLIENT_ID": client_id,
        "ORDERS_CLIENT_SECRET_FILE": str(place.api_secret),
    }
