"""`watchword client` and `watchword api`."""

from __future__ import annotations

import pytest

from tests.stories.processes import Site


def test_a_confidential_client_gets_a_secret_once(site: Site):
    """It is shown where it is made, and nowhere else."""
    made = site.cli("client", "add", "machine", "--access", f"{site.audience}=orders:read,orders:write")
    secret = made.pop("client_secret")
    assert secret.startswith("wws_")
    assert made["kind"] == "confidential"
    assert made["grant_types"] == ["client_credentials"]
    assert made["access"] == {site.audience: ["orders:read", "orders:write"]}
    assert site.cli("client", "show", made["client_id"]) == made
    assert made in site.cli("client", "list")["clients"]
    assert (site.data / "watchword.db").read_bytes().find(secret.encode()) == -1


def test_a_public_client_has_no_secret(site: Site):
    """And gets none."""
    made = site.cli("client", "add", "page", "--public", "--first-party", "--origin", "https://shop.example")
    assert "client_secret" not in made
    assert (made["kind"], made["first_party"], made["grant_types"]) == ("public", True, ["refresh_token"])
    assert made["origins"] == ["https://shop.example"]
    assert site.run("client", "secret", made["client_id"]).code == 1


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--access", "https://unknown.example=read"), 1, "watchword api add"),
        (("--access", "{audience}=lunch"), 1, "no scope lunch"),
        (("--access", "=orders:read"), 2, "AUDIENCE=SCOPE"),
        (("--grant", "lunch"), 1, "no such grant"),
        (("--public", "--grant", "client_credentials"), 1, "public"),
        (("--redirect-uri", "http://example.com/callback"), 1, "https"),
        (("--redirect-uri", "https://example.com/#part"), 1, "fragment"),
        (("--origin", "https://example.com/path"), 1, "origin"),
    ],
)
def test_a_client_that_makes_no_sense_is_refused(site: Site, options: tuple[str, ...], code: int, said: str):
    """With the reason, and nothing is kept."""
    before = len(site.cli("client", "list")["clients"])
    ran = site.run("client", "add", "refused", *(part.format(audience=site.audience) for part in options))
    assert ran.code == code
    assert said in ran.err
    assert len(site.cli("client", "list")["clients"]) == before


def test_a_client_is_disabled_enabled_and_gets_another_secret(site: Site):
    """The rest of it stays as it was."""
    client = site.new_client()
    assert site.cli("client", "disable", client.client_id)["disabled_at"] > 0
    assert site.cli("client", "enable", client.client_id)["disabled_at"] is None
    assert site.cli("client", "secret", client.client_id)["client_secret"] not in {"", client.secret}


def test_an_api_is_found_by_audience_and_by_credentials(site: Site):
    """Its secret can be replaced, and not read."""
    shown = site.cli("api", "show", site.audience)
    assert shown == site.cli("api", "show", site.api.client_id)
    assert "client_secret" not in shown
    assert site.cli("api", "secret", site.audience)["client_secret"] not in {"", site.api.secret}
