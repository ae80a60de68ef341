"""Settings of a Django project with mozilla-django-oidc. PARTY in the environment says who it is."""

from __future__ import annotations

import json
import os
import secrets

PARTY = json.loads(os.environ["PARTY"])
ISSUER, URL = PARTY["issuer"], PARTY["url"]

SECRET_KEY = secrets.token_hex()
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "tests.interop.parties.django_views"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": PARTY["database"]}}
USE_TZ = True
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "mozilla_django_oidc",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "mozilla_django_oidc.middleware.SessionRefresh",
]

# What the package's page on installation tells everybody to set.
OIDC_RP_CLIENT_ID = PARTY["client_id"]
OIDC_RP_CLIENT_SECRET = PARTY["client_secret"]
OIDC_OP_AUTHORIZATION_ENDPOINT = f"{ISSUER}/authorize"
OIDC_OP_TOKEN_ENDPOINT = f"{ISSUER}/token"
OIDC_OP_USER_ENDPOINT = f"{ISSUER}/userinfo"
LOGIN_REDIRECT_URL = "/signed-in"
LOGOUT_REDIRECT_URL = "/"

globals().update(PARTY["overrides"])
