"""API keys in requests: as a bearer token, and in a header of their own where the API names one."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import pytest
from fastapi import FastAPI, Security
from starlette.testclient import TestClient

from tests.sdk.honest_issuer import Issuer
from watchword import Principal, Verifier
from watchword.errors import InvalidRequest, Malformed, Misconfigured, MissingToken, WrongConfirmation
from watchword.integrations.bearer import Bearing, Carriers, carried
from watchword.integrations.fastapi import Bearer

KEY = f"ww_{secrets.token_hex(4)}_{secrets.token_urlsafe(32)}"
NAMED = Carriers(cookie="access", origins=frozenset({"https://app.example"}), api_key_header="X-API-Key")


def test_a_key_comes_as_a_bearer_token_or_where_the_api_says() -> None:
    """Elsewhere the header is just some header."""
    assert carried(Bearing("GET", (f"Bearer {KEY}",)), Carriers()) == (KEY, None)
    assert carried(Bearing("POST", api_key=(KEY,)), NAMED) == (KEY, None)
    with pytest.raises(MissingToken):
        carried(Bearing("GET", api_key=(KEY,)), Carriers())


@pytest.mark.parametrize(
    ("bearing", "error"),
    [
        (Bearing("GET", (f"Bearer {KEY}",), api_key=(KEY,)), InvalidRequest),
        (Bearing("GET", cookie=("access=eyJ.eyJ.c2ln",), api_key=(KEY,)), InvalidRequest),
        (Bearing("GET", api_key=(KEY, KEY)), InvalidRequest),
        (Bearing("GET", api_key=("eyJ.eyJ.c2ln",)), Malformed),
        (Bearing("GET", api_key=("",)), Malformed),
        (Bearing("GET", api_key=(KEY,), query="access_token=x"), InvalidRequest),
        (Bearing("GET", api_key=(KEY,), dpop=("proof",)), WrongConfirmation),
    ],
)
def test_two_of_them_or_another_token_in_its_place_are_refused(bearing: Bearing, error: type[Exception]) -> None:
    """One credential a request, and each where it belongs."""
    with pytest.raises(error):
        carried(bearing, NAMED)


def test_a_header_has_a_name() -> None:
    """At once."""
    with pytest.raises(Misconfigured):
        Carriers(api_key_header="X API Key")


def test_an_api_takes_keys_in_its_own_header(issuer: Issuer, verifier_of: Callable[..., Verifier]) -> None:
    """With FastAPI: the same principal, the same scopes; and a stranger's key is a 401."""
    issuer.customers[KEY] = {"sub": "customer-7", "scope": "orders:read"}
    app, auth = FastAPI(), Bearer(verifier_of(issuer), api_key_header="X-API-Key")
    may_read, may_write = Security(auth, scopes=["orders:read"]), Security(auth, scopes=["orders:write"])

    @app.get("/orders")
    async def orders(principal: Principal = may_read) -> str:
        return principal.subject

    @app.delete("/orders")
    async def cancel(principal: Principal = may_write) -> str:
        return principal.subject

    with TestClient(app) as http:
        assert http.get("/orders", headers={"x-api-key": KEY}).json() == "customer-7"
        assert http.get("/orders", headers={"authorization": f"Bearer {KEY}"}).json() == "customer-7"
        assert http.delete("/orders", headers={"x-api-key": KEY}).status_code == 403
        refused = http.get("/orders", headers={"x-api-key": KEY[:-1] + "_"})
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_token")
        assert KEY[12:-1] not in refused.text
        assert http.get("/orders").status_code == 401
