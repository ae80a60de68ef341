"""`watchword doctor`: what is wrong with a deployment, and how to mend it."""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal
from urllib.parse import urlsplit

import typer

from watchword_server.cli.answers import Answer
from watchword_server.cli.desk import Call, operator
from watchword_server.cli.failures import Code
from watchword_server.cli.key import span
from watchword_server.cli.listening import in_use
from watchword_server.cli.replaying import replayed
from watchword_server.cli.world import DatabaseReport
from watchword_server.flows import keys, master_key
from watchword_server.flows.key_life import USES, families, has_room
from watchword_server.flows.master_key import Seals
from watchword_server.flows.rehearsal import rehearse
from watchword_server.ports import KeyStoreError, Unavailable
from watchword_server.settings import LOOPBACK, SettingsError

if TYPE_CHECKING:
    from watchword_server.changes import StoredKey
    from watchword_server.settings import Settings

CLOCK_ERROR: Final = 5
"""Seconds that two clocks may differ: the leeway of a verifier."""
LATE: Final = 600
"""Seconds by which a rotation may be late before it is worth a word."""
PATIENCE: Final = 3
"""Seconds to wait for the running issuer."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, and what to do where it is not ok."""

    state: Literal["ok", "warn", "fail"]
    check: str
    message: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Answering:
    """Whoever answers at the address that the issuer listens at: who it says it is, and its clock (seconds)."""

    issuer: str
    clock: float | None


def doctor(
    call: Call,
    client: Annotated[
        str | None,
        typer.Option("--client", metavar="URL|ID", help="Instead: what this client will do, step by step."),
    ] = None,
) -> Answer:
    """Check settings, data folder, database, keys, clock and port. Exit code 1 when something must be mended."""
    findings = asyncio.run(_all(call) if client is None else _of_client(call, client))
    rows = [asdict(finding) for finding in findings]
    failed = any(finding.state == "fail" for finding in findings)
    note = "Something must be mended." if failed else "Nothing must be mended."
    columns = ("state", "check", "message", "mend")
    return Answer({"ok": not failed, "findings": rows}, rows, columns, note, Code.FAILED if failed else Code.OK)


async def _all(call: Call) -> list[Finding]:
    try:
        settings = call.settings()
    except SettingsError as error:
        return [Finding("fail", "settings", str(error), "correct that setting")]
    answering = await asyncio.to_thread(_answering, settings)
    findings = [*_settings(settings), *_folder(settings.data), *_master_key(settings)]
    sound = all(finding.state != "fail" for finding in findings)
    findings += [finding async for finding in _database(call, settings, sound)]
    findings += [finding async for finding in _redis(call, settings)]
    return [*findings, *_port(settings, answering), *_clock_of(answering)]


async def _of_client(call: Call, client_id: str) -> list[Finding]:
    """Raises SettingsError, and Unknown for a client that is none."""
    settings = call.settings()
    async with call.world.open(settings) as issuer:
        now, caller = int(time.time()), operator().caller
        steps = [step async for step in rehearse(issuer, client_id, caller, now)]
        client = await issuer.stores.clients.find(client_id)
    # With a document that lies anywhere, the issuer would have to fetch it once more: it was read here.
    steps += await asyncio.to_thread(lambda: list(replayed(settings, client)))
    return [Finding(step.state, step.step, step.message, step.mend) for step in steps]


def _settings(settings: Settings) -> Iterator[Finding]:
    yield Finding("ok", "settings", f"issuer {settings.issuer}, listening at {settings.listen}")
    if settings.issuer.startswith("https://"):
        yield Finding("ok", "issuer", "https")
    else:
        mend = "set `issuer` to the https URL that people and APIs reach it by"
        yield Finding("warn", "issuer", "http on loopback: good for development only", mend)


def _folder(folder: Path) -> Iterator[Finding]:
    if not folder.exists():
        yield Finding("warn", "data folder", f"{folder} is not there yet", "`watchword serve` makes it")
        return
    facts = folder.stat()
    if not stat.S_ISDIR(facts.st_mode):
        yield Finding("fail", "data folder", f"{folder} is not a folder", "set `data` to a folder")
    elif not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        mend = "run as the account that `watchword serve` runs under, or give it the folder"
        yield Finding("fail", "data folder", f"{folder} is not writable for this account", mend)
    elif facts.st_uid != os.geteuid():
        mend = "run `watchword` as the account that the folder belongs to"
        yield Finding("warn", "data folder", f"{folder} belongs to another account", mend)
    elif facts.st_mode & 0o077:
        yield Finding("fail", "data folder", f"others on this machine may look into {folder}", f"chmod 700 {folder}")
    else:
        yield Finding("ok", "data folder", str(folder))


def _master_key(settings: Settings) -> Iterator[Finding]:
    file = settings.data / "master.key"
    if settings.master_key is not None or settings.master_key_command is not None:
        return
    if not file.exists():
        yield Finding("warn", "master key", f"{file} is not there yet", "`watchword serve` makes it; keep a copy apart")
    elif file.stat().st_mode & 0o077:
        yield Finding("fail", "master key", f"others on this machine may read {file}", f"chmod 600 {file}")


def _seals(found: Seals, file: Path) -> Iterator[Finding]:
    """Where the master key comes from, and whether all keys are sealed under the newest."""
    check, source = "master key", found.source
    if source.kind != "file" and file.exists():
        mend = "remove it, unless a backup of the database needs it"
        yield Finding("warn", check, f"{file} is not used: it comes from {source.place}", mend)
    message, rotate = f"from {source.place}", "run `watchword key rotate-master`"
    if found.older:
        older = f"{message}, and {len(found.older)} of {len(found.keys)} keys are sealed under an older one"
        yield Finding("warn", check, older, rotate)
    elif len(source.ids) > 1:
        mend = rotate if source.kind == "file" else f"let {source.place} give the first key only"
        yield Finding("warn", check, f"{message}, which gives {len(source.ids)}; only the first is needed", mend)
    else:
        yield Finding("ok", check, f"{message}; keep a copy apart from the backups of the database")


async def _database(call: Call, settings: Settings, sound: bool) -> AsyncIterator[Finding]:
    """Opens the deployment itself only where all else is sound: what is known to be wrong is said once."""
    try:
        report = await call.world.examine(settings)
    except Unavailable as error:
        mend = "see whether another process holds it, and whether the disk is full; else restore a backup"
        yield Finding("fail", "database", f"cannot be opened: {error}", mend)
        return
    if report is None:
        yield Finding("warn", "database", "is not there yet", "`watchword serve` makes it")
        return
    findings = list(_report(report))
    for finding in findings:
        yield finding
    if sound and all(finding.state == "ok" for finding in findings):
        async for finding in _keys(call, settings):
            yield finding


async def _redis(call: Call, settings: Settings) -> AsyncIterator[Finding]:
    """One that is lost is no failure: the service goes on, and what it shares becomes each node's own."""
    if settings.redis.url is None:
        return
    where = urlsplit(settings.redis.url.reveal())
    if where.scheme == "redis" and where.hostname not in LOOPBACK:
        mend = "let Redis take TLS, and begin `redis.url` with rediss://"
        yield Finding("warn", "redis", f"{where.hostname} is spoken to unencrypted", mend)
    problem = await call.world.ask_redis(settings)
    if problem is None:
        yield Finding("ok", "redis", f"{where.hostname} answers, and takes writes")
    else:
        mend = "see docs/guides/redis.md; until then each node limits sign-ins alone"
        yield Finding("warn", "redis", f"{where.hostname} cannot be used: {problem}", mend)


def _report(report: DatabaseReport) -> Iterator[Finding]:
    if report.integrity == "ok":
        yield Finding("ok", "database", report.place)
    else:
        yield Finding("fail", "database", f"{report.place} is damaged: {report.integrity}", "restore a backup")
    for risk in report.risks:
        yield Finding("fail", "durability", risk, "see docs/guides/postgresql.md")
    if report.revision == report.expected_revision:
        yield Finding("ok", "schema", f"revision {report.revision}")
    else:
        message = f"revision {report.revision}, but this version wants {report.expected_revision}"
        command = "serve" if report.migrates_itself else "migrate"
        yield Finding("warn", "schema", message, f"`watchword {command}` brings it up to date")
    if report.writable == "ok":
        yield Finding("ok", "writing", "a transaction can begin")
    else:
        mend = "see whether another process holds the database, and whether the disk is full"
        yield Finding("fail", "writing", report.writable, mend)
    if report.newest is not None and report.newest > time.time() + CLOCK_ERROR:
        ahead = round(report.newest - time.time())
        message = f"the newest row of the database is {ahead} s in the future"
        yield Finding("fail", "clock", message, "set this machine's clock, and keep it set (NTP)")
    else:
        yield Finding("ok", "clock", "not behind the database")


async def _keys(call: Call, settings: Settings) -> AsyncIterator[Finding]:
    mend = "see docs/guides/master-key.md: it must be the master key that the keys were made under"
    try:
        async with call.world.open(settings) as issuer:
            stored = await keys.current(issuer)
            for key in stored:
                issuer.key_store.open(key)
            sealed = await master_key.seals(issuer)
    except KeyStoreError as error:
        yield Finding("fail", "keys", str(error), mend)
        return
    except Unavailable as error:
        yield Finding("fail", "keys", str(error), "try again")
        return
    for finding in (*_seals(sealed, settings.data / "master.key"), *_lives(stored, settings, int(time.time()))):
        yield finding


def _lives(stored: Sequence[StoredKey], settings: Settings, now: int) -> Iterator[Finding]:
    """Who signs, since when, and whether another waits."""
    known = families(stored)
    for use in USES:
        if not any(family.use == use for family in known):
            yield Finding("fail", f"{use} key", "there is none", "`watchword serve` makes it")
        if not has_room(stored, use):
            mend = "wait until older tokens have expired; with a longer `keys.rotate_every` there are fewer keys"
            yield Finding("warn", f"{use} keys", "so many are published that none is rotated", mend)
    for family in known:
        key = family.signing(now) or family.appointed()
        if key is not None:
            yield _life(key, family.waiting(), settings, now)


def _life(key: StoredKey, waiting: StoredKey | None, settings: Settings, now: int) -> Finding:
    check, what = f"{key.use} key", f"{key.alg} {key.kid}"
    late = now - (key.active_at or now) - settings.keys.rotate_every
    if waiting is None:
        return Finding("warn", check, f"{what} has no successor", "`watchword serve` publishes one within a minute")
    if late > LATE:
        mend = "`watchword serve` rotates it within a minute; where it does not, its log says `keys put off`"
        return Finding("warn", check, f"{what} should have been rotated {span(late)} ago", mend)
    return Finding("ok", check, f"{what}; the master key fits, and the next key is published")


def _port(settings: Settings, answering: Answering | None) -> Iterator[Finding]:
    if answering is not None and answering.issuer == settings.issuer:
        yield Finding("ok", "port", f"{settings.listen} is served by this issuer")
    elif (problem := in_use(settings.address)) is None:
        yield Finding("ok", "port", f"{settings.listen} is free")
    else:
        mend = "end what listens there, or set `listen` to another port"
        yield Finding("fail", "port", f"{settings.listen} cannot be used: {problem}", mend)


def _clock_of(answering: Answering | None) -> Iterator[Finding]:
    if answering is None or answering.clock is None:
        return
    difference = round(answering.clock - time.time())
    if abs(difference) > CLOCK_ERROR:
        message = f"the running issuer's clock is {difference:+d} s off this machine's"
        yield Finding("fail", "issuer's clock", message, "set both clocks, and keep them set (NTP)")
    else:
        yield Finding("ok", "issuer's clock", "agrees with this machine's")


def _answering(settings: Settings) -> Answering | None:
    """Ask the address itself; with TLS the issuer's URL, since a certificate names a host."""
    from email.utils import parsedate_to_datetime  # not above: no other command needs them

    import httpx2

    at_address = f"http://{settings.listen}{urlsplit(settings.issuer).path}"
    base = settings.issuer if settings.tls.certificate is not None else at_address
    try:
        with httpx2.Client(timeout=PATIENCE, trust_env=False) as client:
            answer = client.get(f"{base}/.well-known/openid-configuration")
            issuer = answer.json()["issuer"]
    except (httpx2.HTTPError, ValueError, LookupError, TypeError):
        return None
    date = answer.headers.get("date")
    return Answering(str(issuer), parsedate_to_datetime(date).timestamp() if date else None)
