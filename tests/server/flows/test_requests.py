"""What a client asks for, wherever it stands: told by itself, signed, referred to, or pushed beforehand."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from msgspec import structs

from tests.server.adapters.hosts import Identity, host, identity, nothing, saying, without_end
from tests.server.flows.house import AUDIENCE, BY, NOW, SCOPES, URL, House, Program
from tests.server.flows.key_sets import soon
from tests.server.request_objects import ASKS, CALLBACK, claims, key, signed, unsigned
from watchword.jose.jwk import SigningKey
from watchword_server.adapters.fetch import GuardedFetcher
from watchword_server.changes import ReplaceClient, SetClientDisabled
from watchword_server.flows import clients
from watchword_server.flows.client_keys import ClientKeys
from watchword_server.flows.pushed import WAITS, Pushed, push
from watchword_server.flows.references import References
from watchword_server.flows.requests import PUSHED, Resolved, resolved
from watchword_server.ports import Fetched, Fetcher, FetchFailed
from watchword_server.protocol.authorization import Asked
from watchword_server.protocol.errors import (
    InvalidClient,
    InvalidRequest,
    InvalidRequestObject,
    InvalidRequestUri,
    InvalidScope,
    OAuthError,
    RequestNotSupported,
    RequestUriNotSupported,
    UnsupportedResponseType,
)
from watchword_server.protocol.values import Client, ClientMetadata

KEY, RSA, THIEF = key(), key("RS256"), key()
REFERENCE = "https://app.example/request.jwt"
GRANTS = frozenset({"authorization_code", "refresh_token"})
FORM = {**ASKS, "state": "outside"}


@dataclass(frozen=True)
class App:
    """A client with what it needs to ask."""

    house: House
    program: Program

    async def client(self) -> Client:
        """As it is now."""
        found = await self.house.issuer.stores.clients.find(self.program.client_id)
        assert found is not None
        return found

    def object(self, by: SigningKey = KEY, **changes: object) -> str:
        """A request object."""
        return signed(by, claims(self.program.client_id, URL, NOW, **changes))

    async def push(self, form: Mapping[str, str] = FORM, now: int = NOW) -> Pushed:
        """`POST /par`."""
        whole = dict(form)
        if self.program.secret is None:
            whole = {"client_id": self.program.client_id, **whole}
        return await push(self.house.issuer, self.program.authorization, whole, now)

    async def resolve(self, now: int = NOW, issuer: Any = None, **values: str) -> Resolved:
        """What is asked at the authorization endpoint."""
        whole = {"client_id": self.program.client_id, **values}
        return await resolved(issuer or self.house.issuer, await self.client(), Asked(whole), now)


async def app(house: House, kind: str = "public", **metadata: object) -> App:
    """A new client; its keys are registered unless something else is said."""
    told = {"jwks": {"keys": [KEY.public_jwk(), RSA.public_jwk()]}, **metadata}
    new = clients.NewClient(
        "App", kind, GRANTS, {AUDIENCE: SCOPES}, redirect_uris=(CALLBACK,), metadata=ClientMetadata(**told)
    )
    added, secret = await clients.add(house.issuer, BY, new, NOW)
    return App(house, Program(added.client_id, secret))


def refused(found: Resolved, kind: type[OAuthError]) -> None:
    """That it was refused, and what stands outside is all that is left."""
    assert type(found.error) is kind, found
    assert found.asked.values.get("state") in (None, "outside")


# Signed.


async def test_a_request_without_an_object_is_as_it_stands(house: House):
    """And one of nobody, or of a disabled client, is left to whoever refuses it."""
    one = await app(house)
    assert await one.resolve(**FORM) == (Asked({"client_id": one.program.client_id, **FORM}), None)
    asked = Asked({"client_id": "x", "request": "y"}, frozenset({"client_id"}))
    assert await resolved(house.issuer, None, asked, NOW) == (asked, None)
    await house.issuer.stores.journal.save(SetClientDisabled(one.program.client_id, NOW))
    assert (await one.resolve(request="y")).error is None


async def test_inside_wins_and_nothing_outside_counts(house: House):
    """RFC 9101 §6.3: not even where the object is silent."""
    one = await app(house)
    inside = one.object(nonce=...)
    found = await one.resolve(
        request=inside, state="outside", nonce="outside", prompt="none", redirect_uri="https://evil.example"
    )
    assert found == (Asked({**ASKS, "client_id": one.program.client_id}), None)


@pytest.mark.parametrize("by", [KEY, RSA])
async def test_any_of_its_keys_will_do_where_it_has_not_said_which(house: House, by: SigningKey):
    """And only the registered algorithm where it has."""
    one, fixed = await app(house), await app(house, request_object_signing_alg="RS256")
    assert (await one.resolve(request=one.object(by))).error is None
    found = await fixed.resolve(request=fixed.object(by), **FORM)
    assert (type(found.error) is InvalidRequestObject) == (by is KEY)


async def test_what_another_has_signed_or_nobody_is_refused_and_nothing_of_it_believed(house: House):
    """What stands outside is all that is left then."""
    one, other = await app(house), await app(house, jwks={"keys": [THIEF.public_jwk()]})
    stolen = {"state": "inside", "redirect_uri": "https://evil.example"}
    own = claims(one.program.client_id, URL, NOW, **stolen)
    for text in (
        unsigned(own),
        one.object(THIEF, **stolen),
        signed(KEY, {**own, "aud": "x"}),
        "x",
        other.object(THIEF),
    ):
        found = await one.resolve(request=text, **FORM)
        refused(found, InvalidRequestObject)
        assert found.asked.values["redirect_uri"] == CALLBACK


async def test_a_client_without_keys_signs_nothing(house: House):
    """It is told that this is not for it (OpenID Connect Core §3.1.2.6)."""
    one = await app(house, jwks=None)
    refused(await one.resolve(request=one.object(), **FORM), RequestNotSupported)
    refused(await one.resolve(request=unsigned({}), **FORM), RequestNotSupported)
    refused(await one.resolve(request_uri=REFERENCE, **FORM), RequestUriNotSupported)


@pytest.mark.parametrize(
    ("values", "repeated"),
    [
        ({"request": "a", "request_uri": REFERENCE}, ()),
        ({"request": "a", "request_uri": PUSHED + "a" * 43}, ()),
        ({"request": "a"}, ("request",)),
        ({"request": "a"}, ("state",)),
        ({"request_uri": REFERENCE}, ("request_uri",)),
        ({"request_uri": PUSHED + "a" * 43}, ("client_id",)),
    ],
)
async def test_two_ways_at_once_are_none(house: House, values: dict[str, str], repeated: tuple[str, ...]):
    """RFC 9101 §5, RFC 6749 §3.1."""
    one = await app(house, request_uris=(REFERENCE,))
    asked = Asked({"client_id": one.program.client_id, **values}, frozenset(repeated))
    found = await resolved(house.issuer, await one.client(), asked, NOW)
    assert type(found.error) is InvalidRequest
    assert found.asked == asked


async def test_a_client_that_has_to_sign_is_refused_unless_it_does(house: House):
    """RFC 9101 §10.5: by value, by reference or pushed; and with an end to it."""
    one = await app(house, require_signed_request_object=True)
    refused(await one.resolve(**FORM), InvalidRequest)
    refused(await one.resolve(request=one.object(exp=...), **FORM), InvalidRequestObject)
    assert (await one.resolve(request=one.object())).error is None
    with pytest.raises(InvalidRequest):
        await one.push()
    pushed = await one.push({"request": one.object()})
    assert (await one.resolve(request_uri=pushed.request_uri)).asked.values["state"] == "inside"


# Pushed.


async def test_a_pushed_request_is_found_once_by_its_client(house: House):
    """RFC 9126 §4: all of it comes from there, and what stands outside is ignored."""
    one = await app(house)
    pushed = await one.push()
    assert pushed.expires_in == WAITS == 60
    assert pushed.request_uri.startswith(PUSHED)
    found = await one.resolve(request_uri=pushed.request_uri, scope="openid email", state="x", prompt="none")
    assert found == (Asked({**FORM, "client_id": one.program.client_id}), None)
    refused(await one.resolve(request_uri=pushed.request_uri), InvalidRequestUri)


async def test_reused_expired_guessed_and_anothers_look_alike(house: House):
    """And whoever tries another client's does not use it up."""
    one, other = await app(house), await app(house)
    used, old, own = [(await one.push()).request_uri for _ in range(3)]
    assert (await one.resolve(request_uri=used)).error is None
    errors = [
        (await one.resolve(request_uri=used)).error,
        (await one.resolve(request_uri=old, now=NOW + WAITS)).error,
        (await other.resolve(request_uri=own)).error,
        *[
            (await one.resolve(request_uri=guess)).error
            for guess in (
                PUSHED,
                PUSHED + "a" * 43,
                own[:-1],
                own + "a",
                PUSHED + own[len(PUSHED) :].swapcase(),
                PUSHED + "\ud800" * 43,
            )
        ],
    ]
    assert {(type(error), str(error)) for error in errors} == {(InvalidRequestUri, str(errors[0]))}
    assert (await one.resolve(request_uri=own, now=NOW + WAITS - 1)).error is None


async def test_two_processes_take_a_pushed_request_once(house: House):
    """50 at once, in two nodes' views of the database: one gets it."""
    one = await app(house)
    reference = (await one.push()).request_uri
    async with house.another_process() as elsewhere:
        racers = [one.resolve(request_uri=reference, issuer=on) for on in (house.issuer, elsewhere.issuer) * 25]
        found = await asyncio.gather(*racers)
    assert [each.error for each in found].count(None) == 1
    assert {type(each.error) for each in found} == {type(None), InvalidRequestUri}


async def test_nothing_is_kept_that_opens_a_pushed_request_or_was_not_asked(house: House):
    """The reference by its hash; neither the client's secret nor what nobody reads."""
    one = await app(house, "confidential")
    form = {**FORM, "client_id": one.program.client_id, "client_secret": one.program.secret or "", "display": "popup"}
    pushed = await push(house.issuer, None, form, NOW)
    ((_, _, parameters, _),) = house.rows("SELECT * FROM pushed_requests")
    assert json.loads(parameters) == {**FORM, "client_id": one.program.client_id}
    everything = repr(house.everything())
    assert pushed.request_uri.removeprefix(PUSHED) not in everything
    assert (one.program.secret or "-") not in everything


async def test_an_object_may_be_pushed_and_is_opened_at_once(house: House):
    """RFC 9126 §3: by the time somebody comes with it, its own times no longer matter."""
    one = await app(house, "confidential")
    pushed = await one.push({"request": one.object(exp=NOW + 5), "state": "outside", "redirect_uri": "https://evil.x"})
    found = await one.resolve(request_uri=pushed.request_uri, now=NOW + 30)
    assert found == (Asked({**ASKS, "client_id": one.program.client_id}), None)


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"request_uri": PUSHED + "a" * 43}, InvalidRequest),
        ({"request_uri": REFERENCE}, InvalidRequest),
        ({"redirect_uri": "https://evil.example"}, InvalidRequest),
        ({"redirect_uri": ""}, InvalidRequest),
        ({"response_type": "token"}, UnsupportedResponseType),
        ({"code_challenge": ""}, InvalidRequest),
        ({"code_challenge_method": "plain"}, InvalidRequest),
        ({"scope": "a\x00b"}, InvalidScope),
        ({"prompt": "none login"}, InvalidRequest),
        ({"request": "x"}, InvalidRequestObject),
        ({"client_id": "other"}, InvalidClient),
        ({"client_secret": "x"}, InvalidClient),
    ],
)
async def test_what_the_authorization_endpoint_would_not_take_is_not_kept(
    house: House, changes: dict[str, str], refusal: type[OAuthError]
):
    """RFC 9126 §2.3: the client hears of it at once."""
    one = await app(house, request_uris=(REFERENCE,))
    form = {name: value for name, value in {**FORM, **changes}.items() if value}
    with pytest.raises(refusal):
        await one.push(form)
    assert house.count("pushed_requests") == 0


async def test_only_the_client_itself_pushes(house: House):
    """As at the token endpoint (RFC 9126 §2)."""
    one = await app(house, "confidential")
    for program in (Program(one.program.client_id, "wrong"), Program(one.program.client_id), Program("nobody", "x")):
        with pytest.raises(InvalidClient):
            await replace(one, program=program).push()
    with pytest.raises(InvalidRequest):
        await replace(one, program=house.known.machine).push()


async def test_a_client_that_has_to_push_is_refused_unless_it_does(house: House):
    """RFC 9126 §6, and a signed object is no way around it."""
    one = await app(house, require_pushed_authorization_requests=True)
    refused(await one.resolve(**FORM), InvalidRequest)
    refused(await one.resolve(request=one.object(), **FORM), InvalidRequest)
    assert (await one.resolve(request_uri=(await one.push()).request_uri)).error is None


# By reference.


@dataclass
class Web:
    """A fetcher: what lies where, and who asked how."""

    places: dict[str, bytes]
    gate: asyncio.Event | None = None
    asked: list[tuple[str, bool, int]] = field(default_factory=list)

    async def get(self, url: str, *, by_operator: bool, limit: int = 65536) -> Fetched:
        """What `Fetcher` promises."""
        self.asked.append((url, by_operator, limit))
        if self.gate is not None:
            await self.gate.wait()
        if url not in self.places:
            raise FetchFailed("nothing there")
        return Fetched(self.places[url])


def reached(one: App, fetcher: Fetcher) -> Any:
    """The issuer with another web around it."""
    return replace(one.house.issuer, references=References(fetcher), client_keys=ClientKeys(fetcher))


@pytest.mark.parametrize("registered_itself", [True, False])
async def test_a_registered_reference_is_fetched_and_read(house: House, registered_itself: bool):
    """OpenID Connect Core §6.2; its fragment is the client's business, and so is a line end at the end of the file."""
    one = await app(house, request_uris=(REFERENCE,), registered_itself=registered_itself)
    web = Web({REFERENCE: one.object().encode() + b"\n"})
    found = await one.resolve(issuer=reached(one, web), request_uri=REFERENCE + "#v2", state="outside")
    assert found == (Asked({**ASKS, "client_id": one.program.client_id}), None)
    assert web.asked == [(REFERENCE, not registered_itself, 65536)]


async def test_what_lies_there_is_judged_like_any_other_object(house: House):
    """Unsigned, another's, a page: refused."""
    one = await app(house, request_uris=(REFERENCE,))
    own = claims(one.program.client_id, URL, NOW)
    for body in (unsigned(own), signed(THIEF, own), "<html>", "", one.object(request_uri=REFERENCE)):
        web = Web({REFERENCE: body.encode()})
        refused(await one.resolve(issuer=reached(one, web), request_uri=REFERENCE, **FORM), InvalidRequestObject)


async def test_any_other_reference_is_refused_and_nothing_fetched(house: House):
    """Whoever sends people here does not choose whom we speak to."""
    one, none = await app(house, request_uris=(REFERENCE,)), await app(house)
    web = Web({})
    for reference in ("https://evil.example/r", REFERENCE + "?x", "http://169.254.169.254/", "file:///etc/passwd", "x"):
        refused(await one.resolve(issuer=reached(one, web), request_uri=reference, **FORM), InvalidRequestUri)
        refused(await none.resolve(issuer=reached(none, web), request_uri=reference, **FORM), RequestUriNotSupported)
    assert web.asked == []
    refused(await one.resolve(issuer=reached(one, web), request_uri=REFERENCE, **FORM), InvalidRequestUri)


async def test_a_crowd_with_one_reference_causes_one_fetch(house: House):
    """And one who hangs up stops it for nobody."""
    one = await app(house, request_uris=(REFERENCE,))
    web = Web({REFERENCE: one.object().encode()}, gate=asyncio.Event())
    issuer, client = reached(one, web), await one.client()
    asked = Asked({"client_id": client.client_id, "request_uri": REFERENCE})
    impatient, *crowd = [asyncio.create_task(resolved(issuer, client, asked, NOW)) for _ in range(20)]
    await soon(lambda: bool(web.asked))
    impatient.cancel()
    web.gate.set()
    assert {found.error for found in await asyncio.gather(*crowd)} == {None}
    assert len(web.asked) == 1
    await one.resolve(issuer=issuer, request_uri=REFERENCE)
    assert len(web.asked) == 2


# Whom the issuer speaks to for a client, over real sockets.

NAME = "app.example"


@pytest.fixture(scope="module")
def who(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    """What the client's server shows."""
    return identity(tmp_path_factory.mktemp("identity"), NAME)


Fetch = Callable[[App, Fetcher, str], Awaitable[Resolved]]


async def by_request_uri(one: App, fetcher: Fetcher, url: str) -> Resolved:
    """The client names a document."""
    await changed(one, request_uris=(url,))
    return await one.resolve(issuer=reached(one, fetcher), request_uri=url, **FORM)


async def by_jwks_uri(one: App, fetcher: Fetcher, url: str) -> Resolved:
    """The client names a key set."""
    await changed(one, jwks=None, jwks_uri=url)
    return await one.resolve(issuer=reached(one, fetcher), request=one.object(), **FORM)


async def changed(one: App, **metadata: object) -> None:
    """Whatever registration would say to it."""
    client = await one.client()
    whole = structs.replace(client, metadata=structs.replace(client.metadata, registered_itself=True, **metadata))
    await one.house.issuer.stores.journal.save(ReplaceClient(whole))


@pytest.mark.parametrize("fetch", [by_request_uri, by_jwks_uri])
@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:{port}/",
        "https://localhost:{port}/",
        "https://2130706433:{port}/",
        "https://[::ffff:127.0.0.1]:{port}/",
        "https://[2002:7f00:1::]:{port}/",
        "https://10.0.0.1:{port}/",
        "https://169.254.169.254:{port}/",
        "https://user@127.0.0.1:{port}/",
        "http://127.0.0.1:{port}/",
        "file:///etc/passwd",
    ],
)
async def test_no_inner_address_is_spoken_to_for_a_client(house: House, fetch: Fetch, url: str):
    """However it is spelled: a refusal, and no connection."""
    one = await app(house)
    async with host(saying(b""), at="0.0.0.0") as victim:
        found = await fetch(one, GuardedFetcher(local=False), url.format(port=victim.port))
    refused(found, InvalidRequestUri if fetch is by_request_uri else InvalidRequestObject)
    assert victim.connections == 0


@pytest.mark.parametrize("fetch", [by_request_uri, by_jwks_uri])
async def test_a_name_that_changes_its_address_gains_nothing(house: House, who: Identity, fetch: Fetch):
    """Rebinding: the address that was checked is the one that is spoken to, and a public one leads nowhere here."""
    answers = [["192.0.2.1"], ["127.0.0.1"]]

    async def rebinding(name: str, port: int) -> list[str]:
        return answers.pop(0) if len(answers) > 1 else answers[0]

    one = await app(house)
    async with host(saying(b""), who) as victim:
        fetcher = GuardedFetcher(local=False, resolve=rebinding, trust=who.trusted())
        found = await fetch(one, fetcher, f"https://{NAME}:{victim.port}/")
    assert found.error is not None
    assert victim.connections == 0


REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1/\r\nContent-Length: 0\r\n\r\n"
ENDLESS = without_end(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 16384)


@pytest.mark.parametrize("fetch", [by_request_uri, by_jwks_uri])
@pytest.mark.parametrize("say", [saying(REDIRECT), ENDLESS, nothing], ids=["redirect", "huge", "slow"])
async def test_a_clients_server_that_redirects_or_never_ends_is_given_up(
    house: House, who: Identity, fetch: Fetch, say: Any
):
    """In its time, and with nothing believed. The network is one that plays the internet here."""
    one = await app(house)

    async def local(name: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    fetcher = GuardedFetcher(local=True, resolve=local, trust=who.trusted(), within=1)
    async with host(say, who) as server:
        start = time.monotonic()
        found = await fetch(one, fetcher, f"https://{NAME}:{server.port}/")
        assert time.monotonic() - start < 4
    refused(found, InvalidRequestUri if fetch is by_request_uri else InvalidRequestObject)
    assert server.connections == 1
