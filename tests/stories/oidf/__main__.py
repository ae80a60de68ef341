"""`python -m tests.stories.oidf` writes docs/conformance.md."""

from __future__ import annotations

from tests.stories.oidf.report import PAGE, page

PAGE.write_text(page())
print(f"wrote {PAGE.name}")
