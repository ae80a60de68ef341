"""A program's own assertion for a token (RFC 7523 §2.1): it signs who it is with its key, and acts for itself."""

from __future__ import annotations

from collections.abc import Mapping

from watchword_server.protocol.errors import InvalidRequest, UnauthorizedClient
from watchword_server.protocol.targets import target
from watchword_server.protocol.values import CONFIDENTIAL, Client

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_CREDENTIALS = frozenset({"client_secret", "client_assertion", "client_assertion_type"})


def stands_alone(authorization: str | None, form: Mapping[str, str]) -> bool:
    """Whether the assertion is all that says who asks: then the client need not authenticate besides (§3.1)."""
    return form.get("grant_type") == GRANT_TYPE and authorization is None and _CREDENTIALS.isdisjoint(form)


def assertion(form: Mapping[str, str]) -> str:
    """What has to be there."""
    if "assertion" not in form:
        raise InvalidRequest("assertion is missing")
    return form["assertion"]


def allow(client: Client, form: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """The audience and scopes of the token, as for client_credentials."""
    if client.kind != CONFIDENTIAL or GRANT_TYPE not in client.grant_types:
        raise UnauthorizedClient("client may not use jwt-bearer")
    return target(client, form.get("scope"), form.get("resource"))
