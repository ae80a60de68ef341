"""Verifying a token that a client has signed itself, beside one that the issuer has signed: never seen, and seen."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from bench import deployment, rounds, seed
from bench.cached import Subject
from bench.deployment import AUDIENCE, SCOPE, Deployment
from bench.effort import Effort
from bench.progress import counter, say
from bench.result import Figure, Section, Unmeasured, median, spread
from watchword import Verifier
from watchword.jose import jws
from watchword.jose.jwk import SigningKey
from watchword.jose.kinds import CLIENT_TOKEN_LIFETIME, Kind
from watchword_server import main
from watchword_server.changes import ReplaceClient

ALG: Final = "ES256"
ROUNDS: Final = 30
TOKENS: Final = 100
"""In one round, of each kind."""
BOUND: Final = 1.25
"""Times a token of the issuer's: of the same algorithm, it is the same work but for another document of keys."""
AFTER: Final = 2.0
"""The same, the first time after a revocation: whether its document still holds is asked too, and both take no time."""
COLD, CACHED, CHANGED = "never seen", "seen before", "seen before, something revoked since"
ISSUERS, CLIENTS = "the issuer's", "a client's own"


def measure(effort: Effort) -> Section:
    """Both kinds by one online verifier, interleaved."""
    total = effort.rounds(ROUNDS)
    key = SigningKey.generate(ALG)
    with deployment.fresh() as issuer, seed.sower(issuer) as sower:
        asyncio.run(_let_it_sign(issuer, key))
        say(f"client tokens: making {2 * (total + 1) * TOKENS:,} tokens")
        ours, theirs = sower.mint((total + 1) * TOKENS), _signed(issuer.client[0], key, (total + 1) * TOKENS)
        with deployment.served(issuer), _following(issuer) as verifier:
            subject = Subject(verifier, sower)
            subject.revoke(1)
            times = _compare(subject, ours, theirs, total)
            if not subject.is_current():
                raise Unmeasured(f"the verifier was {verifier.freshness.state} at the end")
    return _section(times, total)


async def _let_it_sign(issuer: Deployment, key: SigningKey) -> None:
    settings = main.load_settings(None, {"issuer": issuer.issuer, "data": issuer.folder / "data"})
    async with main.open_issuer(settings) as opened:
        client = await opened.stores.clients.find(issuer.client[0])
        assert client is not None
        metadata = replace(client.metadata, signs_tokens=True, jwks={"keys": [key.public_jwk()]})
        await opened.stores.journal.save(ReplaceClient(replace(client, metadata=metadata)))


def _signed(client_id: str, key: SigningKey, count: int) -> list[bytes]:
    sign, now = jws.signer(key, Kind.CLIENT_TOKEN), int(time.time())
    same = {"iss": client_id, "sub": client_id, "aud": AUDIENCE, "exp": now + CLIENT_TOKEN_LIFETIME, "iat": now}
    claims = ({**same, "jti": secrets.token_urlsafe(16), "scope": SCOPE} for _ in range(count))
    return [sign(msgspec.json.encode(one)).encode() for one in claims]


def _following(issuer: Deployment) -> Verifier:
    return Verifier(issuer=issuer.issuer, audience=AUDIENCE, credentials=issuer.api, client_tokens=True)


def _compare(subject: Subject, ours: Sequence[bytes], theirs: Sequence[bytes], total: int) -> dict[str, list[float]]:
    verify = subject.verifier.verify_sync

    def turn(made: Sequence[bytes]) -> rounds.Turn:
        texts = [token.decode() for token in random.sample(made, len(made))]

        def run() -> None:
            for text in texts:
                verify(text)

        return run

    def cold(made: Sequence[bytes]) -> Callable[[], rounds.Turn]:
        parts = iter([made[start : start + TOKENS] for start in range(0, len(made), TOKENS)])
        return lambda: turn(next(parts))

    def cached(made: Sequence[bytes]) -> Callable[[], rounds.Turn]:
        def prepared() -> rounds.Turn:
            turn(made)()
            return turn(made)

        return prepared

    def changed(made: Sequence[bytes]) -> Callable[[], rounds.Turn]:
        def prepared() -> rounds.Turn:
            turn(made)()
            subject.revoke(1)
            return turn(made)

        return prepared

    found: dict[str, Callable[[], rounds.Turn]] = {}
    for name, made in ((ISSUERS, ours), (CLIENTS, theirs)):
        seen = made[:TOKENS]
        found |= {f"{name}, {COLD}": cold(made), f"{name}, {CACHED}": cached(seen), f"{name}, {CHANGED}": changed(seen)}
    return rounds.interleave(found, total, TOKENS, counter("client tokens", total))


def _section(times: dict[str, list[float]], total: int) -> Section:
    def ratios(how: str) -> list[float]:
        pairs = zip(times[f"{CLIENTS}, {how}"], times[f"{ISSUERS}, {how}"], strict=True)
        return [theirs / ours for theirs, ours in pairs]

    return Section(
        "Verify, signed by a client",
        [
            Figure(f"client-signed token, {how}: to the issuer's", median(ratios(how)), "×", bound)
            for how, bound in ((COLD, BOUND), (CACHED, BOUND), (CHANGED, AFTER))
        ],
        [
            ("", f"{ISSUERS}, µs", f"{CLIENTS}, µs", "ratio"),
            *(
                (
                    how,
                    spread(times[f"{ISSUERS}, {how}"], 2),
                    spread(times[f"{CLIENTS}, {how}"], 2),
                    spread(ratios(how), 2),
                )
                for how in (COLD, CACHED, CHANGED)
            ),
        ],
        [
            f"Both are signed with {ALG}, and there are few revocations. The client's document was read once.",
            "The Verifier is online: it follows `watchword serve` with an API's credentials and was fresh to the end.",
            "A client's own token has fewer claims: no session, no grant, no roles.",
            f"CPU time of the calling thread: median (lowest to highest) of {total} interleaved rounds of {TOKENS}.",
        ],
        dict(times),
    )
