"""What a node answers that cannot begin yet: that it is alive, and 503 to all else, so that requests go elsewhere.

No application stands at this time, so this reads no more of a request than its first line and where its head ends.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import msgspec

from watchword_server.web.serving import Certificate

PATIENCE: Final = 5.0
"""Seconds in which a request must be there."""
LONGEST_HEAD: Final = 64 * 1024
RETRY_AFTER: Final = 2
"""Seconds."""


@asynccontextmanager
async def waiting(listener: socket.socket, certificate: Certificate | None, reason: str) -> AsyncIterator[None]:
    """Answer at this socket for as long as this is entered; it goes on listening afterwards. Raises OSError."""
    alive = _answer("200 OK", {"status": "alive"})
    refusal = _answer("503 Service Unavailable", {"status": "not ready", "reason": reason})

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, EOFError, asyncio.LimitOverrunError):
            async with asyncio.timeout(PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(alive if head.startswith(b"GET /healthz ") else refusal)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, sock=listener.dup(), limit=LONGEST_HEAD, ssl=_context(certificate))
    try:
        yield
    finally:
        server.close()


def _answer(status: str, document: dict[str, str]) -> bytes:
    """A whole answer (RFC 9112 §4); `health.py` says the same."""
    body = msgspec.json.encode(document)
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
        f"Retry-After: {RETRY_AFTER}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body


def _context(certificate: Certificate | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.chain, certificate.key)
    return context
