"""GET and POST /logout (OpenID Connect RP-Initiated Logout 1.0). Who cannot show whom they speak of must ask first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.routing import Route

from watchword_server.flows import logout
from watchword_server.flows.at_browser import Account
from watchword_server.flows.logout import Case
from watchword_server.protocol.errors import InvalidRequest
from watchword_server.protocol.logout import location
from watchword_server.web.asgi import Answer, Header
from watchword_server.web.authorize import see_other
from watchword_server.web.browsers import ACCOUNT, BROWSER, StaleForm, must_be_our_form
from watchword_server.web.cookies import host_cookie
from watchword_server.web.front import Front
from watchword_server.web.pages.problems import Problem
from watchword_server.web.pages.views import Ended, Person, SignedOut, SignOut
from watchword_server.web.pages.words import spoken
from watchword_server.web.visits import Visit, as_page, asking, posted, query_fields, visit

CARRIED: Final = ("id_token_hint", "client_id", "post_logout_redirect_uri", "state")
"""What the form sends again; `logout_hint` is not read, for a browser has few accounts (§2)."""


def routes(front: Front) -> list[Route]:
    """The end session endpoint."""
    return [Route(f"{front.path}/logout", as_page(front, partial(_logout, front)), methods=["GET", "POST"])]


async def _logout(front: Front, request: Request) -> Answer:
    if request.method != "POST":
        return await _asked(visit(front, request, _given(query_fields(request.scope))))
    here, _ = await posted(front, request)
    if "answer" not in here.fields:
        # A client's own form. Its browser sends our cookies with a redirect to the same by GET, and not with the form.
        given = _given(here.fields)
        kept = {name: given[name] for name in (*CARRIED, "ui_locales") if name in given}
        return see_other(f"{front.path}/logout?{urlencode(kept)}")
    return await _answered(here, request)


async def _asked(here: Visit) -> Answer:
    case = await _case(here)
    if case.ending.asks and case.account is not None:
        return await _confirmation(here, case, case.account)
    return await _end(here, case, _one(case))


async def _answered(here: Visit, request: Request) -> Answer:
    """The person has said so; or somebody else has, who does not know this browser's secret."""
    case = await _case(here)
    try:
        must_be_our_form(here.front, request.scope, here.browser.secret, here.fields.get("csrf"))
    except StaleForm:
        if case.account is None:  # signed out meanwhile, in another tab
            return await _end(here, case, ())
        return await _confirmation(here, case, case.account, Problem.STALE)
    match here.fields["answer"]:
        case "stay":
            return see_other(f"{here.front.path}/account")
        case "out":
            return await _end(here, case, _one(case))
        case "all":
            return await _end(here, case, case.accounts)
        case _:
            raise InvalidRequest("neither out nor stay")


async def _confirmation(here: Visit, case: Case, whose: Account, *problems: Problem) -> Answer:
    front, user = here.front, whose.user
    view = SignOut(
        form=here.form(here.browser.secret or "", case.ending.redirect_uri),
        person=Person(user.name or user.email, user.email),
        client=asking(front, case.client) if case.client is not None else None,
        apps=tuple(app.name for app in await logout.apps(front.issuer, whose)),
        accounts=len(case.accounts),
        carried=tuple((name, here.fields[name]) for name in CARRIED if name in here.fields),
        problems=problems,
    )
    return here.page(view, 400 if problems else 200)


async def _end(here: Visit, case: Case, leaving: Sequence[Account]) -> Answer:
    front, uri = here.front, case.ending.redirect_uri
    parted = await logout.end(front.issuer, case, leaving, here.browser.visitor, front.now())
    cookies = _taken_back(here, case, leaving)
    if uri is not None:
        return see_other(location(uri, here.fields.get("state")), *cookies)
    ended = tuple(Ended(name=app.name, is_told=app.metadata.backchannel_logout_uri is not None) for app in parted)
    return here.page(SignedOut(apps=ended, chosen=here.chosen), 200, *cookies)


async def _case(here: Visit) -> Case:
    front = here.front
    return await logout.consider(front.issuer, here.fields, here.browser.visitor, front.now())


def _one(case: Case) -> Sequence[Account]:
    return (case.account,) if case.account is not None else ()


def _taken_back(here: Visit, case: Case, leaving: Sequence[Account]) -> tuple[Header, ...]:
    """The browser's secret goes with its last account."""
    gone = {one.session.sid for one in leaving}
    if all(one.session.sid in gone for one in case.accounts):
        return host_cookie(BROWSER, "", 0), host_cookie(ACCOUNT, "", 0)
    return (host_cookie(ACCOUNT, "", 0),) if here.browser.visitor.preferred in gone else ()


def _given(fields: Mapping[str, str]) -> Mapping[str, str]:
    """What has no value counts as left out (RFC 6749 §3.1). Of several languages the first that the pages speak stays,
    so that the next page goes on in it.
    """
    tags = fields.get("ui_locales", "").split()
    ours = next((tag for tag in tags if spoken(tag) is not None), "")
    return {name: value for name, value in {**fields, "ui_locales": ours}.items() if value}
