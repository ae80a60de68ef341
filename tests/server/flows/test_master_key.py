"""Another master key: under load of others, overtaken in every moment, cut short, and after a loss."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.structs import replace as changed

from tests.server.adapters.test_keystore import sealed_as_in_version_1
from tests.server.flows.house import ALICE, BY, NOW, URL, House
from tests.server.flows.keys_seen import AHEAD, ALGS, EVERY, chosen, signer, sound, stored
from watchword.jose.b64 import b64url
from watchword_server.adapters.keystore.file import MasterKeyFile
from watchword_server.adapters.keystore.master import MasterKey
from watchword_server.adapters.keystore.sealed import SealedKeys
from watchword_server.adapters.keystore.setting import MasterKeySetting
from watchword_server.changes import ResealKey, StoredKey
from watchword_server.flows import keys, master_key, revoking, users
from watchword_server.flows.administration import Taken
from watchword_server.flows.issuer import Issuer
from watchword_server.main import load_settings, open_issuer
from watchword_server.ports import Conflict, KeyStore, KeyStoreError

Given = dict[str, str]
"""Settings of a process: where its master keys come from."""
Act = Callable[[Issuer], Awaitable[object]]
FIRST, SECOND = b64url(bytes(range(32))), b64url(bytes(range(1, 33)))


def process(house: House, **given: str) -> AbstractAsyncContextManager[Issuer]:
    """Another process on the same data folder."""
    return open_issuer(load_settings(None, {"issuer": URL, "data": house.data, **given}))


def alone(text: str) -> SealedKeys:
    """A key store that knows no other master key."""
    return SealedKeys(MasterKeySetting(text))


async def opens(house: House, text: str) -> None:
    """Every key opens with these master keys, which are one."""
    assert len(text.split()) == 1
    found = await house.issuer.stores.keys.all()
    assert found
    for key in found:
        alone(text).open(key)


async def opens_with_its_file(house: House) -> None:
    """Every key, and nothing else is needed."""
    await opens(house, (house.data / "master.key").read_text())


async def in_a_setting(house: House, text: str) -> None:
    """Move the keys of a house from its file to a setting."""
    file = house.data / "master.key"
    async with process(house, master_key=f"{text} {file.read_text()}") as issuer:
        await master_key.rotate(issuer, BY, NOW)
    file.unlink()
    await opens(house, text)


# The usual way.


async def test_every_key_is_sealed_under_a_new_master_key(house: House) -> None:
    """In use or not, of every algorithm; then the old one is gone, and the file is the only thing that is needed."""
    for alg in ALGS:
        await chosen(house, alg)
    await keys.tend(house.issuer, NOW + AHEAD)
    before, old = await house.issuer.stores.keys.all(), (house.data / "master.key").read_text()
    done = await master_key.rotate(house.issuer, BY, NOW)
    after, new = await house.issuer.stores.keys.all(), (house.data / "master.key").read_text()
    assert list(done.resealed) == [key.kid for key in before] == [key.kid for key in after]
    assert (done.keys, done.resumed) == (len(before), False)
    assert (len(done.before.ids), len(done.after.ids)) == (1, 1)
    assert [changed(key, sealed=b"") for key in before] == [changed(key, sealed=b"") for key in after]
    assert old != new
    await opens(house, new)
    for key in after:
        with pytest.raises(KeyStoreError):
            alone(old).open(key)
    for key in before:
        alone(old).open(key)
    found = await master_key.seals(house.issuer)
    assert (list(found.older), found.source) == ([], done.after)


async def test_it_is_in_the_audit_trail(house: House) -> None:
    """Who, how many keys, and the name of the new master key; the name is no secret."""
    done = await master_key.rotate(house.issuer, BY, NOW)
    rows = house.rows("SELECT actor, action, target FROM audit ORDER BY id DESC LIMIT 2")
    assert rows == [
        (BY.actor, "master_key.rotate", f"master_key:{done.after.ids[0]}"),
        (BY.actor, "key.reseal", ""),
    ]
    assert house.rows("SELECT detail FROM audit WHERE action = 'key.reseal'") == [('{"keys":4}',)]


async def test_nothing_that_the_old_master_key_opens_is_left_in_any_file(house: House) -> None:
    """Neither in the database nor in its log. (Backups are somebody else's.)"""
    sealed = [key.sealed for key in await house.issuer.stores.keys.all()]

    def left() -> bool:
        content = [path.read_bytes() for path in house.data.glob("watchword.db*")]
        pieces = [one[at : at + 24] for one in sealed for at in range(0, len(one) - 24, 24)]
        return any(piece in file for piece in pieces for file in content)

    assert left()
    await master_key.rotate(house.issuer, BY, NOW)
    assert not left()


async def test_a_running_process_goes_on(house: House) -> None:
    """It opens what it had not opened, and makes new keys, after each of several rotations by another process."""
    async with process(house) as server:
        for turn in range(4):
            now = NOW + turn * (EVERY + AHEAD)
            async with process(house) as other:
                await master_key.rotate(other, BY, now)
            await keys.tend(server, now)
            await signer(server, now)
            sound(await server.stores.keys.all())
            await opens_with_its_file(house)


async def test_keys_of_version_1_take_the_new_form(house: House) -> None:
    """A deployment of an earlier edition: doctor counts them, and the command seals them anew."""
    (master,) = MasterKeyFile(house.data / "master.key").read()
    for key in await house.issuer.stores.keys.all():
        old = sealed_as_in_version_1(master.secret, house.issuer.key_store.open(key), key.use)
        await house.issuer.stores.journal.save(ResealKey(key.kid, key.sealed, old.sealed))
    found = await master_key.seals(house.issuer)
    assert len(found.older) == 4
    async with process(house) as issuer:
        await keys.rotate(issuer, BY, "access", NOW)
        done = await master_key.rotate(issuer, BY, NOW)
    assert done.keys == 5
    assert all(key.sealed[:1] == b"\x02" for key in await house.issuer.stores.keys.all())
    await opens_with_its_file(house)


# Overtaken.


class Overtaken:
    """A key store beside which something happens: once, after it has made a key, or before it seals one anew."""

    def __init__(self, store: KeyStore, then: Callable[[], object], *, reseals: int | None = None) -> None:
        self._store = store
        self._then: Callable[[], object] | None = then
        self._reseals = reseals
        self.open = store.open
        self.seal, self.unseal, self.reseal_secret = store.seal, store.unseal, store.reseal_secret

    def _now(self) -> None:
        then, self._then = self._then, None
        if then is not None:
            then()

    def make(self, alg: str, use: str, now: int, beside: StoredKey | None) -> StoredKey:
        """Made under the master key of before."""
        made = self._store.make(alg, use, now, beside)
        if self._reseals is None:
            self._now()
        return made

    def reseal(self, stored: StoredKey) -> bytes | None:
        """After all keys were listed."""
        if self._reseals is not None:
            self._reseals -= 1
            if self._reseals < 0:
                self._now()
        return self._store.reseal(stored)


def elsewhere(act: Callable[[], Coroutine[object, object, None]]) -> None:
    """Run a coroutine to its end, on a thread that has no event loop yet."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(act())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    assert not failed, failed


async def rotate_the_key(issuer: Issuer) -> object:
    return await keys.rotate(issuer, BY, "access", NOW)


async def choose_an_algorithm(issuer: Issuer) -> object:
    return await issuer.stores.journal.save(*await keys.begin(issuer, "EdDSA", NOW))


async def throw_a_key_away(issuer: Issuer) -> object:
    found = await issuer.stores.keys.all()
    return await keys.revoke_key(issuer, BY, found[0].kid, NOW)


async def throw_the_newest_away(issuer: Issuer) -> object:
    found = await issuer.stores.keys.all()
    return await keys.revoke_key(issuer, BY, found[-1].kid, NOW)


async def tend_on_schedule(issuer: Issuer) -> object:
    return await keys.tend(issuer, NOW + EVERY + AHEAD)


async def start_with_another_algorithm(issuer: Issuer) -> object:
    return await keys.prepare(replace(issuer, terms=replace(issuer.terms, algorithm="PS256")), BY, NOW)


ACTS = (
    rotate_the_key,
    choose_an_algorithm,
    throw_a_key_away,
    throw_the_newest_away,
    tend_on_schedule,
    start_with_another_algorithm,
)


@pytest.mark.parametrize("act", ACTS)
async def test_whoever_made_a_key_and_is_overtaken_by_a_whole_rotation_adds_nothing(house: House, act: Act) -> None:
    """It was sealed under what is gone: it is made again, or not at all, and never saved."""

    async def rotation() -> None:
        async with process(house) as other:
            await master_key.rotate(other, BY, NOW)

    overtaken = replace(house.issuer, key_store=Overtaken(house.issuer.key_store, lambda: elsewhere(rotation)))
    before = (house.data / "master.key").read_text()
    with suppress(Conflict, Taken):
        await act(overtaken)
    assert overtaken.key_store._then is None, "nothing was made"
    assert (house.data / "master.key").read_text() != before
    await opens_with_its_file(house)
    await keys.tend(house.issuer, NOW + EVERY + AHEAD + 60)
    await opens_with_its_file(house)
    sound(await house.issuer.stores.keys.all())


async def test_a_key_that_comes_while_all_are_sealed_anew_is_sealed_anew_too(house: House) -> None:
    """It was added under the old master key after the list was read: the second look finds it."""
    late = await keys.begin(house.issuer, "EdDSA", NOW)

    async def add() -> None:
        async with process(house) as other:
            await other.stores.journal.save(*late)

    # The first four are looked at before anything begins.
    store = Overtaken(house.issuer.key_store, lambda: elsewhere(add), reseals=4)
    done = await master_key.rotate(replace(house.issuer, key_store=store), BY, NOW)
    assert store._then is None
    assert (len(done.resealed), done.keys) == (6, 6)
    await opens_with_its_file(house)


async def test_a_key_that_is_gone_meanwhile_stops_nothing(house: House) -> None:
    """Revoked by another process after the list was read: the list is read again."""
    first, *_ = await stored(house)

    async def end() -> None:
        async with process(house) as other:
            await keys.revoke_key(other, BY, first.kid, NOW)

    store = Overtaken(house.issuer.key_store, lambda: elsewhere(end), reseals=4)
    done = await master_key.rotate(replace(house.issuer, key_store=store), BY, NOW)
    assert store._then is None
    assert first.kid not in done.resealed
    await opens_with_its_file(house)


async def test_a_key_that_was_read_before_it_was_sealed_anew_opens(house: House) -> None:
    """The process that starts in that moment reads it once more."""
    async with process(house) as server, process(house) as other:
        found = await server.stores.keys.all()
        await master_key.rotate(other, BY, NOW)
        with pytest.raises(KeyStoreError):
            server.key_store.open(found[0])
        await server.keyring.open_ahead(found)
        await signer(server, NOW)


async def test_two_rotations_at_once_are_one_after_the_other(house: House) -> None:
    """Or one of them is told to wait; never is a new master key overwritten by another."""
    async with process(house) as one, process(house) as two:
        for _ in range(10):
            found = await asyncio.gather(
                *(master_key.rotate(issuer, BY, NOW) for issuer in (one, two)), return_exceptions=True
            )
            failed = [result for result in found if isinstance(result, BaseException)]
            assert len(failed) < 2, failed
            assert all("another process is changing the master key" in str(error) for error in failed), failed
            await opens_with_its_file(house)


# Cut short.


async def test_a_rotation_that_was_cut_short_is_finished_by_the_next(house: House) -> None:
    """Every key opens all the time. What was made under the new master key before is among them."""
    file = MasterKeyFile(house.data / "master.key")
    cut = file.renew()
    cut.close()
    new, old = file.read()
    async with process(house) as server:
        await keys.rotate(server, BY, "access", NOW)
        found = await master_key.seals(server)
        assert (len(found.older), len(found.keys)) == (4, 5)
        assert found.source.ids == (new.id.hex(), old.id.hex())
        done = await master_key.rotate(server, BY, NOW)
    assert (len(done.resealed), done.keys, done.resumed) == (4, 5, True)
    assert file.read() == (new,)
    await opens_with_its_file(house)


async def test_nothing_begins_where_a_key_does_not_open(house: House) -> None:
    """The file is as it was."""
    file = house.data / "master.key"
    file.write_text(FIRST)
    async with process(house) as issuer:
        with pytest.raises(KeyStoreError, match="use the master key that this database was made with"):
            await master_key.rotate(issuer, BY, NOW)
    assert file.read_text() == FIRST
    assert [path.name for path in house.data.glob("*master.key*")] == ["master.key"]


# In a setting, which no running process reads again.


async def test_a_setting_is_rotated_in_steps(house: House) -> None:
    """Give both; start again; the command; give the new one; start again. Keys open after every step."""
    await in_a_setting(house, FIRST)
    async with process(house, master_key=f"{SECOND} {FIRST}") as server:
        await signer(server, NOW)
        done = await master_key.rotate(server, BY, NOW)
        assert (done.before, len(done.resealed), done.resumed) == (done.after, 4, False)
        assert len(done.after.ids) == 2
        assert list((await master_key.rotate(server, BY, NOW)).resealed) == []
    await opens(house, SECOND)
    async with process(house, master_key=SECOND) as server:
        await keys.rotate(server, BY, "access", NOW)
        await signer(server, NOW)
    assert not (house.data / "master.key").exists()


@pytest.mark.parametrize("act", [act for act in ACTS if act not in (throw_a_key_away, throw_the_newest_away)])
async def test_a_process_that_was_not_started_again_adds_no_key(house: House, act: Act) -> None:
    """It has the old master key only, and says so; what it has opened, it goes on signing with."""
    await in_a_setting(house, FIRST)
    async with process(house, master_key=FIRST) as server:
        await signer(server, NOW)
        async with process(house, master_key=f"{SECOND} {FIRST}") as other:
            await master_key.rotate(other, BY, NOW)
        count = len(await house.issuer.stores.keys.all())
        with pytest.raises(KeyStoreError, match=MasterKey.of(bytes(range(1, 33))).id.hex()):
            await act(server)
        assert len(await house.issuer.stores.keys.all()) == count
        await signer(server, NOW)
    await opens(house, SECOND)


@pytest.mark.parametrize("act", [throw_a_key_away, throw_the_newest_away])
async def test_it_can_still_throw_keys_away(house: House, act: Act) -> None:
    """An emergency waits for no master key; what follows is the key that was published for this."""
    await in_a_setting(house, FIRST)
    async with process(house, master_key=FIRST) as server:
        async with process(house, master_key=f"{SECOND} {FIRST}") as other:
            await master_key.rotate(other, BY, NOW)
        await act(server)
    assert len(await house.issuer.stores.keys.all()) == 3
    async with process(house, master_key=SECOND) as server:
        await keys.tend(server, NOW)
        sound(await server.stores.keys.all())
    await opens(house, SECOND)


# Without a master key.


async def test_taking_back_needs_no_master_key(house: House) -> None:
    """A key service that is down must not stop anybody who revokes."""
    given = {"master_key_command": ["/nowhere/vault"]}
    async with open_issuer(load_settings(None, {"issuer": URL, "data": house.data, **given})) as issuer:
        assert await revoking.user(issuer, BY, ALICE, NOW)
        await users.disable(issuer, BY, ALICE, NOW)
        with pytest.raises(KeyStoreError, match="cannot be run"):
            await signer(issuer, NOW)


async def test_after_a_loss_new_keys_are_made_and_the_lost_ones_are_dead(house: House) -> None:
    """Nothing but signing keys is sealed under a master key: people and clients are still there."""
    lost = await house.issuer.stores.keys.all()
    tokens = await house.ask(house.known.machine, {"grant_type": "client_credentials"})
    (house.data / "master.key").write_text(FIRST)
    async with process(house) as issuer:
        assert await master_key.revoke_lost(issuer, BY, NOW) == [key.kid for key in lost]
        assert await master_key.revoke_lost(issuer, BY, NOW) == []
        await signer(issuer, NOW)
    assert not {key.kid for key in lost} & {key.kid for key in await house.issuer.stores.keys.all()}
    assert await house.killed(tokens.access_token) == "key"
    sound(await house.issuer.stores.keys.all())
    await opens(house, FIRST)
    await house.sign_in()


async def test_only_what_is_lost_is_thrown_away(house: House) -> None:
    """A key that another master key opens stays."""
    (master,) = MasterKeyFile(house.data / "master.key").read()
    broken, *_ = await stored(house)
    await house.issuer.stores.journal.save(ResealKey(broken.kid, broken.sealed, b"\x02" + bytes(60)))
    async with process(house) as issuer:
        assert await master_key.revoke_lost(issuer, BY, NOW) == [broken.kid]
        sound(await issuer.stores.keys.all())
    await opens_with_its_file(house)
    assert MasterKeyFile(house.data / "master.key").read() == (master,)


@pytest.mark.parametrize("given", [{}, {"master_key_command": ["false"]}])
async def test_what_cannot_be_asked_now_is_not_lost(house: House, given: Given) -> None:
    """A missing file and a command that fails: nothing is thrown away."""
    (house.data / "master.key").unlink()
    async with process(house, **given) as issuer:
        with pytest.raises(KeyStoreError):
            await master_key.revoke_lost(issuer, BY, NOW)
    assert len(await house.issuer.stores.keys.all()) == 4


def test_a_new_deployment_makes_its_file_once(tmp_path: Path) -> None:
    """And a deployment whose keys are there gets none."""

    async def start() -> None:
        async with open_issuer(load_settings(None, {"issuer": URL, "data": tmp_path})):
            pass

    asyncio.run(start())
    made = (tmp_path / "master.key").read_text()
    asyncio.run(start())
    assert (tmp_path / "master.key").read_text() == made
    (tmp_path / "master.key").unlink()
    asyncio.run(start())
    assert not (tmp_path / "master.key").exists()
