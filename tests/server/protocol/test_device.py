"""The codes that people type for devices, and what a device hears."""

from __future__ import annotations

from collections import Counter

import pytest
from msgspec.structs import replace

from watchword_server.protocol import device
from watchword_server.protocol.device import LENGTH, LETTERS, SLOTS, WINDOW
from watchword_server.protocol.errors import (
    AuthorizationPending,
    DeviceDenied,
    ExpiredToken,
    InvalidGrant,
    SlowDown,
    UnauthorizedClient,
)
from watchword_server.protocol.grants.device_code import GRANT_TYPE, INTERVAL, LIFETIME, answered, kept
from watchword_server.protocol.values import Client, DeviceRequest

NOW = 1_800_000_000
CODE = "WDJBMJHT"
TV = Client("tv", "TV", "public", None, frozenset({GRANT_TYPE}), {}, 0)
WAITS = DeviceRequest(b"h", b"u", "tv", "https://a.example", ("a",), NOW, NOW + LIFETIME, INTERVAL, "192.0.2.1", "tv/1")
ALLOWED = replace(WAITS, gid="g")


# --- the code


@pytest.mark.parametrize("typed", [
    "WDJBMJHT", "WDJB-MJHT", "wdjb-mjht", " wdjb mjht ", "W D J B - M J H T", "wdjb–mjht", "wdjb_mjht", "wdjb.mjht",
    "WDJB\u00a0MJHT", "\tWDJB-MJHT\r\n", "ＷＤＪＢ－ＭＪＨＴ", "ｗｄｊｂｍｊｈｔ",
])  # fmt: skip
def test_a_code_may_be_typed_as_people_type(typed: str) -> None:
    """Case, dashes and spaces are forgiven (RFC 8628 §6.1)."""
    assert device.read(typed) == CODE


@pytest.mark.parametrize("typed", [
    "", "WDJB", "WDJB-MJH", "WDJB-MJHTT", "WDJB-MJHA", "WDJB-MJH0", "WDJB-MJHY", "WDJB/MJHT", "WDJB-MJHT'--",
    "ＷDJB-MJH０", "WDJB-MJHT" + " " * 64, "ШDJBMJHT", "WDJBMJH\u0000T",
])  # fmt: skip
def test_what_cannot_be_a_code_is_none(typed: str) -> None:
    """A vowel, a digit, a letter of another script: nothing is guessed for the person."""
    assert device.read(typed) is None


def test_a_code_is_shown_in_two_halves_and_read_again() -> None:
    """What a device shows is what a person types."""
    assert device.shown(CODE) == "WDJB-MJHT"
    assert device.read(device.shown(CODE)) == CODE


def test_every_letter_is_as_likely_at_every_place() -> None:
    """Codes of random bytes, within five standard deviations; and none is a word, for none has a vowel."""
    from random import Random

    chance, times = Random(8628), 4000
    codes = [device.made(chance.randbytes(device.ENTROPY)) for _ in range(times)]
    assert {len(code) for code in codes} == {LENGTH}
    assert set("AEIOUY0123456789").isdisjoint("".join(codes))
    for place in range(LENGTH):
        counts = Counter(code[place] for code in codes)
        assert set(counts) == set(LETTERS)
        assert all(abs(count - times / 20) < 5 * (times / 20 * 0.95) ** 0.5 for count in counts.values())


def test_guesses_count_against_who_and_where_and_all_together() -> None:
    """Another account or network is another budget; in all, it is one of few, and anew each minute."""
    who, where, whole = device.guessing(CODE, "alice", "192.0.2.1", NOW)
    assert device.guessing(CODE, "bob", "192.0.2.1", NOW)[1:] == (where, whole)
    assert device.guessing(CODE, "alice", "192.0.2.2", NOW)[0] == who
    assert device.guessing(CODE, "alice", "192.0.2.2", NOW + WINDOW)[2] != whole
    codes = [device.made(number.to_bytes(16)) for number in range(1000)]
    assert len({device.guessing(code, "a", "b", NOW)[2] for code in codes}) == SLOTS


def test_a_code_is_not_kept() -> None:
    """Its hash is, whatever somebody sends for one."""
    assert len(kept("wwd_x")) == len(device.kept(CODE)) == 32
    assert kept("\udc80") != kept("wwd_x")


# --- the answer


def test_who_was_allowed_gets_its_tokens_however_fast_it_asks() -> None:
    """Until the second before the last."""
    for polled_at in (None, NOW, NOW + LIFETIME - 1):
        assert answered(replace(ALLOWED, polled_at=polled_at), TV, NOW + LIFETIME - 1).gid == "g"


@pytest.mark.parametrize(("request_", "at", "refusal"), [
    (None, NOW, InvalidGrant),
    (replace(ALLOWED, client_id="other"), NOW, InvalidGrant),
    (replace(WAITS, client_id="other"), NOW, InvalidGrant),
    (replace(ALLOWED, spent_at=NOW), NOW, InvalidGrant),
    (replace(ALLOWED, spent_at=NOW), NOW + LIFETIME, InvalidGrant),
    (WAITS, NOW + LIFETIME, ExpiredToken),
    (ALLOWED, NOW + LIFETIME, ExpiredToken),
    (replace(WAITS, denied_at=NOW), NOW + LIFETIME, ExpiredToken),
    (replace(WAITS, denied_at=NOW), NOW, DeviceDenied),
    (replace(WAITS, denied_at=NOW, polled_at=NOW), NOW, DeviceDenied),
])  # fmt: skip
def test_what_is_over_is_over(request_: DeviceRequest | None, at: int, refusal: type[Exception]) -> None:
    """RFC 8628 §3.5; another client's code is as good as none."""
    with pytest.raises(refusal) as found:
        answered(request_, TV, at)
    assert found.type is refusal


def test_no_client_asks_from_devices_unless_an_operator_says_so() -> None:
    """RFC 6749 §5.2: not even for a code of its own."""
    with pytest.raises(UnauthorizedClient):
        answered(ALLOWED, replace(TV, grant_types=frozenset({"authorization_code"})), NOW)


@pytest.mark.parametrize(("polled_at", "interval", "at", "error", "wait"), [
    (None, 5, NOW, AuthorizationPending, 5),
    (NOW, 5, NOW, SlowDown, 10),
    (NOW, 5, NOW + 3, SlowDown, 10),
    (NOW, 5, NOW + 4, AuthorizationPending, 5),
    (NOW, 5, NOW + 5, AuthorizationPending, 5),
    (NOW, 10, NOW + 5, SlowDown, 15),
    (NOW, 15, NOW + 14, AuthorizationPending, 15),
])  # fmt: skip
def test_who_asks_too_soon_waits_longer_from_then_on(
    polled_at: int | None, interval: int, at: int, error: type[Exception], wait: int
) -> None:
    """`slow_down` adds five seconds, and they stay (RFC 8628 §3.5); a second of leeway is for the rounding."""
    with pytest.raises(AuthorizationPending) as found:
        answered(replace(WAITS, polled_at=polled_at, interval=interval), TV, at)
    assert (found.type, found.value.retry_after) == (error, wait)
