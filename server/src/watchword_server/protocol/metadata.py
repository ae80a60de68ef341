"""The issuer's metadata (RFC 8414, OpenID Connect Discovery 1.0 §3): only what works is advertised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from watchword.dpop import ALGS
from watchword.jose.jwe import ENCRYPTIONS, KEY_ALGORITHMS
from watchword_server.protocol.authorization import RESPONSE_MODES
from watchword_server.protocol.claims import ACRS, SCOPES
from watchword_server.protocol.client_assertion import ASSERTING, MACS
from watchword_server.protocol.client_authentication import NONE, SECRET_METHODS
from watchword_server.protocol.pkce import METHOD
from watchword_server.protocol.registration import ALGORITHMS
from watchword_server.protocol.targets import OFFLINE, OPENID

PROVEN = (*SECRET_METHODS, *ASSERTING)
"""The ways of clients that show who they are."""
OF_THE_SIGN_IN = ("sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash")
"""What an ID token tells beside facts about the person."""


class Offered(msgspec.Struct, frozen=True, kw_only=True):
    """What this deployment can do. `max_lifetime` and `heartbeat` are seconds."""

    issuer: str
    grant_types: Sequence[str]
    max_lifetime: int
    heartbeat: int
    locales: Sequence[str]
    registers: bool = False
    """Whether clients may register themselves."""
    reads_documents: bool = False
    """Whether clients may be known by their metadata documents."""
    signs_up: bool = False
    """Whether people may make themselves an account."""
    policy_uri: str | None = None
    tos_uri: str | None = None


def metadata(offered: Offered) -> Mapping[str, object]:
    """Both well-known documents."""
    return {
        **_endpoints(offered.issuer),
        **({"registration_endpoint": f"{offered.issuer}/register"} if offered.registers else {}),
        **({"client_id_metadata_document_supported": True} if offered.reads_documents else {}),
        **_requests(offered),
        **_answers(),
        **_authentication("token_endpoint", *PROVEN, NONE),
        **_authentication("revocation_endpoint", *PROVEN, NONE),
        **_authentication("introspection_endpoint", *PROVEN),
        "dpop_signing_alg_values_supported": list(ALGS),
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        **({"op_policy_uri": offered.policy_uri} if offered.policy_uri is not None else {}),
        **({"op_tos_uri": offered.tos_uri} if offered.tos_uri is not None else {}),
        **_feed(offered),
    }


def _authentication(endpoint: str, *methods: str) -> Mapping[str, object]:
    """How clients authenticate at an endpoint (RFC 8414 §2)."""
    return {
        f"{endpoint}_auth_methods_supported": list(methods),
        f"{endpoint}_auth_signing_alg_values_supported": [*ALGORITHMS, *MACS],
    }


def _endpoints(issuer: str) -> Mapping[str, object]:
    return {
        "issuer": issuer,
        "jwks_uri": f"{issuer}/jwks.json",
        "authorization_endpoint": f"{issuer}/authorize",
        "pushed_authorization_request_endpoint": f"{issuer}/par",
        "device_authorization_endpoint": f"{issuer}/device_authorization",
        "token_endpoint": f"{issuer}/token",
        "userinfo_endpoint": f"{issuer}/userinfo",
        "end_session_endpoint": f"{issuer}/logout",
        "revocation_endpoint": f"{issuer}/revoke",
        "introspection_endpoint": f"{issuer}/introspect",
    }


def _requests(offered: Offered) -> Mapping[str, object]:
    """What a client may ask, and how."""
    return {
        "scopes_supported": [OPENID, *SCOPES, OFFLINE],
        "grant_types_supported": list(offered.grant_types),
        "response_types_supported": ["code"],
        "response_modes_supported": list(RESPONSE_MODES),
        "code_challenge_methods_supported": [METHOD],
        "authorization_response_iss_parameter_supported": True,
        "require_pushed_authorization_requests": False,
        "request_parameter_supported": True,
        "request_uri_parameter_supported": True,
        "require_request_uri_registration": True,
        "request_object_signing_alg_values_supported": list(ALGORITHMS),
        "claims_parameter_supported": True,
        "prompt_values_supported": [
            "none",
            "login",
            "consent",
            "select_account",
            *(["create"] if offered.signs_up else []),
        ],
        "ui_locales_supported": list(offered.locales),
    }


def _answers() -> Mapping[str, object]:
    """What a client is told, and how that is signed and encrypted."""
    return {
        "subject_types_supported": ["public", "pairwise"],
        "acr_values_supported": list(ACRS),
        "claim_types_supported": ["normal"],
        "claims_supported": [*OF_THE_SIGN_IN, *(name for names in SCOPES.values() for name in names)],
        "id_token_signing_alg_values_supported": list(ALGORITHMS),
        "id_token_encryption_alg_values_supported": list(KEY_ALGORITHMS),
        "id_token_encryption_enc_values_supported": list(ENCRYPTIONS),
        "userinfo_signing_alg_values_supported": list(ALGORITHMS),
        "userinfo_encryption_alg_values_supported": list(KEY_ALGORITHMS),
        "userinfo_encryption_enc_values_supported": list(ENCRYPTIONS),
    }


def _feed(offered: Offered) -> Mapping[str, object]:
    """What is Watchword's own."""
    issuer = offered.issuer
    return {
        "watchword_session_endpoint": f"{issuer}/session",
        "watchword_revocations_endpoint": f"{issuer}/revocations",
        "watchword_revocations_stream_endpoint": f"{issuer}/revocations/stream",
        "watchword_revocations_ack_endpoint": f"{issuer}/revocations/ack",
        "watchword_revocations_jwks_uri": f"{issuer}/revocations/jwks.json",
        "watchword_client_documents": f"{issuer}/clients",
        "watchword_access_token_max_lifetime": offered.max_lifetime,
        "watchword_heartbeat_interval": offered.heartbeat,
    }
