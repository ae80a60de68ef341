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

from watchword.client_tokens import LONGEST_FRESH, ClientOpener, DocumentDue
from watchword.errands import Errand, open_own, trade
from watchword.errors import (
    BadLifetime,
    Blind,
    CannotDecide,
    InvalidKey,
    InvalidToken,
    Misconfigured,
    Revoked,
    UnknownKey,
    WrongConfirmation,
)
from watchword.exchanging import is_api_key
from watchword.following import Following, Trust
from watchword.freshness import Clocks, Contact, Freshness, offline
from watchword.introspection import REMEMBER, WITHIN
from watchword.jose.jwk import key_set
from watchword.policy import Opener, Policy, Principal, Verified
from watchword.replay import Proofs
from watchword.revocations import RevocationSet
from watchword.wire.identity import checked_name
from watchword.wire.metadata import checked_issuer

if TYPE_CHECKING:
    from watchword.dpop import Presented
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
    process when they wait for a revocation to arrive; without one it is host and process number. `proofs` says how
    proofs of possession are judged, and where used ones are remembered.

    With `credentials`, API keys of customers are taken like tokens. With `client_tokens`, so are tokens that clients
    sign themselves, those whom the issuer lets. Raises Misconfigured.
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
        proofs: Proofs | None = None,
        client_tokens: bool = False,
    ) -> None:
        if client_tokens and credentials is None:
            raise Misconfigured("client_tokens needs credentials: the issuer tells only APIs what clients sign with")
        self.issuer = checked_issuer(issuer)
        self.audience = audience
        self._clocks = clocks or Clocks(time.monotonic, time.time)
        self._monotonic, self._wall = self._clocks.monotonic, self._clocks.wall
        self._young: dict[str, Verified] = {}
        self._old: dict[str, Verified] = {}
        self.proofs = proofs or Proofs()
        """What it asks of proofs of possession."""
        self._may_ask = credentials is not None
        policy = Policy(issuer, audience, int(leeway.total_seconds()))
        decryption = _decryption_keys(decryption_jwks)
        self._following: Following | None = None
        self._own: ClientOpener | None = None
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
        self._own = ClientOpener(policy, following.documents.find) if client_tokens else None
        self._trust, self._revocations, self._progress = following.trust, following.revocations, following.progress
        # One that is dropped without being closed must not be followed for ever.
        weakref.finalize(self, following.stop).atexit = False

    async def verify(self, token: str, proof: Presented | None = None) -> Principal:
        """The principal that a token speaks for. Raises InvalidToken or CannotDecide; never blocks the loop.

        A token that is bound to a key (RFC 9449) needs the `proof` that came with it, and is asked for another one
        every time; a token that is not bound must come without.
        """
        if proof is None:
            principal = self._at_once(token)
            return principal if principal is not None else await self._drive(self._decide(token, bound=False))
        principal = await self._drive(self._decide(token, bound=True))
        now = self._wall()
        await self.proofs.spend(self.proofs.shown(token, _bound(principal), proof, now), now)
        return principal

    def verify_sync(self, token: str, proof: Presented | None = None) -> Principal:
        """As `verify`, from any thread; may block for as long as the first keys and the log take to come."""
        if proof is None:
            principal = self._at_once(token)
            return principal if principal is not None else self._drive_sync(self._decide(token, bound=False))
        principal = self._drive_sync(self._decide(token, bound=True))
        now = self._wall()
        self.proofs.spend_sync(self.proofs.shown(token, _bound(principal), proof, now), now)
        return principal

    def still(self, principal: Principal) -> None:
        """Ask again about who was let in before, as for a stream that goes on. Raises Revoked, by what is known now."""
        self._must_live(principal)

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
                if verified.plain:
                    opener.still(verified, now)
                else:
                    self._still(opener, verified, now)
                    _must_be_free(verified)
        except InvalidToken:
            return None
        if verified is None:
            if self._may_ask and is_api_key(token):
                return self._traded(token)
            try:
                verified = self._own_at_once(token, now) or opener.open(token, now)
            except DocumentDue:
                return None
            except (UnknownKey, BadLifetime):
                if self._following is None or self._following.keys.is_final(KEYS_WITHIN):
                    raise  # nothing can be learned now, so nothing is looked at twice
                return None
        if self._dead(verified):
            return None
        verified.trusted, verified.mark = trusted, mark
        if young is None:
            self._remember(token, verified)
        return verified.principal

    def _own_at_once(self, token: str, now: float) -> Verified | None:
        """A token that a client has signed; None where it is none of these. Raises DocumentDue."""
        own = self._own
        return own.open(token, now) if own is not None and own.recognizes(token) else None

    def _traded(self, key: str) -> Principal | None:
        """The principal of an API key whose token is at hand. Raises UnknownApiKey where it was just refused."""
        token = self._following.exchanging.held(key) if self._following else None
        try:
            return None if token is None else self._at_once(token)
        except InvalidToken:
            return None  # of the token, not of the key: there may be another one

    def _still(self, opener: Opener, verified: Verified, now: float) -> None:
        """Ask whoever has opened it."""
        (self._own if verified.document is not None and self._own is not None else opener).still(verified, now)

    def _killed(self, one: Principal) -> Kind | None:
        return self._revocations.kills(
            one.token_id, one.key_id, one.rev, one.subject, one.client_id, one.sid, one.gid, one.lineage, one.via
        )

    def _dead(self, verified: Verified) -> Kind | None:
        """As `_killed`, without the questions that nearly all tokens have no answer to."""
        one = verified.principal
        if not verified.plain:
            return self._killed(one)
        return self._revocations.kills(one.token_id, one.key_id, one.rev, one.subject, one.client_id, one.sid, one.gid)

    async def _drive(self, flow: Decision) -> Principal:
        result: object = None
        try:
            while True:
                work, seconds = flow.send(result)
                result = await self._run(work, seconds)
        except StopIteration as end:
            found: Principal = end.value
            return found

    def _drive_sync(self, flow: Decision) -> Principal:
        result: object = None
        try:
            while True:
                work, seconds = flow.send(result)
                result = self._run_sync(work, seconds)
        except StopIteration as end:
            found: Principal = end.value
            return found

    def _decide(self, token: str, bound: bool) -> Decision:
        """Everything but the proof. What is `bound` is never stamped, so that `_at_once` cannot take it for free."""
        following = self._following
        if following is None:
            verified = self._held(token, bound) or self._trust.opener.open(token, self._wall(), bound=bound)
        else:
            yield from self._must_be_ready(following)
            if self._may_ask and is_api_key(token):
                token = yield from trade(token, following.exchanging, self._is_good)
            verified = yield from self._open(token, bound, following)
            # What is known to be dead is dead, however old the feed: a 401, not a 503.
            self._must_live(verified.principal)
            yield from self._must_be_sure(token, verified, following)
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

    def _open(self, token: str, bound: bool, following: Following) -> Generator[Errand, Any, Verified]:
        held, own = self._held(token, bound), self._own
        if own is not None and own.recognizes(token):
            young = REMEMBER if following.freshness().state == "stale" else LONGEST_FRESH
            return (yield from open_own(token, held, own, following.documents, self._killed, self._wall, young))
        if held is not None:
            return held
        try:
            return self._trust.opener.open(token, self._wall(), bound=bound)
        except (UnknownKey, BadLifetime):
            # The issuer may have made a new key, or allowed a longer life: look, at most once per cool-down.
            if following.keys.is_final(KEYS_WITHIN):
                raise
        yield following.keys.look_again(), following.keys.patience(KEYS_WITHIN)
        try:
            return self._trust.opener.open(token, self._wall(), bound=bound)
        except UnknownKey as error:
            if following.keys.is_current():
                raise
            raise CannotDecide(f"a key that is not known, and no news of keys: {following.trouble()}") from error

    def _must_be_sure(self, token: str, verified: Verified, following: Following) -> Generator[Errand, Any, None]:
        """Raise unless the feed is fresh, or the issuer says active, or says nothing and the feed is not too old.

        Of what a client has signed the issuer knows nothing; then its document was asked for.
        """
        is_ours = verified.document is None and self._may_ask
        if is_ours and following.freshness().state == "stale" and (desk := following.introspection):
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

    def _held(self, token: str, bound: bool = False) -> Verified | None:
        """A token seen before, if time and the trust in its key still allow it."""
        try:
            verified = self._young.get(token) or self._old.get(token)
            if verified is not None:
                self._still(self._trust.opener, verified, self._wall())
                if not bound:
                    _must_be_free(verified)
        except (TypeError, InvalidToken):
            return None
        return verified

    def _is_good(self, token: str) -> bool:
        """Whether the token of an API key still is: revocation may have hit it, and not the key."""
        try:
            verified = self._held(token, bound=False) or self._trust.opener.open(token, self._wall())
        except InvalidToken:
            return False
        return self._killed(verified.principal) is None

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


def _must_be_free(verified: Verified) -> None:
    if verified.principal.confirmation is not None:
        raise WrongConfirmation("bound to a key, of which no proof was given")


def _bound(one: Principal) -> str:
    """The key that a token is bound to. One that is bound to none came with a proof for another: it may be stolen."""
    if one.confirmation is None:
        raise WrongConfirmation("a proof came with a token that is bound to no key")
    return one.confirmation


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
