"""What the bench hands back: verdicts that tell a miss from a pass, pages with every figure, plots that are SVG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import plot, report
from bench.result import Figure, Section, Unmeasured

SVG = "{http://www.w3.org/2000/svg}"
ROWS = {"ES256": {"raw": 60.0, "watchword": 66.0, "PyJWT": 110.0}, "EdDSA": {"raw": 90.0, "watchword": 96.0}}
NOT_A_NUMBER = float("nan")


@pytest.mark.parametrize(
    ("value", "limit", "missed"),
    [
        (7.0, "at most", False),
        (7.01, "at most", True),
        (7.0, "at least", False),
        (6.99, "at least", True),
        (NOT_A_NUMBER, "at most", True),
        (NOT_A_NUMBER, "at least", True),
    ],
)
def test_a_bound_is_held_up_to_its_very_value(value: float, limit: str, missed: bool) -> None:
    """What is no number holds no bound."""
    assert Figure("verify", value, "µs", 7.0, limit).missed is missed  # type: ignore[arg-type]  # one of two, as data


def test_a_subject_that_cannot_be_measured_counts_as_a_miss_and_spares_the_others(tmp_path: Path) -> None:
    """Nobody shall overlook it."""

    def fails() -> Section:
        raise Unmeasured("there is no such peer")

    outcome = report.run("page", [("lost", fails), ("found", lambda: Section("Found", [Figure("it", 1.5, "µs")]))])
    report.write(outcome, tmp_path)
    page = (tmp_path / "page.md").read_text()
    assert outcome.missed
    assert "there is no such peer" in page
    assert "| it | 1.50 µs |" in page


def test_a_page_shows_the_plot_that_is_written_beside_it(tmp_path: Path) -> None:
    """The link leads somewhere, and the data hold no picture."""
    section = Section("Verify, cold", [], plot="<svg/>")
    report.write(report.run("page", [("verify", lambda: section)]), tmp_path)
    assert "(page-verify.svg)" in (tmp_path / "page.md").read_text()
    assert (tmp_path / "page-verify.svg").read_text() == "<svg/>"
    assert "<svg" not in (tmp_path / "page.json").read_text()


def test_a_plot_has_a_mark_for_every_time_and_one_for_each_name() -> None:
    """Nothing is left out of a row; what a contestant lacks is not drawn."""
    drawn = ElementTree.fromstring(plot.dots("A & B", ROWS, "raw", "watchword", ("jose",)))
    marks = [mark for mark in drawn if mark.find(f"{SVG}title") is not None]
    assert len(marks) == sum(map(len, ROWS.values())) + 3


def test_a_plot_keeps_the_order_of_its_values() -> None:
    """Less time stands further left, in one row and across rows."""
    where = positions(ROWS)
    ordered = sorted(where, key=lambda name: ROWS[name[0]][name[1]])
    assert [where[name] for name in ordered] == sorted(where.values())


@pytest.mark.parametrize("rows", [{"HS256": {"raw": 2.0, "watchword": 2.0}}, {"ES512": {"raw": 0.4, "ours": 20_000.0}}])
def test_a_plot_fits_whatever_it_shows(rows: Mapping[str, Mapping[str, float]]) -> None:
    """One value only, or very different ones: all marks are inside."""
    assert all(0 < x < plot.WIDTH for x in positions(rows).values())


def positions(rows: Mapping[str, Mapping[str, float]]) -> dict[tuple[str, str], float]:
    """The horizontal middle of each time's mark, by row and name."""
    drawn = ElementTree.fromstring(plot.dots("", rows, "raw", "watchword", ()))
    found = {}
    for mark in drawn:
        title = mark.findtext(f"{SVG}title") or ""
        if "," in title:
            row, name = title.partition(":")[0].split(", ")
            found[row, name] = float(mark.get("cx") or 0) or float(mark.get("x") or 0) + 1.5
    return found
