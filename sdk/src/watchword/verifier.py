"""The Verifier: turns a token into a Principal or a refusal, beside the API and without a call per request."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Coroutine, Generator, Mapping
from concurrent.futures import CancelledError
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from watchword.errors import (
    BadLifetime,
    Blind,
    CannotDecide,
    InvalidKey,
    InvalidToken,
    Misconfigured,
    Revoked,
    UnknownKey,
)
from watchword.following import Following, Trust
from watchword.freshness import Clocks, Contact, Freshness, offline
from watchword.introspection import WITHIN
from watchword.jose.jwk import key_set
from watchword.policy import Policy, Principal, Verified
from watchword.revocations import RevocationSet
from watchword.wire.identity import checked_name
from watchword.wire.metadata import checked_issuer

if TYPE_CHECKING:
    from watchword.jose.encryption_keys import DecryptionKey
    from watchword.log import Kind

READY_WITHIN: Final = 5.0
"""Seconds after the start for which a first verify waits for keys and the revocation log."""
KEYS_WITHIN: Final = 2.0
"""Seconds for which a token of an unknown key waits for the key set."""
CLOSED_WITHIN: Final = 1.0
"""Seconds for which `close` waits for connections to end."""
LONGEST_IGNORANCE: Final = timedelta(days=1)
"""The longest `refuse_after`: an issuer keeps no lease for longer (docs/feed.md)."""
GENERATION: Final = 10_000
"""Tokens in each of the cache's two generations."""

Errand = tuple[Coroutine[Any, Any, Any], float]
"""Something to do on the background loop, and the seconds for which its result is worth waiting."""
Decision = Generator[Errand, Any, Principal]
"""A verification as a flow: it yields errands, is sent their results (None when there was none in time)."""


class Verifier:
    """Verifies the access tokens of one issuer for one API (RFC 9068), revocation included.

    Online, everything is learned from the issuer: `credentials` are the API's (client_id, client_secret); without
    them nothing is introspected, and the feed must be public. With `jwks`, a JWK set, it works offline on exactly
    these keys: no network, no feed, no thread. With `decryption_jwks`, a JWK set of the API's private keys, it also
    opens encrypted tokens (`pip install watchword[jwe]`).

    Younger than `stale_after`, the revocation feed decides. After that the issuer is asked, and from
    `refuse_after` on CannotDecide is raised. Nothing is started before the first verify or `with`; after a fork
    the child goes on with what was known and follows by itself. `name` is what operators of the issuer call this
    process when they wait for a revocation to arrive; without one it is host and process number. Raises Misconfigured.
    """

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        credentials: tuple[str, str] | None = None,
        jwks: Mapping[str, object] | None = None,
        decryption_jwks: Mapping[str, object] | None = None,
        leeway: timedelta = timedelta(seconds=5),
        stale_after: timedelta = timedelta(seconds=10),
        refuse_after: timedelta = timedelta(seconds=60),
        name: str | None = None,
        clocks: Clocks | None = None,
    ) -> None:
        self.issuer = checked_issuer(issuer)
        self.audience = audience
        self._clocks = clocks or Clocks(time.monotonic, time.time)
        self._monotonic, self._wall = self._clocks.monotonic, self._clocks.wall
        self._young: dict[str, Verified] = {}
        self._old: dict[str, Verified] = {}
        self._may_ask = credentials is not None
        policy = Policy(issuer, audience, int(leeway.total_seconds()))
        decryption = _decryption_keys(decryption_jwks)
        self._following: Following | None = None
        if jwks is not None:
            if credentials is not None:
                raise Misconfigured("give jwks (offline, on fixed keys) or credentials (online), not both")
            self._trust, self._revocations, self._progress = (
                _fixed(policy, jwks, decryption),
                RevocationSet(),
                offline(),
            )
            return
        if not timedelta(0) < stale_after < refuse_after:
            raise Misconfigured("stale_after must be more than nothing and less than refuse_after")
        if refuse_after > LONGEST_IGNORANCE:
            raise Misconfigured("refuse_after is at most a day: for so long nobody could say where a token is dead")
        following = Following(
            Trust(policy, decryption),
            _checked(credentials),
            self._clocks,
            stale_after.total_seconds(),
            refuse_after.total_seconds(),
            checked_name(name),
        )
        self._following = following
        self._trust, self._revocations, self._progress = following.trust, following.revocations, following.progress
        # One that is dropped without being closed must not be followed for ever.
        weakref.finalize(self, following.stop).atexit = False

    async def verify(self, token: str) -> Principal:
        """The principal that a token speaks for. Raises InvalidToken or CannotDecide; never blocks the loop."""
        principal = self._at_once(token)
        if principal is not None:
            return principal
        flow = self._decide(token)
        result: object = None
        try:
            while True:
                work, seconds = flow.send(result)
                result = await self._run(work, seconds)
        except StopIteration as end:
            found: Principal = end.value
            return found

    def verify_sync(self, token: str) -> Principal:
        """As `verify`, from any thread; may block for as long as the first keys and the log take to come."""
        principal = self._at_once(token)
        if principal is not None:
            return principal
        flow = self._decide(token)
        result: object = None
        try:
            while True:
                work, seconds = flow.send(result)
                result = self._run_sync(work, seconds)
        except StopIteration as end:
            found: Principal = end.value
            return found

    @property
    def freshness(self) -> Freshness:
        """How fresh the knowledge of what is revoked is."""
        return self._following.freshness() if self._following else Freshness("offline", 0.0)

    @property
    def contact(self) -> Contact:
        """How following the issuer went so far in this process: reconnects, acknowledgements, what was disbelieved."""
        return self._following.contact() if self._following else Contact()

    def close(self) -> None:
        """Follow no more. A closed online verifier raises CannotDecide."""
        if self._following is None:
            return
        try:
            self._following.stop().result(CLOSED_WITHIN)
        except (TimeoutError, CancelledError):
            return  # the thread ends by itself

    def __enter__(self) -> Verifier:
        if self._following:
            self._following.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Verifier:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._following:
            await asyncio.wait([asyncio.wrap_future(self._following.stop())], timeout=CLOSED_WITHIN)

    def _at_once(self, token: str) -> Principal | None:
        """The principal of a token while the feed is fresh: nearly every call ends here.

        Of a token seen before, everything that can have changed is asked: time, freshness, whether another key set
        or a revocation has come since it was last found good. None sends the caller the long way, where something
        may have to be waited for, or is wrong and is said.
        """
        now, progress = self._wall(), self._progress
        if now >= progress.fresh_wall or self._monotonic() >= progress.fresh_monotonic:
            return None
        try:
            verified = self._young.get(token)
        except TypeError:
            return None
        if (
            verified is not None
            and verified.mark is self._revocations.mark
            and verified.trusted is self._trust.opener.trusted
            and verified.starts <= now < verified.ends
        ):
            return verified.principal
        return self._judge(token, verified, now)

    def _judge(self, token: str, young: Verified | None, now: float) -> Principal | None:
        """As `_at_once`, with every question asked: of a token that is new here, or after something has changed."""
        # Both are read before any question: what comes meanwhile is noticed at the next call.
        opener, mark = self._trust.opener, self._revocations.mark
        trusted = opener.trusted
        try:
            verified = young or self._old.get(token)
            if verified is not None:
                opener.still(verified, now)
        except InvalidToken:
            return None
        if verified is None:
            try:
                verified = opener.open(token, now)
            except (UnknownKey, BadLifetime):
                if self._following is None or self._following.keys.is_final(KEYS_WITHIN):
                    raise  # nothing can be learned now, so nothing is looked at twice
                return None
        if self._killed(verified.principal):
            return None
        verified.trusted, verified.mark = trusted, mark
        if young is None:
            self._remember(token, verified)
        return verified.principal

    def _killed(self, one: Principal) -> Kind | None:
        return self._revocations.kills(one.token_id, one.key_id, one.rev, one.subject, one.client_id, one.sid, one.gid)

    def _decide(self, token: str) -> Decision:
        following = self._following
        if following is None:
            verified = self._trust.opener.open(token, self._wall())
        else:
            yield from self._must_be_ready(following)
            verified = yield from self._open(token, following)
            # What is known to be dead is dead, however old the feed: a 401, not a 503.
            self._must_live(verified.principal)
            yield from self._must_be_sure(token, following)
        self._must_live(verified.principal)
        self._remember(token, verified)
        return verified.principal

    def _must_be_ready(self, following: Following) -> Generator[Errand, Any, None]:
        following.start()
        left = following.started + READY_WITHIN - self._monotonic()
        if not following.is_ready() and left > 0:
            yield following.ready(), left
        if not following.is_ready():
            raise CannotDecide(f"cannot follow {self.issuer}: {following.trouble()}")

    def _open(self, token: str, following: Following) -> Generator[Errand, Any, Verified]:
        held = self._held(token)
        if held is not None:
            return held
        try:
            return self._trust.opener.open(token, self._wall())
        except (UnknownKey, BadLifetime):
            # The issuer may have made a new key, or allowed a longer life: look, at most once per cool-down.
            if following.keys.is_final(KEYS_WITHIN):
                raise
        yield following.keys.look_again(), following.keys.patience(KEYS_WITHIN)
        try:
            return self._trust.opener.open(token, self._wall())
        except UnknownKey as error:
            if following.keys.is_current():
                raise
            raise CannotDecide(f"a key that is not known, and no news of keys: {following.trouble()}") from error

    def _must_be_sure(self, token: str, following: Following) -> Generator[Errand, Any, None]:
        """Raise unless the feed is fresh, or the issuer says active, or says nothing and the feed is not too old."""
        if following.freshness().state == "stale" and self._may_ask and (desk := following.introspection):
            active = desk.remembered(token)
            if active is None and desk.may_ask():
                active = yield desk.ask(token), WITHIN + 0.5
            if active is False:
                raise Revoked("the issuer says that the token is not active")
        now = following.freshness()
        if now.state not in ("fresh", "stale"):
            raise Blind(
                f"the last sure news of revocations from {self.issuer} is {now.age:.0f} s old: {following.trouble()}"
            )

    def _must_live(self, one: Principal) -> None:
        kind = self._killed(one)
        if kind is not None:
            raise Revoked(f"revoked by an entry of kind {kind}")

    def _held(self, token: str) -> Verified | None:
        """A token seen before, if time and the trust in its key still allow it."""
        try:
            verified = self._young.get(token) or self._old.get(token)
            if verified is not None:
                self._trust.opener.still(verified, self._wall())
        except (TypeError, InvalidToken):
            return None
        return verified

    def _remember(self, token: str, verified: Verified) -> None:
        if len(self._young) >= GENERATION:
            self._old, self._young = self._young, {}
        self._young[token] = verified

    async def _run(self, work: Coroutine[Any, Any, Any], seconds: float) -> object:
        """Wait for an errand without blocking the loop; None when it was not done in time."""
        if self._following is None:
            return None
        future = asyncio.wrap_future(self._following.submit(work))
        try:
            await asyncio.wait([future], timeout=seconds)
            return future.result() if future.done() and not future.cancelled() else None
        finally:
            future.cancel()

    def _run_sync(self, work: Coroutine[Any, Any, Any], seconds: float) -> object:
        """Wait for an errand; None when it was not done in time."""
        if self._following is None:
            return None
        future = self._following.submit(work)
        try:
            return future.result(seconds)
        except (TimeoutError, CancelledError):
            return None
        finally:
            future.cancel()


def _decryption_keys(jwks: Mapping[str, object] | None) -> Mapping[str, DecryptionKey] | None:
    """The API's private keys; a broken one is the program's own mistake."""
    if jwks is None:
        return None
    from watchword.jose.jwe import decryption_key_set  # only here: it needs joserfc, which not everybody has

    try:
        keys = decryption_key_set(jwks)
    except InvalidKey as error:
        raise Misconfigured(f"decryption_jwks: {error}") from error
    if not keys:
        raise Misconfigured("decryption_jwks holds no key")
    return keys


def _fixed(policy: Policy, jwks: Mapping[str, object], decryption: Mapping[str, DecryptionKey] | None) -> Trust:
    keys = key_set(jwks)
    if not keys:
        raise Misconfigured("jwks holds no key that can verify tokens")
    trust = Trust(policy, decryption)
    trust.take(keys, policy.max_lifetime)
    return trust


def _checked(credentials: tuple[str, str] | None) -> tuple[str, str] | None:
    if credentials is not None and not (len(credentials) == 2 and all(credentials)):
        raise Misconfigured("credentials are (client_id, client_secret), neither empty")
    return credentials
