"""Sheets, icons and the one script: read once, served from memory under names that change with their content."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from typing import Final

from msgspec import Struct

from watchword_server.web.asgi import Answer, Header
from watchword_server.web.pages.brand import Brand, sheet

KINDS: Final = {
    "css": b"text/css; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
    "svg": b"image/svg+xml",
    "png": b"image/png",
    "jpg": b"image/jpeg",
}
OURS: Final = ("look.css", "mark.svg", "post.js")
_FOR_EVER: Final[Header] = (b"cache-control", b"public, max-age=31536000, immutable")
_ASK_AGAIN: Final[Header] = (b"cache-control", b"no-cache")
_GUARDED: Final[tuple[Header, ...]] = (
    # An SVG that somebody opens by itself is a document of our origin: it may run nothing there.
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Asset(Struct, frozen=True):
    """A file in memory. `path` is where pages look for it."""

    path: str
    answer: Answer
    stale: Answer
    """For a name with another content's hash: a page of another node's version, while both are running."""


def assets(brand: Brand, path: str) -> dict[str, Asset]:
    """All of them by their plain name; `path` is that of the issuer's URL. Raises UnfitBrand."""
    folder = files(__package__) / "static"
    contents = {name: (folder / name).read_bytes() for name in OURS}
    own_sheet = sheet(brand)
    if own_sheet:
        contents["brand.css"] = own_sheet.encode()
    if brand.logo is not None:
        contents[f"logo.{brand.logo.kind}"] = brand.logo.content
    return {name: _asset(name, content, path) for name, content in contents.items()}


def found(known: Mapping[str, Asset], name: str) -> Answer | None:
    """The answer for the last part of an asset's path; None where there is no such thing."""
    stem, _, rest = name.partition(".")
    _, _, kind = rest.partition(".")
    asset = known.get(f"{stem}.{kind}")
    if asset is None:
        return None
    return asset.answer if asset.path.endswith(f"/{name}") else asset.stale


def _asset(name: str, content: bytes, path: str) -> Asset:
    stem, _, kind = name.partition(".")
    mark = sha256(content).hexdigest()[:16]
    headers = ((b"content-type", KINDS[kind]), *_GUARDED)
    return Asset(
        f"{path}/assets/{stem}.{mark}.{kind}",
        Answer(200, content, (*headers, _FOR_EVER)),
        Answer(200, content, (*headers, _ASK_AGAIN)),
    )
