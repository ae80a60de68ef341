"""`watchword doctor --client` says what a client will do, which step fails, and how to mend it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.cli.conftest import in_process
from tests.stories.processes import Site, deployment
from watchword.jose.jwk import SigningKey

APP = "https://app.example/back"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The same with its issuer running."""
    with deployment(tmp_path_factory.mktemp("served"), api=False, command=in_process) as found:
        yield found


def steps(site: Site, client_id: str, code: int = 0) -> dict[str, dict[str, str]]:
    """What the doctor says of a client, by step."""
    ran = site.run("doctor", "--client", client_id)
    assert ran.code == code, ran.out + ran.err
    return {finding["check"]: finding for finding in ran.document["findings"]}


def states(found: dict[str, dict[str, str]], *but: str) -> set[str]:
    """How the steps ended, but for some."""
    return {finding["state"] for check, finding in found.items() if check not in but}


def app(site: Site, *options: str, scopes: str = "orders:read", name: str = "app") -> str:
    """A web application, registered by the command line."""
    options = (*options,) if "--redirect-uri" in options else ("--redirect-uri", APP, *options)
    found: dict[str, Any] = site.cli("client", "add", name, "--access", f"{site.audience}={scopes}", *options)
    return str(found["client_id"])


def test_a_client_that_will_do_is_shown_step_by_step(served: Site):
    """In the order in which it takes them, over HTTP as far as that goes, and nothing is written."""
    client_id = app(served)
    rows = len(served.cli("doctor", "--client", client_id)["findings"])
    found = steps(served, client_id)
    assert len(found) == rows
    assert states(found) == {"ok"}
    assert list(found) == [
        "client",
        "authentication",
        f"authorization request to {APP}",
        "ID token",
        f"access token for {served.audience}",
        "refresh",
        "metadata",
        f"authorization request to {APP}, over HTTP",
    ]
    assert (
        "all is in order up to where somebody has to sign in"
        in found[f"authorization request to {APP}, over HTTP"]["message"]
    )


def test_an_issuer_that_does_not_run_is_no_fault_of_the_client(site: Site):
    """The other steps are told all the same."""
    found = steps(site, app(site))
    assert found["metadata"]["state"] == "warn"
    assert "watchword serve" in found["metadata"]["mend"]
    assert states(found, "metadata") == {"ok"}


def test_a_client_that_nobody_knows_is_none(site: Site):
    """The exit code says so, as for every other command."""
    ran = site.run("doctor", "--client", "nobody")
    assert ran.code != 0
    assert "watchword client list" in ran.document["message"]


def test_a_disabled_client_is_told_of_first(site: Site):
    """With the command that lets it in again."""
    client_id = app(site)
    site.cli("client", "disable", client_id)
    found = steps(site, client_id, code=1)
    assert found["client"]["state"] == "fail"
    assert f"watchword client enable {client_id}" in found["client"]["mend"]


def test_a_client_whose_keys_cannot_be_read_cannot_authenticate(site: Site, tmp_path: Path):
    """Until they can: where they were looked for is said."""
    client_id = app(site, "--auth-method", "private_key_jwt", "--jwks-uri", "http://127.0.0.1:9/jwks.json")
    found = steps(site, client_id, code=1)["authentication"]
    assert (found["state"], "http://127.0.0.1:9/jwks.json" in found["message"]) == ("fail", True)
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [SigningKey.generate("ES256").public_jwk()]}))
    site.cli("client", "set", client_id, "--jwks-uri", "", "--jwks", str(file))
    assert steps(site, client_id)["authentication"]["state"] == "ok"


def test_a_program_in_the_browser_needs_its_origin(site: Site):
    """Else the browser keeps the answer from it."""
    client_id = app(site, "--public")
    found = steps(site, client_id)["token request from a browser"]
    assert found["state"] == "warn"
    site.cli("client", "set", client_id, "--origin", "https://app.example")
    assert steps(site, client_id)["token request from a browser"]["state"] == "ok"


def test_a_client_of_several_apis_has_to_say_which(site: Site):
    """By `resource`; those that it may name are told."""
    site.cli("api", "add", "https://stock.example", "--scope", "stock:read")
    client_id = app(site, "--access", "https://stock.example=stock:read")
    found = steps(site, client_id)[f"authorization request to {APP}"]
    assert (found["state"], "https://stock.example" in found["mend"]) == ("warn", True)


def test_an_api_whose_tokens_cannot_be_encrypted_gets_none(site: Site):
    """The step that fails is the token's, and not the sign-in."""
    site.cli("api", "add", "https://sealed.example", "--scope", "sealed:read", "--jwks-uri", "http://127.0.0.1:9/jwks")
    found = site.cli("client", "add", "app", "--access", "https://sealed.example=sealed:read", "--redirect-uri", APP)
    told = steps(site, str(found["client_id"]), code=1)
    assert told["access token for https://sealed.example"]["state"] == "fail"
    assert told[f"authorization request to {APP}"]["state"] == "ok"


def test_a_metadata_document_that_is_not_there_fails_at_the_first_step(site: Site):
    """And how it has to be served is said."""
    found = steps(site, "https://127.0.0.1:9/agent.json", code=1)
    assert found["client"]["state"] == "fail"
    assert "application/json over https" in found["client"]["mend"]
