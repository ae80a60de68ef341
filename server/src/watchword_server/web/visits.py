"""A person before a page: in which language, with which form; and failures that are pages, too."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request

from watchword_server.flows.authorize import Gone
from watchword_server.flows.client_documents import NoDocument, is_by_document
from watchword_server.flows.keyring import NoSigningKey
from watchword_server.ports import Busy, Conflict, KeyStoreError, Unavailable
from watchword_server.protocol.authorization import NotAddressable, UnknownClient
from watchword_server.protocol.errors import (
    AccessDenied,
    InvalidRequest,
    OAuthError,
    TemporarilyUnavailable,
    TooManyAttempts,
)
from watchword_server.protocol.values import Client
from watchword_server.web import logos
from watchword_server.web.asgi import Answer, Header, Scope
from watchword_server.web.bodies import body, must_be, must_have_no_query, single
from watchword_server.web.browsers import Browser, NotOurForm, StaleForm, browser, csrf_token
from watchword_server.web.front import Front
from watchword_server.web.pages.problems import Reason
from watchword_server.web.pages.safe import place
from watchword_server.web.pages.views import Asking, Failure, Form, View
from watchword_server.web.pages.words import Locale, negotiated, spoken
from watchword_server.web.refusals import ClientGone, NotFound

MAX_FIELDS: Final = 128

Sent = Mapping[str, tuple[str, ...]]
"""A form's fields, each with all of its values."""
Handler = Callable[[Request], Awaitable[Answer]]

logger = logging.getLogger(__name__)


class Visit(msgspec.Struct, frozen=True):
    """A person before a page. `fields` are those of the form, or of the query where there is none."""

    front: Front
    browser: Browser
    fields: Mapping[str, str]
    chosen: Locale | None
    """The language picked on a page."""
    liked: str | None
    """The header Accept-Language."""
    request_id: str

    @property
    def handle(self) -> str | None:
        """Of the request that waits for this person."""
        return self.fields.get("interaction")

    def page(self, view: View, status: int = 200, *more: Header, wanted: tuple[str, ...] = ()) -> Answer:
        """A page. `wanted` are the languages that the client asks for."""
        locale = self.chosen or negotiated(wanted, self.liked)
        return self.front.pages.answer(view, locale, self.request_id, status, *more)

    def form(self, secret: str, redirect_uri: str | None = None) -> Form:
        """What every form carries; `redirect_uri` is where its answer may lead."""
        return Form(csrf=csrf_token(secret), interaction=self.handle, chosen=self.chosen, redirect_uri=redirect_uri)


def visit(front: Front, request: Request, fields: Mapping[str, str]) -> Visit:
    """Who stands before a page, and what they sent with it."""
    return Visit(
        front,
        browser(request.scope),
        fields,
        spoken(fields.get("ui_locales", "")),
        single(request.scope, b"accept-language"),
        request.scope["caller"].request_id,
    )


async def posted(front: Front, request: Request) -> tuple[Visit, Sent]:
    """A form that was sent. Raises InvalidRequest."""
    must_have_no_query(request.scope)
    must_be(request.scope, "application/x-www-form-urlencoded")
    sent = several(await body(request.receive))
    return visit(front, request, single_fields(sent)), sent


def several(raw: bytes) -> Sent:
    """A form's fields, read strictly. Raises InvalidRequest."""
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise InvalidRequest("the form cannot be read") from error
    found: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        found[name] = (*found.get(name, ()), value)
    return found


def single_fields(sent: Sent) -> Mapping[str, str]:
    """Those that stand once."""
    return {name: values[0] for name, values in sent.items() if len(values) == 1}


def query_fields(scope: Scope) -> Mapping[str, str]:
    """The fields of a page's URL that stand once. Raises InvalidRequest."""
    return single_fields(several(scope["query_string"]))


def asking(front: Front, client: Client) -> Asking:
    """The client, as pages name it."""
    said = client.metadata
    return Asking(
        name=place(client.client_id).host if is_by_document(client) else client.name,
        logo=logos.address(front, client),
        home=said.client_uri,
        policy_uri=said.policy_uri,
        tos_uri=said.tos_uri,
        is_stranger=said.registered_itself,
        document=client.client_id if is_by_document(client) else None,
        calls_itself=client.name,
    )


def as_page(front: Front, handler: Handler) -> Handler:
    """What fails here is told to a person: a sentence, the request's id, and a way on."""

    async def guarded(request: Request) -> Answer:
        try:
            return await handler(request)
        except ClientGone:
            raise
        except Exception as error:
            return _failed(front, request, error)

    return guarded


# fmt: off
_REASONS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], Reason, int], ...] = (
    (NoDocument,                                               Reason.NO_DOCUMENT,           400),
    (UnknownClient,                                            Reason.UNKNOWN_CLIENT,        400),
    (NotAddressable,                                           Reason.UNREGISTERED_REDIRECT, 400),
    (Gone,                                                     Reason.EXPIRED,               400),
    ((NotOurForm, StaleForm),                                  Reason.FOREIGN,               403),
    (TooManyAttempts,                                          Reason.TOO_OFTEN,             429),
    ((TemporarilyUnavailable, Unavailable, Busy, Conflict, NoSigningKey, KeyStoreError), Reason.BUSY, 503),
    (NotFound,                                                 Reason.NOT_FOUND,             404),
    ((InvalidRequest, AccessDenied, OAuthError),               Reason.MALFORMED,             400),
)
# fmt: on


def _failed(front: Front, request: Request, error: Exception) -> Answer:
    reason, status = next(
        ((reason, status) for kinds, reason, status in _REASONS if isinstance(error, kinds)), (Reason.BROKEN, 500)
    )
    if reason is Reason.BROKEN:
        logger.error("unexpected failure", exc_info=error)
    else:
        logger.info("refused", extra={"code": reason.value, "status": status, "reason": str(error)})
    if isinstance(error, InvalidRequest) and error.status != 400:
        status = error.status
    wait = error.retry_after if isinstance(error, OAuthError) else 0
    retry: tuple[Header, ...] = ((b"retry-after", b"%d" % wait),) if wait else ()
    locale = negotiated((), single_or_none(request))
    view = Failure(reason=reason, at=front.now(), wait=wait)
    return front.pages.answer(view, locale, request.scope["caller"].request_id, status, *retry)


def single_or_none(request: Request) -> str | None:
    """The languages that a browser likes; a header that comes twice is not worth a failure of the failure."""
    try:
        return single(request.scope, b"accept-language")
    except InvalidRequest:
        return None
