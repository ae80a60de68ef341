"""GET and POST /authorize (RFC 6749 §3.1, OpenID Connect Core §3.1.2.1), and what its outcomes become for a browser."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.routing import Route

from watchword_server.flows import authorize, client_documents
from watchword_server.flows.authorize import Outcome, Ready
from watchword_server.protocol.authorization import Asked
from watchword_server.protocol.errors import InvalidRequest
from watchword_server.protocol.interaction import Step
from watchword_server.protocol.responses import location
from watchword_server.web.asgi import NO_STORE, Answer, Header
from watchword_server.web.bodies import body, must_be, must_have_no_query
from watchword_server.web.browsers import browser, remembers
from watchword_server.web.front import Front
from watchword_server.web.pages.views import FormPost
from watchword_server.web.visits import Visit, as_page, asking, visit

MAX_PARAMETERS: Final = 64
PLACES: Final[Mapping[Step, str]] = {
    Step.SIGN_IN: "/login",
    Step.SIGN_UP: "/sign-up",
    Step.SELECT_ACCOUNT: "/select-account",
    Step.CONSENT: "/consent",
}
"""Where a person does what is next."""


def routes(front: Front) -> list[Route]:
    """The authorization endpoint."""
    return [Route(f"{front.path}/authorize", as_page(front, partial(_authorize, front)), methods=["GET", "POST"])]


async def _authorize(front: Front, request: Request) -> Answer:
    if request.method == "POST":
        # What another site posts comes without the browser's cookies; a redirect to the same by GET comes with them.
        must_have_no_query(request.scope)
        must_be(request.scope, "application/x-www-form-urlencoded")
        return see_other(f"{front.path}/authorize?{urlencode(parameters(await body(request.receive)))}")
    here = browser(request.scope)
    outcome = await authorize.begin(front.issuer, asked(request.scope["query_string"]), here.visitor, front.now())
    return await become(front, visit(front, request, {}), outcome)


def parameters(raw: bytes) -> list[tuple[str, str]]:
    """The parameters of a query or a form, in their order. Raises InvalidRequest."""
    try:
        return parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS)
    except ValueError as error:
        raise InvalidRequest("the request cannot be read") from error


def asked(query: bytes) -> Asked:
    """What a request asks: what has no value counts as left out (RFC 6749 §3.1). Raises InvalidRequest."""
    values: dict[str, str] = {}
    repeated: set[str] = set()
    for name, value in parameters(query):
        if name in values:
            repeated.add(name)
        values.setdefault(name, value)
    return Asked({name: value for name, value in values.items() if value}, frozenset(repeated))


async def become(front: Front, here: Visit, outcome: Outcome, *more: Header) -> Answer:
    """An outcome as the browser gets it: sent on, to the client or to the next page; or a form that it posts."""
    if isinstance(outcome, Ready):
        return await _to_client(front, here, outcome, *more)
    cookies = (remembers(front, outcome.secret),) if outcome.secret is not None else ()
    return see_other(place_of(front, here, outcome.step, outcome.handle), *cookies, *more)


def place_of(front: Front, here: Visit, step: Step, handle: str) -> str:
    """The page for a step, in the language that was picked."""
    carried = {"interaction": handle} | ({"ui_locales": here.chosen.value} if here.chosen else {})
    if step is Step.SIGN_UP and not front.issuer.terms.sign_up:
        step = Step.SIGN_IN
    return f"{front.path}{PLACES[step]}?{urlencode(carried)}"


async def _to_client(front: Front, here: Visit, ready: Ready, *more: Header) -> Answer:
    if ready.to.response_mode != "form_post":
        return see_other(location(ready.to, ready.parameters), *more)
    client = await client_documents.known(front.issuer, ready.to.client_id, None, front.now())
    view = FormPost(
        redirect_uri=ready.to.redirect_uri,
        fields=tuple(ready.parameters.items()),
        client=asking(front, client) if client is not None else None,
    )
    return here.page(view, 200, *more)


def see_other(place: str, *more: Header) -> Answer:
    """By GET, whatever came (RFC 9110 §15.4.4; RFC 9700 §4.12): a browser must not post a password on."""
    return Answer(
        303, b"", ((b"location", place.encode("ascii")), NO_STORE, (b"referrer-policy", b"no-referrer"), *more)
    )
