"""A device asks whether a person has allowed it (RFC 8628 §3.4), and gets its tokens once."""

from __future__ import annotations

from collections.abc import Mapping

from watchword_server.changes import PollDevice, SpendDevice
from watchword_server.flows.issuer import Caller, Issuer
from watchword_server.flows.minting import Tokens
from watchword_server.flows.redeem import first_tokens
from watchword_server.ports import Conflict, Head
from watchword_server.protocol.errors import AuthorizationPending, InvalidGrant, InvalidRequest, InvalidTarget
from watchword_server.protocol.grants.device_code import answered, kept
from watchword_server.protocol.living import must_live
from watchword_server.protocol.targets import is_for
from watchword_server.protocol.values import Client


async def fetch(
    issuer: Issuer, head: Head, client: Client, form: Mapping[str, str], jkt: str | None, caller: Caller, now: int
) -> Tokens:
    """The tokens for a device code, bound to the key that was proven, if one was (`jkt`).

    `head` was read before `client`, and so before all that is read here. Exactly one of many racing callers gets them.
    They stay alive when others come too: a device code went through nobody's browser, and a device whose answer was
    lost asks again.
    """
    if "device_code" not in form:
        raise InvalidRequest("device_code is missing")
    found = await issuer.stores.devices.find(kept(form["device_code"]))
    try:
        request = answered(found.request if found is not None else None, client, now)
    except AuthorizationPending as error:
        await issuer.stores.journal.save(PollDevice(kept(form["device_code"]), now, error.retry_after))
        raise
    grant, user = must_live(found, now)
    if not is_for(form.get("resource"), grant.audience):
        raise InvalidTarget("device code is for another API")
    try:
        spend = SpendDevice(request.hash, now)
        return await first_tokens(issuer, head, client, grant, user, spend, None, jkt, caller, now)
    except Conflict as error:
        raise InvalidGrant("device code was used, or its grant ended, meanwhile") from error
