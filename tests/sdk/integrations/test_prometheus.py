"""What operators scrape of a verifier: its age and state, and how following went."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from tests.sdk.honest_issuer import AUDIENCE, Clock, Issuer, eventually
from watchword import Verifier
from watchword.integrations.prometheus import expose


def value(registry: CollectorRegistry, verifier: Verifier, name: str, **labels: str) -> float | None:
    """One number of a scrape."""
    same = {"issuer": verifier.issuer, "audience": verifier.audience, **labels}
    return registry.get_sample_value(f"watchword_verifier_{name}", same)


def state(registry: CollectorRegistry, verifier: Verifier) -> list[str]:
    """The states that are said to hold."""
    every = ("fresh", "stale", "blind", "starting", "offline")
    return [one for one in every if value(registry, verifier, "state", state=one) == 1]


def test_every_scrape_says_how_it_is_now(verifier: Verifier, issuer: Issuer, clock: Clock) -> None:
    """From the start to blindness, without that anything is told to the metrics."""
    registry = CollectorRegistry()
    expose(verifier, registry=registry)
    assert state(registry, verifier) == ["starting"]
    assert value(registry, verifier, "age_seconds") == float("inf")
    issuer.revoke("token", "dead")
    verifier.verify_sync(issuer.token())
    eventually(lambda: value(registry, verifier, "acknowledged_seq") == 1)
    assert state(registry, verifier) == ["fresh"]
    assert value(registry, verifier, "seq") == value(registry, verifier, "entries") == 1
    eventually(lambda: value(registry, verifier, "streams_total") == 1)
    assert value(registry, verifier, "acknowledgements_total") == 1
    assert value(registry, verifier, "disbelieved_total") == 0
    issuer.status["/revocations"] = issuer.status["/revocations/stream"] = 503
    issuer.cut()
    eventually(lambda: not issuer.streams)
    clock.forward(30)
    assert state(registry, verifier) == ["stale"]
    clock.forward(31)
    assert state(registry, verifier) == ["blind"]
    assert 61 <= (value(registry, verifier, "age_seconds") or 0) < 90


def test_what_was_disbelieved_is_counted(verifier: Verifier, issuer: Issuer) -> None:
    """The one number that should never move: alert on it."""
    registry = CollectorRegistry()
    expose(verifier, registry=registry)
    verifier.verify_sync(issuer.token())
    eventually(lambda: issuer.streams == 1)
    issuer.once = ["not.a.jws"]
    eventually(lambda: value(registry, verifier, "disbelieved_total") == 1)


def test_several_verifiers_stand_beside_each_other(verifier_of: Callable[..., Verifier], issuer: Issuer) -> None:
    """Told apart by what they are for."""
    registry = CollectorRegistry()
    one, other = verifier_of(issuer), verifier_of(issuer, audience="https://other.example")
    expose(one, other, registry=registry)
    one.verify_sync(issuer.token())
    assert (state(registry, one), state(registry, other)) == (["fresh"], ["starting"])
    text = generate_latest(registry).decode()
    assert f'watchword_verifier_age_seconds{{audience="{AUDIENCE}",issuer="{issuer.url}"}}' in text


def test_nothing_can_be_exposed_twice(verifier: Verifier) -> None:
    """The registry says so when the program starts, not the scraper when it is scraped."""
    registry = CollectorRegistry()
    watched = expose(verifier, registry=registry)
    with pytest.raises(ValueError, match="Duplicated"):
        expose(verifier, registry=registry)
    registry.unregister(watched)
    expose(verifier, registry=registry)


def test_who_does_not_scrape_loads_nothing() -> None:
    """The client of Prometheus is no requirement of a verifier."""
    program = "import sys, watchword; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
