"""The samples in Chromium: three widths, two themes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from typing import Final, Literal, NamedTuple

from playwright.sync_api import Browser, Page

from tests.browser.chromium import visit
from tests.browser.pages.samples import Sample

WIDTHS: Final = (390, 820, 1440)
HEIGHTS: Final = {320: 640, 390: 844, 820: 1100, 1440: 900}
THEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")


class Window(NamedTuple):
    """How a page is looked at."""

    width: int
    theme: Literal["light", "dark"]

    @property
    def is_phone(self) -> bool:
        """Whether fingers touch it."""
        return self.width < 600


WINDOWS: Final = tuple(Window(*each) for each in product(WIDTHS, THEMES))


@contextmanager
def window(browser: Browser, size: Window) -> Iterator[Page]:
    """A page of this size and theme; what it breaks of its policy fails at the end."""
    with visit(
        browser,
        viewport={"width": size.width, "height": HEIGHTS[size.width]},
        color_scheme=size.theme,
        reduced_motion="reduce",
        has_touch=size.width < 1000,
        is_mobile=size.is_phone,
    ) as page:
        # Else it would send its page away before anybody has looked at it.
        page.route("**/assets/post.*", lambda route: route.fulfill(body="", content_type="text/javascript"))
        yield page


def show(page: Page, address: str, name: str, sample: Sample) -> None:
    """Go there, and open what the sample opens."""
    page.goto(f"{address}/{name}")
    if sample.opens is not None:
        page.click(f"[popovertarget='{sample.opens}']:not([popovertargetaction])")
