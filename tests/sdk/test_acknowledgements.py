"""A verifier with credentials says who it is, and how far it has applied the log; without them, nothing."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Callable
from itertools import pairwise

import pytest

from tests.sdk.honest_issuer import Issuer, eventually
from watchword import Verifier
from watchword.errors import Misconfigured
from watchword.wire.acknowledgements import EVERY
from watchword.wire.identity import identity

HEADER = re.compile(r'([A-Za-z0-9_-]{22}); name="([ !#-\[\]-~]{1,64})"; refuse-after=([0-9]+)')
FEED = ("/revocations", "/revocations/stream")
MACHINE_S_SLACK = 0.05
"""Seconds by which two requests may come closer together than they were sent."""


def follow(verifier: Verifier, issuer: Issuer) -> None:
    """Start, and wait until the stream is open."""
    verifier.verify_sync(issuer.token())
    eventually(lambda: issuer.streams == 1)


def knows_of(issuer: Issuer, seq: int) -> Callable[[], bool]:
    return lambda: any(said["seq"] == seq for said in issuer.acknowledged)


def test_every_request_for_the_feed_says_who_asks(verifier_of: Callable[..., Verifier], issuer: Issuer) -> None:
    """The same id and name for both, and the seconds after which this verifier refuses; nobody else is told."""
    verifier = verifier_of(issuer, name="orders, eu-1")
    follow(verifier, issuer)
    first, second = (HEADER.fullmatch(issuer.verifiers[path]) for path in FEED)
    assert first
    assert second
    assert first.groups() == second.groups() == (verifier.contact.verifier, "orders, eu-1", "60")
    assert issuer.verifiers["/jwks.json"] == ""


def test_without_a_name_it_is_the_machine_and_the_process(verifier: Verifier, issuer: Issuer) -> None:
    """Enough to find the process that is silent."""
    follow(verifier, issuer)
    assert verifier.contact.name.endswith(f"-{os.getpid()}")
    assert verifier.contact.name.startswith(re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:40])


@pytest.mark.parametrize("name", ["", "x" * 65, 'a"b', "a\\b", "a\nb", "grün"])
def test_a_name_that_no_header_can_carry_is_refused(name: str, verifier_of: Callable[..., Verifier]) -> None:
    """At once, and not when the first request fails."""
    with pytest.raises(Misconfigured, match="name"):
        Verifier(issuer="https://id.example", audience="x", credentials=("a", "b"), name=name)


def test_a_machine_with_a_long_name_has_a_short_one() -> None:
    """The process number is never what is cut off."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "gethostname", lambda: "ö" * 300)
        name = identity(None, 1.5).name
    assert len(name) == 64
    assert name.endswith(f"-{os.getpid()}")
    assert "refuse-after=2" in identity(None, 1.5).header["Watchword-Verifier"]


def test_what_was_applied_is_acknowledged_at_once(verifier: Verifier, issuer: Issuer) -> None:
    """By the id of the header, for the log that was read."""
    follow(verifier, issuer)
    eventually(knows_of(issuer, 0))
    issuer.revoke("token", "dead")
    eventually(knows_of(issuer, 1))
    said = issuer.acknowledged[-1]
    assert (said["verifier"], said["log"]) == (verifier.contact.verifier, issuer.log)
    eventually(lambda: verifier.contact.acknowledged == 1)


def test_many_revocations_are_acknowledged_once_a_second_and_the_last_one_always(
    verifier: Verifier, issuer: Issuer
) -> None:
    """Forty at once are not forty requests, and none comes sooner than a second after another."""
    follow(verifier, issuer)
    eventually(lambda: issuer.acknowledged)
    for number in range(1, 41):
        issuer.revoke("token", f"jti-{number}")
        eventually(lambda number=number: verifier.freshness.seq == number)  # type: ignore[misc]  # bound at once
    eventually(knows_of(issuer, 40))
    times = [float(str(said["at"])) for said in issuer.acknowledged]
    assert all(later - earlier >= EVERY - MACHINE_S_SLACK for earlier, later in pairwise(times))


def test_acknowledgements_that_fail_are_tried_again_with_the_newest(verifier: Verifier, issuer: Issuer) -> None:
    """What arrives in the end is where the verifier stands then."""
    follow(verifier, issuer)
    eventually(knows_of(issuer, 0))
    issuer.status["/revocations/ack"] = 503
    asked = issuer.counts["/revocations/ack"]
    issuer.revoke("token", "while it fails")
    eventually(lambda: issuer.counts["/revocations/ack"] > asked)
    issuer.revoke("token", "meanwhile")
    eventually(lambda: verifier.freshness.seq == 2)
    issuer.status.clear()
    eventually(knows_of(issuer, 2))


def test_an_acknowledgement_that_hangs_holds_nothing_up(verifier: Verifier, issuer: Issuer) -> None:
    """The stream is read on."""
    follow(verifier, issuer)
    issuer.hanging.add("/revocations/ack")
    issuer.revoke("token", "one")
    eventually(lambda: issuer.counts["/revocations/ack"] > 1)
    issuer.revoke("token", "two")
    eventually(lambda: verifier.freshness.seq == 2, 2)


def test_an_issuer_without_the_endpoint_is_asked_once(verifier: Verifier, issuer: Issuer) -> None:
    """An older one answers 404; it is left alone for minutes."""
    issuer.status["/revocations/ack"] = 404
    follow(verifier, issuer)
    eventually(lambda: issuer.counts["/revocations/ack"])
    for number in (1, 2, 3):
        issuer.revoke("token", f"jti-{number}")
    eventually(lambda: verifier.freshness.seq == 3)
    assert issuer.counts["/revocations/ack"] == 1


def test_acknowledgements_share_a_connection(verifier: Verifier, issuer: Issuer) -> None:
    """One is opened for the stream; all else goes over what is open already."""
    follow(verifier, issuer)
    eventually(knows_of(issuer, 0))
    opened = issuer.counts["connection"]
    for number in (1, 2):
        issuer.revoke("token", f"jti-{number}")
        eventually(knows_of(issuer, number))
    assert issuer.counts["connection"] == opened


def test_without_credentials_nothing_is_said(issuer: Issuer, verifier_of: Callable[..., Verifier]) -> None:
    """Whoever may be anybody is never counted."""
    issuer.private = False
    verifier = verifier_of(issuer, credentials=None, name="nobody")
    follow(verifier, issuer)
    issuer.revoke("token", "dead")
    eventually(lambda: verifier.freshness.seq == 1)
    assert [issuer.verifiers[path] for path in FEED] == ["", ""]
    assert issuer.counts["/revocations/ack"] == 0
    assert verifier.contact.verifier == ""


def test_a_forked_child_is_another_verifier(verifier: Verifier, issuer: Issuer) -> None:
    """It follows by itself, so it is known by itself; what its parent knew is acknowledged by it as well."""
    issuer.revoke("token", "before the fork")
    follow(verifier, issuer)
    eventually(knows_of(issuer, 1))
    token, parent = issuer.token(), verifier.contact.verifier
    child = os.fork()
    if child == 0:
        try:
            verifier.verify_sync(token)
            signal.pause()
        finally:
            os._exit(0)
    try:
        eventually(lambda: {said["verifier"] for said in issuer.acknowledged if said["seq"] == 1} - {parent})
        others = {said["verifier"] for said in issuer.acknowledged} - {parent}
        assert len(others) == 1
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert verifier.contact.verifier == parent
