"""What a flow has decided, as values: `Journal.save` makes all of them true in one transaction, or none."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from watchword.log import Kind
from watchword_server.people.values import Session, User
from watchword_server.protocol.grants.authorization_code import Code
from watchword_server.protocol.values import (
    Api,
    ApiKey,
    Client,
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


class Add(msgspec.Struct, frozen=True):
    """Insert one record. Conflict when its identity (id, e-mail, audience) or, with a key, its office is taken."""

    record: (
        User
        | Session
        | Client
        | Api
        | Grant
        | RefreshToken
        | EncryptedToken
        | StoredKey
        | Code
        | Interaction
        | PushedRequest
        | Invitation
        | DeploymentSecret
        | DeviceRequest
        | ApiKey
    )


class SetPassword(msgspec.Struct, frozen=True):
    """Replace a user's password hash."""

    sub: str
    password_hash: str


class SetProfile(msgspec.Struct, frozen=True):
    """Replace a user's name and further claims."""

    sub: str
    name: str
    profile: Mapping[str, object]


class SetRoles(msgspec.Struct, frozen=True):
    """Replace a user's roles."""

    sub: str
    roles: tuple[str, ...]


class SetUserDisabled(msgspec.Struct, frozen=True):
    """Disable a user (a time) or enable again (None)."""

    sub: str
    at: int | None


class SetClientDisabled(msgspec.Struct, frozen=True):
    """Disable a client (a time) or enable again (None)."""

    client_id: str
    at: int | None


class SetClientSecret(msgspec.Struct, frozen=True):
    """Replace a client's secret by another, kept as SHA-256."""

    client_id: str
    secret_hash: bytes


class ResealSecret(msgspec.Struct, frozen=True):
    """Keep a secret that a client signs with under another seal. Conflict when it is no longer sealed as it `was`."""

    client_id: str
    was: bytes
    sealed: bytes


class ReplaceClient(msgspec.Struct, frozen=True):
    """Replace what may be changed of a client: all but its id, kind, secret, access and state."""

    client: Client


class KeepClient(msgspec.Struct, frozen=True):
    """Keep a client as its metadata document describes it, in place of what that said before."""

    client: Client


class SetApiSecret(msgspec.Struct, frozen=True):
    """Replace an API's secret by another, kept as SHA-256."""

    audience: str
    secret_hash: bytes


class EndSession(msgspec.Struct, frozen=True):
    """End a session and all its grants. Nothing happens when it has ended."""

    sid: str
    at: int


class EndSessionsOf(msgspec.Struct, frozen=True):
    """End every session and grant of a user."""

    sub: str
    at: int


class EndGrant(msgspec.Struct, frozen=True):
    """End one grant and all that came of it by token exchange.

    Nothing happens when it has ended; or, where only the `first` may end it, Conflict.
    """

    gid: str
    at: int
    first: bool = False


class BindGrant(msgspec.Struct, frozen=True):
    """Bind the refresh tokens of a grant to a key, by its thumbprint (RFC 9449 §5)."""

    gid: str
    jkt: str


class EndGrantsOf(msgspec.Struct, frozen=True):
    """End every grant of a client or for itself, and all that came of them by token exchange."""

    client_id: str
    at: int


class EndGrantsBetween(msgspec.Struct, frozen=True):
    """End every grant of a person to a client, and all that came of them by token exchange."""

    sub: str
    client_id: str
    at: int


class Reauthenticate(msgspec.Struct, frozen=True):
    """The person of a session signed in again. Conflict when it has ended."""

    sid: str
    at: int
    amr: tuple[str, ...]


class MoveBrowser(msgspec.Struct, frozen=True):
    """A browser has a new secret: its sessions and what it waits for are found by that from now on."""

    was: bytes
    to: bytes


class Remember(msgspec.Struct, frozen=True):
    """Keep what a person has allowed a client, in place of what they allowed before."""

    consent: Consent


class Forget(msgspec.Struct, frozen=True):
    """Forget all that a person has allowed a client."""

    sub: str
    client_id: str


class Advance(msgspec.Struct, frozen=True):
    """Note who signed in, or was chosen, for an authorization request. Conflict when it was answered already."""

    hash: bytes
    signed_in: str | None
    selected: str | None


class Finish(msgspec.Struct, frozen=True):
    """An authorization request is answered. Conflict for all but the first answer."""

    hash: bytes


class TakePushed(msgspec.Struct, frozen=True):
    """Use a pushed authorization request. Conflict when it was used already."""

    hash: bytes


class UseInvitation(msgspec.Struct, frozen=True):
    """Register one client with an initial access token. Conflict when it is unknown, used up or has expired."""

    hash: bytes
    now: int


class SpendCode(msgspec.Struct, frozen=True):
    """Spend a code. Conflict when it was spent already, or its grant has ended: one of many racing callers wins."""

    hash: bytes
    at: int


class Alive(msgspec.Struct, frozen=True):
    """Change nothing; Conflict when this grant has ended, or ends in the same moment.

    For what comes of a grant by token exchange: all of its lineage lives, since who ends a grant ends what came of it.
    """

    gid: str


class PollDevice(msgspec.Struct, frozen=True):
    """A device has asked whether a person has answered; it may ask again after `interval` seconds."""

    hash: bytes
    at: int
    interval: int


class DecideDevice(msgspec.Struct, frozen=True):
    """A person has answered a device: by this grant, or by a time at which it was denied. Conflict for a second one."""

    hash: bytes
    gid: str | None
    denied_at: int | None


class SpendDevice(msgspec.Struct, frozen=True):
    """Spend an approved device code. Conflict when it was spent already, or its grant has ended: one caller wins."""

    hash: bytes
    at: int


class UseApiKey(msgspec.Struct, frozen=True):
    """Note that an API key was used."""

    id: str
    at: int


class Spend(msgspec.Struct, frozen=True):
    """Spend a refresh token for its successor.

    Conflict when it was spent already, or its grant has ended: exactly one of many racing callers wins.
    """

    hash: bytes
    at: int
    successor_hash: bytes
    sealed_successor: bytes


class Revoke(msgspec.Struct, frozen=True):
    """Append one entry to the revocation log; the transaction gives it the next `seq`."""

    kind: Kind
    id: str
    until: int


class Unrevoked(msgspec.Struct, frozen=True):
    """Change nothing; Conflict when the log has an entry after `rev` that hits one of these, or the issuer.

    For what was decided on a reading of `rev` and took its time: a session that a password opened must not
    outlive the change of that password. An empty id names nothing.
    """

    rev: int
    sub: str = ""
    client_id: str = ""
    sid: str = ""


class SetApiAlg(msgspec.Struct, frozen=True):
    """Choose what an API's tokens are signed with, or leave it open (None)."""

    audience: str
    access_token_alg: str | None


class SetSelfService(msgspec.Struct, frozen=True):
    """Let clients that no operator registered ask for an API's scopes, or no longer."""

    audience: str
    self_service: bool


class SetApiEncryption(msgspec.Struct, frozen=True):
    """Encrypt an API's tokens, or no longer (None)."""

    audience: str
    encryption: Encryption | None


class SetClientAlg(msgspec.Struct, frozen=True):
    """Choose what a client's tokens are signed with, or leave it open (None)."""

    client_id: str
    access_token_alg: str | None


class ActivateKey(msgspec.Struct, frozen=True):
    """Sign with a published key from `at` on.

    Conflict when it signs by then already, never may again, or another of its kind has not been retired.
    """

    kid: str
    at: int


class ResealKey(msgspec.Struct, frozen=True):
    """Keep a private key under another seal. Conflict when it is no longer sealed as it `was`."""

    kid: str
    was: bytes
    sealed: bytes


class Unresealed(msgspec.Struct, frozen=True):
    """Change nothing; Conflict when a key is no longer sealed as it `was`.

    For adding a key: while others change the master key, a key that they did not see must not be sealed under one that
    they are about to take away.
    """

    kid: str
    was: bytes


class DropKey(msgspec.Struct, frozen=True):
    """Destroy a retired key that nobody needs any more, its private half included. Conflict when it is gone already."""

    kid: str


class RetireKey(msgspec.Struct, frozen=True):
    """Stop signing with a key at `at`; `revoked` says that it is unpublished, and its private half destroyed."""

    kid: str
    at: int
    revoked: bool


class RaiseLifetime(msgspec.Struct, frozen=True):
    """Remember the longest access token lifetime ever in force, in seconds; it never goes down."""

    seconds: int


class Audit(msgspec.Struct, frozen=True, gc=False):
    """One row of the audit trail: who, from where, what, and how it ended. No secrets, ever.

    `actor` is `user:SUB`, `client:ID`, `api:ID`, `operator:NAME` or `anonymous`. `action` is a dotted verb
    such as `session.create`. `target` names what it was done to. `at` is in milliseconds since 1970.
    """

    at: int
    actor: str
    action: str
    outcome: str
    target: str = ""
    address: str = ""
    agent: str = ""
    request_id: str = ""
    detail: Mapping[str, str | int] = {}  # msgspec gives each its own


class Send(msgspec.Struct, frozen=True):
    """Put a message into the outbox; it leaves after the commit, at least once."""

    topic: str
    body: Mapping[str, str | int]
    at: int


class StoredKey(msgspec.Struct, frozen=True):
    """A signing key at rest. `public` is its JWK; `sealed` opens only with the master key.

    `use` is `access` or `feed`: a feed key signs nothing but feed messages. It is published from `created_at` on,
    signs from `active_at` (None: it waits to be needed) until `retired_at`. Seconds since 1970.
    """

    kid: str
    use: str
    alg: str
    public: str
    sealed: bytes
    created_at: int
    retired_at: int | None = None
    revoked_at: int | None = None
    active_at: int | None = None


Change = (
    Add
    | SetPassword
    | SetProfile
    | SetRoles
    | SetUserDisabled
    | SetClientDisabled
    | SetClientSecret
    | ResealSecret
    | ReplaceClient
    | KeepClient
    | SetApiSecret
    | SetApiAlg
    | SetSelfService
    | SetApiEncryption
    | SetClientAlg
    | EndSession
    | EndSessionsOf
    | EndGrant
    | BindGrant
    | EndGrantsOf
    | EndGrantsBetween
    | Reauthenticate
    | MoveBrowser
    | Remember
    | Forget
    | Advance
    | Finish
    | TakePushed
    | UseInvitation
    | SpendCode
    | PollDevice
    | DecideDevice
    | SpendDevice
    | UseApiKey
    | Spend
    | Revoke
    | Unrevoked
    | Alive
    | ActivateKey
    | RetireKey
    | ResealKey
    | Unresealed
    | DropKey
    | RaiseLifetime
    | Audit
    | Send
)
