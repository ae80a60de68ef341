"""`watchword serve`: the issuer."""

from __future__ import annotations

from typing import Annotated

import typer

from watchword_server.cli.answers import Answer
from watchword_server.cli.desk import Call

Issuer = Annotated[
    str | None,
    typer.Option(metavar="URL", help="The `iss` of its tokens: https, or http on loopback.", show_default=False),
]
Listen = Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Where to listen, else 127.0.0.1:8000.")]


def serve(call: Call, issuer: Issuer = None, listen: Listen = None) -> Answer:
    """Serve until SIGTERM or Ctrl-C. With --json it logs in JSON."""
    log = {"format": "json"} if call.json else None
    settings = call.settings(issuer=issuer, listen=listen, log=log)
    return Answer({}, code=call.world.serve(settings), silent=True)
