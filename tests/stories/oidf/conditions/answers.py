"""What comes back from the authorization endpoint (OpenID Connect Core §3.1.2.5 and §3.1.2.6)."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from tests.stories.oidf.browser import Arrival
from tests.stories.oidf.conditions.values import DESCRIPTION, URI, enough
from tests.stories.oidf.judge import Judge, condition, must
from tests.stories.oidf.page import Page
from tests.stories.oidf.wire import FORM

ERRORS = frozenset({"error", "error_description", "error_uri", "state", "iss"})
NEEDS_A_PERSON = frozenset({"interaction_required", "login_required", "account_selection_required", "consent_required"})

Parameters = dict[str, str]


@condition("CheckCallbackHttpMethodIsPost")
def is_posted(came: Arrival) -> None:
    """OAuth 2.0 Form Post Response Mode §2."""
    must(came.method == "POST", f"the answer came by {came.method}")


@condition("CheckCallbackContentTypeIsFormUrlEncoded")
def is_a_form(came: Arrival) -> None:
    """OAuth 2.0 Form Post Response Mode §2."""
    must(came.media_type == FORM, f"the answer came as {came.media_type or 'nothing'}")


@condition("RejectAuthCodeInUrlQuery")
def has_no_code_in_its_url(came: Arrival) -> None:
    """Where the answer is posted."""
    must("code" not in came.query, "the code is in the URL")


@condition("RejectErrorInUrlQuery")
def has_no_error_in_its_url(came: Arrival) -> None:
    """Where the answer is posted."""
    must("error" not in came.query, "the error is in the URL")


@condition("CheckMatchingCallbackParameters")
def keeps_the_query(came: Arrival, redirect_uri: str) -> None:
    """What stood in the registered URI stands there still (RFC 6749 §3.1.2)."""
    wanted = dict(parse_qsl(urlsplit(redirect_uri).query))
    must(wanted.items() <= came.query.items(), f"of {wanted} there is {came.query}")


@condition("ValidateIssIfPresentInAuthorizationResponse")
def is_by_the_issuer(answer: Parameters, issuer: str) -> None:
    """RFC 9207 §2.4. The issuer says that it names itself, so it has to."""
    must(answer.get("iss") == issuer, f"iss is {answer.get('iss')!r}")


@condition("CheckIfAuthorizationEndpointError")
def is_no_refusal(came: Arrival | Page, answer: Parameters) -> None:
    """The person is back at the relying party, without an error."""
    if isinstance(came, Page):
        must(False, f"{came.path} answers {came.got.status}: {came.words[:300]}")
    must("error" not in answer, f"it is {answer.get('error')}: {answer.get('error_description')}")


@condition("CheckStateInAuthorizationResponse")
def has_the_state(answer: Parameters, state: str | None) -> None:
    """RFC 6749 §4.1.2."""
    must(answer.get("state") == state, f"the state is {answer.get('state')!r} instead of {state!r}")


@condition("EnsureMinimumAuthorizationCodeLength")
def has_a_long_code(answer: Parameters) -> None:
    """RFC 6749 §10.10: 128 bits in base64."""
    must(len(answer.get("code", "")) >= 22, "the code is short")


@condition("EnsureMinimumAuthorizationCodeEntropy")
def has_a_random_code(answer: Parameters) -> None:
    """RFC 6749 §10.10."""
    enough(answer.get("code"), "code", 96)


@condition("EnsureErrorFromAuthorizationEndpointResponse")
def is_a_refusal(answer: Parameters) -> None:
    """OpenID Connect Core §3.1.2.6."""
    must(answer.get("error"), "it is no error")


@condition("RejectAuthCodeInAuthorizationEndpointResponse")
def has_no_code(answer: Parameters) -> None:
    """An error brings no code."""
    must("code" not in answer, "a code came with the error")


@condition("CheckForUnexpectedParametersInErrorResponseFromAuthorizationEndpoint")
def has_nothing_else(answer: Parameters) -> None:
    """An error has the parameters of an error."""
    must(answer.keys() <= ERRORS, f"there is {sorted(answer.keys() - ERRORS)} too")


@condition("CheckErrorDescriptionFromAuthorizationEndpointResponseErrorContainsCRLFTAB")
def is_described_in_a_line(answer: Parameters) -> None:
    """No tab, no second line."""
    must(not set("\r\n\t") & set(answer.get("error_description", "")), "error_description is of several lines")


@condition("ValidateErrorDescriptionFromAuthorizationEndpointResponseError")
def is_described_in_ascii(answer: Parameters) -> None:
    """RFC 6749 §4.1.2.1."""
    must(DESCRIPTION.fullmatch(answer.get("error_description", "")), "error_description has other characters")


@condition("ValidateErrorUriFromAuthorizationEndpointResponseError")
def has_a_uri(answer: Parameters) -> None:
    """RFC 6749 §4.1.2.1."""
    must("error_uri" not in answer or URI.fullmatch(answer["error_uri"]), "error_uri is no URI")


@condition("CheckErrorFromAuthorizationEndpointErrorInvalidRequestOrUnsupportedResponseType")
def is_about_the_response_type(answer: Parameters) -> None:
    """RFC 6749 §3.1.1."""
    must(answer.get("error") in ("invalid_request", "unsupported_response_type"), f"it is {answer.get('error')}")


@condition("CheckErrorFromAuthorizationEndpointIsOneThatRequiredAUserInterface")
def needs_a_person(answer: Parameters) -> None:
    """OpenID Connect Core §3.1.2.6."""
    must(answer.get("error") in NEEDS_A_PERSON, f"it is {answer.get('error')}")


@condition("AuthorizationEndpointRedirectedBackUnexpectedly")
def stays(came: Arrival | Page) -> None:
    """Nobody is sent to an address that was not asked for."""
    must(isinstance(came, Page), "the browser was sent to the relying party")


def refusal(judge: Judge, answer: Parameters, issuer: str, state: str) -> None:
    """All that is asked of an error."""
    is_a_refusal(judge, answer)
    has_the_state(judge, answer, state)
    is_by_the_issuer(judge, answer, issuer)
    for asks in (
        has_no_code,
        has_nothing_else,
        is_described_in_a_line,
        is_described_in_ascii,
        has_a_uri,
    ):
        asks(judge, answer)
