"""The FAPI 2.0 Security Profile (final): what one setting of a client turns on, and what it then refuses.

The rest of the server asks the single settings, which `profiled` holds together. Only what no other client has is asked
here: the algorithms.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from watchword_server.protocol.uris import LOOPBACK, BadRedirectUri, BadRegistration, host_of, shown
from watchword_server.protocol.values import CONFIDENTIAL, Client, ClientMetadata

ALGORITHMS: Final = ("PS256", "ES256", "EdDSA")
"""What JWTs are signed with, by the client and for it (§5.4.1)."""
USUAL: Final = "ES256"
"""What is signed for it where nothing was chosen."""
METHOD: Final = "private_key_jwt"
"""How it authenticates (§5.3.2.1); mutual TLS, the other way of the profile, is not taken here."""
GRANT_TYPES: Final = frozenset({"authorization_code", "refresh_token", "client_credentials"})
"""The grants that the profile speaks of. Others would bring it tokens by ways that nobody has looked at."""
_KEYS: Final = frozenset({("RSA", None), ("EC", "P-256"), ("OKP", "Ed25519")})
"""Type and curve of keys that can sign by one of ALGORITHMS."""


def permits(client: Client, alg: str | None) -> bool:
    """Whether a JWT of this client, or for it, may be signed with it (§5.4.1). None stands for no algorithm at all."""
    return not client.metadata.fapi2 or alg in ALGORITHMS


def profiled(client: Client) -> Client:
    """The client as it may be registered: one with the setting keeps to the profile. Raises BadRegistration."""
    if not client.metadata.fapi2:
        return client
    found = replace(
        client,
        metadata=_settled(client.metadata),
        access_token_alg=client.access_token_alg or USUAL,
        rotates=False,  # §5.3.2.1: its key protects a refresh token, and no lost answer loses it
    )
    for rule in _RULES:
        rule(found, found.metadata)
    return found


def _settled(metadata: ClientMetadata) -> ClientMetadata:
    """With all that the setting turns on. What was said against it stays, for the rules to refuse."""
    alg = metadata.id_token_signed_response_alg
    return replace(
        metadata,
        token_endpoint_auth_method=metadata.token_endpoint_auth_method or METHOD,
        require_pushed_authorization_requests=True,  # §5.3.2.2
        dpop_bound_access_tokens=True,  # §5.3.2.1
        # Nobody chooses RS256: it stands where nothing was chosen (OpenID Connect Registration 1.0 §2).
        id_token_signed_response_alg=USUAL if alg == ClientMetadata().id_token_signed_response_alg else alg,
    )


def _keeps_a_key(client: Client, metadata: ClientMetadata) -> None:
    """§5.3.2.1: confidential, by its own signature."""
    if client.kind != CONFIDENTIAL:
        raise BadRegistration("fapi2 is for confidential clients (FAPI 2.0 §5.3.2.1)")
    if metadata.token_endpoint_auth_method != METHOD:
        raise BadRegistration(f"a fapi2 client authenticates by {METHOD} (FAPI 2.0 §5.3.2.1)")
    if metadata.assertion_audience != "issuer":
        raise BadRegistration("assertions of a fapi2 client name the issuer and nothing else (FAPI 2.0 §5.3.2.1)")
    if metadata.jwks_uri is None and not any(_fits(key) for key in _listed(metadata)):
        raise BadRegistration(f"no key that signs with one of {', '.join(ALGORITHMS)}: register jwks or a jwks_uri")


def _listed(metadata: ClientMetadata) -> list[object]:
    keys = (metadata.jwks or {}).get("keys")
    return keys if isinstance(keys, list) else []


def _fits(key: object) -> bool:
    return isinstance(key, dict) and (key.get("kty"), key.get("crv")) in _KEYS and key.get("use", "sig") == "sig"


def _signs_well(client: Client, metadata: ClientMetadata) -> None:
    """§5.4.1."""
    chosen = {
        "token_endpoint_auth_signing_alg": metadata.token_endpoint_auth_signing_alg,
        "id_token_signed_response_alg": metadata.id_token_signed_response_alg,
        "userinfo_signed_response_alg": metadata.userinfo_signed_response_alg,
        "request_object_signing_alg": metadata.request_object_signing_alg,
        "access_token_alg": client.access_token_alg,
    }
    for name, alg in chosen.items():
        if alg is not None and not permits(client, alg):
            raise BadRegistration(f"{name} of a fapi2 client is one of {', '.join(ALGORITHMS)}, not {shown(alg)}")


def _returns_in_secret(client: Client, metadata: ClientMetadata) -> None:
    """§5.3.2.2: https, or loopback for a program on the person's own device."""
    for uri in client.redirect_uris:
        native = metadata.application_type == "native" and host_of(uri) in LOOPBACK
        if not uri.startswith("https://") and not native:
            raise BadRedirectUri(f"redirect URI {shown(uri)} of a fapi2 client is not https (FAPI 2.0 §5.3.2.2)")


def _uses_the_code_flow(client: Client, metadata: ClientMetadata) -> None:
    """§5.3.2.1: no passwords, no tokens that are bound to nothing, no code without a challenge."""
    others = client.grant_types - GRANT_TYPES
    if others:
        raise BadRegistration(f"a fapi2 client may not use {min(others)}; it may use {', '.join(sorted(GRANT_TYPES))}")
    if client.first_party:
        raise BadRegistration("a fapi2 client never sees a password: it cannot be first-party (FAPI 2.0 §5.3.2.1)")
    if metadata.signs_tokens:
        raise BadRegistration("tokens that a client signs itself are bound to no key: none for fapi2 (§5.3.2.1)")
    if metadata.pkce != "required":
        raise BadRegistration("a fapi2 client has to use PKCE (FAPI 2.0 §5.3.2.2)")


_RULES: Final = (_keeps_a_key, _signs_well, _returns_in_secret, _uses_the_code_flow)
