"""`watchword token verify` says what an API would say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stories.processes import Ran, Site, until


@pytest.fixture(scope="module")
def token(site: Site) -> str:
    """A good token."""
    return site.client_token(site.new_client())


def verify(site: Site, token: str, *more: str, audience: str = "") -> Ran:
    """The command, with the API's credentials."""
    secret: Path = site.folder / "orders.secret"
    credentials = ("--client-id", site.api.client_id, "--client-secret-file", str(secret))
    given = ("--issuer", site.issuer, "--audience", audience or site.audience)
    return site.run("token", "verify", "-", *given, *credentials, *more, stdin=token)


def test_a_good_token_is_good(site: Site, token: str):
    """Exit code 0, and its claims."""
    ran = verify(site, token, "--scope", "orders:read")
    assert (ran.code, ran.document["verified"]) == (0, True)
    assert ran.document["claims"]["aud"] == site.audience


@pytest.mark.parametrize(
    ("scope", "audience", "reason"),
    [("lunch", "", "InsufficientScope"), ("", "https://other.example", "WrongAudience")],
)
def test_a_token_for_something_else_is_refused(site: Site, token: str, scope: str, audience: str, reason: str):
    """Exit code 1, and why."""
    ran = verify(site, token, *(("--scope", scope) if scope else ()), audience=audience)
    assert (ran.code, ran.document["verified"], ran.document["reason"]) == (1, False, reason)


def test_a_changed_token_is_refused(site: Site, token: str):
    """One letter of the signature is enough."""
    changed = token[:-10] + ("A" if token[-10] != "A" else "B") + token[-9:]
    ran = verify(site, changed)
    assert (ran.code, ran.document["reason"]) == (1, "BadSignature")


def test_a_revoked_token_is_refused(site: Site):
    """A verifier that starts now knows what was revoked before."""
    token = site.client_token(site.new_client())
    site.cli("revoke", "token", "-", stdin=token)
    ran = verify(site, token)
    assert (ran.code, ran.document["reason"]) == (1, "Revoked")


def test_a_wrong_secret_cannot_decide(site: Site, token: str, tmp_path: Path):
    """The feed is closed to it, so it cannot be told: exit code 5."""
    wrong = tmp_path / "secret"
    wrong.write_text("wws_wrong")
    given = ("--issuer", site.issuer, "--audience", site.audience)
    credentials = ("--client-id", site.api.client_id, "--client-secret-file", str(wrong))
    ran = site.run("token", "verify", "-", *given, *credentials, stdin=token)
    assert (ran.code, ran.document["error"]) == (5, "unavailable")


def test_the_harness_counts_what_the_issuer_answered(site: Site, token: str):
    """Every request stands in its log, and calls of the API are not among them."""
    before = site.count()
    for _ in range(20):
        assert site.call(token) == 200
    site.http.get(f"{site.issuer}/jwks.json")
    until(lambda: (site.count() - before)["/jwks.json"])
    assert site.count() - before == {"/jwks.json": 1}


def test_the_harness_kills_and_restarts(site: Site, token: str):
    """And what was true before is true after."""
    site.kill()
    assert site.call(token) == 200
    site.restart()
    assert site.cli("doctor")["ok"] is True
    assert site.client_token(site.new_client())
