"""What a flow decided, as the statements that make it true."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, assert_never

import msgspec

from watchword_server.adapters.sql.records import audit_row, inside, row, text
from watchword_server.adapters.sql.statements import Commands, Sql, Step, Value
from watchword_server.changes import (
    ActivateKey,
    Add,
    Advance,
    Alive,
    Audit,
    BindGrant,
    Change,
    DecideDevice,
    DropKey,
    EndGrant,
    EndGrantsBetween,
    EndGrantsOf,
    EndSession,
    EndSessionsOf,
    Finish,
    Forget,
    KeepClient,
    MoveBrowser,
    PollDevice,
    RaiseLifetime,
    Reauthenticate,
    Remember,
    ReplaceClient,
    ResealKey,
    ResealSecret,
    RetireKey,
    Revoke,
    Send,
    SetApiAlg,
    SetApiEncryption,
    SetApiSecret,
    SetClientAlg,
    SetClientDisabled,
    SetClientSecret,
    SetPassword,
    SetProfile,
    SetRoles,
    SetSelfService,
    SetUserDisabled,
    Spend,
    SpendCode,
    SpendDevice,
    StoredKey,
    TakePushed,
    Unresealed,
    Unrevoked,
    UseApiKey,
    UseInvitation,
)
from watchword_server.people.values import User
from watchword_server.protocol.values import Api, Client

MAX_UNTIL: Final = 2**53
"""Seconds. What every JSON reader can hold exactly."""

# What follows is asked by exact type, since nothing is derived from a change: `isinstance` costs several times that.
_CACHED_CHANGES: Final = frozenset(
    (
        SetPassword,
        SetProfile,
        SetRoles,
        SetUserDisabled,
        SetClientDisabled,
        SetClientSecret,
        ResealSecret,
        ReplaceClient,
        KeepClient,
        SetApiSecret,
        SetApiAlg,
        SetSelfService,
        SetApiEncryption,
        SetClientAlg,
        ActivateKey,
        RetireKey,
        DropKey,
    )
)
_CACHED_RECORDS: Final = frozenset((User, Client, Api, StoredKey))
_GUARDS: Final = frozenset((Alive, Unrevoked))
_DESTROYING: Final = frozenset((DropKey, ResealKey, ResealSecret))


class Plan(msgspec.Struct, frozen=True):
    """One transaction: statements in their order, entries for the log, rows for the audit trail.

    `touches` says that what others keep in caches changes, so that `Head.state` must; `guards`, that no revocation may
    come between its statements; `destroys`, that what was there before must not be found in any file.
    """

    steps: Sequence[Step] = ()
    revokes: Sequence[Revoke] = ()
    audit: Sequence[tuple[Value, ...]] = ()
    touches: bool = False
    guards: bool = False
    destroys: bool = False


def plan(commands: Commands[Sql], changes: Iterable[Change]) -> Plan:
    """Put everything into the form that the writer needs. Raises ValueError for what no database can keep."""
    steps: list[Step] = []
    revokes: list[Revoke] = []
    audit: list[tuple[Value, ...]] = []
    touches = guards = destroys = False
    for change in changes:
        if type(change) is Audit:
            audit.append(audit_row(change))
        elif type(change) is Revoke:
            revokes.append(_sound(change))
        else:
            steps += _steps(commands, change)
            touches = touches or _touches(change)
            guards = guards or type(change) in _GUARDS
            destroys = destroys or _destroys(change)
    return Plan(steps, revokes, audit, touches, guards, destroys)


def _sound(revoke: Revoke) -> Revoke:
    """An entry that the log can hold: its line in the chain has one reading only (docs/feed.md)."""
    if not revoke.id.isprintable() or not 0 <= revoke.until < MAX_UNTIL:
        raise ValueError("a revocation needs a printable id and a time")
    return revoke


def _touches(change: Change) -> bool:
    if type(change) is Add:
        return type(change.record) in _CACHED_RECORDS
    return type(change) in _CACHED_CHANGES


def _destroys(change: Change) -> bool:
    if type(change) is RetireKey:
        return change.revoked
    return type(change) in _DESTROYING


def _steps(c: Commands[Sql], change: Change) -> tuple[Step, ...]:
    """The statements of one change; those that `must` find their row make a Conflict when they do not."""
    match change:
        case Add(record):
            return (Step(c.add[type(record).__name__].text, row(record), must=False),)
        case Spend():
            return (_spend(c, change),)
        case SpendCode(hash, at):
            return (c.spend_code.must(of=hash, at=at),)
        case Finish(hash):
            return (c.finish.must(hash=hash),)
        case Advance(hash, signed_in, selected):
            return (c.advance.must(of=hash, signed_in=signed_in, selected=selected),)
        case TakePushed(hash):
            return (c.take_pushed.must(hash=hash),)
        case UseInvitation(hash, now):
            return (c.use_invitation.must(of=hash, now=now),)
        case Remember(consent):
            return (Step(c.remember.text, row(consent), must=False),)
        case Forget(sub, client_id):
            return (c.forget.step(sub=sub, client_id=client_id),)
        case Reauthenticate(sid, at, amr):
            return (c.reauthenticate.must(of=sid, at=at, amr=text(amr)),)
        case MoveBrowser(was, to):
            return (c.move_sessions.step(was=was, to=to), c.move_interactions.step(was=was, to=to))
        case Unrevoked(rev, sub, client_id, sid):
            return (c.unrevoked.must(rev=rev, sub=sub, client_id=client_id, sid=sid),)
        case Send(topic, body, at):
            return (c.send.step(topic=topic, body=text(body), due_at=at, attempts=0, reason=""),)
        case EndSession(sid, at):
            return (c.end_session.step(sid=sid, at=at), c.end_grants_of_session.step(sid=sid, at=at))
        case EndSessionsOf(sub, at):
            return (c.end_sessions_of_user.step(sub=sub, at=at), c.end_grants_of_user.step(sub=sub, at=at))
        case EndGrant(gid, at, first):
            end = c.end_grant.must if first else c.end_grant.step
            return (end(gid=gid, at=at), c.end_below.step(gid=gid, at=at))
        case EndGrantsOf(client_id, at):
            ends = (c.end_grants_of_client, c.end_below_client)
            return tuple(end.step(client_id=client_id, at=at) for end in ends)
        case EndGrantsBetween(sub, client_id, at):
            ends = (c.end_grants_between, c.end_below_between)
            return tuple(end.step(by_sub=sub, to_client_id=client_id, at=at) for end in ends)
        case BindGrant(gid, jkt):
            return (c.bind_grant.must(for_gid=gid, jkt=jkt),)
        case Alive(gid):
            return (c.alive.must(gid=gid),)
        case PollDevice(hash, at, interval):
            return (c.poll_device.step(of=hash, at=at, seconds=interval),)
        case DecideDevice(hash, gid, denied_at):
            return (c.decide_device.must(of=hash, to_gid=gid, denied_at=denied_at),)
        case SpendDevice(hash, at):
            return (c.spend_device.must(of=hash, at=at),)
        case UseApiKey(id, at):
            return (c.use_api_key.step(of=id, at=at),)
        case KeepClient(client):
            return (Step(c.keep_client.text, row(client), must=False),)
        case SetProfile(sub, name, profile):
            return (c.set_profile.must(for_sub=sub, name=name, profile=text(profile)),)
        case ReplaceClient(client):
            return (_replace_client(c, client),)
        case SetPassword(sub, password_hash):
            return (c.set_password.must(for_sub=sub, password_hash=password_hash),)
        case SetRoles(sub, roles):
            return (c.set_roles.must(for_sub=sub, roles=text(roles)),)
        case SetUserDisabled(sub, when):
            return (c.set_user_disabled.must(for_sub=sub, disabled_at=when),)
        case SetClientDisabled(client_id, when):
            return (c.set_client_disabled.must(for_client_id=client_id, disabled_at=when),)
        case SetClientSecret(client_id, secret_hash):
            return (c.set_client_secret.must(for_client_id=client_id, secret_hash=secret_hash),)
        case ResealSecret(client_id, was, sealed):
            return (c.reseal_secret.must(of=client_id, was=inside(was), sealed=inside(sealed)),)
        case SetApiSecret(audience, secret_hash):
            return (c.set_api_secret.must(for_audience=audience, secret_hash=secret_hash),)
        case SetApiAlg(audience, alg):
            return (c.set_api_alg.must(for_audience=audience, access_token_alg=alg),)
        case SetSelfService(audience, self_service):
            return (c.set_self_service.must(for_audience=audience, self_service=self_service),)
        case SetApiEncryption(audience, encryption):
            kept = None if encryption is None else text(encryption)
            return (c.set_api_encryption.must(for_audience=audience, encryption=kept),)
        case SetClientAlg(client_id, alg):
            return (c.set_client_alg.must(for_client_id=client_id, access_token_alg=alg),)
        case ActivateKey(kid, at):
            return (c.activate_key.must(of=kid, at=at),)
        case ResealKey(kid, was, sealed):
            return (c.reseal_key.must(of=kid, was=was, sealed=sealed),)
        case Unresealed(kid, was):
            return (c.reseal_key.must(of=kid, was=was, sealed=was),)
        case DropKey(kid):
            return (c.drop_key.must(of=kid),)
        case RetireKey(kid, at, revoked=True):
            return (c.revoke_key.must(of=kid, at=at, sealed=b""),)
        case RetireKey(kid, at):
            return (c.retire_key.must(of=kid, at=at),)
        case RaiseLifetime(seconds):
            return (c.raise_lifetime.step(seconds=seconds),)
        case Audit() | Revoke():
            raise AssertionError("these are no statements of their own")
        case _:
            assert_never(change)


def _replace_client(c: Commands[Sql], client: Client) -> Step:
    return c.replace_client.must(
        for_client_id=client.client_id,
        name=client.name,
        grant_types=text(client.grant_types),
        redirect_uris=text(client.redirect_uris),
        origins=text(client.origins),
        rotates=client.rotates,
        metadata=text(client.metadata),
    )


def _spend(c: Commands[Sql], spend: Spend) -> Step:
    return c.spend.must(
        spent=spend.hash,
        at=spend.at,
        successor_hash=spend.successor_hash,
        sealed_successor=spend.sealed_successor,
    )
