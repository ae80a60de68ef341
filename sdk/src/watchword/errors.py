"""Every refusal, one tree. `code` goes to the client, the message to the log.

WatchwordError
├── InvalidToken            401 invalid_token
│   ├── Malformed           not a token at all: size, segments, base64url, JSON
│   ├── WrongType           another kind of JWT, an unknown `crit`, an `alg` that is not its key's
│   ├── UnknownKey          no trusted key of that `kid`
│   ├── BadSignature
│   ├── BadEncryption       cannot be decrypted; never said why
│   ├── WrongIssuer
│   ├── WrongAudience
│   ├── Expired
│   ├── NotYetValid
│   ├── BadLifetime         lives longer than its issuer ever allows
│   ├── WrongConfirmation   bound to a key that was not shown (`cnf`), or shown to be bound and is not
│   ├── InvalidProof        401 invalid_dpop_proof
│   ├── NonceRequired       401 use_dpop_nonce: the same once more, with the nonce that comes with it
│   ├── UnknownApiKey       an API key that its issuer does not know, or no longer takes
│   └── Revoked
├── MissingToken            401 without an error code (RFC 6750 §3.1)
├── InvalidRequest          400 invalid_request: two tokens, or one where none may be
├── InsufficientScope       403 insufficient_scope
├── InsufficientAuthentication  401 insufficient_user_authentication: not well enough, or too long ago
├── UntrustedOrigin         403 access_denied: a cookie that came from a page which is not listed
├── CannotDecide            503: neither valid nor invalid can be said now
│   └── Blind               the revocation feed is too old to decide by
├── InvalidKey              a JWK that must not be used
├── InvalidFeed             a feed message that must not be believed
│   └── Gap                 a message is missing before this one: fetch what lies between
├── TokenRequestRefused     the issuer refused to give a token (RFC 6749 §5.2)
└── Misconfigured           the program's own settings are wrong
"""

from __future__ import annotations

from typing import ClassVar


class WatchwordError(Exception):
    """The root of everything that this package raises on purpose."""

    code: ClassVar[str] = "server_error"
    status: ClassVar[int] = 500


class InvalidToken(WatchwordError):
    """The token is refused (RFC 6750 §3.1)."""

    code = "invalid_token"
    status = 401


class Malformed(InvalidToken):
    """Not a JWT in the one spelling that is accepted (RFC 7515 §7.1, RFC 8259)."""


class WrongType(InvalidToken):
    """A header that says another kind, another algorithm, or an extension we do not know (RFC 8725 §3.11)."""


class UnknownKey(InvalidToken):
    """No trusted key has this `kid`."""


class BadSignature(InvalidToken):
    """The signature does not belong to these bytes and this key."""


class BadEncryption(InvalidToken):
    """The token cannot be decrypted: one class and one message for every reason (RFC 7516 §11.5)."""


class WrongIssuer(InvalidToken):
    """`iss` is not exactly the issuer that this verifier trusts."""


class WrongAudience(InvalidToken):
    """`aud` does not name this API."""


class Expired(InvalidToken):
    """At or after `exp` (RFC 7519 §4.1.4)."""


class NotYetValid(InvalidToken):
    """`nbf` or `iat` lies in the future."""


class BadLifetime(InvalidToken):
    """`exp` - `iat` is longer than the issuer's published maximum."""


class WrongConfirmation(InvalidToken):
    """Sender-constrained (`cnf`, RFC 7800), and the proof is missing or of another key; or a proof, and no `cnf`."""


class InvalidProof(InvalidToken):
    """A DPoP proof that does not hold for this request (RFC 9449 §4.3, §7.1)."""

    code = "invalid_dpop_proof"


class NonceRequired(InvalidToken):
    """A DPoP proof that is good but for its nonce: the answer brings one (RFC 9449 §8, §9)."""

    code = "use_dpop_nonce"


class UnknownApiKey(InvalidToken):
    """An API key that the issuer gives no token for: unknown, revoked, expired, or for another API."""


class Revoked(InvalidToken):
    """The token, or what it stands on, was taken back."""


class MissingToken(WatchwordError):
    """The request carries no token; the challenge then has no error code (RFC 6750 §3.1)."""

    code = ""
    status = 401


class InvalidRequest(WatchwordError):
    """The request carries its token wrongly: twice, or in the query (RFC 6750 §3.1)."""

    code = "invalid_request"
    status = 400


class InsufficientScope(WatchwordError):
    """The token is good and may not do this (RFC 6750 §3.1)."""

    code = "insufficient_scope"
    status = 403

    def __init__(self, message: str, scopes: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.scopes = scopes


class InsufficientAuthentication(WatchwordError):
    """The token is good, and the person has to sign in better or again (RFC 9470 §3). `max_age` is in seconds."""

    code = "insufficient_user_authentication"
    status = 401

    def __init__(self, message: str, acr_values: tuple[str, ...] = (), max_age: int | None = None) -> None:
        super().__init__(message)
        self.acr_values = acr_values
        self.max_age = max_age


class UntrustedOrigin(WatchwordError):
    """A token in a cookie came with an unsafe request whose `Origin` is missing or not listed."""

    code = "access_denied"
    status = 403


class CannotDecide(WatchwordError):
    """Neither valid nor invalid can be said now. Never a 401: clients would throw good tokens away."""

    code = "temporarily_unavailable"
    status = 503

    def __init__(self, message: str, retry_after: int = 5) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds after which asking again makes sense (the `Retry-After` header)."""


class Blind(CannotDecide):
    """The revocation feed is older than `refuse_after`, so anything might have been revoked."""


class InvalidKey(WatchwordError):
    """A JWK that must not be used: weak, contradictory, private where public is due (RFC 7517, RFC 8725)."""


class InvalidFeed(WatchwordError):
    """A feed message that must not be believed: forged, old, of another log, or not in order."""


class Gap(InvalidFeed):
    """A genuine message that does not join what is known: something between is missing."""


class TokenRequestRefused(WatchwordError):
    """The issuer refused a token request (RFC 6749 §5.2); `error` is its code."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(message)
        self.error = error


class Misconfigured(WatchwordError):
    """The program's own settings are wrong; the message says which and how to mend it."""
