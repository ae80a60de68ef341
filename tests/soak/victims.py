"""What is revoked, and how: a token that lives, and an act that ends it and returns when it was answered."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import httpx2

from tests.stories.processes import Client, Site, User, bearer
from watchword.jose import jwt
from watchword.jose.b64 import unb64url
from watchword_server.cli.failures import Code

TRY_FOR = 30.0
"""Seconds for which a request is sent again while a node is down."""


@dataclass(frozen=True)
class Cast:
    """Who takes part: people and programs of one deployment, as one thread talks to it."""

    site: Site
    users: tuple[User, ...]
    departing: tuple[User, ...]
    """People whose every token is revoked now and then."""
    app: Client
    program: Client
    victim: Client
    """A program whose every token is revoked now and then."""

    def apart(self) -> Cast:
        """The same with connections of its own."""
        return replace(self, site=replace(self.site, http=httpx2.Client(trust_env=False, timeout=10)))


@dataclass(frozen=True)
class Victim:
    """A token, what the log will call its death (`kind` and `id`), and how to bring that about."""

    token: str
    kind: str
    id: str
    act: Callable[[float | None], Mapping[str, Any]]
    """Takes the seconds for which the answer may wait for acknowledgements, and returns what was answered."""


def tried(what: Callable[[], httpx2.Response], *good: int) -> httpx2.Response:
    """Ask until it is answered, as a client does while a node is down. AssertionError for another status."""
    deadline = time.monotonic() + TRY_FOR
    while True:
        answer = None
        with suppress(httpx2.HTTPError):
            answer = what()
        if answer is not None and answer.status_code < 500:
            assert answer.status_code in good, f"{answer.status_code}: {answer.text}"
            return answer
        assert time.monotonic() < deadline, f"nobody answers: {answer.text if answer is not None else 'no connection'}"
        time.sleep(0.02)


def claim(token: str, name: str) -> str:
    """A claim of a token, unverified."""
    return str(jwt.claims(unb64url(token.split(".")[1]))[name])


def by_token(cast: Cast, turn: int) -> Victim:
    """One access token, by the program that has it (RFC 7009)."""
    token = program_token(cast, cast.program)
    return Victim(token, "token", claim(token, "jti"), partial(_revoke, cast, cast.program, token))


def by_session(cast: Cast, turn: int) -> Victim:
    """A sign-in, by signing out. Where the answer was lost, the next try finds that the session is over: 401."""
    token = _sign_in(cast, cast.users, turn)["access_token"]
    url = f"{cast.site.issuer}/session"

    def act(wait: float | None) -> Mapping[str, Any]:
        headers = bearer(token) | _preference(wait)
        return _document(tried(lambda: cast.site.http.delete(url, headers=headers), 200, 204, 401))

    return Victim(token, "session", claim(token, "sid"), act)


def by_grant(cast: Cast, turn: int) -> Victim:
    """A grant, by revoking its refresh token."""
    found = _sign_in(cast, cast.users, turn)
    gid = claim(found["access_token"], "gid")
    return Victim(found["access_token"], "grant", gid, partial(_revoke, cast, cast.app, found["refresh_token"]))


def by_user(cast: Cast, turn: int) -> Victim:
    """A person, by the command line."""
    user = cast.departing[turn % len(cast.departing)]
    token = _sign_in(cast, cast.departing, turn)["access_token"]
    return Victim(token, "subject", user.sub, partial(_command, cast, ("user", user.email)))


def by_client(cast: Cast, turn: int) -> Victim:
    """A program, by the command line."""
    token = program_token(cast, cast.victim)
    client_id = cast.victim.client_id
    return Victim(token, "client", client_id, partial(_command, cast, ("client", client_id)))


def by_key(cast: Cast, token: str) -> Victim:
    """The key that signed a token, by the command line."""
    kid = str(jwt.claims(unb64url(token.split(".")[0]))["kid"])
    return Victim(token, "key", kid, partial(_command, cast, ("key", kid, "--yes")))


def by_issuer(cast: Cast, token: str) -> Victim:
    """Everything, by the command line."""
    return Victim(token, "issuer", "", partial(_command, cast, ("everything", "--yes")))


BY_REQUEST: Mapping[str, Callable[[Cast, int], Victim]] = {"token": by_token, "session": by_session, "grant": by_grant}
BY_COMMAND: Mapping[str, Callable[[Cast, int], Victim]] = {"user": by_user, "client": by_client}
OF_ALL: Mapping[str, Callable[[Cast, str], Victim]] = {"everything": by_issuer, "key": by_key}
"""These hit every token there is."""


def program_token(cast: Cast, client: Client) -> str:
    """An access token by client_credentials."""
    url, form = f"{cast.site.issuer}/token", {"grant_type": "client_credentials"}
    token = tried(lambda: cast.site.http.post(url, data=form, auth=client.auth), 200).json()["access_token"]
    assert isinstance(token, str)
    return token


def _sign_in(cast: Cast, users: Sequence[User], turn: int) -> dict[str, Any]:
    user = users[turn % len(users)]
    body = {"client_id": cast.app.client_id, "email": user.email, "password": user.password}
    found = tried(lambda: cast.site.http.post(f"{cast.site.issuer}/session", json=body), 200).json()
    assert isinstance(found, dict)
    return found


def _revoke(cast: Cast, client: Client, token: str, wait: float | None) -> Mapping[str, Any]:
    form = {"token": token} | ({"client_id": client.client_id} if client.secret is None else {})
    url, headers = f"{cast.site.issuer}/revoke", _preference(wait)
    return _document(tried(lambda: cast.site.http.post(url, data=form, auth=client.auth, headers=headers), 200))


def _preference(wait: float | None) -> dict[str, str]:
    return {} if wait is None else {"Prefer": f"wait={wait:.0f}"}


def _document(answer: httpx2.Response) -> Mapping[str, Any]:
    is_told = "preference-applied" in answer.headers
    found: Mapping[str, Any] = answer.json() if is_told else {}
    return found


def _command(cast: Cast, what: Sequence[str], wait: float | None) -> Mapping[str, Any]:
    given = [] if wait is None else [f"--wait={wait:g}"]
    ran = cast.site.run("revoke", *what, *given)
    assert ran.code in (0, Code.SILENT.value), f"watchword revoke {what[0]}: {ran.code}\n{ran.out}{ran.err}"
    return ran.document
