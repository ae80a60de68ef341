"""Every refusal of the protocol. `code` goes to the client, the message to the log.

OAuthError                     400
├── InvalidRequest             400 invalid_request
│   └── UnacceptableToken      a token to exchange that is no good one, or not for this client
├── InvalidClient              401 invalid_client
├── InvalidGrant               400 invalid_grant
│   ├── RefreshReused          a spent refresh token came back: its family must die
│   └── CodeReplayed           a code came back, or from the wrong client: what it got must die
├── UnauthorizedClient         400 unauthorized_client
├── UnsupportedGrantType       400 unsupported_grant_type
├── UnsupportedResponseType    400 unsupported_response_type
├── RequestNotSupported        400 request_not_supported
├── RequestUriNotSupported     400 request_uri_not_supported
├── InvalidRequestObject       400 invalid_request_object
├── InvalidRequestUri          400 invalid_request_uri
├── RegistrationNotSupported   400 registration_not_supported
├── InteractionRequired        400 interaction_required
│   ├── LoginRequired          400 login_required
│   ├── ConsentRequired        400 consent_required
│   └── SelectionRequired      400 account_selection_required
├── UnmetRequirements          400 unmet_authentication_requirements
├── InvalidRedirectUri         400 invalid_redirect_uri
├── InvalidClientMetadata      400 invalid_client_metadata
├── InvalidScope               400 invalid_scope
├── InvalidTarget              400 invalid_target
├── InvalidDPoPProof           400 invalid_dpop_proof
├── UseDPoPNonce               400 use_dpop_nonce
├── InvalidSession             401 invalid_token
├── AuthorizationPending       400 authorization_pending, with Retry-After
│   └── SlowDown               400 slow_down, with Retry-After
├── ExpiredToken               400 expired_token
├── DeviceDenied               400 access_denied
├── InsufficientScope          403 insufficient_scope, with the scope that is needed
├── AccessDenied               403 access_denied
├── RegistrationOff            403 access_denied
├── TooManyAttempts            429 slow_down, with Retry-After
├── TooManyRegistrations       429 slow_down, with Retry-After
├── TooManyDevices             429 slow_down, with Retry-After
├── TooManyVerifiers           429 too_many_verifiers, with Retry-After
└── TemporarilyUnavailable     503 temporarily_unavailable, with Retry-After
"""

from __future__ import annotations

from typing import ClassVar


class OAuthError(Exception):
    """A refusal (RFC 6749 §5.2)."""

    code: ClassVar[str]
    status: ClassVar[int] = 400
    retry_after: int = 0
    """Seconds after which asking again makes sense; 0 when it never does."""


class InvalidRequest(OAuthError):
    """A parameter is missing, malformed or repeated (RFC 6749 §5.2)."""

    code = "invalid_request"


class UnacceptableToken(InvalidRequest):
    """A token to exchange is not a good one, or not one for this client (RFC 8693 §2.2.2)."""


class InvalidClient(OAuthError):
    """Client authentication failed, alike for every reason (RFC 6749 §5.2)."""

    code = "invalid_client"
    status = 401


class InvalidGrant(OAuthError):
    """What was presented for a token is unknown, dead, or somebody else's (RFC 6749 §5.2)."""

    code = "invalid_grant"


class RefreshReused(InvalidGrant):
    """A spent refresh token came back, so its family must die (RFC 9700 §4.14.2)."""


class CodeReplayed(InvalidGrant):
    """A code came back, or from another client, so what it got must die (RFC 6749 §4.1.2)."""


class UnauthorizedClient(OAuthError):
    """The client may not use this way (RFC 6749 §5.2)."""

    code = "unauthorized_client"


class UnsupportedGrantType(OAuthError):
    """No such grant here (RFC 6749 §5.2)."""

    code = "unsupported_grant_type"


class UnsupportedResponseType(OAuthError):
    """Only `code` is answered here (RFC 6749 §4.1.2.1)."""

    code = "unsupported_response_type"


class RequestNotSupported(OAuthError):
    """No request object of this client is read: it has no keys that could verify one (OpenID Connect Core §3.1.2.6)."""

    code = "request_not_supported"


class RequestUriNotSupported(OAuthError):
    """Nothing is fetched for this client: it has registered no `request_uris` (OpenID Connect Core §3.1.2.6)."""

    code = "request_uri_not_supported"


class InvalidRequestObject(OAuthError):
    """A request object that must not be believed, or says what it must not (RFC 9101 §6.3)."""

    code = "invalid_request_object"


class InvalidRequestUri(OAuthError):
    """A `request_uri` that leads to no request of this client, or does not any more (RFC 9101 §6.3, RFC 9126 §4)."""

    code = "invalid_request_uri"


class RegistrationNotSupported(OAuthError):
    """Nobody registers within an authorization request (OpenID Connect Core §3.1.2.6)."""

    code = "registration_not_supported"


class InteractionRequired(OAuthError):
    """Nothing may be shown, and something would have to be (OpenID Connect Core §3.1.2.6)."""

    code = "interaction_required"


class LoginRequired(InteractionRequired):
    """The person would have to sign in (OpenID Connect Core §3.1.2.6)."""

    code = "login_required"


class ConsentRequired(InteractionRequired):
    """The person would have to consent (OpenID Connect Core §3.1.2.6)."""

    code = "consent_required"


class SelectionRequired(InteractionRequired):
    """The person would have to say which account (OpenID Connect Core §3.1.2.6)."""

    code = "account_selection_required"


class UnmetRequirements(OAuthError):
    """The person cannot sign in as the client has to have it (OpenID Connect Unmet Authentication Requirements)."""

    code = "unmet_authentication_requirements"


class InvalidRedirectUri(OAuthError):
    """A redirect URI that is not registered like this (RFC 7591 §3.2.2)."""

    code = "invalid_redirect_uri"


class InvalidClientMetadata(OAuthError):
    """What a client says of itself is not registered like this (RFC 7591 §3.2.2)."""

    code = "invalid_client_metadata"


class InvalidScope(OAuthError):
    """A scope that is malformed, unknown, or more than allowed (RFC 6749 §5.2)."""

    code = "invalid_scope"


class InvalidTarget(OAuthError):
    """The API asked for is unknown, not allowed, or not named where several are possible (RFC 8707 §2)."""

    code = "invalid_target"


class InvalidDPoPProof(OAuthError):
    """A proof of possession that proves nothing here, was used, or is missing where one is needed (RFC 9449 §5)."""

    code = "invalid_dpop_proof"


class UseDPoPNonce(OAuthError):
    """The proof has no nonce of ours, or an old one: the answer has the one to use (RFC 9449 §8)."""

    code = "use_dpop_nonce"


class InvalidSession(OAuthError):
    """The token presented for a session is not a good one (RFC 6750 §3.1)."""

    code = "invalid_token"
    status = 401


class InsufficientScope(OAuthError):
    """The token is a good one, and was not given this scope (RFC 6750 §3.1)."""

    code = "insufficient_scope"
    status = 403

    def __init__(self, scope: str) -> None:
        super().__init__(f"the token needs the scope {scope}")
        self.scope = scope


class AccessDenied(OAuthError):
    """Who asks may not do this from where they ask."""

    code = "access_denied"
    status = 403


class RegistrationOff(OAuthError):
    """No client registers itself here."""

    code = "access_denied"
    status = 403


class TooManyRegistrations(OAuthError):
    """Many clients have registered themselves from one place."""

    code = "slow_down"
    status = 429

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class AuthorizationPending(OAuthError):
    """The person has not answered yet: ask again after so many seconds (RFC 8628 §3.5)."""

    code = "authorization_pending"

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SlowDown(AuthorizationPending):
    """The person has not answered yet, and the device asks too often: from now on it waits longer (RFC 8628 §3.5)."""

    code = "slow_down"


class ExpiredToken(OAuthError):
    """Nobody has answered the device in time (RFC 8628 §3.5)."""

    code = "expired_token"


class DeviceDenied(OAuthError):
    """The person has refused the device (RFC 8628 §3.5)."""

    code = "access_denied"


class TooManyDevices(OAuthError):
    """Many devices have asked from one place."""

    code = "slow_down"
    status = 429

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooManyAttempts(OAuthError):
    """Too many failed sign-ins; the time to wait grows."""

    code = "slow_down"
    status = 429

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooManyVerifiers(OAuthError):
    """An API has more verifier processes than are counted, and who is not counted is told nothing."""

    code = "too_many_verifiers"
    status = 429

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TemporarilyUnavailable(OAuthError):
    """The service cannot answer now. Nothing is acknowledged, which is not to say that nothing happened."""

    code = "temporarily_unavailable"
    status = 503

    def __init__(self, message: str, retry_after: int = 2) -> None:
        super().__init__(message)
        self.retry_after = retry_after
