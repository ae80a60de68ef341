"""The pages of a Django project with mozilla-django-oidc."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jwt
from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.urls import include, path
from django.utils.http import urlencode
from django.views.generic import RedirectView
from mozilla_django_oidc.auth import OIDCAuthenticationBackend
from mozilla_django_oidc.views import OIDCLogoutView
from requests import HTTPError

from tests.interop.parties.showing import shown

TEMPLATE = Path(settings.PARTY["page"]).read_text()


class KeepsRefreshToken(OIDCAuthenticationBackend):
    """The package's own, which throws the refresh token away; this one puts it into the session."""

    def get_token(self, payload: dict[str, str]) -> dict[str, Any]:
        """The token endpoint's answer."""
        found: dict[str, Any] = super().get_token(payload)
        self.request.session["refresh_token"] = found["refresh_token"]
        return found


def end_session(request: HttpRequest) -> str:
    """Where the package's sign-out goes on to (OIDC_OP_LOGOUT_URL_METHOD)."""
    asked = {
        "id_token_hint": request.session["oidc_id_token"],
        "post_logout_redirect_uri": f"{settings.URL}/signed-out",
    }
    return f"{settings.ISSUER}/logout?{urlencode(asked)}"


def page(request: HttpRequest, after: str, said: object) -> HttpResponse:
    """What happened, for the test to read."""
    hidden = f'<input type="hidden" name="csrfmiddlewaretoken" value="{get_token(request)}">'
    return HttpResponse(shown(TEMPLATE, after, said, hidden=hidden))


def home(request: HttpRequest) -> HttpResponse:
    """The app's first page."""
    return page(request, "nothing", {"email": getattr(request.user, "email", None)})


def signed_in(request: HttpRequest) -> HttpResponse:
    """Where the package's callback goes on to."""
    kept = request.session
    tokens = {"access_token": kept["oidc_access_token"], "id_token": kept["oidc_id_token"]}
    claims = jwt.decode(kept["oidc_id_token"], options={"verify_signature": False})  # the package has verified it
    said = {**tokens, "refresh_token": kept["refresh_token"], "claims": claims}
    return page(request, "sign-in", said)


def userinfo(request: HttpRequest) -> HttpResponse:
    """Who signed in, by the package's own call."""
    kept = request.session
    return page(request, "userinfo", KeepsRefreshToken().get_userinfo(kept["oidc_access_token"], None, None))


def refresh(request: HttpRequest) -> HttpResponse:
    """A new token for the refresh token. The package has no word for it; its call of the token endpoint takes any."""
    kept = request.session
    kept["last"] = kept["refresh_token"]
    found = by(kept, kept["last"])
    kept["oidc_access_token"] = found["access_token"]
    return page(request, "refresh", found)


def again(request: HttpRequest) -> HttpResponse:
    """The refresh token that was used already."""
    try:
        return page(request, "again", OIDCAuthenticationBackend().get_token(asking(request.session["last"])))
    except HTTPError as error:
        return page(request, "again", {"error": error.response.json()["error"]})


def by(kept: SessionBase, refresh_token: str) -> dict[str, Any]:
    """What the token endpoint gives for a refresh token."""
    found: dict[str, Any] = OIDCAuthenticationBackend().get_token(asking(refresh_token))
    kept["refresh_token"] = found["refresh_token"]
    return found


def asking(refresh_token: str) -> dict[str, str]:
    """The form of a refresh (RFC 6749 §6)."""
    who = {"client_id": settings.OIDC_RP_CLIENT_ID, "client_secret": settings.OIDC_RP_CLIENT_SECRET}
    return {"grant_type": "refresh_token", "refresh_token": refresh_token, **who}


def signed_out(request: HttpRequest) -> HttpResponse:
    """Back without a session."""
    return page(request, "sign-out", {} if request.user.is_anonymous else {"error": "still signed in"})


def outdated(request: HttpRequest) -> HttpResponse:
    """As if OIDC_RENEW_ID_TOKEN_EXPIRY_SECONDS had passed: SessionRefresh asks the issuer at the next page."""
    request.session["oidc_id_token_expiration"] = 0
    return page(request, "outdated", {})


urlpatterns = [
    path("oidc/", include("mozilla_django_oidc.urls")),
    path("", home),
    path("sign-in", RedirectView.as_view(pattern_name="oidc_authentication_init")),
    path("signed-in", signed_in),
    path("userinfo", userinfo),
    path("refresh", refresh),
    path("again", again),
    path("outdated", outdated),
    path("sign-out", OIDCLogoutView.as_view()),
    path("signed-out", signed_out),
]
