"""What every story needs: the terms of this deployment and its stores, in one frozen value."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import msgspec

from watchword.jose.b64 import b64url
from watchword_server.changes import Audit, Revoke
from watchword_server.flows.documents_read import Documents
from watchword_server.flows.nonces import Nonces
from watchword_server.flows.repeats import Repeats
from watchword_server.flows.salt import Salt
from watchword_server.ports import Attempts, Fetcher, KeyStore, MasterKeys, PasswordHasher, Random, Spent, Stores
from watchword_server.protocol.grants.token_exchange import Bounds
from watchword_server.revocation.deaths import Death

if TYPE_CHECKING:
    from watchword_server.flows.api_keys import ApiKeys
    from watchword_server.flows.client_keys import ClientKeys
    from watchword_server.flows.feed import Feed
    from watchword_server.flows.keyring import KeyRing
    from watchword_server.flows.leases import Register
    from watchword_server.flows.logos import Logos
    from watchword_server.flows.references import References
    from watchword_server.flows.trusted_issuers import TrustedIssuers


@dataclass(frozen=True, slots=True)
class Terms:
    """What the operator decided. Lifetimes are seconds."""

    issuer: str
    access_lifetime: int = 15 * 60
    refresh_lifetime: int = 14 * 24 * 3600
    session_lifetime: int = 30 * 24 * 3600
    offline_lifetime: int = 365 * 24 * 3600
    """For what a person allows to go on while they are away; refreshed or not."""
    sign_up: bool = False
    """Whether people may make themselves an account."""
    algorithm: str = "ES256"
    rotate_every: int = 90 * 24 * 3600
    """Seconds for which a key signs before the next one does."""
    publish_ahead: int = 3600
    """Seconds for which a key is published before it signs: longer than others keep a key set."""
    feed_public: bool = False
    """Whether anybody may read the revocation feed, or only who has an API's credentials."""
    registration: Literal["off", "token", "open"] = "off"
    """Which clients may register themselves: none, those with an initial access token, or all."""
    registration_pkce: Literal["required", "optional"] = "required"
    registration_apis: tuple[str, ...] = ()
    """The audiences that who registers itself may ask for."""
    metadata_documents: bool = True
    """Whether clients may be known by their metadata documents, which nobody registers."""
    dpop_nonce: Literal["offered", "required"] = "offered"
    """Whether proofs of possession may do without a nonce of ours (RFC 9449 §8)."""
    audit_retention: int = 400 * 24 * 3600
    exchange: Bounds = field(default_factory=Bounds)
    """How many exchanges may follow one another, and how many may come of one grant."""


class Caller(msgspec.Struct, frozen=True, gc=False):
    """From where a request came, for the audit trail."""

    address: str = ""
    agent: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Issuer:
    """One deployment at work."""

    terms: Terms
    stores: Stores
    keyring: KeyRing
    feed: Feed
    register: Register
    key_store: KeyStore
    master_keys: MasterKeys
    hasher: PasswordHasher
    attempts: Attempts
    spent: Spent
    api_keys: ApiKeys
    client_keys: ClientKeys
    references: References
    logos: Logos
    trusted: TrustedIssuers
    fetcher: Fetcher
    random: Random = field(repr=False)
    repeats: Repeats = field(default_factory=Repeats, repr=False)
    salt: Salt = field(default_factory=Salt, repr=False)
    nonces: Nonces = field(default_factory=Nonces, repr=False)
    documents: Documents = field(default_factory=Documents, repr=False)

    def identifier(self) -> str:
        """A new `sid`, `gid` or `jti`: 128 random bits, never beginning with a dash as options do."""
        name = b64url(self.random(16))
        return name if name[0] != "-" else self.identifier()

    def subject(self) -> str:
        """A new `sub`: a random UUID."""
        return str(uuid.UUID(bytes=self.random(16), version=4))


def revoke(death: Death) -> Revoke:
    """A death as the change that makes it true."""
    return Revoke(death.kind, death.id, death.until)


def audit(
    caller: Caller, now: float, actor: str, action: str, outcome: str = "ok", target: str = "", **detail: str | int
) -> Audit:
    """The audit row of an act. `now` is in seconds; the row keeps milliseconds."""
    return Audit(
        at=int(now * 1000),
        actor=actor,
        action=action,
        outcome=outcome,
        target=target,
        address=caller.address,
        agent=caller.agent,
        request_id=caller.request_id,
        detail=detail,
    )
