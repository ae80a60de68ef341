"""Between an issuer and a verifier stands somebody who does what he can to the feed: a dead token dies all the same.

Real processes: `watchword serve`, a proxy as hostile as it is told to be, and a verifier that refuses after a few
seconds without news (`WATCHWORD_TEST_REFUSE=60` runs with the SDK's own bound, and with a verifier frozen for longer
than a minute). In every story a token is revoked while the feed is in bad hands. Then no answer to a question that was
asked later than `refuse_after` accepts it, a good token is never refused, and all is well by itself in the end.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.stories.judges import ROOT, Judge, judge
from tests.stories.processes import TETHER, Client, Program, Site, deployment, free_ports, start, until
from watchword_server.main import load_settings, open_issuer

REFUSE_AFTER = float(os.environ.get("WATCHWORD_TEST_REFUSE", "6"))
"""Seconds."""
SLACK = 0.002 * REFUSE_AFTER
"""What a verifier allows for the drift of clocks, twice."""
BACK = 10.0
"""Seconds until all is well again: the longest pause between two tries is 5, and then something has to be asked."""
SOON = 2.5
"""Seconds in which a verifier learns what it can learn: a heartbeat, and a question."""

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240 + 6 * REFUSE_AFTER)]


class Case(NamedTuple):
    """What is done to the feed, and whether a verifier that suffers it can still know what is revoked."""

    name: str
    word: str
    knows: bool


CASES = (
    Case("cut", "cut", False),
    Case("stalled", "stall", False),
    Case("delayed a little", "delay 0.2", True),
    Case("delayed by more than is bearable", f"delay {REFUSE_AFTER + 1:g}", False),
    Case("reordered", "reorder", True),
    Case("replayed on the stream", "stream-replay", True),
    Case("replayed", "replay", False),
    Case("validly signed but old", "old", False),
    Case("truncated", "truncate", False),
    Case("gapped on the stream", "stream-gap", True),
    Case("gapped", "gap", False),
    Case("forged", "forge", False),
    Case("signed by a token key", "sign {keys}/token.der ES256 {token_kid}", False),
    Case("signed by a token key in the name of the feed's", "sign {keys}/token.der ES256 {feed_kid}", False),
    Case("of another issuer with the very same keys", "elsewhere {other}", False),
)


class Seen(NamedTuple):
    """What a verifier said of a token, and when it was asked, on the monotonic clock."""

    asked: float
    word: str
    detail: str


@dataclass
class Stage:
    """The issuer, the one who stands before it, and what the stories need to be as hostile as they are."""

    site: Site
    proxy: Program
    client: Client
    words: dict[str, str]
    stack: ExitStack

    def tell(self, word: str) -> None:
        """Have the proxy do this from now on."""
        assert self.proxy.process.stdin is not None
        said = len(self.proxy.lines)
        self.proxy.process.stdin.write(word.format(**self.words) + "\n")
        self.proxy.process.stdin.flush()
        until(lambda: len(self.proxy.lines) > said)

    def verifier(self, **more: float) -> Judge:
        """A verifier of the API, which works."""
        api = {"audience": self.site.audience, "client_id": self.site.api.client_id, "secret": self.site.api.secret}
        one = judge("verifier", {"issuer": self.site.issuer, "apis": [api], "refuse_after": REFUSE_AFTER, **more})
        self.stack.callback(one.close)
        until(lambda: "ready" in one.program.lines, within=30)
        return one

    def token(self) -> str:
        """A good one."""
        return self.site.client_token(self.client)

    def revoke(self, token: str) -> float:
        """Revoke it; when that was answered."""
        self.site.revoke(self.client, token)
        return time.monotonic()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """An issuer whose public address is the proxy's, and another one with its log and its keys under another name."""
    folder = tmp_path_factory.mktemp("hostile")
    own, other = free_ports(2)
    with ExitStack() as stack, deployment(folder / "site", running=False) as site:
        _listen(site.config, site.port, own)
        command = (sys.executable, "-m", "tests.stories.programs.hostile_proxy", str(site.port), str(own))
        proxy = start("proxy", command, cwd=ROOT)
        stack.callback(proxy.stop)
        site.start()  # which makes the keys
        client = site.new_client("App")
        site.stop_issuer()
        words = {**asyncio.run(_keys(site, folder)), "keys": str(folder), "other": str(other)}
        stack.callback(_twin(site, folder / "twin", other).stop)
        site.start()
        yield Stage(site, proxy, client, words, stack)


@pytest.fixture
def pair(stage: Stage) -> Iterator[tuple[Judge, str, str]]:
    """A verifier that works, a token that will be revoked, a token that stays good; at the end nothing is hostile."""
    one, doomed, good = stage.verifier(), stage.token(), stage.token()
    for token in (doomed, good):
        until(lambda token=token: one.ask(0, token).word == "accepted", BACK)  # type: ignore[misc]  # bound at once
    yield one, doomed, good
    stage.tell("pass")


def _listen(config: Path, public: int, own: int) -> None:
    config.write_text(config.read_text().replace(f'listen = "127.0.0.1:{public}"', f'listen = "127.0.0.1:{own}"'))


async def _keys(site: Site, folder: Path) -> dict[str, str]:
    """The private half of a token's key, in a file: what a thief has who was once on the machine; and both names."""
    async with open_issuer(load_settings(site.config, {})) as issuer:
        stored = await issuer.stores.keys.all()
        (token,) = (key for key in stored if (key.use, key.alg) == ("access", "ES256") and key.active_at)
        feed = next(key for key in stored if key.use == "feed" and key.active_at)
        (folder / "token.der").write_bytes(issuer.key_store.open(token).pkcs8())
    return {"token_kid": token.kid, "feed_kid": feed.kid}


def _twin(site: Site, folder: Path, port: int) -> Program:
    """An issuer of another name with a copy of the database: same keys, same APIs, same log."""
    shutil.copytree(site.folder, folder, ignore=shutil.ignore_patterns("*.sock"))
    config = folder / "watchword.toml"
    text = config.read_text().replace(str(site.folder), str(folder)).replace(site.issuer, f"http://localhost:{port}")
    config.write_text(
        "\n".join(line if "listen" not in line else f'listen = "127.0.0.1:{port}"' for line in text.splitlines())
    )
    serve = (sys.executable, *TETHER, "watchword_server", "serve", "--config", str(config), "--json")
    twin = start("twin", serve, cwd=folder)
    twin.wait_until_ready(f"http://127.0.0.1:{port}/readyz")
    return twin


def _watch(one: Judge, tokens: dict[str, str], seconds: float, enough: str = "") -> dict[str, list[Seen]]:
    """Ask about each token in turn for so long, or until the last one was called `enough`."""
    seen: dict[str, list[Seen]] = {name: [] for name in tokens}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for name, token in tokens.items():
            asked = time.monotonic()
            found = one.ask(0, token)
            seen[name].append(Seen(asked, found.word, found.detail))
        if enough and seen[name][-1].word == enough:
            break
    return seen


def _words(seen: list[Seen]) -> set[str]:
    return {each.word for each in seen}


def _must_recover(stage: Stage, one: Judge, doomed: str, good: str) -> float:
    """Without anybody's help: the good token is served again, and the dead one never was. Seconds."""
    stage.tell("pass")
    began = time.monotonic()
    back = _watch(one, {"doomed": doomed, "good": good}, BACK, enough="accepted")
    took = time.monotonic() - began
    assert back["good"][-1].word == "accepted", f"not back within {BACK} s: {back['good'][-1]}\n{one.program.said}"
    last = _watch(one, {"doomed": doomed, "good": good}, 0.5)
    assert "accepted" not in _words(back["doomed"] + last["doomed"])
    assert _words(last["doomed"]) == {"refused"}
    assert _words(last["good"]) == {"accepted"}
    return took


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_feed_in_bad_hands(
    case: Case, stage: Stage, pair: tuple[Judge, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Either the verifier still learns what is revoked, or it says in time that it does not know."""
    one, doomed, good = pair
    stage.tell(case.word)
    revoked = stage.revoke(doomed)
    tokens = {"doomed": doomed, "good": good}
    if case.knows:
        seen = _watch(one, {"good": good, "doomed": doomed}, REFUSE_AFTER + SOON, enough="refused")
        told = f"dead after {seen['doomed'][-1].asked - revoked:.2f} s"
        later = _watch(one, tokens, SOON)
        assert _words(later["doomed"]) == {"refused"}
        assert _words(seen["good"] + later["good"]) == {"accepted"}
    else:
        seen = _watch(one, tokens, REFUSE_AFTER + SOON, enough="undecided")
        told = f"blind after {seen['good'][-1].asked - revoked:.2f} s"
        later = _watch(one, tokens, SOON)
        assert "accepted" not in _words(later["doomed"])
        assert _words(later["good"]) == {"undecided"}
    late = [each for each in seen["doomed"] if each.word == "accepted" and each.asked > revoked + REFUSE_AFTER + SLACK]
    assert not late, f"accepted {late[-1].asked - revoked:.2f} s after it was revoked"
    assert "refused" not in _words(seen["good"] + later["good"]), "nobody revoked that one"
    took = _must_recover(stage, one, doomed, good)
    with capsys.disabled():
        print(f"\n  {case.name}: {told}; well again {took:.2f} s after the end")


@pytest.mark.parametrize("word", ["pass", "stall"])
def test_a_frozen_verifier_that_wakes(word: str, stage: Stage, pair: tuple[Judge, str, str]) -> None:
    """Stopped for longer than it may be without news: not even its first answers after it wakes take a dead token.

    They were asked while it slept, and what happened meanwhile lies in its sockets, unless it was held back.
    """
    one, doomed, good = pair
    one.freeze()
    frozen = time.monotonic()
    stage.tell(word)
    revoked = stage.revoke(doomed)
    until(lambda: time.monotonic() - max(frozen, revoked) > REFUSE_AFTER + 1, REFUSE_AFTER + 5)
    for number in range(200):
        one.send(number, 0, doomed)
    one.wake()
    until(one.has_answered, 10)
    first = [verdict for verdict in one.verdicts if verdict.number >= 0]
    assert len(first) == 200
    assert "accepted" not in {verdict.word for verdict in first}, first[0]
    _must_recover(stage, one, doomed, good)


@pytest.mark.parametrize("ahead", [30.0, -30.0])
def test_a_verifier_whose_clock_is_wrong(ahead: float, stage: Stage) -> None:
    """By half a minute: revocations arrive, and without news it is blind after the same time as any other."""
    one, doomed, later, good = stage.verifier(ahead=ahead, leeway=40), stage.token(), stage.token(), stage.token()
    until(lambda: one.ask(0, later).word == "accepted", BACK)
    revoked = stage.revoke(doomed)
    seen = _watch(one, {"good": good, "doomed": doomed}, SOON, enough="refused")
    assert _words(seen["good"]) == {"accepted"}, [each for each in seen["good"] if each.word != "accepted"][:2]
    assert seen["doomed"][-1].asked - revoked < 1
    stage.tell("cut")
    revoked = stage.revoke(later)
    seen = _watch(one, {"later": later, "good": good}, REFUSE_AFTER + SOON, enough="undecided")
    assert _words(seen["good"]) == {"accepted", "undecided"}
    assert seen["good"][-1].asked - revoked > REFUSE_AFTER / 2, "blind long before it had to be"
    assert max(each.asked for each in seen["later"] if each.word == "accepted") <= revoked + REFUSE_AFTER + SLACK
    _must_recover(stage, one, later, good)
