"""What can be wrong with a form, and why a page stops. The sentences stand in `templates/_sentences.html`."""

from __future__ import annotations

from enum import Enum


class Problem(Enum):
    """What is wrong with a form that comes back: the field it is said at ("" for the whole form), and what."""

    EMAIL_MISSING = "email", "missing"
    EMAIL_MALFORMED = "email", "malformed"
    EMAIL_REFUSED = "email", "refused"
    """No account can be made with it: that it has one already is not said."""
    NAME_MISSING = "name", "missing"
    NAME_TOO_LONG = "name", "too long"
    PASSWORD_MISSING = "password", "missing"
    PASSWORD_TOO_SHORT = "password", "too short"
    PASSWORD_TOO_LONG = "password", "too long"
    PASSWORD_IS_EMAIL = "password", "is e-mail"
    MISMATCH = "password", "mismatch"
    """Wrong password, or no such account."""
    CODE_MALFORMED = "user_code", "malformed"
    CODE_UNKNOWN = "user_code", "unknown"
    """No device waits by it: it never did, was answered, or has waited for too long."""
    TOO_OFTEN = "", "too often"
    BUSY = "", "busy"
    STALE = "", "stale"
    """The CSRF token is not, or is no longer, of this browser."""

    @property
    def field(self) -> str:
        """Where it is said."""
        return self.value[0]


class Reason(Enum):
    """Why there is nothing to do but say so."""

    UNKNOWN_CLIENT = "unknown_client"
    NO_DOCUMENT = "no_client_document"
    """The client is an address, and no metadata document that is in order can be read there."""
    UNREGISTERED_REDIRECT = "unregistered_redirect"
    MALFORMED = "malformed"
    """The request cannot be read, and nobody may be redirected."""
    EXPIRED = "expired"
    """The interaction is over, used, or of another browser."""
    FOREIGN = "foreign"
    """A form that another site sent, or one without the CSRF token of this browser."""
    NOT_FOUND = "not_found"
    TOO_OFTEN = "too_often"
    BUSY = "busy"
    BROKEN = "broken"
