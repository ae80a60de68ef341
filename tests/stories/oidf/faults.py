"""What may be planted between the tests and the server, so that the server looks wrong in exactly one way."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from html import escape
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from tests.stories.oidf import tokens
from tests.stories.oidf.case import HOME
from tests.stories.oidf.page import page
from tests.stories.oidf.tokens import Claims
from tests.stories.oidf.wire import Fault, Got, Sent, as_it_is

GONE: Final = object()
"""In place of a value: nothing."""
KID: Final = "planted"
Answer = dict[str, str]


def _set(document: Mapping[str, Any], name: str, value: object) -> dict[str, Any]:
    rest = {key: found for key, found in document.items() if key != name}
    return rest if value is GONE else {**rest, name: value}


def _with_body(got: Got, body: bytes) -> Got:
    headers = tuple(pair for pair in got.headers if pair[0] != "content-length")
    return replace(got, headers=headers, body=body)


def member(notices: str, path: str, name: str, value: object, only: int = 0) -> Fault:
    """A JSON document has another member. `only`: where its status is this."""

    def got(sent: Sent, came: Got) -> Got:
        if sent.path != path or not came.document or only not in (0, came.status):
            return came
        return _with_body(came, json.dumps(_set(came.document, name, value)).encode())

    return Fault(notices, got=got)


def rotated(notices: str) -> Fault:
    """Every refresh brings another refresh token."""

    def got(sent: Sent, came: Got) -> Got:
        if sent.form.get("grant_type") != "refresh_token" or "refresh_token" not in came.document:
            return came
        return _with_body(came, json.dumps(_set(came.document, "refresh_token", secrets.token_urlsafe(32))).encode())

    return Fault(notices, got=got)


def status(notices: str, path: str, number: int, only: int = 0) -> Fault:
    """Another status. `only`: where it was this."""

    def got(sent: Sent, came: Got) -> Got:
        return replace(came, status=number) if sent.path == path and only in (0, came.status) else came

    return Fault(notices, got=got)


def header(notices: str, path: str, name: str, value: str, only: int = 0) -> Fault:
    """Another header. `only`: where the status is this."""

    def got(sent: Sent, came: Got) -> Got:
        if sent.path != path or only not in (0, came.status):
            return came
        return replace(came, headers=(*(pair for pair in came.headers if pair[0] != name), (name, value)))

    return Fault(notices, got=got)


def unheard(notices: str, path: str, name: str) -> Fault:
    """The server overlooks a header."""

    def sent(request: Sent) -> Sent:
        if request.path != path:
            return request
        return replace(request, headers={key: value for key, value in request.headers.items() if key != name})

    return Fault(notices, sent=sent)


def asked(notices: str, path: str, name: str, value: object) -> Fault:
    """The server overlooks a parameter of a request, or takes it for another: it never gets it as it was."""

    def sent(request: Sent) -> Sent:
        if request.path != path:
            return request
        if name in request.form:
            return replace(request, body=urlencode(_set(request.form, name, value)).encode())
        return _asking(request, name, value) if name in request.query else request

    return Fault(notices, sent=sent)


def made_up(notices: str, path: str, name: str, value: str) -> Fault:
    """The server believes to have been asked for something that it was not asked for."""
    return Fault(notices, sent=lambda request: _asking(request, name, value) if request.path == path else request)


def _asking(request: Sent, name: str, value: object) -> Sent:
    query = urlencode(_set(request.query, name, value))
    return replace(request, url=urlunsplit(urlsplit(request.url)._replace(query=query)))


def registers(notices: str, name: str, value: object) -> Fault:
    """The server overlooks a member of a registration, or takes it for another."""

    def sent(request: Sent) -> Sent:
        if request.path != "/register" or not request.body:
            return request
        return replace(request, body=json.dumps(_set(json.loads(request.body), name, value)).encode())

    return Fault(notices, sent=sent)


def answered(notices: str, change: Callable[[Answer], Answer]) -> Fault:
    """The relying party gets another answer, in the redirect or in the page that is posted to it."""

    def got(sent: Sent, came: Got) -> Got:
        target = came.header("location")
        if target.startswith(HOME):
            parts = urlsplit(target)
            query = urlencode(change(dict(parse_qsl(parts.query, keep_blank_values=True))))
            return _redirected(came, urlunsplit(parts._replace(query=query)))
        forms = page(sent.url, came).forms if came.media_type == "text/html" else []
        for form in forms:
            if form.action.startswith(HOME):
                fields = change(dict(form.untouched()))
                return _with_body(came, _posting(form.action, fields, form.method))
        return came

    return Fault(notices, got=got)


def parameter(notices: str, name: str, value: object) -> Fault:
    """An answer to the relying party has one more parameter, or this one with another value."""
    return answered(notices, lambda answer: _set(answer, name, value))


def replaced(notices: str, name: str, value: object) -> Fault:
    """Where an answer to the relying party has this parameter, it has another value."""
    return answered(notices, lambda answer: _set(answer, name, value) if name in answer else answer)


def _redirected(came: Got, target: str) -> Got:
    return replace(came, headers=(*(pair for pair in came.headers if pair[0] != "location"), ("location", target)))


def _posting(action: str, fields: Mapping[str, str], method: str = "post") -> bytes:
    inputs = "".join(f'<input type="hidden" name="{escape(n)}" value="{escape(v)}">' for n, v in fields.items())
    return f'<html lang="en"><form method="{method}" action="{escape(action)}">{inputs}</form></html>'.encode()


def sent_away(notices: str, path: str, only: int = 0) -> Fault:
    """Instead of a page, the browser is sent to the relying party. `only`: where the status is this."""

    def got(sent: Sent, came: Got) -> Got:
        if sent.path != path or came.media_type != "text/html" or only not in (0, came.status):
            return came
        return replace(_redirected(came, f"{HOME}/callback?error=invalid_request"), status=303)

    return Fault(notices, got=got)


def page_without(notices: str, path: str, *texts: str) -> Fault:
    """A page lacks something."""

    def got(sent: Sent, came: Got) -> Got:
        if sent.path != path or came.media_type != "text/html":
            return came
        body = came.body
        for text in texts:
            body = body.replace(text.encode(), b"-")
        return _with_body(came, body)

    return Fault(notices, got=got)


def minted(notices: str, change: Callable[[Claims], Claims], where: str = "id_token") -> Fault:
    """Tokens have other claims, by a key that the server seems to publish."""

    def got(sent: Sent, came: Got) -> Got:
        if sent.path == "/jwks.json":
            keys = [*came.document.get("keys", ()), tokens.public(KID)]
            return _with_body(came, json.dumps({"keys": keys}).encode())
        if where in came.document:
            token = tokens.signed(change(tokens.claims(came.document[where])), KID)
            return _with_body(came, json.dumps(_set(came.document, where, token)).encode())
        return came

    def told(sent: Sent) -> Sent:
        if where not in sent.form:
            return sent
        token = tokens.signed(change(tokens.claims(sent.form[where])), KID)
        return replace(sent, body=urlencode({**sent.form, where: token}).encode())

    return Fault(notices, got=got, told=told if where == "logout_token" else as_it_is)


def claim(notices: str, name: str, value: object, where: str = "id_token") -> Fault:
    """Tokens have another claim."""
    return minted(notices, lambda claims: _set(claims, name, value), where)


def resigned(notices: str) -> Fault:
    """ID tokens are signed by a key that the server does not publish."""

    def got(sent: Sent, came: Got) -> Got:
        if "id_token" not in came.document:
            return came
        was = came.document["id_token"]
        signature = tokens.signed(tokens.claims(was), KID).rpartition(".")[2]
        forged = f"{was.rpartition('.')[0]}.{signature}"
        return _with_body(came, json.dumps(_set(came.document, "id_token", forged)).encode())

    return Fault(notices, got=got)


def keys(notices: str, change: Callable[[list[Claims]], list[Claims]]) -> Fault:
    """Other keys are published."""

    def got(sent: Sent, came: Got) -> Got:
        if sent.path != "/jwks.json":
            return came
        return _with_body(came, json.dumps({"keys": change(came.document.get("keys", []))}).encode())

    return Fault(notices, got=got)
