"""People make themselves an account, where the operator lets them."""

from __future__ import annotations

from watchword_server.changes import Add
from watchword_server.flows import at_browser
from watchword_server.flows.at_browser import Entered, Visitor
from watchword_server.flows.issuer import Issuer, audit
from watchword_server.people.addresses import canonical
from watchword_server.people.passwords import acceptable
from watchword_server.people.values import User
from watchword_server.ports import Busy, Conflict
from watchword_server.protocol.errors import AccessDenied, TemporarilyUnavailable, TooManyAttempts
from watchword_server.protocol.values import Interaction


class NotThisAddress(Exception):
    """No account can be made with this e-mail address."""


async def sign_up(
    issuer: Issuer, visitor: Visitor, waiting: Interaction | None, email: str, name: str, password: str, now: float
) -> Entered:
    """Make an account and sign in with it.

    Raises AccessDenied where people cannot, BadAddress, WeakPassword, NotThisAddress, TooManyAttempts,
    TemporarilyUnavailable. The password is hashed before the address is looked up, so both take equally long.
    """
    if not issuer.terms.sign_up:
        raise AccessDenied("people cannot make themselves an account here")
    address = canonical(email)
    text = acceptable(password, address)
    # Accounts are made by people, a few an hour from one place; whoever tries addresses out does it faster.
    pause = await issuer.attempts.begin((f"sign-up:{visitor.caller.address}",), now)
    if pause:
        raise TooManyAttempts("too many accounts from one address", pause)
    head = await issuer.stores.log.head()
    try:
        hashed = await issuer.hasher.hash(text)
    except Busy as error:
        raise TemporarilyUnavailable("too many sign-ins at once") from error
    user = User(issuer.subject(), address, name, hashed, (), int(now), profile={"email_verified": False})
    if await issuer.stores.users.named(address) is not None:
        raise NotThisAddress("an account has this address already")
    made = (Add(user), audit(visitor.caller, now, f"user:{user.sub}", "user.add", target=f"user:{user.sub}"))
    try:
        await issuer.stores.journal.save(*made)
    except Conflict as error:
        raise NotThisAddress("an account has this address already") from error
    return await at_browser.enter(issuer, head, visitor, waiting, user, now)
