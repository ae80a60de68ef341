"""Administering people."""

from __future__ import annotations

from collections.abc import Mapping

from watchword_server.changes import Add, Send, SetPassword, SetProfile, SetRoles, SetUserDisabled
from watchword_server.flows import endings
from watchword_server.flows.administration import Operator, Refused, Taken, Unknown
from watchword_server.flows.issuer import Issuer, audit
from watchword_server.flows.subjects import deaths_of
from watchword_server.people.addresses import BadAddress, canonical
from watchword_server.people.passwords import WeakPassword, acceptable
from watchword_server.people.profile import BadProfile, changed, line
from watchword_server.people.roles import BadRole, role_names
from watchword_server.people.values import User
from watchword_server.ports import Conflict


async def add(
    issuer: Issuer, by: Operator, email: str, name: str, password: str, roles: tuple[str, ...], now: int
) -> User:
    """Register a person. Raises Taken, or Refused when the address, a role or the password will not do."""
    address = _address(email)
    hashed = await issuer.hasher.hash(_password(password, address))
    user = User(issuer.subject(), address, name, hashed, _roles(roles), now)
    try:
        await issuer.stores.journal.save(
            Add(user), audit(by.caller, now, by.actor, "user.add", target=f"user:{user.sub}")
        )
    except Conflict as error:
        raise Taken(f"{address} is registered already; see it with `watchword user show {address}`") from error
    return user


async def find(issuer: Issuer, name: str) -> User:
    """By e-mail address or `sub`."""
    user = await issuer.stores.users.find(name)
    if user is None and "@" in name:
        user = await issuer.stores.users.named(_address(name))
    if user is None:
        raise Unknown(f"no user {name}; list them with `watchword user list`")
    return user


async def set_password(issuer: Issuer, by: Operator, name: str, password: str, now: int) -> User:
    """Give another password; every session and token of before dies with the old one (ASVS 7.4.3)."""
    user = await find(issuer, name)
    hashed = await issuer.hasher.hash(_password(password, user.email))
    head = await issuer.stores.log.head()
    await issuer.stores.journal.save(
        SetPassword(user.sub, hashed),
        *await endings.of_person(issuer, user.sub, now, head.lifetime),
        audit(by.caller, now, by.actor, "user.password", target=f"user:{user.sub}"),
        Send("notice.password_changed", {"sub": user.sub}, now),
    )
    return user


async def set_profile(issuer: Issuer, by: Operator, who: str, said: Mapping[str, str], now: int) -> User:
    """Change what is known of a person: `name`, or claims as `people.profile` reads them; empty takes away.

    Tokens and sessions stay: what was told before was true then.
    """
    user = await find(issuer, who)
    claims = {name: text for name, text in said.items() if name != "name"}
    try:
        profile = changed(user.profile, claims, now)
        name = line(said["name"]) if "name" in said else user.name
    except BadProfile as error:
        raise Refused(str(error)) from error
    names = " ".join(sorted(said))
    row = audit(by.caller, now, by.actor, "user.profile", target=f"user:{user.sub}", claims=names)
    await issuer.stores.journal.save(SetProfile(user.sub, name, profile), row)
    return await find(issuer, user.sub)


async def set_roles(issuer: Issuer, by: Operator, name: str, roles: tuple[str, ...], now: int) -> User:
    """Give other roles; tokens with the old ones die, sessions stay and refresh to the new ones."""
    user = await find(issuer, name)
    head = await issuer.stores.log.head()
    await issuer.stores.journal.save(
        SetRoles(user.sub, _roles(roles)),
        *await deaths_of(issuer, user.sub, now, head.lifetime),
        audit(by.caller, now, by.actor, "user.roles", target=f"user:{user.sub}", roles=" ".join(roles)),
    )
    return await find(issuer, user.sub)


async def disable(issuer: Issuer, by: Operator, name: str, now: int) -> User:
    """Lock a person out, now and everywhere."""
    user = await find(issuer, name)
    head = await issuer.stores.log.head()
    await issuer.stores.journal.save(
        SetUserDisabled(user.sub, now),
        *await endings.of_person(issuer, user.sub, now, head.lifetime),
        audit(by.caller, now, by.actor, "user.disable", target=f"user:{user.sub}"),
    )
    return await find(issuer, user.sub)


async def enable(issuer: Issuer, by: Operator, name: str, now: int) -> User:
    """Let a disabled person sign in again; what died stays dead."""
    user = await find(issuer, name)
    await issuer.stores.journal.save(
        SetUserDisabled(user.sub, None), audit(by.caller, now, by.actor, "user.enable", target=f"user:{user.sub}")
    )
    return await find(issuer, user.sub)


def _address(email: str) -> str:
    try:
        return canonical(email)
    except BadAddress as error:
        raise Refused(f"{email!r}: {error}") from error


def _password(password: str, email: str) -> str:
    try:
        return acceptable(password, email)
    except WeakPassword as error:
        raise Refused(str(error)) from error


def _roles(roles: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return role_names(roles)
    except BadRole as error:
        raise Refused(str(error)) from error
