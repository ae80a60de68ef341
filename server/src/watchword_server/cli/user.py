"""`watchword user`: people who sign in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from msgspec.structs import asdict

from watchword_server.cli.answers import Answer
from watchword_server.cli.asking import GeneratePassword, PasswordStdin, new_password
from watchword_server.cli.desk import Desk, at_desk, enlist, group
from watchword_server.cli.failures import Usage
from watchword_server.flows import lists, users
from watchword_server.people.values import User

Who = Annotated[str, typer.Argument(metavar="EMAIL", help="E-mail address, or the user's `sub`.")]
Email = Annotated[str, typer.Argument(metavar="EMAIL", help="E-mail address to sign in with.")]
Roles = Annotated[list[str] | None, typer.Option("--role", metavar="ROLE", help="May be repeated.")]

COLUMNS = ("email", "name", "sub", "roles", "created_at", "disabled_at")


def commands() -> typer.Typer:
    """The group of commands."""
    app = group("People who sign in.")
    for name, act in (
        ("add", add),
        ("list", list_),
        ("show", show),
        ("disable", disable),
        ("enable", enable),
        ("password", password),
        ("roles", roles),
        ("profile", profile),
    ):
        enlist(app, name, at_desk(act))
    return app


async def add(
    desk: Desk,
    email: Email,
    name: Annotated[str, typer.Option(help="How to address the person.")] = "",
    role: Roles = None,
    password_stdin: PasswordStdin = False,
    generate_password: GeneratePassword = False,
) -> Answer:
    """Register a person. Without an option the password is asked for twice."""
    secret, made = new_password(password_stdin, generate_password)
    user = await users.add(desk.issuer, desk.by, email, name, secret, tuple(role or ()), desk.now)
    return with_password(user, secret if made else None)


async def list_(
    desk: Desk,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most that many.")] = 100,
    after: Annotated[str, typer.Option(help="Only those beyond this address.")] = "",
) -> Answer:
    """List people in the order of their addresses."""
    page = await lists.users(desk.issuer, after, limit)
    rows = [record(user) for user in page]
    following = page[-1].email if len(page) == limit else None
    note = f"There may be more: --after {following}" if following else f"{len(rows)} in all." if not after else ""
    return Answer({"users": rows, "next": following}, rows, COLUMNS, note)


async def show(desk: Desk, user: Who) -> Answer:
    """Show a person and the open sessions."""
    found = await users.find(desk.issuer, user)
    sessions = [asdict(session) for session in await lists.sessions(desk.issuer, found.sub)]
    for session in sessions:
        del session["sub"], session["ended_at"]
    note = "\n".join(f"session {session['sid']} of {session['client_id']}" for session in sessions)
    return Answer({**record(found), "sessions": sessions}, [record(found)], COLUMNS, note or "No open session.")


async def disable(desk: Desk, user: Who) -> Answer:
    """Lock a person out, now and everywhere: sessions end, and every token dies."""
    return Answer(record(await users.disable(desk.issuer, desk.by, user, desk.now)))


async def enable(desk: Desk, user: Who) -> Answer:
    """Let a disabled person sign in again. What died stays dead."""
    return Answer(record(await users.enable(desk.issuer, desk.by, user, desk.now)))


async def password(
    desk: Desk, user: Who, password_stdin: PasswordStdin = False, generate_password: GeneratePassword = False
) -> Answer:
    """Give another password. Sessions end, and every token dies."""
    found = await users.find(desk.issuer, user)
    secret, made = new_password(password_stdin, generate_password)
    changed = await users.set_password(desk.issuer, desk.by, found.sub, secret, desk.now)
    return with_password(changed, secret if made else None)


async def roles(desk: Desk, user: Who, role: Roles = None) -> Answer:
    """Replace the roles; none given means none. Tokens with the old ones die, sessions stay."""
    return Answer(record(await users.set_roles(desk.issuer, desk.by, user, tuple(role or ()), desk.now)))


async def profile(
    desk: Desk,
    user: Who,
    claims: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CLAIM=VALUE",
            help="Such as name='Ada L', given_name=Ada, birthdate=1990-12-31, email_verified=true, address.country=FR."
            " An empty value takes the claim away.",
        ),
    ] = None,
) -> Answer:
    """Show what apps may be told of a person, or change it."""
    if not claims:
        return Answer(known(await users.find(desk.issuer, user)))
    return Answer(known(await users.set_profile(desk.issuer, desk.by, user, said(claims), desk.now)))


def said(claims: Sequence[str]) -> Mapping[str, str]:
    """What stands on both sides of the equals signs. Raises Usage."""
    found: dict[str, str] = {}
    for text in claims:
        name, equals, value = text.partition("=")
        if not equals or not name or name in found:
            raise Usage(f"{text}: say CLAIM=VALUE, each claim once")
        found[name] = value
    return found


def known(user: User) -> dict[str, Any]:
    """A person with all claims, as programs read it."""
    return {**record(user), "profile": dict(user.profile)}


def record(user: User) -> dict[str, Any]:
    """A person as programs read it."""
    return {
        "sub": user.sub,
        "email": user.email,
        "name": user.name,
        "roles": list(user.roles),
        "created_at": user.created_at,
        "disabled_at": user.disabled_at,
    }


def with_password(user: User, made: str | None) -> Answer:
    """A person, with the password when nobody else knows it."""
    if made is None:
        return Answer(record(user))
    return Answer({**record(user), "password": made}, note="The password is shown this once.")
