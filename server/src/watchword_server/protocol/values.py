"""The nouns of OAuth as frozen values. Times are whole seconds since 1970, lifetimes are seconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from watchword_server.protocol.claims import NOTHING, ClaimsRequest

CONFIDENTIAL: Literal["confidential"] = "confidential"
PUBLIC: Literal["public"] = "public"


class Encryption(msgspec.Struct, frozen=True):
    """How an API's tokens are encrypted (RFC 7516): to one key, or to one of the set at a URL; never both."""

    enc: str
    jwk: Mapping[str, object] | None = None
    jwks_uri: str | None = None


class Api(msgspec.Struct, frozen=True):
    """A resource server. Its own credentials read the feed and introspect tokens for its audience."""

    audience: str
    name: str
    scopes: tuple[str, ...]
    client_id: str
    secret_hash: bytes
    created_at: int
    access_token_alg: str | None = None
    """What its tokens are signed with; None: what the client chose, or the deployment."""
    encryption: Encryption | None = None
    """How its tokens are encrypted; None: they are signed only."""
    self_service: bool = False
    """Whether clients that no operator registered may ask for its scopes."""


class RetiringSecret(msgspec.Struct, frozen=True, omit_defaults=True):
    """A client's secret that was replaced and is good until `until` (seconds since 1970)."""

    hash: bytes
    until: int
    sealed: bytes | None = None


class ClientMetadata(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a client says of itself beside its name and addresses (RFC 7591 §2, OpenID Connect Registration 1.0 §2)."""

    application_type: Literal["web", "native"] = "web"
    token_endpoint_auth_method: str | None = None
    """None: whichever of the two ways with its secret it likes."""
    token_endpoint_auth_signing_alg: str | None = None
    """None: any that its keys can verify."""
    assertion_audience: Literal["issuer", "token_endpoint"] = "issuer"
    """What its assertions must name: the issuer alone, or, for older clients, exactly the token endpoint."""
    fapi2: bool = False
    """Whether it keeps to the FAPI 2.0 Security Profile, and everything less is refused."""
    dpop_bound_access_tokens: bool = False
    """Whether it never gets a token without a proof of possession (RFC 9449 §5.2)."""
    signs_tokens: bool = False
    """Whether it may sign tokens of its own for its APIs, with a registered key."""
    acts_for: tuple[str, ...] = ()
    """The clients whose tokens it may exchange, beside its own; `*` is any."""
    impersonates: bool = False
    """Whether it may exchange a token for one that does not say who acts (RFC 8693 §1.1)."""
    sealed_secret: bytes | None = None
    """Its secret under the master key: for a client that signs with it."""
    retiring_secret: RetiringSecret | None = None
    pkce: Literal["required", "optional"] = "required"
    """`optional` is for confidential clients that cannot do it."""
    post_logout_redirect_uris: tuple[str, ...] = ()
    backchannel_logout_uri: str | None = None
    backchannel_logout_session_required: bool = False
    subject_type: Literal["public", "pairwise"] = "public"
    sector: str | None = None
    """The host that its pairwise subjects are made for (OpenID Connect Core §8.1)."""
    sector_identifier_uri: str | None = None
    id_token_signed_response_alg: str = "RS256"
    id_token_encrypted_response_alg: str | None = None
    id_token_encrypted_response_enc: str | None = None
    userinfo_signed_response_alg: str | None = None
    """None: userinfo is plain JSON."""
    userinfo_encrypted_response_alg: str | None = None
    userinfo_encrypted_response_enc: str | None = None
    request_object_signing_alg: str | None = None
    """None: any that its keys can verify."""
    request_uris: tuple[str, ...] = ()
    require_signed_request_object: bool = False
    require_pushed_authorization_requests: bool = False
    jwks: Mapping[str, object] | None = None
    jwks_uri: str | None = None
    default_max_age: int | None = None
    """Seconds."""
    require_auth_time: bool = False
    default_acr_values: tuple[str, ...] = ()
    initiate_login_uri: str | None = None
    client_uri: str | None = None
    logo_uri: str | None = None
    policy_uri: str | None = None
    tos_uri: str | None = None
    contacts: tuple[str, ...] = ()
    software_id: str | None = None
    software_version: str | None = None
    registered_itself: bool = False
    """Whether nobody but the client vouches for what it says."""
    document_fresh_until: int | None = None
    """For a client that is known by its metadata document: when that has to be fetched again (seconds since 1970)."""
    management_hash: bytes | None = None
    """The SHA-256 of its registration access token (RFC 7592 §3)."""


class Client(msgspec.Struct, frozen=True):
    """A registered program (RFC 6749 §2). `access` says, for each audience, the scopes it may have."""

    client_id: str
    name: str
    kind: Literal["confidential", "public"]
    secret_hash: bytes | None
    grant_types: frozenset[str]
    access: Mapping[str, tuple[str, ...]]
    created_at: int
    first_party: bool = False
    """Whether it may use `POST /session`: only programs of the operator's own."""
    redirect_uris: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    """Web origins from which a browser may call on this client's behalf."""
    rotates: bool = True
    """Whether each use of a refresh token replaces it; always so for public clients."""
    disabled_at: int | None = None
    access_token_alg: str | None = None
    """What its tokens are signed with where the API does not mind; None: what the deployment chose."""
    metadata: ClientMetadata = ClientMetadata()


class Authentication(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What an ID token and userinfo tell: how the person signed in, and what was asked for. Times are seconds."""

    sid: str
    """The session in which it happened, also where the grant outlives it."""
    auth_time: int
    amr: tuple[str, ...]
    """How (RFC 8176)."""
    acr: str | None = None
    claims: ClaimsRequest = NOTHING


class Grant(msgspec.Struct, frozen=True):
    """What a client may do for a subject at one API. A refresh token family belongs to one grant."""

    gid: str
    client_id: str
    sub: str
    audience: str
    scope: tuple[str, ...]
    created_at: int
    expires_at: int
    sid: str | None = None
    parent: str | None = None
    ended_at: int | None = None
    made_in: str | None = None
    """The session in which a person allowed it. An offline grant outlives it, and then has no `sid`."""
    authentication: Authentication | None = None
    """How and when the person signed in who made it; None for what a program got for itself."""
    jkt: str | None = None
    """The thumbprint of the key that its refresh tokens are bound to (RFC 9449 §5)."""
    act: Mapping[str, object] | None = None
    """Who acts for the subject, and for whom in turn (RFC 8693 §4.1)."""
    lineage: tuple[str, ...] = ()
    """The grants that it came from by token exchange, nearest first: what cuts one of them cuts it."""


class Consent(msgspec.Struct, frozen=True):
    """What a person has allowed a client at one API, so that nobody asks again."""

    sub: str
    client_id: str
    audience: str
    scope: tuple[str, ...]
    granted_at: int


class Interaction(msgspec.Struct, frozen=True):
    """An authorization request that waits for a person at one browser; kept by SHA-256, as the browser's secret is.

    An empty `client_id` is the person's own visit to the account page. Times are seconds since 1970.
    """

    hash: bytes
    client_id: str
    parameters: Mapping[str, str]
    browser: bytes
    expires_at: int
    signed_in: str | None = None
    """The session that was opened, or authenticated again, for this request."""
    selected: str | None = None
    """The session that the person chose for it."""


class PushedRequest(msgspec.Struct, frozen=True):
    """A pushed authorization request (RFC 9126), kept by the SHA-256 of its `request_uri`."""

    hash: bytes
    client_id: str
    parameters: Mapping[str, str]
    expires_at: int


class DeviceRequest(msgspec.Struct, frozen=True):
    """A device that waits for a person elsewhere (RFC 8628), kept by the SHA-256 of its two codes.

    `address` and `agent` are those of the device. Times are seconds since 1970, `interval` is seconds.
    """

    hash: bytes
    user_hash: bytes
    client_id: str
    audience: str
    scope: tuple[str, ...]
    created_at: int
    expires_at: int
    interval: int
    address: str
    agent: str
    polled_at: int | None = None
    gid: str | None = None
    """The grant, once a person has allowed it."""
    denied_at: int | None = None
    spent_at: int | None = None


class ApiKey(msgspec.Struct, frozen=True):
    """A key of a customer of an API, kept by SHA-256. What it may do, and for whom, is its grant's to say.

    `id` is the part of it that may be shown. Times are seconds since 1970.
    """

    id: str
    hash: bytes
    gid: str
    name: str
    created_at: int
    expires_at: int
    last_used_at: int | None = None


class DeploymentSecret(msgspec.Struct, frozen=True):
    """Random bytes that a deployment makes once and keeps for ever, such as the salt of pairwise subjects."""

    name: str
    value: bytes


class Invitation(msgspec.Struct, frozen=True):
    """An initial access token (RFC 7591 §3), kept by SHA-256: so many clients may register with it."""

    hash: bytes
    created_at: int
    expires_at: int
    uses_left: int


class EncryptedToken(msgspec.Struct, frozen=True):
    """An encrypted access token, kept by SHA-256; what is signed inside is sealed under the token's own text."""

    hash: bytes
    sealed: bytes
    expires_at: int


class RefreshToken(msgspec.Struct, frozen=True):
    """One token of a family. Only hashes are kept; the successor is sealed under the spent token."""

    hash: bytes
    gid: str
    created_at: int
    expires_at: int
    spent_at: int | None = None
    successor_hash: bytes | None = None
    sealed_successor: bytes | None = None
