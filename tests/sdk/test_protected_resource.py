"""What an API says of itself (RFC 9728), and that it is served."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, Security

from tests.sdk.honest_issuer import AUDIENCE, Issuer
from watchword import Principal, Verifier
from watchword.errors import Misconfigured
from watchword.integrations.asgi import ResourceMetadata
from watchword.integrations.fastapi import Bearer
from watchword.protected_resource import ProtectedResource

ISSUER = "https://id.example"


def resource(url: str = "https://notes.example/mcp", **more: Any) -> ProtectedResource:
    return ProtectedResource(url=url, issuer=ISSUER, **more)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://notes.example", ""),
        ("https://notes.example/", ""),
        ("https://notes.example/mcp", "/mcp"),
        ("https://notes.example/mcp/", "/mcp"),
        ("https://notes.example:8443/a/b", "/a/b"),
        ("http://localhost:8002/mcp", "/mcp"),
    ],
)
def test_the_well_known_path_goes_before_its_own(url: str, path: str) -> None:
    """RFC 9728 §3.1; the document names the resource letter by letter (§3.3)."""
    found = resource(url)
    assert found.path == "/.well-known/oauth-protected-resource" + path
    assert found.metadata_url == "/".join(url.split("/")[:3]) + found.path
    assert json.loads(found.document())["resource"] == url


def test_it_says_what_is_known_and_no_more() -> None:
    """RFC 9728 §2."""
    plain = {
        "resource": "https://notes.example/mcp",
        "authorization_servers": [ISSUER],
        "bearer_methods_supported": ["header"],
    }
    assert json.loads(resource().document()) == plain
    more = resource(scopes=("a", "b"), name="Notes", documentation="https://notes.example/docs", dpop=True)
    found = json.loads(more.document())
    assert found["scopes_supported"] == ["a", "b"]
    assert found["resource_name"] == "Notes"
    assert "ES256" in found["dpop_signing_alg_values_supported"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://notes.example/mcp"}, {"url": "https://notes.example/mcp?x"}, {"url": "https://notes.example/#x"},
        {"url": "https://me@notes.example/"}, {"url": "notes"}, {"issuer": "http://id.example"},
        {"issuer": "https://id.example/?x"}, {"scopes": ("a b",)}, {"scopes": ('a"',)}, {"terms": "http://a.example"},
    ],
)  # fmt: skip
def test_what_would_lead_clients_astray_is_refused(wrong: dict[str, Any]) -> None:
    """At start-up, not at the first client."""
    with pytest.raises(Misconfigured):
        ProtectedResource(**{"url": "https://notes.example", "issuer": ISSUER, **wrong})


async def test_a_fastapi_app_says_where_it_is_told(issuer: Issuer) -> None:
    """In each refusal (RFC 9728 §5.1), and there any page may read it, whatever headers it sends."""
    verifier = Verifier(issuer=issuer.url, audience=AUDIENCE, jwks={"keys": [issuer.key.public_jwk()]})
    told, app = resource(), FastAPI()
    auth = Bearer(verifier, resource=told)
    app.add_middleware(ResourceMetadata, resource=told)

    @app.get("/notes")
    async def notes(principal: Principal = Security(auth, scopes=["notes:read"])) -> str:
        return principal.subject

    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="https://notes.example") as http:
        refused = await http.get("/notes")
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == f'Bearer resource_metadata="{told.metadata_url}"'
        lacking = await http.get("/notes", headers={"authorization": f"Bearer {issuer.token()}"})
        assert lacking.status_code == 403
        assert f'resource_metadata="{told.metadata_url}"' in lacking.headers["www-authenticate"]
        assert 'scope="notes:read"' in lacking.headers["www-authenticate"]
        answer = await http.get(told.path)
        assert answer.json() == json.loads(told.document())
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["content-type"] == "application/json"
        assert (await http.head(told.path)).content == b""
        asked = await http.options(told.path, headers={"access-control-request-headers": "mcp-protocol-version"})
        assert (asked.status_code, asked.headers["access-control-allow-headers"]) == (204, "*")
        assert (await http.post(told.path)).status_code == 405
        assert (await http.get("/.well-known/oauth-protected-resource")).status_code == 404
