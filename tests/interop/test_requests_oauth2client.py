"""requests-oauth2client, which nobody here wrote: it signs who it is, exchanges tokens, and waits as a device does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
import requests
from jwskate import Jwk
from requests_oauth2client import (
    BearerToken,
    ClientSecretJwt,
    DeviceAuthorizationPollingJob,
    EndpointError,
    InvalidClient,
    InvalidGrant,
    OAuth2Client,
    PrivateKeyJwt,
)

from tests.interop.relying import Override
from tests.servers.loopback import until
from tests.stories.oidf.browser import Browser
from tests.stories.oidf.page import Page
from tests.stories.oidf.person import Person
from tests.stories.oidf.wire import Wire
from tests.stories.processes import Site

pytestmark = pytest.mark.interop

NO_TLS: Final = Override(True, "`testing`: the issuer of the tests is on loopback, without TLS; it only takes https")
AUD: Final = Override("{issuer}", "`aud`: it names the URL that it asks, and the issuer wants its own name")
DEVICES: Final = Override("{issuer}/device_authorization", "`device_authorization_endpoint`: it does not read this one")
BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
DEVICE: Final = "urn:ietf:params:oauth:grant-type:device_code"
SCOPE: Final = "orders:read"


def client(site: Site, auth: Any) -> OAuth2Client:
    """What it makes of the metadata, and of nothing else."""
    url = f"{site.issuer}/.well-known/openid-configuration"
    devices = DEVICES.value.format(issuer=site.issuer)
    more = {"device_authorization_endpoint": devices, "testing": NO_TLS.value}
    return OAuth2Client.from_discovery_endpoint(url, site.issuer, auth=auth, **more)


def keyed(site: Site, folder: Path, *options: str) -> tuple[str, Jwk]:
    """A client with a key of the library's own, registered by its public half."""
    key = Jwk.generate(alg="ES256").with_kid_thumbprint()
    (folder / "jwk.json").write_text(json.dumps({"keys": [dict(key.public_jwk())]}))
    signs = ("--auth-method", "private_key_jwt", "--jwks", str(folder / "jwk.json"))
    return site.new_client("Keyed", *signs, *options).client_id, key


def by_key(site: Site, client_id: str, key: Jwk) -> PrivateKeyJwt:
    """How it signs who it is."""
    return PrivateKeyJwt(client_id, key, aud=AUD.value.format(issuer=site.issuer))


def test_it_signs_with_its_key(site: Site, tmp_path: Path) -> None:
    """private_key_jwt: a token that the API takes, asked about and taken back by the same way."""
    client_id, key = keyed(site, tmp_path)
    own = client(site, by_key(site, client_id, key))
    token = own.client_credentials(scope=SCOPE)
    assert (token.token_type, token.scope) == ("Bearer", SCOPE)
    assert requests.get(f"{site.api_url}/orders", auth=token, timeout=10).status_code == 200
    assert own.introspect_token(token)["client_id"] == client_id
    assert own.revoke_access_token(token) is True
    until(lambda: site.call(token.access_token) == 401, within=10)
    with pytest.raises(InvalidClient):
        client(site, by_key(site, client_id, Jwk.generate(alg="ES256").with_kid_thumbprint())).client_credentials()


def test_as_it_comes_it_needs_a_setting_here(site: Site, tmp_path: Path) -> None:
    """It names the token endpoint: refused, unless an operator has said that this client may."""
    client_id, key = keyed(site, tmp_path)
    with pytest.raises(InvalidClient):
        client(site, PrivateKeyJwt(client_id, key)).client_credentials(scope=SCOPE)
    site.cli("client", "set", client_id, "--assertions-for-token-endpoint")
    assert client(site, PrivateKeyJwt(client_id, key)).client_credentials(scope=SCOPE).scope == SCOPE


def test_it_signs_with_its_secret(site: Site) -> None:
    """client_secret_jwt."""
    made = site.new_client("Signing", "--auth-method", "client_secret_jwt")
    auth = ClientSecretJwt(made.client_id, made.secret, aud=AUD.value.format(issuer=site.issuer))
    assert client(site, auth).client_credentials(scope=SCOPE).scope == SCOPE


def test_it_trades_a_signature_for_a_token(site: Site, tmp_path: Path) -> None:
    """jwt-bearer (RFC 7523 §2.1): the same assertion a second time is no grant."""
    client_id, key = keyed(site, tmp_path, "--grant", BEARER)
    own = client(site, by_key(site, client_id, key))
    assertion = by_key(site, client_id, key).client_assertion(site.issuer)
    assert own.jwt_bearer(assertion, scope=SCOPE).scope == SCOPE
    with pytest.raises(InvalidGrant):
        own.jwt_bearer(assertion, scope=SCOPE)


def test_it_exchanges_a_persons_token(site: Site, tmp_path: Path) -> None:
    """RFC 8693: less than the token that it was given, and who acts stands in it."""
    app, user = site.new_client("App", first_party=True), site.new_user()
    given = site.sign_in(user, app)["access_token"]
    client_id, key = keyed(site, tmp_path, "--grant", EXCHANGE, "--acts-for", app.client_id)
    own = client(site, by_key(site, client_id, key))
    token = own.token_exchange(subject_token=BearerToken(given), scope=SCOPE, resource=site.audience)
    assert token.scope == SCOPE
    said = own.introspect_token(token)
    assert (said["sub"], said["client_id"]) == (user.sub, client_id)
    assert site.call(token.access_token) == 200
    stranger, other = keyed(site, tmp_path, "--grant", EXCHANGE)
    with pytest.raises(EndpointError) as refused:
        client(site, by_key(site, stranger, other)).token_exchange(subject_token=BearerToken(given))
    assert refused.value.error == "invalid_request"


def test_it_waits_until_a_person_has_allowed_it(site: Site, tmp_path: Path) -> None:
    """RFC 8628, with its own polling: pending, allowed at a browser, and then tokens."""
    client_id, key = keyed(site, tmp_path, "--grant", DEVICE, "--grant", "refresh_token")
    own, user = client(site, by_key(site, client_id, key)), site.new_user()
    begun = own.authorize_device(scope=f"openid {SCOPE}")
    job = DeviceAuthorizationPollingJob(own, begun, interval=begun.interval)
    assert job() is None
    with httpx2.HTTPTransport(trust_env=False) as transport:
        person = Person(Browser(Wire(transport), site.issuer), user.email, user.password)
        shown = person.authorize(begun.verification_uri_complete)
    assert isinstance(shown, Page)
    tokens = job()
    assert tokens is not None
    assert site.call(tokens.access_token) == 200
    assert own.refresh_token(tokens).access_token != tokens.access_token
