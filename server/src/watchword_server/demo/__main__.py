"""`python -m watchword_server.demo`: serves the Orders API, as its ORDERS_* variables say."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import uvicorn

from watchword import Verifier
from watchword_server.demo.orders import application


@dataclass(frozen=True, slots=True)
class Settings:
    """Where it listens, whom it trusts, and who it is to the issuer."""

    host: str
    port: int
    issuer: str
    audience: str
    public_url: str
    client_id: str
    client_secret: str = field(repr=False)
    stale_after: timedelta
    refuse_after: timedelta


def read(environ: Mapping[str, str]) -> Settings:
    """Settings from the environment; the secret may be in a file. Raises KeyError, ValueError or OSError."""
    host, _, port = environ["ORDERS_LISTEN"].rpartition(":")
    file = environ.get("ORDERS_CLIENT_SECRET_FILE")
    return Settings(
        host=host,
        port=int(port),
        issuer=environ["ORDERS_ISSUER"],
        audience=environ["ORDERS_AUDIENCE"],
        public_url=environ.get("ORDERS_URL", f"http://localhost:{port}"),
        client_id=environ["ORDERS_CLIENT_ID"],
        client_secret=Path(file).read_text().strip() if file else environ["ORDERS_CLIENT_SECRET"],
        stale_after=timedelta(seconds=float(environ.get("ORDERS_STALE_AFTER", "10"))),
        refuse_after=timedelta(seconds=float(environ.get("ORDERS_REFUSE_AFTER", "60"))),
    )


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    try:
        settings = read(os.environ)
    except KeyError as error:
        sys.exit(f"orders: set {error.args[0]}")
    except (ValueError, OSError) as error:
        sys.exit(f"orders: {error}")
    verifier = Verifier(
        issuer=settings.issuer,
        audience=settings.audience,
        credentials=(settings.client_id, settings.client_secret),
        stale_after=settings.stale_after,
        refuse_after=settings.refuse_after,
        client_tokens=True,
    )
    uvicorn.run(
        application(verifier, settings.public_url),
        host=settings.host,
        port=settings.port,
        timeout_graceful_shutdown=5,
        server_header=False,
    )


if __name__ == "__main__":
    main()
