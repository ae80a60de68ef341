"""`watchword verifiers`: who follows the feed."""

from __future__ import annotations

from typing import Any, Final

from watchword_server.cli.answers import Answer
from watchword_server.cli.desk import Desk
from watchword_server.flows import who_knows
from watchword_server.ports import Head, Lease

COLUMNS: Final = ("audience", "name", "acknowledged", "behind", "heard_at", "dead_by_at")
NONE: Final = "No verifier is known. Only those are that follow the feed with their API's credentials."
LISTED: Final = (
    "From `dead by` on it refuses every token, unless it hears from the issuer before; while it listens, that moves on."
)


async def verifiers(desk: Desk) -> Answer:
    """List the verifier processes that may be alive, and how far each has applied the revocation log."""
    head = await desk.issuer.stores.log.head()
    found = [record(lease, head) for lease in await who_knows.verifiers(desk.issuer.stores.leases, desk.now)]
    rows = [{**one, "acknowledged": one["seq"], "dead_by_at": one["dead_by"]} for one in found]
    return Answer({"head": head.rev, "verifiers": found}, rows, COLUMNS, LISTED if found else NONE)


def record(lease: Lease, head: Head) -> dict[str, Any]:
    """A lease as programs read it: `seq` and `behind` are null where nothing of this log was acknowledged yet."""
    stands = lease.log == head.log
    return {
        "audience": lease.audience,
        "name": lease.name,
        "seq": lease.seq if stands else None,
        "behind": max(0, head.rev - lease.seq) if stands else None,
        "acknowledged_at": lease.acknowledged_at or None,
        "heard_at": lease.heard_at,
        "dead_by": lease.until,
        "refuse_after": lease.refuse_after,
    }
