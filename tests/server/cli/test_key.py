"""`watchword key`: where each key stands, the next one called, a stolen one thrown away."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest

from tests.server.key_ages import LONG, born
from tests.stories.processes import Site

MEMBERS = {"kid", "use", "alg", "state", "age", "created_at", "active_at", "retired_at", "published_until"}


def listed(site: Site, use: str = "access") -> dict[str, dict[str, Any]]:
    """The keys of one use, by state; of several the youngest."""
    return {key["state"]: key for key in site.cli("key", "list")["keys"] if key["use"] == use}


def shown(site: Site, *arguments: str) -> str:
    """What people see."""
    ran = site.command(*arguments, "--config", str(site.config), cwd=site.folder)
    assert ran.code == 0, ran.err
    return ran.out


def same(key: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether the two are one key, whatever became of it."""
    return all(key[name] == other[name] for name in ("kid", "use", "alg", "created_at"))


def test_a_key_is_listed_with_where_it_stands(own: Site):
    """For programs and for people, and never its private half."""
    found = own.cli("key", "list")["keys"]
    assert [(key["use"], key["state"]) for key in sorted(found, key=lambda key: (key["use"], key["state"]))] == [
        ("access", "next"),
        ("access", "signing"),
        ("feed", "next"),
        ("feed", "signing"),
    ]
    for key in found:
        assert set(key) == MEMBERS
        assert 0 <= key["age"] < 60
        assert (key["active_at"] is None) == (key["state"] == "next")
    table = shown(own, "key", "list")
    assert all(key["kid"] in table for key in found)
    assert all(word in table for word in ("signing", "next", "ES256", "until", "age"))


def test_a_rotation_tells_when_the_next_key_signs(own: Site):
    """Later, where verifiers may not know it yet; at once, where it was published for long."""
    before = listed(own)
    later = own.cli("key", "rotate")
    assert same(later, before["next"])
    assert later["predecessor"] == before["signing"]["kid"]
    assert later["active_at"] == before["next"]["created_at"] + 3600
    assert listed(own)["signing"]["retired_at"] == later["active_at"]
    refused = own.run("key", "rotate")
    assert (refused.code, refused.document["error"]) == (1, "refused")
    assert "under way" in refused.err
    text = shown(own, "key", "rotate", "--use", "feed")
    assert "in 59 min" in text or "in 1 h" in text


def test_a_rotation_is_immediate_when_the_next_key_was_published_for_long(own: Site):
    """The old one is published until its last token has expired, and that is said."""
    born(own.data, int(time.time()) - LONG)
    before, now = listed(own), int(time.time())
    done = own.cli("key", "rotate")
    after = listed(own)
    assert same(done, before["next"])
    assert (done["state"], after["signing"]["kid"]) == ("signing", done["kid"])
    assert now <= done["active_at"] <= now + 5
    assert same(after["retired"], before["signing"])
    assert after["retired"]["published_until"] == done["active_at"] + 900 + 120
    assert after["next"]["kid"] not in {key["kid"] for key in before.values()}
    assert "It signs from now on" in shown(own, "key", "rotate", "--use", "feed")


def test_an_algorithm_that_nobody_chose_cannot_be_rotated(own: Site):
    """With the reason."""
    ran = own.run("key", "rotate", "--alg", "RS256")
    assert (ran.code, ran.document["error"]) == (1, "refused")
    assert "no RS256 key signs" in ran.err


@pytest.mark.parametrize("command", [("key", "revoke"), ("revoke", "key")])
def test_a_stolen_key_is_thrown_away_and_the_next_one_named(own: Site, command: tuple[str, str]):
    """At once, whatever was published for how long."""
    before = listed(own)
    done = own.cli(*command, before["signing"]["kid"], "--yes")
    assert done["revoked"] == before["signing"]["kid"]
    assert same(done["successor"], before["next"])
    assert done["successor"]["state"] == "signing"
    assert listed(own)["signing"]["kid"] == before["next"]["kid"]
    again = own.run(*command, before["signing"]["kid"], "--yes")
    assert (again.code, again.document["error"]) == (3, "not_found")


def test_a_key_that_was_not_in_use_has_no_successor(own: Site):
    """Nothing else changes, and that is said."""
    before = listed(own)
    text = shown(own, "key", "revoke", before["next"]["kid"], "--yes")
    assert "not in use" in text
    after = listed(own)
    assert after["signing"]["kid"] == before["signing"]["kid"]
    assert after["next"]["kid"] != before["next"]["kid"]


def test_a_stolen_key_is_revoked_only_on_purpose(own: Site):
    """Nobody is asked where nobody can answer."""
    assert own.run("key", "revoke", listed(own)["signing"]["kid"]).code == 2
    assert listed(own)["signing"]
