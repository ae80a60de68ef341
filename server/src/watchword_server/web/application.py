"""All endpoints behind one door."""

from __future__ import annotations

from starlette.routing import Router

from watchword_server.web import discovery, health, oauth, revocations, session, verifiers
from watchword_server.web.arrivals import Arrivals
from watchword_server.web.asgi import App, Receive, Scope, Send
from watchword_server.web.door import door
from watchword_server.web.front import Front
from watchword_server.web.refusals import NotFound


def application(front: Front, arrivals: Arrivals) -> App:
    """The server as one ASGI callable."""
    places = [room.routes(front) for room in (discovery, session, revocations, health)]
    router = Router([route for routes in places for route in routes], redirect_slashes=False, default=_nothing)

    async def others(scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = router  # Starlette then raises for a wrong method, instead of answering by itself
        await router(scope, receive, send)

    hot = {**oauth.endpoints(front), f"{front.path}/revocations/ack": verifiers.acknowledgement(front)}
    return door(front, arrivals, hot, others)


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    raise NotFound("there is nothing here")
