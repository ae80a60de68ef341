"""`watchword init`: the first administrator of a new deployment."""

from __future__ import annotations

from typing import Annotated

import typer

from watchword_server.cli.answers import Answer
from watchword_server.cli.asking import GeneratePassword, PasswordStdin, new_password
from watchword_server.cli.desk import Desk
from watchword_server.cli.user import with_password
from watchword_server.flows import lists, users
from watchword_server.flows.administration import Taken

Email = Annotated[str, typer.Option(metavar="EMAIL", help="E-mail address to sign in with.")]


async def init(
    desk: Desk,
    email: Email,
    name: Annotated[str, typer.Option(help="How to address the person.")] = "",
    password_stdin: PasswordStdin = False,
    generate_password: GeneratePassword = False,
) -> Answer:
    """Make the first administrator. Without an option the password is asked for twice."""
    there = await lists.administrator(desk.issuer)
    if there is not None:
        raise Taken(f"{there.email} is an administrator already; give others `watchword user roles EMAIL --role admin`")
    secret, made = new_password(password_stdin, generate_password)
    user = await users.add(desk.issuer, desk.by, email, name, secret, (lists.ADMIN,), desk.now)
    return with_password(user, secret if made else None)
