"""Proofs of possession at the issuer's own endpoints (RFC 9449 §4.3, §8, §11.1).

A proof is judged in two steps. `shown` asks everything that the proof itself can answer, and leaves no trace: what is
refused there, or for want of a nonce, may be sent again. `spend` makes it count once at all nodes. It comes after who
asks is known, so that strangers write nothing, and before what is asked for is judged: of many who come with one proof
only one is judged at all, and a proof that was seen in a refused request is good for no other.
"""

from __future__ import annotations

from collections.abc import Sequence

from watchword import dpop
from watchword.dpop import Proof
from watchword.errors import InvalidProof
from watchword_server.flows.issuer import Issuer
from watchword_server.protocol.errors import InvalidDPoPProof, UseDPoPNonce

KIND = "proof"


async def shown(
    issuer: Issuer, proofs: Sequence[str], method: str, endpoint: str, now: int, access_token: str | None = None
) -> Proof | None:
    """The one proof of a request to an endpoint of ours such as `/token`; None where there is none.

    It is for the address that clients know us by, whatever stands in the request's own headers. With an `access_token`
    it has to name it. Raises InvalidDPoPProof, and UseDPoPNonce when only a nonce is missing.
    """
    if not proofs:
        return None
    if len(proofs) > 1:
        raise InvalidDPoPProof("more than one DPoP header (RFC 9449 §4.3)")
    try:
        url = issuer.terms.issuer + endpoint
        proof = dpop.verify(proofs[0], method=method, url=url, now=now, access_token=access_token)
    except InvalidProof as error:
        raise InvalidDPoPProof(str(error)) from error
    await _must_have_a_nonce(issuer, proof, now)
    return proof


async def spend(issuer: Issuer, proof: Proof | None) -> str | None:
    """The thumbprint of its key, for exactly one of all who come with it. Raises InvalidDPoPProof, Unavailable."""
    if proof is None:
        return None
    if not await issuer.spent.spend(KIND, proof.name, int(proof.until) + 1):
        raise InvalidDPoPProof("this proof was used before")
    return proof.jkt


async def nonce(issuer: Issuer, now: int) -> str:
    """The newest (RFC 9449 §8.2). Raises Unavailable."""
    return (await issuer.nonces.read(issuer.stores, issuer.random)).make(now)


async def _must_have_a_nonce(issuer: Issuer, proof: Proof, now: int) -> None:
    """One that it says has to be one of ours, also where it may do without."""
    if not proof.nonce and issuer.terms.dpop_nonce == "offered":
        return
    nonces = await issuer.nonces.read(issuer.stores, issuer.random)
    if not nonces.accepts(proof.nonce, now):
        raise UseDPoPNonce("the proof has none of our nonces, or an old one")
