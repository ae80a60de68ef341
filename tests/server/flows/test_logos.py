"""Logos of clients: copies, few and small, of what is a picture."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.server.adapters.hosts import Host, host, saying
from watchword_server.adapters.fetch import GuardedFetcher
from watchword_server.flows.logos import AGAIN, AT_ONCE, KEEP, LIMIT, MOST, Logos, pictured
from watchword_server.protocol.values import Client, ClientMetadata

NOW = 1_800_000_000
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 100
PICTURES = {
    "image/png": PNG,
    "image/jpeg": b"\xff\xd8\xff\xe0 rest",
    "image/gif": b"GIF89a rest",
    "image/webp": b"RIFF\x0a\x00\n\x00WEBPVP8 ",
}


def client(port: int, client_id: str = "c1", path: str = "/logo", disabled_at: int | None = None) -> Client:
    """A client that names a logo at this server."""
    said = ClientMetadata(logo_uri=f"http://127.0.0.1:{port}{path}")
    return Client(client_id, "App", "public", None, frozenset(), {}, 0, disabled_at=disabled_at, metadata=said)


def http(content: bytes, kind: str = "text/html", status: str = "200 OK") -> bytes:
    """An answer, which may say anything of itself."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    return head.encode() + content


@asynccontextmanager
async def shop(content: bytes, status: str = "200 OK") -> AsyncIterator[tuple[Host, Logos]]:
    """A server with this content, and somebody who keeps copies."""
    logos = Logos(GuardedFetcher(local=True))
    async with host(saying(http(content, status=status))) as here:
        yield here, logos
    logos.close()


@pytest.mark.parametrize("kind", PICTURES)
async def test_a_picture_is_known_by_how_it_begins(kind: str) -> None:
    """Whatever its server says that it is."""
    async with shop(PICTURES[kind]) as (here, logos):
        found = await logos.of(client(here.port), NOW)
    assert found is not None
    assert (found.kind, found.content) == (kind, PICTURES[kind])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"<?xml version='1.0'?><svg/>",
        b"<html><script>alert(1)</script></html>",
        b"GIF90a",
        b" " + PNG,
        b"\xef\xbb\xbf" + PNG,
        b"RIFF0000WAVE",
        b"BM0000",
        b"%PDF-1.7",
        PNG + b"0" * LIMIT,
    ],
)
async def test_anything_else_is_no_logo(content: bytes) -> None:
    """No SVG, which can run scripts, nothing that is too long, nothing that only pretends."""
    async with shop(content) as (here, logos):
        assert await logos.of(client(here.port), NOW) is None
        assert here.connections == 1


async def test_a_redirect_is_no_logo() -> None:
    """Who follows one can be led anywhere."""
    async with shop(PNG, status="302 Found\r\nLocation: /elsewhere") as (here, logos):
        assert await logos.of(client(here.port), NOW) is None
        assert here.connections == 1


async def test_a_logo_is_fetched_once_a_day_and_what_is_none_every_ten_minutes() -> None:
    """However many ask."""
    async with shop(PNG) as (here, logos):
        asked = client(here.port)
        assert not logos.is_there(asked, NOW)
        assert all(await asyncio.gather(*(logos.of(asked, NOW) for _ in range(50))))
        for later in (0, AGAIN, KEEP - 1):
            assert logos.is_there(asked, NOW + later)
        assert here.connections == 1
        assert await logos.of(asked, NOW + KEEP) is not None
    async with shop(b"nothing") as (here, logos):
        asked = client(here.port)
        for later in (0, 1, AGAIN - 1):
            assert await logos.of(asked, NOW + later) is None
        assert here.connections == 1
        assert await logos.of(asked, NOW + AGAIN) is None
        assert here.connections == 2


async def test_another_address_is_not_looked_at_any_sooner() -> None:
    """Who may change what is registered must not have the issuer fetch for them in a loop."""
    async with shop(PNG) as (here, logos):
        assert await logos.of(client(here.port), NOW) is not None
        for number in range(20):
            assert await logos.of(client(here.port, path=f"/{number}"), NOW + AGAIN - 1) is None
        assert here.connections == 1
        assert await logos.of(client(here.port, path="/other"), NOW + AGAIN) is not None


async def test_a_client_that_is_disabled_has_no_logo() -> None:
    """Not even one that is at hand."""
    async with shop(PNG) as (here, logos):
        assert await logos.of(client(here.port), NOW) is not None
        assert await logos.of(client(here.port, disabled_at=NOW), NOW) is None
        assert await logos.of(client(here.port, "c2", disabled_at=NOW), NOW) is None
        assert here.connections == 1


async def test_few_are_fetched_at_once_and_few_are_kept() -> None:
    """Those beyond are shown initials; memory and connections are bounded."""
    async with shop(PNG) as (here, logos):
        found = await asyncio.gather(*(logos.of(client(here.port, f"c{n}"), NOW) for n in range(4 * AT_ONCE)))
        assert here.connections == AT_ONCE
        assert len([one for one in found if one]) == AT_ONCE
        for number in range(MOST + 1):
            assert await logos.of(client(here.port, f"c{number}"), NOW) is not None
        assert here.connections == MOST + 1
        assert not logos.is_there(client(here.port, "c0"), NOW)
        assert logos.is_there(client(here.port, f"c{MOST}"), NOW)


def test_a_program_without_a_logo_has_none() -> None:
    """And nothing is looked for."""
    logos = Logos(GuardedFetcher(local=True))
    nobody = Client("c1", "App", "public", None, frozenset(), {}, 0)
    assert not logos.is_there(nobody, NOW)
    assert pictured(b"") is None
