"""What an access token tells of the sign-in, so that an API can ask for a better one (RFC 9470)."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.server.web.asking import Site, answer, asking
from tests.server.web.follower import claims
from tests.servers.loopback import until


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server of this file's own."""
    with asking(tmp_path_factory.mktemp("step-up")) as found:
        yield found


def told(site: Site, code: str) -> dict[str, object]:
    """The claims of the access token that a code gives."""
    return claims(site.redeem(code).json()["access_token"])


def test_a_token_tells_when_the_person_signed_in(site: Site) -> None:
    """Also one that has nothing of OpenID Connect (RFC 9470 §6); its class only where one was asked for."""
    before = int(time.time())
    found = told(site, site.code(scope="orders:read"))
    assert before <= int(str(found["auth_time"])) <= time.time()
    assert "acr" not in found


@pytest.mark.parametrize("scope", ["orders:read", "openid orders:read"])
def test_a_client_that_asks_for_a_class_gets_a_token_that_names_it(site: Site, scope: str) -> None:
    """What the API's challenge said goes into `acr_values` (RFC 9470 §4)."""
    assert told(site, site.code(scope=scope, acr_values="1"))["acr"] == "1"


def test_a_client_that_comes_back_with_max_age_gets_a_younger_sign_in(site: Site) -> None:
    """The person shows once more who they are, and the token says so; one that is refreshed keeps its time."""
    person = site.person()
    first = site.redeem(site.code(person)).json()
    began = int(str(claims(first["access_token"])["auth_time"]))
    until(lambda: time.time() >= began + 2, within=10)
    plain = told(site, site.code(person))
    assert plain["auth_time"] == began
    younger = told(site, answer(person.authorize(site.url(max_age="1")))["code"])
    assert int(str(younger["auth_time"])) > began
    refreshed = site.refresh(first["refresh_token"]).json()
    assert claims(refreshed["access_token"])["auth_time"] == began


def test_a_first_partys_token_tells_it_too(site: Site) -> None:
    """Its person signed in with a password, just now."""
    before = int(time.time())
    found = claims(site.served.sign_in().json()["access_token"])
    assert before <= int(str(found["auth_time"])) <= time.time()
