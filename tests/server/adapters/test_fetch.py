"""The guarded fetcher, over real sockets: what it gets, and whom it never speaks to."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.server.adapters.hosts import OK, Host, Identity, Say, host, identity, nothing, saying, without_end
from watchword_server.adapters.fetch import AT_ONCE, LIMIT, WITHIN, GuardedFetcher, Resolve
from watchword_server.adapters.fetch.addresses import address, is_public
from watchword_server.ports import FetchFailed

NAME = "keys.example"
LAN = [ip_network("127.0.0.2/32")]
"""Plays a network that an operator allows; 127.0.0.1 plays one that nobody does."""
HERE, ALLOWED = "127.0.0.1", "127.0.0.2"


@pytest.fixture(scope="module")
def who(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    """What the server of NAME shows."""
    return identity(tmp_path_factory.mktemp("identity"), NAME, "localhost")


def names(*answers: Sequence[str]) -> Resolve:
    """A resolver: one answer after the other, and the last one again and again."""
    left = list(answers)

    async def resolve(host: str, port: int) -> Sequence[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve


def outside(who: Identity, *answers: Sequence[str], within: float = WITHIN) -> GuardedFetcher:
    """The fetcher of an issuer for everybody, whose operator allows LAN."""
    return GuardedFetcher(
        local=False, networks=LAN, resolve=names(*(answers or ([ALLOWED],))), trust=who.trusted(), within=within
    )


# What it gets.


async def test_a_document_is_fetched_with_its_age_from_the_name_over_a_checked_address(who: Identity):
    """The certificate, the handshake and the Host header are the name's; nothing else is said."""
    async with host(saying(OK), who, ALLOWED) as found:
        got = await outside(who).get(f"https://{NAME}:{found.port}/a/jwks.json?tenant=b", by_operator=True)
    assert (got.body, got.fresh_for) == (b'{"keys":[]}', 60)
    assert found.names == [NAME]
    (request,) = found.requests
    line, *headers = request.decode().lower().strip().split("\r\n")
    assert line == "get /a/jwks.json?tenant=b http/1.1"
    assert dict(header.split(": ", 1) for header in headers) == {
        "host": f"{NAME}:{found.port}",
        "user-agent": "watchword",
        "accept": "application/json, */*;q=0.1",
        "accept-encoding": "identity",
        "connection": "keep-alive",
    }


async def test_the_next_address_is_tried_when_one_takes_no_connection(who: Identity):
    """All of them were checked before."""
    async with host(saying(OK), who, ALLOWED) as found:
        fetcher = GuardedFetcher(
            local=False,
            networks=[ip_network("127.0.0.2/31")],
            resolve=names(["127.0.0.3", ALLOWED]),
            trust=who.trusted(),
        )
        got = await fetcher.get(f"https://{NAME}:{found.port}/", by_operator=True)
    assert got.body == b'{"keys":[]}'


@pytest.mark.parametrize("url", ["http://localhost:{port}/", "http://127.0.0.1:{port}/", "http://127.1:{port}"])
async def test_an_issuer_that_only_this_machine_reaches_may_fetch_from_it(url: str):
    """For development, where nobody has a certificate."""
    async with host(saying(OK)) as found:
        got = await GuardedFetcher(local=True).get(url.format(port=found.port), by_operator=False)
    assert got.body == b'{"keys":[]}'
    assert found.requests[0].startswith(b"GET / HTTP/1.1\r\n")


# Whom it never speaks to. Each URL names the one server that is there, and nobody comes to it.


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:{port}/",
        "https://localhost:{port}/",
        "https://LOCALHOST:{port}/",
        "https://127.1:{port}/",
        "https://2130706433:{port}/",
        "https://0x7f000001:{port}/",
        "https://017700000001:{port}/",
        "https://0.0.0.0:{port}/",
        "https://0:{port}/",
        "https://[::ffff:127.0.0.1]:{port}/",
        "https://[::ffff:7f00:1]:{port}/",
        "https://[::]:{port}/",
        "https://[::1]:{port}/",
        "http://127.0.0.1:{port}/",
        "http://localhost:{port}/",
    ],
)
@pytest.mark.parametrize("by_operator", [True, False])
async def test_this_machine_is_never_spoken_to_however_it_is_spelled(url: str, by_operator: bool):
    """With the system's own resolver: what it makes of the name is what is checked."""
    async with host(saying(OK), at="::" if "::1]" in url else "0.0.0.0") as victim:
        fetcher = GuardedFetcher(local=False, networks=LAN)
        with pytest.raises(FetchFailed, match="not a public address|not https"):
            await fetcher.get(url.format(port=victim.port), by_operator=by_operator)
    assert victim.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://{host}/",
        "gopher://{host}/",
        "//{host}/",
        "{host}",
        "https:{host}",
        "https:///{host}",
        "https://user@{host}/",
        "https://user:secret@{host}/",
        "https://keys.example\\@{host}/",
        "https://keys.example@{host}/",
        "https://{host}\\@keys.example/",
        "https://{host}#keys.example",
        "https://{host}/#part",
        "https://{host}/ x",
        "https://{host}/\r\nX-Injected: yes",
        "https://{host}/\n",
        "https://127.0.0.1\t:80/",
        "https://ⓛocalhost/",
        "https://127。0。0。1/",
        "https://[::1%25lo]/",
        "https://[::1/",
        "https://127.0.0.1:0/",
        "https://127.0.0.1:99999/",
        "https://127.0.0.1:٤٤٣/",
        "https://127.0.0.1:/",
        "https://{host}/" + "a" * 2048,
        "",
    ],
)
async def test_a_url_that_parsers_disagree_on_is_refused_before_any_look_up(url: str):
    """User, fragment, backslash, white space, other schemes: neither a resolver nor a server hears of it."""

    async def asked(host: str, port: int) -> Sequence[str]:
        raise AssertionError(f"resolved {host}")

    async with host(saying(OK)) as victim:
        fetcher = GuardedFetcher(local=True, resolve=asked)
        with pytest.raises(FetchFailed, match="^not an http"):
            await fetcher.get(url.replace("{host}", f"127.0.0.1:{victim.port}"), by_operator=True)
    assert victim.connections == 0


async def test_a_name_that_answers_differently_the_second_time_is_not_asked_twice(who: Identity):
    """DNS rebinding: the connection goes to the address that was checked."""
    async with host(saying(OK), who, ALLOWED) as found, host(saying(OK), None, HERE, found.port) as victim:
        url = f"https://{NAME}:{found.port}/"
        fetcher = outside(who, [ALLOWED], [HERE])
        assert (await fetcher.get(url, by_operator=True)).body == b'{"keys":[]}'
        assert (found.connections, victim.connections) == (1, 0)
        with pytest.raises(FetchFailed, match="not a public address"):  # the next fetch asks again, and checks again
            await fetcher.get(url, by_operator=True)
    assert (found.connections, victim.connections) == (1, 0)


@pytest.mark.parametrize("order", [(ALLOWED, HERE), (HERE, ALLOWED)])
async def test_a_name_with_one_forbidden_address_is_refused_whole(who: Identity, order: tuple[str, str]):
    """Whichever comes first."""
    async with host(saying(OK), who, ALLOWED) as found:
        with pytest.raises(FetchFailed, match=f"at {HERE}, which is not a public address"):
            await outside(who, order).get(f"https://{NAME}:{found.port}/", by_operator=True)
    assert found.connections == 0


async def test_allowed_networks_are_for_what_an_operator_registered_only(who: Identity):
    """Whoever else names the same URL is refused."""
    async with host(saying(OK), who, ALLOWED) as found:
        url = f"https://{NAME}:{found.port}/"
        with pytest.raises(FetchFailed, match="not a public address"):
            await outside(who).get(url, by_operator=False)
        assert found.connections == 0
        assert await outside(who).get(url, by_operator=True)


async def test_http_is_refused_even_in_an_allowed_network(who: Identity):
    """Keys that came over an open line are anybody's."""
    async with host(saying(OK), None, ALLOWED) as found:
        with pytest.raises(FetchFailed, match="not https"):
            await outside(who).get(f"http://{NAME}:{found.port}/", by_operator=True)
    assert found.connections == 0


async def test_http_is_refused_for_others_than_this_machine_in_development_too():
    """A name with one address elsewhere is elsewhere."""
    async with host(saying(OK)) as found:
        for answer in (["93.184.215.14"], [HERE, "93.184.215.14"]):
            fetcher = GuardedFetcher(local=True, resolve=names(answer))
            with pytest.raises(FetchFailed, match="not https"):
                await fetcher.get(f"http://{NAME}:{found.port}/", by_operator=True)
    assert found.connections == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(who: Identity, status: int):
    """Not even to a good address."""
    async with host(saying(OK)) as victim:
        there = f"HTTP/1.1 {status} Elsewhere\r\nLocation: http://127.0.0.1:{victim.port}/\r\nContent-Length: 0\r\n\r\n"
        async with host(saying(there.encode()), who, ALLOWED) as found:
            with pytest.raises(FetchFailed, match=f"answered {status}"):
                await outside(who).get(f"https://{NAME}:{found.port}/", by_operator=True)
    assert victim.connections == 0


async def test_a_server_without_the_certificate_of_its_name_is_refused(who: Identity, tmp_path_factory):
    """Of another name, and of a stranger."""
    other = identity(tmp_path_factory.mktemp("other"), "other.example")
    stranger = identity(tmp_path_factory.mktemp("stranger"), NAME)
    for shown, trusted in ((other, other), (stranger, who)):
        async with host(saying(OK), shown, ALLOWED) as found:
            with pytest.raises(FetchFailed, match="certificate"):
                await outside(trusted).get(f"https://{NAME}:{found.port}/", by_operator=True)
        assert found.requests == []


async def test_nothing_of_the_environment_is_used(who: Identity, monkeypatch: pytest.MonkeyPatch, tmp_path):
    """No proxy, and no password that somebody keeps for this host."""
    (tmp_path / "netrc").write_text(f"machine {NAME} login x password y\ndefault login x password y\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with host(nothing) as proxy, host(saying(OK), who, ALLOWED) as found:
        for variable in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
        assert await outside(who).get(f"https://{NAME}:{found.port}/", by_operator=True)
    assert proxy.connections == 0
    assert b"authorization" not in found.requests[0].lower()


# What it does not swallow.

HEAD = b"HTTP/1.1 200 OK\r\n"


LONG, PIECE, CHUNK = f"more than {LIMIT} bytes", b"x" * 65536, b"1000\r\n" + b"x" * 4096 + b"\r\n"
BOMB = gzip.compress(bytes(10**7))

# fmt: off
BAD_ANSWERS: list[tuple[str, Say, str]] = [
    ("an endless body",        without_end(HEAD + b"\r\n", PIECE),                                      LONG),
    ("a body a byte too long", saying(HEAD + b"\r\n" + b"x" * (LIMIT + 1)),                             LONG),
    ("a length of terabytes",  without_end(HEAD + b"Content-Length: 9999999999999\r\n\r\n", PIECE),     LONG),
    ("endless chunks",         without_end(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", CHUNK),        LONG),
    ("endless headers",        without_end(HEAD, b"X-Header: " + b"x" * 4096 + b"\r\n"),                "failed"),
    ("a bomb",                 saying(HEAD + b"Content-Encoding: gzip\r\n\r\n" + BOMB),                   "encoding"),
    ("no HTTP",                saying(b"SSH-2.0-OpenSSH_9.9\r\n"),                                      "failed"),
    ("half a body",            saying(HEAD + b"Content-Length: 100\r\n\r\n{}"),                         "failed"),
    ("an error",               saying(b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\n{}"),               "answered 500"),
    ("a part",                 saying(b"HTTP/1.1 206 Part\r\nContent-Length: 2\r\n\r\n{}"),             "answered 206"),
    ("nothing at all",         saying(b""),                                                             "failed"),
]
# fmt: on


@pytest.mark.parametrize(("say", "said"), [row[1:] for row in BAD_ANSWERS], ids=[row[0] for row in BAD_ANSWERS])
async def test_a_bad_answer_is_one_refusal(who: Identity, say: Say, said: str):
    """Whatever comes, it is FetchFailed, soon, and after a bounded number of bytes."""
    async with host(say, who, ALLOWED) as found:
        start = time.monotonic()
        with pytest.raises(FetchFailed, match=said):
            await outside(who).get(f"https://{NAME}:{found.port}/jwks?secret=x", by_operator=True)
        assert time.monotonic() - start < 3


async def test_a_smaller_cap_can_be_asked_for(who: Identity):
    """5 KiB for metadata documents: that many bytes come, and not one more."""
    async with host(saying(HEAD + b"\r\n" + b"x" * 5120), who, ALLOWED) as found:
        url = f"https://{NAME}:{found.port}/"
        assert len((await outside(who).get(url, by_operator=True, limit=5120)).body) == 5120
        with pytest.raises(FetchFailed, match="more than 5119 bytes"):
            await outside(who).get(url, by_operator=True, limit=5119)


# fmt: off
SLOW: list[tuple[str, Say]] = [
    ("no answer",             nothing),
    ("a byte at a time",      without_end(HEAD + b"\r\n", b"x", 0.02)),
    ("a header at a time",    without_end(HEAD, b"X: y\r\n", 0.02)),
]
# fmt: on


@pytest.mark.parametrize("say", [row[1] for row in SLOW], ids=[row[0] for row in SLOW])
async def test_a_slow_answer_ends_with_its_time(who: Identity, say: Say):
    """However busy it looks: the seconds are for the whole."""
    async with host(say, who, ALLOWED) as found:
        start = time.monotonic()
        with pytest.raises(FetchFailed, match="did not answer within 0.4 s"):
            await outside(who, within=0.4).get(f"https://{NAME}:{found.port}/", by_operator=True)
        assert time.monotonic() - start < 1.5
    assert WITHIN == 5.0


async def test_a_slow_handshake_and_a_slow_name_end_with_the_time_too(who: Identity):
    """It counts from the first look-up on."""

    async def never(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        raise AssertionError

    async with host(nothing, None, ALLOWED) as found:
        url = f"https://{NAME}:{found.port}/"
        for fetcher in (
            outside(who, within=0.3),
            GuardedFetcher(local=False, resolve=never, trust=who.trusted(), within=0.3),
        ):
            with pytest.raises(FetchFailed, match="did not answer within 0.3 s"):
                await fetcher.get(url, by_operator=True)


async def test_only_so_many_are_under_way_at_once():
    """The others wait their turn."""
    under_way, most, gate = 0, 0, asyncio.Event()

    async def slowly(host: str, port: int) -> Sequence[str]:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await gate.wait()
        under_way -= 1
        return [HERE]

    fetcher = GuardedFetcher(local=False, resolve=slowly)
    asked = [asyncio.create_task(fetcher.get(f"https://{NAME}/", by_operator=True)) for _ in range(AT_ONCE + 8)]
    for _ in range(100):
        await asyncio.sleep(0)  # a turn of the loop for each task that could go on
    assert under_way == AT_ONCE
    gate.set()
    assert {type(error) for error in await asyncio.gather(*asked, return_exceptions=True)} == {FetchFailed}
    assert most == AT_ONCE


@pytest.mark.parametrize("answer", [[], ["no address"]])
async def test_a_name_without_an_address_is_refused(who: Identity, answer: list[str]):
    """Nothing to check is nothing that passed."""
    with pytest.raises(FetchFailed, match="name"):
        await outside(who, answer).get(f"https://{NAME}/", by_operator=True)


async def test_a_name_that_does_not_exist_is_refused():
    """By the system's own resolver."""
    with pytest.raises(FetchFailed, match="cannot be resolved"):
        await GuardedFetcher(local=False).get("https://no-such-host.invalid/", by_operator=True)


async def test_a_message_never_shows_a_query(who: Identity):
    """Somebody may have put a secret there, and messages go to logs."""
    with pytest.raises(FetchFailed) as refused:
        await outside(who, [HERE]).get(f"https://{NAME}/jwks?key=hush", by_operator=True)
    assert "hush" not in str(refused.value)
    assert f"https://{NAME}/jwks" in str(refused.value)


# What it brings.

TOKEN = {"logout_token": "a.b.c", "x": "é &="}
TAKEN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"


async def test_a_form_is_brought_to_the_name_over_a_checked_address(who: Identity):
    """As a browser would send it, and nothing besides."""
    async with host(saying(TAKEN), who, ALLOWED) as found:
        await outside(who).post(f"https://{NAME}:{found.port}/told?of=logout", TOKEN, by_operator=True)
    assert found.names == [NAME]
    (request,) = found.requests
    line, *headers = request.decode().lower().strip().split("\r\n")
    assert line == "post /told?of=logout http/1.1"
    assert dict(header.split(": ", 1) for header in headers) == {
        "host": f"{NAME}:{found.port}",
        "user-agent": "watchword",
        "accept": "application/json, */*;q=0.1",
        "accept-encoding": "identity",
        "connection": "keep-alive",
        "content-type": "application/x-www-form-urlencoded",
        "content-length": str(len("logout_token=a.b.c&x=%C3%A9+%26%3D")),
    }


@pytest.mark.parametrize("status", [200, 204])
async def test_it_is_taken_when_that_is_said(who: Identity, status: int):
    """And of what else is said, nothing is read: an endless answer ends with its head."""
    say = without_end(f"HTTP/1.1 {status} Yes\r\n\r\n".encode(), PIECE)
    async with host(say, who, ALLOWED) as found:
        await outside(who).post(f"https://{NAME}:{found.port}/", TOKEN, by_operator=True)


@pytest.mark.parametrize("status", [100, 201, 202, 206, 301, 302, 303, 307, 308, 400, 401, 404, 429, 500, 503])
async def test_any_other_answer_is_a_refusal_in_our_words(who: Identity, status: int):
    """No redirect is followed, and nothing that the other side says gets into the message."""
    async with host(saying(OK)) as victim:
        lines = f"HTTP/1.1 {status} HUSH\r\nLocation: http://127.0.0.1:{victim.port}/\r\nContent-Length: 4\r\n\r\nHUSH"
        async with host(saying(lines.encode()), who, ALLOWED) as found:
            with pytest.raises(FetchFailed) as refused:
                await outside(who, within=1).post(f"https://{NAME}:{found.port}/?q=HUSH", TOKEN, by_operator=True)
    assert "HUSH" not in str(refused.value)
    assert victim.connections == 0


@pytest.mark.parametrize("say", [saying(b"SSH-2.0-HUSH\r\n\r\n"), saying(b""), without_end(HEAD, b"X: HUSH\r\n")])
async def test_what_is_no_answer_is_a_refusal_in_our_words(who: Identity, say: Say):
    """Whatever comes, and soon."""
    async with host(say, who, ALLOWED) as found:
        with pytest.raises(FetchFailed) as refused:
            await outside(who, within=2).post(f"https://{NAME}:{found.port}/", TOKEN, by_operator=True)
    assert "HUSH" not in str(refused.value)


async def test_nothing_is_brought_to_where_nothing_is_fetched_from(who: Identity):
    """The same checks: addresses, allowed networks, https, certificates, time."""
    async with host(saying(TAKEN), who, ALLOWED) as found:
        url = f"https://{NAME}:{found.port}/"
        # fmt: off
        refused = [
            (outside(who),                     url,                                      False, "not a public address"),
            (outside(who, [HERE]),             url,                                      True,  "not a public address"),
            (outside(who, [ALLOWED, HERE]),    url,                                      True,  "not a public address"),
            (outside(who),                     f"http://{NAME}:{found.port}/",           True,  "not https"),
            (GuardedFetcher(local=False),      f"https://localhost:{found.port}/",       True,  "not a public address"),
            (outside(who),                     f"https://user@{NAME}:{found.port}/",     True,  "not an http"),
        ]
        # fmt: on
        for fetcher, where, by_operator, why in refused:
            with pytest.raises(FetchFailed, match=why):
                await fetcher.post(where, TOKEN, by_operator=by_operator)
        assert found.connections == 0
        with pytest.raises(FetchFailed, match="certificate"):
            await GuardedFetcher(local=False, networks=LAN, resolve=names([ALLOWED])).post(url, TOKEN, by_operator=True)
        assert found.requests == []
    async with host(nothing, who, ALLOWED) as found:
        with pytest.raises(FetchFailed, match="did not answer within 0.3 s"):
            await outside(who, within=0.3).post(f"https://{NAME}:{found.port}/", TOKEN, by_operator=True)


async def test_who_is_slow_to_take_a_form_keeps_no_fetch_waiting(who: Identity):
    """They have turns of their own."""
    async with host(nothing, who, ALLOWED) as slow, host(saying(OK), who, ALLOWED) as quick:
        fetcher = outside(who)
        there = f"https://{NAME}:{slow.port}/"
        under_way = [asyncio.create_task(fetcher.post(there, TOKEN, by_operator=True)) for _ in range(AT_ONCE + 8)]
        async with asyncio.timeout(5):
            while slow.connections < AT_ONCE + 8:
                await asyncio.sleep(0.01)
        async with asyncio.timeout(2):
            await fetcher.get(f"https://{NAME}:{quick.port}/", by_operator=True)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


# Addresses.


@pytest.mark.parametrize(
    "text",
    [
        *(
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.9.9.9",
        ),
        *("168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1"),
        *("192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255"),
        *(
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::8.8.8.8",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
        ),
        *("64:ff9b::127.0.0.1", "64:ff9b::8.8.8.8", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:4136:e378::1"),
        *("2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::1", "3fff::1", "5f00::1"),
        *("fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%lo", "fec0::1", "ff02::1", "ff0e::1"),
    ],
)
def test_an_address_that_is_not_public_is_known(text: str):
    """Private, shared, link-local, multicast, documentation; and whatever carries an IPv4 address within."""
    assert not is_public(address(text))


@pytest.mark.parametrize(
    "text",
    [
        *("1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "93.184.215.14", "100.63.255.255", "100.128.0.0"),
        *("126.255.255.255", "128.0.0.1", "169.253.255.255", "172.15.255.255", "172.32.0.0", "192.167.255.255"),
        *("198.17.255.255", "198.20.0.0", "223.255.255.255", "2001:200::1", "2606:4700::1111", "2a00:1450::1"),
    ],
)
def test_an_address_of_the_internet_at_large_is_public(text: str):
    """Up to the neighbours of what is not."""
    assert is_public(address(text))


@given(st.integers(0, 2**32 - 1).map(IPv4Address) | st.integers(0, 2**128 - 1).map(IPv6Address))
def test_nothing_is_public_that_the_standard_library_calls_private(one: IPv4Address | IPv6Address):
    """Another list, kept by others."""
    assert not is_public(one) or (one.is_global and not one.is_multicast)


def test_a_host_counts_who_comes(who: Identity):
    """The tests above would notice a connection."""

    async def count() -> Host:
        async with host(nothing) as found:
            _, writer = await asyncio.open_connection("127.0.0.1", found.port)
            while not found.connections:
                await asyncio.sleep(0.01)
            writer.close()
        return found

    assert asyncio.run(count()).connections == 1
