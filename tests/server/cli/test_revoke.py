"""`watchword revoke` and `watchword token inspect`."""

from __future__ import annotations

import json

import pytest

from tests.stories.processes import Site
from watchword.jose.b64 import b64url


def a_token(**claims: object) -> str:
    """Something that looks like a token; its signature is nobody's."""
    header = {"alg": "ES256", "kid": "k", "typ": "at+jwt"}
    return ".".join(b64url(json.dumps(part).encode()) for part in (header, claims, {}))


def test_a_token_is_revoked_by_its_text_or_its_id(site: Site):
    """From standard input, where no process list shows it."""
    by_text = site.cli("revoke", "token", "-", stdin=a_token(jti="one"))["entries"]
    by_id = site.cli("revoke", "token", "two")["entries"]
    assert [(entry["kind"], entry["id"]) for entry in by_text + by_id] == [("token", "one"), ("token", "two")]
    assert by_id[0]["seq"] == by_text[0]["seq"] + 1


@pytest.mark.parametrize("name", ["-4mB9x8Dkg2kXb5kwb7Gsw", "--B9x8Dkg2kXb5kwb7Gsw", "-h", "-y"])
def test_an_id_may_begin_with_a_dash(site: Site, name: str):
    """One base64url text in 64 does, and the day on which it must be revoked is no day for puzzles."""
    (entry,) = site.cli("revoke", "token", name)["entries"]
    assert entry["id"] == name
    for command in (("revoke", "session"), ("revoke", "grant"), ("revoke", "key", "--yes"), ("key", "revoke", "--yes")):
        ran = site.run(*command, name)
        assert (ran.code, ran.document["error"]) == (3, "not_found")


def test_a_misspelt_option_is_still_wrong_usage(site: Site):
    """It is not silently taken for an id."""
    assert site.run("revoke", "token", "one", "--jsn").code == 2


@pytest.mark.parametrize("text", ["a.b.c", "...", "a.b"])
def test_what_is_no_token_is_not_revoked(site: Site, text: str):
    """Nothing is written for it."""
    assert site.run("revoke", "token", "-", stdin=text).code == 1


def test_a_person_and_a_client_are_revoked(site: Site):
    """Each by the entry that kills all they have."""
    user, client = site.new_user(), site.new_client()
    assert [entry["kind"] for entry in site.cli("revoke", "user", user.email)["entries"]] == ["subject"]
    (entry,) = site.cli("revoke", "client", client.client_id)["entries"]
    assert (entry["kind"], entry["id"]) == ("client", client.client_id)


def test_everything_is_revoked_only_on_purpose(site: Site):
    """A line from the history must not log out the world."""
    assert site.run("revoke", "everything").code == 2
    assert [entry["kind"] for entry in site.cli("revoke", "everything", "--yes")["entries"]] == ["issuer"]


def test_a_token_is_shown_without_being_believed(site: Site):
    """And the reader is told so."""
    ran = site.run("token", "inspect", "-", stdin=a_token(sub="somebody", roles=["admin"]))
    assert ran.document["verified"] is False
    assert ran.document["header"]["alg"] == "ES256"
    assert ran.document["claims"] == {"sub": "somebody", "roles": ["admin"]}
    assert "NOT VERIFIED" in ran.err


def test_nobody_reachable_means_that_it_cannot_be_told(site: Site):
    """Neither good nor bad: exit code 5."""
    ran = site.run("token", "verify", "-", "--issuer", site.issuer, "--audience", site.audience, stdin=a_token())
    assert ran.code == 5
    assert ran.document["error"] == "unavailable"
