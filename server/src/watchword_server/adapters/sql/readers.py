"""The reading half of the ports, over whatever a database reads from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Generic, Protocol, TypeVar

from watchword.log import Entry, genesis
from watchword_server.adapters.sql import records
from watchword_server.adapters.sql.statements import Queries, Row, Sql, Value
from watchword_server.changes import Audit, StoredKey
from watchword_server.people.values import Session, User
from watchword_server.ports import Head, HeldKey, Party, WaitingDevice
from watchword_server.protocol.grants.authorization_code import Redeemable
from watchword_server.protocol.grants.refresh_token import Found
from watchword_server.protocol.values import (
    Api,
    ApiKey,
    Client,
    Consent,
    DeploymentSecret,
    DeviceRequest,
    EncryptedToken,
    Grant,
    Interaction,
    Invitation,
    PushedRequest,
    RefreshToken,
)

NEAR: Final = 200
"""Log entries that are few."""
AT_ONE_BROWSER: Final = 20
"""Sessions that a browser may choose from."""
CACHED: Final = 10_000
"""Records that a cache holds before it is emptied."""

T = TypeVar("T")


class Source(Protocol):
    """Where the readers read, as each database does it. Every method raises Unavailable within seconds."""

    @property
    def queries(self) -> Queries[Sql]: ...

    async def head(self) -> Head:
        """The head, read once for many who ask; never one that was read before its caller asked."""
        ...

    def polled(self) -> Head | None:
        """The head for who is called right from a socket; None where only a round trip can tell."""
        ...

    async def one(self, read: Callable[[Row], T], sql: Sql, **values: Value) -> T | None:
        """The record that an identity names."""
        ...

    async def every(self, read: Callable[[Row], T], sql: Sql, **values: Value) -> Sequence[T]:
        """A list."""
        ...

    async def with_head(self, sql: Sql, few: bool, **values: Value) -> tuple[Head, Sequence[Row]]:
        """The head and the rows of a question, of one moment. `few` says that they are no more than `NEAR`."""
        ...


class Cache(Generic[T]):
    """Records that rarely change, kept as long as `Head.state` stays the same, whichever process changes it."""

    def __init__(self, source: Source, sql: Sql, name: str, read: Callable[[Row], T]) -> None:
        self._source = source
        self._sql = sql
        self._name = name
        self._read = read
        self._state = -1
        self._known: dict[str, T] = {}

    async def find(self, identity: str, on: Head | None) -> T | None:
        """The record as it is now, or as of this head at least."""
        # The state is read first: a record that is newer than it is thrown away too early, never too late.
        state = (on or await self._source.head()).state
        if state != self._state or len(self._known) >= CACHED:
            self._known, self._state = {}, state
        known = self._known
        record = known.get(identity)
        if record is None:
            record = await self._source.one(self._read, self._sql, **{self._name: identity})
            if record is not None:
                known[identity] = record  # not into what has taken its place meanwhile: that may be of a later state
        return record


class SqlLog:
    """The revocation log."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._queries = source.queries

    async def head(self) -> Head:
        return await self._source.head()

    def latest(self) -> Head | None:
        return self._source.polled()

    async def after(self, seq: int, limit: int) -> tuple[Head, Sequence[Entry]]:
        head = await self._source.head()
        if head.rev <= seq:
            return head, ()
        few = min(limit, head.rev - seq) <= NEAR
        head, rows = await self._source.with_head(self._queries.after, few, seq=seq, limit=limit)
        wanted = min(limit, head.rev - seq)
        if len(rows) != wanted or rows[-1][0] != seq + wanted:
            return head, ()  # some between are forgotten
        return head, [records.entry(row) for row in rows]

    async def alive(self, now: int) -> tuple[Head, Sequence[Entry]]:
        head, rows = await self._source.with_head(self._queries.alive, few=False, now=now)
        return head, [records.entry(row) for row in rows]

    async def alive_after(self, seq: int, now: int, limit: int) -> tuple[Head, Sequence[Entry], bytes]:
        few = limit <= NEAR
        head, rows = await self._source.with_head(self._queries.alive_after, few, seq=seq, now=now, limit=limit)
        chain = rows[-1][-1] if len(rows) == limit else head.chain
        return head, [records.entry(row[:-1]) for row in rows], chain

    async def chain_at(self, seq: int) -> bytes | None:
        head = await self._source.head()
        if seq == head.rev:  # known even where its entry is forgotten
            return head.chain
        if seq == 0:
            return genesis(head.log)
        return await self._source.one(records.chain, self._queries.chain, seq=seq)


class SqlUsers:
    """People."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._queries = source.queries

    async def find(self, sub: str) -> User | None:
        return await self._source.one(records.user, self._queries.user, sub=sub)

    async def named(self, email: str) -> User | None:
        return await self._source.one(records.user, self._queries.user_named, email=email)

    async def all(self, after: str, limit: int) -> Sequence[User]:
        return await self._source.every(records.user, self._queries.users, after=after, limit=limit)


class SqlClients:
    """Registered programs."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._queries = source.queries
        self._cache = Cache(source, self._queries.client, "client_id", records.client)

    async def find(self, client_id: str, on: Head | None = None) -> Client | None:
        return await self._cache.find(client_id, on)

    async def all(self, after: str, limit: int) -> Sequence[Client]:
        return await self._source.every(records.client, self._queries.clients, after=after, limit=limit)


class SqlApis:
    """Resource servers."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._queries = source.queries
        self._by_audience = Cache(source, self._queries.api, "audience", records.api)
        self._by_client = Cache(source, self._queries.api_of, "client_id", records.api)

    async def find(self, audience: str, on: Head | None = None) -> Api | None:
        return await self._by_audience.find(audience, on)

    async def of(self, client_id: str) -> Api | None:
        return await self._by_client.find(client_id, None)

    async def all(self) -> Sequence[Api]:
        return await self._source.every(records.api, self._queries.apis)


class SqlSessions:
    """Sign-ins."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._queries = source.queries

    async def find(self, sid: str) -> Session | None:
        return await self._source.one(records.session, self._queries.session, sid=sid)

    async def of(self, sub: str) -> Sequence[Session]:
        return await self._source.every(records.session, self._queries.sessions_of, sub=sub)

    async def at(self, browser: bytes) -> Sequence[Session]:
        sql = self._queries.sessions_at
        return await self._source.every(records.session, sql, browser=browser, limit=AT_ONE_BROWSER)


class SqlGrants:
    """What clients may do for subjects."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._queries = source.queries

    async def find(self, gid: str) -> Grant | None:
        return await self._source.one(records.grant, self._queries.grant, gid=gid)

    async def of(self, sub: str, now: int) -> Sequence[Grant]:
        return await self._source.every(records.grant, self._queries.grants_of, sub=sub, now=now)

    async def tree(self, gid: str, limit: int) -> Sequence[Grant]:
        return await self._source.every(records.grant, self._queries.grant_tree, gid=gid, limit=limit)

    async def children(self, gid: str) -> int:
        (count,) = await self._source.every(records.number, self._queries.children, gid=gid)
        return count

    async def heads_of(self, client_id: str) -> Sequence[str]:
        return await self._source.every(records.name, self._queries.heads_of, client_id=client_id)

    async def parties(self, sid: str) -> Sequence[Party]:
        return await self._source.every(records.party, self._queries.parties, sid=sid)

    async def parties_of(self, sub: str) -> Sequence[Party]:
        return await self._source.every(records.party, self._queries.parties_of, sub=sub)


class SqlCodes:
    """Codes of the authorization endpoint."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._queries = source.queries

    async def redeemable(self, hash: bytes) -> Redeemable | None:
        return await self._source.one(records.redeemable, self._queries.redeemable, hash=hash)


class SqlDevices:
    """Devices that wait for a person."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._queries = source.queries

    async def find(self, hash: bytes) -> WaitingDevice | None:
        return await self._source.one(records.waiting_device, self._queries.waiting_device, hash=hash)

    async def named(self, user_hash: bytes) -> DeviceRequest | None:
        return await self._source.one(records.device_request, self._queries.device_named, user_hash=user_hash)


class SqlCustomerKeys:
    """API keys of customers."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._queries = source.queries

    async def find(self, hash: bytes) -> HeldKey | None:
        return await self._source.one(records.held_key, self._queries.held_key, hash=hash)

    async def named(self, id: str) -> ApiKey | None:
        return await self._source.one(records.api_key, self._queries.api_key, id=id)

    async def of(self, client_id: str) -> Sequence[ApiKey]:
        return await self._source.every(records.api_key, self._queries.api_keys_of, client_id=client_id)

    async def all(self, after: str, limit: int) -> Sequence[ApiKey]:
        return await self._source.every(records.api_key, self._queries.api_keys, after=after, limit=limit)


class SqlConsents:
    """What people have allowed."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._queries = source.queries

    async def find(self, sub: str, client_id: str, audience: str) -> Consent | None:
        sql = self._queries.consent
        found = await self._source.every(records.consent, sql, sub=sub, client_id=client_id, audience=audience)
        return found[0] if found else None

    async def of(self, sub: str) -> Sequence[Consent]:
        return await self._source.every(records.consent, self._queries.consents_of, sub=sub)


class SqlRequests:
    """Authorization requests that wait: for a person, or for the client to come back with them."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._queries = source.queries

    async def interaction(self, hash: bytes) -> Interaction | None:
        return await self._source.one(records.interaction, self._queries.interaction, hash=hash)

    async def pushed(self, hash: bytes) -> PushedRequest | None:
        return await self._source.one(records.pushed_request, self._queries.pushed_request, hash=hash)


class SqlInvitations:
    """Initial access tokens, kept by SHA-256."""

    def __init__(self, source: Source) -> None:
        self._source = source

    async def find(self, hash: bytes) -> Invitation | None:
        return await self._source.one(records.invitation, self._source.queries.invitation, hash=hash)


class SqlSecrets:
    """What a deployment made for itself."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._queries = source.queries

    async def find(self, name: str) -> DeploymentSecret | None:
        return await self._source.one(records.secret, self._queries.secret, name=name)


class SqlRefreshTokens:
    """Refresh tokens, kept by SHA-256."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._queries = source.queries

    async def find(self, hash: bytes) -> RefreshToken | None:
        return await self._source.one(records.refresh_token, self._queries.refresh_token, hash=hash)

    async def family(self, hash: bytes) -> Found:
        found = await self._source.one(records.family, self._queries.family, hash=hash)
        return found or Found(None, None, None, None, None)


class SqlEncryptedTokens:
    """Encrypted access tokens, kept by SHA-256."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._queries = source.queries

    async def find(self, hash: bytes) -> EncryptedToken | None:
        return await self._source.one(records.encrypted_token, self._queries.encrypted_token, hash=hash)


class SqlKeys:
    """Signing keys at rest."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._queries = source.queries

    async def all(self) -> Sequence[StoredKey]:
        return await self._source.every(records.stored_key, self._queries.keys)


class SqlAuditTrail:
    """What happened."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._queries = source.queries

    async def latest(self, limit: int) -> Sequence[Audit]:
        return await self._source.every(records.audit, self._queries.audit, limit=limit)
