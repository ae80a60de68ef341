"""Values to rows and back. A row's columns are the value's fields, in the same order."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Final

import msgspec

from watchword.log import Entry
from watchword_server.adapters.sql.statements import Row, Value
from watchword_server.changes import Audit, StoredKey
from watchword_server.people.values import Session, User
from watchword_server.ports import Head, HeldKey, Lease, Parcel, Party, WaitingDevice
from watchword_server.protocol.grants.authorization_code import Code, Redeemable
from watchword_server.protocol.grants.refresh_token import Found
from watchword_server.protocol.values import (
    Api,
    ApiKey,
    Authentication,
    Client,
    ClientMetadata,
    Consent,
    DeploymentSecret,
    DeviceRequest,
    EncryptedToken,
    Encryption,
    Grant,
    Interaction,
    Invitation,
    PushedRequest,
    RefreshToken,
)

Record = (
    User
    | Session
    | Client
    | Api
    | Grant
    | RefreshToken
    | EncryptedToken
    | StoredKey
    | Code
    | Consent
    | Interaction
    | PushedRequest
    | Invitation
    | DeploymentSecret
    | DeviceRequest
    | ApiKey
)
"""What is kept as a row of its own."""

Compound = (
    tuple[str, ...]
    | frozenset[str]
    | Mapping[str, tuple[str, ...]]
    | Mapping[str, str | int]
    | Mapping[str, object]
    | Encryption
    | ClientMetadata
    | Authentication
)
"""What is kept as JSON text."""

RECORDS: Final = (
    User,
    Session,
    Client,
    Api,
    Grant,
    RefreshToken,
    EncryptedToken,
    StoredKey,
    Code,
    Consent,
    Interaction,
    PushedRequest,
    Invitation,
    DeploymentSecret,
    DeviceRequest,
    ApiKey,
)

_READ: Final = {kind: attrgetter(*kind.__struct_fields__) for kind in RECORDS}
_PLAIN: Final = frozenset((str, bytes, int, bool, type(None)))
"""What is kept as it is; by its exact type, since this is on the path of every token."""

_write = msgspec.json.Encoder(order="deterministic").encode
_strings = msgspec.json.Decoder(tuple[str, ...]).decode
_names = msgspec.json.Decoder(frozenset[str]).decode
_access = msgspec.json.Decoder(dict[str, tuple[str, ...]]).decode
_encryption = msgspec.json.Decoder(Encryption).decode
_metadata = msgspec.json.Decoder(ClientMetadata).decode
_authentication = msgspec.json.Decoder(Authentication).decode
_parameters = msgspec.json.Decoder(dict[str, str]).decode
_profile = msgspec.json.Decoder(dict[str, object]).decode
_facts = msgspec.json.Decoder(dict[str, str | int]).decode


def row(record: Record) -> tuple[Value, ...]:
    """A record's columns, in the order of its fields: that of its insert's parameters."""
    return tuple([value if type(value) in _PLAIN else text(value) for value in _READ[type(record)](record)])


def text(value: Compound) -> str:
    """A list, a map or a value of several parts as JSON text, the same for equal ones."""
    return _write(value).decode()


def inside(value: bytes) -> str:
    """Bytes as they stand within such a text."""
    return _write(value).decode().strip('"')


def audit_row(audit: Audit) -> tuple[Value, ...]:
    """An audit row's columns but its id. Raises ValueError for text that no database can keep."""
    words = (audit.actor, audit.action, audit.outcome, audit.target, audit.address, audit.agent, audit.request_id)
    # Rows of many callers share one statement: what cannot be written must fail here, at the caller who brings it.
    "".join(words).encode()
    return (audit.at, *words, text(audit.detail) if audit.detail else "{}")


def head(row: Row) -> Head:
    return Head(*row)


def entry(row: Row) -> Entry:
    return Entry(*row)


def secret(row: Row) -> DeploymentSecret:
    return DeploymentSecret(*row)


def chain(row: Row) -> bytes:
    digest: bytes = row[0]
    return digest


def user(row: Row) -> User:
    sub, email, name, password_hash, roles, created_at, disabled_at, profile = row
    facts = {} if profile == "{}" else _profile(profile)
    return User(sub, email, name, password_hash, _strings(roles), created_at, disabled_at, facts)


def session(row: Row) -> Session:
    sid, sub, client_id, amr, *rest = row
    return Session(sid, sub, client_id, _strings(amr), *rest)


def client(row: Row) -> Client:
    client_id, name, kind, secret, grant_types, access, created_at, own, redirects, origins, rotates, *rest = row
    disabled_at, access_token_alg, metadata = rest
    return Client(
        client_id=client_id,
        name=name,
        kind=kind,
        secret_hash=secret,
        grant_types=_names(grant_types),
        access=_access(access),
        created_at=created_at,
        first_party=bool(own),
        redirect_uris=_strings(redirects),
        origins=_strings(origins),
        rotates=bool(rotates),
        disabled_at=disabled_at,
        access_token_alg=access_token_alg,
        metadata=_metadata(metadata),
    )


def api(row: Row) -> Api:
    audience, name, scopes, client_id, secret_hash, created_at, alg, encryption, self_service = row
    encrypted = None if encryption is None else _encryption(encryption)
    return Api(audience, name, _strings(scopes), client_id, secret_hash, created_at, alg, encrypted, bool(self_service))


def grant(row: Row) -> Grant:
    gid, client_id, sub, audience, scope, created_at, expires_at, sid, parent, ended_at, made_in, told, *rest = row
    jkt, acts, lineage = rest
    return Grant(
        gid=gid,
        client_id=client_id,
        sub=sub,
        audience=audience,
        scope=_strings(scope),
        created_at=created_at,
        expires_at=expires_at,
        sid=sid,
        parent=parent,
        ended_at=ended_at,
        made_in=made_in,
        authentication=None if told is None else _authentication(told),
        jkt=jkt,
        act=None if acts is None else _profile(acts),
        lineage=() if lineage == "[]" else _strings(lineage),
    )


def _of_grant(row: Row) -> tuple[Grant | None, Session | None, User | None]:
    """A grant, its session and its person: their columns, one after the other, all NULL where one is not there."""
    return (
        grant(row[:15]) if row[0] is not None else None,
        session(row[15:26]) if row[15] is not None else None,
        user(row[26:]) if row[26] is not None else None,
    )


def party(row: Row) -> Party:
    return Party(*row)


def refresh_token(row: Row) -> RefreshToken:
    return RefreshToken(*row)


def family(row: Row) -> Found:
    """A refresh token and what it leads to: their columns, one after the other, all NULL where it leads nowhere."""
    return Found(
        RefreshToken(*row[:7]),
        RefreshToken(*row[7:14]) if row[7] is not None else None,
        *_of_grant(row[14:]),
    )


def code(row: Row) -> Code:
    hash, client_id, redirect_uri, code_challenge, nonce, gid, expires_at, spent_at, jkt = row
    return Code(
        hash=hash,
        client_id=client_id,
        redirect_uri=redirect_uri,
        code_challenge=code_challenge,
        nonce=nonce,
        gid=gid,
        expires_at=expires_at,
        spent_at=spent_at,
        jkt=jkt,
    )


def redeemable(row: Row) -> Redeemable:
    """A code and what it leads to: their columns, one after the other, all NULL where it leads nowhere."""
    return Redeemable(code(row[:9]), *_of_grant(row[9:]))


def device_request(row: Row) -> DeviceRequest:
    hash, user_hash, client_id, audience, scope, *rest = row
    return DeviceRequest(hash, user_hash, client_id, audience, _strings(scope), *rest)


def waiting_device(row: Row) -> WaitingDevice:
    """A device and what it leads to, as with codes."""
    return WaitingDevice(device_request(row[:14]), *_of_grant(row[14:]))


def api_key(row: Row) -> ApiKey:
    return ApiKey(*row)


def held_key(row: Row) -> HeldKey:
    """An API key and what it leads to, as with codes."""
    held, _, person = _of_grant(row[7:])
    return HeldKey(api_key(row[:7]), held, person)


def consent(row: Row) -> Consent:
    sub, client_id, audience, scope, granted_at = row
    return Consent(sub, client_id, audience, _strings(scope), granted_at)


def interaction(row: Row) -> Interaction:
    hash, client_id, parameters, *rest = row
    return Interaction(hash, client_id, _parameters(parameters), *rest)


def pushed_request(row: Row) -> PushedRequest:
    hash, client_id, parameters, expires_at = row
    return PushedRequest(hash, client_id, _parameters(parameters), expires_at)


def invitation(row: Row) -> Invitation:
    return Invitation(*row)


def encrypted_token(row: Row) -> EncryptedToken:
    return EncryptedToken(*row)


def stored_key(row: Row) -> StoredKey:
    return StoredKey(*row)


def audit(row: Row) -> Audit:
    at, actor, action, outcome, target, address, agent, request_id, detail = row
    return Audit(at, actor, action, outcome, target, address, agent, request_id, _facts(detail))


def lease(row: Row) -> Lease:
    return Lease(*row)


def name(row: Row) -> str:
    found: str = row[0]
    return found


def number(row: Row) -> int:
    found: int = row[0]
    return found


def parcel(row: Row) -> Parcel:
    number, topic, body, attempts = row
    return Parcel(number, topic, _facts(body), attempts)
