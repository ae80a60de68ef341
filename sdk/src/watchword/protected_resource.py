"""What an API says of itself, so that clients find out by themselves where to get tokens for it (RFC 9728)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from watchword.dpop import ALGS
from watchword.errors import Misconfigured
from watchword.wire.metadata import checked, checked_issuer

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"
_SCOPE: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")


@dataclass(frozen=True, slots=True)
class ProtectedResource:
    """An API as its clients are told of it.

    `url` is what they call and what tokens are for: the audience, letter by letter. `scopes` are those that a client
    needs for a beginning; what else it needs for a certain request, the refusal of that request tells it. `name`,
    `documentation`, `policy` and `terms` are for people. `dpop` says that tokens which are bound to a key are taken.
    Raises Misconfigured.
    """

    url: str
    issuer: str
    scopes: tuple[str, ...] = ()
    name: str | None = None
    documentation: str | None = None
    policy: str | None = None
    terms: str | None = None
    dpop: bool = False

    def __post_init__(self) -> None:
        if "?" in checked(self.url, "url") or "#" in self.url:
            raise Misconfigured("url must not have a query or a fragment")
        checked_issuer(self.issuer)
        if not all(_SCOPE.fullmatch(scope) for scope in self.scopes):
            raise Misconfigured("a scope has no space, no quote and no backslash (RFC 6749 §3.3)")
        for what in ("documentation", "policy", "terms"):
            if getattr(self, what) is not None:
                checked(getattr(self, what), what)

    @property
    def path(self) -> str:
        """Where the document lies on the API's host: the well-known path goes before the API's own (§3.1)."""
        return WELL_KNOWN + urlsplit(self.url).path.rstrip("/")

    @property
    def metadata_url(self) -> str:
        """Where the document lies: what a refusal names as `resource_metadata` (§5.1)."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}{self.path}"

    def document(self) -> bytes:
        """The document (§2); what is not known is left out."""
        said: dict[str, Any] = {
            "resource": self.url,
            "authorization_servers": [self.issuer],
            "scopes_supported": list(self.scopes) or None,
            "bearer_methods_supported": ["header"],
            "resource_name": self.name,
            "resource_documentation": self.documentation,
            "resource_policy_uri": self.policy,
            "resource_tos_uri": self.terms,
            "dpop_signing_alg_values_supported": list(ALGS) if self.dpop else None,
        }
        return msgspec.json.encode({name: value for name, value in said.items() if value is not None})
