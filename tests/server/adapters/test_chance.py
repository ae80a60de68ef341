"""Random bytes in blocks: all that were asked for, and none of them twice."""

from __future__ import annotations

import os

import pytest

from watchword_server.adapters.chance import BLOCK, Chance


@pytest.mark.parametrize("size", [0, 1, 16, 32, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_as_many_bytes_come_as_were_asked_for(size: int) -> None:
    """Fewer would be a key that is easier to guess; also after a draw that left the block half empty."""
    chance = Chance()
    chance(5)
    assert [len(chance(size)) for _ in range(3)] == [size] * 3


def test_no_byte_is_given_out_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes is what the system gave, in its order, without a piece of it standing in two draws."""
    drawn: list[bytes] = []
    urandom = os.urandom

    def recorded(size: int) -> bytes:
        drawn.append(urandom(size))
        return drawn[-1]

    monkeypatch.setattr(os, "urandom", recorded)
    chance = Chance()
    given = [chance(size) for size in (16, 32, 12, 4000, 100, BLOCK, 16, BLOCK + 7, 16) * 50]
    system = b"".join(drawn)
    at = 0
    for piece in given:  # each is found behind the one before it: bytes may be thrown away, never given again
        found = system.find(piece, at)
        assert found >= at
        at = found + len(piece)


def test_ids_of_half_a_million_draws_are_all_different() -> None:
    """16 bytes each, as a `jti` has them."""
    chance = Chance()
    assert len({chance(16) for _ in range(500_000)}) == 500_000


def test_a_fork_draws_other_bytes() -> None:
    """Parent and child hold the same block at the fork; both would go on with it."""
    chance = Chance()
    chance(16)
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, chance(64))
        os._exit(0)
    os.close(write)
    ours = chance(64)
    with os.fdopen(read, "rb") as pipe:
        theirs = pipe.read()
    assert os.waitpid(pid, 0)[1] == 0
    assert (len(theirs), len(ours)) == (64, 64)
    assert theirs != ours
    assert not {theirs[n : n + 8] for n in range(57)} & {ours[n : n + 8] for n in range(57)}
