"""The members of an issuer's metadata that are registered, by what they are (RFC 8414 §7.1)."""

from __future__ import annotations

from typing import Final

ARRAYS: Final = frozenset(
    {
        "scopes_supported",
        "response_types_supported",
        "response_modes_supported",
        "grant_types_supported",
        "acr_values_supported",
        "subject_types_supported",
        "display_values_supported",
        "claim_types_supported",
        "claims_supported",
        "claims_locales_supported",
        "ui_locales_supported",
        "code_challenge_methods_supported",
        "prompt_values_supported",
        "dpop_signing_alg_values_supported",
        *(
            f"{what}_endpoint_auth_{how}_supported"
            for what in ("token", "introspection", "revocation")
            for how in ("methods", "signing_alg_values")
        ),
        *(
            f"{what}_{how}_values_supported"
            for what in ("id_token", "userinfo", "request_object", "authorization", "introspection")
            for how in ("signing_alg", "encryption_alg", "encryption_enc")
        ),
    }
)
TRUTHS: Final = frozenset(
    {
        "claims_parameter_supported",
        "request_parameter_supported",
        "request_uri_parameter_supported",
        "require_request_uri_registration",
        "require_pushed_authorization_requests",
        "require_signed_request_object",
        "authorization_response_iss_parameter_supported",
        "backchannel_logout_supported",
        "backchannel_logout_session_supported",
        "frontchannel_logout_supported",
        "frontchannel_logout_session_supported",
        "tls_client_certificate_bound_access_tokens",
        "client_id_metadata_document_supported",
    }
)
URLS: Final = frozenset(
    {
        "issuer",
        "jwks_uri",
        "service_documentation",
        "op_policy_uri",
        "op_tos_uri",
        "check_session_iframe",
        *(
            f"{what}_endpoint"
            for what in (
                "authorization",
                "token",
                "userinfo",
                "registration",
                "revocation",
                "introspection",
                "end_session",
                "pushed_authorization_request",
                "device_authorization",
                "backchannel_authentication",
            )
        ),
    }
)
OBJECTS: Final = frozenset({"mtls_endpoint_aliases"})
REQUIRED: Final = frozenset(
    {
        "issuer",
        "authorization_endpoint",
        "token_endpoint",
        "jwks_uri",
        "response_types_supported",
        "subject_types_supported",
        "id_token_signing_alg_values_supported",
    }
)
