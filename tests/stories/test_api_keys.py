"""Keys of customers, and tokens that programs sign themselves, with real processes: used, taken back, refused."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator

import httpx2
import pytest

from tests.server.cli.conftest import in_process
from tests.stories.processes import Client, Site, User, bearer, deployment, until
from watchword.client import SelfSigned
from watchword.jose.jwk import SigningKey

PROMISE = 1.0
"""Seconds from the answer of a revocation to the first refusal."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Issuer and API are processes of their own; the many commands are run in this one, which is faster."""
    with deployment(tmp_path_factory.mktemp("site"), command=in_process) as found:
        yield found


def new_key(site: Site, client: Client, *options: str) -> tuple[str, str, str]:
    """A key with its id and its grant."""
    made = site.cli("api-key", "add", client.client_id, "--api", site.audience, "--name", "Shop 7", *options)
    return made["api_key"], made["id"], made["gid"]


@pytest.fixture(scope="module")
def customer(site: Site) -> Client:
    """A customer's program that lives on."""
    return site.new_client("Customer")


@pytest.fixture(scope="module")
def bystander(site: Site, customer: Client) -> str:
    """A key that nothing happens to."""
    return new_key(site, customer)[0]


def test_a_customer_sends_the_key_itself(site: Site, customer: Client) -> None:
    """The API trades it once, and knows whose it is and what it may do."""
    key, _, _ = new_key(site, customer, "--scope", "orders:read")
    before = site.count()["/token"]
    for _ in range(20):
        assert site.call(key) == 200
    assert site.count()["/token"] == before + 1
    told = site.http.get(f"{site.api_url}/me", headers=bearer(key)).json()
    assert (told["subject"], told["client_id"], told["scopes"]) == (
        customer.client_id,
        customer.client_id,
        ["orders:read"],
    )
    placed = site.http.post(f"{site.api_url}/orders", headers=bearer(key), json={"item": "tea"})
    assert placed.status_code == 403


def test_a_customer_trades_the_key_for_a_token(site: Site, customer: Client) -> None:
    """With nothing but the key; for as much as it may do, or less."""
    key, _, _ = new_key(site, customer)
    form = {"grant_type": "urn:watchword:api-key", "api_key": key, "scope": "orders:write"}
    answer = site.http.post(f"{site.issuer}/token", data=form)
    assert (answer.status_code, answer.json()["scope"]) == (200, "orders:write")
    assert "refresh_token" not in answer.json()
    assert site.call(answer.json()["access_token"]) == 403
    assert site.call(answer.json()["access_token"], "/me") == 200


def test_a_key_may_act_for_a_person(site: Site, customer: Client) -> None:
    """Then it is the person who is asked about, with their roles."""
    user = site.new_user("", "staff")
    key, _, _ = new_key(site, customer, "--user", user.email)
    told = site.http.get(f"{site.api_url}/me", headers=bearer(key)).json()
    assert (told["subject"], told["roles"]) == (user.sub, ["staff"])


def end_key(site: Site, id: str, gid: str, client: Client, user: User) -> None:
    site.cli("api-key", "revoke", id)


def disable_client(site: Site, id: str, gid: str, client: Client, user: User) -> None:
    site.cli("client", "disable", client.client_id)


def disable_user(site: Site, id: str, gid: str, client: Client, user: User) -> None:
    site.cli("user", "disable", user.email)


@pytest.mark.parametrize("end", [end_key, disable_client, disable_user])
def test_whatever_ends_a_key_is_known_within_a_second(site: Site, bystander: str, end: object) -> None:
    """To the API to which it is sent, and for tokens that were made of it; others go on."""
    client, user = site.new_client(), site.new_user() if end is disable_user else User("", "")
    key, id, gid = new_key(site, client, *(["--user", user.email] if user.email else []))
    form = {"grant_type": "urn:watchword:api-key", "api_key": key}
    token = site.http.post(f"{site.issuer}/token", data=form).json()["access_token"]
    assert [site.call(each) for each in (key, token, bystander)] == [200, 200, 200]
    end(site, id, gid, client, user)  # type: ignore[operator]  # one of the above
    until(lambda: site.call(key) == 401 and site.call(token) == 401, within=PROMISE)
    assert site.http.post(f"{site.issuer}/token", data=form).json()["error"] == "invalid_grant"
    assert {site.call(key) for _ in range(10)} == {401}
    assert site.call(bystander) == 200


def test_a_leaked_key_is_revoked_by_itself_and_shown_nowhere(site: Site, customer: Client) -> None:
    """Not in a list, a log or the database; its last use is known."""
    key, id, _ = new_key(site, customer)
    assert site.call(key) == 200
    (row,) = [one for one in site.cli("api-key", "list")["api_keys"] if one["id"] == id]
    assert row["last_used_at"] >= int(time.time()) - 60
    assert (row["name"], row["client_id"], row["ended_at"]) == ("Shop 7", customer.client_id, None)
    assert site.run("api-key", "revoke", "-", stdin=key).code == 0
    until(lambda: site.call(key) == 401, within=PROMISE)
    (row,) = [one for one in site.cli("api-key", "list", "--client", customer.client_id)["api_keys"] if one["id"] == id]
    assert row["ended_at"] is not None
    secret = key[12:]
    assert site.server is not None
    assert site.orders is not None
    assert secret not in site.server.said + site.orders.said + json.dumps(site.cli("api-key", "list"))
    for file in site.data.rglob("*"):
        assert not file.is_file() or secret.encode() not in file.read_bytes(), file


# Tokens that programs sign themselves.


def signing_client(site: Site, *keys: SigningKey) -> Client:
    """A client that may sign, with registered keys."""
    path = site.folder / f"{secrets.token_hex(4)}.json"
    path.write_text(json.dumps({"keys": [key.public_jwk() for key in keys]}))
    return site.new_client("Signer", "--jwks", str(path), "--signs-tokens")


def own_tokens(site: Site, client: Client, key: SigningKey, *scope: str) -> SelfSigned:
    return SelfSigned(client_id=client.client_id, key=key, audience=site.audience, scope=scope)


def test_a_program_signs_its_own_tokens_and_needs_no_issuer(site: Site) -> None:
    """The API reads a document once, and from then on nobody is asked."""
    key = SigningKey.generate("ES256")
    client = signing_client(site, key)
    own = own_tokens(site, client, key)
    before = site.count()
    with httpx2.Client(auth=own, trust_env=False) as http:
        for _ in range(20):
            assert http.get(f"{site.api_url}/orders").status_code == 200
        told = http.get(f"{site.api_url}/me").json()
    assert (told["subject"], told["scopes"]) == (client.client_id, ["orders:read", "orders:write"])
    path = f"/clients/{client.client_id}/document"
    assert site.count()[path] == 1
    assert site.count()["/token"] == before["/token"]
    assert site.call(own_tokens(site, client, key, "orders:write").token()) == 403


def test_what_ends_a_signing_client_is_known_within_a_second(site: Site) -> None:
    """Disabled, revoked, without its key, or not let any more. Tokens of before stay dead when it is let again."""
    one, other = SigningKey.generate("ES256"), SigningKey.generate("EdDSA")
    client, bystander = signing_client(site, one, other), signing_client(site, other)
    beside = own_tokens(site, bystander, other)
    assert site.call(beside.token()) == 200

    old = own_tokens(site, client, one).token()
    assert site.call(old) == 200
    site.cli("client", "disable", client.client_id)
    until(lambda: site.call(old) == 401, within=PROMISE)
    assert site.call(own_tokens(site, client, one).token()) == 401
    site.cli("client", "enable", client.client_id)
    until(lambda: site.call(own_tokens(site, client, one).token()) == 200, within=30)
    assert site.call(old) == 401

    old = own_tokens(site, client, one).token()
    assert site.call(old) == 200
    site.cli("revoke", "client", client.client_id)
    until(lambda: site.call(old) == 401, within=PROMISE)
    until(lambda: site.call(own_tokens(site, client, one).token()) == 200, within=30)
    assert site.call(old) == 401

    site.cli("client", "key", "remove", client.client_id, one.kid)
    until(lambda: site.call(own_tokens(site, client, one).token()) == 401, within=PROMISE)
    until(lambda: site.call(own_tokens(site, client, other).token()) == 200, within=30)

    site.cli("client", "set", client.client_id, "--no-signs-tokens")
    until(lambda: site.call(own_tokens(site, client, other).token()) == 401, within=PROMISE)
    assert site.call(beside.token()) == 200
