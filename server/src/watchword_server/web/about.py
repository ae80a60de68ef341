"""What a page has to know of whatever waits for a person: an app that sent a browser here, or a device."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

import msgspec

from watchword_server.flows import authorize, device
from watchword_server.flows.at_browser import Account
from watchword_server.protocol.values import Client, Interaction
from watchword_server.web.asgi import Answer, Header
from watchword_server.web.authorize import become, see_other
from watchword_server.web.visits import Visit


class About(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, and who may answer. An app says where the answer leads, and may say whom and how to ask."""

    client: Client
    accounts: Sequence[Account]
    account: Account | None
    redirect_uri: str | None = None
    login_hint: str | None = None
    ui_locales: tuple[str, ...] = ()
    is_device: bool = False


async def about(here: Visit, on: Interaction) -> About:
    """Of a request that waits. Raises Gone, OAuthError where it does not any more."""
    front, visitor = here.front, here.browser.visitor
    if device.is_one(on):
        waits = await device.consider(front.issuer, on, visitor, front.now())
        return About(client=waits.client, accounts=waits.accounts, account=waits.account, is_device=True)
    case = await authorize.consider(front.issuer, on, visitor, front.now())
    return About(
        client=case.client,
        accounts=case.accounts,
        account=case.account,
        redirect_uri=case.request.to.redirect_uri,
        login_hint=case.request.login_hint,
        ui_locales=case.request.ui_locales,
    )


async def onward(here: Visit, on: Interaction, *more: Header) -> Answer:
    """What is next for a request that waits."""
    front, handle = here.front, here.handle or ""
    if device.is_one(on):
        return see_other(confirmation(here, handle), *more)
    outcome = await authorize.go_on(front.issuer, handle, on, here.browser.visitor, front.now())
    return await become(front, here, outcome, *more)


def confirmation(here: Visit, handle: str) -> str:
    """Where a person decides about a device, in the language that was picked."""
    carried = {"interaction": handle} | ({"ui_locales": here.chosen.value} if here.chosen else {})
    return f"{here.front.path}/device/confirm?{urlencode(carried)}"
