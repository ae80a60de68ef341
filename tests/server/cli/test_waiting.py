"""`--wait` and `watchword verifiers`: where a revocation is known, as operators hear it."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from msgspec.structs import replace

from tests.stories.processes import Site
from watchword_server.cli.waiting import NAMED, sentence
from watchword_server.flows.leases import LEEWAY
from watchword_server.flows.who_knows import Reach, Silent
from watchword_server.main import load_settings, open_issuer
from watchword_server.ports import Lease

ORDERS = "https://orders.example"
NOON = 1_800_014_400
"""12:00:00 UTC of some day."""


@pytest.fixture(autouse=True)
def nobody(site: Site) -> None:
    """Who was known before is forgotten."""
    with closing(sqlite3.connect(site.data / "watchword.db", timeout=10)) as database, database:
        database.execute("DELETE FROM leases")


def lease(name: str, **more: object) -> Lease:
    """Of a process that listens."""
    now = int(time.time())
    found = Lease(ORDERS, f"{name:_<22}", name, 30, heard_at=now - 4, until=now + 999)
    return replace(found, **more)


def keep(site: Site, *leases: Lease) -> tuple[str, int]:
    """As a running issuer would; the head of the log."""

    async def kept() -> tuple[str, int]:
        async with open_issuer(load_settings(site.config, {})) as issuer:
            await issuer.stores.leases.keep(leases)
            head = await issuer.stores.log.head()
            return head.log, head.rev

    return asyncio.run(kept())


@contextmanager
def acknowledging(site: Site, *leases: Lease) -> Iterator[None]:
    """Verifiers that hear of everything, a little later: another process, as far as the database can tell."""
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(0.02):
            with closing(sqlite3.connect(site.data / "watchword.db", timeout=10)) as database, database:
                for one in leases:
                    database.execute(
                        "UPDATE leases SET log = (SELECT log FROM head), seq = (SELECT seq FROM head)"
                        " WHERE verifier = ?",
                        (one.verifier,),
                    )

    keep(site, *leases)
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield
    ended.set()
    thread.join(10)


KINDS = {
    "token": lambda site: ("revoke", "token", "jti-1"),
    "user": lambda site: ("revoke", "user", site.new_user().email),
    "client": lambda site: ("revoke", "client", site.new_client().client_id),
    "everything": lambda site: ("revoke", "everything", "--yes"),
    "revoke key": lambda site: ("revoke", "key", "--yes", waiting_key(site)),
    "key revoke": lambda site: ("key", "revoke", "--yes", waiting_key(site)),
}


def waiting_key(site: Site) -> str:
    """One that signs nothing yet."""
    kid = next(key["kid"] for key in site.cli("key", "list")["keys"] if key["state"] == "next")
    assert isinstance(kid, str)
    return kid


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_revoked_may_be_waited_for(site: Site, kind: str):
    """Until the last has said so, and no longer."""
    start = time.monotonic()
    with acknowledging(site, lease("orders-1"), lease("orders-2")):
        ran = site.run(*KINDS[kind](site), "--wait")
    assert ran.code == 0, ran.err
    told = ran.document["revocation"]
    assert told["verifiers"] == {"known": 2, "acknowledged": 2, "silent": []}
    assert 0 <= told["after_ms"] < (time.monotonic() - start) * 1000
    assert time.monotonic() - start < 9


def test_who_is_silent_is_named_with_its_end(site: Site):
    """In a sentence and for programs; the exit code says that it is not over, and not that it failed."""
    dying, now = lease("api-7", until=int(time.time()) + 11), int(time.time())
    keep(site, dying, lease("api-9"))
    with acknowledging(site, lease("api-8")):
        ran = site.run("revoke", "token", "jti-1", "--wait=0.4")
        people = site.command("revoke", "token", "jti-1", "--wait=0.1", "--config", str(site.config), cwd=site.folder)
    assert (ran.code, people.code) == (6, 6)
    assert [entry["kind"] for entry in ran.document["entries"]] == ["token"]
    told = ran.document["revocation"]["verifiers"]
    assert (told["known"], told["acknowledged"]) == (3, 1)
    seven, nine = sorted(told["silent"], key=lambda one: one["name"])
    assert seven == {"name": "api-7", "audience": ORDERS, "heard_at": dying.heard_at, "dead_by": dying.until}
    assert now + 30 + LEEWAY <= nine["dead_by"] <= time.time() + 30 + LEEWAY + 1
    assert "of 3 known verifiers after" in people.out
    assert f"api-7 ({ORDERS}) silent since" in people.out
    assert "at the latest" in people.out


def test_where_nobody_is_known_it_says_so(site: Site):
    """All of none is no promise."""
    ran = site.run("revoke", "token", "jti-1", "--wait")
    assert (ran.code, ran.document["revocation"]["verifiers"]["known"]) == (0, 0)
    people = site.command("revoke", "token", "jti-1", "--wait", "--config", str(site.config), cwd=site.folder)
    assert "No verifier is known" in people.out


def test_who_does_not_ask_is_told_nothing(site: Site):
    """And waits for nobody."""
    keep(site, lease("silent"))
    ran = site.run("revoke", "token", "jti-1")
    assert (ran.code, list(ran.document)) == (0, ["entries"])


@pytest.mark.parametrize("order", [("--wait", "jti-1"), ("jti-1", "--wait"), ("--wait", "--", "--wait")])
def test_wait_never_swallows_what_follows(site: Site, order: tuple[str, ...]):
    """Its value is written with an equals sign, or left out."""
    ran = site.run("revoke", "token", *order) if "--" not in order else _last(site, *order)
    assert ran.code == 0, ran.err
    assert ran.document["entries"][0]["id"] == ("--wait" if "--" in order else "jti-1")


def _last(site: Site, *order: str) -> object:
    """The options of a test's call stand before what ends options."""
    return site.command("revoke", "token", "--json", "--config", str(site.config), *order, cwd=site.folder)


@pytest.mark.parametrize("wait", ["--wait=x", "--wait=-1", "--wait=", "--wait=nan", "--wait=3601"])
def test_a_wait_that_is_none_is_wrong_usage(site: Site, wait: str):
    """Before anything is revoked."""
    log, before = keep(site)
    assert site.run("revoke", "token", "jti-1", wait).code == 2
    assert keep(site) == (log, before)


def test_the_verifiers_that_are_known_are_listed(site: Site):
    """How far each is, when it was heard last, and by when it refuses if it hears nothing more."""
    (entry,) = site.cli("revoke", "token", "jti-1")["entries"]
    head = entry["seq"]
    log, _ = keep(site)
    now = int(time.time())
    knows = lease("b", log=log, seq=head, acknowledged_at=now - 2)
    keep(site, lease("c"), knows, lease("a", log=log, seq=head - 1, acknowledged_at=now), lease("gone", until=now - 1))
    found = site.cli("verifiers")
    assert found["head"] == head
    assert [(one["name"], one["seq"], one["behind"]) for one in found["verifiers"]] == [
        ("a", head - 1, 1),
        ("b", head, 0),
        ("c", None, None),
    ]
    assert found["verifiers"][1] == {
        "audience": ORDERS,
        "name": "b",
        "seq": head,
        "behind": 0,
        "acknowledged_at": now - 2,
        "heard_at": knows.heard_at,
        "dead_by": knows.until,
        "refuse_after": 30,
    }
    people = site.command("verifiers", "--config", str(site.config), cwd=site.folder)
    assert ORDERS in people.out
    assert "gone" not in people.out


def test_nobody_is_listed_in_words(site: Site):
    """An empty table would say less."""
    assert site.cli("verifiers")["verifiers"] == []
    assert "No verifier is known" in site.command("verifiers", "--config", str(site.config), cwd=site.folder).out


def silent(name: str) -> Silent:
    """Since three seconds past noon."""
    return Silent(ORDERS, name, NOON + 3, NOON + 48)


# fmt: off
SENTENCES = {
    Reach(7, 3, (), 0.041): "Dead at 3 of 3 known verifiers after 41 ms.",
    Reach(7, 3, (silent("api-7"),), 10.004):
        "Dead at 2 of 3 known verifiers after 10 s; api-7 (https://orders.example) silent since 12:00:03Z, dead by "
        "12:00:48Z at the latest.",
    Reach(7, 1, (silent("\x1b]0;x"),), 1.25):
        "Dead at 0 of 1 known verifiers after 1.25 s; \\x1b]0;x (https://orders.example) silent since 12:00:03Z, "
        "dead by 12:00:48Z at the latest.",
}
# fmt: on


@pytest.mark.parametrize("reach", SENTENCES, ids=["all", "one is silent", "a name that would move the cursor"])
def test_the_sentence(reach: Reach):
    """Times of day are UTC; names are made harmless."""
    assert sentence(reach) == SENTENCES[reach]


def test_many_who_are_silent_are_counted():
    """A sentence has an end; programs get them all."""
    said = sentence(Reach(7, NAMED + 5, tuple(silent(f"api-{n}") for n in range(NAMED + 5)), 10))
    assert said.count("silent since") == NAMED
    assert said.endswith("and 5 more.")


def test_what_cannot_be_read_is_not_nobody():
    """It is revoked, and that is all that can be told."""
    assert sentence(Reach(7, None, (), 10)).startswith("Revoked; but the database could not be read")
