"""Screenshots of every page in every state: `python -m tests.browser.pages OUTDIR [PART OF A NAME ...]`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.browser.chromium import chromium
from tests.browser.pages.samples import SAMPLES
from tests.browser.pages.showing import shown
from tests.browser.pages.visiting import WINDOWS, show, window


def main(folder: Path, parts: list[str]) -> None:
    """Write NAME-WIDTH-THEME.png for each."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = {name: sample for name, sample in SAMPLES.items() if not parts or any(part in name for part in parts)}
    with shown(SAMPLES) as address, chromium() as browser:
        for size in WINDOWS:
            with window(browser, size) as page:
                for name, sample in chosen.items():
                    show(page, address, name, sample)
                    path = folder / f"{name}-{size.width}-{size.theme}.png"
                    page.screenshot(path=path, full_page=sample.opens is None)
    print(f"{len(chosen) * len(WINDOWS)} pictures in {folder}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2:])
