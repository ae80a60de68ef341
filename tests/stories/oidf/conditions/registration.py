"""What the registration endpoint answers (OpenID Connect Registration §3)."""

from __future__ import annotations

from tests.stories.oidf.conditions.values import is_https
from tests.stories.oidf.judge import Judge, condition, must
from tests.stories.oidf.wire import Got


@condition("EnsureContentTypeJson")
def is_json(got: Got) -> None:
    """Refused or not."""
    must(got.media_type == "application/json", f"the answer is {got.media_type or 'of no type'}")


@condition("EnsureHttpStatusCodeIs201")
def is_created(got: Got) -> None:
    """§3.2."""
    must(got.status == 201, f"the status is {got.status}: {got.text[:300]}")


@condition("CheckNoErrorFromDynamicRegistrationEndpoint")
def is_no_error(got: Got) -> None:
    """§3.2."""
    must("error" not in got.document, f"it is an error: {got.text[:300]}")


@condition("VerifyClientManagementCredentials")
def can_be_managed(got: Got) -> None:
    """A URI and a token for it, or neither (§3.2)."""
    uri, token = (got.document.get(name) for name in ("registration_client_uri", "registration_access_token"))
    must((uri is None) == (token is None), "there is one of registration_client_uri and registration_access_token")
    must(token is None or (isinstance(token, str) and token), "registration_access_token is no text")
    must(uri is None or is_https(uri), f"registration_client_uri is no https URL: {uri!r}")


@condition("VerifyDynamicRegistrationResponseClientCredentials")
def has_credentials(got: Got) -> None:
    """§3.2."""
    secret, until = got.document.get("client_secret"), got.document.get("client_secret_expires_at")
    must(isinstance(got.document.get("client_id"), str), "there is no client_id")
    must(secret is None or isinstance(until, int), "a secret came without client_secret_expires_at")


@condition("EnsureHttpStatusCodeIs400")
def is_refused(got: Got) -> None:
    """§3.3."""
    must(got.status == 400, f"the status is {got.status}")


@condition("CheckErrorFromDynamicRegistrationEndpointIsInvalidClientMetadata")
def is_about_metadata(got: Got) -> None:
    """§3.3."""
    must(got.document.get("error") == "invalid_client_metadata", f"the error is {got.document.get('error')!r}")


@condition("CheckErrorFromDynamicRegistrationEndpointIsInvalidRedirectUriOrInvalidClientMetadata")
def is_about_the_redirect_uri(got: Got) -> None:
    """§3.3."""
    error = got.document.get("error")
    must(error in ("invalid_redirect_uri", "invalid_client_metadata"), f"the error is {error!r}")


def registered(judge: Judge, got: Got) -> None:
    """All that is asked of a registration that should succeed."""
    for asks in (is_json, is_created, is_no_error, can_be_managed, has_credentials):
        asks(judge, got)
