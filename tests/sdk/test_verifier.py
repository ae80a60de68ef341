"""The Verifier over real sockets, threads, loops and forks."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

import watchword
from tests.sdk.honest_issuer import AUDIENCE, CREDENTIALS, Clock, Issuer, eventually
from watchword import Verifier
from watchword.errors import (
    BadLifetime,
    BadSignature,
    Blind,
    CannotDecide,
    Expired,
    InvalidToken,
    Malformed,
    Misconfigured,
    Revoked,
    UnknownKey,
    WrongAudience,
)
from watchword.freshness import Clocks
from watchword.jose.jwk import SigningKey
from watchword.keys import COOL_DOWN
from watchword.verifier import GENERATION, READY_WITHIN

STALE, BLIND = 11, 61


def unplug(issuer: Issuer) -> None:
    """The feed answers no more; the rest of the issuer does."""
    issuer.status.update({"/revocations": 503, "/revocations/stream": 503})
    issuer.cut()


def offline(issuer: Issuer, **changes: object) -> Verifier:
    return Verifier(issuer=issuer.url, audience=AUDIENCE, jwks={"keys": issuer.published}, **changes)  # type: ignore[arg-type]  # a bag of settings


# Offline.


def test_fixed_keys_need_no_issuer_and_no_thread(issuer: Issuer) -> None:
    """No request leaves, nothing runs in the background."""
    before = threading.active_count()
    with offline(issuer) as verifier:
        principal = verifier.verify_sync(issuer.token())
        assert principal.subject == "user-1"
        assert verifier.freshness.state == "offline"
        assert threading.active_count() == before
    assert not issuer.counts


async def test_fixed_keys_work_async(issuer: Issuer) -> None:
    """The same answer, awaited; once cold and once from the cache."""
    async with offline(issuer) as verifier:
        token = issuer.token()
        assert await verifier.verify(token) is await verifier.verify(token)
        with pytest.raises(WrongAudience):
            await verifier.verify(issuer.token(aud="https://other.example"))


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é", None, 7, b"a.b.c", ["list"], {}, "a" * 20_000])
def test_what_is_no_token_is_refused_as_such(issuer: Issuer, token: object) -> None:
    """One typed refusal, whatever comes."""
    with pytest.raises(Malformed):
        offline(issuer).verify_sync(token)  # type: ignore[arg-type]  # on purpose


def test_a_cached_token_is_asked_for_its_time_at_every_hit(issuer: Issuer, clock: Clock) -> None:
    """It expires in the cache, and comes back to life for nobody."""
    verifier = offline(issuer, clocks=Clocks(clock.monotonic, clock.wall))
    token = issuer.token()
    verifier.verify_sync(token)
    clock.forward(906)
    with pytest.raises(Expired):
        verifier.verify_sync(token)


def test_the_cache_keeps_two_generations(issuer: Issuer) -> None:
    """What is asked for again survives, and the size is bounded."""
    verifier = offline(issuer)
    asked, other = issuer.token(), issuer.token()
    principal = verifier.verify_sync(asked)
    verified = verifier._held(asked)
    assert verified is not None
    for number in range(3 * GENERATION):
        verifier._remember(f"{other}{number}", verified)  # tokens in such numbers take too long to sign
        if number % 1000 == 0:
            assert verifier.verify_sync(asked) is principal
    assert len(verifier._young) + len(verifier._old) <= 2 * GENERATION


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"issuer": "http://issuer.example"}, "https"),
        ({"issuer": "ftp://issuer.example"}, "https"),
        ({"issuer": "issuer.example"}, "host"),
        ({"issuer": "https://issuer.example?a=b"}, "query"),
        ({"issuer": "https://user@issuer.example"}, "user"),
        ({"issuer": "http://127.0.0.1.issuer.example"}, "https"),
        ({"audience": ""}, "audience"),
        ({"jwks": {"keys": []}}, "no key"),
        ({"jwks": {"keys": []}, "credentials": ("a", "b")}, "not both"),
        ({"credentials": ("a", "")}, "credentials"),
        ({"stale_after": timedelta(seconds=60)}, "stale_after"),
        ({"stale_after": timedelta(0)}, "stale_after"),
        ({"refuse_after": timedelta(days=1, seconds=1)}, "refuse_after"),
    ],
)
def test_wrong_settings_are_said_at_once(settings: dict[str, object], reason: str) -> None:
    """Before anything is fetched."""
    with pytest.raises(Misconfigured, match=reason):
        Verifier(**{"issuer": "https://issuer.example", "audience": AUDIENCE, **settings})  # type: ignore[arg-type]  # a bag of settings


@pytest.mark.parametrize("issuer_url", ["https://issuer.example", "http://localhost:8000", "http://[::1]:8000/x"])
def test_https_and_loopback_issuers_are_accepted(issuer_url: str) -> None:
    """Nothing is started by that."""
    Verifier(issuer=issuer_url, audience=AUDIENCE)


# Learning from the issuer.


def test_an_issuer_with_a_path_is_found(verifier_of: Callable[..., Verifier]) -> None:
    """RFC 8414 §3.1: the well-known part goes before the path."""
    issuer = Issuer("/tenant-1")
    try:
        assert verifier_of(issuer).verify_sync(issuer.token()).issuer == issuer.url
    finally:
        issuer.stop()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"issuer": "http://127.0.0.1/"}, "names another issuer"),
        ({"jwks_uri": "http://keys.example/jwks.json"}, "jwks_uri"),
        ({"watchword_revocations_endpoint": 7}, "watchword_revocations_endpoint"),
        ({"watchword_access_token_max_lifetime": True}, "max_lifetime"),
    ],
)
def test_metadata_that_must_not_be_followed_is_not(
    changes: dict[str, object], reason: str, verifier: Verifier, issuer: Issuer, clock: Clock
) -> None:
    """Another's document, an open line, a wrong type."""
    issuer.metadata_changes = changes
    with verifier:
        eventually(lambda: issuer.counts["/.well-known/oauth-authorization-server"] > 1)
        clock.forward(READY_WITHIN)
        with pytest.raises(CannotDecide, match=reason):
            verifier.verify_sync(issuer.token())
    assert not issuer.counts["/revocations"]


@pytest.mark.parametrize("status", [301, 302, 307, 404, 500])
def test_only_a_plain_200_is_metadata(status: int, verifier: Verifier, issuer: Issuer, clock: Clock) -> None:
    """Redirects are not followed: they could lead anywhere."""
    issuer.status["/.well-known/oauth-authorization-server"] = status
    with verifier:
        eventually(lambda: issuer.counts["/.well-known/oauth-authorization-server"] > 1)
        clock.forward(READY_WITHIN)
        with pytest.raises(CannotDecide, match=f"answered {status}"):
            verifier.verify_sync(issuer.token())
    assert not issuer.counts["/elsewhere"]


def test_a_document_without_an_end_is_not_read(verifier: Verifier, issuer: Issuer, clock: Clock) -> None:
    """64 KiB, and no more."""
    issuer.padding = "x" * 70_000
    with verifier:
        eventually(lambda: issuer.counts["/.well-known/oauth-authorization-server"] > 1)
        clock.forward(READY_WITHIN)
        with pytest.raises(CannotDecide, match="more than 65536 bytes"):
            verifier.verify_sync(issuer.token())


def test_a_certificate_that_nobody_vouches_for_is_refused(
    verifier_of: Callable[..., Verifier], clock: Clock, tmp_path: Path
) -> None:
    """TLS is verified, on loopback too."""
    issuer = Issuer(tls=self_signed(tmp_path))
    try:
        with verifier_of(issuer) as verifier:
            eventually(lambda: "no reason" not in verifier._following.trouble())  # type: ignore[union-attr]  # online
            clock.forward(READY_WITHIN)
            with pytest.raises(CannotDecide, match=r"(?i)certificate"):
                verifier.verify_sync(issuer.token())
        assert not issuer.counts
    finally:
        issuer.stop()


def self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 7, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(Encoding.PEM)
    (folder / "server.pem").write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context


def test_a_first_verify_waits_for_the_issuer(issuer: Issuer, verifier: Verifier) -> None:
    """It comes up a moment later than the API."""
    issuer.status["/jwks.json"] = 503
    with ThreadPoolExecutor(20) as pool:
        token = issuer.token()
        verdicts = [pool.submit(verifier.verify_sync, token) for _ in range(20)]
        eventually(lambda: issuer.counts["/jwks.json"] > 1)
        del issuer.status["/jwks.json"]
        assert {verdict.result().subject for verdict in verdicts} == {"user-1"}
    assert issuer.counts["/revocations"] == 1


def test_an_issuer_that_is_not_there_is_waited_for_only_at_the_start(
    issuer: Issuer, verifier: Verifier, clock: Clock
) -> None:
    """Later requests hear at once that nothing can be decided, and why."""
    issuer.stop()
    with verifier:
        clock.forward(READY_WITHIN)
        began = time.monotonic()
        with pytest.raises(CannotDecide, match=r"cannot be reached|no reason is known yet") as caught:
            verifier.verify_sync("a.b.c")
        assert time.monotonic() - began < 1
    assert caught.value.status == 503
    assert caught.value.retry_after > 0


def test_an_unknown_key_is_looked_for_once(issuer: Issuer, verifier: Verifier, clock: Clock) -> None:
    """A new key is found; a flood of invented ones costs one fetch in a cool-down."""
    verifier.verify_sync(issuer.token())
    clock.forward(COOL_DOWN)
    fresh = SigningKey.generate("ES256")
    issuer.published.append(fresh.public_jwk())
    assert verifier.verify_sync(issuer.token(fresh)).key_id == fresh.kid
    fetches = issuer.counts["/jwks.json"]
    clock.forward(COOL_DOWN)
    stranger = SigningKey.generate("ES256")
    for _ in range(200):
        with pytest.raises(UnknownKey):
            verifier.verify_sync(issuer.token(stranger))
    assert issuer.counts["/jwks.json"] == fetches + 1


def test_a_hung_key_set_delays_no_token_of_a_known_key(issuer: Issuer, verifier: Verifier, clock: Clock) -> None:
    """And the tokens of unknown keys only for the bounded wait."""
    verifier.verify_sync(issuer.token())
    clock.forward(COOL_DOWN)
    issuer.hanging.add("/jwks.json")
    unknown = issuer.token(SigningKey.generate("ES256"))
    with ThreadPoolExecutor(1) as pool:
        began = time.monotonic()
        verdict = pool.submit(verifier.verify_sync, unknown)
        eventually(lambda: issuer.counts["/jwks.json"] == 2)
        for _ in range(20):
            verifier.verify_sync(issuer.token())
        assert not verdict.done()
        with pytest.raises(UnknownKey):
            verdict.result()
        assert time.monotonic() - began < 4


def test_a_key_that_is_published_no_more_is_not_trusted_in_the_cache_either(
    issuer: Issuer, verifier: Verifier, clock: Clock
) -> None:
    """The next look at the key set ends its tokens."""
    token = issuer.token()
    verifier.verify_sync(token)
    successor = SigningKey.generate("ES256")
    issuer.published = [successor.public_jwk()]
    clock.forward(COOL_DOWN)
    verifier.verify_sync(issuer.token(successor))
    with pytest.raises(UnknownKey):
        verifier.verify_sync(token)


def test_the_issuers_longest_lifetime_is_learned(issuer: Issuer, verifier: Verifier, clock: Clock) -> None:
    """A longer one is refused, until the issuer publishes that it allows it."""
    now = int(time.time())
    token = issuer.token(iat=now, exp=now + 7200)
    with pytest.raises(BadLifetime):
        verifier.verify_sync(token)
    issuer.metadata_changes = {"watchword_access_token_max_lifetime": 7200}
    clock.forward(COOL_DOWN)
    verifier.verify_sync(token)


# Fresh, stale, blind.


def test_a_fresh_verifier_asks_nobody(issuer: Issuer, verifier: Verifier) -> None:
    """No call per request: a thousand verifies, not one request."""
    token = issuer.token()
    verifier.verify_sync(token)
    eventually(lambda: issuer.streams == 1 and issuer.acknowledged)
    before = issuer.counts.copy()
    for _ in range(1000):
        verifier.verify_sync(token)
        verifier.verify_sync(issuer.token())
    assert issuer.counts == before
    assert verifier.freshness.state == "fresh"


def test_a_stale_verifier_asks_the_issuer_about_each_token(issuer: Issuer, verifier: Verifier, clock: Clock) -> None:
    """Also about those in the cache; and the answer counts."""
    good, bad = issuer.token(), issuer.token()
    verifier.verify_sync(good)
    verifier.verify_sync(bad)
    unplug(issuer)
    issuer.inactive.add(bad)
    clock.forward(STALE)
    assert verifier.freshness.state == "stale"
    assert verifier.verify_sync(good).subject == "user-1"
    with pytest.raises(Revoked, match="not active"):
        verifier.verify_sync(bad)
    for _ in range(50):
        verifier.verify_sync(good)
    assert issuer.counts["/introspect"] == 2  # remembered for seconds


def test_fifty_that_ask_about_one_token_ask_once(issuer: Issuer, verifier: Verifier, clock: Clock) -> None:
    """Single-flight, from threads and from a loop alike."""
    token = issuer.token()
    verifier.verify_sync(token)
    unplug(issuer)
    clock.forward(STALE)

    async def together() -> None:
        await asyncio.gather(*(verifier.verify(token) for _ in range(50)))

    with ThreadPoolExecutor(50) as pool:
        list(pool.map(lambda _: verifier.verify_sync(token), range(50)))
    asyncio.run(together())
    assert issuer.counts["/introspect"] == 1


def test_a_hung_introspection_opens_the_breaker(issuer: Issuer, verifier: Verifier, clock: Clock) -> None:
    """One request waits its second; the others are decided by what is known here."""
    tokens = [issuer.token() for _ in range(30)]
    verifier.verify_sync(tokens[0])
    unplug(issuer)
    issuer.hanging.add("/introspect")
    clock.forward(STALE)
    began = time.monotonic()
    for token in tokens:
        assert verifier.verify_sync(token).subject == "user-1"
    assert time.monotonic() - began < 3
    assert issuer.counts["/introspect"] == 1


def test_a_stale_verifier_without_credentials_decides_alone(
    issuer: Issuer, verifier_of: Callable[..., Verifier], clock: Clock
) -> None:
    """Nobody to ask, but not blind yet."""
    issuer.private = False
    verifier, token = verifier_of(issuer, credentials=None), issuer.token()
    verifier.verify_sync(token)
    unplug(issuer)
    clock.forward(STALE)
    assert verifier.verify_sync(token).subject == "user-1"
    assert not issuer.counts["/introspect"]


async def test_a_blind_verifier_decides_nothing(issuer: Issuer, verifier: Verifier, clock: Clock) -> None:
    """503 for what might be good, whether cached or new; 401 for what is surely not."""
    issuer.revoke("session", "gone")
    token, dead = issuer.token(), issuer.token(sid="gone")
    await verifier.verify(token)
    unplug(issuer)
    clock.forward(BLIND)
    eventually(lambda: issuer.counts["/revocations"] > 2)
    for maybe in (token, issuer.token()):
        with pytest.raises(Blind, match=r"6\d s old.*503"):
            await verifier.verify(maybe)
    with pytest.raises(Revoked):
        await verifier.verify(dead)
    with pytest.raises(BadSignature):
        await verifier.verify(token[:-8] + "AAAAAAAA")
    assert not issuer.counts["/introspect"]


def test_a_blind_verifier_sees_again(issuer: Issuer, verifier: Verifier, clock: Clock) -> None:
    """As soon as the feed answers, and with what was revoked meanwhile."""
    token, dead = issuer.token(), issuer.token(jti="revoked while blind")
    verifier.verify_sync(token)
    verifier.verify_sync(dead)
    unplug(issuer)
    clock.forward(BLIND)
    issuer.revoke("token", "revoked while blind")
    issuer.status.clear()
    eventually(lambda: verifier.freshness.state == "fresh")
    assert verifier.verify_sync(token).subject == "user-1"
    with pytest.raises(Revoked):
        verifier.verify_sync(dead)


def test_every_change_of_state_is_logged_once(
    issuer: Issuer, verifier: Verifier, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """And neither token nor secret is."""
    token = issuer.token()
    with caplog.at_level(logging.DEBUG, "watchword"):
        verifier.verify_sync(token)
        eventually(lambda: "fresh, was starting" in caplog.text)
        unplug(issuer)
        clock.forward(STALE)
        eventually(lambda: "stale, was fresh" in caplog.text)
        clock.forward(BLIND)
        eventually(lambda: "blind, was stale" in caplog.text)
    assert caplog.text.count("was fresh") == 1
    assert token not in caplog.text
    assert CREDENTIALS[1] not in caplog.text


# Ends, forks, threads.


def test_closing_ends_the_stream_and_the_thread(issuer: Issuer, verifier_of: Callable[..., Verifier]) -> None:
    """Two verifiers share one thread; with the last one it ends."""
    first, second = verifier_of(issuer), verifier_of(issuer)
    first.verify_sync(issuer.token())
    second.verify_sync(issuer.token())
    eventually(lambda: issuer.streams == 2)
    assert [thread.name for thread in threading.enumerate()].count("watchword") == 1
    first.close()
    eventually(lambda: issuer.streams == 1)
    second.close()
    eventually(lambda: issuer.streams == 0)
    eventually(lambda: "watchword" not in {thread.name for thread in threading.enumerate()})
    with pytest.raises(CannotDecide, match="closed"):
        first.verify_sync(issuer.token())


def test_a_dropped_verifier_is_followed_no_more(issuer: Issuer) -> None:
    """Nobody closed it, nobody holds it."""
    verifier = Verifier(issuer=issuer.url, audience=AUDIENCE, credentials=CREDENTIALS)
    verifier.verify_sync(issuer.token())
    eventually(lambda: issuer.streams == 1)
    del verifier
    eventually(lambda: issuer.streams == 0)


async def test_a_request_that_is_cancelled_costs_the_others_nothing(issuer: Issuer, verifier: Verifier) -> None:
    """Its neighbour waits for the same first keys."""
    issuer.status["/jwks.json"] = 503
    impatient = asyncio.create_task(verifier.verify(issuer.token()))
    patient = asyncio.create_task(verifier.verify(issuer.token()))
    await asyncio.sleep(0.1)
    impatient.cancel()
    del issuer.status["/jwks.json"]
    assert (await patient).subject == "user-1"
    with pytest.raises(asyncio.CancelledError):
        await impatient


def in_a_child(work: Callable[[], None]) -> None:
    """Run `work` in a forked child; it must come back without an error, within some seconds."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            work()
            os.write(writer, b"done")
        except BaseException as error:
            os.write(writer, repr(error).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    assert said == b"done"


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_forked_child_knows_what_its_parent_knew_and_follows_by_itself(issuer: Issuer, verifier: Verifier) -> None:
    """Pre-forking servers: the parent's revocations hold at once, later ones come by the child's own stream."""
    issuer.revoke("session", "before the fork")
    token, dead = issuer.token(sid="alive"), issuer.token(sid="before the fork")
    verifier.verify_sync(token)
    eventually(lambda: issuer.streams == 1)

    def child() -> None:
        with pytest.raises(Revoked):
            verifier.verify_sync(dead)
        verifier.verify_sync(token)
        eventually(lambda: verifier.freshness.seq == 2)
        with pytest.raises(Revoked):
            verifier.verify_sync(token)

    def revoke_when_the_child_listens() -> None:
        eventually(lambda: issuer.streams == 2)
        issuer.revoke("session", "alive")

    thread = threading.Thread(target=revoke_when_the_child_listens)
    thread.start()
    in_a_child(child)
    thread.join()
    eventually(lambda: verifier.freshness.seq == 2)  # and the parent's stream was not harmed
    with pytest.raises(Revoked):
        verifier.verify_sync(token)


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_forked_child_does_not_hold_its_parents_stream(issuer: Issuer, verifier: Verifier) -> None:
    """When the parent leaves, the issuer sees it, although the child lives on."""
    verifier.verify_sync(issuer.token())
    eventually(lambda: issuer.streams == 1)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        os.read(reader, 1)  # until the parent has seen enough
        os._exit(0)
    try:
        verifier.close()
        eventually(lambda: issuer.streams == 0)
    finally:
        os.close(writer)
        os.close(reader)
        os.waitpid(child, 0)


def test_a_program_may_end_while_it_follows(issuer: Issuer) -> None:
    """No close, no word on standard error, no hang."""
    program = f"""
        from watchword import Verifier
        verifier = Verifier(issuer={issuer.url!r}, audience={AUDIENCE!r}, credentials={CREDENTIALS!r})
        print(verifier.verify_sync({issuer.token()!r}).subject)
    """
    ended = subprocess.run(
        [sys.executable, "-W", "default", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert (ended.stdout, ended.stderr) == ("user-1\n", "")


def test_importing_the_package_loads_nothing_heavy() -> None:
    """Not cryptography, not httpx2, not a framework."""
    heavy = {"cryptography", "httpx2", "asyncio", "fastapi"}
    program = f"import sys, watchword; print(sorted({heavy} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert ended.stdout == "[]\n"


def test_offline_use_does_not_load_the_http_client() -> None:
    """Fixed keys need no network, and so no library for it."""
    program = "import sys; from watchword import Verifier, Principal; print('httpx2' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert ended.stdout == "False\n"


def test_the_public_names_are_there() -> None:
    """As the design fixes them."""
    assert watchword.Verifier is Verifier
    assert issubclass(watchword.InvalidToken, watchword.WatchwordError)
    assert {"Principal", "InsufficientScope", "CannotDecide"} <= set(watchword.__all__)
    assert InvalidToken is watchword.InvalidToken
    with pytest.raises(AttributeError):
        _ = watchword.Nothing  # type: ignore[attr-defined]  # on purpose
