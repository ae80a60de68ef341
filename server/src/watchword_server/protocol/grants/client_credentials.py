"""grant_type=client_credentials (RFC 6749 §4.4): a program acts for itself."""

from __future__ import annotations

from collections.abc import Mapping

from watchword_server.protocol.errors import UnauthorizedClient
from watchword_server.protocol.targets import target
from watchword_server.protocol.values import CONFIDENTIAL, Client

GRANT_TYPE = "client_credentials"


def allow(client: Client, form: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """The audience and scopes of the token, for confidential clients only (RFC 6749 §4.4)."""
    if client.kind != CONFIDENTIAL or GRANT_TYPE not in client.grant_types:
        raise UnauthorizedClient("client may not use client_credentials")
    return target(client, form.get("scope"), form.get("resource"))
