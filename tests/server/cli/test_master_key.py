"""`watchword key rotate-master`, what `doctor` says of master keys, and where they come from, at the command line."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from tests.stories.processes import Site
from watchword.jose.b64 import b64url

FIRST, SECOND = b64url(bytes(range(32))), b64url(bytes(range(1, 33)))


def findings(site: Site, check: str = "master key") -> list[dict[str, str]]:
    """What doctor says of one thing."""
    return [one for one in site.run("doctor").document["findings"] if one["check"] == check]


def finding(site: Site, check: str = "master key") -> dict[str, str]:
    """What doctor says of one thing, in one line."""
    (found,) = findings(site, check)
    return found


def file(site: Site) -> Path:
    """Where the master key is when nobody says otherwise."""
    return site.data / "master.key"


def setting(site: Site, *keys: str) -> None:
    """Take the master keys from a setting from now on."""
    _only(site, f'master_key = "{" ".join(keys)}"')


def command(site: Site, *keys: str) -> None:
    """Take the master keys from a command from now on: it prints what stands in a file."""
    printed = site.folder / "vault.txt"
    printed.write_text("\n".join(keys))
    _only(site, f"master_key_command = {json.dumps(['cat', str(printed)])}")


def _only(site: Site, line: str) -> None:
    lines = [one for one in site.config.read_text().splitlines() if not one.startswith("master_key")]
    site.config.write_text("\n".join([line, *lines]))


def moved(site: Site, to: object) -> None:
    """From the file to another place, under FIRST alone."""
    to(site, FIRST, file(site).read_text().strip())
    site.cli("key", "rotate-master")
    to(site, FIRST)
    file(site).unlink()


def test_the_file_gets_a_new_master_key(own: Site):
    """One command; it says what is left to do, and names keys without telling anything of them."""
    old = file(own).read_text().strip()
    first = own.cli("key", "rotate-master")
    new = file(own).read_text().strip()
    assert new != old
    assert stat.S_IMODE(file(own).stat().st_mode) == 0o600
    kids = [key["kid"] for key in own.cli("key", "list")["keys"]]
    assert (first["source"], first["place"], first["resumed"]) == ("file", str(file(own)), False)
    assert (first["keys"], sorted(first["resealed"])) == (4, sorted(kids))
    assert (first["given"], len(first["dropped"])) == ([first["newest"]], 1)
    assert any(str(file(own)) in step for step in first["steps"])
    second = own.cli("key", "rotate-master")
    assert second["dropped"] == [first["newest"]]
    assert finding(own)["state"] == "ok"
    assert own.cli("doctor")["ok"] is True
    for text in (json.dumps(first), json.dumps(second)):
        assert old not in text
        assert new not in text


def test_it_says_what_it_did_in_words(own: Site):
    """A table of one row, and steps."""
    ran = own.command("key", "rotate-master", "--config", str(own.config), cwd=own.folder)
    assert ran.code == 0
    assert "Every signing key is sealed under the newest master key. What is left to you:" in ran.out
    assert f"1. Copy {file(own)} to where you keep a copy" in ran.out
    assert file(own).read_text().strip() not in ran.out + ran.err


def test_a_rotation_that_was_cut_short_is_seen_and_finished(own: Site):
    """As after a kill: the new key stands before the old one, and nothing is sealed under it yet."""
    old = file(own).read_text()
    file(own).write_text(f"{FIRST}\n{old}")
    found = finding(own)
    assert (found["state"], found["mend"]) == ("warn", "run `watchword key rotate-master`")
    assert "4 of 4 keys are sealed under an older one" in found["message"]
    assert own.cli("key", "rotate-master")["resumed"] is True
    assert file(own).read_text().strip() == FIRST
    file(own).write_text(f"{FIRST}\n{old}")
    found = finding(own)
    assert (found["state"], found["mend"]) == ("warn", "run `watchword key rotate-master`")
    assert "gives 2; only the first is needed" in found["message"]
    assert own.cli("key", "rotate-master")["resealed"] == []
    assert file(own).read_text().strip() == FIRST


@pytest.mark.parametrize("to", [setting, command])
def test_a_master_key_moves_out_of_the_file(own: Site, to):
    """The new one before that of the file, the command, the new one alone; doctor says when the file may go."""
    old = file(own).read_text().strip()
    to(own, FIRST, old)
    assert "4 of 4 keys are sealed under an older one" in findings(own)[-1]["message"]
    done = own.cli("key", "rotate-master")
    assert (done["source"], len(done["given"]), len(done["resealed"]), done["dropped"]) == (to.__name__, 2, 4, [])
    assert "give the first key only" in done["steps"][0]
    assert ("serve" in done["steps"][1]) is (to is setting)
    to(own, FIRST)
    unused, used = findings(own)
    assert (unused["state"], used["state"]) == ("warn", "ok")
    assert "is not used" in unused["message"]
    file(own).unlink()
    assert finding(own)["state"] == "ok"
    assert FIRST not in json.dumps(done)


@pytest.mark.parametrize("to", [setting, command])
def test_a_master_key_of_ones_own_is_rotated_in_steps(own: Site, to):
    """With one key there is nothing to do yet, and it says how to go on; doctor says when the old one may go."""
    moved(own, to)
    nothing = own.cli("key", "rotate-master")
    assert (nothing["resealed"], len(nothing["given"])) == ([], 1)
    assert "openssl rand" in nothing["steps"][0]
    assert ("serve" in nothing["steps"][2]) is (to is setting)
    to(own, SECOND, FIRST)
    assert finding(own)["state"] == "warn"
    assert len(own.cli("key", "rotate-master")["resealed"]) == 4
    assert "only the first is needed" in finding(own)["message"]
    to(own, SECOND)
    assert finding(own)["state"] == "ok"
    to(own, FIRST)
    ran = own.run("key", "rotate-master")
    assert (ran.code, ran.document["error"]) == (2, "master_key")
    assert finding(own, "keys")["state"] == "fail"
    assert not file(own).exists()


def test_a_command_that_fails_is_the_answer(own: Site):
    """Where a master key is needed; taking back goes on."""
    moved(own, command)
    _only(own, 'master_key_command = ["sh", "-c", "echo the vault is sealed >&2; exit 2"]')
    ran = own.run("key", "rotate", "--use", "feed")
    assert (ran.code, ran.document["error"]) == (2, "master_key")
    assert "the command sh, which prints the master key, ended with exit code 2" in ran.document["message"]
    assert "the vault is sealed" in ran.document["message"]
    found = finding(own, "keys")
    assert (found["state"], found["message"]) == ("fail", ran.document["message"])
    own.new_user("mallory@example.com")
    own.cli("user", "disable", "mallory@example.com")
    own.cli("revoke", "everything", "--yes")
    (kid, *_) = (key["kid"] for key in own.cli("key", "list")["keys"] if key["state"] == "signing")
    assert own.cli("key", "revoke", kid, "--yes")["successor"]


def test_after_a_loss_new_keys_are_made(own: Site):
    """A new master key is put in place, and every key of before is thrown away; one has to say that one means it."""
    old = {key["kid"] for key in own.cli("key", "list")["keys"]}
    file(own).write_text(FIRST)
    assert finding(own, "keys")["state"] == "fail"
    assert own.run("key", "revoke-lost").code == 2
    assert {key["kid"] for key in own.cli("key", "list")["keys"]} == old
    assert set(own.cli("key", "revoke-lost", "--yes")["revoked"]) == old
    assert own.cli("key", "revoke-lost", "--yes")["revoked"] == []
    new = {key["kid"] for key in own.cli("key", "list")["keys"]}
    assert len(new) == 4
    assert not new & old
    assert own.cli("doctor")["ok"] is True
