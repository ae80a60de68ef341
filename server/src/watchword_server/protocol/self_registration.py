"""What a client says to register itself, and what it is told (RFC 7591 §2 and §3.2, RFC 7592 §2.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from watchword_server.protocol.client_authentication import METHODS, NONE, SECRET_METHODS
from watchword_server.protocol.client_metadata import ENC
from watchword_server.protocol.errors import InvalidScope
from watchword_server.protocol.grants.authorization_code import GRANT_TYPE as AUTHORIZATION_CODE
from watchword_server.protocol.grants.refresh_token import GRANT_TYPE as REFRESH_TOKEN
from watchword_server.protocol.registration import MOST_URIS
from watchword_server.protocol.targets import IDENTITY, scope_tokens
from watchword_server.protocol.uris import BadRedirectUri, BadRegistration, checked_redirect_uri, host_of, origin_of
from watchword_server.protocol.values import PUBLIC, Api, Client, ClientMetadata

GRANT_TYPES: Final = (AUTHORIZATION_CODE, REFRESH_TOKEN)
"""What a client may use that nobody vouches for: it acts for people, and never for itself."""
RESPONSE_TYPES: Final = ("code",)
# fmt: off
SAID: Final = (
    "application_type", "token_endpoint_auth_method", "token_endpoint_auth_signing_alg", "dpop_bound_access_tokens",
    "post_logout_redirect_uris", "backchannel_logout_uri", "backchannel_logout_session_required", "subject_type",
    "sector_identifier_uri", "id_token_signed_response_alg", "id_token_encrypted_response_alg",
    "id_token_encrypted_response_enc", "userinfo_signed_response_alg", "userinfo_encrypted_response_alg",
    "userinfo_encrypted_response_enc", "request_object_signing_alg", "request_uris", "require_signed_request_object",
    "require_pushed_authorization_requests", "jwks", "jwks_uri", "default_max_age", "require_auth_time",
    "default_acr_values", "initiate_login_uri", "client_uri", "logo_uri", "policy_uri", "tos_uri", "contacts",
    "software_id", "software_version",
)
# fmt: on
"""Fields of ClientMetadata that are the client's to say: these and no others, so that one that is new is not."""
BEYOND_SAYING: Final = frozenset(ClientMetadata.__struct_fields__) - frozenset(SAID)
"""Those that are not."""
OURS: Final = (
    "registration_access_token",
    "registration_client_uri",
    "client_secret_expires_at",
    "client_id_issued_at",
)
"""What must not come back in an update (RFC 7592 §2.2)."""
AT_ITS_HOST: Final = ("client_uri", "logo_uri", "policy_uri")
"""What a client may have only at a host that people return to (OpenID Connect Registration 1.0 §9.1)."""
_MISLEADING: Final = re.compile(r"[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]")
"""What turns text around, or is not to be seen."""


class _Program(msgspec.Struct, frozen=True):
    """What stands in a Client itself."""

    redirect_uris: tuple[str, ...] = ()
    response_types: tuple[str, ...] = RESPONSE_TYPES
    grant_types: tuple[str, ...] = (AUTHORIZATION_CODE,)
    client_name: str | None = None
    scope: str | None = None


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """What a client wants to be. `scope` is None where it leaves that open."""

    name: str
    is_public: bool
    redirect_uris: tuple[str, ...]
    grant_types: frozenset[str]
    scope: tuple[str, ...] | None
    metadata: ClientMetadata

    @property
    def origins(self) -> tuple[str, ...]:
        """Those of its redirect URIs: the pages there get the codes anyway, so they may trade them too."""
        return tuple(dict.fromkeys(origin for uri in self.redirect_uris if (origin := origin_of(uri)) is not None))


def read(members: Mapping[str, object], host: str | None = None) -> Proposal:
    """What is proposed. Members that are not known are ignored (RFC 7591 §2), null is as good as not there.

    `host` is the one that vouches for it; None where only those do that people return to. What needs to know more is
    not checked yet. Raises BadRegistration.
    """
    given = {name: value for name, value in members.items() if value is not None}
    program = _typed(_Program, given, _Program.__struct_fields__)
    metadata = _typed(ClientMetadata, given, SAID)
    method = metadata.token_endpoint_auth_method or SECRET_METHODS[0]
    if method not in METHODS:
        raise BadRegistration(f"token_endpoint_auth_method is not one of {', '.join(METHODS)}")
    _must_fit_together(program)
    for uri in program.redirect_uris:
        checked_redirect_uri(uri, metadata.application_type == "native")
    return Proposal(
        name=_name(program),
        is_public=method == NONE,
        redirect_uris=program.redirect_uris,
        grant_types=frozenset(program.grant_types),
        scope=None if program.scope is None else _scope(program.scope),
        metadata=_at_its_host(
            _whole(replace(metadata, token_endpoint_auth_method=method)),
            tuple(map(host_of, program.redirect_uris)) if host is None else (host,),
        ),
    )


def must_be_about(client: Client, members: Mapping[str, object]) -> None:
    """An update names the client, and nothing that is not the client's to say (RFC 7592 §2.2)."""
    if members.get("client_id") != client.client_id:
        raise BadRegistration("client_id has to be in an update, and to be that of the client")
    ours = [name for name in OURS if name in members]
    if ours:
        raise BadRegistration(f"{ours[0]} is not the client's to say, and has no place in an update (RFC 7592 §2.2)")


def access(scope: tuple[str, ...] | None, apis: Mapping[str, Api]) -> Mapping[str, tuple[str, ...]]:
    """What it may have at these APIs: what it named, or all. Scopes that nobody knows are left out (§3.2.1)."""
    wanted = {
        audience: tuple(one for one in api.scopes if scope is None or one in scope) for audience, api in apis.items()
    }
    return {audience: scopes for audience, scopes in wanted.items() if scopes}


def described(client: Client) -> dict[str, Any]:
    """All that is registered (RFC 7591 §3.2.1), but what proves who the client is."""
    scopes = sorted(IDENTITY) + [scope for scopes in client.access.values() for scope in scopes]
    own = {name: getattr(client.metadata, name) for name in SAID}
    return {
        "client_id": client.client_id,
        "client_id_issued_at": client.created_at,
        "client_name": client.name,
        "redirect_uris": client.redirect_uris,
        "response_types": RESPONSE_TYPES if AUTHORIZATION_CODE in client.grant_types else (),
        "grant_types": sorted(client.grant_types),
        "scope": " ".join(dict.fromkeys(scopes)),
        **{name: value for name, value in own.items() if value not in (None, ())},
    }


def _typed(kind: Any, given: Mapping[str, object], names: tuple[str, ...]) -> Any:
    try:
        return msgspec.convert({name: given[name] for name in names if name in given}, kind)
    except msgspec.ValidationError as error:
        what, _, place = str(error).rpartition(" - at `$.")
        said = "not a value that is known" if what.startswith("Invalid enum value") else what[:200]
        raise BadRegistration(f"{place.rstrip('`')[:100]}: {said}") from error


def _must_fit_together(program: _Program) -> None:
    """RFC 7591 §2.1."""
    unknown = [one for one in program.grant_types if one not in GRANT_TYPES]
    if unknown:
        raise BadRegistration(f"grant_types has {unknown[0][:100]!r}; it may have {' and '.join(GRANT_TYPES)}")
    if AUTHORIZATION_CODE not in program.grant_types or program.response_types != RESPONSE_TYPES:
        raise BadRegistration('response_types is ["code"], and grant_types has authorization_code')
    if not program.redirect_uris:
        raise BadRedirectUri("redirect_uris is missing")
    if len(program.redirect_uris) > MOST_URIS:
        raise BadRedirectUri(f"redirect_uris has more than {MOST_URIS} members")


def _name(program: _Program) -> str:
    """Without a name it is called by the host that people return to."""
    if program.client_name is None:
        return next(filter(None, map(host_of, program.redirect_uris)), "An app without a name")[:100]
    if _MISLEADING.search(program.client_name):
        raise BadRegistration("client_name has characters that cannot be seen, or that turn text around")
    return program.client_name


def _scope(text: str) -> tuple[str, ...]:
    try:
        return scope_tokens(text)
    except InvalidScope as error:
        raise BadRegistration("scope is malformed (RFC 6749 §3.3)") from error


def _whole(metadata: ClientMetadata) -> ClientMetadata:
    """An encryption that is named by its algorithm alone has its usual other half."""
    for what in ("id_token", "userinfo"):
        alg, enc = f"{what}_encrypted_response_alg", f"{what}_encrypted_response_enc"
        if getattr(metadata, alg) is not None and getattr(metadata, enc) is None:
            metadata = replace(metadata, **{enc: ENC})
    return metadata


def _at_its_host(metadata: ClientMetadata, its: tuple[str | None, ...]) -> ClientMetadata:
    """Without what would let it pass for somebody else: that is left out, and the answer shows it (RFC 7591 §3.2.1)."""
    hosts = {None, *its}  # what has no host at all is refused, and not left out
    said = {name: getattr(metadata, name) for name in AT_ITS_HOST}
    foreign = {name: None for name, uri in said.items() if uri is not None and _host(uri) not in hosts}
    return replace(metadata, **foreign)


def _host(uri: str) -> str | None:
    try:
        return host_of(uri)
    except ValueError:
        raise BadRegistration("client_uri, logo_uri or policy_uri is not a URI") from None


def may_become(client: Client, proposal: Proposal) -> None:
    """Whether it keeps a secret is settled when it registers."""
    if proposal.is_public != (client.kind == PUBLIC):
        raise BadRegistration("token_endpoint_auth_method cannot change to or from none: register anew")
