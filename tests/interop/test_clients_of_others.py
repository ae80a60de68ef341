"""Programs that nobody here wrote accept it: PyJWT, joserfc, Authlib, requests-oauthlib."""

from __future__ import annotations

import warnings
from pathlib import Path

import authlib
import joserfc
import jwt
import pytest
import requests
import requests_oauthlib
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url
from authlib.oidc.discovery import OpenIDProviderMetadata
from authlib.oidc.discovery import get_well_known_url as openid_well_known_url
from joserfc import jwt as joserfc_jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import KeySet
from oauthlib.oauth2 import BackendApplicationClient, LegacyApplicationClient
from requests_oauthlib import OAuth2Session

from tests.stories.processes import Site, bearer, deployment, until

pytestmark = pytest.mark.interop

REQUIRED = ["iss", "sub", "aud", "exp", "iat", "jti", "client_id"]
"""RFC 9068 §2.2."""


@pytest.fixture(autouse=True)
def loopback_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """oauthlib wants https; the test server is on loopback."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")


@pytest.fixture(scope="module")
def metadata(site: Site) -> dict[str, object]:
    """The issuer's metadata, as any program would find it."""
    found: dict[str, object] = requests.get(f"{site.issuer}/.well-known/openid-configuration", timeout=10).json()
    assert found["issuer"] == site.issuer
    return found


def pyjwt_reads(site: Site, token: str, alg: str) -> dict[str, object]:
    """The claims, verified by PyJWT with keys from the advertised set."""
    uri = requests.get(f"{site.issuer}/.well-known/oauth-authorization-server", timeout=10).json()["jwks_uri"]
    key = jwt.PyJWKClient(uri).get_signing_key_from_jwt(token)
    assert jwt.get_unverified_header(token)["typ"] == "at+jwt"
    claims: dict[str, object] = jwt.decode(
        token, key, algorithms=[alg], audience=site.audience, issuer=site.issuer, options={"require": REQUIRED}
    )
    return claims


def test_pyjwt_verifies_an_access_token(site: Site) -> None:
    """From /jwks.json alone, with every claim that RFC 9068 requires."""
    client = site.new_client()
    claims = pyjwt_reads(site, site.client_token(client, scope="orders:read"), "ES256")
    assert claims["client_id"] == claims["sub"] == client.client_id
    assert claims["scope"] == "orders:read"
    token = site.client_token(client)
    key = jwt.PyJWKClient(f"{site.issuer}/jwks.json").get_signing_key_from_jwt(token)
    with pytest.raises(jwt.InvalidAudienceError):
        jwt.decode(token, key, algorithms=["ES256"], audience="https://other.example")


def joserfc_reads(site: Site, token: str, alg: str) -> dict[str, object]:
    """The claims, verified by joserfc with the whole published set."""
    keys = KeySet.import_key_set(requests.get(f"{site.issuer}/jwks.json", timeout=10).json())
    found = joserfc_jwt.decode(token, keys, algorithms=[alg])
    assert found.header["typ"] == "at+jwt"
    registry = joserfc_jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": site.issuer},
        aud={"essential": True, "value": site.audience},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
        jti={"essential": True},
        client_id={"essential": True},
    )
    registry.validate(found.claims)
    return dict(found.claims)


def test_joserfc_verifies_an_access_token(site: Site) -> None:
    """With the claims that it has to have; and a token that was touched is refused."""
    client = site.new_client()
    token = site.client_token(client)
    assert joserfc_reads(site, token, "ES256")["sub"] == client.client_id
    head, body, signature = token.split(".")
    with pytest.raises(JoseError):
        joserfc_reads(site, f"{head}.{body}.{signature[::-1]}", "ES256")


@pytest.mark.parametrize("alg", ["RS256", "PS256", "EdDSA"])
def test_both_verify_tokens_of_other_algorithms(tmp_path: Path, alg: str) -> None:
    """`tokens.algorithm` chooses what the issuer signs with."""
    with deployment(tmp_path, settings=f'tokens.algorithm = "{alg}"') as site:
        token = site.client_token(site.new_client())
        assert pyjwt_reads(site, token, alg)["aud"] == site.audience
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # joserfc prefers the newer name of EdDSA (RFC 9864)
            assert joserfc_reads(site, token, alg)["aud"] == site.audience
        assert site.call(token) == 200


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_authlib_gets_introspects_and_revokes(site: Site, metadata: dict[str, object], method: str) -> None:
    """client_credentials; the API introspects it (RFC 7662); the client revokes it (RFC 7009), and the API refuses."""
    client = site.new_client()
    with AuthlibSession(
        client.client_id, client.secret, token_endpoint_auth_method=method, revocation_endpoint_auth_method=method
    ) as session:
        token = session.fetch_token(metadata["token_endpoint"], grant_type="client_credentials", scope="orders:read")
        assert (token["token_type"], token["scope"]) == ("Bearer", "orders:read")
        assert session.get(f"{site.api_url}/orders", timeout=10).status_code == 200
        with AuthlibSession(site.api.client_id, site.api.secret) as api:
            asked = api.introspect_token(metadata["introspection_endpoint"], token=token["access_token"])
            assert asked.json()["active"] is True
        answer = session.revoke_token(metadata["revocation_endpoint"], token=token["access_token"])
        assert answer.status_code == 200
    until(lambda: site.call(token["access_token"]) == 401, within=1)


def test_authlib_finds_the_metadata_good(site: Site) -> None:
    """At the places and with the members that RFC 8414 and OpenID Connect Discovery give."""
    AuthorizationServerMetadata(_found(get_well_known_url(site.issuer, external=True))).validate()
    OpenIDProviderMetadata(_found(openid_well_known_url(site.issuer, external=True))).validate()


def _found(url: str) -> dict[str, object]:
    found: dict[str, object] = requests.get(url, timeout=10).json()
    return found


def test_authlib_refreshes_for_a_confidential_client(site: Site, metadata: dict[str, object]) -> None:
    """With its secret in the header or in the form; what it revokes then is refused from there on."""
    app, user = site.new_client("Web", "--grant", "refresh_token", first_party=True), site.new_user()
    token = site.sign_in(user, app)
    for method in ("client_secret_basic", "client_secret_post"):
        with AuthlibSession(
            app.client_id, app.secret, token_endpoint_auth_method=method, revocation_endpoint_auth_method=method
        ) as session:
            token = session.refresh_token(metadata["token_endpoint"], refresh_token=token["refresh_token"])
            assert site.call(token["access_token"]) == 200
    with AuthlibSession(app.client_id, app.secret) as session:
        answer = session.revoke_token(metadata["revocation_endpoint"], token=token["refresh_token"])
        assert answer.status_code == 200
        until(lambda: site.call(token["access_token"]) == 401, within=1)
        with pytest.raises(OAuthError, match="invalid_grant"):
            session.refresh_token(metadata["token_endpoint"], refresh_token=token["refresh_token"])


def test_authlib_refreshes(site: Site, metadata: dict[str, object]) -> None:
    """A public client's refresh token is replaced at each use."""
    app, user = site.new_client("App", first_party=True, public=True), site.new_user()
    first = site.sign_in(user, app)
    with AuthlibSession(app.client_id, token_endpoint_auth_method="none") as session:
        second = session.refresh_token(metadata["token_endpoint"], refresh_token=first["refresh_token"])
        third = session.refresh_token(metadata["token_endpoint"], refresh_token=second["refresh_token"])
    assert len({token["refresh_token"] for token in (first, second, third)}) == 3
    assert site.call(third["access_token"]) == 200


def test_requests_oauthlib_gets_a_token(site: Site, metadata: dict[str, object]) -> None:
    """BackendApplicationClient, with the secret in the header; then it calls the API."""
    client = site.new_client()
    session = OAuth2Session(client=BackendApplicationClient(client.client_id, scope=["orders:read"]))
    token = session.fetch_token(metadata["token_endpoint"], auth=client.auth)
    assert token["expires_in"] == 900
    assert session.get(f"{site.api_url}/orders", timeout=10).status_code == 200
    assert requests.get(f"{site.api_url}/orders", headers=bearer(token["access_token"]), timeout=10).ok


def test_the_password_grant_stays_gone(site: Site, metadata: dict[str, object]) -> None:
    """OAuth 2.1 has no password grant, and requests-oauthlib hears it as the specification says."""
    client, user = site.new_client(), site.new_user()
    session = OAuth2Session(client=LegacyApplicationClient(client.client_id))
    with pytest.raises(Exception, match="unsupported_grant_type"):
        session.fetch_token(metadata["token_endpoint"], username=user.email, password=user.password, auth=client.auth)


def test_the_versions_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """So that a figure in a note can be read later."""
    found = (jwt.__version__, joserfc.__version__, authlib.__version__, requests_oauthlib.__version__)
    with capsys.disabled():
        print("\n  PyJWT {}, joserfc {}, Authlib {}, requests-oauthlib {}".format(*found))
