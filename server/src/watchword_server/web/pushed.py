"""POST /par (RFC 9126 §2)."""

from __future__ import annotations

from collections.abc import Mapping

from watchword_server.flows import client_documents
from watchword_server.flows.pushed import push
from watchword_server.web.asgi import Answer, App, json_answer
from watchword_server.web.dpop import proofs
from watchword_server.web.front import Front
from watchword_server.web.oauth import Posted, form_endpoint


async def pushed(front: Front, posted: Posted) -> Answer:
    """Keep what a client will ask for, and say by which name (RFC 9126 §2.2)."""
    await client_documents.must_be_readable(front.issuer, posted.form.get("client_id", ""), posted.caller, posted.now)
    found = await push(front.issuer, posted.authorization, posted.form, posted.now, proofs(posted.scope))
    return json_answer(found._asdict(), status=201)


def endpoints(front: Front) -> Mapping[str, App]:
    """By path."""
    return {f"{front.path}/par": form_endpoint(front, pushed)}
