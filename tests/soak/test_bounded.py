"""The long runs, bounded: the same programs for half a minute. `make soak` has them whole, with all of their bounds."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from msgspec.structs import replace as with_fields

from bench import report
from bench.result import Figure, Section
from tests.soak import crowd, million, promotion, storm
from tests.soak.databases import DATABASES

PROMISED = 1000.0
"""Milliseconds: what is promised anywhere. Tighter bounds hold where nothing else runs."""
SECONDS = os.environ.get("WATCHWORD_TEST_SECONDS")

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]


def _relaxed(figure: Figure) -> Figure:
    """The same, bounded by the promise where it is a delay; how much a busy machine gets done is not asked here."""
    if figure.bound is None or figure.limit == "at least":
        return figure if figure.bound is None else with_fields(figure, bound=1.0)
    return with_fields(figure, bound=PROMISED) if figure.unit == "ms" else figure


def _must_hold(section: Section, capsys: pytest.CaptureFixture[str]) -> None:
    figures = [_relaxed(figure) for figure in section.figures]
    with capsys.disabled():
        print("\n" + "\n".join(report._line(figure) for figure in figures))
    assert not section.failure, section.failure
    assert not [figure for figure in figures if figure.missed]


@pytest.mark.parametrize("database", DATABASES)
def test_nobody_accepts_what_is_known_to_be_dead(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nodes and verifiers are killed and frozen, revocations of every kind go on, and every acceptance is judged."""
    size = replace(storm.BOUNDED, seconds=float(SECONDS or storm.BOUNDED.seconds))
    _must_hold(storm.measure(size, DATABASES[database]), capsys)


def test_a_crowd_of_verifiers_hears_of_every_revocation(capsys: pytest.CaptureFixture[str]) -> None:
    """Two hundred of them on one node, all of which acknowledge."""
    _must_hold(crowd.measure(crowd.BOUNDED, DATABASES["sqlite"]), capsys)


def test_a_verifier_takes_a_long_log(capsys: pytest.CaptureFixture[str]) -> None:
    """It is fresh in time, and holds every entry."""
    _must_hold(million.measure(million.BOUNDED, DATABASES["sqlite"]), capsys)


def test_nobody_is_signed_out_by_a_promotion(capsys: pytest.CaptureFixture[str]) -> None:
    """Clients refresh before, meanwhile and after, and the log of revocations goes on."""
    _must_hold(promotion.measure(promotion.BOUNDED), capsys)
