"""Each line of the list of server-side request forgery, against every URL that the issuer fetches for somebody.

127.0.0.2 plays the internet at large: a fetcher that may go there, and nowhere else on this machine, is at work behind
every row. What a server there redirects to, or a name leads to, is 127.0.0.1: there nobody must ever come.
"""

from __future__ import annotations

import asyncio
import gzip
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any, Final

import pytest
import pytest_asyncio

from tests.attacks.fetching import TABLE, Fetching, acts, around
from tests.server.adapters.hosts import Host, Identity, Say, host, identity, nothing, saying, without_end
from tests.server.flows.house import opened
from watchword_server.adapters.fetch import WITHIN, GuardedFetcher, Resolve
from watchword_server.flows.issuer import Issuer
from watchword_server.ports import Fetched

NAME: Final = "app.example"
INTERNET, HERE = "127.0.0.2", "127.0.0.1"
SOON: Final = 0.6
"""Seconds of the fetchers of most tests here; that of every other one has WITHIN."""
SLACK: Final = 4.0
"""Seconds that a busy machine may take longer."""
PATH: Final = "/.well-known/x"

pytestmark = pytest.mark.asyncio(loop_scope="module")
EVERY = pytest.mark.parametrize("row", TABLE, ids=[row.name for row in TABLE])


@dataclass
class Errand:
    """A fetcher to the internet of these tests, whoever named the URL; and how long each errand took."""

    inner: GuardedFetcher
    took: list[float] = field(default_factory=list)
    under_way: int = 0

    async def get(self, url: str, *, by_operator: bool, limit: int = 64 * 1024) -> Fetched:
        """What `Fetcher` promises."""
        async with self._timed():
            return await self.inner.get(url, by_operator=True, limit=limit)

    async def post(self, url: str, form: Mapping[str, str], *, by_operator: bool) -> None:
        """What `Fetcher` promises."""
        async with self._timed():
            await self.inner.post(url, form, by_operator=True)

    @asynccontextmanager
    async def _timed(self) -> AsyncIterator[None]:
        began, self.under_way = time.monotonic(), self.under_way + 1
        try:
            yield
        finally:
            self.took.append(time.monotonic() - began)
            self.under_way -= 1

    async def ended(self) -> None:
        """All of it, also what nobody waits for any more."""
        async with asyncio.timeout(WITHIN + SLACK):
            while self.under_way:
                await asyncio.sleep(0.01)


class Connections:
    """Every address that this process connects a socket to while it watches."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.watches = False
        sys.addaudithook(self._heard)  # which cannot be taken back, so that it rests in between

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.watches and event == "socket.connect":
            self.seen.append(arguments[1])


@pytest.fixture(scope="module")
def connections() -> Connections:
    """One for all tests."""
    return Connections()


@pytest.fixture
def watched(connections: Connections) -> Iterator[list[Any]]:
    """What is connected to in this test."""
    connections.seen.clear()
    connections.watches = True
    yield connections.seen
    connections.watches = False


@pytest.fixture(scope="module")
def who(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    """What the server of NAME shows."""
    return identity(tmp_path_factory.mktemp("identity"), NAME)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def issuer(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Issuer]:
    """One deployment for all these tests."""
    async with opened(tmp_path_factory.mktemp("data")) as found:
        yield found


def names(*answers: Sequence[str]) -> Resolve:
    """A resolver: one answer after the other, and the last one again and again."""
    left = list(answers)

    async def resolve(host: str, port: int) -> Sequence[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve


def outside(who: Identity, *answers: Sequence[str], within: float = SOON) -> Errand:
    """What fetches from the internet of these tests."""
    return Errand(
        GuardedFetcher(
            local=False,
            networks=[ip_network(f"{INTERNET}/32")],
            resolve=names(*(answers or ([INTERNET],))),
            trust=who.trusted(),
            within=within,
        )
    )


async def got(row: Fetching, issuer: Issuer, fetcher: Errand, url: str) -> bool:
    """Whether the issuer got something for this row; afterwards nothing is under way."""
    found = await row.act(around(issuer, fetcher, url), url)
    await fetcher.ended()
    return found


def whole(body: bytes, kind: str = "application/json") -> bytes:
    """A good answer."""
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


# --- that it would be noticed


@asynccontextmanager
async def good(row: Fetching, who: Identity, length: int = 0) -> AsyncIterator[tuple[Host, str]]:
    """A server with what would be a good answer, padded to a length (bytes); and the URL of that."""
    answer: list[bytes] = []

    async def say(writer: asyncio.StreamWriter) -> None:
        await saying(answer[0])(writer)

    async with host(say, who, INTERNET) as server:
        url = f"https://{NAME}:{server.port}{PATH}"
        answer.append(whole(row.document(url).ljust(length)))
        yield server, url


@EVERY
async def test_a_good_server_is_asked_once_and_believed(row: Fetching, issuer: Issuer, who: Identity) -> None:
    """Else nothing below would mean anything."""
    async with good(row, who) as (server, url):
        assert await got(row, issuer, outside(who, within=WITHIN), url)
    assert len(server.requests) == 1
    assert server.names == [NAME]


@dataclass
class Notes:
    """A fetcher that fetches nothing, and notes whose word is behind a URL."""

    by_operator: list[bool] = field(default_factory=list)

    async def get(self, url: str, *, by_operator: bool, limit: int = 64 * 1024) -> Fetched:
        """What `Fetcher` promises."""
        self.by_operator.append(by_operator)
        return Fetched(b"")

    async def post(self, url: str, form: Mapping[str, str], *, by_operator: bool) -> None:
        """What `Fetcher` promises."""
        self.by_operator.append(by_operator)


@EVERY
async def test_an_operators_networks_are_not_for_what_a_stranger_has_named(row: Fetching, issuer: Issuer) -> None:
    """`fetch.allowed_networks` counts for clients that an operator registered, and for nobody else."""
    for registered_by_operator in (False, True):
        notes, url = Notes(), f"https://{NAME}{PATH}"
        await acts(registered_by_operator)[row.name](around(issuer, notes, url), url)
        always_a_strangers = row.name == "metadata document"
        assert notes.by_operator == [row.excused or (registered_by_operator and not always_a_strangers)]


# --- where nobody goes

# fmt: off
PRIVATE: Final = (
    "0.0.0.0", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.1.2.3", "168.63.129.16",
    "169.254.169.254", "172.16.0.1", "192.0.0.1", "192.168.1.1", "198.18.0.1", "224.0.0.1", "255.255.255.255",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:0:4136:e378:8000:63bf:80ff:fffe", "fc00::1",
    "fd00:ec2::254", "fe80::1", "fe80::1%lo", "ff02::1",
)
"""Private, loopback, link-local, a carrier's, mapped, 6to4, NAT64, Teredo, multicast."""
UNFETCHED: Final = (
    "http://{public}/x", "file:///etc/passwd", "ftp://{public}/x", "gopher://{public}/_x", "data:application/json,{{}}",
    "dict://{public}/x", "ldap://{public}/x", "jar:https://{public}/x", "//{public}/x", "https:/{public}/x",
    "https://user@{public}/x", "https://user:secret@{public}/x", "https://{public}@127.0.0.1/x",
    "https://{public}\\@127.0.0.1/x", "https://127.0.0.1#@{public}/x", "https://{public}:0/x", "https://{public}:65536/x",
    "https://127.0.0.1/x", "https://127.1/x", "https://2130706433/x", "https://0x7f.1/x", "https://017700000001/x",
    "https://[::1]/x", "https://[::ffff:127.0.0.1]/x", "https://[::ffff:7f00:1]/x", "https://[fe80::1%25lo]/x",
    "https://localhost/x", "https://LOCALHOST./x", "https://①②⑦.0.0.1/x", "https://127。0。0。1/x", "",
)
"""Other schemes, users, wrong ports, and this machine in other spellings."""
# fmt: on


@EVERY
async def test_a_name_that_leads_inside_is_refused_and_nothing_connected(
    row: Fetching, issuer: Issuer, who: Identity, watched: list[Any]
) -> None:
    """Alone, or beside an address that would do, whichever comes first."""
    url = f"https://{NAME}{PATH}"
    for one in PRIVATE:
        for answer in ([one], [INTERNET, one], [one, INTERNET]):
            assert not await got(row, issuer, outside(who, answer), url), answer
    assert watched == []


@EVERY
async def test_what_is_no_url_of_the_web_is_refused_and_nothing_connected(
    row: Fetching, issuer: Issuer, who: Identity, watched: list[Any]
) -> None:
    """By the system's own resolver: what it makes of a spelling is what counts."""
    for form in UNFETCHED:
        url = form.format(public=f"{NAME}:8443") if "{public}:" not in form else form.format(public=NAME)
        fetcher = Errand(GuardedFetcher(local=False, trust=who.trusted(), within=SOON))
        assert not await got(row, issuer, fetcher, url), url
    assert watched == []


@EVERY
async def test_a_name_that_changes_its_mind_leads_nowhere_else(row: Fetching, issuer: Issuer, who: Identity) -> None:
    """DNS rebinding: outside when it is looked at, inside when it is connected to. It is looked up once."""
    async with (
        host(saying(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"), who, INTERNET) as server,
        host(saying(b""), None, HERE, server.port) as victim,
    ):
        url = f"https://{NAME}:{server.port}{PATH}"
        assert not await got(row, issuer, outside(who, [INTERNET], [HERE], within=WITHIN), url)
        assert not await got(row, issuer, outside(who, [HERE], [INTERNET], within=WITHIN), url)
    assert server.connections == 1
    assert victim.connections == 0


@EVERY
async def test_a_redirect_leads_nowhere(row: Fetching, issuer: Issuer, who: Identity) -> None:
    """Neither inside nor to where it would be welcome; in a header, or in a page."""
    async with host(saying(b"")) as victim:
        inside = f"{HERE}:{victim.port}"
        for status, there in ((301, f"http://{inside}/"), (302, f"//{inside}/"), (303, "file:///etc/passwd"),
                              (307, "/elsewhere"), (308, f"https://{inside}/")):  # fmt: skip
            moved = f"Location: {there}\r\nRefresh: 0; url={there}\r\nContent-Length: 0\r\n\r\n"
            async with host(saying(f"HTTP/1.1 {status} There\r\n{moved}".encode()), who, INTERNET) as server:
                url = f"https://{NAME}:{server.port}{PATH}"
                assert not await got(row, issuer, outside(who, within=WITHIN), url)
                assert len(server.requests) == 1
    assert victim.connections == 0


# --- what nobody swallows, or waits for

HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
PIECE, CHUNK = b" " * 65536, b"1000\r\n" + b" " * 4096 + b"\r\n"
FLOODS: Final[Mapping[str, Say]] = {
    "a body without end": without_end(HEAD + b"\r\n", PIECE),
    "a length of terabytes": without_end(HEAD + b"Content-Length: 9999999999999\r\n\r\n", PIECE),
    "chunks without end": without_end(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", CHUNK),
    "a bomb": saying(HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(bytes(10**7))),
    "a bomb in another coat": saying(HEAD + b"Content-Encoding: br, gzip\r\n\r\n" + gzip.compress(bytes(10**7))),
}
HEADERS_WITHOUT_END: Final = without_end(HEAD, b"X-Header: " + b"x" * 4096 + b"\r\n")
STALLS: Final[Mapping[str, tuple[Say, bool]]] = {
    "no handshake": (nothing, False),
    "no answer": (nothing, True),
    "headers by the letter": (without_end(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x", 0.05), True),
    "many small headers": (without_end(b"HTTP/1.1 200 OK\r\n", b"X-Slow: x\r\n", 0.05), True),
    "a body by the byte": (without_end(HEAD + b"Content-Length: 9999\r\n\r\n", b" ", 0.05), True),
    "no body": (without_end(HEAD + b"Content-Length: 9999\r\n\r\n", b"", 0.05), True),
}
"""What a server does, and whether it has shown its certificate before."""


@EVERY
@pytest.mark.parametrize("flood", FLOODS)
async def test_no_flood_is_swallowed(row: Fetching, flood: str, issuer: Issuer, who: Identity) -> None:
    """Of an answer without end little is read, and nothing unpacked; where no answer matters, none of it is read."""
    async with host(FLOODS[flood], who, INTERNET) as server:
        fetcher = outside(who, within=WITHIN)
        found = await got(row, issuer, fetcher, f"https://{NAME}:{server.port}{PATH}")
        assert found is not row.reads
    assert len(server.requests) == 1
    assert max(fetcher.took) < WITHIN


@EVERY
async def test_a_byte_too_many_is_too_many(row: Fetching, issuer: Issuer, who: Identity) -> None:
    """64 KiB, and 5 KiB for a metadata document: so much and no more, though it would be a good answer."""
    for length in (row.limit, row.limit + 1):
        async with good(row, who, length) as (_, url):
            found = await got(row, issuer, outside(who, within=WITHIN), url)
        assert found is (length == row.limit or not row.reads)


@EVERY
async def test_headers_have_an_end(row: Fetching, issuer: Issuer, who: Identity) -> None:
    """Whatever they are of, and before the time is over."""
    async with host(HEADERS_WITHOUT_END, who, INTERNET) as server:
        fetcher = outside(who, within=WITHIN)
        assert not await got(row, issuer, fetcher, f"https://{NAME}:{server.port}{PATH}")
    assert max(fetcher.took) < WITHIN


@pytest.mark.parametrize("stall", STALLS)
async def test_nobody_waits_for_a_server_that_stalls(stall: str, issuer: Issuer, who: Identity) -> None:
    """All rows at once; each gives up when its time is over, and what is asked of the issuer has an answer by then."""
    await all_at_once(stall, issuer, who, SOON)


@pytest.mark.fault
async def test_five_seconds_are_five_seconds(issuer: Issuer, who: Identity) -> None:
    """With the time that a deployment has, every way to stall against every URL."""
    took = await asyncio.gather(*(all_at_once(stall, issuer, who, WITHIN) for stall in STALLS))
    print(f"\n{len(STALLS)} stalls, {len(TABLE)} URLs: the longest took {max(took):.2f} s of {WITHIN:g}")


async def all_at_once(stall: str, issuer: Issuer, who: Identity, within: float) -> float:
    """Every row against a server that stalls. How long the longest of them took, in seconds."""
    say, by_tls = STALLS[stall]
    async with host(say, who if by_tls else None, INTERNET) as server:
        fetchers = [outside(who, within=within) for _ in TABLE]
        url = f"https://{NAME}:{server.port}{PATH}"
        begun = zip(TABLE, fetchers, strict=True)
        found = await asyncio.gather(*(got(row, issuer, fetcher, url) for row, fetcher in begun))
    # Who only brings something has brought it when a good answer begins.
    begins = stall in ("a body by the byte", "no body")
    assert found == [begins and not row.reads for row in TABLE]
    took = [max(fetcher.took) for fetcher in fetchers]
    assert max(took) < within + SLACK
    assert all(one >= within * 0.9 for one, done in zip(took, found, strict=True) if not done)
    return max(took)
