"""A server on a real socket that misbehaves: it takes any request and answers as one function likes."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
MIB: Final = 1024 * 1024


class HostileServer:
    """Waits for the head of a request, then leaves the connection to `behave`. Ended by `stop`."""

    def __init__(self, behave: Callable[[HostileServer, socket.socket], None]) -> None:
        self.asked = 0
        self.sent = 0
        """Bytes that the other side let us send."""
        self.stopped = threading.Event()
        self._behave = behave
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/jwks.json"
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        """Nobody is listening afterwards."""
        self.stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def send(self, connection: socket.socket, data: bytes) -> None:
        connection.sendall(data)
        self.sent += len(data)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                part = connection.recv(65536)
                if not part:
                    return
                head += part
            self.asked += 1
            self._behave(self, connection)


def hang(server: HostileServer, connection: socket.socket) -> None:
    """Accepts, and never answers."""
    server.stopped.wait(30)


def drip(server: HostileServer, connection: socket.socket) -> None:
    """One byte of a good answer each tenth of a second: no silence ever lasts."""
    server.send(connection, HEAD + b"Content-Length: 60000\r\n\r\n")
    while not server.stopped.wait(0.1):
        server.send(connection, b" ")


def drip_headers(server: HostileServer, connection: socket.socket) -> None:
    """A header each tenth of a second, and no end of them."""
    server.send(connection, b"HTTP/1.1 200 OK\r\n")
    while not server.stopped.wait(0.1):
        server.send(connection, b"X-More: x\r\n")


def wait_and_see(server: HostileServer, connection: socket.socket) -> None:
    """`100 Continue` for ever (RFC 9110 §15.2)."""
    while not server.stopped.wait(0.01):
        server.send(connection, b"HTTP/1.1 100 Continue\r\n\r\n")


def endless(server: HostileServer, connection: socket.socket) -> None:
    """A body that does not say how long it is, and has no end."""
    server.send(connection, HEAD + b"Connection: close\r\n\r\n")
    while not server.stopped.is_set():
        server.send(connection, b" " * 65536)


def endless_chunks(server: HostileServer, connection: socket.socket) -> None:
    """As many chunks as one likes (RFC 9112 §7.1)."""
    server.send(connection, HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    while not server.stopped.is_set():
        server.send(connection, b"10000\r\n" + b" " * 65536 + b"\r\n")


def endless_headers(server: HostileServer, connection: socket.socket) -> None:
    """A head without an end, as fast as it goes."""
    server.send(connection, b"HTTP/1.1 200 OK\r\n")
    while not server.stopped.is_set():
        server.send(connection, b"X-More: " + b"x" * 8000 + b"\r\n")


def ten_gigabytes(server: HostileServer, connection: socket.socket) -> None:
    """A length to reserve memory for."""
    server.send(connection, HEAD + b"Content-Length: 10000000000\r\n\r\n" + b" " * MIB)
    server.stopped.wait(30)


def bomb(encoding: str) -> Callable[[HostileServer, socket.socket], None]:
    """60 kB that unpack to 60 MB, in an encoding that nobody asked for."""
    body = gzip.compress(bytes(60 * MIB))

    def behave(server: HostileServer, connection: socket.socket) -> None:
        length = f"Content-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n\r\n"
        server.send(connection, HEAD + length.encode() + body)

    return behave


def packed_chunks(server: HostileServer, connection: socket.socket) -> None:
    """The same bomb one layer lower (RFC 9112 §7.2)."""
    body = gzip.compress(bytes(60 * MIB))
    head = HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n"
    server.send(connection, head + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n")


def answering(body: bytes, head: bytes = HEAD) -> Callable[[HostileServer, socket.socket], None]:
    """Exactly this body."""

    def behave(server: HostileServer, connection: socket.socket) -> None:
        server.send(connection, head + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    return behave


def redirecting(target: str) -> Callable[[HostileServer, socket.socket], None]:
    """To where a good key set lies."""
    return answering(b"", b"HTTP/1.1 302 Found\r\nLocation: " + target.encode() + b"\r\n")


def hanging_up(server: HostileServer, connection: socket.socket) -> None:
    """Closes, and has said nothing."""


def babbling(server: HostileServer, connection: socket.socket) -> None:
    """Not HTTP."""
    server.send(connection, b"SSH-2.0-OpenSSH\r\n\r\n" * 10)


AT_ONCE: Final[Mapping[str, tuple[Callable[[HostileServer, socket.socket], None], str]]] = {
    "endless body": (endless, "more than 65536 bytes"),
    "endless chunks": (endless_chunks, "more than 65536 bytes"),
    "endless headers": (endless_headers, "cannot be reached"),
    "10 GB announced": (ten_gigabytes, "more than 65536 bytes"),
    "a byte too many": (answering(b'{"keys":[]}' + b" " * (65537 - 11)), "more than 65536 bytes"),
    "gzip bomb": (bomb("gzip"), "encoding that was not asked for"),
    "gzip bomb in capitals": (bomb("GZIP"), "encoding that was not asked for"),
    "gzip behind identity": (bomb("identity, gzip"), "encoding that was not asked for"),
    "gzip in the transfer": (packed_chunks, "cannot be reached"),
    "hangs up": (hanging_up, "cannot be reached"),
    "no HTTP": (babbling, "cannot be reached"),
    "HTML": (answering(b"<html>"), "not strict JSON"),
    "a list": (answering(b"[]"), "not an object"),
    "keys twice": (answering(b'{"keys":[],"keys":[]}'), "not strict JSON"),
    "no set": (answering(b"{}"), "not a JWK set"),
    "no key": (answering(b'{"keys":[{"kty":"PQ"},null,5]}'), "no key that can be used"),
    "nested": (answering(b'{"keys":' + b"[" * 30_000 + b"]" * 30_000 + b"}"), "not strict JSON"),
}
"""What is wrong with a key set at once, and the words of the log."""

SLOW: Final = {"hangs": hang, "drips": drip, "drips headers": drip_headers, "says continue": wait_and_see}
"""What would take for ever."""
