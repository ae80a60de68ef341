"""Signing keys at rest, and the master keys that seal them."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec.structs import replace as changed

from tests.stories.processes import until
from watchword.errors import InvalidKey
from watchword.jose.b64 import b64url
from watchword.jose.jwk import SigningKey, public_key
from watchword_server.adapters.keystore import command as commands
from watchword_server.adapters.keystore.command import LONGEST, PAUSE, MasterKeyCommand
from watchword_server.adapters.keystore.file import MasterKeyFile
from watchword_server.adapters.keystore.master import MasterKey, parse, written
from watchword_server.adapters.keystore.masters import Masters, Source
from watchword_server.adapters.keystore.sealed import HEAD, NONCE, SealedKeys
from watchword_server.adapters.keystore.setting import MasterKeySetting
from watchword_server.changes import StoredKey
from watchword_server.ports import KeyStoreError

NOW = 1_800_000_000
FIRST, SECOND, THIRD = (bytes(range(n, n + 32)) for n in (0, 1, 2))
SECRETS = (FIRST, SECOND, THIRD)


def under(*secrets: bytes) -> SealedKeys:
    """A key store with these master keys, the newest first."""
    return SealedKeys(MasterKeySetting(" ".join(b64url(secret) for secret in secrets)))


def made(store: SealedKeys, alg: str = "ES256") -> StoredKey:
    """A new key, the first of its deployment."""
    return store.make(alg, "access", NOW, None)


def sealed_as_in_version_1(secret: bytes, key: SigningKey, use: str = "access") -> StoredKey:
    """As the first edition of Watchword sealed it: written down here a second time."""
    cipher = AESGCM(HKDF(SHA256(), 32, salt=None, info=b"watchword keystore v1").derive(secret))
    nonce, bound = os.urandom(12), f"watchword key\n{key.kid}\n{use}\n{key.alg}".encode()
    sealed = b"\x01" + nonce + cipher.encrypt(nonce, key.pkcs8(), bound)
    return StoredKey(key.kid, use, key.alg, json.dumps(key.public_jwk()), sealed, NOW)


@dataclass
class Given:
    """A source that gives what it was told, and counts how often it was asked."""

    secrets: tuple[bytes, ...]
    kind: str = "command"
    place: str = "the test"
    pause: float = 5.0
    asked: int = 0
    broken: bool = False
    gate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def read(self) -> tuple[MasterKey, ...]:
        """Waits where the gate is shut."""
        self.asked += 1
        assert self.gate.wait(10)
        if self.broken:
            raise KeyStoreError("the test says no")
        return tuple(MasterKey.of(secret) for secret in self.secrets)

    def renew(self) -> object:
        """Not asked for here."""
        raise AssertionError


@dataclass
class Clock:
    """Seconds, as the test says."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


# What is sealed.


@pytest.mark.parametrize("alg", ["ES256", "RS256", "EdDSA"])
def test_a_key_that_was_sealed_opens_and_signs(alg):
    """What it signs verifies with the public JWK that is stored beside it."""
    stored = made(under(FIRST), alg)
    assert (stored.use, stored.alg, stored.created_at, stored.retired_at) == ("access", alg, NOW, None)
    opened = under(FIRST).open(stored)
    assert opened.kid == stored.kid
    public_key(msgspec.json.decode(stored.public)).verify(b"message", opened.sign(b"message"))


def test_nothing_private_is_stored_in_the_clear():
    """Neither the public half nor what is sealed has the private number in it."""
    store = under(FIRST)
    stored = made(store)
    private = store.open(stored).pkcs8()
    assert private[-32:] not in stored.sealed
    assert set(msgspec.json.decode(stored.public)) == {"kty", "crv", "x", "y", "kid", "alg", "use"}


def test_two_seals_of_one_master_key_share_no_nonce():
    """A repeated nonce would give AES-GCM away."""
    store = under(FIRST)
    assert len({made(store, "EdDSA").sealed[HEAD : HEAD + NONCE] for _ in range(20)}) == 20


def test_what_is_sealed_names_its_master_key_and_tells_nothing_of_it():
    """The name is derived for that alone: by another purpose than what seals, and it is not in the key."""
    (key,) = parse(b64url(FIRST))
    stored = made(under(FIRST))
    assert stored.sealed[:HEAD] == b"\x02" + key.id
    assert key.id == HKDF(SHA256(), 8, salt=None, info=b"watchword master key id").derive(FIRST)
    sealing = HKDF(SHA256(), 32, salt=None, info=b"watchword keystore v2").derive(FIRST)
    nonce, text = stored.sealed[HEAD : HEAD + NONCE], stored.sealed[HEAD + NONCE :]
    bound = stored.sealed[:HEAD] + f'["watchword key","{stored.kid}","access","ES256"]'.encode()
    assert SigningKey.load(AESGCM(sealing).decrypt(nonce, text, bound), "ES256").kid == stored.kid


def test_a_wrong_master_key_is_said_with_the_way_to_mend_it():
    """And not as a broken key: with the names of what is asked for and of what is there."""
    stored = made(under(FIRST))
    with pytest.raises(KeyStoreError, match="use the master key that this database was made with") as refusal:
        under(SECOND, THIRD).open(stored)
    for secret in SECRETS:
        assert MasterKey.of(secret).id.hex() in str(refusal.value)


@pytest.mark.parametrize(
    "altered",
    [
        {"use": "feed"},
        {"alg": "ES384"},
        {"kid": "another"},
        {"sealed": b""},
        {"sealed": b"\x01"},
        {"sealed": b"\x01" + bytes(40)},
        {"sealed": b"\x02"},
        {"sealed": b"\x02" + bytes(60)},
        {"sealed": b"\x02" + MasterKey.of(FIRST).id},
        {"sealed": b"\x02" + MasterKey.of(FIRST).id + bytes(60)},
        {"sealed": b"\x03" + MasterKey.of(FIRST).id + bytes(60)},
    ],
    ids=str,
)
def test_a_sealed_key_is_bound_to_what_it_is_for(altered):
    """A feed key that is relabelled to sign tokens does not open, nor does anything cut or changed."""
    store = under(FIRST)
    stored = changed(made(store), **altered)
    for act in (store.open, store.reseal):
        with pytest.raises(KeyStoreError):
            act(stored)
    with pytest.raises(KeyStoreError):
        store.make("ES256", "access", NOW, stored)


@pytest.mark.parametrize("number", [1, 2])
def test_every_altered_byte_is_noticed(number):
    """Of the version, the master key's name, the nonce, the ciphertext and the tag; in both versions."""
    store = under(FIRST)
    old, new = sealed_as_in_version_1(FIRST, SigningKey.generate("EdDSA")), made(store, "EdDSA")
    stored = old if number == 1 else new
    for n in range(len(stored.sealed)):
        damaged = bytearray(stored.sealed)
        damaged[n] ^= 1 if n else 0x80
        with pytest.raises(KeyStoreError):
            store.open(changed(stored, sealed=bytes(damaged)))


def test_a_seal_cannot_be_moved_to_another_master_key():
    """Nor to another version: both are bound."""
    store = under(FIRST, SECOND)
    stored = made(store)
    for head in (b"\x02" + MasterKey.of(SECOND).id, b"\x01"):
        with pytest.raises(KeyStoreError):
            store.open(changed(stored, sealed=head + stored.sealed[HEAD:]))


def test_no_key_is_made_for_an_algorithm_that_does_not_sign_in_public():
    """HMAC is never for tokens."""
    with pytest.raises(InvalidKey):
        under(FIRST).make("HS256", "access", NOW, None)


def test_what_opens_and_is_another_key_is_refused():
    """Whoever can seal may still not put one key under the name of another."""
    store, key = under(FIRST), SigningKey.generate("ES256")
    with pytest.raises(KeyStoreError, match="is another key"):
        store.open(changed(sealed_as_in_version_1(FIRST, replace(key, kid="k")), kid="k"))


# One master key in the place of another.


def test_a_secret_opens_for_its_owner_and_for_nothing_else():
    """Neither for another client nor as a key, altered in no byte, and under no other master key."""
    store = under(FIRST)
    sealed = store.seal(b"a secret of 64 bytes or so", "client_1", made(store))
    assert store.unseal(sealed, "client_1") == b"a secret of 64 bytes or so"
    assert b"secret" not in sealed
    altered = [sealed[:n] + bytes([sealed[n] ^ 1]) + sealed[n + 1 :] for n in range(len(sealed))]
    for other, owner in (
        (sealed, "client_2"),
        (sealed, ""),
        (b"", "client_1"),
        *((one, "client_1") for one in altered),
    ):
        with pytest.raises(KeyStoreError):
            store.unseal(other, owner)
    with pytest.raises(KeyStoreError):
        under(SECOND).unseal(sealed, "client_1")
    stored = made(store)
    for name in ("client_1", stored.kid):
        with pytest.raises(KeyStoreError):
            store.open(changed(stored, kid=name, sealed=sealed))
        with pytest.raises(KeyStoreError):
            store.unseal(stored.sealed, name)


def test_a_secret_is_sealed_anew_and_never_by_whoever_was_overtaken():
    """As keys are: beside one that opens, under the newest master key."""
    old, both = under(FIRST), under(SECOND, FIRST)
    sealed = old.seal(b"secret", "client_1", None)
    assert old.reseal_secret(sealed, "client_1") is None
    anew = both.reseal_secret(sealed, "client_1")
    assert anew is not None
    assert under(SECOND).unseal(anew, "client_1") == b"secret"
    assert both.reseal_secret(anew, "client_1") is None
    with pytest.raises(KeyStoreError):
        old.seal(b"secret", "client_1", made(under(SECOND)))


def test_older_master_keys_open_and_the_newest_seals():
    """Whatever stands behind it."""
    old = made(under(FIRST))
    store = under(SECOND, FIRST)
    assert store.open(old).kid == old.kid
    new = store.make("ES256", "access", NOW, old)
    assert under(SECOND).open(new).kid == new.kid
    with pytest.raises(KeyStoreError):
        under(FIRST).open(new)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("alg", ["ES256", "RS256", "EdDSA"])
def test_a_key_is_sealed_anew_under_the_newest_master_key(version, alg):
    """Of either version; afterwards that alone opens it, and there is nothing more to do."""
    old = made(under(FIRST), alg) if version == 2 else sealed_as_in_version_1(FIRST, SigningKey.generate(alg))
    sealed = under(SECOND, FIRST).reseal(old)
    assert sealed is not None
    new = changed(old, sealed=sealed)
    assert under(SECOND).open(new).kid == old.kid
    assert under(SECOND, FIRST).reseal(new) is None
    with pytest.raises(KeyStoreError):
        under(FIRST).open(new)
    assert old.sealed[-16:] not in sealed


def test_keys_of_existing_deployments_open_and_take_the_new_form():
    """Version 1, under the same master key."""
    key = SigningKey.generate("ES256")
    old = sealed_as_in_version_1(FIRST, key)
    store = under(FIRST)
    assert store.open(old).kid == key.kid
    sealed = store.reseal(old)
    assert sealed is not None
    assert sealed[:1] == b"\x02"
    assert store.open(changed(old, sealed=sealed)).kid == key.kid
    with pytest.raises(KeyStoreError, match="use the master key"):
        under(SECOND).open(old)


def test_a_key_that_does_not_open_is_not_called_sealed_anew():
    """None means that the newest master key opens it, and not only that it says so."""
    store = under(FIRST)
    stored = made(store)
    with pytest.raises(KeyStoreError, match="was altered"):
        store.reseal(changed(stored, sealed=stored.sealed[:-1] + b"\x00\x00"))


@pytest.mark.parametrize("version", [1, 2])
def test_whoever_was_overtaken_seals_nothing(version):
    """A process that knows only master keys of before would seal what nobody can open any more."""
    new = made(under(SECOND)) if version == 2 else sealed_as_in_version_1(SECOND, SigningKey.generate("ES256"))
    with pytest.raises(KeyStoreError):
        under(FIRST).make("ES256", "access", NOW, new)
    assert under(SECOND, FIRST).make("ES256", "access", NOW, new)


# When a source is asked.


def store_on(source: Given, clock: Clock) -> SealedKeys:
    """A key store on this source and this clock."""
    store = SealedKeys(source)
    store.masters._clock = clock
    return store


def test_a_source_is_not_asked_before_a_master_key_is_needed():
    """Whoever only takes tokens back does not need one."""
    source = Given((FIRST,))
    store = store_on(source, Clock())
    assert source.asked == 0
    stored = made(store)
    for _ in range(5):
        store.open(stored)
        made(store)
    assert source.asked == 1


def test_a_source_is_asked_again_for_a_master_key_that_it_did_not_give():
    """So a running server goes on across a rotation; but not all the time, whatever it answers."""
    source, clock = Given((FIRST,)), Clock()
    store = store_on(source, clock)
    made(store)
    source.secrets = (SECOND, FIRST)
    clock.now += PAUSE
    new = made(under(SECOND))
    assert store.open(new).kid == new.kid
    assert store.make("ES256", "access", NOW, new).sealed[:HEAD] == new.sealed[:HEAD]
    assert source.asked == 2
    alien = made(under(THIRD))
    for _ in range(50):
        with pytest.raises(KeyStoreError):
            store.open(alien)
    assert source.asked == 2
    clock.now += PAUSE
    source.broken = True
    for _ in range(50):
        with pytest.raises(KeyStoreError):
            store.open(alien)
    assert source.asked == 3
    assert store.open(new).kid == new.kid, "what was known is not forgotten"


def test_a_source_that_costs_nothing_is_asked_before_every_seal():
    """A file: what is sealed is sealed under what it gives at that moment."""
    source = Given((FIRST,), pause=0.0)
    store = store_on(source, Clock())
    first = made(store)
    source.secrets = (SECOND,)
    assert under(SECOND).open(made(store))
    source.broken = True
    with pytest.raises(KeyStoreError, match="the test says no"):
        made(store)
    source.broken = False
    with pytest.raises(KeyStoreError):
        store.open(first)


def test_a_slow_source_holds_up_nobody_whose_master_key_is_known():
    """And several that wait for it make it run once."""
    source, clock = Given((FIRST,)), Clock()
    store = store_on(source, clock)
    known, new = made(store), made(under(SECOND))
    source.secrets = (SECOND, FIRST)
    clock.now += PAUSE
    source.gate.clear()
    opened: list[str] = []
    threads = [threading.Thread(target=lambda: opened.append(store.open(new).kid)) for _ in range(8)]
    for thread in threads:
        thread.start()
    until(lambda: source.asked == 2)
    assert store.open(known).kid == known.kid
    assert opened == []
    source.gate.set()
    for thread in threads:
        thread.join(10)
    assert opened == [new.kid] * 8
    assert source.asked == 2


# The file.


def test_a_new_deployment_gets_a_master_key_that_only_its_owner_reads(tmp_path):
    """Made once, whole, with mode 0600 whatever the umask; then always the same."""
    file = MasterKeyFile(tmp_path / "data" / "master.key")
    before = os.umask(0)
    try:
        file.create()
    finally:
        os.umask(before)
    (key,) = file.read()
    assert stat.S_IMODE((tmp_path / "data" / "master.key").stat().st_mode) == 0o600
    file.create()
    assert file.read() == (key,)
    assert parse((tmp_path / "data" / "master.key").read_text()) == (key,)
    assert len(key.secret) == 32
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["master.key"]


def test_two_master_keys_are_never_the_same(tmp_path):
    """They are random."""
    files = [MasterKeyFile(tmp_path / name) for name in ("a", "b")]
    for file in files:
        file.create()
    assert files[0].read() != files[1].read()


def test_a_deployment_that_lost_its_master_key_gets_no_other(tmp_path):
    """Another would open nothing and hide the loss."""
    file = MasterKeyFile(tmp_path / "master.key")
    for act in (file.read, file.renew):
        with pytest.raises(KeyStoreError, match=r"is missing.*restore it from your backup"):
            act()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o620])
def test_a_master_key_that_others_can_read_is_refused(tmp_path, mode):
    """With the command that mends it."""
    path = tmp_path / "master.key"
    file = MasterKeyFile(path)
    file.create()
    path.chmod(mode)
    for act in (file.read, file.renew):
        with pytest.raises(KeyStoreError, match=f"chmod 600 {path}"):
            act()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" \n",
        b"short",
        b"\xff" * 43,
        b64url(bytes(31)).encode(),
        b"A" * 5000,
        b64url(FIRST).encode() + b"=",
        b64url(FIRST).encode() * 2,
        (b64url(FIRST) + "\n" + b64url(FIRST)).encode(),
        (b64url(FIRST) + " # old").encode(),
        (b64url(FIRST) + "\n").encode() * 30,
    ],
)
def test_a_damaged_master_key_is_refused(tmp_path, content):
    """Never replaced, and its content is not in the message."""
    path = tmp_path / "master.key"
    path.write_bytes(content)
    path.chmod(0o600)
    file = MasterKeyFile(path)
    file.create()
    for act in (file.read, file.renew):
        with pytest.raises(KeyStoreError, match="is damaged"):
            act()
    assert path.read_bytes() == content


def test_what_is_no_file_is_refused(tmp_path):
    """A pipe that nobody writes to must not stop a start."""
    os.mkfifo(tmp_path / "master.key", 0o600)
    with pytest.raises(KeyStoreError, match="is not a file"):
        MasterKeyFile(tmp_path / "master.key").read()


def test_a_renewal_keeps_the_old_key_until_it_is_complete(tmp_path):
    """First the new one before the old one, then the new one alone; every time whole, and for its owner only."""
    path = tmp_path / "master.key"
    file = MasterKeyFile(path)
    file.create()
    (old,) = file.read()
    renewal = file.renew()
    new, also = file.read()
    assert (also, renewal.resumed) == (old, False)
    assert new != old
    renewal.complete()
    renewal.close()
    assert file.read() == (new,)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [found.name for found in tmp_path.iterdir()] == ["master.key"]


def test_a_renewal_that_was_cut_short_goes_on_with_the_key_that_it_made(tmp_path):
    """Some keys may be sealed under it already. A draft that was left behind is no hindrance, and goes."""
    path = tmp_path / "master.key"
    file = MasterKeyFile(path)
    file.create()
    cut = file.renew()
    cut.close()
    new, _ = file.read()
    (tmp_path / ".master.key.next").write_text("half")
    renewal = file.renew()
    assert renewal.resumed is True
    assert file.read()[0] == new
    renewal.complete()
    renewal.close()
    assert file.read() == (new,)
    assert [found.name for found in tmp_path.iterdir()] == ["master.key"]


def test_only_one_process_renews_at_a_time(tmp_path):
    """Two new keys would overwrite each other, and with them what was sealed. Who was killed stands in nobody's way."""
    path = tmp_path / "master.key"
    file = MasterKeyFile(path)
    file.create()
    renewal = file.renew()
    given = file.read()
    with pytest.raises(KeyStoreError, match="another process is changing the master key"):
        MasterKeyFile(path).renew()
    assert file.read() == given
    renewal.close()
    holder = f"import fcntl, os; fcntl.flock(os.open({str(tmp_path)!r}, 0), {fcntl.LOCK_EX}); print(); input()"
    with subprocess.Popen([sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(KeyStoreError, match="another process"):
            file.renew()
        process.kill()
        process.wait()
    MasterKeyFile(path).renew().close()


def test_a_renewal_does_not_undo_what_somebody_wrote_meanwhile(tmp_path):
    """By hand, say."""
    path = tmp_path / "master.key"
    file = MasterKeyFile(path)
    file.create()
    renewal = file.renew()
    path.write_text(b64url(FIRST))
    with pytest.raises(KeyStoreError, match="changed by somebody else"):
        renewal.complete()
    renewal.close()
    assert path.read_text() == b64url(FIRST)


def test_a_renewal_follows_a_link_and_keeps_the_owner(tmp_path):
    """The file may lie elsewhere, and whoever serves must still read it when root has renewed it."""
    elsewhere = tmp_path / "secrets" / "key"
    file = MasterKeyFile(elsewhere)
    file.create()
    link = tmp_path / "master.key"
    link.symlink_to(elsewhere)
    owner = 12_345 if os.geteuid() == 0 else os.geteuid()
    os.chown(elsewhere, owner, -1)
    renewal = MasterKeyFile(link).renew()
    renewal.complete()
    renewal.close()
    assert link.is_symlink()
    assert elsewhere.stat().st_uid == owner
    assert [path.name for path in elsewhere.parent.iterdir()] == ["key"]


def test_what_cannot_be_written_is_one_sentence(tmp_path):
    """Here a folder stands where the draft should."""
    path = tmp_path / "master.key"
    file = MasterKeyFile(path)
    file.create()
    before = path.read_bytes()
    (tmp_path / ".master.key.next").mkdir()
    with pytest.raises(KeyStoreError, match="cannot be replaced: "):
        file.renew()
    assert path.read_bytes() == before
    file.read()


def test_half_a_master_key_never_takes_the_place_of_a_whole_one(tmp_path):
    """The disk is full: what was written is thrown away."""
    path = tmp_path / "master.key"
    file = MasterKeyFile(path)
    file.create()
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, hard))  # of 88 bytes
    try:
        with pytest.raises(KeyStoreError, match="cannot be replaced: No space left"):
            file.renew()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["master.key"]
    file.renew().close()


# The setting.


def test_a_master_key_may_come_from_a_setting():
    """As base64url of 32 bytes each, the newest first; anything else is one sentence that does not repeat it."""
    assert [key.secret for key in parse(f" {b64url(FIRST)}\n\t{b64url(SECOND)}\r\n")] == [FIRST, SECOND]
    assert parse(written(parse(f"{b64url(FIRST)} {b64url(SECOND)}"))) == (MasterKey.of(FIRST), MasterKey.of(SECOND))
    wrong = ("", "secret-but-wrong!", b64url(bytes(33)), b64url(FIRST) + "=", f"{b64url(FIRST)} {b64url(FIRST)}")
    for text in (*wrong, f"{b64url(FIRST)},{b64url(SECOND)}", b64url(FIRST)[:-1] + "é"):
        with pytest.raises(KeyStoreError) as refusal:
            MasterKeySetting(text)
        assert not text or text not in str(refusal.value)
        assert b64url(FIRST) not in str(refusal.value)
        assert "the setting master_key cannot be used" in str(refusal.value)


# The command.


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Path]:
    """A shell script that a test fills."""
    path = tmp_path / "vault"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o700)
    yield path
    for line in (tmp_path / "pids").read_text().split() if (tmp_path / "pids").exists() else ():
        with suppress(ProcessLookupError):
            os.kill(int(line), 9)


def printing(program: Path, script: str, patience: float = 10.0, *arguments: str) -> MasterKeyCommand:
    """A source that runs this script."""
    program.write_text(f"#!/bin/sh\n{script}\n")
    return MasterKeyCommand((str(program), *arguments), patience)


def test_a_master_key_may_come_from_a_command(program, monkeypatch):
    """It gets its arguments as they are, the environment, and no input; what it says on standard error is ignored."""
    monkeypatch.setenv("VAULT_KEY", b64url(SECOND))
    script = f'cat; echo warning >&2; test "$1" = "a b;\\$HOME *" && echo "{b64url(FIRST)}" && echo "  $VAULT_KEY"'
    source = printing(program, script, 10.0, "a b;$HOME *")
    assert [key.secret for key in source.read()] == [FIRST, SECOND]
    assert str(program) in source.place
    assert "a b" not in source.place


KEY = b64url(FIRST)
# fmt: off
BAD_COMMANDS = [
    ("exit 3",                                    "ended with exit code 3; "),
    ("echo no such secret >&2; exit 1",           "ended with exit code 1, saying: no such secret; "),
    (f"echo {KEY}; echo oops >&2; exit 1",        "ended with exit code 1, saying: oops; "),
    (f"echo bad {KEY} >&2; exit 1",               "ended with exit code 1, saying: bad [...]; "),
    ("printf 'a\\033[31m\\n\\tb ' >&2; exit 1",    "ended with exit code 1, saying: a?[31m b; "),
    ("yes or no | head -c 9999 >&2; exit 1",      "or no or no or no or no or"),
    ("kill -9 $$",                                "was ended by signal 9; "),
    ("",                                          "printed nothing, where a master key is due; "),
    ("echo; echo",                                "printed nothing, where a master key is due; "),
    ("echo not a key at all",                     "printed something else than master keys: "),
    (f"echo key: {KEY}",                          "printed something else than master keys: "),
    (f"echo {KEY}; echo {KEY}",                   "the same master key stands there twice"),
    (f"echo {KEY}; printf '\\377'",               "printed something else than text; "),
    ("yes",                                       f"printed more than {LONGEST} bytes; "),
    (f"yes {KEY} | head -c {LONGEST + 1}",        f"printed more than {LONGEST} bytes; "),
]
# fmt: on


@pytest.mark.parametrize(("script", "said"), BAD_COMMANDS)
def test_a_command_that_fails_is_one_sentence_without_the_secret(program, script, said):
    """With its exit code, a piece of what it complained of, and what to do."""
    source = printing(program, script)
    start = time.monotonic()
    with pytest.raises(KeyStoreError) as refusal:
        source.read()
    assert time.monotonic() - start < 5, "whoever prints for ever is not listened to for long"
    sentence = str(refusal.value)
    assert said in sentence
    assert "run it by hand" in sentence
    assert KEY not in sentence
    assert sentence.isprintable()
    assert len(sentence) < 600


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("/nowhere/vault",), "No such file"),
        (("/",), "Permission denied"),
        (("vault\0",), "it cannot be started"),
    ],
)
def test_a_command_that_cannot_be_run_is_one_sentence(arguments, said):
    """It names the program."""
    with pytest.raises(KeyStoreError, match="correct `master_key_command`") as refusal:
        MasterKeyCommand(arguments).read()
    assert said in str(refusal.value)


@pytest.mark.parametrize("script", ["sleep 60", "sleep 60 & sleep 60 & wait", "trap '' TERM; sleep 60"])
def test_a_command_that_hangs_is_ended_with_all_that_it_started(program, script):
    """In time, and nothing of it is left."""
    marker = f"echo $$ >>{program.parent}/pids"
    source = printing(program, f"{marker}\n{script}", 0.3)
    start = time.monotonic()
    with pytest.raises(KeyStoreError, match="did not end in time"):
        source.read()
    assert time.monotonic() - start < 5
    group = int((program.parent / "pids").read_text())
    until(lambda: not alive(group))


def test_a_command_whose_child_holds_the_pipe_is_ended(program):
    """It has ended itself, and what it left behind could go on for ever."""
    source = printing(program, f"echo $$ >{program.parent}/pids; sleep 60 & echo {KEY}", 0.3)
    with pytest.raises(KeyStoreError, match="did not end in time"):
        source.read()
    until(lambda: not alive(int((program.parent / "pids").read_text())))


def alive(group: int) -> bool:
    """Whether any process of this group is there that has not ended."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, of = status.read_text().rpartition(")")[2].split()[:3]
            if int(of) == group and state != "Z":
                return True
    return False


# What tells nothing.


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and all that stands behind it, whether it is shown or not."""
    while error is not None:
        yield error
        yield from chain(error.__cause__)
        error = error.__context__


def told(error: BaseException) -> str:
    """All that a logger, a debugger or a pickle could read of an exception and of what stands behind it."""
    names = ("args", "object", "doc", "output", "__dict__")
    kept = [[getattr(one, name, "") for name in names] for one in chain(error)]
    return repr(kept) + " ".join(f"{one} {one!r}" for one in chain(error))


def failing(tmp_path: Path) -> Iterator[tuple[str, Source]]:
    """Sources that hold a secret and cannot be used."""
    secret = b64url(FIRST)
    for number, text in enumerate(
        (f"{secret}\xff", f"{secret}é", f"{secret}=", f"{secret} {secret}", f"{secret}\n" * 40)
    ):
        path = tmp_path / f"{number}.key"
        path.write_bytes(text.encode("latin-1"))
        path.chmod(0o600)
        yield secret, MasterKeyFile(path)
        for end in ("", "; echo $(cat $0) >&2; exit 1"):
            script = tmp_path / f"{number}{len(end)}.sh"
            script.write_bytes(f"#!/bin/sh\nprintf %s '{text}'{end}\n".encode("latin-1"))
            script.chmod(0o700)
            yield secret, MasterKeyCommand((str(script),))


def test_no_error_has_a_master_key_in_it_nor_has_what_stands_behind_it(tmp_path):
    """Decoders keep the whole text in their exceptions: none of them may be there."""
    count = 0
    for secret, source in failing(tmp_path):
        with pytest.raises(KeyStoreError) as refusal:
            source.read()
        assert secret not in told(refusal.value), source
        count += 1
    assert count == 15
    for text in (f"{KEY}é", f"{KEY}=", f"{KEY} {KEY}", f"{KEY}\x00"):
        with pytest.raises(KeyStoreError) as refusal:
            MasterKeySetting(text)
        assert KEY not in told(refusal.value)


def test_no_error_of_a_key_has_anything_private_in_it():
    """Whatever is wrong with it."""
    store = under(FIRST)
    stored, other = made(store), made(under(SECOND))
    private = store.open(stored).pkcs8()
    for broken in (
        changed(stored, alg="RS256"),
        changed(stored, kid="k"),
        changed(stored, sealed=stored.sealed[:-1]),
        changed(sealed_as_in_version_1(FIRST, replace(SigningKey.generate("EdDSA"), kid="k")), kid="k"),
        other,
    ):
        with pytest.raises(KeyStoreError) as refusal:
            store.open(broken)
        said = told(refusal.value)
        for secret in (*SECRETS, private, private[-32:]):
            assert repr(secret)[2:-1] not in said
            assert b64url(secret) not in said
            assert secret.hex() not in said


def test_nothing_shows_a_master_key_when_it_is_shown(tmp_path):
    """No repr of what holds one: neither of itself nor in a list."""
    key = MasterKey.of(FIRST)
    file = MasterKeyFile(tmp_path / "k")
    file.create()
    (of_file,) = file.read()
    store = under(FIRST)
    made(store)
    setting = MasterKeySetting(KEY)
    holders = (store, store.masters, setting)
    shown = repr([key, (key,), of_file, file, *holders, *map(vars, holders)])
    for secret in (FIRST, of_file.secret):
        for form in (b64url(secret), secret.hex(), repr(secret)[2:-1]):
            assert form not in shown


def test_the_limits_are_what_the_guide_says():
    """Ten seconds, four kilobytes, and five seconds between two runs."""
    assert (commands.PATIENCE, commands.LONGEST, commands.PAUSE) == (10.0, 4096, 5.0)


def test_masters_are_those_of_the_source():
    """With their names, for people, and asked anew every time."""
    source = Given((SECOND, FIRST))
    masters = Masters(source)
    for given in ((SECOND, FIRST), (THIRD,)):
        source.secrets = given
        found = masters.source()
        assert (found.kind, found.place) == ("command", "the test")
        assert found.ids == tuple(MasterKey.of(secret).id.hex() for secret in given)
