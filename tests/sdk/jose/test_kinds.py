"""The names of the kinds: what other programs write and read."""

from __future__ import annotations

from watchword.jose.kinds import Kind


def test_every_kind_has_the_name_that_its_specification_gives() -> None:
    """A change here would shut out every token that is on its way, and every program of others."""
    assert {kind.name: kind.value for kind in Kind} == {
        "ACCESS_TOKEN": "at+jwt",
        "ID_TOKEN": "JWT",
        "LOGOUT_TOKEN": "logout+jwt",
        "DPOP_PROOF": "dpop+jwt",
        "CLIENT_ASSERTION": "client-authentication+jwt",
        "REQUEST_OBJECT": "oauth-authz-req+jwt",
        "CLIENT_TOKEN": "watchword-client+jwt",
        "FEED_SNAPSHOT": "watchword-snapshot+jwt",
        "FEED_DELTA": "watchword-delta+jwt",
        "FEED_HEARTBEAT": "watchword-heartbeat+jwt",
    }


def test_a_kind_is_its_name() -> None:
    """It stands in a header as it is."""
    assert f"{Kind.ACCESS_TOKEN}" == Kind.ACCESS_TOKEN == "at+jwt"
