"""What `watchword api` and `watchword client` let one choose for tokens: algorithms and encryption."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.stories.processes import Client, Ran, Site
from watchword.jose.jwe import DecryptionKey, decryption_key, encryption_key

KEY = DecryptionKey.generate("ECDH-ES+A256KW", "P-384")
NOWHERE = "http://127.0.0.1:9/jwks.json"


def file(folder: Path, content: object) -> str:
    """A file that holds this, as JSON or as it is."""
    path = folder / "key.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


@pytest.fixture(scope="module")
def client(site: Site) -> Client:
    """A client to choose for."""
    return site.new_client()


def everything(site: Site) -> list[list[tuple[Any, ...]]]:
    """Every row that a choice could change."""
    with closing(sqlite3.connect(site.data / "watchword.db")) as database:
        return [database.execute(f"SELECT * FROM {table}").fetchall() for table in ("apis", "clients", "keys", "audit")]


def signing(site: Site, alg: str) -> list[dict[str, Any]]:
    """The keys of an algorithm."""
    return [key for key in site.cli("key", "list")["keys"] if (key["use"], key["alg"]) == ("access", alg)]


@pytest.mark.parametrize("alg", ["ES384", "PS512"])
def test_an_algorithm_that_is_chosen_first_gets_keys_and_says_when_it_begins(site: Site, alg: str):
    """Two of them: one is called after it was published for a while, the other waits."""
    assert signing(site, alg) == []
    made = site.cli("api", "add", f"https://{alg.lower()}.example", "--alg", alg)
    assert made["access_token_alg"] == alg
    called, waiting = sorted(signing(site, alg), key=lambda key: key["active_at"] is None)
    assert called["active_at"] == made["alg_begins_at"] == made["created_at"] + 3600
    assert waiting["active_at"] is None
    again = site.cli("api", "set", site.audience, "--alg", alg)
    assert again["alg_begins_at"] == made["alg_begins_at"]
    assert len(signing(site, alg)) == 2


def test_the_deployments_own_algorithm_signs_at_once(site: Site):
    """Its key is there, and nothing new is made."""
    before = [key["kid"] for key in signing(site, "ES256")]
    made = site.cli("api", "set", site.audience, "--alg", "ES256")
    assert made["access_token_alg"] == "ES256"
    assert [key["kid"] for key in signing(site, "ES256")] == before
    ran = site.command("api", "set", site.audience, "--alg", "ES256", "--config", str(site.config))
    assert "New tokens are signed with ES256 from now on." in ran.out
    assert site.cli("api", "set", site.audience, "--no-alg")["access_token_alg"] is None


def test_a_client_chooses_too(site: Site):
    """When it is registered, and later."""
    made = site.cli("client", "add", "choosy", "--alg", "EdDSA")
    assert (made["access_token_alg"], made["client_secret"] != "") == ("EdDSA", True)
    assert made["alg_begins_at"] >= made["created_at"]
    changed = site.cli("client", "set", made["client_id"], "--alg", "ES256")
    assert changed["access_token_alg"] == "ES256"
    assert site.cli("client", "show", made["client_id"])["access_token_alg"] == "ES256"
    assert site.cli("client", "set", made["client_id"], "--no-alg")["access_token_alg"] is None


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("api", "add", "https://x.example", "--alg", "none"), 1, "choose one of ES256"),
        (("api", "set", "{audience}", "--alg", "HS256"), 1, "choose one of ES256"),
        (("api", "set", "{audience}", "--alg", "ES256", "--no-alg"), 2, "not both"),
        (("api", "set", "{audience}"), 2, "say what to change"),
        (("api", "set", "https://unknown.example", "--no-alg"), 3, "no API"),
        (("api", "set", "{audience}", "--enc", "A256GCM"), 2, "--encryption-key or --jwks-uri"),
        (("api", "set", "{audience}", "--jwks-uri", "https://a.example/", "--no-encryption"), 2, "not both"),
        (("api", "set", "{audience}", "--jwks-uri", "https://a.example/", "--encryption-key", "x"), 2, "not both"),
        (("api", "set", "{audience}", "--jwks-uri", "http://a.example/"), 1, "not https"),
        (("api", "set", "{audience}", "--jwks-uri", "https://a.example/", "--enc", "A192GCM"), 1, "A128GCM or"),
        (("api", "set", "{audience}", "--encryption-key", "/no/such/file"), 1, "/no/such/file"),
        (("api", "new-encryption-key", "{audience}", "--alg", "RSA1_5"), 1, "not an algorithm"),
        (("api", "new-encryption-key", "{audience}", "--crv", "Ed25519"), 1, "curve"),
        (("client", "set", "{client}"), 2, "--alg or --no-alg"),
        (("client", "set", "{client}", "--alg", "ES256", "--no-alg"), 2, "--alg or --no-alg"),
        (("client", "set", "{client}", "--alg", "ES256K"), 1, "choose one of ES256"),
        (("client", "add", "x", "--alg", "HS512"), 1, "choose one of ES256"),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused(
    site: Site, client: Client, arguments: tuple[str, ...], code: int, said: str
):
    """With a sentence, and everything stays as it was."""
    before = everything(site)
    ran = site.run(*(part.format(audience=site.audience, client=client.client_id) for part in arguments))
    assert ran.code == code, ran.err
    assert said in ran.document["message"]
    assert everything(site) == before


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        (KEY.private_jwk(), 1, "private key"),
        ({"keys": [KEY.public_jwk()]}, 2, "key set"),
        ("not JSON", 2, "holds no JWK"),
        ("[]", 2, "holds no JWK"),
        ('{"kty":"EC","kty":"EC"}', 2, "holds no JWK"),
        ("x" * 70_000, 2, "holds no JWK"),
        ({**KEY.public_jwk(), "y": KEY.public_jwk()["x"]}, 1, "not a key"),
    ],
)
def test_a_file_without_a_public_key_is_refused(site: Site, tmp_path: Path, content: object, code: int, said: str):
    """A private key by mistake, a set, a page of an error; and nothing of a private one is shown."""
    ran = site.run("api", "set", site.audience, "--encryption-key", file(tmp_path, content))
    assert ran.code == code
    assert said in ran.document["message"]
    assert KEY.private_jwk()["d"] not in ran.out + ran.err
    assert site.cli("api", "show", site.audience)["encryption"] is None


def test_a_key_is_registered_changed_and_taken_away(own: Site, tmp_path: Path):
    """What is shown is the public key that was given, and how it is used."""
    made = own.cli("api", "add", "https://sealed.example", "--encryption-key", file(tmp_path, KEY.public_jwk()))
    assert made["encryption"] == {"enc": "A256GCM", "jwk": KEY.public_jwk()}
    changed = own.cli("api", "set", "https://sealed.example", "--enc", "A128CBC-HS256")
    assert changed["encryption"] == {"enc": "A128CBC-HS256", "jwk": KEY.public_jwk()}
    assert own.cli("api", "show", "https://sealed.example") == changed
    assert own.cli("api", "set", "https://sealed.example", "--no-encryption")["encryption"] is None


def test_a_key_set_that_cannot_be_read_is_registered_with_a_warning(own: Site):
    """The API may not run yet; until it does there are no tokens for it, and that is said."""
    made = own.cli("api", "set", own.audience, "--jwks-uri", NOWHERE)
    assert made["encryption"] == {"enc": "A256GCM", "jwks_uri": NOWHERE}
    assert "127.0.0.1:9/jwks.json cannot be reached" in made["warning"]
    ran: Ran = own.command("api", "set", own.audience, "--enc", "A128GCM", "--config", str(own.config))
    assert (ran.code, ran.err) == (0, "")
    assert "this API gets no tokens" in ran.out


@pytest.mark.parametrize(
    ("options", "alg", "crv"),
    [
        ((), "ECDH-ES", "P-256"),
        (("--alg", "ECDH-ES+A256KW", "--crv", "X25519"), "ECDH-ES+A256KW", "X25519"),
        (("--alg", "RSA-OAEP-256"), "RSA-OAEP-256", None),
    ],
)
def test_a_pair_is_made_registered_and_shown_once(own: Site, options: tuple[str, ...], alg: str, crv: str | None):
    """The private half is in the answer, and nowhere else."""
    made = own.cli("api", "new-encryption-key", own.audience, *options)
    private = decryption_key(made["private_jwk"])
    assert (private.alg, made["private_jwk"].get("crv")) == (alg, crv)
    assert made["encryption"] == {"enc": "A256GCM", "jwk": private.public_jwk()}
    assert encryption_key(made["encryption"]["jwk"]).thumbprint == private.thumbprint
    shown = own.cli("api", "show", own.audience)
    assert "private_jwk" not in shown
    assert "d" not in shown["encryption"]["jwk"]
    files = b"".join(path.read_bytes() for path in own.data.rglob("*") if path.is_file())
    assert made["private_jwk"]["d"].encode() not in files
    assert private.kid.encode() in files


def test_a_pair_can_be_made_before_it_is_used(own: Site, tmp_path: Path):
    """So that every process of the API has the new key before the first token comes that is encrypted to it."""
    first = own.cli("api", "new-encryption-key", own.audience)
    ran = own.command(
        "api", "new-encryption-key", own.audience, "--only-make", "--config", str(own.config)
    )  # as people see it: the key stands on a line of its own
    line = next(line for line in ran.out.splitlines() if line.startswith("{"))
    private = decryption_key(json.loads(line))
    assert own.cli("api", "show", own.audience)["encryption"] == first["encryption"]
    later = own.cli("api", "set", own.audience, "--encryption-key", file(tmp_path, private.public_jwk()))
    assert later["encryption"]["jwk"] == private.public_jwk()


def test_an_api_is_open_to_whom_nobody_registered_only_where_its_operator_says_so(site: Site):
    """When it is registered, or later, and no longer."""
    assert site.cli("api", "show", site.audience)["self_service"] is False
    opened = site.cli("api", "add", "https://open.example", "--scope", "open:read", "--self-service")
    assert opened["self_service"] is True
    for flag, wanted in (("--no-self-service", False), ("--self-service", True)):
        assert site.cli("api", "set", "https://open.example", flag)["self_service"] is wanted
        assert site.cli("api", "show", "https://open.example")["self_service"] is wanted
