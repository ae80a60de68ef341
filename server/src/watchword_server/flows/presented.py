"""Reading an access token of our own, with exactly the code that the SDK verifies with."""

from __future__ import annotations

from watchword.errors import InvalidToken
from watchword.jose import jws, jwt
from watchword.jose.kinds import Kind
from watchword.policy import Opener, Policy, Principal
from watchword_server.flows.encryption import unsealed
from watchword_server.flows.issuer import Issuer
from watchword_server.protocol.errors import InvalidSession

MAX_TOKEN = 16 * 1024
"""Bytes of the longest access token."""


async def presented(
    issuer: Issuer, token: str, now: int, audience: str | None = None, bound: bool = False
) -> Principal:
    """What a token says, or InvalidSession: of us, alive, not revoked.

    The audience may be any API that is registered here, or the issuer itself for tokens that are about a person and
    nothing else; unless one is named. The log is read to its end first, so a revocation that another process committed
    a moment ago counts. Of an encrypted token, what is signed inside is judged.

    One that is bound to a key is good only where that counts (`bound`): where somebody has yet to prove that they hold
    it, or nobody uses the token.
    """
    token = await unsealed(issuer, token)
    head = await issuer.stores.log.head()
    ring = await issuer.keyring.at(head, now)
    try:
        _, payload = jws.verify(token, ring.trusted, (Kind.ACCESS_TOKEN,), MAX_TOKEN)
        aud = jwt.claims(payload).get("aud")
        if not isinstance(aud, str) or (audience is not None and aud != audience):
            raise InvalidSession("token is for another API")
        if aud != issuer.terms.issuer and await issuer.stores.apis.find(aud, head) is None:
            raise InvalidSession("token is for an API that is not registered")
        opener = Opener(Policy(issuer.terms.issuer, aud, max_lifetime=head.lifetime))
        opener.trust(ring.trusted)
        principal = opener.open(token, now, bound=bound).principal
    except InvalidToken as error:
        raise InvalidSession(str(error)) from error
    killed = await issuer.feed.kills(principal)
    if killed is not None:
        raise InvalidSession(f"revoked by {killed}")
    return principal
