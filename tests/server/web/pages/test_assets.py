"""Sheets, icons and the one script."""

from __future__ import annotations

import re

import httpx2
import pytest
from starlette.routing import Router

from watchword_server.web.pages.brand import Brand, Logo
from watchword_server.web.pages.rendering import Pages
from watchword_server.web.pages.routes import routes
from watchword_server.web.refusals import NotFound

BRAND = Brand(name="Halyard", color="#0e6b5c", logo=Logo(b"<svg onload='alert(1)'/>", "svg"))
PAGES = Pages(BRAND, "https://id.example.com/tenant")
PATHS = {name.split(".")[0]: asset.path for name, asset in PAGES._assets.items()}


async def fetched(path: str) -> httpx2.Response:
    """What stands there."""
    app = Router(routes(PAGES, "/tenant"), default=None)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="https://id.example.com") as http:
        return await http.get(path)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("look", "text/css; charset=utf-8"),
        ("brand", "text/css; charset=utf-8"),
        ("mark", "image/svg+xml"),
        ("logo", "image/svg+xml"),
        ("post", "text/javascript; charset=utf-8"),
    ],
)
async def test_an_asset_is_kept_for_ever_under_the_name_of_its_content(name: str, kind: str) -> None:
    """Another content has another name, under the issuer's path."""
    assert re.fullmatch(rf"/tenant/assets/{name}\.[0-9a-f]{{16}}\.[a-z]+", PATHS[name])
    found = await fetched(PATHS[name])
    assert (found.status_code, found.headers["content-type"]) == (200, kind)
    assert found.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert found.headers["content-length"] == str(len(found.content))


async def test_a_page_of_another_version_still_finds_its_sheet() -> None:
    """While nodes of two versions run; but nobody keeps that answer."""
    found = await fetched("/tenant/assets/look.0123456789abcdef.css")
    assert found.content == (await fetched(PATHS["look"])).content
    assert found.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("name", ["look", "look.x.js", "views.0.py", "look.0123456789abcdef.css.map", "%00"])
async def test_what_is_no_asset_is_not_found(name: str) -> None:
    """No name leads to a file: they all stand in memory."""
    with pytest.raises(NotFound):
        await fetched(f"/tenant/assets/{name}")


async def test_a_logo_runs_nothing_even_when_it_is_opened_by_itself() -> None:
    """An SVG is a document of our origin then."""
    found = await fetched(PATHS["logo"])
    assert "default-src 'none'" in found.headers["content-security-policy"]
    assert "sandbox" in found.headers["content-security-policy"]


def test_another_content_has_another_name() -> None:
    """Else a browser would keep the old one for a year."""
    other = Pages(Brand(color="#0e6b5d"), "https://id.example.com/tenant")
    assert other._assets["brand.css"].path != PATHS["brand"]
    assert other._assets["look.css"].path == PATHS["look"]
    assert "brand.css" not in Pages(Brand(), "https://id.example.com")._assets
