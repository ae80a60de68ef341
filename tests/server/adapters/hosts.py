"""Servers that a fetcher may meet: each says what it is told to, and counts who came."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

Say = Callable[[asyncio.StreamWriter], Awaitable[None]]

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\nCache-Control: max-age=60\r\n\r\n{"keys":[]}'


@dataclass
class Host:
    """A server on loopback, and who came to it."""

    port: int
    connections: int = 0
    """With TLS, those that came through the handshake."""
    requests: list[bytes] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)
    """What was asked for in the TLS handshakes."""


@dataclass(frozen=True)
class Identity:
    """A certificate with its key, and who trusts nobody else."""

    folder: Path

    def serving(self) -> ssl.SSLContext:
        """For a server."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "certificate.pem", self.folder / "key.pem")
        return context

    def trusted(self) -> ssl.SSLContext:
        """For who asks it."""
        return ssl.create_default_context(cafile=str(self.folder / "certificate.pem"))


def identity(folder: Path, *names: str) -> Identity:
    """A certificate of these names, signed by itself."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return Identity(folder)


def saying(answer: bytes) -> Say:
    """Answer with these bytes."""

    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return say


async def nothing(writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.Event().wait()


def without_end(head: bytes, piece: bytes, pause: float = 0) -> Say:
    """Answer with a head and then, for ever, the same piece."""

    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    return say


@asynccontextmanager
async def host(say: Say, who: Identity | None = None, at: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Host]:
    """A running server; with an identity it speaks TLS."""
    found = Host(0)
    context = who.serving() if who else None
    if context is not None:
        context.sni_callback = lambda _socket, name, _context: found.names.append(name)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        found.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            found.requests.append(await reader.readuntil(b"\r\n\r\n"))
            await say(writer)
        writer.close()

    server = await asyncio.start_server(serve, at, port, ssl=context)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        for task in tasks:
            task.cancel()
