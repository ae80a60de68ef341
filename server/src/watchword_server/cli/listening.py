"""Whether one may listen at an address."""

from __future__ import annotations

import socket


def in_use(address: tuple[str, int]) -> str | None:
    """Why nobody can begin to listen at this host and port now; None when it is free."""
    try:
        for family, kind, protocol, _, place in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
            with socket.socket(family, kind, protocol) as probe:
                # As servers do it: a port whose last connections are still closing is free.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(place)
    except OSError as error:
        return error.strerror or str(error)
    return None
