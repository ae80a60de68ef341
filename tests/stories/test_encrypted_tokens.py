"""APIs that want their tokens encrypted: issuer, APIs and their key server are processes, the keys change under way."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.stories.processes import Client, Program, Site, deployment, environ, free_ports, start, until
from watchword.jose import jws
from watchword.jose.b64 import b64url, unb64url
from watchword.jose.jwe import DecryptionKey, decrypt, encrypt, encryption_key
from watchword.jose.jwk import SigningKey

# Not among the fast ones: each starts an issuer, APIs and key servers as processes.
pytestmark = pytest.mark.fault

HELD, FOLLOWED = "https://held.example", "https://followed.example"
ROOT = Path(__file__).parents[2]
WITHIN = 1.0
"""Seconds in which everybody knows."""
FRESH = 5
"""Seconds: how long the key server calls its set fresh, and the least that the issuer keeps one."""


@dataclass
class Api:
    """An API's process, and its credentials."""

    audience: str
    credentials: Client
    program: Program
    _asked: int = field(default=0)

    def verify(self, token: str) -> dict[str, Any]:
        """What its Verifier makes of a token."""
        stdin = self.program.process.stdin
        assert stdin is not None
        stdin.write(f"{token}\n")
        stdin.flush()
        self._asked += 1
        until(lambda: len(self._answers()) >= self._asked, 20)
        found: dict[str, Any] = json.loads(self._answers()[self._asked - 1])
        return found

    def _answers(self) -> list[str]:
        """What it said, but for its log."""
        return [line for line in self.program.lines if line.startswith("{")]

    def accepts(self, token: str) -> bool:
        """Whether it is a good token here."""
        return "subject" in self.verify(token)


@dataclass
class Town:
    """The issuer, the client, and two APIs that are registered with encryption."""

    site: Site
    client: Client
    held: Client
    """Credentials of the API that registered a key."""
    held_key: DecryptionKey
    followed: Client
    """Credentials of the API that publishes its keys at `url`."""
    key_file: Path
    key_port: int

    def ask(self, audience: str, **form: str) -> httpx2.Response:
        """`POST /token` with client credentials, however it ends."""
        data = {"grant_type": "client_credentials", "resource": audience, **form}
        return self.site.http.post(f"{self.site.issuer}/token", data=data, auth=self.client.auth)

    def token(self, audience: str) -> str:
        """A token, which must be there and be encrypted."""
        answer = self.ask(audience)
        assert answer.status_code == 200, answer.text
        token = answer.json()["access_token"]
        assert isinstance(token, str)
        assert token.count(".") == 4
        return token

    def publish(self, *keys: DecryptionKey) -> None:
        """Put these into the published set, in this order."""
        new = self.key_file.with_suffix(".new")
        new.write_text(json.dumps({"keys": [key.public_jwk() for key in keys]}))
        new.replace(self.key_file)

    @contextmanager
    def api(self, audience: str, credentials: Client, *keys: DecryptionKey, stale_after: float = 10) -> Iterator[Api]:
        """A process of an API that holds these private keys; none at all without any."""
        settings = {
            "issuer": self.site.issuer,
            "audience": audience,
            "credentials": credentials.auth,
            "keys": {"keys": [key.private_jwk() for key in keys]} if keys else None,
            "stale_after": stale_after,
        }
        program = running("sealed_api", json.dumps(settings))
        try:
            yield Api(audience, credentials, program)
        finally:
            program.stop()

    @contextmanager
    def key_server(self) -> Iterator[Program]:
        """The process that publishes the set."""
        program = running("key_server", str(self.key_port), str(self.key_file), str(FRESH))
        try:
            program.wait_until_ready(f"http://127.0.0.1:{self.key_port}/jwks.json")
            yield program
        finally:
            program.stop()


def running(name: str, *arguments: str) -> Program:
    """A program of this folder as a process."""
    return start(name, (sys.executable, "-m", f"tests.stories.programs.{name}", *arguments), environ(), ROOT)


def header(token: str) -> dict[str, Any]:
    """The protected header of a token, unverified."""
    found: dict[str, Any] = json.loads(unb64url(token.split(".")[0]))
    return found


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Everything registered by the command line; the issuer runs, nobody else does."""
    folder = tmp_path_factory.mktemp("town")
    key, (port,) = DecryptionKey.generate("ECDH-ES"), free_ports()
    with deployment(folder, api=False) as site:
        (folder / "public.json").write_text(json.dumps(key.public_jwk()))
        url = f"http://127.0.0.1:{port}/jwks.json"
        held = site.cli("api", "add", HELD, "--scope", "read", "--encryption-key", str(folder / "public.json"))
        followed = site.cli("api", "add", FOLLOWED, "--scope", "read", "--jwks-uri", url, "--enc", "A128CBC-HS256")
        assert "warning" not in held
        assert "cannot be reached" in followed["warning"]
        access = [part for audience in (HELD, FOLLOWED) for part in ("--access", f"{audience}=read")]
        made = site.cli("client", "add", "reader", *access)
        yield Town(
            site=site,
            client=Client(made["client_id"], made["client_secret"]),
            held=Client(held["client_id"], held["client_secret"]),
            held_key=key,
            followed=Client(followed["client_id"], followed["client_secret"]),
            key_file=folder / "jwks.json",
            key_port=port,
        )


@pytest.fixture(scope="module")
def api(town: Town) -> Iterator[Api]:
    """The API that registered a key, and holds its private half."""
    with town.api(HELD, town.held, town.held_key) as found:
        yield found


def test_only_the_api_that_has_the_key_reads_its_tokens(town: Town, api: Api):
    """With the key: a principal. Without it: five segments that are no token."""
    token = town.token(HELD)
    seen = {name: header(token)[name] for name in ("alg", "enc", "kid", "typ", "cty")}
    assert seen == {"alg": "ECDH-ES", "enc": "A256GCM", "kid": town.held_key.kid, "typ": "at+jwt", "cty": "JWT"}
    found = api.verify(token)
    assert (found["subject"], found["client_id"]) == (town.client.client_id, town.client.client_id)
    with town.api(HELD, town.held) as closed:
        assert closed.verify(token) == {"refused": "Malformed"}
    with town.api(HELD, town.held, DecryptionKey.generate("ECDH-ES")) as other:
        assert other.verify(token) == {"refused": "UnknownKey"}


def test_what_a_client_takes_back_is_dead_within_a_second(town: Town, api: Api):
    """RFC 7009 with the encrypted text: it is all that the client has."""
    token, spared = town.token(HELD), town.token(HELD)
    assert api.accepts(token)
    town.site.revoke(town.client, token)
    took = until(lambda: not api.accepts(token), WITHIN)
    assert api.verify(token) == {"refused": "Revoked"}
    assert api.accepts(spared)
    print(f"revoked at the API after {took * 1000:.0f} ms")


def test_signing_out_kills_within_a_second(town: Town, api: Api):
    """By the first-party client, with the encrypted token that it holds; refreshing ends with it."""
    site, user = town.site, town.site.new_user()
    made = site.cli("client", "add", "own", "--first-party", "--access", f"{HELD}=read")
    client = Client(made["client_id"], made["client_secret"])
    tokens = site.sign_in(user, client)
    refreshed = site.refresh(client, tokens["refresh_token"]).json()
    both = [tokens["access_token"], refreshed["access_token"]]
    assert [token.count(".") for token in both] == [4, 4]
    assert [api.verify(token).get("subject") for token in both] == [user.sub, user.sub]
    site.sign_out(both[1])
    took = until(lambda: not any(api.accepts(token) for token in both), WITHIN)
    assert {api.verify(token)["refused"] for token in both} == {"Revoked"}
    print(f"signed out at the API after {took * 1000:.0f} ms")
    assert site.refresh(client, refreshed["refresh_token"]).status_code == 400


def test_an_operator_revokes_by_the_text(town: Town, api: Api):
    """`watchword revoke token -`, as for any token."""
    token = town.token(HELD)
    jti = api.verify(token)["jti"]
    (entry,) = town.site.cli("revoke", "token", "-", stdin=token)["entries"]
    assert (entry["kind"], entry["id"]) == ("token", jti)
    until(lambda: not api.accepts(token), WITHIN)


def test_in_doubt_the_api_asks_for_the_text_that_it_was_sent(town: Town):
    """A verifier whose feed counts as stale at once introspects: the issuer knows what it cannot open."""
    token, dead = town.token(HELD), town.token(HELD)
    before = town.site.count()["/introspect"]
    with town.api(HELD, town.held, town.held_key, stale_after=0.001) as doubtful:
        assert doubtful.accepts(token)
        until(lambda: town.site.count()["/introspect"] > before)
        town.site.revoke(town.client, dead)
        assert doubtful.verify(dead) == {"refused": "Revoked"}


def forgeries(key: DecryptionKey, issuer: str, kid: str) -> Mapping[str, tuple[str, str]]:
    """What a stranger makes who knows the API's public key and the issuer's `kid`, and how it is refused."""
    public, now = encryption_key(key.public_jwk()), int(time.time())
    names = {"iss": issuer, "sub": "admin", "aud": HELD, "client_id": "x", "jti": "j", "roles": ["admin"]}
    claims = json.dumps({**names, "iat": now, "exp": now + 60}).encode()
    mine = SigningKey.generate("ES256")

    def unsigned(**said: str) -> bytes:
        return f"{b64url(json.dumps({'typ': 'at+jwt', **said}).encode())}.{b64url(claims)}.".encode()

    def sealed(inside: bytes, typ: str = "at+jwt", cty: str = "JWT") -> str:
        return encrypt(inside, public, "A256GCM", typ, cty)

    signed = jws.signer(mine, "at+jwt")(claims).encode()
    return {
        "bare claims": (sealed(claims), "Malformed"),
        "an unsigned JWT": (sealed(unsigned(alg="none")), "UnknownKey"),
        "an unsigned JWT of a good kid": (sealed(unsigned(alg="none", kid=kid)), "WrongType"),
        "a JWT signed by a stranger": (sealed(signed), "UnknownKey"),
        "an envelope in an envelope": (sealed(sealed(signed).encode()), "Malformed"),
        "an ID token's type": (sealed(signed, typ="JWT"), "WrongType"),
        "another content": (sealed(signed, cty="octet-stream"), "WrongType"),
    }


def test_what_a_stranger_encrypts_to_the_api_is_refused(town: Town, api: Api):
    """Decryption is not authentication: the public key is public."""
    genuine = town.token(HELD)
    _, inside = decrypt(genuine, {town.held_key.kid: town.held_key}, ("at+jwt",), 16384)
    for name, (token, reason) in forgeries(town.held_key, town.site.issuer, header(inside.decode())["kid"]).items():
        assert api.verify(token) == {"refused": reason}, name
    other = SigningKey.generate("ES256")
    head, body, _ = inside.decode().split(".")
    grafted = f"{head}.{body}.{b64url(other.sign(f'{head}.{body}'.encode()))}".encode()
    public = encryption_key(town.held_key.public_jwk())
    assert api.verify(encrypt(grafted, public, "A256GCM", "at+jwt")) == {"refused": "BadSignature"}
    assert api.accepts(genuine)


def test_while_no_key_can_be_had_there_is_no_token(town: Town):
    """503 with a time to come back, and never an unencrypted one; when the API publishes its keys, all is well."""
    key = DecryptionKey.generate("RSA-OAEP-256")
    town.publish(key)
    refused = [town.ask(FOLLOWED) for _ in range(5)]
    assert {answer.status_code for answer in refused} == {503}
    assert {answer.json()["error"] for answer in refused} == {"temporarily_unavailable"}
    assert all(1 <= int(answer.headers["retry-after"]) <= 10 for answer in refused)
    assert not any("access_token" in answer.text for answer in refused)
    assert town.ask(HELD).status_code == 200, "other APIs do not mind"
    with town.key_server(), town.api(FOLLOWED, town.followed, key) as api:
        until(lambda: town.ask(FOLLOWED).status_code == 200, 20, pause=0.2)
        token = town.token(FOLLOWED)
        assert {name: header(token)[name] for name in ("alg", "enc", "kid")} == {
            "alg": "RSA-OAEP-256",
            "enc": "A128CBC-HS256",
            "kid": key.kid,
        }
        assert api.accepts(token)
    assert town.ask(FOLLOWED).status_code == 200, "the key is known, so the API's server may rest"


def test_a_registered_key_is_rotated_without_a_refused_token(town: Town, tmp_path: Path):
    """Both keys at the API first, then the new one at the issuer: every token is accepted, before, under way, after."""
    old, new = town.held_key, DecryptionKey.generate("ECDH-ES+A256KW", "X25519")
    (tmp_path / "new.json").write_text(json.dumps(new.public_jwk()))
    with town.api(HELD, town.held, old, new) as api:
        tokens = [town.token(HELD) for _ in range(10)]
        town.site.cli("api", "set", HELD, "--encryption-key", str(tmp_path / "new.json"))
        tokens += [town.token(HELD) for _ in range(10)]
        assert [header(token)["kid"] for token in tokens] == [old.kid] * 10 + [new.kid] * 10
        assert all(api.accepts(token) for token in tokens)
    town.held_key = new
    with town.api(HELD, town.held, new) as later:
        assert [later.accepts(token) for token in tokens] == [False] * 10 + [True] * 10


def test_a_published_set_is_rotated_without_a_refused_token(town: Town):
    """The API puts its new key first in the set and holds both: soon new tokens are for it, and all are accepted."""
    old, new = DecryptionKey.generate("ECDH-ES"), DecryptionKey.generate("ECDH-ES")
    town.publish(old)
    with ExitStack() as stack:
        stack.enter_context(town.key_server())
        api = stack.enter_context(town.api(FOLLOWED, town.followed, old, new))
        until(lambda: header(town.token(FOLLOWED))["kid"] == old.kid, 40, pause=0.2)
        assert api.accepts(town.token(FOLLOWED))
        town.publish(new, old)
        seen: list[str] = []

        def turned() -> bool:
            token = town.token(FOLLOWED)
            seen.append(header(token)["kid"])
            assert api.accepts(token)
            return seen[-1] == new.kid

        took = until(turned, 20, pause=0.05)
        assert seen.count(new.kid) == 1
        assert len(seen) > 1
        assert set(seen[:-1]) == {old.kid}
    print(f"the new key was used after {took:.1f} s and {len(seen)} tokens, none of them refused")
