"""Authorization requests (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1): where the answer goes, and what is asked.

`addressed` comes first: before it has returned, nobody may be redirected anywhere. What `read` refuses goes back to the
client as an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, Literal, NamedTuple, cast

import msgspec

from watchword_server.protocol import pkce
from watchword_server.protocol.claims import NOTHING, ClaimsRequest, requested
from watchword_server.protocol.dpop import thumbprint
from watchword_server.protocol.errors import (
    InvalidRequest,
    InvalidTarget,
    OAuthError,
    RegistrationNotSupported,
    RequestNotSupported,
    RequestUriNotSupported,
    UnauthorizedClient,
    UnsupportedResponseType,
)
from watchword_server.protocol.grants.authorization_code import GRANT_TYPE
from watchword_server.protocol.redirection import is_registered
from watchword_server.protocol.targets import scope_tokens
from watchword_server.protocol.values import PUBLIC, Client

ResponseMode = Literal["query", "fragment", "form_post"]
RESPONSE_MODES: Final[tuple[ResponseMode, ...]] = ("query", "fragment", "form_post")
Prompt = Literal["none", "login", "consent", "select_account", "create"]
PROMPTS: Final = frozenset({"none", "login", "consent", "select_account", "create"})
# fmt: off
PARAMETERS: Final = frozenset({
    "client_id", "redirect_uri", "response_type", "response_mode", "state", "scope", "resource",
    "code_challenge", "code_challenge_method", "nonce", "prompt", "max_age", "login_hint", "id_token_hint",
    "acr_values", "ui_locales", "claims_locales", "claims", "registration", "dpop_jkt",
})
"""All that is read of a request, or refused in it, once it is known whole; everything else is ignored."""
# fmt: on
MAX_STATE: Final = 2048
MAX_NONCE: Final = 512
MAX_HINT: Final = 16 * 1024
"""Characters."""
MAX_LIST: Final = 16
_SECONDS: Final = re.compile(r"[0-9]{1,10}")
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,7}")
_VISIBLE: Final = re.compile(r"[\x20-\x7E]*")


class NotAddressable(Exception):
    """Nobody can be told but the person: no client is known, or not where its answers go (RFC 6749 §4.1.2.1)."""


class UnknownClient(NotAddressable):
    """No such client, or it is disabled."""


class Asked(NamedTuple):
    """The parameters of a request: those with a value, by name, and the names that came more than once."""

    values: Mapping[str, str]
    repeated: frozenset[str] = frozenset()


class Addressee(msgspec.Struct, frozen=True):
    """Where the answer goes, whatever it is. `redirect_uri` is one that the client has registered."""

    client_id: str
    redirect_uri: str
    response_mode: ResponseMode = "query"
    state: str | None = None


class AuthorizationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks for. `code_challenge` is S256, or None for a client that may do without."""

    to: Addressee
    scope: tuple[str, ...] = ()
    resource: str | None = None
    code_challenge: str | None = None
    nonce: str | None = None
    prompt: frozenset[Prompt] = frozenset()
    max_age: int | None = None
    """Seconds since the person signed in, at most."""
    login_hint: str | None = None
    id_token_hint: str | None = None
    """Still unverified."""
    acr_values: tuple[str, ...] = ()
    ui_locales: tuple[str, ...] = ()
    claims_locales: tuple[str, ...] = ()
    claims: ClaimsRequest = NOTHING
    dpop_jkt: str | None = None
    """The thumbprint of the key that the code is bound to (RFC 9449 §10)."""

    @property
    def is_openid(self) -> bool:
        """Whether an ID token is asked for (OpenID Connect Core §3.1.2.1)."""
        return "openid" in self.scope


def addressed(client: Client | None, asked: Asked, native: bool) -> Addressee:
    """Where the answer goes. Raises NotAddressable, whose message is for the log and not for the page.

    `native` says that the client runs on the person's device. A `response_mode` that is none of ours is told by the
    usual way, and so is a `state` that came twice, without it.
    """
    if client is None or client.disabled_at is not None:
        raise UnknownClient("no such client, or it is disabled")
    if not asked.repeated.isdisjoint({"client_id", "redirect_uri"}):
        raise NotAddressable("client_id or redirect_uri came twice")
    redirect_uri = asked.values.get("redirect_uri")
    if redirect_uri is None:
        raise NotAddressable("redirect_uri is missing")
    if not is_registered(client.redirect_uris, redirect_uri, native):
        raise NotAddressable("redirect_uri is not registered for this client")
    mode, state = asked.values.get("response_mode"), asked.values.get("state")
    return Addressee(
        client.client_id,
        redirect_uri,
        mode if mode in RESPONSE_MODES else "query",
        state if "state" not in asked.repeated and state is not None and len(state) <= MAX_STATE else None,
    )


def read(client: Client, to: Addressee, asked: Asked, needs_challenge: bool = True) -> AuthorizationRequest:
    """What is asked. Every refusal is an OAuthError that goes back to the client.

    `needs_challenge` is false for a confidential client whose operator let it do without PKCE.
    """
    if "resource" in asked.repeated:  # RFC 8707 §2.1 lets a client name several
        raise InvalidTarget("a token is for one API: ask for one after the other")
    if asked.repeated:
        raise InvalidRequest("a parameter appears twice")
    values = asked.values
    for refuse in _REFUSALS:
        refuse(client, values)
    return AuthorizationRequest(
        to=to,
        scope=scope_tokens(values.get("scope")),
        resource=values.get("resource"),
        code_challenge=_challenge(values, needs_challenge or client.kind == PUBLIC),
        nonce=_short(values, "nonce", MAX_NONCE),
        prompt=_prompt(values.get("prompt")),
        max_age=_max_age(values.get("max_age")),
        login_hint=_short(values, "login_hint", MAX_HINT),
        id_token_hint=_short(values, "id_token_hint", MAX_HINT),
        acr_values=_list(values.get("acr_values"), _VISIBLE),
        ui_locales=_list(values.get("ui_locales"), _LANGUAGE),
        claims_locales=_list(values.get("claims_locales"), _LANGUAGE),
        claims=requested(values.get("claims")),
        dpop_jkt=thumbprint(values.get("dpop_jkt")),
    )


def _may_ask(client: Client, values: Mapping[str, str]) -> None:
    if GRANT_TYPE not in client.grant_types:
        raise UnauthorizedClient("client may not use the authorization code flow")


def _asks_for_a_code(client: Client, values: Mapping[str, str]) -> None:
    if "response_type" not in values:
        raise InvalidRequest("response_type is missing")
    if values["response_type"] != "code":
        raise UnsupportedResponseType("only response_type=code is answered")


def _names_a_mode(client: Client, values: Mapping[str, str]) -> None:
    if values.get("response_mode", "query") not in RESPONSE_MODES:
        raise InvalidRequest("no such response_mode")


def _has_a_short_state(client: Client, values: Mapping[str, str]) -> None:
    if len(values.get("state", "")) > MAX_STATE:
        raise InvalidRequest("state is too long")


def _without(name: str, refusal: type[OAuthError]) -> Callable[[Client, Mapping[str, str]], None]:
    def refuse(client: Client, values: Mapping[str, str]) -> None:
        if name in values:
            raise refusal(f"{name} is not taken here")

    return refuse


# fmt: off
_REFUSALS: Final = (
    _names_a_mode,                                          # OAuth 2.0 Multiple Response Types §2.1
    _has_a_short_state,
    _asks_for_a_code,                                       # RFC 6749 §3.1.1
    _may_ask,                                               # RFC 6749 §4.1.2.1
    # What is asked by these two is opened before (flows/requests.py), and then neither is left.
    _without("request", RequestNotSupported),               # OpenID Connect Core §6.1
    _without("request_uri", RequestUriNotSupported),        # OpenID Connect Core §6.2
    _without("registration", RegistrationNotSupported),     # OpenID Connect Core §7.2.1
)
# fmt: on


def _challenge(values: Mapping[str, str], needed: bool) -> str | None:
    challenge, method = values.get("code_challenge"), values.get("code_challenge_method")
    if challenge is None:
        if method is not None:
            raise InvalidRequest("code_challenge_method without code_challenge")
        if needed:
            raise InvalidRequest("code_challenge is missing: PKCE is required (RFC 7636)")
        return None
    if method != pkce.METHOD:  # missing, it would mean plain (RFC 7636 §4.3)
        raise InvalidRequest("code_challenge_method must be S256")
    if not pkce.is_challenge(challenge):
        raise InvalidRequest("code_challenge is no SHA-256 in base64url")
    return challenge


def _prompt(text: str | None) -> frozenset[Prompt]:
    asked = frozenset((text or "").split())
    if not asked <= PROMPTS:
        raise InvalidRequest("no such prompt")
    if "none" in asked and len(asked) > 1:
        raise InvalidRequest("prompt=none stands alone (OpenID Connect Core §3.1.2.1)")
    return cast("frozenset[Prompt]", asked)


def _max_age(text: str | None) -> int | None:
    if text is None:
        return None
    if not _SECONDS.fullmatch(text):
        raise InvalidRequest("max_age is not a number of seconds")
    return int(text)


def _short(values: Mapping[str, str], name: str, most: int) -> str | None:
    found = values.get(name)
    if found is not None and len(found) > most:
        raise InvalidRequest(f"{name} is too long")
    return found


def _list(text: str | None, form: re.Pattern[str]) -> tuple[str, ...]:
    """What is wished for in order of preference; wishes that nobody can understand are no error (§3.1.2.1)."""
    return tuple(word for word in (text or "").split()[:MAX_LIST] if form.fullmatch(word))
