"""`watchword doctor` finds what is wrong, and says how to mend it."""

from __future__ import annotations

import socket
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.stories.processes import Site, watchword


def test_a_sound_deployment_has_nothing_to_mend(site: Site):
    """Every line is there, none says fail."""
    found = site.cli("doctor")
    assert found["ok"] is True
    states = {finding["check"]: finding["state"] for finding in found["findings"]}
    assert states.pop("issuer") == "warn"  # http on loopback
    assert set(states.values()) == {"ok"}
    assert {"settings", "data folder", "master key", "database", "schema", "writing", "clock", "port"} < set(states)
    assert {"access key", "feed key"} < set(states)


def test_a_new_deployment_has_nothing_yet(tmp_path: Path):
    """That is worth a word, and no failure; and looking makes nothing."""
    (tmp_path / "watchword.toml").write_text('issuer = "https://id.example.com"\nlisten = "127.0.0.1:0"\n')
    ran = watchword("doctor", "--json", cwd=tmp_path)
    assert ran.code == 0
    assert {finding["check"] for finding in ran.document["findings"] if finding["state"] == "warn"} == {
        "data folder",
        "master key",
        "database",
    }
    assert not (tmp_path / "watchword-data").exists()


def _strange_key(site: Site) -> None:
    key = site.data / "master.key"
    text = key.read_text()
    key.write_text(("B" if text[0] == "A" else "A") + text[1:])


def _no_key(site: Site) -> None:
    (site.data / "master.key").unlink()


def _open_folder(site: Site) -> None:
    site.data.chmod(0o755)


def _open_key(site: Site) -> None:
    (site.data / "master.key").chmod(0o644)


def _rubbish(site: Site) -> None:
    database = site.data / "watchword.db"
    for end in ("-wal", "-shm"):
        database.with_name(database.name + end).unlink(missing_ok=True)
    database.write_bytes(b"this is no database at all" * 100)


def _from_the_future(site: Site) -> None:
    with sqlite3.connect(site.data / "watchword.db") as database:
        database.execute("UPDATE audit SET at = ?", (int((time.time() + 3600) * 1000),))


def _wrong_setting(site: Site) -> None:
    with site.config.open("a") as file:
        file.write("lunch = 1\n")


@pytest.mark.parametrize(
    ("breakage", "check"),
    [
        (_strange_key, "keys"),
        (_no_key, "keys"),
        (_open_folder, "data folder"),
        (_open_key, "master key"),
        (_rubbish, "database"),
        (_from_the_future, "clock"),
        (_wrong_setting, "settings"),
    ],
)
def test_what_is_broken_is_found(own: Site, breakage: Callable[[Site], None], check: str):
    """One line fails, and says what to do; the exit code is 1."""
    breakage(own)
    ran = own.run("doctor")
    assert ran.code == 1
    assert ran.document["ok"] is False
    failed = [finding for finding in ran.document["findings"] if finding["state"] == "fail"]
    assert [finding["check"] for finding in failed] == [check]
    assert failed[0]["mend"]


def test_a_port_that_another_uses_is_found(own: Site):
    """Unless it is this very issuer."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", own.port))
        other.listen()
        ran = own.run("doctor")
    assert [finding["check"] for finding in ran.document["findings"] if finding["state"] == "fail"] == ["port"]
    own.start()
    (port,) = [finding for finding in own.cli("doctor")["findings"] if finding["check"] == "port"]
    assert "served by this issuer" in port["message"]


def test_a_locked_database_is_found(own: Site):
    """Who holds it is not known, that it is held is."""
    with sqlite3.connect(own.data / "watchword.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        ran = own.run("doctor")
        other.execute("ROLLBACK")
    assert [finding["check"] for finding in ran.document["findings"] if finding["state"] == "fail"] == ["writing"]


def _keys(site: Site, sql: str) -> list[dict[str, str]]:
    """What is said of keys after something happened to them."""
    with sqlite3.connect(site.data / "watchword.db") as database:
        database.execute(sql)
    return [finding for finding in site.run("doctor").document["findings"] if "key" in finding["check"]]


def test_a_key_that_should_have_been_rotated_is_found(own: Site):
    """Nobody serves, or whoever serves cannot: worth a word, no failure."""
    (found,) = (finding for finding in _keys(own, LATE) if finding["state"] == "warn")
    assert found["check"] == "access key"
    assert "should have been rotated 2 h ago" in found["message"]
    assert "watchword serve" in found["mend"]


LATE = "UPDATE keys SET active_at = active_at - 90 * 86400 - 2 * 3600 - 60 WHERE use = 'access' AND active_at > 0"


def test_a_key_without_a_successor_is_found(own: Site):
    """An emergency would have to sign with a key that nobody knows."""
    own.cli("api", "set", own.audience, "--alg", "EdDSA")
    found = _keys(own, "DELETE FROM keys WHERE alg = 'EdDSA' AND active_at IS NULL")
    assert {finding["state"] for finding in found} == {"ok", "warn"}
    (warned,) = (finding for finding in found if finding["state"] == "warn")
    assert "EdDSA" in warned["message"]
    assert "no successor" in warned["message"]


def test_one_key_that_cannot_be_opened_is_found(own: Site):
    """Also one that does not sign yet: it will have to."""
    found = _keys(own, "UPDATE keys SET sealed = zeroblob(40) WHERE active_at IS NULL")
    (failed,) = (finding for finding in found if finding["state"] == "fail")
    assert failed["check"] == "keys"
    assert failed["mend"]


def _of_redis(site: Site, url: str) -> list[dict[str, str]]:
    """What is said of a Redis at a URL; it is never a failure, for the service goes on without."""
    site.config.write_text(f'{site.config.read_text()}redis.url = "{url}"\n')
    ran = site.run("doctor")
    assert ran.code == 0
    assert "hunter2" not in ran.out + ran.err
    return [finding for finding in ran.document["findings"] if finding["check"] == "redis"]


def test_a_redis_that_answers_is_sound(own: Site, redis):
    """It is asked to write, as a node would."""
    (found,) = _of_redis(own, redis.url)
    assert found["state"] == "ok"


def test_a_redis_that_does_not_answer_is_found(own: Site):
    """With what becomes of the nodes until it does."""
    (found,) = _of_redis(own, "redis://:hunter2@127.0.0.1:1/0")
    assert found["state"] == "warn"
    assert "it cannot be reached" in found["message"]
    assert "each node limits sign-ins alone" in found["mend"]


def test_a_redis_that_is_spoken_to_in_clear_is_found(own: Site):
    """Who listens between them could read its password."""
    states = [(found["state"], found["message"]) for found in _of_redis(own, "redis://:hunter2@redis.invalid:6379/0")]
    assert states[0] == ("warn", "redis.invalid is spoken to unencrypted")
