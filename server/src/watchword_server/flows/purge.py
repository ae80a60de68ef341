"""Forgetting what has expired."""

from __future__ import annotations

from watchword_server.flows.issuer import Issuer


async def purge(issuer: Issuer, now: int) -> int:
    """Delete a batch of what nobody can need any more; how many rows went. Call again while it is not 0."""
    horizon = (now - issuer.terms.audit_retention) * 1000
    return await issuer.stores.journal.purge(now, horizon)
