"""A device asks again and again whether a person has allowed it (RFC 8628 §3.4, §3.5)."""

from __future__ import annotations

import hashlib
from typing import Final

from watchword_server.protocol.errors import (
    AuthorizationPending,
    DeviceDenied,
    ExpiredToken,
    InvalidGrant,
    SlowDown,
    UnauthorizedClient,
)
from watchword_server.protocol.values import Client, DeviceRequest

GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:device_code"
PREFIX: Final = "wwd_"
LIFETIME: Final = 10 * 60
"""Seconds in which a person has to answer, and the device to hear of it."""
INTERVAL: Final = 5
"""Seconds between two questions of a device."""
SLOWER: Final = 5
"""Seconds that are added for who asks too soon (§3.5)."""
ROUNDING: Final = 1
"""Times are whole seconds here, and a network takes its time: a device that waits as it was told is never too soon."""


def kept(device_code: str) -> bytes:
    """What is kept of a device's code, of whatever characters somebody sends."""
    return hashlib.sha256(device_code.encode("utf-8", "surrogatepass")).digest()


def must_be_allowed(client: Client) -> None:
    """Raises UnauthorizedClient unless this client may ask from devices: none may before an operator has said so."""
    if GRANT_TYPE not in client.grant_types:
        raise UnauthorizedClient("client may not use the device flow")


def answered(request: DeviceRequest | None, client: Client, now: int) -> DeviceRequest:
    """The request of a device that a person has allowed, to be spent once.

    Raises AuthorizationPending and SlowDown, with the seconds that the device has to wait from now on; DeviceDenied,
    ExpiredToken, InvalidGrant and UnauthorizedClient, which are the end.
    """
    must_be_allowed(client)
    if request is None:
        raise InvalidGrant("unknown device code")
    if request.client_id != client.client_id:
        raise InvalidGrant("device code belongs to another client")
    if request.spent_at is not None:
        raise InvalidGrant("device code was already used")
    if now >= request.expires_at:
        raise ExpiredToken("device code has expired")
    if request.denied_at is not None:
        raise DeviceDenied("the person did not allow it")
    if request.gid is None:
        raise _waiting(request, now)
    return request


def _waiting(request: DeviceRequest, now: int) -> AuthorizationPending:
    if request.polled_at is not None and now - request.polled_at < request.interval - ROUNDING:
        return SlowDown("the device asks too often", request.interval + SLOWER)
    return AuthorizationPending("nobody has answered yet", request.interval)
