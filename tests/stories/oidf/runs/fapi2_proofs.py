"""The module of the FAPI 2.0 plan about DPoP proofs (RFC 9449): which a resource refuses, and which it must not."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from tests.stories.oidf.case import Case
from tests.stories.oidf.conditions import fapi2
from tests.stories.oidf.relying import Relying, begins
from tests.stories.oidf.signing import LEFT_OUT, Proof, b64, ec, joined

HOUR: Final = 3600
Headers = Mapping[str, str]
Ask = Callable[[Relying, str], Headers]
"""From the relying party and its access token to the headers of a request."""


def negative_tests(case: Case) -> None:
    """A token that works, and then everything that is wrong about a proof, one after the other."""
    one = begins(case)
    signed = one.flow()
    token = signed.access_token
    case.judge.did("CreateEmptyResourceEndpointRequestHeaders", "CallProtectedResourceForceBearer")
    for step, ask in GOOD:
        case.judge.did(step)
        one.served(one.call(ask(one, token)))
    for step, ask in BAD:
        case.judge.did(step)
        fapi2.is_refused(case.judge, one.call(ask(one, token)))
    twice(case, one, token)
    one.served(one.resource_with(token))


def twice(case: Case, one: Relying, token: str) -> None:
    """A proof that is good, once."""
    case.judge.did("FixedJtiClaim")
    fixed = one.proof.with_claims(jti=f"fixed-{case.name}")
    one.served(one.resource_with(token, fixed))
    fapi2.is_refused(case.judge, one.resource_with(token, fixed))


def proven(one: Relying, token: str, proof: Proof | None = None) -> str:
    """A proof for the resource."""
    return (proof or one.proof).made("GET", one.resource, token)


def shown(token: str, proof: str) -> Headers:
    """Both, as a client sends them."""
    return {"Authorization": f"DPoP {token}", "DPoP": proof}


def claiming(**claims: Any) -> Ask:
    """With other claims; a callable is asked with the relying party."""

    def ask(one: Relying, token: str) -> Headers:
        said = {name: value(one) if callable(value) else value for name, value in claims.items()}
        return shown(token, proven(one, token, one.proof.with_claims(**said)))

    return ask


def heading(**header: Any) -> Ask:
    """With another header."""

    def ask(one: Relying, token: str) -> Headers:
        said = {name: value(one) if callable(value) else value for name, value in header.items()}
        return shown(token, proven(one, token, one.proof.with_header(**said)))

    return ask


def parts(one: Relying, token: str) -> tuple[Any, Any]:
    """Header and claims of a good proof."""
    return one.proof.parts("GET", one.resource, token)


def without_alg(one: Relying, token: str) -> Headers:
    """Signed, and nobody says how."""
    header, claims = parts(one, token)
    signature = proven(one, token).rpartition(".")[2]
    return shown(token, joined({name: header[name] for name in ("typ", "jwk")}, claims, signature))


def by_hmac(one: Relying, token: str) -> Headers:
    """The public key as if it were a secret that both have."""
    header, claims = parts(one, token)
    text = joined({**header, "alg": "HS256"}, claims, "").removesuffix(".")
    key = str(one.proof.key.public["x"]).encode()
    return shown(token, f"{text}.{b64(hmac.new(key, text.encode(), sha256).digest())}")


def by_none(one: Relying, token: str) -> Headers:
    """Not signed."""
    header, claims = parts(one, token)
    return shown(token, joined({**header, "alg": "none"}, claims, ""))


def altered(one: Relying, token: str) -> Headers:
    """With a signature that is another's."""
    text = proven(one, token)
    return shown(token, f"{text.rpartition('.')[0]}.{proven(one, token).rpartition('.')[2]}")


def not_well_formed(one: Relying, token: str) -> Headers:
    """No JWT."""
    return shown(token, proven(one, token).replace(".", "~", 1))


def by_another_key(one: Relying, token: str) -> Headers:
    """A whole proof of somebody else, who has the token."""
    return shown(token, proven(one, token, Proof(ec())))


def signed_by_another(one: Relying, token: str) -> Headers:
    """The key in the header is the right one, and did not sign."""
    header, claims = parts(one, token)
    return shown(token, ec().sign({**header, "kid": "another"}, claims))


def in_capitals(one: Relying, token: str) -> Headers:
    """Names of headers are the same in any case (RFC 9110 §5.1)."""
    return {"Authorization": f"DPoP {token}", "DPOP": proven(one, token)}


def two_headers(one: Relying, token: str) -> Headers:
    """Two proofs."""
    return {**shown(token, proven(one, token)), "dpop": proven(one, token)}


def two_in_one(one: Relying, token: str) -> Headers:
    """Two proofs in one header."""
    return shown(token, f"{proven(one, token)}, {proven(one, token)}")


def without(one: Relying, token: str) -> Headers:
    """No proof at all."""
    return {"Authorization": f"DPoP {token}"}


def as_bearer(one: Relying, token: str) -> Headers:
    """As if the token were bound to nothing (RFC 9449 §7.2)."""
    return {"Authorization": f"Bearer {token}"}


def as_bearer_with_proof(one: Relying, token: str) -> Headers:
    """The same, beside a proof that would have been good."""
    return {"Authorization": f"Bearer {token}", "DPoP": proven(one, token)}


def in_big_letters(one: Relying) -> str:
    """Scheme and host are the same in any case (RFC 3986 §6.2.2.1)."""
    url = urlsplit(one.resource)
    return urlunsplit(url._replace(scheme=url.scheme.upper(), netloc=url.netloc.upper()))


def off(seconds: int) -> Callable[[Relying], int]:
    """A time."""
    return lambda _: int(time.time()) + seconds


# fmt: off
GOOD: Final[tuple[tuple[str, Ask], ...]] = (
    ("AddDpopHeaderAllCapital", in_capitals),
    ("RemoveQueryAndFragmentFromDpopHtu", claiming()),
    ("AddQueryAndFragmentToDpopHtu", claiming(htu=lambda one: f"{one.resource}?a=1#b")),  # RFC 9449 §4.3
    ("AddExtraClaimsToHeader", heading(extra="1")),
    ("AddExtraClaimsToClaims", claiming(extra={"a": [1]})),
    ("DpopHtuUpperCase", claiming(htu=in_big_letters)),
    ("DpopHtuWithPort", claiming(htu=lambda one: one.resource)),  # the test's issuer has one in its URL
    ("RecoverSignKey", claiming()),
)
BAD: Final[tuple[tuple[str, Ask], ...]] = (
    ("AddMultipleDpopHeaderForResourceEndpointRequest", two_headers),
    ("RenameDPoPProof", two_in_one),
    ("NotWellformedDPoP", not_well_formed),
    ("RemoveTypFromDpopProof", heading(typ=LEFT_OUT)),
    ("SignDpopAndRemoveAlg", without_alg),
    ("RemoveJwkFromDpopProof", heading(jwk=LEFT_OUT)),
    ("RemoveJtiFromDpopProof", claiming(jti=LEFT_OUT)),
    ("RemoveHtmFromDpopProof", claiming(htm=LEFT_OUT)),
    ("RemoveHtuFromDpopProof", claiming(htu=LEFT_OUT)),
    ("RemoveIatFromDpopProof", claiming(iat=LEFT_OUT)),
    ("SetDpopAccessTokenHash", claiming(ath=LEFT_OUT)),
    ("SetDpopHeaderTypToInvalidValue", heading(typ="JWT")),
    ("ChangeSignAlgorithm", by_hmac),
    ("SignDpopProofWithNone", by_none),
    ("InvalidateDpopProofSignature", altered),
    ("SetDpopHeaderJwkToPrivateKey", heading(jwk=lambda one: one.proof.key.private)),
    ("SetDpopHtmToPut", claiming(htm="PUT")),
    ("SetDpopHtuToDifferentUrl", claiming(htu="https://other.example/userinfo")),
    ("SetDpopIatToOneHourInFuture", claiming(iat=off(HOUR))),
    ("SetDpopIatToOneHourInPast", claiming(iat=off(-HOUR))),
    ("SetDpopAccessTokenHashToIncorrectValue", claiming(ath=b64(sha256(b"another").digest()))),
    ("GenerateNewSignKey", by_another_key),
    ("GenerateNewSignKey", signed_by_another),
    ("RemoveDpopFromResourceRequest", without),
    ("CallProtectedResourceForceBearer", as_bearer),
    ("CallProtectedResourceForceBearer", as_bearer_with_proof),
)
"""By the step of the suite that makes it."""
# fmt: on
