"""The real `watchword serve` with TLS of an authority of this test, a person who has an account, and a relying party's
listener beside it.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2

from tests.servers.loopback import free_ports, until
from tests.stories.oidf.certificates import HOST, Certificates, certificates
from tests.stories.oidf.listener import Listener, listening
from tests.stories.oidf.wire import NONE, Fault, Wire, transport
from tests.stories.processes import READY_WITHIN, TETHER, Program, Ran, environ, start, watchword

EMAIL: Final = "jane@example.com"
PROFILE: Final = (
    "family_name=Doe",
    "given_name=Jane",
    "middle_name=Q",
    "nickname=JD",
    "preferred_username=jane",
    "profile=https://example.com/jane",
    "picture=https://example.com/jane.png",
    "website=https://jane.example",
    "gender=female",
    "birthdate=1990-10-31",
    "zoneinfo=America/Los_Angeles",
    "locale=en-US",
    "phone_number=+1 (425) 555-1212",
    "phone_number_verified=true",
    "email_verified=true",
    "address.street_address=1 Main Street",
    "address.locality=Springfield",
    "address.country=US",
)
"""All that the standard scopes ask for, so that nothing is missing for want of it."""
AHEAD: Final = 6
"""Seconds for which a key is published before it signs: the least that there is, for a rotation to take no longer."""
SETTINGS: Final = """
issuer = "{issuer}"
listen = "127.0.0.1:{port}"
data = "{data}"
registration.mode = "open"
registration.pkce = "optional"
keys.publish_ahead = {ahead}
tls.certificate = "{chain}"
tls.key = "{key}"
"""


@dataclass
class Provider:
    """A running one."""

    folder: Path
    port: int
    certificates: Certificates
    listener: Listener
    transport: httpx2.HTTPTransport
    password: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)
    program: Program | None = None
    enrolled: list[Any] = field(default_factory=list, repr=False)
    """Clients that an operator registered once, for all runs of a plan."""

    @property
    def issuer(self) -> str:
        """Its URL, as in `iss`."""
        return f"https://{HOST}:{self.port}"

    @property
    def env(self) -> Mapping[str, str]:
        """Where its programs look for the certificates that they trust."""
        return environ(SSL_CERT_FILE=str(self.certificates.authority))

    def wire(self, fault: Fault = NONE) -> Wire:
        """A way to it."""
        return Wire(self.transport, fault)

    def run(self, *arguments: str, stdin: str = "") -> Ran:
        """Run `watchword ARGUMENTS` on it, however it ends."""
        config = str(self.folder / "watchword.toml")
        return watchword(*arguments, "--json", "--config", config, stdin=stdin, cwd=self.folder, env=self.env)

    def cli(self, *arguments: str, stdin: str = "") -> dict[str, Any]:
        """Run `watchword ARGUMENTS` on it; what it answered. It must succeed."""
        ran = self.run(*arguments, stdin=stdin)
        assert ran.code == 0, f"watchword {' '.join(arguments)}: exit code {ran.code}\n{ran.out}{ran.err}"
        return ran.document

    def start(self) -> None:
        """Start it, and wait until it answers."""
        serve = (sys.executable, *TETHER, "watchword_server", "serve", "--config", "watchword.toml")
        program = self.program = start("issuer", serve, self.env, self.folder)

        def answers() -> bool:
            assert program.process.poll() is None, f"it ended with {program.process.returncode}:\n{program.said}"
            with suppress(httpx2.HTTPError):
                return self.wire().get(f"{self.issuer}/readyz").status == 200
            return False

        until(answers, READY_WITHIN, 0.05)


@contextmanager
def provider(folder: Path) -> Iterator[Provider]:
    """A new one; it ends with the test, and with the process at the latest."""
    made, (port,) = certificates(folder), free_ports()
    ways = transport(made.trust())
    with listening(made) as listener:
        found = Provider(folder, port, made, listener, ways)
        (folder / "watchword.toml").write_text(
            SETTINGS.format(
                issuer=found.issuer,
                port=port,
                data=folder / "data",
                chain=made.chain,
                key=made.key,
                ahead=AHEAD,
            )
        )
        found.cli("user", "add", EMAIL, "--name", "Jane Doe", "--password-stdin", stdin=found.password)
        found.cli("user", "profile", EMAIL, *PROFILE)
        try:
            found.start()
            yield found
        finally:
            ways.close()
            if found.program is not None:
                found.program.stop()
