"""Signing keys at rest, and the key that seals them."""

from __future__ import annotations

import os
import stat
from dataclasses import replace

import msgspec
import pytest

from watchword.errors import InvalidKey
from watchword.jose.b64 import b64url
from watchword.jose.jwk import public_key
from watchword_server.adapters.keystore.master import master_key, parse
from watchword_server.adapters.keystore.sealed import SealedKeys
from watchword_server.ports import KeyStoreError

NOW = 1_800_000_000
MASTER = bytes(range(32))


@pytest.mark.parametrize("alg", ["ES256", "RS256", "EdDSA"])
def test_a_key_that_was_sealed_opens_and_signs(alg):
    """What it signs verifies with the public JWK that is stored beside it."""
    store = SealedKeys(MASTER)
    stored = store.make(alg, "access", NOW)
    assert (stored.use, stored.alg, stored.created_at, stored.retired_at) == ("access", alg, NOW, None)
    opened = SealedKeys(MASTER).open(stored)
    assert opened.kid == stored.kid
    public_key(msgspec.json.decode(stored.public)).verify(b"message", opened.sign(b"message"))


def test_nothing_private_is_stored_in_the_clear():
    """Neither the public half nor what is sealed has the private number in it."""
    store = SealedKeys(MASTER)
    stored = store.make("ES256", "access", NOW)
    private = store.open(stored).pkcs8()
    assert private[-32:] not in stored.sealed
    assert set(msgspec.json.decode(stored.public)) == {"kty", "crv", "x", "y", "kid", "alg", "use"}


def test_two_seals_of_one_master_key_share_no_nonce():
    """A repeated nonce would give AES-GCM away."""
    store = SealedKeys(MASTER)
    assert len({store.make("EdDSA", "access", NOW).sealed[:13] for _ in range(20)}) == 20


def test_a_wrong_master_key_is_said_with_the_way_to_mend_it():
    """And not as a broken key."""
    stored = SealedKeys(MASTER).make("ES256", "access", NOW)
    with pytest.raises(KeyStoreError, match="use the master key that this database was made with"):
        SealedKeys(bytes(32)).open(stored)


@pytest.mark.parametrize(
    "altered",
    [
        {"use": "feed"},
        {"alg": "ES384"},
        {"kid": "another"},
        {"sealed": b""},
        {"sealed": b"\x01"},
        {"sealed": b"\x01" + bytes(40)},
        {"sealed": b"\x02" + bytes(40)},
    ],
    ids=str,
)
def test_a_sealed_key_is_bound_to_what_it_is_for(altered):
    """A feed key that is relabelled to sign tokens does not open, nor does anything cut or changed."""
    store = SealedKeys(MASTER)
    with pytest.raises(KeyStoreError):
        store.open(replace(store.make("ES256", "access", NOW), **altered))


def test_every_altered_byte_is_noticed():
    """Of the version, the nonce, the ciphertext and the tag."""
    store = SealedKeys(MASTER)
    stored = store.make("EdDSA", "access", NOW)
    for n in range(len(stored.sealed)):
        damaged = bytearray(stored.sealed)
        damaged[n] ^= 1
        with pytest.raises(KeyStoreError):
            store.open(replace(stored, sealed=bytes(damaged)))


def test_no_key_is_made_for_an_algorithm_that_does_not_sign_in_public():
    """HMAC is never for tokens."""
    with pytest.raises(InvalidKey):
        SealedKeys(MASTER).make("HS256", "access", NOW)


def test_a_new_deployment_gets_a_master_key_that_only_its_owner_reads(tmp_path):
    """Made once, whole, with mode 0600 whatever the umask; then always the same."""
    path = tmp_path / "data" / "master.key"
    before = os.umask(0)
    try:
        made = master_key(path, create=True)
    finally:
        os.umask(before)
    assert len(made) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert master_key(path, create=True) == master_key(path, create=False) == made
    assert parse(path.read_text()) == made
    assert [file.name for file in path.parent.iterdir()] == ["master.key"]


def test_two_master_keys_are_never_the_same(tmp_path):
    """They are random."""
    assert master_key(tmp_path / "a", create=True) != master_key(tmp_path / "b", create=True)


def test_a_deployment_that_lost_its_master_key_gets_no_other(tmp_path):
    """Another would open nothing and hide the loss."""
    with pytest.raises(KeyStoreError, match=r"is missing.*restore it from your backup"):
        master_key(tmp_path / "master.key", create=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o620])
def test_a_master_key_that_others_can_read_is_refused(tmp_path, mode):
    """With the command that mends it."""
    path = tmp_path / "master.key"
    master_key(path, create=True)
    path.chmod(mode)
    with pytest.raises(KeyStoreError, match=f"chmod 600 {path}"):
        master_key(path, create=True)


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 43, b64url(bytes(31)).encode(), b"A" * 5000])
def test_a_damaged_master_key_is_refused(tmp_path, content):
    """Never replaced, and its content is not in the message."""
    path = tmp_path / "master.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyStoreError, match="is damaged"):
        master_key(path, create=True)
    assert path.read_bytes() == content


def test_a_master_key_may_come_from_a_setting():
    """As base64url of 32 bytes; anything else is one sentence that does not repeat it."""
    assert parse(f" {b64url(MASTER)}\n") == MASTER
    for wrong in ("", "secret-but-wrong!", b64url(bytes(33)), b64url(MASTER) + "="):
        with pytest.raises(KeyStoreError) as refusal:
            parse(wrong)
        assert not wrong or wrong not in str(refusal.value)
