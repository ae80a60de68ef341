"""What a client will do, step by step, tried beforehand: which step fails, and how to mend it.

The very rules and readers are asked that will be asked then. Nothing is written, and nobody is signed in.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Final, Literal

import msgspec

from watchword.jose.kinds import Kind
from watchword_server.flows import choices, client_documents, minting
from watchword_server.flows.administration import Unknown
from watchword_server.flows.api_keys import NoEncryptionKey
from watchword_server.flows.issuer import Caller, Issuer
from watchword_server.flows.keyring import NoSigningKey
from watchword_server.protocol.authorization import Asked, NotAddressable, addressed, read
from watchword_server.protocol.client_assertion import PRIVATE_KEY_JWT, SECRET_JWT, algorithms
from watchword_server.protocol.errors import InvalidScope, InvalidTarget, OAuthError
from watchword_server.protocol.grants import authorization_code, client_credentials, refresh_token, token_exchange
from watchword_server.protocol.targets import OPENID, chosen_alg, reach, target
from watchword_server.protocol.uris import origin_of
from watchword_server.protocol.values import PUBLIC, Client

CHALLENGE: Final = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
"""Some S256 code_challenge: which one does not matter, since nobody answers it."""
AS_DESCRIBED: Final = "correct what its metadata document says"


class Step(msgspec.Struct, frozen=True):
    """One step, and what to do where it is not ok."""

    state: Literal["ok", "warn", "fail"]
    step: str
    message: str
    mend: str = ""


async def rehearse(issuer: Issuer, client_id: str, caller: Caller, now: int) -> AsyncIterator[Step]:
    """What happens when this client comes: a `client_id`, or the URL of a client's metadata document.

    Raises Unknown for neither. The steps are those of its grants, in the order in which it takes them.
    """
    try:
        client = await client_documents.current(issuer, client_id, None, caller, now)
    except client_documents.NoDocument as error:
        yield Step("fail", "client", f"no client by its metadata document: {error}", _mend_document(issuer))
        return
    if client is None:
        raise Unknown(f"no client {client_id}; list them with `watchword client list`")
    yield _known(client)
    async for step in _authentication(issuer, client, now):
        yield step
    async for step in _steps(issuer, client, now):
        yield step


async def _steps(issuer: Issuer, client: Client, now: int) -> AsyncIterator[Step]:
    audiences: dict[str, None] = {}
    if authorization_code.GRANT_TYPE in client.grant_types:
        for step in _sign_in(issuer, client, audiences):
            yield step
        for step in _in_browsers(client):
            yield step
        async for step in _id_token(issuer, client, now):
            yield step
    if client_credentials.GRANT_TYPE in client.grant_types:
        yield _for_itself(client, audiences)
    for audience in audiences:
        yield await _token(issuer, client, audience, now)
    if refresh_token.GRANT_TYPE in client.grant_types:
        yield _refresh(client)
    if token_exchange.GRANT_TYPE in client.grant_types:
        async for step in _exchange(issuer, client):
            yield step


def _mend_document(issuer: Issuer) -> str:
    if not issuer.terms.metadata_documents:
        return "let such clients in with `clients.metadata_documents = true`, or register this one"
    return "serve it as application/json over https at exactly that URL, at most 5 KiB, with that URL as its client_id"


def _known(client: Client) -> Step:
    name = f"{client.name} ({client.kind})"
    if client.disabled_at is not None:
        return Step("fail", "client", f"{name} is disabled", f"`watchword client enable {client.client_id}`")
    if client_documents.is_by_document(client):
        return Step("ok", "client", f"{name}, by its metadata document; nobody here vouches for it")
    return Step("ok", "client", f"{name}, {'registered itself' if client.metadata.registered_itself else 'registered'}")


async def _authentication(issuer: Issuer, client: Client, now: int) -> AsyncIterator[Step]:
    """Whether it can show who it is at /token."""
    how, step = client.metadata.token_endpoint_auth_method, "authentication"
    if client.kind == PUBLIC:
        yield Step("ok", step, "none: a public client, so its codes are bound to PKCE")
    elif how == PRIVATE_KEY_JWT:
        yield await _keys(issuer, client, now)
    elif how == SECRET_JWT and client.metadata.sealed_secret is None:
        mend = f"`watchword client secret {client.client_id}` makes one that is kept so"
        yield Step("fail", step, "it signs with its secret, of which only a digest is kept", mend)
    elif client.secret_hash is None and client.metadata.sealed_secret is None:
        yield Step("fail", step, "it has no secret", f"`watchword client secret {client.client_id}`")
    else:
        yield Step("ok", step, f"by its secret: {how or 'client_secret_basic or client_secret_post'}")
    retiring = client.metadata.retiring_secret
    if retiring is not None and now < retiring.until:
        left = f"its older secret is good for {_hours(retiring.until - now)} more"
        yield Step("warn", step, left, "see that all its processes have the new one by then")


async def _keys(issuer: Issuer, client: Client, now: int) -> Step:
    """Whether there is a key that what it signs can be verified with."""
    step, metadata = "authentication", client.metadata
    wanted = algorithms(metadata, PRIVATE_KEY_JWT)
    for alg in wanted:
        found = await issuer.client_keys.verification(client, alg, "", now)
        if found:
            kids = ", ".join(sorted(kid for kid in found if kid))
            return Step("ok", step, f"private_key_jwt: {alg} with {kids or 'its one key'}")
    where = metadata.jwks_uri or "its registered jwks"
    names = ", ".join(sorted(wanted))
    mend = f"publish a public key for one of {names} there: https, at most 64 KiB, no redirect"
    if metadata.jwks_uri is None:
        mend = f"`watchword client key add {client.client_id} FILE` with a public key for one of {names}"
    return Step("fail", step, f"private_key_jwt: no usable key at {where}", mend)


def _sign_in(issuer: Issuer, client: Client, audiences: dict[str, None]) -> Iterator[Step]:
    """The authorization request, for each address that people may return to."""
    step = "authorization request"
    if not client.redirect_uris:
        mend = f"`watchword client set {client.client_id} --redirect-uri URI`"
        yield Step("fail", step, "nobody can return to it: it has no redirect URI", mend)
    for uri in client.redirect_uris:
        yield _asks(issuer, client, uri, audiences)
    if client.metadata.require_pushed_authorization_requests or client.metadata.fapi2:
        yield Step("ok", step, "has to be pushed to /par first; /authorize then takes client_id and request_uri alone")
    if client.metadata.dpop_bound_access_tokens or client.metadata.fapi2:
        yield Step("ok", "proof of possession", "/token wants a DPoP header; its tokens are no bearer tokens")


def _asks(issuer: Issuer, client: Client, uri: str, audiences: dict[str, None]) -> Step:
    """What /authorize would say to it, with nothing but what every client sends."""
    step = f"authorization request to {uri}"
    asked = Asked(request_of(client, uri))
    try:
        to = addressed(client, asked, client.metadata.application_type == "native")
        request = read(client, to, asked)
        reached = _reached(issuer, client, request.scope)
    except (NotAddressable, OAuthError) as error:
        return Step("fail", step, str(error), _mend(client, error))
    audiences.update(dict.fromkeys(reached))
    if len(reached) > 1:
        mend = f"let it send `resource`: one of {', '.join(reached)}"
        return Step("warn", step, "it may use several APIs, so it has to say which one it wants", mend)
    return Step("ok", step, f"people sign in, and the code goes back there, for {reached[0]}")


def request_of(client: Client, uri: str) -> Mapping[str, str]:
    """An authorization request with what every client sends, and nothing else (RFC 6749 §4.1.1, RFC 7636 §4.3)."""
    scopes = dict.fromkeys(one for allowed in client.access.values() for one in allowed)
    return {
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": uri,
        "scope": " ".join((OPENID, *scopes)) if not client.access or scopes else OPENID,
        "state": "state",
        "nonce": "nonce",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }


def _reached(issuer: Issuer, client: Client, scope: tuple[str, ...]) -> list[str]:
    """The APIs that it can reach so, one authorization each."""
    text = " ".join(scope)
    try:
        return [reach(client, issuer.terms.issuer, text, None)[0]]
    except (InvalidTarget, InvalidScope):
        if len(client.access) < 2:
            raise
    return [reach(client, issuer.terms.issuer, " ".join(client.access[name]), name)[0] for name in client.access]


def _mend(client: Client, error: Exception) -> str:
    if client_documents.is_by_document(client):
        return AS_DESCRIBED
    if isinstance(error, InvalidScope | InvalidTarget):
        return "register it with `watchword client add --access AUDIENCE=SCOPE`, or let the API be --self-service"
    return f"`watchword client set {client.client_id}` changes what is registered"


def _in_browsers(client: Client) -> Iterator[Step]:
    """Whether a program that runs in the browser may read the answer of /token."""
    if client.kind != PUBLIC or client.metadata.application_type == "native":
        return
    step = "token request from a browser"
    missing = sorted({found for uri in client.redirect_uris if (found := origin_of(uri))} - set(client.origins))
    if not missing:
        yield Step("ok", step, f"allowed from {', '.join(client.origins)}")
    elif not client_documents.is_by_document(client):
        mend = f"`watchword client set {client.client_id} {' '.join(f'--origin {one}' for one in missing)}`"
        yield Step("warn", step, "a browser keeps the answer from the page: its origin is not registered", mend)


async def _id_token(issuer: Issuer, client: Client, now: int) -> AsyncIterator[Step]:
    """Whether one can be signed, and encrypted, as the client wants it."""
    step, metadata = "ID token", client.metadata
    alg = metadata.id_token_signed_response_alg
    try:
        head = await issuer.stores.log.head()
        (await issuer.keyring.at(head, now)).signs_for(Kind.ID_TOKEN, alg)
        if metadata.id_token_encrypted_response_alg is not None:
            await issuer.client_keys.encryption(client, metadata.id_token_encrypted_response_alg, now)
    except NoSigningKey as error:
        yield Step("fail", step, str(error), f"`watchword client set {client.client_id}` with that algorithm makes it")
    except NoEncryptionKey as error:
        yield Step("fail", step, str(error), "register or publish an encryption key of that algorithm")
    else:
        yield Step("ok", step, f"signed with {alg}")


def _for_itself(client: Client, audiences: dict[str, None]) -> Step:
    step = "client_credentials"
    audiences.update(dict.fromkeys(client.access))
    try:
        audience, scope = target(client, None, None)
    except OAuthError as error:
        if len(client.access) > 1:
            mend = f"let it send `resource`: one of {', '.join(client.access)}"
            return Step("warn", step, "it may use several APIs, so it has to say which one it wants", mend)
        return Step("fail", step, str(error), _mend(client, error))
    return Step("ok", step, f"a token for {audience} with {' '.join(scope) or 'no scope'}")


async def _token(issuer: Issuer, client: Client, audience: str, now: int) -> Step:
    """Whether a token for this API can be made as the API wants it."""
    step = f"access token for {audience}"
    try:
        api = await minting.registered(issuer, audience, await issuer.stores.log.head())
    except InvalidTarget:
        return Step("fail", step, "that API is not registered", f"`watchword api add {audience}`")
    unknown = sorted(set(client.access.get(audience, ())) - set(api.scopes))
    if unknown and audience != issuer.terms.issuer:
        return Step("warn", step, f"the API has no scope {', '.join(unknown)}", "compare with `watchword api show`")
    trouble = await choices.trouble(issuer, api, now)
    if trouble:
        return Step("fail", step, trouble, "see that the API publishes its encryption key, or take encryption away")
    try:
        alg = chosen_alg(api, client) or issuer.terms.algorithm
    except InvalidTarget as error:
        return Step("fail", step, str(error), f"`watchword api set {audience} --no-alg`")
    encrypted = ", encrypted to the API" if api.encryption is not None else ""
    return Step("ok", step, f"signed with {alg}{encrypted}, for {_minutes(issuer.terms.access_lifetime)}")


def _refresh(client: Client) -> Step:
    if client.kind == PUBLIC or client.rotates:
        return Step("ok", "refresh", "each refresh token is good once; one retry within 30 s gives the same answer")
    return Step("ok", "refresh", "its refresh token stays the same")


async def _exchange(issuer: Issuer, client: Client) -> AsyncIterator[Step]:
    """Whose tokens it may bring."""
    step, named = "token exchange", [one for one in client.metadata.acts_for if one != "*"]
    for other in named:
        if await issuer.stores.clients.find(other) is None:
            mend = f"`watchword client set {client.client_id} --acts-for CLIENT_ID`"
            yield Step("warn", step, f"there is no client {other} for whose tokens it could ask", mend)
    whose = "of any client" if "*" in client.metadata.acts_for else f"of {', '.join(['its own', *named])}"
    yield Step("ok", step, f"it may bring tokens {whose}")


def _hours(seconds: int) -> str:
    return f"{max(1, round(seconds / 3600))} h"


def _minutes(seconds: int) -> str:
    return f"{max(1, round(seconds / 60))} min"
