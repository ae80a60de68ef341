"""Everything that ends with a session, as the changes that make it true: wherever one ends, these are saved."""

from __future__ import annotations

from collections.abc import Sequence

from watchword_server.changes import Change, EndGrant, EndSession, EndSessionsOf, Send
from watchword_server.flows.issuer import Issuer, revoke
from watchword_server.flows.subjects import deaths_of
from watchword_server.ports import Party
from watchword_server.revocation import deaths

BACKCHANNEL = "logout.backchannel"
"""The topic of messages that `flows/backchannel.py` delivers."""


async def of_session(issuer: Issuer, sid: str, now: int, lifetime: int) -> tuple[Change, ...]:
    """One session: its grants, its tokens everywhere by the feed, and word to who let the person in by it.

    `lifetime` is the longest of an access token, in seconds. Grants that outlive the session are left alone; their
    clients are told all the same, since they let somebody in (Back-Channel Logout §2.7).
    """
    told = await _word(issuer, await issuer.stores.grants.parties(sid), now)
    return (EndSession(sid, now), revoke(deaths.session(sid, now, lifetime)), *told)


def of_token(jti: str, exp: int, now: int) -> tuple[Change, ...]:
    """One access token, and all that came of it by exchange, which names it. `exp` is when it expires at the latest.

    A grant has the token's name where it stands for a token without one, or is that of an exchanged token.
    """
    return EndGrant(jti, now), revoke(deaths.token(jti, exp))


async def of_person(issuer: Issuer, sub: str, now: int, lifetime: int) -> tuple[Change, ...]:
    """All sessions and grants of a person, in the same way."""
    told = await _word(issuer, await issuer.stores.grants.parties_of(sub), now)
    return (EndSessionsOf(sub, now), *await deaths_of(issuer, sub, now, lifetime), *told)


async def _word(issuer: Issuer, parties: Sequence[Party], now: int) -> list[Send]:
    """A message for each client that wants to hear of it. The token is made when it leaves, and anew at each try."""
    sends = []
    for party in parties:
        client = await issuer.stores.clients.find(party.client_id)
        if client is not None and client.metadata.backchannel_logout_uri is not None:
            sends.append(Send(BACKCHANNEL, _facts(party, now), now))
    return sends


def _facts(party: Party, now: int) -> dict[str, str | int]:
    return {"client_id": party.client_id, "sub": party.sub, "sid": party.sid, "at": now}
