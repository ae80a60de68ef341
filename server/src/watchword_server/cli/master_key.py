"""`watchword key rotate-master` and `revoke-lost`: another master key, while servers run or after a loss."""

from __future__ import annotations

from typing import Annotated

import typer

from watchword_server.cli.answers import Answer
from watchword_server.cli.asking import confirmed
from watchword_server.cli.desk import Desk
from watchword_server.flows import master_key
from watchword_server.flows.master_key import Rotated

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]

COLUMNS = ("source", "newest", "keys", "resealed", "dropped")
MAKE = "openssl rand -base64 32 | tr '+/' '-_' | tr -d '='"
OLD_BACKUPS = "Keep the old master key only as long as you keep backups of the database from before."


async def rotate(desk: Desk) -> Answer:
    """Seal every signing key under a new master key, while servers run.

    Where the master key is the file in the data folder, the new one is made here, and takes the place of the old one.
    Where it comes from a setting or a command, that must give the new one before the old one first. Should it be cut
    short, every key still opens: run it again.
    """
    done = await master_key.rotate(desk.issuer, desk.by, desk.now)
    steps = list(_steps(done))
    document = {
        "source": done.after.kind,
        "place": done.after.place,
        "newest": done.after.ids[0],
        "given": list(done.after.ids),
        "dropped": [id for id in done.before.ids if id not in done.after.ids],
        "keys": done.keys,
        "resealed": list(done.resealed),
        "resumed": done.resumed,
        "steps": steps,
    }
    row = {**document, "resealed": len(done.resealed)}
    note = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
    return Answer(document, [row], COLUMNS, f"{_said(done)} What is left to you:\n{note}")


async def revoke_lost(desk: Desk, yes: Yes = False) -> Answer:
    """After a master key was lost for good: throw away every key that no other opens, and make new ones.

    Put a new master key in its place first. Every token that those keys signed dies everywhere; nobody has to sign in
    again, for refresh tokens stay good.
    """
    confirmed("Every token signed by a key that cannot be opened dies at once. Go on?", yes)
    lost = await master_key.revoke_lost(desk.issuer, desk.by, desk.now)
    note = "New keys were made." if lost else "Every key can be opened: nothing was done."
    return Answer({"revoked": list(lost)}, [{"revoked": kid} for kid in lost], ("revoked",), note)


def _said(done: Rotated) -> str:
    if done.resumed:
        return "A rotation that was cut short is finished, with the key that it made."
    if done.after.kind == "file" or len(done.after.ids) > 1 or done.resealed:
        return "Every signing key is sealed under the newest master key."
    return f"Every signing key is sealed under the one master key that {done.after.place} gives."


def _steps(done: Rotated) -> tuple[str, ...]:
    """What Watchword cannot do, in its order."""
    place, again = done.after.place, "Start every `watchword serve` again."
    restart = (again,) if done.after.kind == "setting" else ()
    if done.after.kind == "file":
        return (f"Copy {place} to where you keep a copy of the master key.", OLD_BACKUPS)
    if len(done.after.ids) > 1:
        return (f"Let {place} give the first key only.", *restart, OLD_BACKUPS)
    return (
        f"For another master key, make one: {MAKE}",
        f"Let {place} give it and then the old one, with a space between them.",
        *restart,
        "Run `watchword key rotate-master` again; it says what comes after.",
    )
