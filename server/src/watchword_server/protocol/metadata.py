"""The issuer's metadata (RFC 8414, OpenID Connect Discovery 1.0 §3): only what works is advertised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def metadata(issuer: str, grant_types: Sequence[str], max_lifetime: int, heartbeat: int) -> Mapping[str, object]:
    """Both well-known documents. `max_lifetime` and `heartbeat` are seconds."""
    methods = ["client_secret_basic", "client_secret_post"]
    return {
        "issuer": issuer,
        "jwks_uri": f"{issuer}/jwks.json",
        "token_endpoint": f"{issuer}/token",
        "revocation_endpoint": f"{issuer}/revoke",
        "introspection_endpoint": f"{issuer}/introspect",
        "grant_types_supported": list(grant_types),
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": [*methods, "none"],
        "revocation_endpoint_auth_methods_supported": [*methods, "none"],
        "introspection_endpoint_auth_methods_supported": methods,
        "watchword_session_endpoint": f"{issuer}/session",
        "watchword_revocations_endpoint": f"{issuer}/revocations",
        "watchword_revocations_stream_endpoint": f"{issuer}/revocations/stream",
        "watchword_revocations_ack_endpoint": f"{issuer}/revocations/ack",
        "watchword_revocations_jwks_uri": f"{issuer}/revocations/jwks.json",
        "watchword_access_token_max_lifetime": max_lifetime,
        "watchword_heartbeat_interval": heartbeat,
    }
