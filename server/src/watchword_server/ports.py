"""What the flows need of the world: narrow Protocols, one a noun.

Readers answer one question each. All writing goes through `Journal.save`, which takes what a flow decided as
values (`changes.py`) and makes it true in one transaction. A method that cannot answer now (locked database,
full disk) raises Unavailable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from watchword.jose.jws import Signer
from watchword.log import Entry
from watchword_server.changes import Audit, Change, StoredKey
from watchword_server.people.values import Session, User
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


class Conflict(Exception):
    """A change found another state than it was decided on; nothing of its transaction happened."""


class Unavailable(Exception):
    """The store cannot answer now. Nothing was lost: what was acknowledged is there, this was not."""


class Moved(Unavailable):
    """The store is none any more: the deployment lives elsewhere. The message says where."""


class Unfinished(Unavailable):
    """The store is none yet: a deployment is moving into it."""


class Head(msgspec.Struct, frozen=True):
    """Where the revocation log stands, read in one statement.

    `rev` is the last committed `seq`. `state` changes whenever a user, client, API or key does, so what was
    read under one `state` is current while it stays. `lifetime` is the longest access token lifetime ever
    in force, in seconds.
    """

    log: str
    rev: int
    chain: bytes
    state: int
    lifetime: int


class Log(Protocol):
    """The revocation log. `rev` is read before the state that it goes with: lagging only kills sooner."""

    async def head(self) -> Head: ...
    def latest(self) -> Head | None:
        """The head where it can be told at once, for a request that has just been read from its socket; None where
        only a round trip can tell.
        """
        ...

    async def after(self, seq: int, limit: int) -> tuple[Head, Sequence[Entry]]:
        """The head, and the entries from `seq` + 1 on, in order and without gaps.

        Empty with a head beyond `seq` when some of them were forgotten: then only a snapshot helps.
        """
        ...

    async def alive(self, now: int) -> tuple[Head, Sequence[Entry]]:
        """The head and all entries whose `until` is not before `now`, of one moment."""
        ...

    async def alive_after(self, seq: int, now: int, limit: int) -> tuple[Head, Sequence[Entry], bytes]:
        """As `alive`, but at most `limit` of those beyond `seq`, in order; and the hash at the last of them.

        Fewer than `limit`, or none: nothing else is alive, and the hash is the head's.
        """
        ...

    async def chain_at(self, seq: int) -> bytes | None:
        """The hash at `seq`; None when it is forgotten or not yet there."""
        ...


class Users(Protocol):
    """People."""

    async def find(self, sub: str) -> User | None: ...
    async def named(self, email: str) -> User | None:
        """By canonical e-mail address."""
        ...

    async def all(self, after: str, limit: int) -> Sequence[User]:
        """A page in the order of e-mail addresses, those beyond `after`."""
        ...


class Clients(Protocol):
    """Registered programs."""

    async def find(self, client_id: str, on: Head | None = None) -> Client | None:
        """As it is now, or as of the head that the caller has just read: that may spare a look."""
        ...

    async def all(self, after: str, limit: int) -> Sequence[Client]:
        """A page in the order of ids, those beyond `after`."""
        ...


class Apis(Protocol):
    """Resource servers."""

    async def find(self, audience: str, on: Head | None = None) -> Api | None:
        """As it is now, or as of the head that the caller has just read: that may spare a look."""
        ...

    async def of(self, client_id: str) -> Api | None:
        """The API that has these credentials."""
        ...

    async def all(self) -> Sequence[Api]: ...


class Sessions(Protocol):
    """Sign-ins."""

    async def find(self, sid: str) -> Session | None: ...
    async def of(self, sub: str) -> Sequence[Session]:
        """A user's sessions that have not ended, newest first."""
        ...

    async def at(self, browser: bytes) -> Sequence[Session]:
        """The newest few that were opened at a browser and have not ended; it is known by its secret's SHA-256."""
        ...


class Party(msgspec.Struct, frozen=True):
    """A client that a person has let in during a session, whatever became of its grants."""

    sid: str
    sub: str
    client_id: str


class Grants(Protocol):
    """What clients may do for subjects."""

    async def find(self, gid: str) -> Grant | None: ...
    async def of(self, sub: str, now: int) -> Sequence[Grant]:
        """A user's grants that live, newest first."""
        ...

    async def tree(self, gid: str, limit: int) -> Sequence[Grant]:
        """A grant with all that came of it by token exchange, ended or not, the oldest first."""
        ...

    async def children(self, gid: str) -> int:
        """How many that live came directly of it."""
        ...

    async def heads_of(self, client_id: str) -> Sequence[str]:
        """The grants of a client, or for itself, that live and that others came of."""
        ...

    async def parties(self, sid: str) -> Sequence[Party]:
        """Who got a grant in a session; nobody once it has ended."""
        ...

    async def parties_of(self, sub: str) -> Sequence[Party]:
        """Who got a grant in any session of a user that has not ended, by session."""
        ...


class WaitingDevice(msgspec.Struct, frozen=True):
    """A device that waits, with all that its request leads to once a person has allowed it."""

    request: DeviceRequest
    grant: Grant | None
    session: Session | None
    user: User | None


class Devices(Protocol):
    """Devices that wait for a person, kept by the SHA-256 of their codes."""

    async def find(self, hash: bytes) -> WaitingDevice | None:
        """By the device's code: all of one moment."""
        ...

    async def named(self, user_hash: bytes) -> DeviceRequest | None:
        """By the code that a person types."""
        ...


class HeldKey(msgspec.Struct, frozen=True):
    """An API key with its grant, and the person that it acts for, if it is one."""

    key: ApiKey
    grant: Grant | None
    user: User | None


class CustomerKeys(Protocol):
    """API keys of customers, kept by SHA-256."""

    async def find(self, hash: bytes) -> HeldKey | None:
        """A key and all that it leads to, of one moment."""
        ...

    async def named(self, id: str) -> ApiKey | None:
        """By the part of it that may be shown."""
        ...

    async def of(self, client_id: str) -> Sequence[ApiKey]:
        """A client's, newest first."""
        ...

    async def all(self, after: str, limit: int) -> Sequence[ApiKey]:
        """A page in the order of ids, those beyond `after`."""
        ...


class Codes(Protocol):
    """Codes of the authorization endpoint, kept by SHA-256."""

    async def redeemable(self, hash: bytes) -> Redeemable | None:
        """A code and all that it leads to, of one moment."""
        ...


class Consents(Protocol):
    """What people have allowed clients."""

    async def find(self, sub: str, client_id: str, audience: str) -> Consent | None: ...
    async def of(self, sub: str) -> Sequence[Consent]:
        """All of a user's, by client."""
        ...


class Requests(Protocol):
    """Authorization requests that wait, kept by SHA-256: for a person, or for the client to send somebody with them."""

    async def interaction(self, hash: bytes) -> Interaction | None: ...
    async def pushed(self, hash: bytes) -> PushedRequest | None: ...


class Invitations(Protocol):
    """Initial access tokens, kept by SHA-256."""

    async def find(self, hash: bytes) -> Invitation | None: ...


class Secrets(Protocol):
    """What a deployment made for itself, once."""

    async def find(self, name: str) -> DeploymentSecret | None: ...


class RefreshTokens(Protocol):
    """Refresh tokens, kept by SHA-256."""

    async def find(self, hash: bytes) -> RefreshToken | None: ...
    async def family(self, hash: bytes) -> Found:
        """A token and all that it leads to, of one moment."""
        ...


class EncryptedTokens(Protocol):
    """Encrypted access tokens, kept by SHA-256 for as long as they live."""

    async def find(self, hash: bytes) -> EncryptedToken | None: ...


class Keys(Protocol):
    """Signing keys at rest."""

    async def all(self) -> Sequence[StoredKey]:
        """Every key that is not revoked, oldest first."""
        ...


class AuditTrail(Protocol):
    """What happened."""

    async def latest(self, limit: int) -> Sequence[Audit]:
        """Newest first."""
        ...


class Parcel(msgspec.Struct, frozen=True):
    """A message that waits in the outbox. `attempts` counts the failed ones."""

    number: int
    topic: str
    body: dict[str, str | int]
    attempts: int


class Outbox(Protocol):
    """What must be sent after the commit, at least once."""

    async def due(self, now: int, limit: int) -> Sequence[Parcel]: ...
    async def claim(self, number: int, now: int, until: int) -> bool:
        """Whether it is for this caller to send: True for one of many, who has until then (seconds) to say what came
        of it. After that it is due again.
        """
        ...

    async def sent(self, number: int, *rows: Audit) -> None:
        """Nothing more is to be done with it. The rows of the audit trail are written with that."""
        ...

    async def retry(self, number: int, at: int, reason: str, *rows: Audit) -> None:
        """Count a failed attempt; the next is due at `at`."""
        ...


class Lease(msgspec.Struct, frozen=True, gc=False):
    """One verifier process. Times are whole seconds since 1970, `refuse_after` is in seconds.

    It has applied the `log` up to `seq`, and said so at `acknowledged_at`; never yet, where `log` is empty. It was
    last heard at `heard_at`. After `until`, by all that it was sent, it refuses every token unless it hears more.
    """

    audience: str
    verifier: str
    name: str
    refuse_after: int
    log: str = ""
    seq: int = 0
    acknowledged_at: int = 0
    heard_at: int = 0
    until: int = 0


class Leases(Protocol):
    """Verifier processes that may be alive. Who has no credentials is not among them."""

    async def find(self, audience: str, verifier: str) -> Lease | None:
        """A lease, ended or not; None when it was never made, or is forgotten."""
        ...

    async def count(self, audience: str, now: int) -> int:
        """How many of an API's have not ended."""
        ...

    async def all(self, now: int) -> Sequence[Lease]:
        """Those that have not ended, by API and name."""
        ...

    async def behind(self, log: str, seq: int, now: int) -> Sequence[Lease]:
        """Those that have not ended, and have not acknowledged this much of the log."""
        ...

    async def keep(self, leases: Sequence[Lease]) -> None:
        """Make or renew them, all in one durable transaction; no two may be of the same process.

        Whatever the order in which nodes write, nothing runs backwards: times, and `seq` within a log. A lease with
        an empty `log` leaves what was acknowledged as it is.
        """
        ...


class Journal(Protocol):
    """The one way to write."""

    async def save(self, *changes: Change) -> Sequence[Entry]:
        """Make all of it true in one durable transaction, or none: Conflict or Unavailable.

        Returns the entries that its Revoke changes became, in their order. When it returns, they survive
        `kill -9` and power loss.
        """
        ...

    async def purge(self, now: int, audit_before: int) -> int:
        """Delete a bounded batch of what has expired: sessions, grants, refresh tokens, leases and log entries
        before `now` (seconds), sent messages, audit rows before `audit_before` (milliseconds). How many went.
        """
        ...


class Spent(Protocol):
    """Values that count once, such as client assertions, proofs of possession and codes; kept by SHA-256."""

    async def spend(self, kind: str, value: str, until: int) -> bool:
        """True for exactly one caller, however many race at however many nodes. Raises Unavailable: then try again.

        It is remembered until `until` (seconds) by every clock that is not two minutes off; whoever asks refuses what
        has expired, and what would be kept for longer than a day. `kind` is a word of ours that keeps kinds apart.
        """
        ...


class KeyStore(Protocol):
    """Makes and opens private keys. A key service or an HSM is another adapter of this."""

    def make(self, alg: str, use: str, now: int, beside: StoredKey | None) -> StoredKey:
        """A new key that waits: published, and signing nothing yet. Raises KeyStoreError.

        `beside` is any key that is there already, just read. Where this process cannot open it, nothing is made: it
        would be sealed under a master key that was taken away. Save it together with `Unresealed` of that key.
        """
        ...

    def open(self, stored: StoredKey) -> Signer:
        """What signs with it. Raises KeyStoreError when no master key fits."""
        ...

    def reseal(self, stored: StoredKey) -> bytes | None:
        """The same key sealed under the newest master key; None when it is already, and opens. Raises KeyStoreError."""
        ...

    def seal(self, secret: bytes, owner: str, beside: StoredKey | None) -> bytes:
        """A secret that has to be read again, sealed for its owner alone. `beside` is as for `make`."""
        ...

    def unseal(self, sealed: bytes, owner: str) -> bytes:
        """What was sealed for this owner. Raises KeyStoreError."""
        ...

    def reseal_secret(self, sealed: bytes, owner: str) -> bytes | None:
        """As `reseal`, for what `seal` gave."""
        ...


class MasterKeySource(msgspec.Struct, frozen=True):
    """Where master keys come from. `ids` tell nothing of them; the newest, which seals, is the first."""

    kind: Literal["file", "setting", "command"]
    place: str
    ids: tuple[str, ...]


class MasterKeyRenewal(Protocol):
    """Between a new master key beside the old ones and the new one alone. Always to be closed."""

    @property
    def resumed(self) -> bool:
        """Whether it goes on with the new key of a renewal that was cut short."""
        ...

    def complete(self) -> None:
        """Leave the newest alone: nothing is sealed under another any more. Raises KeyStoreError."""
        ...

    def close(self) -> None:
        """Let others renew."""
        ...


class MasterKeys(Protocol):
    """What private keys are sealed under, where Watchword is given it. May take seconds: a command may have to tell."""

    def source(self) -> MasterKeySource:
        """As it is now. Raises KeyStoreError."""
        ...

    def renew(self) -> MasterKeyRenewal:
        """Put a new master key before the old ones, where that is Watchword's to do. Raises KeyStoreError."""
        ...


class KeyStoreError(Exception):
    """A private key, or the master key that it is sealed under, cannot be had; the message says how to mend it."""


class PasswordHasher(Protocol):
    """A slow hash on a bounded thread. Raises Busy when too many wait."""

    async def hash(self, password: str) -> str: ...
    async def matches(self, password_hash: str | None, password: str) -> bool:
        """Takes equally long for None, and is then false."""
        ...


class Busy(Exception):
    """The queue is full; ask again later."""


class Attempts(Protocol):
    """Counts failed sign-ins, by account and by address, atomically however many try at once. It always answers."""

    async def begin(self, keys: Sequence[str], now: float) -> int:
        """Seconds to wait, or 0: then this attempt counts as failed until `succeed` takes it back."""
        ...

    async def succeed(self, keys: Sequence[str]) -> None:
        """Forget the first key's failures (the account) and take this attempt back from the others."""
        ...

    async def take_back(self, keys: Sequence[str]) -> None:
        """Uncount an attempt that nobody judged."""
        ...


class Stores(msgspec.Struct, frozen=True):
    """Every reader, and the one writer, of one database."""

    log: Log
    users: Users
    clients: Clients
    apis: Apis
    sessions: Sessions
    grants: Grants
    codes: Codes
    devices: Devices
    customer_keys: CustomerKeys
    consents: Consents
    requests: Requests
    invitations: Invitations
    secrets: Secrets
    refresh_tokens: RefreshTokens
    encrypted_tokens: EncryptedTokens
    keys: Keys
    audit: AuditTrail
    outbox: Outbox
    spent: Spent
    leases: Leases
    journal: Journal


Random = Callable[[int], bytes]
"""`secrets.token_bytes`: that many random bytes."""


class Fetched(msgspec.Struct, frozen=True):
    """What lies at an address, and for how many seconds more its server calls it fresh; None when it does not say."""

    body: bytes
    fresh_for: float | None = None
    media_type: str = ""
    """What its server calls it; empty when it does not say."""


class Fetcher(Protocol):
    """The one way to fetch what somebody else named: https, public addresses, no redirects, little, and soon."""

    async def get(self, url: str, *, by_operator: bool, limit: int = 64 * 1024) -> Fetched:
        """The body of a 200, at most `limit` bytes. Raises FetchFailed.

        `by_operator`: an operator registered the URL, so the networks that the settings allow count as well.
        """
        ...

    async def post(self, url: str, form: Mapping[str, str], *, by_operator: bool) -> None:
        """Bring a form there; a 200 or 204 says that it was taken, and nothing else of the answer is read.

        Raises FetchFailed, whose message has the status and nothing that the other side wrote.
        """
        ...


class FetchFailed(Exception):
    """Nothing was fetched; the message says why, for operators and logs."""


class Mailer(Protocol):
    """Sends a plain-text message."""

    async def send(self, to: str, subject: str, text: str) -> None:
        """Raises MailFailed when the next server did not take it."""
        ...


class MailFailed(Exception):
    """The message did not leave; it is worth another try."""
