"""One run of one module: a relying party of its own, a browser of its own, and the record of what was asserted."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import urlencode

from tests.stories.oidf import tokens
from tests.stories.oidf.browser import Arrival, Browser
from tests.stories.oidf.conditions import answers, discovery, id_token, registration, server, token, userinfo
from tests.stories.oidf.judge import Judge
from tests.stories.oidf.listener import Heard, Listener
from tests.stories.oidf.page import Page
from tests.stories.oidf.person import Person, idle
from tests.stories.oidf.provider import EMAIL, Provider
from tests.stories.oidf.signing import ASSERTION
from tests.stories.oidf.tokens import JWKS, Claims
from tests.stories.oidf.wire import NONE, Fault, Got, Sent, Wire, basic

HOME: Final = "https://rp.example"
"""Where the relying party is for browsers: another site than the issuer's. Nobody connects to it."""
BASIC, POST, PRIVATE_KEY = "client_secret_basic", "client_secret_post", "private_key_jwt"
KEY: Final = "authentication"
"""The name of the key that a relying party authenticates with, where it does so by a key."""
Asked = dict[str, str]


@dataclass(frozen=True)
class Variant:
    """How a plan runs its modules."""

    response_mode: str = "query"
    auth_method: str = BASIC


@dataclass(frozen=True)
class Client:
    """Who was registered, and as what."""

    client_id: str
    secret: str = field(repr=False)
    redirect_uri: str
    auth_method: str
    metadata: Claims = field(default_factory=dict)
    key: str = KEY


@dataclass(frozen=True)
class Signed:
    """How a flow ended: what was asked and answered, the tokens, and the claims of the ID token."""

    asked: Asked
    answer: Asked
    tokens: Got
    claims: Claims

    @property
    def id_token(self) -> str:
        """The ID token."""
        return str(self.tokens.document.get("id_token", ""))

    @property
    def access_token(self) -> str:
        """The access token."""
        return str(self.tokens.document.get("access_token", ""))


@dataclass
class Case:
    """One run."""

    provider: Provider
    wire: Wire
    variant: Variant
    judge: Judge = field(default_factory=Judge)
    metadata: Claims = field(default_factory=dict)
    jwks: JWKS = field(default_factory=dict)
    name: str = field(default_factory=lambda: secrets.token_hex(8))

    def __post_init__(self) -> None:
        self.browser = Browser(self.wire, self.provider.issuer)
        self.person = Person(self.browser, EMAIL, self.provider.password)

    @property
    def issuer(self) -> str:
        """By its URL."""
        return self.provider.issuer

    @property
    def listener(self) -> Listener:
        """The relying party's own server, which all runs share: paths begin with the name of the run."""
        return self.provider.listener

    @property
    def callback(self) -> str:
        """A redirect URI of this run."""
        return f"{HOME}/{self.name}/callback"

    # What the server says of itself

    def discover(self) -> Got:
        """Read the metadata and the keys, and assert what every flow needs of them."""
        judge, got = self.judge, self.wire.get(f"{self.issuer}{discovery.WELL_KNOWN}")
        judge.did("GetDynamicServerConfiguration")
        self.metadata = got.document
        server.is_usable(judge, self.metadata)
        TAKES[self.variant.auth_method](judge, self.metadata)
        self.fetch_keys()
        return got

    def fetch_keys(self) -> None:
        """Read the keys."""
        self.jwks = self.wire.get(str(self.metadata.get("jwks_uri"))).document
        self.judge.did("FetchServerKeys", "MapJwksToValidationLocation")
        server.keys_are_good(self.judge, self.jwks)

    # The client

    def wanted(self, **more: Any) -> Claims:
        """What is to be registered."""
        usual = {
            "client_name": f"Module {self.name}",
            "redirect_uris": [self.callback],
            "response_types": ["code"],
            "grant_types": ["authorization_code"],
            "token_endpoint_auth_method": self.variant.auth_method,
            "contacts": ["certification@example.com"],
        }
        if self.variant.auth_method == PRIVATE_KEY and "jwks_uri" not in more:
            self.judge.did("GenerateRS256ClientJWKs", "AddPublicJwksToDynamicRegistrationRequest")
            more["jwks"] = {"keys": [*more.get("jwks", {}).get("keys", ()), tokens.public(KEY)]}
        return {name: value for name, value in {**usual, **more}.items() if value is not None}

    def apply(self, wanted: Claims) -> Got:
        """`POST /register`, however it ends."""
        self.judge.did("CallDynamicRegistrationEndpoint", *REGISTERING)
        body, headers = json.dumps(wanted).encode(), {"Content-Type": "application/json"}
        return self.wire.send(Sent("POST", str(self.metadata.get("registration_endpoint")), headers, body))

    def register(self, **more: Any) -> Client:
        """Register a client, which must succeed."""
        wanted = self.wanted(**more)
        got = self.apply(wanted)
        registration.registered(self.judge, got)
        found = got.document
        return Client(
            found["client_id"],
            found.get("client_secret", ""),
            wanted["redirect_uris"][0],
            wanted["token_endpoint_auth_method"],
            found,
        )

    # The authorization endpoint

    def request(self, client: Client, **more: str | None) -> Asked:
        """The parameters of an authorization request; None leaves one out."""
        usual = {
            "client_id": client.client_id,
            "redirect_uri": client.redirect_uri,
            "response_type": "code",
            "scope": "openid",
            "state": secrets.token_urlsafe(12),
            "nonce": secrets.token_urlsafe(12),
            "response_mode": None if self.variant.response_mode == "query" else self.variant.response_mode,
        }
        return {name: value for name, value in {**usual, **more}.items() if value is not None}

    def link(self, asked: Mapping[str, str]) -> str:
        """The URL that the relying party sends the browser to."""
        return f"{self.metadata['authorization_endpoint']}?{urlencode(asked)}"

    def authorize(self, asked: Asked) -> Page | Arrival:
        """Send the person there."""
        return self.person.authorize(self.link(asked))

    def silently(self, asked: Asked) -> Page | Arrival:
        """Send a browser there whose person does nothing."""
        return idle(self.browser, self.link(asked))

    def heard(self, came: Arrival) -> Asked:
        """The answer that came to the redirect URI, by the way that was asked for."""
        if self.variant.response_mode == "query":
            return came.query
        for asks in (
            answers.is_posted,
            answers.is_a_form,
            answers.has_no_code_in_its_url,
            answers.has_no_error_in_its_url,
        ):
            asks(self.judge, came)
        return came.form

    def granted(self, came: Page | Arrival, asked: Asked, redirect_uri: str) -> Asked:
        """An answer that is to bring a code."""
        answer = self.heard(came) if isinstance(came, Arrival) else {}
        answers.is_no_refusal(self.judge, came, answer)
        assert isinstance(came, Arrival)
        if "?" in redirect_uri:
            answers.keeps_the_query(self.judge, came, redirect_uri)
        answers.is_by_the_issuer(self.judge, answer, self.issuer)
        answers.has_the_state(self.judge, answer, asked.get("state"))
        answers.has_a_long_code(self.judge, answer)
        answers.has_a_random_code(self.judge, answer)
        return answer

    def denied(self, came: Page | Arrival, asked: Asked) -> Asked:
        """An answer that is to be an error."""
        answer = self.heard(came) if isinstance(came, Arrival) else {}
        answers.refusal(self.judge, answer, self.issuer, asked["state"])
        return answer

    # Tokens

    def token(self, client: Client, **form: str) -> Got:
        """`/token`, however it ends."""
        self.judge.did("CallTokenEndpointAndReturnFullResponse")
        url, headers = str(self.metadata.get("token_endpoint")), {}
        match client.auth_method:
            case "client_secret_post":
                form |= {"client_id": client.client_id, "client_secret": client.secret}
            case "private_key_jwt":
                form |= self.asserted(client)
            case _:
                headers["Authorization"] = basic(client.client_id, client.secret)
        return self.wire.post(url, form, **headers)

    def asserted(self, client: Client) -> Asked:
        """What shows who a client is that has a key (RFC 7523 §2.2)."""
        now, who = int(time.time()), client.client_id
        claims = {"iss": who, "sub": who, "aud": self.issuer, "jti": secrets.token_hex(16), "iat": now, "exp": now + 60}
        self.judge.did(
            "CreateClientAuthenticationAssertionClaims", "UpdateClientAuthenticationAssertionClaimsWithISSAud"
        )
        return {"client_assertion_type": ASSERTION, "client_assertion": tokens.signed(claims, client.key)}

    def redeem(self, client: Client, code: str, redirect_uri: str = "", **more: str) -> Got:
        """Trade a code, however it ends."""
        self.judge.did("CreateTokenEndpointRequestForAuthorizationCodeGrant")
        uri = redirect_uri or client.redirect_uri
        return self.token(client, grant_type="authorization_code", code=code, redirect_uri=uri, **more)

    def tokens_of(self, client: Client, got: Got, nonce: str | None) -> Claims:
        """Assert what every answer with tokens must be; the claims of its ID token."""
        token.issued(self.judge, got)
        self.judge.did("ExtractAccessTokenFromTokenResponse", "ExtractIdTokenFromTokenResponse")
        text = str(got.document.get("id_token", ""))
        claims = tokens.claims(text)
        id_token.good(self.judge, text, claims, self.jwks, self.issuer, client.client_id, nonce)
        id_token.is_tied(self.judge, text, claims, str(got.document["access_token"]))
        return claims

    def userinfo(self, access_token: str, method: str = "GET") -> Got:
        """`/userinfo` with the token in a header, however it ends."""
        headers = {"Authorization": f"Bearer {access_token}"}
        return self.wire.send(Sent(method, str(self.metadata.get("userinfo_endpoint")), headers))

    def person_of(self, got: Got, signed: Signed) -> Claims:
        """Assert what every answer of userinfo must be; its claims."""
        self.judge.did("CallUserInfoEndpoint")
        userinfo.is_ok(self.judge, got)
        claims = got.document
        userinfo.good(self.judge, claims, signed.claims)
        return claims

    # The whole way

    def flow(self, client: Client, **asked: str | None) -> Signed:
        """From the link to the tokens."""
        request = self.request(client, **asked)
        return self.after(client, request, self.authorize(request))

    def after(self, client: Client, request: Asked, came: Page | Arrival, **more: str) -> Signed:
        """From the answer to the tokens."""
        uri = request.get("redirect_uri", client.redirect_uri)
        answer = self.granted(came, request, uri)
        got = self.redeem(client, answer["code"], uri, **more)
        return Signed(request, answer, got, self.tokens_of(client, got, request.get("nonce")))

    def start(self, **metadata: Any) -> Client:
        """What every module begins with: the metadata, the keys, a client."""
        self.discover()
        return self.register(**metadata)

    def told(self, path: str) -> Heard | None:
        """What the server has told the relying party at a path; None when it says nothing."""
        heard = self.listener.wait(path)
        return None if heard is None else replace(heard, sent=self.wire.fault.told(heard.sent))

    def patience(self, seconds: float) -> float:
        """For how long to wait for what may take a moment; not long for what a planted fault keeps away."""
        return seconds if self.wire.fault is NONE else 0.5

    def pause(self, seconds: float) -> None:
        """Let time pass that the module is about. A planted fault needs none of it."""
        if self.wire.fault is NONE:
            time.sleep(seconds)


TAKES: Final = {BASIC: server.takes_basic, POST: server.takes_post, PRIVATE_KEY: server.takes_assertions}
"""What the server has to say for each way to authenticate."""
REGISTERING: Final = (
    "CreateEmptyDynamicRegistrationRequest",
    "AddClientNameToDynamicRegistrationRequest",
    "AddAuthorizationCodeGrantTypeToDynamicRegistrationRequest",
    "AddTokenEndpointAuthMethodToDynamicRegistrationRequestFromEnvironment",
    "AddResponseTypesArrayToDynamicRegistrationRequestFromEnvironment",
    "AddRedirectUriToDynamicRegistrationRequest",
    "AddContactsToDynamicRegistrationRequest",
)
"""The steps that make up what is registered."""


def begin(provider: Provider, variant: Variant, fault: Fault = NONE) -> Case:
    """A new run."""
    return Case(provider, provider.wire(fault), variant)
