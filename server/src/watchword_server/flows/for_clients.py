"""Encrypting what only a client may read: its ID tokens and its userinfo, signed first (RFC 7519 §11.2)."""

from __future__ import annotations

from watchword.jose import jwe
from watchword.jose.kinds import Kind
from watchword_server.flows.issuer import Issuer
from watchword_server.protocol.client_metadata import ENC
from watchword_server.protocol.values import Client


async def sealed_for(
    issuer: Issuer, client: Client, text: str, alg: str | None, enc: str | None, now: int, cty: str = "JWT"
) -> str:
    """The text encrypted to the client's own key by `alg`; as it is for a client that has chosen no `alg`.

    Raises NoEncryptionKey where the client has no key for it: nobody else may read it instead.
    """
    if alg is None:
        return text
    key = await issuer.client_keys.encryption(client, alg, now)
    return jwe.encrypt(text.encode(), key, enc or ENC, Kind.ID_TOKEN, cty)
