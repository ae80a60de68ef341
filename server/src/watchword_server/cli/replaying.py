"""What a client will do, done over HTTP at the running issuer: as far as it gets without a person or a secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

from watchword_server.flows.rehearsal import Step, request_of

if TYPE_CHECKING:
    import httpx2

    from watchword_server.protocol.values import Client
    from watchword_server.settings import Settings

PATIENCE: Final = 3
"""Seconds to wait for the running issuer."""
WELL_KNOWN: Final = ("openid-configuration", "oauth-authorization-server")
METADATA: Final = "metadata"
NOT_RUNNING: Final = "run `watchword serve`, and see that this machine reaches the issuer's URL"


def replayed(settings: Settings, client: Client | None) -> Iterator[Step]:
    """It reads the metadata, and asks for an authorization that nobody has to do anything for: it gets as far as that
    nobody is signed in (OpenID Connect Core §3.1.2.6). Nothing is written.
    """
    import httpx2  # not above: no other command needs it

    with httpx2.Client(timeout=PATIENCE, trust_env=False) as http:
        try:
            yield from _metadata(http, settings.issuer)
            if client is not None:
                yield from _authorization(http, settings.issuer, client)
        except httpx2.HTTPError as error:
            yield Step("warn", METADATA, f"{settings.issuer} does not answer: {type(error).__name__}", NOT_RUNNING)


def _metadata(http: httpx2.Client, issuer: str) -> Iterator[Step]:
    """Every place where clients look (RFC 8414 §3.1, OpenID Connect Discovery 1.0 §4.1)."""
    for url in _places(issuer):
        answer = http.get(url)
        said = _json(answer).get("issuer")
        if answer.status_code != 200 or said != issuer:
            what = f"{url} answers {answer.status_code}" if said is None else f"{url} is of {said}"
            yield Step("fail", METADATA, what, "let the proxy before the issuer pass /.well-known/ on as it comes")
            return
    yield Step("ok", METADATA, f"found at {len(_places(issuer))} places under {issuer}")


def _places(issuer: str) -> list[str]:
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path
    after = [f"{issuer}/.well-known/{name}" for name in WELL_KNOWN]
    between = [f"{origin}/.well-known/{name}{path}" for name in WELL_KNOWN]
    return list(dict.fromkeys((*after, *between)))


def _authorization(http: httpx2.Client, issuer: str, client: Client) -> Iterator[Step]:
    metadata = client.metadata
    if metadata.require_pushed_authorization_requests or metadata.require_signed_request_object or metadata.fapi2:
        return  # needs its secret or key
    for uri in client.redirect_uris:
        resource = {"resource": next(iter(client.access))} if len(client.access) == 1 else {}
        answer = http.get(f"{issuer}/authorize", params={**request_of(client, uri), **resource, "prompt": "none"})
        yield _got(answer, issuer, uri)


def _got(answer: httpx2.Response, issuer: str, uri: str) -> Step:
    step, where = f"authorization request to {uri}, over HTTP", answer.headers.get("location", "")
    if not where.startswith(uri):
        mend = "see the request id's line in the issuer's log"
        return Step("fail", step, f"{answer.status_code}, and no way back to the client", mend)
    said = {name: values[0] for name, values in parse_qs(urlsplit(where).query).items()}
    if said.get("iss") != issuer:
        return Step("fail", step, f"the answer is of {said.get('iss')}", "let all nodes have the same `issuer`")
    if said.get("error") != "login_required":
        mend = f"the issuer's log has the reason; the client is told {said.get('error_description', 'nothing more')}"
        return Step("fail", step, f"refused: {said.get('error')}", mend)
    return Step("ok", step, "all is in order up to where somebody has to sign in")


def _json(answer: httpx2.Response) -> Mapping[str, object]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
