"""Request bodies: capped, in time, of the right kind, and read strictly."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from watchword.errors import InvalidToken
from watchword.jose import jwt
from watchword_server.protocol.errors import InvalidRequest
from watchword_server.web.asgi import Receive, Scope, header
from watchword_server.web.refusals import ClientGone, TooLarge, TooSlow, WrongContentType

LIMIT: Final = 64 * 1024
"""Bytes of the longest body."""
PATIENCE: Final = 10.0
"""Seconds in which the whole body must have arrived."""
DRAIN: Final = 1024 * 1024
"""Bytes of a body that is too long that are still taken off the wire, so that its sender reads the refusal."""

T = TypeVar("T")


async def body(receive: Receive) -> bytes:
    """The whole body. Raises TooLarge, TooSlow or ClientGone."""
    try:
        async with asyncio.timeout(PATIENCE):
            message = await receive()
            if not message.get("more_body"):  # nearly always: it came with the headers
                return _checked(_chunk(message))
            return await _rest(message, receive)
    except TimeoutError as error:
        raise TooSlow("the body did not arrive in time") from error


async def json_body(scope: Scope, receive: Receive, kind: type[T]) -> T:
    """A JSON object as a Struct; members that are unknown, missing, repeated or of another type are refused."""
    must_be(scope, "application/json")
    raw = await body(receive)
    try:
        members: dict[str, Any] = jwt.claims(raw)
    except InvalidToken as error:
        raise InvalidRequest("the body is not one JSON object with each member once") from error
    try:
        return msgspec.convert(members, kind)
    except msgspec.ValidationError as error:
        raise InvalidRequest("a member of the body is missing, unknown or of a wrong type") from error


def must_be(scope: Scope, content_type: str) -> None:
    """Raises WrongContentType for any other; parameters such as a charset do not count (RFC 9110 §8.3.1)."""
    given = single(scope, b"content-type")
    if given is None or given.partition(";")[0].strip().lower() != content_type:
        raise WrongContentType(f"the body must be {content_type}")


def must_have_no_query(scope: Scope) -> None:
    """What is secret must not stand in a URL, where logs and histories keep it (OAuth 2.1 §3.2)."""
    if scope["query_string"]:
        raise InvalidRequest("no parameters are read from the URL here")


def single(scope: Scope, name: bytes) -> str | None:
    """A header that must not stand twice."""
    try:
        return header(scope, name)
    except ValueError as error:
        raise InvalidRequest(f"the header {name.decode()} stands twice") from error


async def _rest(message: Mapping[str, Any], receive: Receive) -> bytes:
    chunks = [_chunk(message)]
    size = len(chunks[0])
    while message.get("more_body") and size <= DRAIN:
        message = await receive()
        chunk = _chunk(message)
        size += len(chunk)
        if size <= LIMIT:
            chunks.append(chunk)
    if size > LIMIT:
        raise TooLarge(f"a body has at most {LIMIT} bytes")
    return b"".join(chunks)


def _chunk(message: Mapping[str, Any]) -> bytes:
    if message["type"] == "http.disconnect":
        raise ClientGone
    found: bytes = message.get("body", b"")
    return found


def _checked(whole: bytes) -> bytes:
    if len(whole) > LIMIT:
        raise TooLarge(f"a body has at most {LIMIT} bytes")
    return whole
