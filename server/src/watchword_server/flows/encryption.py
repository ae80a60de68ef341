"""Encrypting access tokens for APIs that want it: signed first, then encrypted (RFC 7519 §11.2).

Only the API can open what came of it. So that a client can still revoke what it holds, and the API ask for it, the
issuer keeps what it signed under the text that it gave out.
"""

from __future__ import annotations

from typing import NamedTuple

from watchword.jose import jwe
from watchword.jose.jwe import EncryptionKey
from watchword.jose.kinds import Kind
from watchword_server.changes import Add, Change
from watchword_server.flows.issuer import Issuer
from watchword_server.protocol.encrypted_token import NONCE, is_encrypted, kept, record, signed_inside
from watchword_server.protocol.errors import InvalidSession
from watchword_server.protocol.values import Api
from watchword_server.revocation.deaths import SLACK


class Seal(NamedTuple):
    """How one token is encrypted."""

    key: EncryptionKey
    enc: str


async def seal_of(issuer: Issuer, api: Api, now: int) -> Seal | None:
    """How a token for this API is encrypted; None for an API that wants it signed and no more.

    Raises NoEncryptionKey where it wants it and there is no key: never a token that others can read instead.
    """
    if api.encryption is None:
        return None
    return Seal(await issuer.api_keys.key_of(api, api.encryption, now), api.encryption.enc)


def sealed(issuer: Issuer, seal: Seal, signed: str, exp: int) -> tuple[str, Change]:
    """The encrypted token, and what must be saved with it. `exp` is the signed one's, in seconds."""
    text = jwe.encrypt(signed.encode("ascii"), seal.key, seal.enc, Kind.ACCESS_TOKEN)
    # As long as a verifier may take it, so long it can be asked for.
    return text, Add(record(text, signed, issuer.random(NONCE), exp + SLACK))


async def unsealed(issuer: Issuer, token: str) -> str:
    """The signed token inside of an encrypted one that was made here; any other token as it is.

    Raises InvalidSession for an encrypted one that is not known, or not any more.
    """
    if not is_encrypted(token):
        return token
    found = await issuer.stores.encrypted_tokens.find(kept(token))
    if found is None:
        raise InvalidSession("encrypted token that is not known here")
    return signed_inside(found, token)
