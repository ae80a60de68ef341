"""Where no mail server is set."""

from __future__ import annotations

import logging
from dataclasses import dataclass

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NoMailer:
    """Each message becomes a line of the log that says what was not sent."""

    async def send(self, to: str, subject: str, text: str) -> None:
        """Never fails: to try again would change nothing. Names neither the person nor the text."""
        logger.warning("no mail server is set, so a message was not sent", extra={"subject": subject})
