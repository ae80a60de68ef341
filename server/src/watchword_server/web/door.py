"""The outermost callable: who calls, which handler, and what becomes of its failure. On the path of every token."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Final

from watchword_server.flows.issuer import Caller
from watchword_server.web.arrivals import Arrivals, now_answering
from watchword_server.web.asgi import CLOSE, App, Header, Message, Receive, Scope, Send
from watchword_server.web.front import Front
from watchword_server.web.refusals import ClientGone, refusal

_NOSNIFF: Final[Header] = (b"x-content-type-options", b"nosniff")

logger = logging.getLogger(__name__)


class Reply:
    """Sends, and puts on every answer what every answer has; on the last of a connection, that it is."""

    __slots__ = ("_last", "_send", "_stamp", "status")

    def __init__(self, send: Send, request_id: str, last: Callable[[], bool]) -> None:
        self._send = send
        self._stamp = stamp(request_id)
        self._last = last
        self.status = 0

    async def __call__(self, message: Message) -> None:
        """Pass a message on; the first one gets its stamp."""
        if not self.status:
            self.status = message["status"]
            message["headers"] = [*message["headers"], *((CLOSE,) if self._last() else ()), *self._stamp]
        await self._send(message)


def stamp(request_id: str) -> tuple[Header, Header]:
    """What every answer has."""
    return (_NOSNIFF, (b"x-request-id", request_id.encode("ascii")))


def door(front: Front, arrivals: Arrivals, hot: Mapping[str, App], others: App) -> App:
    """The application. `hot` are dispatched by their path, everything else goes to `others`."""
    log_requests = front.log_requests

    async def enter(scope: Scope, receive: Receive, send: Send) -> None:
        start = perf_counter() if log_requests else 0.0
        caller = scope["caller"] = arrivals.arrive(scope["client"], scope["headers"])
        now_answering(caller)
        reply = Reply(send, caller.request_id, front.stopping.is_set)
        try:
            await hot.get(scope["path"], others)(scope, receive, reply)
        except ClientGone:
            pass
        except Exception as error:
            await _refuse(error, scope, receive, reply)
        if log_requests:
            _log(scope, caller, reply, perf_counter() - start)

    return enter


async def _refuse(error: Exception, scope: Scope, receive: Receive, reply: Reply) -> None:
    answer = refusal(error, scope)
    if not reply.status:  # else the answer has begun, and cutting it off is all that is left
        await answer(scope, receive, reply)


def _log(scope: Scope, caller: Caller, reply: Reply, seconds: float) -> None:
    """One line a request. The query stays out: somebody may have put a secret there."""
    logger.info(
        "request",
        extra={
            "method": scope["method"],
            "path": scope["path"],
            "status": reply.status,
            "ms": round(seconds * 1000, 2),
            "agent": caller.agent,
        },
    )
