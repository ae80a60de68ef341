"""A web app on Authlib's Starlette integration, as its documentation shows. PARTY in the environment says who it is."""

from __future__ import annotations

import json
import os
import secrets
from collections import defaultdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from authlib.integrations.starlette_client import OAuth, OAuthError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from tests.interop.parties.showing import shown

PARTY = json.loads(os.environ["PARTY"])
URL = PARTY["url"]
TEMPLATE = Path(PARTY["page"]).read_text()
KEPT: defaultdict[str, dict[str, Any]] = defaultdict(dict)
"""Tokens by visitor: the library keeps none, and a cookie is too small."""

oauth = OAuth()
oauth.register(
    "watchword",
    client_id=PARTY["client_id"],
    client_secret=PARTY["client_secret"],
    server_metadata_url=f"{PARTY['issuer']}/.well-known/openid-configuration",
    client_kwargs={"scope": PARTY["scope"], **PARTY["overrides"]},
)


def page(after: str, said: object) -> Response:
    """What happened, for the test to read."""
    return HTMLResponse(shown(TEMPLATE, after, said))


def kept(request: Request) -> dict[str, Any]:
    """What is kept of this visitor."""
    return KEPT[request.session.setdefault("visitor", secrets.token_hex())]


async def home(request: Request) -> Response:
    """The app's first page."""
    return page("nothing", {})


async def sign_in(request: Request) -> Response:
    """Off to the issuer."""
    redirect: Response = await oauth.watchword.authorize_redirect(request, f"{URL}/callback")
    return redirect


async def callback(request: Request) -> Response:
    """Back from the issuer."""
    try:
        token = await oauth.watchword.authorize_access_token(request)
    except OAuthError as error:
        return page("callback", {"error": error.error})
    kept(request)["token"] = token
    kept(request)["id_token"] = token["id_token"]
    return page("sign-in", {**token, "claims": token["userinfo"]})


async def userinfo(request: Request) -> Response:
    """Who signed in, by the userinfo endpoint."""
    return page("userinfo", await oauth.watchword.userinfo(token=kept(request)["token"]))


async def refresh(request: Request) -> Response:
    """A new token for the refresh token."""
    visitor = kept(request)
    visitor["last"] = visitor["token"]["refresh_token"]
    visitor["token"] = await by(visitor["last"])
    return page("refresh", visitor["token"])


async def again(request: Request) -> Response:
    """The refresh token that was used already."""
    try:
        return page("again", await by(kept(request)["last"]))
    except OAuthError as error:
        return page("again", {"error": error.error})


async def by(refresh_token: str) -> Any:
    """What the token endpoint gives for a refresh token."""
    return await oauth.watchword.fetch_access_token(grant_type="refresh_token", refresh_token=refresh_token)


async def sign_out(request: Request) -> Response:
    """Off to the issuer again."""
    redirect: Response = await oauth.watchword.logout_redirect(
        request, post_logout_redirect_uri=f"{URL}/signed-out", id_token_hint=kept(request)["id_token"]
    )
    return redirect


async def signed_out(request: Request) -> Response:
    """Back without a session."""
    await oauth.watchword.validate_logout_response(request)
    KEPT.pop(request.session.pop("visitor"), None)
    return page("sign-out", {})


app = Starlette(
    routes=[
        Route("/", home),
        *(Route(f"/{act.__name__.replace('_', '-')}", act) for act in (sign_in, callback, userinfo, refresh, again)),
        Route("/sign-out", sign_out, methods=["POST"]),
        Route("/signed-out", signed_out),
    ],
    middleware=[Middleware(SessionMiddleware, secret_key=secrets.token_hex())],
)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=urlsplit(URL).port, log_level="warning")
