"""Relying parties that nobody here wrote, each in an app of its own.

How it is started, and every setting that it does not leave as its package has it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.interop.parties.showing import shown
from tests.interop.parties.static import Files, serve
from tests.servers.loopback import free_ports
from tests.stories.processes import TETHER, Client, Program, Site, environ, start

HERE = Path(__file__).parent
NODE = HERE.parent / "node"
PAGE = HERE / "parties" / "page.html"
SCOPE = "openid profile email orders:read"
"""What every app asks for: who it is, and to read orders at the API."""


@dataclass(frozen=True)
class Override:
    """A setting that is not as its package has it. `{scope}` and `{url}` in the value are the app's."""

    value: Any
    why: str


NO_TLS = Override(["allowInsecureRequests"], "the issuer of the tests is on loopback, without TLS; it only takes https")
PKCE = "it makes no challenge by default"
ASKS = "what the app wants; its default asks for no API"
DJANGO = {
    "OIDC_RP_SIGN_ALGO": Override("RS256", "its default, HS256, would have ID tokens signed with the client's secret"),
    "OIDC_OP_JWKS_ENDPOINT": Override("{issuer}/jwks.json", "RS256 needs it: it reads no metadata"),
    "OIDC_RP_SCOPES": Override("{scope}", ASKS),
    "OIDC_STORE_ACCESS_TOKEN": Override(True, "the app calls an API"),
    "OIDC_STORE_ID_TOKEN": Override(True, "the issuer is told by it whose session ends"),
    "OIDC_OP_LOGOUT_URL_METHOD": Override(
        "tests.interop.parties.django_views.end_session", "without it only the app's own session ends"
    ),
    "AUTHENTICATION_BACKENDS": Override(
        ["tests.interop.parties.django_views.KeepsRefreshToken"],
        "Django has to be told of the package's backend; this one also keeps the refresh token",
    ),
}
OVERRIDES: dict[str, dict[str, Override]] = {
    "openid-client": {"execute": NO_TLS},
    "openid-client, PAR and DPoP": {"execute": NO_TLS},
    "oidc-client-ts": {
        "scope": Override("{scope}", ASKS),
        "post_logout_redirect_uri": Override(
            "{url}/signed-out", "it has no default, and who signs out wants to come back"
        ),
    },
    "Authlib": {},
    "Authlib, PKCE": {"code_challenge_method": Override("S256", PKCE)},
    "mozilla-django-oidc": DJANGO,
    "mozilla-django-oidc, PKCE": {**DJANGO, "OIDC_USE_PKCE": Override(True, PKCE)},
}
"""By relying party, every setting that differs from its package's default."""


@dataclass(frozen=True)
class Kind:
    """A relying party: what starts its app (the last command stays), and what its client is registered with."""

    name: str
    commands: tuple[tuple[str, ...], ...]
    callback: str = "/callback"
    options: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    dpop: bool = False
    """Whether it pushes its requests and proves that it holds a key."""


PYTHON = (sys.executable, *TETHER)
IN_NODE = (("node", str(NODE / "openid_client.mjs")),)
NO_PKCE = ("--pkce", "optional")
IN_STARLETTE = ((*PYTHON, "tests.interop.parties.starlette_app"),)
IN_DJANGO = (
    (*PYTHON, "django", "migrate", "--verbosity=0"),
    (*PYTHON, "django", "runserver", "--noreload", "{address}"),
)
SETTINGS = {"DJANGO_SETTINGS_MODULE": "tests.interop.parties.django_settings"}
KINDS = (
    Kind("openid-client", IN_NODE),
    Kind("oidc-client-ts", (), options=("--public", "--origin", "{url}")),
    Kind("Authlib", IN_STARLETTE, options=NO_PKCE),
    Kind("Authlib, PKCE", IN_STARLETTE),
    Kind("mozilla-django-oidc", IN_DJANGO, "/oidc/callback/", NO_PKCE, SETTINGS),
    Kind("mozilla-django-oidc, PKCE", IN_DJANGO, "/oidc/callback/", (), SETTINGS),
)

KEYED = Kind("openid-client, PAR and DPoP", IN_NODE, options=("--public", "--dpop", "--require-par"), dpop=True)
"""No token of it is good without its key, so it has a test of its own."""


@dataclass(frozen=True)
class Party:
    """A running app. Its host is 127.0.0.1 and the issuer's is localhost: two sites, for a browser."""

    kind: Kind
    url: str
    client: Client


@contextmanager
def running(site: Site, kind: Kind, folder: Path, *, without: tuple[str, ...] = ()) -> Iterator[Party]:
    """Register the app's client, but `without` some of its options, and start it."""
    address = f"127.0.0.1:{free_ports()[0]}"
    url = f"http://{address}"
    options = [option.format(url=url) for option in kind.options if option not in without]
    back = ("--redirect-uri", url + kind.callback, "--post-logout-redirect-uri", f"{url}/signed-out")
    client = site.new_client(kind.name, *back, *options)
    told = {
        "issuer": site.issuer,
        "client_id": client.client_id,
        "client_secret": client.secret,
        "url": url,
        "scope": SCOPE,
        "api": site.api_url,
        "dpop": kind.dpop,
        "page": str(PAGE),
        "database": str(folder / "app.sqlite"),
    }
    told["overrides"] = {name: _meant(over.value, told) for name, over in OVERRIDES[kind.name].items()}
    with ExitStack() as stack:
        if kind.commands:
            env = environ(PARTY=json.dumps(told), **kind.env)
            commands = [[part.format(address=address) for part in command] for command in kind.commands]
            stack.callback(_started(kind, commands, env, url).stop)
        else:
            stack.enter_context(serve(address, single_page(told)))
        yield Party(kind, url, client)


def _meant(value: object, told: Mapping[str, object]) -> object:
    return value.format(**told) if isinstance(value, str) else value


def _started(kind: Kind, commands: list[list[str]], env: Mapping[str, str], url: str) -> Program:
    for command in commands[:-1]:
        prepared = start(kind.name, command, env, HERE.parents[1])
        assert prepared.process.wait(60) == 0, prepared.said
        prepared.stop()
    program = start(kind.name, commands[-1], env, HERE.parents[1])
    program.wait_until_ready(url)
    return program


def single_page(told: Mapping[str, object]) -> Files:
    """The files of the app that runs in the browser: one page at every address where it begins or comes back."""
    library = NODE / "node_modules" / "oidc-client-ts" / "dist" / "browser" / "oidc-client-ts.min.js"
    scripts = '<script src="/oidc-client-ts.js"></script><script type="module" src="/single_page.js"></script>'
    page = ("text/html; charset=utf-8", shown(PAGE.read_text(), "nothing", {}, script=scripts).encode())
    public = {name: told[name] for name in ("issuer", "client_id", "url", "overrides")}
    return {
        "/": page,
        "/callback": page,
        "/signed-out": page,
        "/oidc-client-ts.js": ("text/javascript", library.read_bytes()),
        "/single_page.js": ("text/javascript", (NODE / "single_page.js").read_bytes()),
        "/settings.json": ("application/json", json.dumps(public).encode()),
    }
