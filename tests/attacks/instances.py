"""A JWT of every kind that Watchword makes or takes, as like the others as it can be."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from watchword.jose import jws
from watchword.jose.b64 import b64url
from watchword.jose.jwk import SigningKey
from watchword.jose.kinds import Kind
from watchword.log import Delta, Entry, Heartbeat, Snapshot, chain, genesis

FEED: Final = (Kind.FEED_SNAPSHOT, Kind.FEED_DELTA, Kind.FEED_HEARTBEAT)


@dataclass(frozen=True, slots=True)
class Model:
    """A genuine access token's claims, and the two keys of its issuer."""

    claims: Mapping[str, Any]
    token_key: SigningKey
    feed_key: SigningKey

    @property
    def base(self) -> dict[str, Any]:
        """What most kinds have, with an id of their own."""
        same = {name: self.claims[name] for name in ("iss", "exp", "iat")}
        return {**same, "jti": secrets.token_urlsafe(16)}

    def key(self, use: str) -> SigningKey:
        """The key that signs tokens, or the one that signs the feed."""
        return {"token": self.token_key, "feed": self.feed_key}[use]


Claims = Callable[[Model], dict[str, Any]]


def id_token(model: Model) -> dict[str, Any]:
    """OpenID Connect Core §2: for the client."""
    own = {"sub": model.claims["sub"], "aud": model.claims["client_id"], "azp": model.claims["client_id"]}
    return {**model.base, **own, "nonce": "n", "auth_time": model.claims["iat"], "amr": ["pwd"], "at_hash": "x"}


def logout_token(model: Model) -> dict[str, Any]:
    """OpenID Connect Back-Channel Logout §2.4: for the client."""
    events = {"http://schemas.openid.net/event/backchannel-logout": {}}
    own = {name: model.claims[name] for name in ("sub", "sid")}
    return {**model.base, **own, "aud": model.claims["client_id"], "events": events}


def dpop_proof(model: Model) -> dict[str, Any]:
    """RFC 9449 §4.2: of a client, for one request."""
    return {"jti": "x", "htm": "POST", "htu": f"{model.claims['iss']}/token", "iat": model.claims["iat"], "ath": "x"}


def client_assertion(model: Model) -> dict[str, Any]:
    """RFC 7523 §3: of a client, for the issuer."""
    client = model.claims["client_id"]
    return {**model.base, "iss": client, "sub": client, "aud": model.claims["iss"], "exp": model.claims["iat"] + 60}


def request_object(model: Model) -> dict[str, Any]:
    """RFC 9101 §4: of a client, for the issuer."""
    client = model.claims["client_id"]
    asks = {"response_type": "code", "redirect_uri": "https://app.example/cb", "scope": "orders:read", "state": "s"}
    own = {"iss": client, "aud": model.claims["iss"], "client_id": client, "exp": model.claims["iat"] + 300}
    return {**model.base, **own, **asks}


def client_token(model: Model) -> dict[str, Any]:
    """Of a client, for an API."""
    client = model.claims["client_id"]
    own = {"iss": client, "sub": client, "aud": model.claims["aud"], "exp": model.claims["iat"] + 300}
    return {**model.base, **own, "client_id": client}


def snapshot(model: Model) -> dict[str, Any]:
    """docs/feed.md."""
    return _plain(Snapshot(model.claims["iss"], "log", 0, b64url(genesis("log")), model.claims["iat"] * 1000, ()))


def delta(model: Model) -> dict[str, Any]:
    """docs/feed.md: one entry, the first."""
    entry, start = Entry(1, "session", "s", model.claims["exp"]), genesis("log")
    heads = b64url(start), b64url(chain(start, [entry]))
    return _plain(Delta(model.claims["iss"], "log", 0, heads[0], 1, heads[1], model.claims["iat"] * 1000, (entry,)))


def heartbeat(model: Model) -> dict[str, Any]:
    """docs/feed.md."""
    return _plain(Heartbeat(model.claims["iss"], "log", 0, b64url(genesis("log")), model.claims["iat"] * 1000))


def _plain(message: Any) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(message)
    return found


GENUINE: Final[Mapping[Kind, Claims]] = {
    Kind.ACCESS_TOKEN: lambda model: {**model.claims, "jti": secrets.token_urlsafe(16)},
    Kind.ID_TOKEN: id_token,
    Kind.LOGOUT_TOKEN: logout_token,
    Kind.DPOP_PROOF: dpop_proof,
    Kind.CLIENT_ASSERTION: client_assertion,
    Kind.REQUEST_OBJECT: request_object,
    Kind.CLIENT_TOKEN: client_token,
    Kind.FEED_SNAPSHOT: snapshot,
    Kind.FEED_DELTA: delta,
    Kind.FEED_HEARTBEAT: heartbeat,
}
"""The claims of each kind, as they are where it belongs."""


def disguised(kind: Kind, model: Model, wears: Kind = Kind.ACCESS_TOKEN) -> dict[str, Any]:
    """The claims of a kind that says all that another says as well: only its `typ` tells it apart.

    But for the feed's messages, which are refused with a member that is not theirs.
    """
    own = GENUINE[kind](model)
    return own if kind in FEED else {**own, **GENUINE[wears](model)}


def signed(claims: Mapping[str, Any], typ: str, key: SigningKey) -> str:
    """A JWT of any type, truly signed."""
    return jws.signer(key, typ)(msgspec.json.encode(claims))
