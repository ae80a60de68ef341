"""What a browser shows us: its secret, the account that it used last, and that a form is of our own pages."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final

import msgspec

from watchword.jose.b64 import b64url
from watchword_server.flows.at_browser import Entered, Visitor, kept, spelled
from watchword_server.flows.sign_in import origin_of
from watchword_server.protocol.errors import AccessDenied
from watchword_server.web.asgi import Header, Scope
from watchword_server.web.bodies import single
from watchword_server.web.cookies import cookie, host_cookie
from watchword_server.web.front import Front

BROWSER: Final = "__Host-watchword-browser"
ACCOUNT: Final = "__Host-watchword-account"
_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_SID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Browser(msgspec.Struct, frozen=True):
    """A browser as it came. `secret` is None where it has none, or one that we would not have made."""

    visitor: Visitor
    secret: str | None


class NotOurForm(AccessDenied):
    """A form that another site sent."""


class StaleForm(AccessDenied):
    """A form without the token of this browser, or with one of before it signed in."""


def browser(scope: Scope) -> Browser:
    """Who stands before a page. Raises InvalidRequest for a cookie that comes twice."""
    secret, sid = cookie(scope, BROWSER), cookie(scope, ACCOUNT)
    if secret is not None and not _SECRET.fullmatch(secret):
        secret = None
    preferred = sid if sid is not None and _SID.fullmatch(sid) else None
    hashed = kept(secret) if secret is not None else None
    return Browser(Visitor(caller=scope["caller"], browser=hashed, preferred=preferred), secret)


def own_secret(front: Front, here: Browser) -> tuple[str, tuple[Header, ...]]:
    """The browser's secret; a new one, with its cookie, for a browser that has none."""
    if here.secret is not None:
        return here.secret, ()
    secret = spelled(front.issuer)
    return secret, (remembers(front, secret),)


def remembers(front: Front, secret: str) -> Header:
    """Give the browser its secret, for as long as a session may last."""
    return host_cookie(BROWSER, secret, front.issuer.terms.session_lifetime)


def prefers(front: Front, sid: str) -> Header:
    """Note which account it used last."""
    return host_cookie(ACCOUNT, sid, front.issuer.terms.session_lifetime)


def entered(front: Front, who: Entered) -> tuple[Header, Header]:
    """The cookies of somebody who has just signed in."""
    return remembers(front, who.secret), prefers(front, who.account.session.sid)


def csrf_token(secret: str) -> str:
    """What every form of this browser carries: who does not know its secret cannot make it."""
    return b64url(hmac.digest(secret.encode(), b"watchword form", hashlib.sha256))


def must_be_our_form(front: Front, scope: Scope, secret: str | None, token: str | None) -> None:
    """Raises NotOurForm for another site's, by the Origin that browsers send with every form, and StaleForm."""
    origin = single(scope, b"origin")
    if origin is not None and origin != origin_of(front.issuer.terms.issuer):
        raise NotOurForm("the form is not of this origin")
    if secret is None or token is None or not hmac.compare_digest(token.encode(), csrf_token(secret).encode()):
        raise StaleForm("the form has not the token of this browser")
