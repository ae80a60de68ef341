"""What verifying may have to wait for where the issuer has not signed what came: API keys, and clients' own tokens."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, Final

from watchword import documents, exchanging
from watchword.client_tokens import ClientOpener, DocumentDue
from watchword.documents import Documents
from watchword.errors import CannotDecide, Malformed
from watchword.exchanging import Exchanging
from watchword.policy import Principal, Verified

if TYPE_CHECKING:
    from watchword.log import Kind

Errand = tuple[Coroutine[Any, Any, Any], float]
"""Something to do on the background loop, and the seconds for which its result is worth waiting."""

HOP: Final = 0.5
"""Seconds on top of what an errand may take, for the way to the loop and back."""
_BY_REV: Final = frozenset(("subject", "client", "issuer"))
"""Kinds of entries that a document may be too old for."""


def trade(key: str, desk: Exchanging, is_good: Callable[[str], bool]) -> Generator[Errand, Any, str]:
    """The token that an API key is good for. Raises UnknownApiKey, Malformed or CannotDecide.

    What is held and no longer `is_good` is traded once more: a key may outlive its tokens.
    """
    if not exchanging.is_well_formed(key):
        raise Malformed("not an API key")
    token = desk.held(key)
    if token is not None and not is_good(token):
        desk.drop(key, token)
        token = desk.held(key)
    if token is None and desk.may_ask(key):
        token = yield desk.exchange(key), exchanging.WITHIN + HOP
    if token is None:
        raise CannotDecide("the issuer cannot be asked for the token of an API key now", retry_after=1)
    return token


def open_own(
    token: str,
    held: Verified | None,
    opener: ClientOpener,
    shelf: Documents,
    killed: Callable[[Principal], Kind | None],
    wall: Callable[[], float],
    young: float,
) -> Generator[Errand, Any, Verified]:
    """Open a token that a client has signed, unless it is `held`.

    It is judged by a document that is younger than `young` seconds, where one can be had. A document that the issuer
    wrote before the client was revoked kills whatever that signs, so it is read anew. Raises InvalidToken, or
    CannotDecide where there is no document to judge by.
    """
    try:
        verified = held or opener.open(token, wall())
    except DocumentDue as due:
        yield from _read(due, shelf)
        return opener.open(token, wall())
    client_id = verified.principal.client_id
    enough = documents.SETTLE if killed(verified.principal) in _BY_REV else young
    if shelf.age(client_id) >= enough and shelf.may_look(client_id):
        yield shelf.look(client_id), documents.WITHIN + HOP
        return opener.open(token, wall())
    return verified


def _read(due: DocumentDue, shelf: Documents) -> Generator[Errand, Any, None]:
    """Read what is missing; the refusal itself where it was looked for a moment ago."""
    client_id = due.client_id
    is_known = shelf.find(client_id) is not None
    may_look = shelf.may_look_for_key if is_known else shelf.may_look
    if may_look(client_id):
        look = shelf.look_for_key if is_known else shelf.look
        if (yield look(client_id), documents.WITHIN + HOP):
            return
    elif is_known:
        raise due
    raise CannotDecide(f"the document of a client cannot be read now: {shelf.trouble or 'too many are asked for'}", 1)
