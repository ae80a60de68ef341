"""Proof Key for Code Exchange (RFC 7636): S256 and nothing else."""

from __future__ import annotations

import hashlib
import hmac
import re

from watchword.jose.b64 import b64url

METHOD = "S256"
CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


def is_challenge(text: str) -> bool:
    """Whether this can be an S256 code_challenge: a SHA-256 in base64url (RFC 7636 §4.2)."""
    return CHALLENGE.fullmatch(text) is not None


def answers(verifier: str, challenge: str) -> bool:
    """Whether a code_verifier answers an S256 code_challenge (RFC 7636 §4.6)."""
    if not VERIFIER.fullmatch(verifier):  # match + "$" would allow a newline
        return False
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return hmac.compare_digest(b64url(digest), challenge)
