"""Getting tokens: the flow as a generator of requests, and thin drivers around it."""

from __future__ import annotations

from watchword.client.bound_token import BoundToken
from watchword.client.credentials import ClientCredentials
from watchword.client.self_signed import SelfSigned, signing_key

__all__ = ["BoundToken", "ClientCredentials", "SelfSigned", "signing_key"]
