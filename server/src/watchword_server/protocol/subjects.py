"""Who a person is to a client: the same to all, or another to each sector (OpenID Connect Core §8)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection
from urllib.parse import urlsplit

from watchword.jose.b64 import b64url


def pairwise(sub: str, sector: str, salt: bytes) -> str:
    """A person's `sub` for one sector (§8.1). Who lacks the salt can neither go back nor link two sectors."""
    return b64url(hmac.digest(salt, f"{len(sector)}\n{sector}{sub}".encode(), hashlib.sha256))


def sector(redirect_uris: Collection[str]) -> str | None:
    """The host that all these have in common; None when they have several, and a sector_identifier_uri is needed."""
    hosts = {urlsplit(uri).hostname for uri in redirect_uris}
    return hosts.pop() if len(hosts) == 1 else None
