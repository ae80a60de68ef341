"""What `watchword dev` sets up, once: an API, two people, four clients. Their credentials stay in the data folder."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from watchword_server.cli.desk import Desk
from watchword_server.flows import clients, users
from watchword_server.flows.administration import Refused, Unknown
from watchword_server.flows.lists import ADMIN
from watchword_server.protocol.grants.authorization_code import GRANT_TYPE as AUTHORIZATION_CODE
from watchword_server.protocol.grants.client_credentials import GRANT_TYPE as CLIENT_CREDENTIALS
from watchword_server.protocol.grants.refresh_token import GRANT_TYPE as REFRESH_TOKEN
from watchword_server.protocol.values import CONFIDENTIAL, PUBLIC

SCOPES: Final = ("orders:read", "orders:write")
WEB_REDIRECT: Final = "http://localhost:3000/callback"
SPA_ORIGIN: Final = "http://localhost:5173"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a development server lives: its folder and its two ports, always on loopback."""

    folder: Path
    port: int

    @property
    def issuer(self) -> str:
        """By name, since passkeys refuse an address."""
        return f"http://localhost:{self.port}"

    @property
    def api(self) -> str:
        """The demo Orders API."""
        return f"http://localhost:{self.port + 1}"

    @property
    def settings(self) -> Path:
        """The settings that the issuer is served with."""
        return self.folder / "watchword.toml"

    @property
    def lock(self) -> Path:
        """Held by who works here."""
        return self.folder / "dev.lock"

    @property
    def document(self) -> Path:
        """Everything that a program or person needs to know, as `--json` prints it."""
        return self.folder / "dev.json"

    @property
    def sign_in(self) -> Path:
        """The body of `POST /session`."""
        return self.folder / "sign-in.json"

    @property
    def machine(self) -> Path:
        """The machine client's credentials, for `curl --config`."""
        return self.folder / "machine.curl"

    @property
    def api_secret(self) -> Path:
        """The Orders API's own secret."""
        return self.folder / "orders.secret"


def write_settings(place: Place) -> None:
    """Write the settings file anew: the port may be another one."""
    # A JSON string is a TOML string.
    write(
        place.settings,
        "# Written by `watchword dev` at every start.\n"
        f"issuer = {json.dumps(place.issuer)}\n"
        f"listen = {json.dumps(f'127.0.0.1:{place.port}')}\n"
        f"data = {json.dumps(str(place.folder.absolute()), ensure_ascii=False)}\n"
        "feed.public = true\n"
        "pages.sign_up = true\n"
        "log.requests = true\n",
    )


async def prepare(desk: Desk, place: Place) -> tuple[dict[str, Any], str]:
    """The document of this place and the API's `client_id`; registers everything when it is not there yet."""
    if not place.document.exists():
        document = await _register(desk, place)
        write(place.sign_in, json.dumps({"client_id": document["first_party_client_id"], **document["user"]}))
        machine = document["clients"]["machine"]
        write(place.machine, f'user = "{machine["client_id"]}:{machine["client_secret"]}"\n')
    else:
        document = _read(place)
    document |= {"issuer": place.issuer, "console": f"{place.issuer}/console"}
    document["api"]["url"] = place.api
    client_id = await _must_fit(desk, place, document)
    write(place.document, json.dumps(document, indent=2) + "\n")
    return document, client_id


def write(file: Path, text: str) -> None:
    """Replace a file as a whole; only this account may read it."""
    new = file.with_name(f"{file.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
        opened.write(text)
    new.replace(file)


async def _register(desk: Desk, place: Place) -> dict[str, Any]:
    api, api_secret = await clients.add_api(desk.issuer, desk.by, place.api, "Orders API", SCOPES, desk.now)
    write(place.api_secret, api_secret)
    access = {api.audience: api.scopes}
    return {
        "issuer": place.issuer,
        "console": f"{place.issuer}/console",
        "admin": await _person(desk, "admin@example.com", "Demo Admin", (ADMIN,)),
        "user": await _person(desk, "demo@example.com", "Demo User", ()),
        "first_party_client_id": await _first_party(desk, place, access),
        "clients": {
            "machine": await _machine(desk, access),
            "web": await _web(desk, access),
            "spa": await _spa(desk, access),
        },
        "api": {"url": place.api, "audience": api.audience, "scopes": list(api.scopes)},
    }


def _read(place: Place) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(place.document.read_text())
        return {**document, "api": dict(document["api"])}
    except (ValueError, LookupError, TypeError) as error:
        raise Refused(f"{place.document} is damaged; remove {place.folder} to start anew") from error


async def _must_fit(desk: Desk, place: Place, document: Mapping[str, Any]) -> str:
    """The folder may have been put together by hand. Raises Refused."""
    try:
        for person in ("admin", "user"):
            await users.find(desk.issuer, document[person]["email"])
        for client in document["clients"].values():
            await clients.find(desk.issuer, client["client_id"])
        return (await clients.find_api(desk.issuer, document["api"]["audience"])).client_id
    except (Unknown, LookupError, TypeError, AttributeError) as error:
        raise Refused(f"{place.document} does not fit the database; remove {place.folder} to start anew") from error


async def _person(desk: Desk, email: str, name: str, roles: tuple[str, ...]) -> dict[str, Any]:
    password = secrets.token_urlsafe(16)
    user = await users.add(desk.issuer, desk.by, email, name, password, roles, desk.now)
    return {"email": user.email, "password": password}


async def _first_party(desk: Desk, place: Place, access: Mapping[str, tuple[str, ...]]) -> str:
    new = clients.NewClient(
        "Demo sign-in", PUBLIC, frozenset((REFRESH_TOKEN,)), access, first_party=True, origins=(place.issuer, place.api)
    )
    client, _ = await clients.add(desk.issuer, desk.by, new, desk.now)
    return client.client_id


async def _machine(desk: Desk, access: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    new = clients.NewClient("Demo machine", CONFIDENTIAL, frozenset((CLIENT_CREDENTIALS,)), access)
    client, secret = await clients.add(desk.issuer, desk.by, new, desk.now)
    return {"client_id": client.client_id, "client_secret": secret}


async def _web(desk: Desk, access: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    new = clients.NewClient(
        "Demo web application",
        CONFIDENTIAL,
        frozenset((AUTHORIZATION_CODE, REFRESH_TOKEN)),
        access,
        redirect_uris=(WEB_REDIRECT,),
    )
    client, secret = await clients.add(desk.issuer, desk.by, new, desk.now)
    return {"client_id": client.client_id, "client_secret": secret, "redirect_uris": list(client.redirect_uris)}


async def _spa(desk: Desk, access: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    new = clients.NewClient(
        "Demo page",
        PUBLIC,
        frozenset((AUTHORIZATION_CODE, REFRESH_TOKEN)),
        access,
        redirect_uris=(f"{SPA_ORIGIN}/callback",),
        origins=(SPA_ORIGIN,),
    )
    client, _ = await clients.add(desk.issuer, desk.by, new, desk.now)
    return {"client_id": client.client_id, "redirect_uris": list(client.redirect_uris)}
