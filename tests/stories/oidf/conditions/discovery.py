"""The metadata of the issuer (OpenID Connect Discovery §3 and §4, RFC 8414 §2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from joserfc.errors import JoseError
from joserfc.jwk import import_key

from tests.stories.oidf.conditions.members import ARRAYS, OBJECTS, REQUIRED, TRUTHS, URLS
from tests.stories.oidf.conditions.values import endpoint, holds, is_https
from tests.stories.oidf.judge import Judge, condition, must
from tests.stories.oidf.tokens import JWKS, Claims
from tests.stories.oidf.wire import Got

WELL_KNOWN: Final = "/.well-known/openid-configuration"
SCOPE: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")
TAG: Final = re.compile(r"(?P<language>[A-Za-z]{2,3})(-(?P<script>[A-Za-z]{4}))?(-(?P<region>[A-Za-z]{2}|[0-9]{3}))?")
CLAIMS: Final = frozenset({"sub", "name", "given_name", "family_name", "email", "picture", "phone_number", "address"})
WEAK: Final = frozenset({"none", "HS256"})


@condition("EnsureDiscoveryEndpointResponseStatusCodeIs200")
def is_ok(got: Got) -> None:
    """§4.2."""
    must(got.status == 200, f"the status is {got.status}")


@condition("CheckDiscoveryEndpointReturnedJsonContentType")
def is_json(got: Got) -> None:
    """§4.2."""
    must(got.media_type == "application/json", f"the answer is {got.media_type or 'of no type'}")


@condition("CheckDiscEndpointDiscoveryUrl")
def is_where_it_is_looked_for(url: str) -> None:
    """§4.1."""
    must(is_https(url) and url.endswith(WELL_KNOWN), f"it is at {url}")


@condition("CheckDiscEndpointIssuer")
def speaks_of_itself(metadata: Claims, url: str) -> None:
    """§4.3: one who could speak for another could be taken for the other."""
    must(metadata.get("issuer") == url.removesuffix(WELL_KNOWN), f"issuer is {metadata.get('issuer')!r}")


@condition("CheckDiscEndpointIssuerIsValidUrl")
def has_a_good_issuer(metadata: Claims) -> None:
    """RFC 8414 §2: https, with neither query nor fragment."""
    issuer = metadata.get("issuer")
    must(is_https(issuer), f"issuer is {issuer!r}")
    parts = urlsplit(str(issuer))
    must(not parts.query and not parts.fragment and "?" not in str(issuer), "issuer has a query or a fragment")


@condition("ValidateServerMetadataAgainstSchema")
def is_well_formed(metadata: Claims) -> None:
    """What is required is there, and everything known is of its type."""
    must(metadata.keys() >= REQUIRED, f"{sorted(REQUIRED - metadata.keys())} is missing")
    for name in ARRAYS & metadata.keys():
        holds(metadata, name)
        must(metadata[name], f"{name} is empty")
    for name in TRUTHS & metadata.keys():
        must(isinstance(metadata[name], bool), f"{name} is neither true nor false")
    for name in URLS & metadata.keys():
        must(isinstance(metadata[name], str) and urlsplit(metadata[name]).hostname, f"{name} is no URL")


@condition("CheckForUnexpectedParametersInServerMetadata")
def is_known(metadata: Claims) -> None:
    """Every member is registered, but for those that carry our name."""
    unknown = {name for name in metadata.keys() - ARRAYS - TRUTHS - URLS - OBJECTS if not name.startswith("watchword_")}
    must(not unknown, f"nobody knows {sorted(unknown)}")


def _array(condition_name: str, member: str, *least: str) -> Callable[[Judge, Claims], None]:
    @condition(condition_name)
    def asserted(metadata: Claims) -> None:
        holds(metadata, member, *least)

    return asserted


def _endpoint(condition_name: str, member: str) -> Callable[[Judge, Claims], None]:
    @condition(condition_name)
    def asserted(metadata: Claims) -> None:
        endpoint(metadata, member)

    return asserted


def _true(condition_name: str, member: str) -> Callable[[Judge, Claims], None]:
    @condition(condition_name)
    def asserted(metadata: Claims) -> None:
        must(metadata.get(member) is True, f"{member} is {metadata.get(member)!r}")

    return asserted


ID_TOKENS: Final = "id_token_signing_alg_values_supported"
USERINFO: Final = "userinfo_signing_alg_values_supported"
OBJECTS_OF_REQUESTS: Final = "request_object_signing_alg_values_supported"

# fmt: off
takes_code = _array("OIDCCCheckDiscEndpointResponseTypesSupported", "response_types_supported", "code")
has_code_grant = _array("OIDCCCheckDiscEndpointGrantTypesSupported", "grant_types_supported", "authorization_code")
signs_rs256 = _array("OIDCCCheckDiscEndpointIdTokenSigningAlgValuesSupported", ID_TOKENS, "RS256")
signs_userinfo = _array("OIDCCCheckDiscEndpointUserinfoSigningAlgValuesSupported", USERINFO)
signs_userinfo_rs256 = _array("CheckDiscEndpointUserinfoSigningAlgValuesSupportedContainsRS256", USERINFO, "RS256")
reads_rs256 = _array(
    "CheckDiscEndpointRequestObjectSigningAlgValuesSupportedContainsRS256", OBJECTS_OF_REQUESTS, "RS256"
)
may_read_rs256 = _array(
    "CheckDiscEndpointRequestObjectSigningAlgValuesSupportedIncludesRS256", OBJECTS_OF_REQUESTS, "RS256"
)
takes_openid = _array("CheckDiscEndpointScopesSupportedContainsOpenId", "scopes_supported", "openid")
tells_claims = _array("OIDCCCheckDiscEndpointClaimsSupported", "claims_supported", *sorted(CLAIMS))
takes_challenges = _array(
    "EnsureServerConfigurationCodeChallengeMethodsSupportedIsAnArray", "code_challenge_methods_supported", "S256"
)
authorizes = _endpoint("CheckDiscEndpointAuthorizationEndpoint", "authorization_endpoint")
issues = _endpoint("CheckDiscEndpointTokenEndpoint", "token_endpoint")
tells = _endpoint("CheckDiscEndpointUserinfoEndpoint", "userinfo_endpoint")
registers = _endpoint("CheckDiscEndpointRegistrationEndpoint", "registration_endpoint")
publishes = _endpoint("CheckJwksUri", "jwks_uri")
signs_out = _endpoint("CheckDiscEndSessionEndpoint", "end_session_endpoint")
takes_claims = _true("CheckDiscEndpointClaimsParameterSupported", "claims_parameter_supported")
takes_requests = _true("CheckDiscEndpointRequestParameterSupported", "request_parameter_supported")
takes_request_uris = _true("CheckDiscEndpointRequestUriParameterSupported", "request_uri_parameter_supported")
tells_of_logouts = _true("CheckDiscEndpointBackchannelLogoutSupported", "backchannel_logout_supported")
tells_of_sessions = _true("CheckDiscEndpointBackchannelLogoutSessionSupported", "backchannel_logout_session_supported")
# fmt: on


@condition("CheckDiscEndpointSubjectTypesSupported")
def has_subjects(metadata: Claims) -> None:
    """§3."""
    holds(metadata, "subject_types_supported")
    must(set(metadata["subject_types_supported"]) & {"public", "pairwise"}, "no subject type that anybody knows")


@condition("CheckDiscEndpointScopesSupportedSyntax")
def has_good_scopes(metadata: Claims) -> None:
    """RFC 6749 §3.3."""
    holds(metadata, "scopes_supported")
    must(all(SCOPE.fullmatch(scope) for scope in metadata["scopes_supported"]), "a scope has other characters")


def locales(metadata: Claims) -> list[str]:
    """The languages that it speaks."""
    return [*metadata.get("ui_locales_supported", ()), *metadata.get("claims_locales_supported", ())]


@condition("CheckDiscEndpointLocalesSyntax")
def has_language_tags(metadata: Claims) -> None:
    """BCP 47, as far as languages of pages need it."""
    must(all(TAG.fullmatch(tag) for tag in locales(metadata)), f"no language tag among {locales(metadata)}")


@condition("CheckDiscEndpointLocalesCanonicalCasing")
def spells_language_tags(metadata: Claims) -> None:
    """RFC 5646 §2.1.1: en, zh-Hans, es-MX."""
    for tag in locales(metadata):
        found = TAG.fullmatch(tag)
        assert found is not None
        parts = (found["language"].lower(), (found["script"] or "").title(), (found["region"] or "").upper())
        must(tag == "-".join(filter(None, parts)), f"{tag} is spelt otherwise")


@condition("CheckDiscEndpointAllEndpointsAreHttps")
def is_https_throughout(metadata: Claims) -> None:
    """Every endpoint that is named."""
    for name in metadata:
        if name.endswith("_endpoint") or name == "jwks_uri":
            endpoint(metadata, name)


@condition("ParseUsableJwksKeys")
def has_usable_keys(jwks: JWKS, metadata: Claims) -> None:
    """At least one that signs an ID token."""
    wanted = set(metadata.get("id_token_signing_alg_values_supported", ())) - WEAK
    must(any(_usable(key) and key.get("alg") in wanted for key in jwks.get("keys", ())), "no key signs ID tokens")


@condition("WarnOnUnusableJwksKeys")
def has_no_other_keys(jwks: JWKS) -> None:
    """Nothing is published that nobody can read."""
    must(all(_usable(key) for key in jwks.get("keys", ())), "a key cannot be read")


def _usable(key: Mapping[str, Any]) -> bool:
    try:
        import_key(dict(key))
    except (JoseError, ValueError, KeyError):
        return False
    return True


def good(judge: Judge, got: Got, url: str) -> None:
    """All that is asked of the document itself."""
    metadata = got.document
    is_ok(judge, got)
    is_json(judge, got)
    is_where_it_is_looked_for(judge, url)
    speaks_of_itself(judge, metadata, url)
    for asks in ASKED:
        asks(judge, metadata)


ASKED: Final[tuple[Callable[[Judge, Claims], None], ...]] = (
    has_a_good_issuer,
    is_well_formed,
    is_known,
    takes_code,
    has_code_grant,
    has_subjects,
    signs_rs256,
    signs_userinfo,
    authorizes,
    issues,
    tells,
    registers,
    publishes,
    takes_requests,
    takes_request_uris,
    may_read_rs256,
    takes_claims,
    tells_claims,
    takes_openid,
    has_good_scopes,
    has_language_tags,
    spells_language_tags,
    is_https_throughout,
    takes_challenges,
)
