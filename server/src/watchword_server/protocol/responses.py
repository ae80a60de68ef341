"""Answers of the authorization endpoint, as they go to the client through the browser (RFC 6749 §4.1.2, RFC 9207)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from watchword_server.protocol.authorization import Addressee
from watchword_server.protocol.errors import OAuthError

_FORBIDDEN: Final = re.compile(r"[^\x20-\x21\x23-\x5B\x5D-\x7E]")
"""What an error_description must not have in it (RFC 6749 §4.1.2.1)."""


def of_code(to: Addressee, issuer: str, code: str) -> Mapping[str, str]:
    """The parameters that carry a code."""
    return _whole(to, issuer, {"code": code})


def of_error(to: Addressee, issuer: str, error: OAuthError) -> Mapping[str, str]:
    """The parameters that carry a refusal. The description is for developers, and has nothing of a person in it."""
    description = _FORBIDDEN.sub("'", str(error))
    return _whole(to, issuer, {"error": error.code} | ({"error_description": description} if description else {}))


def location(to: Addressee, parameters: Mapping[str, str]) -> str:
    """Where a browser is sent, in `query` and `fragment` mode; what the client has in its own query stays (§3.1.2).

    In `form_post` mode a page posts them instead (OAuth 2.0 Form Post Response Mode §2).
    """
    if to.response_mode == "fragment":
        return f"{to.redirect_uri}#{urlencode(parameters)}"
    return f"{to.redirect_uri}{'&' if '?' in to.redirect_uri else '?'}{urlencode(parameters)}"


def _whole(to: Addressee, issuer: str, parameters: Mapping[str, str]) -> Mapping[str, str]:
    """With the client's own state, and the issuer, which tells a client of several whose answer it is (RFC 9207 §2)."""
    return {**parameters, **({"state": to.state} if to.state is not None else {}), "iss": issuer}
