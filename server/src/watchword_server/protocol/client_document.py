"""Client ID metadata documents: clients whose `client_id` is the address of what they say of themselves.

draft-ietf-oauth-client-id-metadata-document. Nobody registered such a client and nobody vouches for it but who holds
the host of its address. So a document is read as a registration by a stranger is, and says less: it has no secret,
nothing that it says gives it a right, and the members that are meant for other servers are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec.structs import replace

from watchword.errors import InvalidToken
from watchword.jose import jwt
from watchword_server.protocol import self_registration
from watchword_server.protocol.self_registration import GRANT_TYPES, RESPONSE_TYPES, Proposal
from watchword_server.protocol.uris import LOOPBACK, BadRegistration, host_of
from watchword_server.protocol.values import CONFIDENTIAL, PUBLIC, Api, Client

LIMIT: Final = 5 * 1024
"""Bytes of the largest document (§6.6)."""
LEAST: Final = 300
"""Seconds for which a document is good, whatever its server says (§4.4)."""
USUAL: Final = 3600
"""Seconds, where its server says nothing."""
MOST: Final = 24 * 3600
"""Seconds, however long its server says."""
LONGEST: Final = 256
"""Characters of an address."""
METHODS: Final = ("none", "private_key_jwt")
"""How such a client may authenticate: there is no way to agree on a secret (§4.1)."""
SECRETS: Final = ("client_secret", "client_secret_expires_at")
# fmt: off
SAID: Final = (
    "client_name", "client_uri", "logo_uri", "policy_uri", "tos_uri", "contacts", "software_id", "software_version",
    "redirect_uris", "post_logout_redirect_uris", "grant_types", "response_types", "application_type",
    "token_endpoint_auth_method", "token_endpoint_auth_signing_alg", "jwks", "jwks_uri", "dpop_bound_access_tokens",
)
# fmt: on
"""The members that are read; a document is for many servers, and has more."""
_PATH: Final = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-F]{2})"
# One spelling of each address, as `client_id`s are compared letter by letter: a host in lower case, no port that
# goes without saying. No user, query or fragment (§3), and no address of IPv6.
_ADDRESS: Final = re.compile(
    rf"https://(?P<host>[a-z0-9]|[a-z0-9][a-z0-9.-]*[a-z0-9])(?::(?P<port>[1-9][0-9]{{0,4}}))?(?P<path>(?:/{_PATH}*)+)"
)


class BadDocument(ValueError):
    """Not a client by its document; the message, for the log, says why."""


def is_address(client_id: str) -> bool:
    """Whether this `client_id` is meant as an address: none that is given out here begins like one (§6.8)."""
    return client_id[:8].lower().startswith(("https://", "http://"))


def checked_address(client_id: str) -> str:
    """The address, if a document may lie there (§3). Raises BadDocument."""
    found = _ADDRESS.fullmatch(client_id) if len(client_id) <= LONGEST else None
    if found is None:
        raise BadDocument("not an https URL with a path, without user, query and fragment, spelled the usual way")
    if found["port"] is not None and (found["port"] == "443" or int(found["port"]) > 65535):
        raise BadDocument("a port that goes without saying, or is none")
    segments = found["path"].replace("%2E", ".").split("/")
    if found["path"] == "/" or not {".", ".."}.isdisjoint(segments):
        raise BadDocument("no path, or one with dot segments")
    return client_id


def read(address: str, body: bytes) -> Proposal:
    """What a document says that lies at this address (§4.1). Raises BadDocument."""
    try:
        members = jwt.claims(body)
    except InvalidToken as error:
        raise BadDocument("not one JSON object with each member once") from error
    # Letter by letter: a copy of somebody else's document, or one that moved, is not this client's.
    if members.get("client_id") != address:
        raise BadDocument("client_id in it is not the address at which it lies")
    if any(name in members for name in SECRETS):
        raise BadDocument("it has a secret, which is none")
    host = host_of(address) or ""
    said = {name: members[name] for name in SAID if members.get(name) is not None}
    try:
        return self_registration.read(_as_registered(said, host), host)
    except BadRegistration as error:
        raise BadDocument(str(error)) from error


def client(address: str, proposal: Proposal, access: Mapping[str, tuple[str, ...]], until: int, now: int) -> Client:
    """The client of a document that is good `until` then (seconds since 1970)."""
    metadata = replace(proposal.metadata, pkce="required", registered_itself=True, document_fresh_until=until)
    return Client(
        client_id=address,
        name=proposal.name,
        kind=PUBLIC if proposal.is_public else CONFIDENTIAL,
        secret_hash=None,
        grant_types=proposal.grant_types,
        access=access,
        created_at=now,
        redirect_uris=proposal.redirect_uris,
        origins=proposal.origins,
        metadata=metadata,
    )


def open_to_all(apis: Iterable[Api]) -> Mapping[str, tuple[str, ...]]:
    """What clients may ask for that no operator registered."""
    return {api.audience: api.scopes for api in apis if api.self_service and api.scopes}


def lasts(fresh_for: float | None) -> int:
    """Seconds for which a document is good, by what its server said (RFC 9111 §4.2) and within our bounds."""
    return USUAL if fresh_for is None else int(min(max(fresh_for, LEAST), MOST))


def _as_registered(said: Mapping[str, object], host: str) -> Mapping[str, object]:
    """With what RFC 7591 would have it say, and without the grants and answers that others offer."""
    method = said.get("token_endpoint_auth_method", "none")
    if method not in METHODS:
        raise BadDocument(f"token_endpoint_auth_method is not one of {' and '.join(METHODS)}")
    return {
        "client_name": host,
        "application_type": "native" if _is_on_a_device(said.get("redirect_uris")) else "web",
        **said,
        "token_endpoint_auth_method": method,
        **_ours(said, "grant_types", GRANT_TYPES),
        **_ours(said, "response_types", RESPONSE_TYPES),
    }


def _ours(said: Mapping[str, object], name: str, known: tuple[str, ...]) -> Mapping[str, object]:
    values = said.get(name)
    return {name: [one for one in values if one in known]} if isinstance(values, list) else {}


def _is_on_a_device(uris: object) -> bool:
    """Whether a person returns to a program of their own device: then its port may be any (RFC 8252 §7.3)."""
    found = [uri for uri in uris if isinstance(uri, str)] if isinstance(uris, list) else []
    return any(not uri.startswith("https://") for uri in found)


def returns_to_device_only(client: Client) -> bool:
    """Whether all its addresses are on people's own devices, where any program could take its place."""
    return not any(host_of(uri) not in (None, *LOOPBACK) for uri in client.redirect_uris)
