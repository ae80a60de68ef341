"""The options that describe a client beside its name: OpenID Connect, logout, what people see."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from msgspec.structs import replace

from watchword.errors import WatchwordError
from watchword.jose.jwt import claims
from watchword_server.cli.answers import Answer
from watchword_server.cli.desk import Desk
from watchword_server.cli.failures import Usage
from watchword_server.protocol.client_authentication import METHODS
from watchword_server.protocol.client_metadata import ENC
from watchword_server.protocol.registration import ALGORITHMS
from watchword_server.protocol.values import ClientMetadata

LARGEST: Final = 64 * 1024
"""Bytes of a file with keys."""
_SIGNED: Final = f"Signed with it: {', '.join(ALGORITHMS)}."
_FOR: Final = "Encrypted to a key of the client's by this algorithm"


class Pkce(StrEnum):
    """Whether a confidential client has to use PKCE."""

    REQUIRED = "required"
    OPTIONAL = "optional"


def _option(kind: Any, flag: str, help: str, metavar: str | None = None) -> Any:
    """What Typer reads as an option that is None where it was not said."""
    return Annotated[kind | None, typer.Option(flag, help=help, metavar=metavar)]


def _text(flag: str, help: str, metavar: str = "URI") -> Any:
    return _option(str, flag, help, metavar)


def _texts(flag: str, help: str, metavar: str = "URI") -> Any:
    return _option(list[str], flag, f"{help} May be repeated.", metavar)


def _switch(flag: str, help: str) -> Any:
    return _option(bool, flag, help)


# fmt: off
OPTIONS: Final[Mapping[str, Any]] = {
    "application_type":   _switch("--native/--web", "It runs on a person's device: any port on loopback, own schemes."),
    "token_endpoint_auth_method": _text("--auth-method", f"How it will authenticate: {', '.join(METHODS)}.", "METHOD"),
    "token_endpoint_auth_signing_alg": _text("--auth-alg", "Its assertions are signed with it alone.", "ALG"),
    "assertion_audience": _switch(
        "--assertions-for-token-endpoint/--assertions-for-issuer", "Whom its assertions name; the issuer else."),
    "pkce":               _option(Pkce, "--pkce", "Whether it has to use PKCE; public clients have to."),
    "post_logout_redirect_uris": _texts("--post-logout-redirect-uri", "Where people may return to, signed out."),
    "backchannel_logout_uri": _text("--backchannel-logout-uri", "Told when a session ends."),
    "backchannel_logout_session_required": _switch(
        "--backchannel-logout-session/--no-backchannel-logout-session", "It wants to be told which session."),
    "subject_type":       _switch("--pairwise/--public-subject", "It knows people by names that nobody else knows."),
    "sector_identifier_uri": _text("--sector-identifier-uri", "Lists its redirect URIs; names its sector."),
    "id_token_signed_response_alg": _text("--id-token-alg", f"{_SIGNED} RS256 else.", "ALG"),
    "id_token_encrypted_response_alg": _text("--id-token-encryption-alg", f"{_FOR}.", "ALG"),
    "id_token_encrypted_response_enc": _text("--id-token-encryption-enc", f"Content encryption; {ENC} else.", "ENC"),
    "userinfo_signed_response_alg": _text("--userinfo-alg", f"{_SIGNED} Plain JSON else.", "ALG"),
    "userinfo_encrypted_response_alg": _text("--userinfo-encryption-alg", f"{_FOR}.", "ALG"),
    "userinfo_encrypted_response_enc": _text("--userinfo-encryption-enc", f"Content encryption; {ENC} else.", "ENC"),
    "request_object_signing_alg": _text("--request-object-alg", "Its request objects are signed with it alone.", "ALG"),
    "request_uris":       _texts("--request-uri", "Where its request objects lie."),
    "require_signed_request_object": _switch(
        "--require-signed-request-object/--no-require-signed-request-object", "No request of it is taken unsigned."),
    "require_pushed_authorization_requests": _switch(
        "--require-par/--no-require-par", "No request of it is taken that was not pushed."),
    "jwks":               _option(Path, "--jwks", "Its public keys: a file with a JWK set.", "FILE"),
    "jwks_uri":           _text("--jwks-uri", "Where its public keys lie."),
    "fapi2":              _switch("--fapi2/--no-fapi2", "It keeps to the FAPI 2.0 Security Profile, all of it."),
    "dpop_bound_access_tokens": _switch("--dpop/--no-dpop", "It gets no token that is not bound to a key (DPoP)."),
    "signs_tokens":       _switch("--signs-tokens/--no-signs-tokens", "It signs its own tokens for its APIs."),
    "acts_for":           _texts("--acts-for", "A client whose tokens it may exchange; * for any.", "CLIENT_ID"),
    "impersonates":       _switch("--impersonate/--no-impersonate", "Its exchanged tokens need not say that it acts."),
    "default_max_age":    _option(int, "--default-max-age", "Seconds since a sign-in, at most.", "SECONDS"),
    "require_auth_time":  _switch("--require-auth-time/--no-require-auth-time", "ID tokens say when."),
    "default_acr_values": _texts("--default-acr-value", "How people are to sign in.", "ACR"),
    "initiate_login_uri": _text("--initiate-login-uri", "Where others may begin a sign-in."),
    "client_uri":         _text("--client-uri", "Its home page."),
    "logo_uri":           _text("--logo-uri", "Its logo: PNG, JPEG, WebP or GIF; at most 64 KiB."),
    "policy_uri":         _text("--policy-uri", "What it does with data."),
    "tos_uri":            _text("--tos-uri", "Its terms of service."),
    "contacts":           _texts("--contact", "Who answers for it.", "EMAIL"),
}
# fmt: on

_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "application_type": ("native", "web"),
    "subject_type": ("pairwise", "public"),
    "assertion_audience": ("token_endpoint", "issuer"),
}
"""What the two sides of a switch mean."""


def describing(act: Callable[..., Awaitable[Answer]]) -> Callable[..., Awaitable[Answer]]:
    """Give an act the options; it gets what was said as `said`, by the fields of ClientMetadata."""

    async def described(desk: Desk, **given: Any) -> Answer:
        said = {name: given.pop(name) for name in OPTIONS}
        return await act(desk, **given, said=_meant(said))

    own = [one for one in inspect.signature(act, eval_str=True).parameters.values() if one.name != "said"]
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)
        for name, option in OPTIONS.items()
    ]
    described.__signature__ = inspect.Signature([*own, *more])  # type: ignore[attr-defined]  # inspect looks for it
    described.__doc__ = act.__doc__
    return described


def applied(metadata: ClientMetadata, said: Mapping[str, Any]) -> ClientMetadata:
    """The same, but for what was said. An encryption that is named by its algorithm alone gets its usual other half."""
    found = replace(metadata, **said)
    for what in ("id_token", "userinfo"):
        alg, enc = f"{what}_encrypted_response_alg", f"{what}_encrypted_response_enc"
        if getattr(found, alg) is not None and getattr(found, enc) is None:
            found = replace(found, **{enc: ENC})
        if getattr(found, alg) is None and alg in said:
            found = replace(found, **{enc: None})
    return found


def shown(metadata: ClientMetadata) -> dict[str, Any]:
    """As programs read it: what differs from the usual, and nothing by which anybody could act for the client."""
    public = replace(metadata, management_hash=None, sealed_secret=None, retiring_secret=None)
    found: dict[str, Any] = msgspec.to_builtins(public)
    retiring = metadata.retiring_secret
    until = {} if retiring is None else {"old_secret_until": retiring.until}
    return {"id_token_signed_response_alg": metadata.id_token_signed_response_alg, **found, **until}


def _meant(said: Mapping[str, Any]) -> dict[str, Any]:
    """What was said, as the fields have it. An empty text takes away what was there."""
    found: dict[str, Any] = {}
    for name, value in said.items():
        if name in _WORDS and value is not None:
            found[name] = _WORDS[name][0 if value else 1]
        elif isinstance(value, list):
            found[name] = tuple(filter(None, value))
        elif isinstance(value, Path):
            found[name] = _key_set(value)
        elif value is not None:
            found[name] = value.value if isinstance(value, Pkce) else value if value != "" else _unset(name)
    return found


def _unset(name: str) -> object:
    return getattr(ClientMetadata(), name)


def _key_set(path: Path) -> Mapping[str, object] | None:
    if path == Path():  # what an empty text becomes
        return None
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    try:
        found = claims(content) if len(content) <= LARGEST else {}
    except WatchwordError:
        found = {}
    if "keys" not in found:
        raise Usage(f'{path} holds no JWK set: a JSON object such as {{"keys": [...]}}')
    return found
