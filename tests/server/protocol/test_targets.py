"""Which API a token is for, and with which scopes."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from watchword_server.protocol.errors import InvalidScope, InvalidTarget
from watchword_server.protocol.targets import MAX_SCOPES, is_for, narrowed, reach, scope_tokens, target
from watchword_server.protocol.values import Client, Grant

ORDERS, STOCK = "https://orders.example", "https://stock.example"
ONE = Client("c1", "One", "confidential", b"", frozenset(), {ORDERS: ("read", "write")}, 0)
TWO = replace(ONE, access={ORDERS: ("read", "write"), STOCK: ("read", "count")})
GRANT = Grant("g1", "c1", "u1", ORDERS, ("read", "write"), 0, 100)


@pytest.mark.parametrize(
    ("client", "scope", "resource", "expected"),
    [
        (ONE, None, None, (ORDERS, ("read", "write"))),
        (ONE, "read", None, (ORDERS, ("read",))),
        (ONE, "read read", None, (ORDERS, ("read",))),
        (TWO, "write", None, (ORDERS, ("write",))),
        (TWO, None, STOCK, (STOCK, ("read", "count"))),
        (TWO, "read", STOCK, (STOCK, ("read",))),
    ],
)
def test_the_api_follows_from_resource_scopes_or_being_the_only_one(client, scope, resource, expected):
    """Nothing asked means all that the client may have there (RFC 6749 §3.3, RFC 8707 §2)."""
    assert target(client, scope, resource) == expected


@pytest.mark.parametrize(
    ("client", "scope", "resource", "refusal"),
    [
        (ONE, "admin", None, InvalidScope),
        (ONE, "read admin", None, InvalidScope),
        (TWO, "write count", None, InvalidScope),
        (TWO, "count", ORDERS, InvalidScope),
        (ONE, "read", STOCK, InvalidTarget),
        (ONE, None, ORDERS + "//", InvalidTarget),
        (ONE, None, ORDERS + "/x", InvalidTarget),
        (ONE, None, ORDERS.upper(), InvalidTarget),
        (TWO, None, None, InvalidTarget),
        (TWO, "read", None, InvalidTarget),
        (replace(ONE, access={}), None, None, InvalidTarget),
        (replace(ONE, access={}), "read", None, InvalidTarget),
    ],
)
def test_more_than_allowed_or_an_unclear_api_is_refused(client, scope, resource, refusal):
    """A scope or an API that the client may not have never shrinks silently."""
    with pytest.raises(refusal):
        target(client, scope, resource)


@pytest.mark.parametrize(
    ("resource", "audience", "found"),
    [
        (None, ORDERS, True),
        (ORDERS, ORDERS, True),
        (ORDERS + "/", ORDERS, True),
        (ORDERS, ORDERS + "/", True),
        ("http://localhost:8002/", "http://localhost:8002", True),
        (ORDERS + "/mcp/", ORDERS + "/mcp", False),
        (ORDERS + "/mcp", ORDERS + "/mcp/", False),
        (ORDERS + "?", ORDERS, False),
        ("urn:orders/", "urn:orders", False),
        ("https:///", "https://", False),
    ],
)
def test_the_slash_after_a_host_alone_says_nothing(resource: str | None, audience: str, found: bool) -> None:
    """URL libraries of clients put one there (RFC 3986 §6.2.3); a path is told from another letter by letter."""
    assert is_for(resource, audience) == found
    client = replace(ONE, access={audience: ("read",)})
    if resource is not None and found:
        assert target(client, "read", resource) == (audience, ("read",))
        assert narrowed(replace(GRANT, audience=audience), None, resource) == GRANT.scope


@pytest.mark.parametrize("resource", [None, ORDERS])
def test_of_a_person_nothing_is_not_asked(resource: str | None) -> None:
    """Scopes that nobody knows are left out; where none is left, nobody could be asked for consent to it."""
    with pytest.raises(InvalidScope):
        reach(ONE, "https://id.example", "unheard-of", resource)


@pytest.mark.parametrize(
    "scope", ["", " ", "a  b", "a\nb", 'a"b', "a\\b", "\u00e9", "a" * 129, " ".join(map(str, range(MAX_SCOPES + 1)))]
)
def test_a_malformed_scope_is_refused(scope):
    """Scope tokens are visible ASCII without quote and backslash (RFC 6749 §3.3)."""
    with pytest.raises(InvalidScope):
        scope_tokens(scope)


def test_a_refresh_narrows_and_never_widens():
    """The refreshed token has what was granted or less (RFC 6749 §6)."""
    assert narrowed(GRANT, None, None) == ("read", "write")
    assert narrowed(GRANT, "read", ORDERS) == ("read",)
    with pytest.raises(InvalidScope):
        narrowed(GRANT, "read admin", None)
    with pytest.raises(InvalidTarget):
        narrowed(GRANT, None, STOCK)
