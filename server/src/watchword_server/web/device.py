"""The device authorization endpoint, and the pages at which a person answers a device (RFC 8628 §3.1, §3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.routing import Route

from watchword_server.flows import authorize, device
from watchword_server.flows.device import Case
from watchword_server.people.networks import network
from watchword_server.protocol.device import read, shown
from watchword_server.protocol.errors import InvalidRequest, TooManyAttempts
from watchword_server.protocol.interaction import Step
from watchword_server.protocol.targets import IDENTITY, OFFLINE
from watchword_server.protocol.values import Interaction
from watchword_server.web.about import confirmation
from watchword_server.web.asgi import Answer, App, Header, json_answer
from watchword_server.web.authorize import place_of, see_other
from watchword_server.web.browsers import StaleForm, must_be_our_form, own_secret
from watchword_server.web.front import Front
from watchword_server.web.oauth import Posted, form_endpoint
from watchword_server.web.pages.problems import Problem
from watchword_server.web.pages.views import Asked, DeviceAnswered, DeviceCode, DeviceConfirm, Person
from watchword_server.web.visits import Visit, as_page, asking, posted, query_fields, visit


def endpoints(front: Front) -> Mapping[str, App]:
    """By path."""
    return {f"{front.path}/device_authorization": form_endpoint(front, _begin)}


def routes(front: Front) -> list[Route]:
    """Where a person types the code, and where they decide."""
    return [
        Route(f"{front.path}/device", as_page(front, partial(_device, front)), methods=["GET", "POST"]),
        Route(f"{front.path}/device/confirm", as_page(front, partial(_confirm, front)), methods=["GET", "POST"]),
    ]


async def _begin(front: Front, posted: Posted) -> Answer:
    """What a device shows, and what it asks with (§3.2)."""
    found = await device.begin(front.issuer, posted.authorization, posted.form, posted.caller, posted.now)
    place = f"{front.issuer.terms.issuer}/device"
    whole = f"{place}?{urlencode({'user_code': found.user_code})}"
    return json_answer({**found._asdict(), "verification_uri": place, "verification_uri_complete": whole})


# --- the code


async def _device(front: Front, request: Request) -> Answer:
    """A link may carry the code (§3.3.1). It is looked for when the person sends the form, and not before."""
    if request.method != "POST":
        here = visit(front, request, query_fields(request.scope))
        return _code_page(here, _neat(here.fields.get("user_code", "")))
    here, _ = await posted(front, request)
    typed = here.fields.get("user_code", "")
    try:
        must_be_our_form(front, request.scope, here.browser.secret, here.fields.get("csrf"))
    except StaleForm:
        return _code_page(here, _neat(typed), Problem.STALE)
    code = read(typed)
    if code is None:
        return _code_page(here, typed, Problem.CODE_MALFORMED)
    return await _find(here, code)


async def _find(here: Visit, code: str) -> Answer:
    front, visitor = here.front, here.browser.visitor
    if visitor.browser is None:
        raise StaleForm("a form without a browser")
    try:
        handle = await device.find(front.issuer, code, visitor, visitor.browser, front.now())
    except device.Unknown:
        return _code_page(here, shown(code), Problem.CODE_UNKNOWN)
    except TooManyAttempts as error:
        return _code_page(here, shown(code), Problem.TOO_OFTEN, wait=error.retry_after)
    return see_other(confirmation(here, handle))


def _code_page(here: Visit, user_code: str, *problems: Problem, wait: int = 0) -> Answer:
    secret, cookies = own_secret(here.front, here.browser)
    retry: tuple[Header, ...] = ((b"retry-after", b"%d" % wait),) if wait else ()
    view = DeviceCode(form=here.form(secret), user_code=user_code, problems=problems, wait=wait)
    return here.page(view, 429 if wait else 400 if problems else 200, *cookies, *retry)


def _neat(typed: str) -> str:
    """A code as devices show it; what is none is not shown, since whoever made the link has written it."""
    code = read(typed)
    return "" if code is None else shown(code)


# --- the decision


async def _confirm(front: Front, request: Request) -> Answer:
    if request.method != "POST":
        here = visit(front, request, query_fields(request.scope))
        return await _show(here, await _waiting(here))
    here, _ = await posted(front, request)
    on = await _waiting(here)
    try:
        must_be_our_form(front, request.scope, here.browser.secret, here.fields.get("csrf"))
    except StaleForm:
        return await _show(here, on, Problem.STALE)
    return await _decided(here, on)


async def _waiting(here: Visit) -> Interaction:
    """What waits for this browser; `device` says whether it is one."""
    return await authorize.waiting(here.front.issuer, here.handle or "", here.browser.visitor, here.front.now())


async def _show(here: Visit, on: Interaction, *problems: Problem) -> Answer:
    """Who asks, from where and since when; or the way to sign in first."""
    front = here.front
    case = await device.consider(front.issuer, on, here.browser.visitor, front.now())
    if case.account is None:
        return see_other(place_of(front, here, Step.SIGN_IN, here.handle or ""))
    user, asked = case.account.user, case.request
    secret, cookies = own_secret(front, here.browser)
    view = DeviceConfirm(
        form=here.form(secret),
        client=asking(front, case.client),
        person=Person(user.name or user.email, user.email),
        user_code=shown(case.user_code),
        address=asked.address,
        agent=asked.agent,
        at=asked.created_at,
        age=max(0, front.now() - asked.created_at),
        scopes=await _scopes(front, case),
        is_elsewhere=network(asked.address) != network(here.browser.visitor.caller.address),
        problems=problems,
    )
    return here.page(view, 400 if problems else 200, *cookies)


async def _decided(here: Visit, on: Interaction) -> Answer:
    front, visitor = here.front, here.browser.visitor
    match here.fields.get("answer"):
        case "allow":
            case = await device.allow(front.issuer, on, visitor, front.now())
        case "deny":
            case = await device.deny(front.issuer, on, visitor, front.now())
        case _:
            raise InvalidRequest("neither allowed nor refused")
    allowed = here.fields.get("answer") == "allow"
    view = DeviceAnswered(client=asking(front, case.client), allowed=allowed, outlasts=OFFLINE in case.scope)
    return here.page(view)


async def _scopes(front: Front, case: Case) -> tuple[Asked, ...]:
    """What it asks for; those of OpenID Connect belong to no API."""
    api = await front.issuer.stores.apis.find(case.audience)
    name = api.name if api is not None else None
    return tuple(Asked(scope=one, api=None if one in IDENTITY else name) for one in case.scope)
