"""What a server agrees to when somebody who is less careful than a browser asks for TLS."""

from __future__ import annotations

import socket
import ssl
import warnings
from dataclasses import dataclass
from typing import Final

from tests.stories.oidf.certificates import HOST

ALL: Final = "ALL:eNULL:@SECLEVEL=0"
"""Everything that this OpenSSL knows, down to suites that encrypt nothing."""
GOOD: Final = frozenset(
    f"ECDHE-{key}-{cipher}" for key in ("ECDSA", "RSA") for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384")
)
"""Of TLS 1.2 (RFC 9325 §4.2)."""
OLD, OLDER = ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1
TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
WITHIN: Final = 20
"""Seconds."""


@dataclass(frozen=True)
class Agreed:
    """A version and a suite, by the names that OpenSSL has for them."""

    version: str
    cipher: str


@dataclass(frozen=True)
class Heard:
    """What came of each way of asking; None is a refusal."""

    older: Agreed | None
    """TLS 1.0 and nothing else."""
    old: Agreed | None
    """TLS 1.1 and nothing else."""
    tls12: Agreed | None
    """TLS 1.2 and nothing else, by all suites that are good."""
    weak: Agreed | None
    """TLS 1.2 and nothing else, by all suites but those."""
    either: Agreed | None
    """TLS 1.2 or 1.3."""


def asked(port: int) -> Heard:
    """Ask for everything."""
    weak = [name for name in _known() if name not in GOOD and not name.startswith("TLS_")]
    return Heard(
        older=agreed(port, OLDER, OLDER),
        old=agreed(port, OLD, OLD),
        tls12=agreed(port, TLS12, TLS12, ":".join(sorted(GOOD))),
        weak=agreed(port, TLS12, TLS12, ":".join(weak) + ":@SECLEVEL=0"),
        either=agreed(port, TLS12, TLS13),
    )


def agreed(port: int, least: ssl.TLSVersion, most: ssl.TLSVersion, ciphers: str = ALL) -> Agreed | None:
    """One handshake."""
    context = _careless(ciphers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the old versions, which nobody else should ask for
        context.minimum_version, context.maximum_version = least, most
    with socket.create_connection(("127.0.0.1", port), WITHIN) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=HOST) as secured:
                found = secured.cipher()
                return Agreed(str(secured.version()), found[0] if found else "")
        except (ssl.SSLError, ConnectionError):
            return None


def _careless(ciphers: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers(ciphers)
    return context


def _known() -> list[str]:
    return [str(one["name"]) for one in _careless(ALL).get_ciphers()]
