"""What the token endpoint answers (RFC 6749 §5)."""

from __future__ import annotations

from tests.stories.oidf.conditions.values import DESCRIPTION, ERROR, PRINTABLE, URI, enough
from tests.stories.oidf.judge import Judge, condition, must
from tests.stories.oidf.tokens import Claims
from tests.stories.oidf.wire import Got

YEAR = 365 * 24 * 3600


@condition("CheckTokenEndpointHttpStatus200")
def is_ok(got: Got) -> None:
    """§5.1."""
    must(got.status == 200, f"the status is {got.status}: {got.text[:300]}")


@condition("CheckIfTokenEndpointResponseError")
def is_no_error(got: Got) -> None:
    """§5.1."""
    must(got.document and "error" not in got.document, f"it is an error: {got.text[:300]}")


@condition("CheckForAccessTokenValue")
def has_an_access_token(got: Got) -> None:
    """§5.1."""
    for name in ("access_token", "token_type"):
        must(got.document.get(name), f"{name} is missing")


@condition("ValidateExpiresIn")
def expires(got: Got) -> None:
    """§5.1: seconds."""
    found = got.document.get("expires_in")
    must(type(found) is int and 0 < found <= YEAR, f"expires_in is {found!r}")


@condition("ExtractExpiresInFromTokenEndpointResponse")
def says_when(got: Got) -> None:
    """§5.1 recommends it."""
    must("expires_in" in got.document, "expires_in is missing")


@condition("CheckTokenEndpointReturnedJsonContentType")
def is_json(got: Got) -> None:
    """§5.1."""
    must(got.media_type == "application/json", f"the answer is {got.media_type or 'of no type'}")


@condition("CheckTokenEndpointCacheHeaders")
def is_not_kept(got: Got) -> None:
    """§5.1."""
    must("no-store" in got.header("cache-control"), f"Cache-Control is {got.header('cache-control')!r}")


@condition("CheckTokenTypeIsBearer")
def is_a_bearer_token(got: Got) -> None:
    """RFC 6750 §6.1.1."""
    must(str(got.document.get("token_type")).lower() == "bearer", f"it is {got.document.get('token_type')!r}")


@condition("EnsureMinimumAccessTokenEntropy")
def is_random(got: Got) -> None:
    """RFC 6749 §10.10."""
    enough(got.document.get("access_token"), "access token", 128)


@condition("EnsureAccessTokenContainsAllowedCharactersOnly")
def is_printable(got: Got) -> None:
    """RFC 6749 §A.12."""
    must(PRINTABLE.fullmatch(got.document.get("access_token") or ""), "the access token has other characters")


@condition("EnsureAccessTokenValuesAreDifferent")
def is_another(got: Got, before: Claims) -> None:
    """A refresh makes a new one."""
    must(got.document.get("access_token") != before.get("access_token"), "it is the same access token")


@condition("EnsureServerConfigurationSupportsRefreshToken")
def says_that_it_refreshes(metadata: Claims) -> None:
    """OpenID Connect Discovery §3."""
    must("refresh_token" in metadata.get("grant_types_supported", ()), "grant_types_supported lacks refresh_token")


@condition("EnsureRefreshTokenContainsAllowedCharactersOnly")
def refresh_is_printable(got: Claims) -> None:
    """RFC 6749 §A.17."""
    must(PRINTABLE.fullmatch(got.get("refresh_token") or ""), "the refresh token has other characters")


@condition("EnsureMinimumRefreshTokenLength")
def refresh_is_long(got: Claims) -> None:
    """RFC 6749 §10.10."""
    must(len(got.get("refresh_token") or "") >= 22, "the refresh token is short")


@condition("EnsureMinimumRefreshTokenEntropy")
def refresh_is_random(got: Claims) -> None:
    """RFC 6749 §10.10."""
    enough(got.get("refresh_token"), "refresh token", 96)


@condition("CompareIdTokenClaims")
def tells_of_the_same(after: Claims, before: Claims) -> None:
    """OpenID Connect Core §12.2."""
    for name in ("iss", "sub", "aud", "azp", "auth_time"):
        must(after.get(name) == before.get(name), f"{name} was {before.get(name)!r} and is {after.get(name)!r}")
    must(after.get("iat", 0) >= before.get("iat", 0), "the new ID token is older than the old one")
    must(after.get("nonce") in (None, before.get("nonce")), "the nonce is another")


@condition("CheckTokenEndpointHttpStatus400")
def is_refused(got: Got) -> None:
    """§5.2."""
    must(got.status == 400, f"the status is {got.status}")


@condition("CheckErrorFromTokenEndpointResponseErrorInvalidGrant")
def is_about_the_grant(got: Got) -> None:
    """§5.2."""
    must(got.document.get("error") == "invalid_grant", f"the error is {got.document.get('error')!r}")


@condition("CheckTokenEndpointHttpStatusIs400Allowing401ForInvalidClientError")
def is_refused_as_a_client(got: Got) -> None:
    """§5.2: 401 only for a client that did not authenticate."""
    must(got.status in ((400, 401) if got.document.get("error") == "invalid_client" else (400,)), f"it is {got.status}")


@condition("CheckErrorFromTokenEndpointResponseErrorInvalidClient")
def is_about_the_client(got: Got) -> None:
    """§5.2."""
    must(got.document.get("error") == "invalid_client", f"the error is {got.document.get('error')!r}")


@condition("ValidateErrorFromTokenEndpointResponseError")
def has_an_error(got: Got) -> None:
    """§5.2."""
    must(ERROR.fullmatch(str(got.document.get("error", ""))), f"the error is {got.document.get('error')!r}")


@condition("CheckErrorDescriptionFromTokenEndpointResponseErrorContainsCRLFTAB")
def is_described_in_a_line(got: Got) -> None:
    """No tab, no second line."""
    must(not set("\r\n\t") & set(got.document.get("error_description", "")), "error_description is of several lines")


@condition("ValidateErrorDescriptionFromTokenEndpointResponseError")
def is_described_in_ascii(got: Got) -> None:
    """§5.2."""
    must(DESCRIPTION.fullmatch(got.document.get("error_description", "")), "error_description has other characters")


@condition("ValidateErrorUriFromTokenEndpointResponseError")
def has_a_uri(got: Got) -> None:
    """§5.2."""
    must("error_uri" not in got.document or URI.fullmatch(got.document["error_uri"]), "error_uri is no URI")


@condition("ServerAllowedReusingAuthorizationCode")
def is_used_once(got: Got) -> None:
    """§4.1.2."""
    must(got.status != 200, "a code was good for a second time")


def issued(judge: Judge, got: Got) -> None:
    """All that is asked of an answer with tokens."""
    for asks in (is_ok, is_no_error, has_an_access_token, says_when, expires):
        asks(judge, got)


def refused(judge: Judge, got: Got) -> None:
    """All that is asked of an error."""
    for asks in (is_json, has_an_error, is_described_in_a_line, is_described_in_ascii, has_a_uri):
        asks(judge, got)
