"""The account page: which apps may act for a person, and taking that back."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.routing import Route

from watchword_server.flows import apps, at_browser
from watchword_server.flows.at_browser import Account
from watchword_server.flows.client_documents import is_by_document
from watchword_server.protocol.errors import InvalidRequest
from watchword_server.protocol.targets import IDENTITY
from watchword_server.protocol.values import Client
from watchword_server.web import logos
from watchword_server.web.asgi import Answer
from watchword_server.web.authorize import see_other
from watchword_server.web.browsers import StaleForm, must_be_our_form
from watchword_server.web.front import Front
from watchword_server.web.pages import views
from watchword_server.web.pages.problems import Problem
from watchword_server.web.pages.safe import place
from watchword_server.web.pages.views import Asked, Person
from watchword_server.web.visits import Visit, as_page, posted, query_fields, visit


def routes(front: Front) -> list[Route]:
    """One page."""
    return [Route(f"{front.path}/account", as_page(front, partial(_account, front)), methods=["GET", "POST"])]


async def _account(front: Front, request: Request) -> Answer:
    if request.method == "POST":
        here, _ = await posted(front, request)
    else:
        here = visit(front, request, query_fields(request.scope))
    found = await at_browser.accounts(front.issuer, here.browser.visitor, front.now())
    if not found or here.browser.secret is None:
        return see_other(f"{front.path}/login")
    if request.method != "POST":
        return await _show(here, found[0], here.browser.secret)
    try:
        must_be_our_form(front, request.scope, here.browser.secret, here.fields.get("csrf"))
    except StaleForm:
        return await _show(here, found[0], here.browser.secret, problems=(Problem.STALE,))
    return await _take_back(here, found[0], here.browser.secret)


async def _take_back(here: Visit, by: Account, secret: str) -> Answer:
    if here.fields.get("answer") != "end" or "client_id" not in here.fields:
        raise InvalidRequest("no app whose access is to be taken back")
    front = here.front
    client = await apps.take_back(front.issuer, by, here.fields["client_id"], here.browser.visitor, front.now())
    if client is None:
        return see_other(f"{front.path}/account")
    return await _show(here, by, secret, ended=client.name)


async def _show(
    here: Visit, account: Account, secret: str, ended: str | None = None, problems: tuple[Problem, ...] = ()
) -> Answer:
    front, user = here.front, account.user
    view = views.Account(
        form=here.form(secret),
        person=Person(user.name or user.email, user.email),
        apps=tuple([await _app(front, one) for one in await apps.with_access(front.issuer, user.sub, front.now())]),
        ended=ended,
        problems=problems,
    )
    return here.page(view, 400 if problems else 200)


def _host(client: Client) -> str | None:
    """What says most of whose it is: where its document lies, or where people return to."""
    if is_by_document(client):
        return place(client.client_id).host
    return place(client.redirect_uris[0]).host if client.redirect_uris else None


async def _app(front: Front, app: apps.App) -> views.App:
    client = app.client
    names = {scope: api.name for api in await front.issuer.stores.apis.all() for scope in api.scopes}
    return views.App(
        client_id=client.client_id,
        name=client.name,
        host=_host(client),
        logo=logos.address(front, client),
        scopes=tuple(Asked(scope=one, api=None if one in IDENTITY else names.get(one)) for one in app.scope),
        since=app.since,
        is_stranger=client.metadata.registered_itself,
    )
