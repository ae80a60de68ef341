"""Getting tokens: the flow as a generator of requests, and thin drivers around it."""

from __future__ import annotations

from watchword.client.credentials import ClientCredentials

__all__ = ["ClientCredentials"]
