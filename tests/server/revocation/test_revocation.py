"""What an event kills, how long that is remembered, and how messages are cut."""

from __future__ import annotations

import pytest

from watchword.jose.b64 import b64url
from watchword.log import Entry, chain, genesis
from watchword.revocations import empty
from watchword_server.revocation import cuts, deaths

NOW, LIFETIME = 1_000_000, 900
ENTRIES = (Entry(1, "token", "t1", NOW), Entry(2, "subject", "u1", NOW), Entry(3, "key", "k1", NOW))


@pytest.mark.parametrize(
    "death",
    [
        deaths.grant("g", NOW, LIFETIME),
        deaths.session("s", NOW, LIFETIME),
        deaths.subject("u", NOW, LIFETIME),
        deaths.client("c", NOW, LIFETIME),
        deaths.issuer(NOW, LIFETIME),
        deaths.token("t", NOW + LIFETIME),
    ],
)
def test_a_death_is_remembered_beyond_the_last_token_it_could_hit(death):
    """The longest lifetime ever in force, and the slack of clocks."""
    assert death.until == NOW + LIFETIME + deaths.SLACK


def test_a_dead_key_is_remembered_far_longer_than_any_token():
    """A thief chooses `exp` as he likes; only that nobody holds the key any more ends the danger."""
    assert deaths.key("k", NOW).until == NOW + deaths.KEY_MEMORY


def test_snapshot_and_deltas_lead_to_the_same_set():
    """Whoever reads the whole log at once or piece by piece knows the same."""
    log, start = "log-1", genesis("log-1")
    middle, end = chain(start, ENTRIES[:1]), chain(start, ENTRIES)
    whole, pieces = empty(log), empty(log)
    whole.apply(cuts.snapshot("https://i.example", log, 3, end, ENTRIES, 5_000, ""))
    pieces.apply(cuts.delta("https://i.example", log, 0, start, middle, ENTRIES[:1], 5_000, ""))
    pieces.apply(cuts.delta("https://i.example", log, 1, middle, end, ENTRIES[1:], 5_000, ""))
    pieces.apply(cuts.heartbeat("https://i.example", log, 3, end, 6_000))
    assert (whole.seq, whole.head, len(whole)) == (pieces.seq, pieces.head, len(pieces)) == (3, b64url(end), 3)
    assert pieces.time == 6_000
