"""Prometheus: `expose(verifier)` adds to a registry what operators watch of a verifier."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, get_args

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from watchword.freshness import Contact, Freshness, State
from watchword.verifier import Verifier

LABELS: Final = ("issuer", "audience")

# fmt: off
GAUGES: Final[Sequence[tuple[str, str, Callable[[Freshness, Contact], float]]]] = (
    ("age_seconds",      "How old the newest sure news of revocations is.",       lambda now, _: now.age),
    ("entries",          "Revocations that are held in memory.",                  lambda now, _: now.entries),
    ("seq",              "How far the revocation log was applied.",               lambda now, _: now.seq),
    ("acknowledged_seq", "How far the issuer knows that it was applied.",         lambda _, was: was.acknowledged),
)
COUNTERS: Final[Sequence[tuple[str, str, Callable[[Freshness, Contact], float]]]] = (
    ("streams",          "How often the revocation stream was opened.",           lambda _, was: was.streams),
    ("disbelieved",      "Messages that were forged, forked or played back.",     lambda _, was: was.disbelieved),
    ("acknowledgements", "Acknowledgements that the issuer took.",                lambda _, was: was.acknowledgements),
)
# fmt: on


@dataclass(frozen=True, slots=True)
class Watched:
    """A collector of verifiers. What it says is asked of them at every scrape."""

    verifiers: Sequence[Verifier]

    def describe(self) -> Sequence[Metric]:
        """The metrics without values, for the registry to know their names."""
        return list(_families(()))

    def collect(self) -> Iterator[Metric]:
        """The metrics of this moment."""
        return _families(self.verifiers)


def expose(*verifiers: Verifier, registry: CollectorRegistry = REGISTRY) -> Watched:
    """Register verifiers for as long as the process runs, or until `registry.unregister` is given what this returns.

    Each name begins with `watchword_verifier_` and has the labels `issuer` and `audience`; `state` is 1 for the state
    that holds. Every process has verifiers of its own, so each has to be scraped. Of a registry once: ValueError after
    that.
    """
    watched = Watched(verifiers)
    registry.register(watched)
    return watched


def _families(verifiers: Sequence[Verifier]) -> Iterator[Metric]:
    found = [((one.issuer, one.audience), one.freshness, one.contact) for one in verifiers]
    states = GaugeMetricFamily("watchword_verifier_state", "What the age means.", labels=(*LABELS, "state"))
    for names, now, _ in found:
        for state in get_args(State):
            states.add_metric((*names, state), float(now.state == state))
    yield states
    for table, family in ((GAUGES, GaugeMetricFamily), (COUNTERS, CounterMetricFamily)):
        for name, meaning, value in table:
            metric = family(f"watchword_verifier_{name}", meaning, labels=LABELS)
            for names, now, was in found:
                metric.add_metric(names, value(now, was))
            yield metric
