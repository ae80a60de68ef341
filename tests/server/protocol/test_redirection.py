"""Where answers may go: attack by attack."""

from __future__ import annotations

import pytest

from watchword_server.protocol.redirection import is_registered

WEB = "https://app.example/cb"
DEVICE = ("http://127.0.0.1/cb", "http://[::1]:4000/cb?a=b", "http://localhost:8080", "com.example.app:/cb")


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize(
    "given",
    [
        "https://app.example/cb/",
        "https://app.example/cb?x=1",
        "https://app.example/cb#",
        "https://app.example/cb#x",
        "https://app.example/",
        "https://app.example/CB",
        "https://APP.example/cb",
        "HTTPS://app.example/cb",
        "https://app.example:443/cb",
        "https://app.example:8443/cb",
        "https://app.example.evil.example/cb",
        "https://sub.app.example/cb",
        "https://app.example@evil.example/cb",
        "https://evil.example\\@app.example/cb",
        "https://app.example\\cb",
        "https://app.example/x/../cb",
        "https://app.example/%2e/cb",
        "https://app.example/%63b",
        "https://app.example/cb%00",
        "https://app.example/cb\n",
        " https://app.example/cb",
        "https://app.exаmple/cb",  # with a Cyrillic letter
        "http://app.example/cb",
        "//app.example/cb",
        "/cb",
        "javascript:alert(1)",
        "data:text/html,x",
        "",
    ],
)
def test_what_is_not_the_very_same_string_is_not_registered(given, native):
    """RFC 9700 §2.1: exact string matching, for every kind of client."""
    assert is_registered((WEB,), WEB, native)
    assert not is_registered((WEB,), given, native)


@pytest.mark.parametrize(
    "given",
    [
        "http://127.0.0.1:51004/cb",
        "http://127.0.0.1:1/cb",
        "http://127.0.0.1/cb",
        "http://[::1]:65535/cb?a=b",
        "http://[::1]/cb?a=b",
        "http://localhost:1234",
        "com.example.app:/cb",
    ],
)
def test_a_native_program_takes_whichever_port_is_free(given):
    """On loopback only (RFC 8252 §7.3)."""
    assert is_registered(DEVICE, given, native=True)


@pytest.mark.parametrize(
    "given",
    [
        "http://127.0.0.1:51004/cb/",
        "http://127.0.0.1:51004/other",
        "http://127.0.0.1:51004/cb?x",
        "http://127.0.0.1:51004/cb#x",
        "http://127.0.0.1:0/cb",
        "http://127.0.0.1:65536/cb",
        "http://127.0.0.1:٣/cb",
        "http://127.0.0.1:/cb",
        "http://127.0.0.1:80@evil.example/cb",
        "http://127.0.0.1.evil.example/cb",
        "http://127.0.0.2:51004/cb",
        "http://[::1%25lo]:4000/cb?a=b",
        "http://[::1]:4000/cb?a=c",
        "http://localhost:1234/",
        "http://localhost:1234\n",
        "https://127.0.0.1:51004/cb",
        "http://0x7f.1:51004/cb",
        "com.example.app:/cb2",
    ],
)
def test_nothing_but_the_port_may_differ(given):
    """Host, path and query are compared as ever; a zone, another spelling or another address is another place."""
    assert not is_registered(DEVICE, given, native=True)


def test_the_port_is_free_for_native_programs_only():
    """A server in development registers the port that it has."""
    assert not is_registered(DEVICE, "http://127.0.0.1:51004/cb", native=False)
    assert is_registered(DEVICE, "http://127.0.0.1/cb", native=False)
