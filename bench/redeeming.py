"""Redeeming authorization codes at a running server, each of them once, and what that cost."""

from __future__ import annotations

import subprocess
import sys
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import jwt
import msgspec

from bench import deployment, processes, seed
from bench.deployment import AUDIENCE, REDIRECT_URI
from bench.load import CODE, Job, Outcome
from bench.peer import Peer
from bench.result import Unmeasured
from bench.seed import NONCE

CONNECTIONS: Final = 64
VERIFIER: Final = "a-code-verifier-of-the-benchmark-as-long-as-it-has-to-be"
REPOSITORY: Final = Path(__file__).parents[1]
EXPECTED: Final = ("id_token", "refresh_token")


@dataclass(slots=True)
class Target:
    """A token endpoint, and the codes that are left for it. `jwt` says that its access tokens are JWTs."""

    pid: int
    issuer: str
    url: str
    jwks_uri: str
    client: tuple[str, str]
    codes: list[str] = field(repr=False)
    jwt: bool = True
    database: int | None = None
    """The process of its database, where that is another."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one round cost (CPU seconds of the server, and of its database), and what the clients saw."""

    count: int
    cpu: float
    database: float
    outcome: Outcome

    @property
    def per_cpu_second(self) -> float:
        """Codes."""
        return self.count / self.cpu

    @property
    def per_second(self) -> float:
        """Codes on the wall clock."""
        return self.count / self.outcome.seconds


def challenge() -> str:
    """What all the codes were asked for with (RFC 7636 §4.2)."""
    return urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@contextmanager
def ours(
    core: int | None, people: int, url: str | None = None, database: int | None = None, command: Sequence[str] = ()
) -> Iterator[Target]:
    """`watchword serve` with a code for each of so many people, on SQLite unless a PostgreSQL is named.

    `database` is the process of that PostgreSQL; `command` starts the server where it is not `watchword`.
    """
    with deployment.fresh(url, codes=True) as issuer:
        with seed.sower(issuer) as sower:
            codes = sower.authorize(people, challenge())
        with deployment.served(issuer, core, command) as process:
            at = issuer.issuer
            yield Target(process.pid, at, f"{at}/token", f"{at}/jwks.json", issuer.client, codes, True, database)


def theirs(node: Peer, jwt: bool, database: int | None) -> Target:
    """The peer's token endpoint."""
    return Target(
        node.pid, node.issuer, node.token_endpoint, node.jwks_uri, node.client, list(node.codes), jwt, database
    )


def redeem(target: Target, count: int) -> Round:
    """Redeem so many of its codes. Unmeasured unless every answer brings all three tokens, and the last ones verify."""
    before, stored = processes.cpu_seconds(target.pid), _database(target)
    outcome = _load(target, count)
    cpu, store = processes.cpu_seconds(target.pid) - before, _database(target) - stored
    must_be_genuine(target, msgspec.json.decode(outcome.answer))
    return Round(count, cpu, store, outcome)


def _database(target: Target) -> float:
    return 0.0 if target.database is None else processes.cpu_seconds(target.database)


def _load(target: Target, count: int) -> Outcome:
    place = urlsplit(target.url)
    codes, target.codes = target.codes[:count], target.codes[count:]
    request, to = _request(target, codes[0]), (place.hostname or "", place.port or 80)
    job = Job(*to, request, count, CONNECTIONS, codes=tuple(codes), expects=EXPECTED)
    with processes.on_core(processes.LOAD_CORE):
        done = subprocess.run(
            [sys.executable, "-m", "bench.load"],
            cwd=REPOSITORY,
            input=msgspec.json.encode(job),
            capture_output=True,
            timeout=180,
        )
    if done.returncode:
        raise Unmeasured(f"the load failed: {done.stderr.decode().strip().splitlines()[-1]}")
    return msgspec.json.decode(done.stdout, type=Outcome)


def _request(target: Target, code: str) -> str:
    place = urlsplit(target.url)
    form = urlencode({"grant_type": "authorization_code", "redirect_uri": REDIRECT_URI, "code_verifier": VERIFIER})
    basic = b64encode(":".join(target.client).encode()).decode()
    return (
        f"POST {place.path} HTTP/1.1\r\n"
        f"Host: {place.netloc}\r\n"
        f"Authorization: Basic {basic}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(form) + len('&code=') + len(code)}\r\n\r\n{form}&code={CODE}"
    )


def must_be_genuine(target: Target, answer: dict[str, Any]) -> None:
    """All servers do the same work: an RS256 ID token of this sign-in, and an access token for the API."""
    try:
        keys = jwt.PyJWKClient(target.jwks_uri)
        told = _verified(keys, answer["id_token"], "RS256", target.client[0], target.issuer)
        if target.jwt:
            _verified(keys, answer["access_token"], "ES256", AUDIENCE, target.issuer)
            is_access_token = jwt.get_unverified_header(answer["access_token"]).get("typ") == "at+jwt"
        else:
            is_access_token = "." not in answer["access_token"]
    except jwt.PyJWTError as error:
        raise Unmeasured(f"a token of {target.issuer} is no good: {error}") from error
    if told.get("nonce") != NONCE or not is_access_token:
        raise Unmeasured(f"the tokens of {target.issuer} are not those that were asked for")


def _verified(keys: jwt.PyJWKClient, token: str, alg: str, audience: str, issuer: str) -> dict[str, Any]:
    key = keys.get_signing_key_from_jwt(token)
    claims: dict[str, Any] = jwt.decode(token, key, algorithms=[alg], audience=audience, issuer=issuer)
    return claims
