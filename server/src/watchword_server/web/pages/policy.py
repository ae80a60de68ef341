"""The headers of a page: what it may load, where its forms may lead, and that nobody may frame or keep it."""

from __future__ import annotations

from typing import Final

from watchword_server.web.asgi import NO_STORE, Header
from watchword_server.web.pages.safe import origin
from watchword_server.web.pages.views import DeviceAnswered, Failure, FormPost, SignedOut, View

_STEADY: Final[tuple[Header, ...]] = (
    (b"content-type", b"text/html; charset=utf-8"),
    NO_STORE,
    (b"vary", b"accept-language, cookie"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


def content_security_policy(view: View) -> str:
    """No inline code, nothing from elsewhere; `form-action` also holds for where a form's answer redirects to."""
    script = "script-src 'self'; " if isinstance(view, FormPost) else ""
    return (
        f"default-src 'none'; style-src 'self'; img-src 'self'; {script}"
        f"form-action {_targets(view)}; frame-ancestors 'none'; base-uri 'none'"
    )


def headers(view: View) -> tuple[Header, ...]:
    """Everything but the length, which `Answer` knows."""
    policy = (b"content-security-policy", content_security_policy(view).encode("ascii"))
    referrer = (b"referrer-policy", b"strict-origin" if isinstance(view, FormPost) else b"same-origin")
    return (*_STEADY, policy, referrer, *_opener(view))


def _targets(view: View) -> str:
    if isinstance(view, FormPost):
        return origin(view.redirect_uri)
    if isinstance(view, SignedOut | Failure | DeviceAnswered):
        return "'none'"
    return " ".join(["'self'", *([origin(view.form.redirect_uri)] if view.form.redirect_uri else [])])


def _opener(view: View) -> tuple[Header, ...]:
    """A page that leads back to an app may stand in a window which that app opened, and must not lose it."""
    leads_back = isinstance(view, FormPost) or (
        not isinstance(view, SignedOut | Failure | DeviceAnswered) and view.form.redirect_uri is not None
    )
    return () if leads_back else ((b"cross-origin-opener-policy", b"same-origin"),)
