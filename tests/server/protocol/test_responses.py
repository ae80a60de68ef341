"""Answers of the authorization endpoint."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec.structs import replace

from watchword_server.protocol.authorization import Addressee
from watchword_server.protocol.errors import AccessDenied, InvalidScope, LoginRequired
from watchword_server.protocol.responses import location, of_code, of_error

ISSUER = "https://id.example/a"
TO = Addressee("app", "https://app.example/cb", "query", "s t&=%\u00e9")


@pytest.mark.parametrize(
    ("to", "before"),
    [
        (TO, "https://app.example/cb?"),
        (replace(TO, redirect_uri="https://app.example/cb?a=b%20c"), "https://app.example/cb?a=b%20c&"),
        (replace(TO, response_mode="fragment"), "https://app.example/cb#"),
        (replace(TO, response_mode="fragment", redirect_uri="https://app.example/?q"), "https://app.example/?q#"),
    ],
)
def test_a_code_arrives_with_state_and_issuer(to, before):
    """Byte for byte what the client sent, after whatever its own query was (RFC 6749 §3.1.2, RFC 9207 §2)."""
    found = location(to, of_code(to, ISSUER, "wwc_x"))
    assert found.startswith(before)
    assert parse_qs(found.removeprefix(before), strict_parsing=True) == {
        "code": ["wwc_x"],
        "state": [TO.state],
        "iss": [ISSUER],
    }


def test_a_refusal_names_the_issuer_too():
    """A client of several issuers can tell whose error it is (RFC 9207 §2); without a state none is made up."""
    refusal = of_error(replace(TO, state=None), ISSUER, LoginRequired("nobody is signed in"))
    assert refusal == {"error": "login_required", "error_description": "nobody is signed in", "iss": ISSUER}


def test_a_description_has_only_what_it_may_have():
    """Whatever a message repeats of a request, nothing breaks out of it (RFC 6749 §4.1.2.1)."""
    refusal = of_error(TO, ISSUER, InvalidScope('a"b\\c\r\nSet-Cookie: \u00e9<script>'))
    assert refusal["error_description"] == "a'b'c''Set-Cookie: '<script>"
    found = location(TO, refusal)
    assert set("\r\n<>\" '").isdisjoint(found)
    assert urlsplit(found).netloc == "app.example"


def test_a_refusal_without_a_message_has_no_description():
    """An empty parameter would be one without a value (RFC 6749 §3.1)."""
    assert "error_description" not in of_error(TO, ISSUER, AccessDenied())
