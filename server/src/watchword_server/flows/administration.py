"""What operators' stories share: who acts, and refusals that say how to mend."""

from __future__ import annotations

from dataclasses import dataclass

from watchword_server.flows.issuer import Caller


@dataclass(frozen=True, slots=True)
class Operator:
    """Who administers, and from where. `name` is an account of the machine or a user's `sub`."""

    name: str
    caller: Caller

    @property
    def actor(self) -> str:
        """As it stands in the audit trail."""
        return f"operator:{self.name}"


class Refused(Exception):
    """The act was not done; the message says why and what to do."""


class Unknown(Refused):
    """No such user, client, API, key, session or grant."""


class Taken(Refused):
    """The name is in use already."""
