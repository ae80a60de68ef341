"""Following the revocation feed over real sockets: deltas, gaps, forgeries, cuts, delays."""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec
import pytest

from tests.sdk.honest_issuer import Clock, Issuer, eventually
from watchword import Verifier
from watchword.errors import CannotDecide, Revoked
from watchword.jose.jwk import SigningKey
from watchword.verifier import READY_WITHIN


def follow(verifier: Verifier, issuer: Issuer) -> None:
    """Start, and wait until the stream is open."""
    verifier.verify_sync(issuer.token())
    eventually(lambda: issuer.streams == 1)


def knows(verifier: Verifier, issuer: Issuer) -> Callable[[], bool]:
    return lambda: verifier.freshness.seq == len(issuer.entries) and verifier.freshness.log == issuer.log


def test_a_revocation_arrives_by_the_stream(verifier: Verifier, issuer: Issuer) -> None:
    """One delta, no question in between."""
    follow(verifier, issuer)
    questions = issuer.counts["/revocations"]
    token = issuer.token(sid="session-1")
    verifier.verify_sync(token)
    issuer.revoke("session", "session-1")
    eventually(knows(verifier, issuer))
    with pytest.raises(Revoked):
        verifier.verify_sync(token)
    assert issuer.counts["/revocations"] == questions


def test_a_snapshot_brings_what_was_revoked_before_the_start(verifier: Verifier, issuer: Issuer) -> None:
    """A verifier that starts late knows as much as the others."""
    issuer.revoke("session", "session-1")
    token = issuer.token(sid="session-1")
    with pytest.raises(Revoked):
        verifier.verify_sync(token)


def test_a_cut_stream_is_taken_up_where_it_ended(verifier: Verifier, issuer: Issuer) -> None:
    """Entries made while nobody listened come with the first delta of the new stream."""
    follow(verifier, issuer)
    for number in range(5):
        issuer.revoke("token", f"jti-{number}")
        issuer.cut()
    eventually(knows(verifier, issuer))
    assert verifier.freshness.entries == 5


def test_a_gap_is_filled_by_a_question(verifier: Verifier, issuer: Issuer) -> None:
    """A heartbeat from beyond what is known means that a delta was lost."""
    follow(verifier, issuer)
    issuer.silent = True
    issuer.revoke("token", "lost")
    issuer.once = [issuer.sign(issuer.heartbeat())]
    issuer.silent = False
    eventually(knows(verifier, issuer))
    assert verifier.freshness.entries == 1


def test_another_log_is_taken_in_and_the_old_one_kept(verifier: Verifier, issuer: Issuer) -> None:
    """After a restore the union counts: what was dead stays dead."""
    token = issuer.token(jti="from the old log")
    issuer.revoke("token", "from the old log")
    with pytest.raises(Revoked):
        verifier.verify_sync(token)
    issuer.log, issuer.entries = "restored", []
    issuer.revoke("token", "from the new log")
    issuer.cut()
    eventually(knows(verifier, issuer))
    assert verifier.freshness.entries == 2
    with pytest.raises(Revoked):
        verifier.verify_sync(token)


def refusal(verifier: Verifier, issuer: Issuer, clock: Clock, path: str) -> str:
    """What a first verify says once `path` was asked and the patience with the start has ended."""
    with verifier:
        eventually(lambda: issuer.counts[path] > 1)
        clock.forward(READY_WITHIN)
        return said(verifier, issuer)


def said(verifier: Verifier, issuer: Issuer) -> str:
    with pytest.raises(CannotDecide) as caught:
        verifier.verify_sync(issuer.token())
    return str(caught.value)


def forged(issuer: Issuer) -> str:
    stranger = SigningKey.generate("ES256")
    return issuer.sign(msgspec.structs.replace(issuer.heartbeat(), time=issuer.now() + 5_000), stranger)


def forked(issuer: Issuer) -> str:
    return issuer.sign(msgspec.structs.replace(issuer.heartbeat(), head="A" * 43))


def of_another_issuer(issuer: Issuer) -> str:
    return issuer.sign(msgspec.structs.replace(issuer.heartbeat(), iss="https://other.example"))


def by_an_access_token_key(issuer: Issuer) -> str:
    return issuer.sign(issuer.heartbeat(), issuer.key)


@pytest.mark.parametrize("make", [forged, forked, of_another_issuer, by_an_access_token_key, lambda _: "not.a.jws"])
def test_a_message_that_must_not_be_believed_ends_the_stream_and_is_logged(
    make: Callable[[Issuer], str], verifier: Verifier, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    """Counted and said loudly; then everything is read anew, with what was known kept."""
    issuer.revoke("token", "known before")
    follow(verifier, issuer)
    questions = issuer.counts["/revocations"]
    with caplog.at_level(logging.ERROR, "watchword"):
        issuer.once = [make(issuer)]
        eventually(lambda: issuer.counts["/revocations"] > questions and issuer.counts["stream open"] == 2)
    assert "must not be believed" in caplog.text
    assert "after" not in issuer.last_question
    issuer.revoke("token", "and after")
    eventually(knows(verifier, issuer))
    assert verifier.freshness.entries == 2


def test_a_forgery_makes_nothing_fresh(verifier: Verifier, issuer: Issuer, clock: Clock) -> None:
    """It says that it is of just now; the age goes on, and no stream is read before the log was read anew."""
    follow(verifier, issuer)
    issuer.status["/revocations"] = 503
    clock.forward(8)
    issuer.replay = forged(issuer)
    eventually(lambda: not issuer.streams)
    clock.forward(3)
    assert verifier.freshness.state == "stale"
    issuer.status.clear()
    issuer.replay = ""
    eventually(lambda: verifier.freshness.state == "fresh" and issuer.streams)


def test_a_heartbeat_played_back_makes_nothing_fresh(verifier: Verifier, issuer: Issuer, clock: Clock) -> None:
    """Genuine, but always the same: signed time does not go on."""
    follow(verifier, issuer)
    issuer.status["/revocations"] = 503
    issuer.replay = issuer.sign(issuer.heartbeat())
    clock.forward(11)
    seen = issuer.counts["/revocations"]
    eventually(lambda: issuer.counts["/revocations"] > seen)  # it asked, in vain, and heard the same many times
    assert verifier.freshness.state == "stale"


def test_a_node_that_lags_behind_makes_nothing_fresh(verifier: Verifier, issuer: Issuer, clock: Clock) -> None:
    """It has not seen what is known here, so it cannot say that nothing happened since."""
    lagging = msgspec.structs.replace(issuer.heartbeat(), time=issuer.now() + 60_000)
    issuer.revoke("token", "known here, not there")
    follow(verifier, issuer)
    issuer.status["/revocations"] = 503
    issuer.replay = issuer.sign(lagging)
    clock.forward(11)
    seen = issuer.counts["/revocations"]
    eventually(lambda: issuer.counts["/revocations"] > seen + 1)
    assert verifier.freshness.state == "stale"


def test_a_delayed_stream_ages_and_the_log_is_asked(verifier: Verifier, issuer: Issuer) -> None:
    """What comes is 8 s old. Asked directly, the log still answers, so the verifier stays fresh."""
    follow(verifier, issuer)
    questions = issuer.counts["/revocations"]
    issuer.status["/revocations"] = 503
    issuer.behind = 8
    eventually(lambda: verifier.freshness.age > 5, 15)
    del issuer.status["/revocations"]
    eventually(lambda: verifier.freshness.age < 1)
    assert issuer.counts["/revocations"] > questions
    opened = issuer.counts["stream open"]
    eventually(lambda: issuer.counts["stream open"] > opened, 15)  # and the delayed stream is given up


def test_an_answer_to_another_question_is_refused(verifier: Verifier, issuer: Issuer, clock: Clock) -> None:
    """A cached or recorded answer carries another nonce."""
    issuer.rewrite = lambda message: msgspec.structs.replace(message, nonce="recorded-yesterday")
    assert "another question" in refusal(verifier, issuer, clock, "/revocations")


def test_a_new_feed_key_is_fetched(verifier: Verifier, issuer: Issuer, clock: Clock) -> None:
    """An unknown key id causes one look at the feed's key set."""
    follow(verifier, issuer)
    clock.forward(6)  # beyond the cool-down of the first fetch
    issuer.feed_key = SigningKey.generate("EdDSA")
    issuer.revoke("token", "signed by the new key")
    eventually(knows(verifier, issuer))
    assert issuer.counts["/revocations/jwks.json"] == 2


def test_keys_that_cannot_be_read_make_nobody_a_forger(verifier: Verifier, issuer: Issuer, clock: Clock) -> None:
    """Nothing is decided, but nothing is called disbelieved either: that word is for an alarm."""
    issuer.status["/revocations/jwks.json"] = 503
    assert "no news of keys" in refusal(verifier, issuer, clock, "/revocations")
    assert verifier.contact.disbelieved == 0


def test_a_silent_stream_is_given_up_after_three_heartbeats(verifier: Verifier, issuer: Issuer) -> None:
    """An open connection that says nothing is no stream."""
    follow(verifier, issuer)
    issuer.silent = True
    eventually(lambda: issuer.counts["stream open"] > 1)


def test_a_private_feed_without_credentials_says_what_to_do(
    issuer: Issuer, verifier_of: Callable[..., Verifier], clock: Clock
) -> None:
    """The message names both ways out."""
    message = refusal(verifier_of(issuer, credentials=None), issuer, clock, "/revocations")
    assert "credentials=" in message
    assert "public" in message


def test_a_public_feed_needs_no_credentials(issuer: Issuer, verifier_of: Callable[..., Verifier]) -> None:
    """Where the operator made it public."""
    issuer.private = False
    assert verifier_of(issuer, credentials=None).verify_sync(issuer.token()).subject == "user-1"
    assert "Authorization" not in issuer.last_request


def test_an_issuer_without_a_feed_cannot_be_followed(verifier: Verifier, issuer: Issuer, clock: Clock) -> None:
    """Without a feed nothing could ever be revoked, so nothing is accepted."""
    issuer.metadata_changes = {"watchword_revocations_endpoint": ""}
    with verifier:
        eventually(lambda: issuer.counts["/jwks.json"])
        clock.forward(READY_WITHIN)
        eventually(lambda: "no revocation feed" in said(verifier, issuer))


def test_a_revoked_key_has_the_key_set_read_at_once(verifier: Verifier, issuer: Issuer) -> None:
    """So that tokens of its successor are known without waiting for the next look."""
    follow(verifier, issuer)
    successor = SigningKey.generate("ES256")
    issuer.published = [successor.public_jwk()]
    seen = issuer.counts["/jwks.json"]
    issuer.revoke("key", issuer.key.kid)
    eventually(lambda: issuer.counts["/jwks.json"] > seen)
    assert verifier.verify_sync(issuer.token(successor)).key_id == successor.kid
