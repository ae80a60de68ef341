"""Who has to prove that they hold a key, and how a key is named (RFC 9449)."""

from __future__ import annotations

from watchword.dpop import Proof, thumbprint_of
from watchword_server.protocol.errors import InvalidDPoPProof, InvalidRequest
from watchword_server.protocol.fapi2 import permits
from watchword_server.protocol.values import Client


def thumbprint(text: str | None) -> str | None:
    """A `dpop_jkt` (RFC 9449 §10): SHA-256 in base64url, in its one spelling. Raises InvalidRequest."""
    if text is not None and thumbprint_of({"jkt": text}) is None:
        raise InvalidRequest("dpop_jkt is no SHA-256 thumbprint in base64url (RFC 9449 §10)")
    return text


def must_prove(client: Client, proof: Proof | None) -> None:
    """Raises InvalidDPoPProof where the client gets no token without a proof and has shown none (RFC 9449 §5.2)."""
    if proof is None and (client.metadata.dpop_bound_access_tokens or client.metadata.fapi2):
        raise InvalidDPoPProof("this client has to send a DPoP proof")
    must_be_signed_well(client, proof)


def must_be_signed_well(client: Client, proof: Proof | None) -> None:
    """Raises InvalidDPoPProof for a proof by an algorithm that the client's profile has not (FAPI 2.0 §5.4.1)."""
    if proof is not None and not permits(client, proof.alg):
        raise InvalidDPoPProof(f"the proofs of this client are not signed with {proof.alg}")
