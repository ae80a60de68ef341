"""Which addresses may be registered."""

from __future__ import annotations

import pytest

from watchword_server.protocol.uris import (
    BadRedirectUri,
    BadRegistration,
    checked_address,
    checked_redirect_uri,
    host_of,
    origin_of,
)

NOBODYS = (
    "",
    "/cb",
    "cb",
    "//app.example/cb",
    "https:",
    "https:///cb",
    "https://",
    "https:app.example/cb",
    "https://user@app.example/cb",
    "https://user:password@app.example/cb",
    "https://app.example#",
    "https://app.example/cb#part",
    "https://app.example/c b",
    "https://app.example/\ncb",
    "https://app.example/\x00",
    "https://app.example\\@evil.example/cb",
    "https://app.example:port/cb",
    "https://app.example:99999/cb",
    "https://app.example:0/cb",
    "https://[::1",
    "https://[fe80::1%25eth0]/cb",
    "https://äpp.example/cb",
    "HTTPS://app.example/cb",
    "https://app.example/<script>",
    'https://app.example/"',
    "https://app.example/" + "a" * 2000,
    "javascript:alert(1)",
    "javascript://app.example/%0aalert(1)",
    "data:text/html,<script>alert(1)</script>",
    "data:text/html;base64,PHNjcmlwdD4=",
    "vbscript:msgbox",
    "file:///etc/passwd",
    "blob:https://app.example/1",
    "about:blank",
    "ftp://app.example/cb",
    "ws://app.example/cb",
    "urn:ietf:wg:oauth:2.0:oob",
    "http://app.example/cb",
    "http://127.0.0.1.app.example/cb",
    "http://localhost.app.example/cb",
    "http://127.1/cb",
    "http://0.0.0.0/cb",
)
"""What no client may have, whatever it is."""


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("uri", NOBODYS)
def test_nobody_is_sent_to_such_an_address(uri: str, native: bool) -> None:
    """No script, no other scheme, no user who looks like a host, and nothing that two parsers read in two ways."""
    with pytest.raises(BadRedirectUri):
        checked_redirect_uri(uri, native)


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize(
    "uri",
    [
        "https://app.example/cb",
        "https://app.example",
        "https://app.example:8443/cb?tenant=1&x=%2e",
        "https://xn--pp-wia.example/cb",
        "https://[2001:db8::1]/cb",
        "http://localhost/cb",
        "http://localhost:9000/cb",
        "http://127.0.0.1:9000/cb",
        "http://[::1]:9000/cb",
    ],
)
def test_people_may_return_by_https_and_on_their_own_machine(uri: str, native: bool) -> None:
    """RFC 6749 §3.1.2, RFC 8252 §7.3."""
    assert checked_redirect_uri(uri, native) == uri


@pytest.mark.parametrize("uri", ["com.example.app:/cb", "com.example.app://cb", "io.app-1.x:/", "com.example:/cb?a=1"])
def test_only_a_native_program_has_a_scheme_of_its_own(uri: str) -> None:
    """A domain from right to left, so that it belongs to somebody (RFC 8252 §7.1)."""
    assert checked_redirect_uri(uri, native=True) == uri
    with pytest.raises(BadRedirectUri):
        checked_redirect_uri(uri, native=False)


@pytest.mark.parametrize("uri", ["myapp:/cb", "myapp://cb", "com.example.app:cb", "com..app:/cb", "com.example.:/cb"])
def test_a_scheme_that_is_no_domain_is_refused(uri: str) -> None:
    """Anybody could have it, and `javascript` is one of them."""
    with pytest.raises(BadRedirectUri):
        checked_redirect_uri(uri, native=True)


@pytest.mark.parametrize("uri", [uri for uri in NOBODYS if not uri.startswith("https://app.example/<")])
def test_the_issuer_goes_to_no_such_address_either(uri: str) -> None:
    """Before anybody looks there."""
    with pytest.raises(BadRegistration):
        checked_address(uri, local=False, what="jwks_uri")


@pytest.mark.parametrize("uri", ["http://localhost:1/x", "https://localhost/x", "http://127.0.0.1/x", "http://[::1]/x"])
def test_only_an_issuer_on_this_machine_goes_to_this_machine(uri: str) -> None:
    """What listens there trusts who comes from inside."""
    assert checked_address(uri, local=True, what="logo_uri") == uri
    with pytest.raises(BadRegistration, match="this machine"):
        checked_address(uri, local=False, what="logo_uri")


def test_only_where_it_may_an_address_has_a_fragment() -> None:
    """The hash of a request object (OpenID Connect Core §6.2.1)."""
    uri = "https://app.example/request.jwt#GkurKxf5T0Y-mnPFCHqWOMiZi4VS138cQO_V7PZHAdM"
    assert checked_address(uri, local=False, what="request_uri", fragment=True) == uri
    for wrong in (f"{uri}#{uri}", uri + "\n", uri + "x" * 200):
        with pytest.raises(BadRegistration):
            checked_address(wrong, local=False, what="request_uri", fragment=True)
    with pytest.raises(BadRegistration, match="fragment"):
        checked_address(uri, local=False, what="jwks_uri")


@pytest.mark.parametrize(
    ("uri", "host", "origin"),
    [
        ("https://app.example:443/cb", "app.example", "https://app.example"),
        ("https://App.Example:8443/cb", "app.example", "https://app.example:8443"),
        ("http://[::1]:80/cb", "::1", "http://[::1]"),
        ("com.example.app:/cb", None, None),
    ],
)
def test_an_address_has_a_host_and_an_origin_as_browsers_write_them(
    uri: str, host: str | None, origin: str | None
) -> None:
    """An `Origin` header names no port that is the usual one (RFC 6454 §6.2)."""
    assert (host_of(uri), origin_of(uri)) == (host, origin)
