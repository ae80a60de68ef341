"""`watchword token`: looking at access tokens."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from watchword.errors import CannotDecide, InsufficientScope, InvalidToken, Malformed, Misconfigured
from watchword.jose import jwt
from watchword.jose.b64 import unb64url
from watchword_server.cli.answers import Answer
from watchword_server.cli.asking import TokenArgument
from watchword_server.cli.asking import token as token_text
from watchword_server.cli.desk import Call, enlist, group
from watchword_server.cli.failures import Code, NotNow, Usage
from watchword_server.flows.administration import Refused

NOT_VERIFIED = "NOT VERIFIED: anybody can write such a token. `watchword token verify` tells whether it is good."

IssuerUrl = Annotated[str, typer.Option(metavar="URL", help="The issuer that is trusted.")]
Audience = Annotated[str, typer.Option(metavar="AUDIENCE", help="The API that the token must be for.")]
Scopes = Annotated[list[str] | None, typer.Option("--scope", metavar="SCOPE", help="It must have it. Repeatable.")]
ClientId = Annotated[str | None, typer.Option(metavar="ID", help="The API's own `client_id`, to follow the feed.")]
SecretFile = Annotated[Path | None, typer.Option(metavar="FILE", help="File with the API's secret.")]


def commands() -> typer.Typer:
    """The group of commands."""
    app = group("Look at access tokens.")
    enlist(app, "inspect", inspect)
    enlist(app, "verify", verify)
    return app


def inspect(call: Call, token: TokenArgument) -> Answer:
    """Decode a token WITHOUT verifying it."""
    try:
        header, claims, _ = token_text(token).split(".")
        document = {
            "verified": False,
            "header": jwt.claims(unb64url(header)),
            "claims": jwt.claims(unb64url(claims)),
        }
    except (ValueError, Malformed) as error:
        raise Refused(f"not a signed JWT: {error}") from error
    typer.echo(NOT_VERIFIED, err=True)
    return Answer(document)


def verify(
    call: Call,
    token: TokenArgument,
    issuer: IssuerUrl,
    audience: Audience,
    scope: Scopes = None,
    client_id: ClientId = None,
    client_secret_file: SecretFile = None,
) -> Answer:
    """Verify a token exactly as an API does. Exit code 0: good; 1: refused; 5: it cannot be told now."""
    from watchword import Verifier  # not above: no other command needs it

    text = token_text(token)
    # What the verifier logs on its way stands in the answer; without a handler, Python would print it as well.
    logging.getLogger("watchword").addHandler(logging.NullHandler())
    verifier = Verifier(issuer=issuer, audience=audience, credentials=_credentials(client_id, client_secret_file))
    try:
        principal = verifier.verify_sync(text)
        principal.require(*(scope or ()))
    except (InvalidToken, InsufficientScope) as error:
        refusal = {"verified": False, "error": error.code, "reason": type(error).__name__, "message": str(error)}
        return Answer(refusal, code=Code.FAILED)
    except CannotDecide as error:
        raise NotNow(f"cannot decide: {error}") from error
    except Misconfigured as error:
        raise Usage(str(error)) from error
    finally:
        verifier.close()
    return Answer({"verified": True, "claims": dict(principal.claims)})


def _credentials(client_id: str | None, file: Path | None) -> tuple[str, str] | None:
    if client_id is None and file is None:
        return None
    if client_id is None or file is None:
        raise Usage("say both --client-id and --client-secret-file, or neither")
    return client_id, file.read_text().strip()
