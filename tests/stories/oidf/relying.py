"""A relying party that keeps to the FAPI 2.0 Security Profile: registered by an operator, with keys of its own."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode

from tests.stories.oidf import signing, tokens
from tests.stories.oidf.browser import Arrival
from tests.stories.oidf.case import HOME, Asked, Case, Signed
from tests.stories.oidf.conditions import discovery, fapi2, id_token, registration, server, token
from tests.stories.oidf.page import Page
from tests.stories.oidf.provider import Provider
from tests.stories.oidf.signing import LEFT_OUT, Key, Proof
from tests.stories.oidf.tokens import Claims
from tests.stories.oidf.wire import Got, Sent

CALLBACK: Final = f"{HOME}/fapi2/callback"
WITH_QUERY: Final = f"{HOME}/fapi2/other?dummy1=lorem&dummy2=ipsum"
BESIDE: Final = ("client_id", "response_type", "scope")
"""What stands in the URL too, where nothing else is said: it is what OAuth asks for there, and changes nothing."""
ONE_AT_A_TIME: Final = threading.Lock()


@dataclass(frozen=True)
class Registered:
    """A client, and the key that it authenticates with."""

    client_id: str
    redirect_uri: str
    key: Key


@dataclass
class Relying:
    """One run: the client of it, another one, and how its DPoP proofs are made."""

    case: Case
    client: Registered
    other: Registered
    proof: Proof
    verifier: str

    # The authorization endpoint

    def request(self, **more: str | None) -> Asked:
        """The parameters of an authorization request; None leaves one out."""
        usual: dict[str, str | None] = {
            "client_id": self.client.client_id,
            "redirect_uri": self.client.redirect_uri,
            "response_type": "code",
            "scope": "openid",
            "state": secrets.token_urlsafe(12),
            "nonce": secrets.token_urlsafe(12),
            "code_challenge": signing.challenge(self.verifier),
            "code_challenge_method": "S256",
        }
        return {name: value for name, value in {**usual, **more}.items() if value is not None}

    def push(self, asked: Mapping[str, str], proof: Proof | None = None, alg: str = "", **claims: Any) -> Got:
        """`/par`, however it ends. `claims`: of the assertion, other than usual."""
        url = str(self.case.metadata.get("pushed_authorization_request_endpoint"))
        made = {"DPoP": proof.made("POST", url)} if proof else {}
        return self.case.wire.post(url, {**asked, **self.authenticated(alg, **claims)}, **made)

    def pushed(self, asked: Mapping[str, str], proof: Proof | None = None, **claims: Any) -> str:
        """`/par`, which must succeed: the request_uri."""
        got = self.push(asked, proof, **claims)
        fapi2.pushed(self.case.judge, got)
        registration.is_json(self.case.judge, got)
        return str(got.document["request_uri"])

    def link(self, request_uri: str, asked: Mapping[str, str], **more: str) -> str:
        """The URL that the relying party sends the browser to."""
        beside = {name: asked[name] for name in BESIDE if name in asked}
        return self.case.link({**beside, "request_uri": request_uri, **more})

    def authorize(self, asked: Mapping[str, str], proof: Proof | None = None, **more: str) -> Page | Arrival:
        """Push a request, and send the person there. `more`: what stands in the URL besides."""
        return self.case.person.authorize(self.link(self.pushed(asked, proof), asked, **more))

    def granted(self, came: Page | Arrival, asked: Asked) -> Asked:
        """An answer that is to bring a code."""
        if isinstance(came, Arrival):
            for asks in fapi2.NOT_IN_THE_FRAGMENT:
                asks(self.case.judge, came)
        return self.case.granted(came, asked, self.client.redirect_uri)

    def code(self, proof: Proof | None = None, **asked: str | None) -> str:
        """The whole way to a code."""
        request = self.request(**asked)
        return self.granted(self.authorize(request, proof), request)["code"]

    # Tokens

    def authenticated(self, alg: str = "", **claims: Any) -> Asked:
        """What shows who the client is (RFC 7523 §2.2)."""
        who, issuer = self.client, claims.pop("aud", self.case.issuer)
        made = signing.assertion(who.key, who.client_id, issuer, alg, **claims)
        return {"client_id": who.client_id, "client_assertion_type": signing.ASSERTION, "client_assertion": made}

    def token(self, form: Mapping[str, str], **changes: Any) -> Got:
        """`/token`, however it ends: with the form and the client's assertion, and a proof unless `proof` is None."""
        proof = changes.pop("proof", self.proof)
        who = changes.pop("who", None)
        self.case.judge.did(*ASKING)
        url = str(self.case.metadata.get("token_endpoint"))
        made = {"DPoP": proof.made("POST", url)} if proof else {}
        shown = self.authenticated(changes.pop("alg", ""), **changes) if who is None else who
        sent = {name: value for name, value in {**shown, **form}.items() if value is not LEFT_OUT}
        return self.case.wire.post(url, sent, **made)

    def redeem(self, code: str, form: Mapping[str, Any] | None = None, **changes: Any) -> Got:
        """Trade a code, however it ends. `form`: other fields than usual; the rest is as for `token`."""
        self.case.judge.did("CreateTokenEndpointRequestForAuthorizationCodeGrant")
        usual = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.client.redirect_uri,
            "code_verifier": self.verifier,
        }
        return self.token({**usual, **(form or {})}, **changes)

    def tokens_of(self, got: Got, nonce: str | None) -> Claims:
        """Assert what every answer with tokens must be; the claims of its ID token."""
        judge, text = self.case.judge, str(got.document.get("id_token", ""))
        token.issued(judge, got)
        fapi2.is_bound(judge, got)
        fapi2.is_long(judge, got)
        token.is_random(judge, got)
        token.refresh_is_long(judge, got.document)
        token.refresh_is_random(judge, got.document)
        claims = tokens.claims(text)
        jwks, issuer = self.case.jwks, self.case.issuer
        id_token.good(judge, text, claims, jwks, issuer, self.client.client_id, nonce)
        id_token.is_tied(judge, text, claims, str(got.document["access_token"]))
        id_token.has_a_kid(judge, text)
        fapi2.has_no_code_hash(judge, claims)
        fapi2.has_no_state_hash(judge, claims)
        fapi2.is_signed_well(judge, text)
        return claims

    # The resource: userinfo, which every token for `openid` is good for

    def call(self, headers: Mapping[str, str], query: Mapping[str, str] | None = None) -> Got:
        """The resource with these headers, however it ends."""
        self.case.judge.did(*CALLING)
        url = self.resource + (f"?{urlencode(query)}" if query else "")
        return self.case.wire.send(Sent("GET", url, headers))

    def resource_with(self, access_token: str, proof: Proof | None = None, scheme: str = "DPoP") -> Got:
        """The resource with a token and a proof for it, however it ends."""
        made = (proof or self.proof).made("GET", self.resource, access_token)
        return self.call({"Authorization": f"{scheme} {access_token}", "DPoP": made})

    @property
    def resource(self) -> str:
        """Its URL."""
        return str(self.case.metadata.get("userinfo_endpoint"))

    def served(self, got: Got) -> Claims:
        """Assert what every answer of the resource must be."""
        fapi2.is_served(self.case.judge, got)
        fapi2.says_when(self.case.judge, got)
        registration.is_json(self.case.judge, got)
        return got.document

    # The whole way

    def after(self, came: Page | Arrival, asked: Asked) -> Signed:
        """From the answer to the tokens."""
        answer = self.granted(came, asked)
        got = self.redeem(answer["code"])
        return Signed(asked, answer, got, self.tokens_of(got, asked.get("nonce")))

    def flow(self, proof: Proof | None = None, **asked: str | None) -> Signed:
        """From the pushed request to the resource."""
        request = self.request(**asked)
        signed = self.after(self.authorize(request, proof), request)
        self.served(self.resource_with(signed.access_token))
        return signed

    def as_the_other(self) -> Relying:
        """The same with the other client, who has a DPoP key of its own."""
        return replace(self, client=self.other, other=self.client, proof=Proof(signing.ec()))


def begins(case: Case) -> Relying:
    """What every module begins with: the metadata, the keys, the clients."""
    judge, (client, other) = case.judge, enrolled(case.provider)
    judge.did("GetDynamicServerConfiguration", *CONFIGURING)
    case.metadata = case.wire.get(f"{case.issuer}{discovery.WELL_KNOWN}").document
    server.is_usable(judge, case.metadata)
    server.takes_assertions(judge, case.metadata)
    case.fetch_keys()
    case.person.remembers = False
    return Relying(case, client, other, Proof(signing.ec()), secrets.token_urlsafe(48))


def enrolled(provider: Provider) -> tuple[Registered, Registered]:
    """Two clients, which an operator registers once: one by PS256, whose redirect URI has no query, one by ES256."""
    with ONE_AT_A_TIME:
        if not provider.enrolled:
            first = enrol(provider, signing.rsa("fapi2-first"), CALLBACK)
            provider.enrolled.extend((first, enrol(provider, signing.ec(), WITH_QUERY)))
        client, other = provider.enrolled
        return client, other


def enrol(provider: Provider, key: Key, redirect_uri: str) -> Registered:
    """`watchword client add --fapi2`."""
    file = provider.folder / f"{key.public['kid']}.json"
    file.write_text(json.dumps({"keys": [key.public]}))
    says = ("--redirect-uri", redirect_uri, "--jwks", str(file), "--id-token-alg", key.alg)
    found = provider.cli("client", "add", f"FAPI by {key.alg}", "--fapi2", *says)
    return Registered(found["client_id"], redirect_uri, key)


CONFIGURING: Final = (
    "GetStaticClientConfiguration",
    "GetStaticClient2Configuration",
    "SetProtectedResourceUrlToSingleResourceEndpoint",
    "ExtractJWKsFromStaticClientConfiguration",
)
ASKING: Final = (
    "CreateClientAuthenticationAssertionClaimsWithIssAudience",
    "SignClientAuthenticationAssertion",
    "AddClientAssertionToRequest",
    "CallTokenEndpointAllowingDpopNonceErrorAndReturnFullResponse",
    "CallTokenEndpointAndReturnFullResponse",
)
CALLING: Final = ("CallProtectedResource", "CallProtectedResourceAllowingDpopNonceError", "CallUserInfoEndpoint")
