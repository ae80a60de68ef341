"""Keys that change all the time, under load: no valid token is refused anywhere, and none is unverifiable.

200 tokens a second for three APIs, each with an algorithm of its own, while keys rotate by schedule and by command.
Each token goes to verifiers in processes of their own: one that was there from the start, new ones every few seconds,
one that is stopped in the middle of its work and wakes up after all keys have changed, and one of another library,
which keeps the key set for as long as it may. At the end the keys are stolen and revoked, one after the other.

`WATCHWORD_TEST_SECONDS=120` runs for two minutes; it is one minute otherwise.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import jwt
import msgspec
import pytest

from tests.stories.judges import Judge, Verdict, asking, judge
from tests.stories.processes import Client, Program, Site, deployment, until
from watchword.jose.jws import Signer, signer
from watchword.jose.kinds import Kind
from watchword_server.main import load_settings, open_issuer

SECONDS = int(os.environ.get("WATCHWORD_TEST_SECONDS", "60"))
RATE = 200
"""Tokens a second, for all APIs together."""
ALGS = ("RS256", "ES256", "EdDSA")
LIFETIME, EVERY, AHEAD = 60, 20, 6
"""Seconds: of a token, between two rotations, for which a key is published before it signs."""
SETTINGS = f"""
log.requests = false
tokens.access_lifetime = {LIFETIME}
keys.rotate_every = {EVERY}
keys.publish_ahead = {AHEAD}
"""
COMMAND_EVERY, NEW_EVERY, NEW_STAYS = 11.0, 6.0, 5.0
"""Seconds between two rotations by command; between two new verifiers, and for which each gets tokens."""
AWAKE, ASLEEP = 8.0, 26.0
"""Seconds for which one verifier works and is frozen, in turns: longer than all keys stay."""
BLIND = 15.0
"""Seconds after which that one must not decide alone."""
RECOVERS = 6.0
"""Seconds after it woke up in which it may say that it cannot decide."""
FRESH = 15
"""Seconds that a token must have to live to be given to somebody: they take their time on a busy machine."""
OLD, NEW, WOKEN, OTHER = "old cache", "new", "just woke up", "other library"


class Issued(NamedTuple):
    """A token, and what is known of it without believing it."""

    api: int
    kid: str
    expires_at: float
    text: str


@dataclass
class Stage:
    """Who is there, what was issued, and who said what of it."""

    site: Site
    apis: Sequence[Mapping[str, str]]
    stack: ExitStack
    asker: Program
    old: Judge
    other: Judge
    sleeper: Judge
    issued: list[Issued] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    everybody: list[Judge] = field(default_factory=list)
    newcomers: dict[str, float] = field(default_factory=dict)
    woke: list[float] = field(default_factory=list)
    undecided: list[Verdict] = field(default_factory=list)
    commands: Counter[str] = field(default_factory=Counter)
    _line: int = 0

    def settings(self, **more: object) -> dict[str, object]:
        """For a verifier."""
        return {"issuer": self.site.issuer, "apis": list(self.apis), "refuse_after": 60.0, **more}

    def take(self) -> Iterator[tuple[int, Issued]]:
        """What the asker has got since the last time."""
        lines = self.asker.lines
        end = len(lines)
        for line in lines[self._line : end]:
            if not line.startswith("= "):
                self.failures.append(line)
                continue
            _, seconds, api, text = line.split()
            self.took.append(float(seconds))
            claims = jwt.decode(text, options={"verify_signature": False})
            one = Issued(int(api), jwt.get_unverified_header(text)["kid"], claims["exp"], text)
            self.issued.append(one)
            yield len(self.issued) - 1, one
        self._line = end


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A running issuer with three APIs whose keys are in use, and the verifiers that stay."""
    with deployment(tmp_path, settings=SETTINGS, api=False, running=False) as site, ExitStack() as stack:
        apis = [_api(site, alg) for alg in ALGS]
        access = [part for api in apis for part in ("--access", f"{api['audience']}=read")]
        made = site.cli("client", "add", "Load", *access)
        client = Client(made["client_id"], made["client_secret"])
        site.start()
        until(lambda: _algs(site, client, apis) == ALGS, within=AHEAD + 20)
        common = {"issuer": site.issuer, "apis": apis, "refuse_after": 60.0}
        stay = [
            judge(kind, {**common, **more})
            for kind, more in ((OLD, {}), (OTHER, {"other": True}), (WOKEN, {"refuse_after": BLIND}))
        ]
        for one in stay:
            stack.callback(one.close)
        for one in stay:
            until(lambda one=one: "ready" in one.program.lines, within=30)
        audiences = [api["audience"] for api in apis]
        load = {"issuer": site.issuer, "client": client.auth, "audiences": audiences, "rate": RATE, "hands": 8}
        asker = stack.enter_context(asking(load))
        yield Stage(site, apis, stack, asker, *stay, everybody=stay)


def _api(site: Site, alg: str) -> dict[str, str]:
    audience = f"https://{alg.lower()}.example"
    made = site.cli("api", "add", audience, "--scope", "read", "--alg", alg)
    return {"audience": audience, "alg": alg, "client_id": made["client_id"], "secret": made["client_secret"]}


def _algs(site: Site, client: Client, apis: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    tokens = [site.client_token(client, resource=api["audience"]) for api in apis]
    return tuple(jwt.get_unverified_header(token)["alg"] for token in tokens)


@pytest.mark.fault
@pytest.mark.timeout(300 + 2 * SECONDS)
def test_no_valid_token_is_refused_while_keys_rotate(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Then the keys are stolen: what they signed is dead everywhere within a second, and the next ones are known."""
    began = time.time()
    _perform(stage)
    figures = _judged(stage, began)
    revoked = [_stolen(stage, api) for api in range(len(ALGS))]
    with capsys.disabled():
        print("\n".join(("", *figures, *revoked)))


# The play.


def _perform(stage: Stage) -> None:
    """Have every token verified by everybody who is awake, while things happen."""
    start = time.monotonic()

    def goes_on() -> bool:
        """For all seconds and, on a machine that is too busy for the rate, until there were as many tokens."""
        passed = time.monotonic() - start
        return passed < SECONDS or (passed < 2 * SECONDS and len(stage.issued) < RATE * SECONDS)

    with ThreadPoolExecutor(1) as operator:
        happenings = _happenings(stage, operator)
        while goes_on():
            for number, one in stage.take():
                for each in _awake(stage):
                    each.send(number, one.api, one.text)
            _again(stage)
            next(happenings)
            time.sleep(0.005)
        if stage.sleeper.frozen:
            _wake(stage)
    stage.asker.stop()
    for number, one in stage.take():
        for each in _awake(stage):
            each.send(number, one.api, one.text)
    for each in stage.everybody:
        until(lambda each=each: _again(stage) or each.has_answered(), within=30)


def _awake(stage: Stage) -> Sequence[Judge]:
    """Those that are given tokens now; a frozen one would only collect them."""
    gone = {name for name, until_then in stage.newcomers.items() if time.monotonic() > until_then}
    return [one for one in stage.everybody if not one.frozen and one.program.name not in gone]


def _happenings(stage: Stage, operator: ThreadPoolExecutor) -> Iterator[None]:
    """Rotations by command, new verifiers, and one that sleeps; each step looks whether it is time for something."""
    now = time.monotonic()
    rotate_at, new_at, turn_at = now + COMMAND_EVERY, now + NEW_EVERY / 2, now + AWAKE
    turn, command = 0, Future[None]()
    command.set_result(None)
    while True:
        now = time.monotonic()
        if now >= rotate_at and command.done():
            command.result()
            command = operator.submit(_rotate, stage, ALGS[turn % len(ALGS)])
            rotate_at, turn = now + COMMAND_EVERY, turn + 1
        if now >= new_at:
            _newcomer(stage)
            new_at = now + NEW_EVERY
        if now >= turn_at and stage.sleeper.frozen:
            _wake(stage)
            turn_at = now + AWAKE
        elif now >= turn_at:
            stage.sleeper.freeze()
            turn_at = now + ASLEEP
        yield


def _rotate(stage: Stage, alg: str) -> None:
    ran = stage.site.run("key", "rotate", "--alg", alg)
    assert ran.code == 0 or "under way" in ran.err or "same moment" in ran.err, ran.err
    stage.commands[alg if ran.code == 0 else "refused: under way"] += 1


def _newcomer(stage: Stage) -> None:
    one = judge(NEW, stage.settings())
    one.program.name += f" {len(stage.newcomers)}"
    stage.stack.callback(one.close)
    stage.newcomers[one.program.name] = time.monotonic() + NEW_STAYS
    stage.everybody.append(one)


def _wake(stage: Stage) -> None:
    """It is given, at once, what was issued while it slept and still lives, of every key once; then all that comes."""
    stage.woke.append(time.monotonic())
    stage.sleeper.wake()
    soon = time.time() + FRESH
    known = {verdict.number for verdict in stage.sleeper.verdicts}
    missed = {one.kid: number for number, one in enumerate(stage.issued) if one.expires_at > soon}
    for number in missed.values():
        if number not in known:
            stage.sleeper.send(number, stage.issued[number].api, stage.issued[number].text)


def _again(stage: Stage) -> None:
    """Show a token again to who could not decide, as a client would."""
    for each in stage.everybody:
        for verdict in each.read():
            if verdict.word == "undecided":
                stage.undecided.append(verdict)
                each.verdicts.remove(verdict)
                each.sent -= 1
                each.send(verdict.number, stage.issued[verdict.number].api, stage.issued[verdict.number].text)


# The verdict.


def _judged(stage: Stage, began: float) -> list[str]:
    """Nothing was refused, everything was decided; what there was of it, as lines."""
    tokens, seconds = len(stage.issued), time.time() - began
    assert not stage.failures, stage.failures[:3]
    assert tokens >= RATE * SECONDS, f"the machine is too slow: {tokens} tokens in {seconds:.0f} s"
    for each in stage.everybody:
        wrong = [verdict for verdict in each.verdicts if not _is_right(stage, verdict)]
        assert not wrong, f"{each.kind}: {len(wrong)} of {each.sent}, first {wrong[0]}; {_when(stage, wrong[0])}"
        assert len(each.verdicts) == each.sent
    assert {verdict.number for verdict in stage.old.verdicts} == set(range(tokens)), "the first saw every token"
    late = [verdict for verdict in stage.undecided if not any(0 <= verdict.moment - at < RECOVERS for at in stage.woke)]
    assert not late, f"undecided without having just woken up: {late[0]}"
    assert stage.woke, "nobody slept"
    for each in stage.everybody:
        assert "must not be believed" not in each.program.said, each.program.said
    assert "was fresh" not in stage.old.program.said, "the feed's keys changed as well, and nobody was cut off by that"
    return [*_figures(stage, seconds), *_rotations(stage, began)]


def _is_right(stage: Stage, verdict: Verdict) -> bool:
    return (verdict.word, verdict.detail) == ("accepted", stage.issued[verdict.number].kid)


def _when(stage: Stage, verdict: Verdict) -> str:
    """What was going on, for who has to find out."""
    rows = _trail(stage.site)
    return f"kid {stage.issued[verdict.number].kid}, woke at {stage.woke}, last rotations {rows[-6:]}"


def _figures(stage: Stage, seconds: float) -> list[str]:
    ms = statistics.quantiles((took * 1000 for took in stage.took), n=100)
    kinds = (OLD, NEW, WOKEN, OTHER)
    verified = {kind: sum(one.sent for one in stage.everybody if one.kind == kind) for kind in kinds}
    kids = {alg: len({one.kid for one in stage.issued if ALGS[one.api] == alg}) for alg in ALGS}
    slept = f"one slept {len(stage.woke)} times for {ASLEEP:g} s"
    unsure = f"could not decide {len(stage.undecided)} times, the last {_recovery(stage):.1f} s after it woke up"
    tokens = len(stage.issued)
    return [
        f"  {tokens} tokens, {tokens / seconds:.0f} a second; /token p50 {ms[49]:.1f} ms, p99 {ms[98]:.1f} ms",
        "  verified: " + ", ".join(f"{kind} {verified[kind]}" for kind in kinds) + "; refused 0",
        f"    {len(stage.newcomers)} were new; {slept}, and {unsure}",
        "  distinct kids: " + ", ".join(f"{alg} {number}" for alg, number in kids.items()),
    ]


def _recovery(stage: Stage) -> float:
    """Seconds after it woke up in which it still could not decide, at most."""
    return max(
        (verdict.moment - max(at for at in stage.woke if at <= verdict.moment) for verdict in stage.undecided),
        default=0.0,
    )


def _rotations(stage: Stage, began: float) -> list[str]:
    """By schedule and by command; and each key that came was used."""
    found = Counter(
        (row["alg"], row["actor"] == "operator:schedule") for row in _trail(stage.site) if row["at"] >= began
    )
    for alg in ALGS:
        assert found[alg, True] + found[alg, False] >= SECONDS // EVERY, f"{alg}: {found}"
    assert any(found[alg, True] for alg in ALGS)
    assert any(found[alg, False] for alg in ALGS)
    told = ", ".join(f"{alg} {found[alg, True]} by schedule and {found[alg, False]} by command" for alg in ALGS)
    return [f"  rotations: {told}; {stage.commands['refused: under way']} commands came while one was under way"]


def _trail(site: Site) -> list[dict[str, Any]]:
    """Every rotation of token keys, as it was audited."""
    with closing(sqlite3.connect(f"file:{site.data}/watchword.db?mode=ro", uri=True)) as database:
        rows = database.execute(
            "SELECT at, actor, target, detail FROM audit WHERE action = 'key.rotate' ORDER BY id"
        ).fetchall()
    found = [
        {"at": at / 1000, "actor": actor, "kid": target, **json.loads(detail)} for at, actor, target, detail in rows
    ]
    return [row for row in found if row["use"] == "access"]


# The theft.


def _stolen(stage: Stage, api: int) -> str:
    """Revoke the key that signs for this API, which somebody has copied."""
    ours = [stage.old, stage.sleeper]
    everybody = [*ours, stage.other]
    forged, forever, done = _thief(stage, api, everybody)
    answered = time.monotonic()
    token = _token(stage, api)
    assert jwt.get_unverified_header(token)["kid"] == done["successor"]["kid"]
    for each in everybody:
        found = each.ask(api, token)
        assert (found.word, found.detail) == ("accepted", done["successor"]["kid"]), f"{each.kind}: {found}"
    deaths = [_death(each, api, text, answered) for each in ours for text in (*forged, forever)]
    assert max(deaths) < 1.0, deaths
    for each in ours:
        assert {each.ask(api, text).word for text in forged} == {"refused"}, "and dead they stay"
    gone = until(lambda: stage.other.ask(api, forged[0]).word == "refused", within=AHEAD)
    return (
        f"  {ALGS[api]}: stolen, revoked; what was forged dead everywhere {max(deaths) * 1000:.0f} ms after the command"
        f" and at the other library {gone:.1f} s later; the next token accepted by all at once"
    )


def _thief(stage: Stage, api: int, everybody: Sequence[Judge]) -> tuple[list[str], str, dict[str, Any]]:
    """Tokens forged with the very key, which are as good as true until it is revoked; what that command answered."""
    site, audience = stage.site, stage.apis[api]["audience"]
    for _ in range(5):
        kid = _ripe(site, ALGS[api])
        stolen = asyncio.run(_private_half(site, kid))
        forged = [_forged(stolen, site, audience, rev=rev) for rev in (0, 2**62)]
        forever = _forged(stolen, site, audience, rev=2**62, exp=int(time.time()) + 10 * 365 * 24 * 3600)
        assert {each.ask(api, text).word for each in everybody for text in forged} == {"accepted"}
        done = site.cli("key", "revoke", kid, "--yes")
        if done["successor"] is not None:
            return forged, forever, done
    raise AssertionError("keys rotate faster than a command can be given")


def _ripe(site: Site, alg: str) -> str:
    """The key that signs, at a moment when the next one has been published for as long as anybody keeps a key set."""
    signing = ""

    def look() -> bool:
        nonlocal signing
        keys = [key for key in site.cli("key", "list")["keys"] if (key["use"], key["alg"]) == ("access", alg)]
        (signing,) = (key["kid"] for key in keys if key["state"] == "signing")
        return any(key["active_at"] is None and key["age"] >= AHEAD for key in keys)

    until(look, within=3 * EVERY, pause=0.2)
    return signing


async def _private_half(site: Site, kid: str) -> Signer:
    """What a thief has who was once on the machine."""
    async with open_issuer(load_settings(site.config, {})) as issuer:
        (key,) = [key for key in await issuer.stores.keys.all() if key.kid == kid]
        return issuer.key_store.open(key)


def _forged(stolen: Signer, site: Site, audience: str, **claims: int) -> str:
    """A token that claims whatever a thief likes."""
    now = int(time.time())
    said = {
        "iss": site.issuer,
        "sub": "root",
        "aud": audience,
        "exp": now + LIFETIME,
        "iat": now,
        "jti": os.urandom(8).hex(),
    }
    body = {**said, "client_id": "thief", "scope": "read", **claims}
    return signer(stolen, Kind.ACCESS_TOKEN)(msgspec.json.encode(body))


def _death(one: Judge, api: int, token: str, since: float) -> float:
    """When a token was first refused, in seconds since that moment."""
    until(lambda: one.ask(api, token).word == "refused", within=2, pause=0.002)
    return max(0.0, one.verdicts[-1].moment - since)


def _token(stage: Stage, api: int) -> str:
    """The next token for this API."""
    settings = json.loads(stage.asker.process.args[-1])
    client_id, secret = settings["client"]
    return stage.site.client_token(Client(client_id, secret), resource=stage.apis[api]["audience"])
