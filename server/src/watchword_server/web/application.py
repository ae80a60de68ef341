"""All endpoints behind one door."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.routing import Router

from watchword_server.web import (
    account,
    authorize,
    device,
    discovery,
    for_verifiers,
    health,
    logos,
    logout,
    oauth,
    people,
    pushed,
    registration,
    revocations,
    session,
    userinfo,
    verifiers,
)
from watchword_server.web.arrivals import Arrivals
from watchword_server.web.asgi import App, Receive, Scope, Send
from watchword_server.web.cors import Speaker, by_form, by_token, shared
from watchword_server.web.door import door
from watchword_server.web.dpop import proving
from watchword_server.web.front import Front
from watchword_server.web.pages import routes
from watchword_server.web.refusals import NotFound

SHARED: Final[Mapping[str, tuple[Speaker, bytes]]] = {
    "/token": (by_form, b"POST"),
    "/revoke": (by_form, b"POST"),
    "/par": (by_form, b"POST"),
    "/userinfo": (by_token, b"GET, POST"),
}
"""What pages of other origins may use."""
PROVING: Final = ("/token", "/par", "/userinfo")
"""Where proofs of possession are taken."""


def application(front: Front, arrivals: Arrivals) -> App:
    """The server as one ASGI callable."""
    people_too = (authorize, people, device, account, logout, logos)
    rooms = (discovery, *people_too, registration, session, userinfo, revocations, for_verifiers, health)
    places = [*(room.routes(front) for room in rooms), routes.routes(front.pages, front.path)]
    router = Router([route for place in places for route in place], redirect_slashes=False, default=_nothing)

    async def others(scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = router  # Starlette then raises for a wrong method, instead of answering by itself
        await router(scope, receive, send)

    hot = {**oauth.endpoints(front), **pushed.endpoints(front), **device.endpoints(front)}
    hot[f"{front.path}/userinfo"] = others
    for path in PROVING:
        hot[front.path + path] = proving(front, hot[front.path + path])
    for path, (speaker, methods) in SHARED.items():
        hot[front.path + path] = shared(front, hot[front.path + path], speaker, methods)
    hot[f"{front.path}/revocations/ack"] = verifiers.acknowledgement(front)
    return door(front, arrivals, hot, others)


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    raise NotFound("there is nothing here")
