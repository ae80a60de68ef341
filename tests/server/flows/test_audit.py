"""The audit trail: one row for each act, in the same transaction, with who and from where, and without a secret."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field

import pytest

from tests.server.flows.house import (
    ALICE,
    AUDIENCE,
    BOB,
    BY,
    CALLER,
    NOW,
    OTHER_AUDIENCE,
    SCOPES,
    House,
    Program,
    claims,
)
from watchword.jose.b64 import unb64url
from watchword_server.flows import choices, clients, keys, revoking, users
from watchword_server.flows.choices import ApiChoice
from watchword_server.flows.introspect import introspect
from watchword_server.flows.issuer import Issuer
from watchword_server.flows.lists import sessions
from watchword_server.flows.purge import purge
from watchword_server.flows.session import current, sign_out
from watchword_server.flows.taking_back import take_back
from watchword_server.ports import Unavailable
from watchword_server.protocol.errors import InvalidGrant, OAuthError, TooManyAttempts

CREDENTIALS = {"grant_type": "client_credentials"}
RS256 = ApiChoice(access_token_alg="RS256")


@dataclass
class Scene:
    """A deployment in which something can be done to everything, and all secrets that came up in it."""

    house: House
    access: str = ""
    refresh: str = ""
    spent: str = ""
    sid: str = ""
    gid: str = ""
    secrets: set[str] = field(default_factory=set)

    @property
    def issuer(self) -> Issuer:
        """Of the house."""
        return self.house.issuer

    @property
    def client(self) -> str:
        """By which Alice is signed in."""
        return self.house.known.page.client_id

    @classmethod
    async def set(cls, house: House) -> Scene:
        """Alice is signed in, and has refreshed twice."""
        scene = cls(house)
        signed_in = await house.sign_in()
        scene.sid, scene.spent = signed_in.session.sid, signed_in.tokens.refresh_token or ""
        second = await house.refresh(scene.spent)
        third = await house.refresh(second.refresh_token)
        scene.access, scene.refresh = third.access_token, third.refresh_token or ""
        scene.gid = claims(scene.access)["gid"]
        tokens = (signed_in.tokens, second, third)
        scene.secrets |= {text for found in tokens for text in (found.access_token, found.refresh_token) if text}
        return scene


Act = Callable[[Scene], Awaitable[object]]


async def _refused(act: Awaitable[object], *errors: type[Exception]) -> None:
    with pytest.raises(errors):
        await act


async def _reuse(scene: Scene) -> None:
    await _refused(scene.house.refresh(scene.spent), InvalidGrant)


async def _wrong_password(scene: Scene) -> None:
    await _refused(scene.house.sign_in(password="a wrong Password"), InvalidGrant)


async def _too_often(scene: Scene) -> None:
    for _ in range(5):
        await scene.issuer.attempts.begin((f"account:{BOB}", "address:"), NOW)
    await _refused(scene.house.sign_in(BOB), TooManyAttempts)


async def _take_back(scene: Scene, token: str) -> None:
    await take_back(scene.issuer, None, {"token": token, "client_id": scene.house.known.page.client_id}, CALLER, NOW)


async def _new_client(scene: Scene) -> None:
    new = clients.NewClient("New", "confidential", frozenset({"client_credentials"}), {AUDIENCE: SCOPES})
    scene.secrets.add(str((await clients.add(scene.issuer, BY, new, NOW))[1]))


async def _new_api(scene: Scene) -> None:
    scene.secrets.add((await clients.add_api(scene.issuer, BY, "https://new.example", "New", ("a",), NOW))[1])


async def _client_secret(scene: Scene) -> None:
    scene.secrets.add((await clients.new_secret(scene.issuer, BY, scene.house.known.machine.client_id, NOW))[1])


async def _api_secret(scene: Scene) -> None:
    scene.secrets.add((await clients.new_api_secret(scene.issuer, BY, AUDIENCE, NOW))[1])


async def _encrypt(scene: Scene) -> None:
    _, made = await choices.new_encryption_key(scene.issuer, BY, OTHER_AUDIENCE, "ECDH-ES", "P-256", NOW, True)
    scene.secrets.add(made["d"])


async def _revoke_key(scene: Scene) -> None:
    (kid,) = scene.house.rows("SELECT kid FROM keys WHERE use = 'access' AND active_at > 0 AND retired_at IS NULL")[0]
    await keys.revoke_key(scene.issuer, BY, kid, NOW)


async def _token(scene: Scene) -> None:
    scene.secrets.add((await scene.house.ask(scene.house.known.machine, CREDENTIALS)).access_token)


async def _sign_in(scene: Scene) -> None:
    found = await scene.house.sign_in(BOB)
    scene.secrets |= {found.tokens.access_token, str(found.tokens.refresh_token)}


async def _refresh(scene: Scene) -> None:
    found = await scene.house.refresh(scene.refresh)
    scene.secrets |= {found.access_token, str(found.refresh_token)}


async def _new_password(scene: Scene) -> None:
    scene.secrets.add("another Password 9")
    await users.set_password(scene.issuer, BY, ALICE, "another Password 9", NOW)


async def _new_user(scene: Scene) -> None:
    scene.secrets.add("carol's Password 3")
    await users.add(scene.issuer, BY, "carol@example.com", "Carol", "carol's Password 3", (), NOW)


# fmt: off
ACTS: list[tuple[str, Act, str, str, str]] = [
    ("a sign-in",          _sign_in,        "user",      "session.create", "ok"),
    ("a wrong password",   _wrong_password, "anonymous", "session.create", "wrong credentials"),
    ("too many attempts",  _too_often,      "anonymous", "session.create", "too many attempts"),
    ("a token",            _token,          "client",    "token.issue",    "ok"),
    ("a refresh",          _refresh,        "client",    "token.refresh",  "ok"),
    ("a reuse",            _reuse,          "client",    "token.reuse",    "family ended"),
    ("a user",             _new_user,       "operator",  "user.add",       "ok"),
    ("a password",         _new_password,   "operator",  "user.password",  "ok"),
    ("a client",           _new_client,     "operator",  "client.add",     "ok"),
    ("a client's secret",  _client_secret,  "operator",  "client.secret",  "ok"),
    ("an API",             _new_api,        "operator",  "api.add",        "ok"),
    ("an API's secret",    _api_secret,     "operator",  "api.secret",     "ok"),
    ("an API's choice",    lambda s: choices.set_api(s.issuer, BY, AUDIENCE, RS256, NOW), "operator", "api.set", "ok"),
    ("an API's key pair",  _encrypt,        "operator",  "api.set",        "ok"),
    ("a client's choice",  lambda s: choices.set_client_alg(s.issuer, BY, s.client, "ES384", NOW),
                                            "operator",  "client.set",     "ok"),
    ("a stolen key",       _revoke_key,     "operator",  "key.revoke",     "ok"),
    ("a key",              lambda s: keys.rotate(s.issuer, BY, "access", NOW),     "operator", "key.rotate",   "ok"),
    ("a sign-out",         lambda s: sign_out(s.issuer, s.access, CALLER, NOW),    "user",     "session.end",  "ok"),
    ("access taken back",  lambda s: _take_back(s, s.access),                      "client",   "token.revoke", "ok"),
    ("refresh taken back", lambda s: _take_back(s, s.refresh),                     "client",   "token.revoke", "ok"),
    ("nothing taken back", lambda s: _take_back(s, "unknown"),         "client", "token.revoke", "nothing to revoke"),
    ("token revoked",      lambda s: revoking.token(s.issuer, BY, s.access, NOW),  "operator", "revoke",       "ok"),
    ("session revoked",    lambda s: revoking.session(s.issuer, BY, s.sid, NOW),   "operator", "revoke",       "ok"),
    ("grant revoked",      lambda s: revoking.grant(s.issuer, BY, s.gid, NOW),     "operator", "revoke",       "ok"),
    ("user revoked",       lambda s: revoking.user(s.issuer, BY, ALICE, NOW),      "operator", "revoke",       "ok"),
    ("client revoked",     lambda s: revoking.client(s.issuer, BY, s.client, NOW), "operator", "revoke",       "ok"),
    ("everything revoked", lambda s: revoking.everything(s.issuer, BY, NOW),       "operator", "revoke",       "ok"),
    ("roles",              lambda s: users.set_roles(s.issuer, BY, ALICE, ("x",), NOW), "operator", "user.roles", "ok"),
    ("user disabled",      lambda s: users.disable(s.issuer, BY, ALICE, NOW),      "operator", "user.disable", "ok"),
    ("user enabled",       lambda s: users.enable(s.issuer, BY, ALICE, NOW),       "operator", "user.enable",  "ok"),
    ("client disabled",    lambda s: clients.disable(s.issuer, BY, s.client, NOW), "operator", "client.disable", "ok"),
    ("client enabled",     lambda s: clients.enable(s.issuer, BY, s.client, NOW),  "operator", "client.enable", "ok"),
]
# fmt: on
EVERY = pytest.mark.parametrize(
    ("act", "actor", "action", "outcome"), [row[1:] for row in ACTS], ids=[r[0] for r in ACTS]
)


@EVERY
async def test_every_act_leaves_one_row(house: House, act: Act, actor: str, action: str, outcome: str) -> None:
    """Who, from where, what, to whom, and how it ended."""
    scene = await Scene.set(house)
    before = house.count("audit")
    await act(scene)
    rows = house.rows(
        "SELECT actor, action, outcome, target, address, agent, request_id, at FROM audit WHERE id > ?", before
    )
    assert len(rows) == 1
    (who, what, how, target, address, agent, request_id, at) = rows[0]
    assert (who.partition(":")[0], what, how, at) == (actor, action, outcome, NOW * 1000)
    assert target or outcome == "nothing to revoke"
    if actor != "operator":
        assert (address, agent, request_id) == (CALLER.address, CALLER.agent, CALLER.request_id)


@EVERY
async def test_what_cannot_be_audited_does_not_happen(
    house: House, act: Act, actor: str, action: str, outcome: str
) -> None:
    """Row and act are one transaction: with a database that takes no audit rows, nothing else changes either."""
    scene = await Scene.set(house)
    with closing(sqlite3.connect(house.data / "watchword.db")) as database:
        database.execute("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no more rows'); END")
    before = house.everything()
    with pytest.raises(Unavailable):
        await act(scene)
    assert house.everything() == before
    with closing(sqlite3.connect(house.data / "watchword.db")) as database:
        database.execute("DROP TRIGGER full")
    await act(scene)
    assert house.count("audit") == len(before["audit"]) + 1


async def test_looking_leaves_no_row(house: House) -> None:
    """Introspection, a session's own page, lists, the feed: they change nothing."""
    scene = await Scene.set(house)
    before = house.everything()
    found = await introspect(house.issuer, house.known.api.authorization, {"token": scene.access}, NOW)
    assert found["active"] is True
    assert (await current(house.issuer, scene.access, NOW)).session.sid == scene.sid
    assert len(await sessions(house.issuer, await house.sub())) == 1
    await house.issuer.feed.snapshot()
    assert await purge(house.issuer, NOW) == 0
    assert house.everything() == before


async def test_who_is_refused_before_anything_was_decided_leaves_no_row(house: House) -> None:
    """Otherwise strangers could fill the trail."""
    before = house.everything()
    stranger = Program("client_unknown", "x")
    for form in (CREDENTIALS, {}, {"grant_type": "x"}):
        for program in (stranger, Program(house.known.machine.client_id, "wrong")):
            with pytest.raises(OAuthError):
                await house.ask(program, form)
    assert house.everything() == before


async def test_no_secret_is_anywhere_in_the_database(house: House) -> None:
    """Every act, then every byte of the files: no password, client secret, token or private key, in any form."""
    scene = await Scene.set(house)
    scene.secrets |= {"a wrong Password", "alice's Password 1", "bob's Password 2"}
    known = house.known
    scene.secrets |= {
        program.secret for program in (known.api, known.machine, known.web, known.keeper) if program.secret
    }
    for _, act, *_ in ACTS:
        with suppress(Exception):  # one may have made another impossible; each was run by itself above
            await act(scene)
    assert house.count("audit") > 35
    assert house.count("outbox") >= 2
    for stored in await house.issuer.stores.keys.all():
        private = house.issuer.key_store.open(stored).pkcs8()
        scene.secrets.add(private.hex())
        _absent(house, private, private[-40:])
    _absent(house, (house.data / "master.key").read_bytes().strip())
    assert len(scene.secrets) > 20
    for secret in scene.secrets:
        _absent(house, secret.encode(), secret.encode().hex().encode())
        random = secret.removeprefix("wws_").removeprefix("wwr_")
        if random != secret:
            _absent(house, random.encode(), unb64url(random))
        if secret.count(".") == 2:
            _absent(house, secret.rpartition(".")[2].encode(), secret.split(".")[1].encode())


async def test_what_is_searched_for_would_be_found(house: House) -> None:
    """The test above can fail: an e-mail address and a hash are in the files."""
    with pytest.raises(AssertionError, match="alice"):
        _absent(house, ALICE.encode())
    (kept,) = house.rows("SELECT secret_hash FROM clients WHERE secret_hash IS NOT NULL")[0]
    with pytest.raises(AssertionError):
        _absent(house, kept)


def _absent(house: House, *texts: bytes) -> None:
    files = [path.read_bytes() for path in house.data.glob("watchword.db*")]
    assert len(files) >= 2, "the write-ahead log belongs to it"
    for text in texts:
        assert len(text) >= 8
        assert not any(text in content for content in files), text
