"""Every URL that the issuer fetches for somebody, and what makes it do so: a table with a row for each."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from typing import Final

from msgspec.structs import replace as changed

from tests.server.flows.house import NOW
from watchword.jose.jwe import DecryptionKey
from watchword.jose.jwk import SigningKey
from watchword_server.changes import Add
from watchword_server.flows import backchannel, client_documents, clients, requests
from watchword_server.flows.api_keys import ApiKeys, NoEncryptionKey
from watchword_server.flows.backchannel import NotTold
from watchword_server.flows.client_documents import NoDocument
from watchword_server.flows.client_keys import ClientKeys
from watchword_server.flows.documents_read import Documents
from watchword_server.flows.issuer import Caller, Issuer
from watchword_server.flows.logos import Logos
from watchword_server.flows.references import References
from watchword_server.flows.trusted_issuers import TrustedIssuers
from watchword_server.ports import Fetcher, Parcel
from watchword_server.protocol.authorization import Asked
from watchword_server.protocol.foreign_token import Trust
from watchword_server.protocol.uris import BadRegistration
from watchword_server.protocol.values import Api, Client, ClientMetadata, Encryption

PUBLIC: Final = "https://id.example"
BACK: Final = "https://app.example/cb"
KEY, TAKER = SigningKey.generate("ES256"), DecryptionKey.generate("ECDH-ES")
OURS: Final = {"keys": [KEY.public_jwk()]}
PNG: Final = b"\x89PNG\r\n\x1a\n" + bytes(64)

CALLERS: Final = count()
"""Each its own."""

Act = Callable[[Issuer, str], Awaitable[bool]]
"""Makes the issuer fetch a URL; whether it got, or was rid of, something."""


@dataclass(frozen=True)
class Fetching:
    """A row. `document` is what would be a good answer at a URL, `limit` how much of one is read.

    `place` is the function in which the fetcher is used. `excused` says that an operator's word is always behind it.
    """

    name: str
    place: str
    act: Act
    document: Callable[[str], bytes]
    limit: int = 64 * 1024
    excused: bool = False
    reads: bool = True
    """Whether the answer's body matters."""


def around(issuer: Issuer, fetcher: Fetcher, url: str) -> Issuer:
    """The issuer of a new process, for everybody, with this fetcher."""
    return replace(
        issuer,
        terms=replace(issuer.terms, issuer=PUBLIC, metadata_documents=True),
        fetcher=fetcher,
        api_keys=ApiKeys(fetcher),
        client_keys=ClientKeys(fetcher),
        references=References(fetcher),
        logos=Logos(fetcher),
        documents=Documents(),
        trusted=TrustedIssuers(fetcher, [_trust(url)]),
    )


def client(by_operator: bool = False, **said: object) -> Client:
    """One that has registered itself, or that an operator has registered."""
    metadata = ClientMetadata(**{"registered_itself": not by_operator, **said})  # type: ignore[arg-type] # as in JSON
    grants = frozenset({"authorization_code"})
    return Client("app", "App", "confidential", b"", grants, {}, NOW, redirect_uris=(BACK,), metadata=metadata)


def acts(by_operator: bool) -> dict[str, Act]:
    """What a client that registered itself causes, or one that an operator has registered; and what operators cause."""

    async def jwks_uri(issuer: Issuer, url: str) -> bool:
        app = client(by_operator, jwks_uri=url)
        return bool(await issuer.client_keys.verification(app, "ES256", KEY.kid, NOW))

    async def sector(issuer: Issuer, url: str) -> bool:
        with suppress(BadRegistration):
            app = client(by_operator, subject_type="pairwise", sector_identifier_uri=url)
            return await clients.checked(issuer, app) is not None
        return False

    async def request_uri(issuer: Issuer, url: str) -> bool:
        app = client(by_operator, jwks=OURS, request_uris=(url,))
        found = await requests.resolved(issuer, app, Asked({"client_id": "app", "request_uri": url}), NOW)
        return "request_uri" not in str(found.error)

    async def logo_uri(issuer: Issuer, url: str) -> bool:
        return await issuer.logos.of(client(by_operator, logo_uri=url), NOW) is not None

    async def logout_uri(issuer: Issuer, url: str) -> bool:
        app = client(by_operator, backchannel_logout_uri=url, id_token_signed_response_alg="ES256")
        app = changed(app, client_id=f"app_{issuer.identifier()}")
        await issuer.stores.journal.save(Add(app))
        body: dict[str, str | int] = {"client_id": app.client_id, "sub": "somebody", "sid": "s", "at": NOW}
        with suppress(NotTold):
            await backchannel.tell(issuer, Parcel(1, "logout.backchannel", body, 0), NOW)
            return True
        return False

    async def document(issuer: Issuer, url: str) -> bool:
        with suppress(NoDocument):
            caller = Caller(f"2001:db8:{next(CALLERS):x}::1")  # one of them alone may not ask for many
            return await client_documents.current(issuer, url, None, caller, NOW) is not None
        return False

    async def api_keys(issuer: Issuer, url: str) -> bool:
        api = Api("https://orders.example", "Orders", (), "api", b"", NOW)
        with suppress(NoEncryptionKey):
            return await issuer.api_keys.key_of(api, Encryption("A256GCM", jwks_uri=url), NOW) is not None
        return False

    async def trusted(issuer: Issuer, url: str) -> bool:
        return bool(await issuer.trusted.keys(_trust(url), "ES256", KEY.kid, NOW))

    return {
        "jwks_uri": jwks_uri,
        "sector_identifier_uri": sector,
        "request_uri": request_uri,
        "logo_uri": logo_uri,
        "backchannel_logout_uri": logout_uri,
        "metadata document": document,
        "an API's jwks_uri": api_keys,
        "a trusted issuer's jwks_uri": trusted,
    }


def _trust(url: str) -> Trust:
    return Trust(issuer="https://other.example", audience=PUBLIC, clients=(), scopes=(), jwks_uri=url)


def _described(url: str) -> bytes:
    said = {"client_id": url, "client_name": "Agent", "redirect_uris": [url.rpartition("/")[0] + "/cb"]}
    return json.dumps(said).encode()


_ACTS: Final = acts(by_operator=False)
_KEYS: Final = json.dumps(OURS).encode()
_TO: Final = json.dumps({"keys": [TAKER.public_jwk()]}).encode()
_BACKS: Final = json.dumps([BACK]).encode()

# fmt: off
TABLE: Final = tuple(Fetching(name, place, _ACTS[name], document, **more) for name, place, document, more in (
    ("jwks_uri",                    "flows.published:_look",              lambda url: _KEYS,  {}),
    ("sector_identifier_uri",       "flows.clients:_must_share_a_sector", lambda url: _BACKS, {}),
    ("request_uri",                 "flows.references:_fetched",          lambda url: b"a.b.c", {}),
    ("logo_uri",                    "flows.logos:_fetch",                 lambda url: PNG,    {}),
    ("backchannel_logout_uri",      "flows.backchannel:tell",             lambda url: b"",    {"reads": False}),
    ("metadata document",           "flows.client_documents:_fetched",    _described,         {"limit": 5 * 1024}),
    ("an API's jwks_uri",           "flows.published:_look",              lambda url: _TO,    {"excused": True}),
    ("a trusted issuer's jwks_uri", "flows.published:_look",              lambda url: _KEYS,  {"excused": True}),
))
PUBLISHED: Final = frozenset(
    ("flows.client_keys:_followed", "flows.api_keys:__init__", "flows.trusted_issuers:__init__")
)
"""Where it is said what lies at a place that is then followed by `flows.published`: a row of the table each."""
# fmt: on
