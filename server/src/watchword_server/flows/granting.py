"""The grant that a person gives in a session, at whichever page."""

from __future__ import annotations

from watchword_server.flows.issuer import Issuer
from watchword_server.people.values import Session
from watchword_server.protocol.claims import NOTHING, ClaimsRequest
from watchword_server.protocol.targets import OFFLINE
from watchword_server.protocol.values import Authentication, Client, Grant


def given_in(
    issuer: Issuer,
    session: Session,
    client: Client,
    audience: str,
    scope: tuple[str, ...],
    acr: str | None,
    now: int,
    claims: ClaimsRequest = NOTHING,
) -> Grant:
    """One that ends with the session; an offline one outlives it, and its tokens name no session."""
    offline = OFFLINE in scope
    told = Authentication(sid=session.sid, auth_time=session.auth_time, amr=session.amr, acr=acr, claims=claims)
    return Grant(
        issuer.identifier(),
        client.client_id,
        session.sub,
        audience,
        scope,
        now,
        now + issuer.terms.offline_lifetime if offline else session.expires_at,
        sid=None if offline else session.sid,
        made_in=session.sid,
        authentication=told,
    )
