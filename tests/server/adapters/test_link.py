"""The line to Redis when Redis misbehaves: bounded, loud once, and whole again by itself."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.servers.loopback import free_ports
from tests.servers.redis import server
from watchword_server.adapters.memory.attempts import Attempts
from watchword_server.adapters.redis.attempts import RedisAttempts, SharedAttempts
from watchword_server.adapters.redis.link import BOUND, CONNECTIONS, LAST_LOOK, Link, examine
from watchword_server.people.throttle import FREE_FOR_ACCOUNT
from watchword_server.ports import Unavailable

ISSUER = "https://id.example.com"
PATIENT = 10.0
SLACK = 0.5
"""Seconds that a busy machine may take beyond a bound."""
ANN = ("account:ann", "address:192.0.2.1")


@asynccontextmanager
async def linked(url, bound=BOUND):
    """A line that is closed at the end; its bound is raised where a busy machine is not the point."""
    link = Link(url, ISSUER, bound)
    try:
        yield link
    finally:
        await link.close()


@pytest.fixture(scope="module")
def own():
    """A Redis of this file's own, to do harm to; each test leaves it sound."""
    with server() as redis:
        yield redis


async def back(link):
    """Until it is up, or up again, and has answered."""
    async with asyncio.timeout(LAST_LOOK + BOUND + 5):
        while True:
            with suppress(Unavailable):
                await link.ask("PING")
                return
            await asyncio.sleep(0.005)


async def refused_within(link, bound):
    """Ask; the seconds that the refusal took."""
    start = time.monotonic()
    with pytest.raises(Unavailable):
        await link.ask("PING")
    taken = time.monotonic() - start
    assert taken < bound + SLACK, f"{taken} s"
    return taken


def changes(caplog):
    """What the log said of the state, and why."""
    lines = [record for record in caplog.records if record.name.endswith("redis.link")]
    return [(record.levelname, getattr(record, "reason", "")) for record in lines]


def killed(redis):
    redis.kill()
    return redis.restart


def frozen(redis):
    redis.freeze()
    return redis.thaw


def full(redis):
    """Without the wish to evict, a write is an error, while reading goes on."""
    redis.ask("CONFIG", "SET", "maxmemory", "1")
    return lambda: redis.ask("CONFIG", "SET", "maxmemory", "0")


def a_replica(redis):
    """As the old primary is after a failover."""
    redis.ask("REPLICAOF", "127.0.0.1", str(urlsplit(redis.url).port + 1))
    return lambda: redis.ask("REPLICAOF", "NO", "ONE")


def another_password(redis):
    """Changed by the operator, who ends the connections of who knew the old one."""
    old = urlsplit(redis.url).password
    redis.ask("CONFIG", "SET", "requirepass", "another")
    changed = redis.url.replace(old, "another")

    def undo() -> None:
        type(redis)(changed).ask("CONFIG", "SET", "requirepass", old)

    type(redis)(changed).ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    return undo


# fmt: off
HARM = [
    (killed,           "it cannot be reached"),
    (frozen,           "it does not answer in time"),
    (full,             "it is full"),
    (a_replica,        "it is a replica"),
    (another_password, "it refuses the user or the password"),
]
# fmt: on


@pytest.mark.parametrize(("harm", "said"), HARM, ids=lambda value: getattr(value, "__name__", None))
async def test_a_redis_that_is_lost_is_given_up_once_and_taken_back(own, caplog, harm, said):
    """One question finds out within the bound, the others do not wait; the log has one line for each change."""
    caplog.set_level(logging.INFO)
    async with linked(own.url) as link:
        await back(link)
        mend = await asyncio.to_thread(harm, own)
        caplog.clear()
        try:
            start = time.monotonic()
            questions = [link.ask("SET", link.key("x", str(n)), "", "PX", 1000) for n in range(2 * CONNECTIONS)]
            answers = await asyncio.gather(*questions, return_exceptions=True)
            assert all(isinstance(answer, Unavailable) for answer in answers)
            assert time.monotonic() - start < BOUND + SLACK
            assert not link.up
            assert await refused_within(link, 0) < BOUND / 2
            await asyncio.sleep(BOUND)  # it goes on being lost: nothing more is said
            assert not link.up
        finally:
            await asyncio.to_thread(mend)
        await back(link)
        lost, found = changes(caplog)
        assert lost[0] == "ERROR"
        assert lost[1].startswith(said)
        assert found[0] == "WARNING"


async def test_a_redis_that_was_never_there_is_said_at_once(caplog):
    """At start: nobody listens there, and nobody waits."""
    (port,) = free_ports()
    async with linked(f"redis://127.0.0.1:{port}/0") as link:
        await link.open()
        assert not link.up
        assert await refused_within(link, 0) < BOUND / 2
    assert changes(caplog) == [("ERROR", "it cannot be reached (ConnectionError)")]


async def test_what_is_no_redis_is_given_up(caplog):
    """Somebody else who answers, and repeats what he was sent: nothing of that is logged."""

    async def echo(reader, writer):
        while line := await reader.readline():
            writer.write(b"-ERR unknown command " + line.strip() + b"\r\n")

    listener = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with listener, linked(f"redis://:hunter2hunter2@127.0.0.1:{port}/0") as link:
        await link.open()
        assert not link.up
    assert changes(caplog)
    assert "hunter2" not in caplog.text + repr([vars(record) for record in caplog.records])


async def test_a_restart_between_two_questions_is_nobody_s_loss(own, caplog):
    """Connections that Redis has closed are replaced, and the scripts that it forgot are sent again."""
    async with linked(own.url, PATIENT) as link:
        attempts = RedisAttempts(link)
        await attempts.begin(ANN, 1.0)
        await asyncio.to_thread(own.kill)
        await asyncio.to_thread(own.restart)
        assert await attempts.begin(ANN, 1.0) == 0
        assert link.up
    assert changes(caplog) == []


async def test_many_questions_are_no_reason_to_give_redis_up(own, caplog):
    """They wait for their turn; who waits for too long gets no answer, and that is all."""
    bound = 1.0
    async with linked(own.url, bound) as link:
        slow = [link.ask("BLPOP", link.key("nothing", ""), str(0.7 * bound)) for _ in range(2 * CONNECTIONS)]
        *answers, last = await asyncio.gather(*slow, link.ask("PING"), return_exceptions=True)
        assert answers == [None] * len(answers)
        assert isinstance(last, Unavailable)
        assert link.up
        assert await link.ask("PING")
        assert len(own.ask("CLIENT", "LIST").splitlines()) <= CONNECTIONS + 1
    assert changes(caplog) == []


async def test_a_question_from_before_a_loss_says_nothing_of_after(own, caplog):
    """It fails when Redis is long back: nobody gives Redis up for that."""
    async with linked(own.url, 2.0) as link:
        old = asyncio.create_task(link.ask("BLPOP", link.key("nothing", ""), "30"))
        await asyncio.sleep(0.1)
        mend = full(own)
        with pytest.raises(Unavailable):
            await link.ask("SET", link.key("x", ""), "", "PX", 1000)
        mend()
        await back(link)
        assert not old.done()
        with pytest.raises(Unavailable):
            await old
        assert link.up
    assert [level for level, _ in changes(caplog)] == ["ERROR", "WARNING"]


async def test_a_question_that_is_cancelled_spoils_no_other(own):
    """A caller who hangs up leaves an answer under way: nobody else may get it."""
    async with linked(own.url, PATIENT) as link:
        for n in range(200):
            left = asyncio.create_task(link.ask("ECHO", "another's"))
            await asyncio.sleep(0.0001 * (n % 7))
            left.cancel()
            assert await link.ask("ECHO", str(n)) == str(n).encode()
            await asyncio.gather(left, return_exceptions=True)


async def test_limits_go_on_with_what_this_node_has_seen(own):
    """While Redis is lost each node counts alone, and begins with its own count; then they are shared again."""
    async with linked(own.url) as link:
        one, other = (SharedAttempts(RedisAttempts(link), Attempts()) for _ in range(2))
        now = time.time()
        for _ in range(FREE_FOR_ACCOUNT):
            assert await one.begin(ANN, now) == 0
        await asyncio.to_thread(own.kill)
        try:
            assert await one.begin(ANN, now) > 0
            assert [await other.begin(ANN, now) for _ in range(FREE_FOR_ACCOUNT)] == [0] * FREE_FOR_ACCOUNT
            assert await other.begin(ANN, now) > 0
            await other.succeed(ANN)
            await other.take_back(ANN)
            assert await other.begin(ANN, now) == 0
        finally:
            await asyncio.to_thread(own.restart)
        await back(link)
        assert [await node.begin(ANN, now) for node in (one, other) * 2] == [0] * 4
        await one.begin(ANN, now)
        assert await other.begin(ANN, now) > 0


async def test_doctor_is_told_why(own):
    """In a word, and without waiting for long."""
    wrong = own.url.replace(urlsplit(own.url).password, "wrong")
    assert await examine(own.url) is None
    assert (await examine(wrong)).startswith("it refuses the user or the password")
    assert (await examine("redis://127.0.0.1:1/0")).startswith("it cannot be reached")
    own.freeze()
    try:
        assert (await examine(own.url)).startswith("it does not answer in time")
    finally:
        own.thaw()


async def test_a_user_who_may_not_do_what_is_needed_is_told_of(own, caplog):
    """From the start, and not at every sign-in anew: the probe asks for what a node will ask for."""
    own.ask("ACL", "SETUSER", "poor", "on", ">pass", "~watchword:*", "+@read", "+@write", "-@scripting")
    url = own.url.replace(f":{urlsplit(own.url).password}@", "poor:pass@")
    async with linked(url, PATIENT) as link:
        await link.open()
        await asyncio.sleep(2 * BOUND)
        assert not link.up
    own.ask("ACL", "SETUSER", "poor", "+@scripting")
    async with linked(url, PATIENT) as link:
        await link.open()
        assert await RedisAttempts(link).begin(("account:somebody",), 1.0) == 0
    assert changes(caplog) == [("ERROR", "its access list forbids what Watchword asks (NoPermissionError)")]


async def carry(redis, reader, writer):
    """To Redis and back."""

    async def pump(reader, writer):
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    parts = urlsplit(redis.url)
    from_redis, to_redis = await asyncio.open_connection(parts.hostname, parts.port)
    await asyncio.gather(pump(reader, to_redis), pump(from_redis, writer))


def certificate(folder, name):
    """A certificate for a host, signed by itself, and its key, in two files."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem, pkcs8, bare = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    files[1].write_bytes(key.private_bytes(pem, pkcs8, bare))
    return files


@pytest.mark.parametrize(
    ("name", "trusted", "said"),
    [("localhost", True, None), ("localhost", False, "its certificate"), ("other.example", True, "its certificate")],
)
async def test_tls_is_verified(own, tmp_path, monkeypatch, name, trusted, said):
    """Against the machine's authorities, and for the host of the URL; nothing switches that off."""
    chain, key = certificate(tmp_path, name)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(chain))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain, key)
    proxy = await asyncio.start_server(partial(carry, own), "127.0.0.1", 0, ssl=context)
    port = proxy.sockets[0].getsockname()[1]
    async with proxy:
        problem = await examine(f"rediss://:{urlsplit(own.url).password}@localhost:{port}/0")
    assert problem is None if said is None else problem.startswith(said)


async def test_whatever_goes_wrong_is_a_loss_and_no_crash(own, caplog):
    """Somebody who answers with nonsense, and hangs up; the looking goes on, so the Redis that comes then is found."""
    come = asyncio.Event()

    async def nonsense(reader, writer):
        if come.is_set():
            await carry(own, reader, writer)
            return
        await reader.read(1)
        writer.write(b"\x00HTTP/1.1 400 \xff\r\n*-7\r\n$abc\r\n")
        writer.close()

    listener = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with listener, linked(f"redis://:{urlsplit(own.url).password}@127.0.0.1:{port}/0", PATIENT) as link:
        await link.open()
        await asyncio.sleep(0.5)
        assert not link.up
        come.set()
        await back(link)
    assert [level for level, _ in changes(caplog)] == ["ERROR", "WARNING"]
