"""Secrets and other things that are asked for. None of them is an argument: the process list shows arguments."""

from __future__ import annotations

import secrets
import sys
from typing import Annotated, Final

import typer

from watchword_server.cli.failures import Usage

LONGEST: Final = 64 * 1024
"""Characters that are read from standard input."""

PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]
GeneratePassword = Annotated[bool, typer.Option("--generate-password", help="Make a password and show it once.")]
TokenArgument = Annotated[str, typer.Argument(metavar="TOKEN", help="The token; `-` reads it from standard input.")]


def new_password(from_stdin: bool, generate: bool) -> tuple[str, bool]:
    """A password, and whether it was made here and must be shown. Raises Usage."""
    if from_stdin and generate:
        raise Usage("say --password-stdin or --generate-password, not both")
    if generate:
        return secrets.token_urlsafe(16), True
    if from_stdin:
        return from_standard_input("password"), False
    if not sys.stdin.isatty():
        raise Usage("no terminal to ask at: say --password-stdin or --generate-password")
    return typer.prompt("Password", hide_input=True, confirmation_prompt="Once more", err=True), False


def token(argument: str) -> str:
    """The token itself."""
    return from_standard_input("token") if argument == "-" else argument


def from_standard_input(what: str) -> str:
    """The first line of standard input, which must be the only one."""
    text = sys.stdin.read(LONGEST + 1).removesuffix("\n").removesuffix("\r")
    if not text or "\n" in text or len(text) > LONGEST:
        raise Usage(f"standard input must hold the {what}, on one line")
    return text


def confirmed(question: str, yes: bool) -> None:
    """Go on only when a person says so, or said so before. Raises Usage."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Usage("no terminal to ask at: say --yes when you mean it")
    if not typer.confirm(question, err=True):
        raise Usage("nothing was done")
