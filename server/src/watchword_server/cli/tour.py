"""What to try next, as commands that work when pasted into a shell."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from shlex import quote
from typing import Any

from watchword_server.cli.playground import Place

ACCESS_TOKEN = """sed 's/.*"access_token": *"\\([^"]*\\)".*/\\1/'"""
CALL = "curl -iw '\\n' -H \"Authorization: Bearer $TOKEN\""  # with a line end, which answers do not have


def welcome(place: Place, document: Mapping[str, Any], first: bool) -> str:
    """The whole text. Commands are indented by four spaces, everything else is for reading."""
    lines = [
        "",
        "Watchword is running. Ctrl-C ends it.",
        "",
        f"  issuer      {place.issuer}",
        f"  orders API  {place.api} (its page: {place.api}/docs)",
        f"  for people  {place.issuer}/account (sign in as the demo user, or make an account)",
        "",
        *(_credentials(document) if first else ()),
        f"Credentials are kept in {place.document}. To start anew, remove {place.folder}.",
        "",
        "Try this in another terminal:",
        "",
        f"    cd {quote(str(Path.cwd()))}",
    ]
    for sentence, *commands in _steps(place, document):
        lines += ["", sentence, "", *(f"    {command}" for command in commands)]
    return "\n".join([*lines, ""])


def _credentials(document: Mapping[str, Any]) -> Iterator[str]:
    yield "Made at this first start, and shown this once:"
    yield ""
    for name in ("user", "admin"):
        yield f"  {name:<11} {document[name]['email']}  password {document[name]['password']}"
    for name, client in document["clients"].items():
        secret = f"  secret {client['client_secret']}" if "client_secret" in client else ""
        yield f"  {name:<11} {client['client_id']}{secret}"
    yield f"  {'first-party':<11} {document['first_party_client_id']}"
    yield ""


def _steps(place: Place, document: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    session, token, orders = f"{place.issuer}/session", f"{place.issuer}/token", f"{place.api}/orders"
    json_type = "-H 'Content-Type: application/json'"
    sign_in = f"curl -s {json_type} -d @{_path(place.sign_in)} {session}"
    machine = f"curl -s -K {_path(place.machine)} -d grant_type=client_credentials {token}"
    yield (
        "Sign in as the demo user, and call the API:",
        f"TOKEN=$({sign_in} | {ACCESS_TOKEN})",
        f"{CALL} {orders}",
    )
    yield (
        "Sign out, and call it again with the same token. The token has minutes to live, yet it is refused:",
        f"{CALL} -X DELETE {session}",
        f"{CALL} {orders}",
    )
    yield (
        "A program gets a token for itself, and orders something:",
        f"TOKEN=$({machine} | {ACCESS_TOKEN})",
        f'{CALL} {json_type} -d \'{{"item": "tea", "quantity": 2}}\' {orders}',
    )
    client_id = document["clients"]["machine"]["client_id"]
    yield (
        "Take back everything that this program has, as an operator, and call the API again:",
        f"{_watchword()} --config {_path(place.settings)} revoke client {client_id}",
        f"{CALL} {orders}",
    )


def _path(file: Path) -> str:
    return quote(os.path.relpath(file))


def _watchword() -> str:
    """How the command is called from here: by name only where the name means this very installation."""
    ours = Path(sys.executable).parent / "watchword"
    by_name = shutil.which("watchword")
    if by_name is not None and ours.exists() and Path(by_name).samefile(ours):
        return "watchword"
    if ours.exists():
        near = os.path.relpath(ours)
        return quote(str(ours) if near.startswith("..") else near)
    return f"{quote(sys.executable)} -m watchword_server"
