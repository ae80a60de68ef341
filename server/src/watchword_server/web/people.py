"""The pages on the way to an answer: signing in and up, choosing an account, consenting."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.routing import Route

from watchword_server.flows import at_browser, authorize, device
from watchword_server.flows.at_browser import Entered
from watchword_server.flows.authorize import Case, Gone, Needed
from watchword_server.flows.sign_up import NotThisAddress, sign_up
from watchword_server.people.addresses import BadAddress, canonical
from watchword_server.people.passwords import MAX_LENGTH, MIN_LENGTH, WeakPassword, normalized
from watchword_server.protocol.errors import (
    InvalidGrant,
    InvalidRequest,
    TemporarilyUnavailable,
    TooManyAttempts,
)
from watchword_server.protocol.interaction import Step, is_sure
from watchword_server.protocol.registration import NAME
from watchword_server.protocol.targets import IDENTITY, OPENID
from watchword_server.protocol.values import Interaction
from watchword_server.web.about import About, about, confirmation, onward
from watchword_server.web.asgi import Answer, Header
from watchword_server.web.authorize import become, place_of, see_other
from watchword_server.web.browsers import StaleForm, entered, must_be_our_form, own_secret, prefers
from watchword_server.web.front import Front
from watchword_server.web.pages.problems import Problem
from watchword_server.web.pages.views import Asked, Choice, Consent, Person, SelectAccount, SignIn, SignUp
from watchword_server.web.refusals import NotFound
from watchword_server.web.visits import Sent, Visit, as_page, asking, posted, several, single_fields, visit

Page = Callable[[Visit, Sent], Awaitable[Answer]]


def routes(front: Front) -> list[Route]:
    """A page each, shown by GET and answered by POST."""
    pages: Mapping[str, tuple[Page, Page]] = {
        "/login": (_show_sign_in, _sign_in),
        "/sign-up": (_show_sign_up, _sign_up),
        "/select-account": (_show_accounts, _select),
        "/consent": (_show_consent, _consent),
    }
    return [
        Route(f"{front.path}{path}", as_page(front, partial(_page, front, *both)), methods=["GET", "POST"])
        for path, both in pages.items()
    ]


async def _page(front: Front, show: Page, take: Page, request: Request) -> Answer:
    if request.method != "POST":
        sent = several(request.scope["query_string"])
        return await show(visit(front, request, single_fields(sent)), sent)
    here, sent = await posted(front, request)
    try:
        must_be_our_form(front, request.scope, here.browser.secret, here.fields.get("csrf"))
    except StaleForm:
        if not await at_browser.accounts(front.issuer, here.browser.visitor, front.now()):
            return await show(here, {**sent, "stale": ("1",)})
        # Signed in meanwhile, in another tab: then there is nothing to send again.
        if here.handle is None:
            return see_other(f"{front.path}/account")
        on = await authorize.waiting(front.issuer, here.handle, here.browser.visitor, front.now())
        return await onward(here, on)
    return await take(here, sent)


# --- signing in


async def _show_sign_in(here: Visit, sent: Sent) -> Answer:
    problems = (Problem.STALE,) if "stale" in sent else ()
    return await _sign_in_page(here, here.fields.get("email", ""), problems, 400 if problems else 200)


async def _sign_in(here: Visit, sent: Sent) -> Answer:
    front, email, password = here.front, here.fields.get("email", ""), here.fields.get("password", "")
    problems = _missing(email, password)
    if problems:
        return await _sign_in_page(here, email, problems, 400)
    on = await _waiting(here)
    try:
        who = await at_browser.sign_in(front.issuer, here.browser.visitor, on, email, password, front.clock())
    except InvalidGrant:
        return await _sign_in_page(here, email, (Problem.MISMATCH,), 400)
    except TooManyAttempts as error:
        return await _sign_in_page(here, email, (Problem.TOO_OFTEN,), 429, error.retry_after)
    except TemporarilyUnavailable:
        return await _sign_in_page(here, email, (Problem.BUSY,), 503)
    return _in(here, who, on)


async def _sign_in_page(here: Visit, email: str, problems: tuple[Problem, ...], status: int, wait: int = 0) -> Answer:
    on, front = await _waiting(here), here.front
    secret, cookies = _secret(here)
    case = await _about(here, on)
    known = case.account.user.email if case is not None and case.account is not None else ""
    hint = case.login_hint if case is not None and "@" in (case.login_hint or "") else ""
    view = SignIn(
        form=here.form(secret, case.redirect_uri if case is not None else None),
        client=asking(front, case.client) if case is not None else None,
        email=email or hint or known,
        problems=problems,
        wait=wait,
        again=bool(known),
        can_sign_up=front.issuer.terms.sign_up,
        for_device=case is not None and case.is_device,
    )
    return here.page(view, status, *cookies, *_retry(wait), wanted=case.ui_locales if case is not None else ())


def _in(here: Visit, who: Entered, on: Interaction | None) -> Answer:
    """Somebody has signed in. The browser gets its new secret whatever is next, so that is looked at afterwards."""
    cookies = entered(here.front, who)
    if here.handle is None or on is None:
        return see_other(f"{here.front.path}/account", *cookies)
    if device.is_one(on):
        return see_other(confirmation(here, here.handle), *cookies)
    return see_other(place_of(here.front, here, Step.CONSENT, here.handle), *cookies)


# --- signing up


async def _show_sign_up(here: Visit, sent: Sent) -> Answer:
    problems = (Problem.STALE,) if "stale" in sent else ()
    return await _sign_up_page(here, problems, 400 if problems else 200)


async def _sign_up(here: Visit, sent: Sent) -> Answer:
    front, fields = here.front, here.fields
    email, name, password = (fields.get(one, "") for one in ("email", "name", "password"))
    problems = _unfit(email, name, password)
    if problems:
        return await _sign_up_page(here, problems, 400)
    on = await _waiting(here)
    try:
        who = await sign_up(front.issuer, here.browser.visitor, on, email, name.strip(), password, front.clock())
    except NotThisAddress:
        return await _sign_up_page(here, (Problem.EMAIL_REFUSED,), 400)
    except BadAddress:
        return await _sign_up_page(here, (Problem.EMAIL_MALFORMED,), 400)
    except WeakPassword:
        return await _sign_up_page(here, (Problem.PASSWORD_IS_EMAIL,), 400)
    except TooManyAttempts as error:
        return await _sign_up_page(here, (Problem.TOO_OFTEN,), 429, error.retry_after)
    except TemporarilyUnavailable:
        return await _sign_up_page(here, (Problem.BUSY,), 503)
    return _in(here, who, on)


async def _sign_up_page(here: Visit, problems: tuple[Problem, ...], status: int, wait: int = 0) -> Answer:
    front = here.front
    if not front.issuer.terms.sign_up:
        raise NotFound("people cannot make themselves an account here")
    on = await _waiting(here)
    secret, cookies = _secret(here)
    case = await _about(here, on)
    view = SignUp(
        form=here.form(secret, case.redirect_uri if case is not None else None),
        client=asking(front, case.client) if case is not None else None,
        email=here.fields.get("email", ""),
        name=here.fields.get("name", ""),
        problems=problems,
        wait=wait,
    )
    wanted = case.ui_locales if case is not None else ()
    return here.page(view, status, *cookies, *_retry(wait), wanted=wanted)


# --- choosing an account


async def _show_accounts(here: Visit, sent: Sent) -> Answer:
    front, visitor = here.front, here.browser.visitor
    case = await about(here, await authorize.waiting(front.issuer, here.handle or "", visitor, front.now()))
    secret, cookies = _secret(here)
    view = SelectAccount(
        form=here.form(secret, case.redirect_uri),
        client=asking(here.front, case.client),
        choices=tuple(
            Choice(key=one.session.sid, name=one.user.name or one.user.email, email=one.user.email)
            for one in case.accounts
        ),
        problems=(Problem.STALE,) if "stale" in sent else (),
    )
    return here.page(view, 400 if view.problems else 200, *cookies, wanted=case.ui_locales)


async def _select(here: Visit, sent: Sent) -> Answer:
    front, account, handle = here.front, here.fields.get("account", ""), here.handle or ""
    on = await authorize.waiting(front.issuer, handle, here.browser.visitor, front.now())
    if account == "other":
        return await become(front, here, Needed(Step.SIGN_IN, handle))
    chosen = await at_browser.accounts(front.issuer, here.browser.visitor, front.now())
    cookies = [prefers(front, account)] if account in {one.session.sid for one in chosen} else []
    if device.is_one(on):
        await device.choose(front.issuer, on, account, here.browser.visitor, front.now())
        return await onward(here, on, *cookies)
    outcome = await authorize.select(front.issuer, handle, on, account, here.browser.visitor, front.now())
    return await become(front, here, outcome, *cookies)


# --- consenting


async def _show_consent(here: Visit, sent: Sent) -> Answer:
    """Where all is said, the answer; where something else comes first, that."""
    front, visitor, handle = here.front, here.browser.visitor, here.handle or ""
    on = await authorize.waiting(front.issuer, handle, visitor, front.now())
    outcome = await authorize.go_on(front.issuer, handle, on, visitor, front.now())
    if not isinstance(outcome, Needed) or outcome.step is not Step.CONSENT:
        return await become(front, here, outcome)
    case = await authorize.consider(front.issuer, on, visitor, front.now())
    account = case.account
    if account is None:
        raise Gone("signed out meanwhile")
    secret, cookies = _secret(here)
    view = Consent(
        form=here.form(secret, case.request.to.redirect_uri),
        client=asking(front, case.client),
        person=Person(account.user.name or account.user.email, account.user.email),
        scopes=await _scopes(front, case),
        can_remember=is_sure(case.client, case.request.to.redirect_uri),
        used_at=_used_at(front, case),
        problems=(Problem.STALE,) if "stale" in sent else (),
    )
    return here.page(view, 400 if view.problems else 200, *cookies, wanted=case.request.ui_locales)


async def _consent(here: Visit, sent: Sent) -> Answer:
    front, visitor, handle = here.front, here.browser.visitor, here.handle or ""
    on = await authorize.waiting(front.issuer, handle, visitor, front.now())
    match here.fields.get("answer"):
        case "allow":
            scopes, remember = sent.get("scope", ()), "remember" in sent
            outcome = await authorize.allow(front.issuer, handle, on, scopes, remember, visitor, front.now())
        case "deny":
            outcome = await authorize.deny(front.issuer, on, visitor, front.now())
        case _:
            raise InvalidRequest("neither allowed nor denied")
    return await become(front, here, outcome)


async def _scopes(front: Front, case: Case) -> tuple[Asked, ...]:
    """What is asked for; those of OpenID Connect belong to no API."""
    api = await front.issuer.stores.apis.find(case.audience)
    name = api.name if api is not None else None
    return tuple(
        Asked(scope=one, api=None if one in IDENTITY else name, must_stay=one == OPENID) for one in case.request.scope
    )


def _used_at(front: Front, case: Case) -> str | None:
    """Where the tokens are good for something; nothing new to say of those that are about the person only."""
    if case.audience == front.issuer.terms.issuer:
        return None
    return urlsplit(case.audience).netloc or case.audience


# --- what they share


async def _waiting(here: Visit) -> Interaction | None:
    """The request that waits; None for who came for the account page."""
    if here.handle is None:
        return None
    return await authorize.waiting(here.front.issuer, here.handle, here.browser.visitor, here.front.now())


async def _about(here: Visit, on: Interaction | None) -> About | None:
    return None if on is None else await about(here, on)


def _secret(here: Visit) -> tuple[str, tuple[Header, ...]]:
    return own_secret(here.front, here.browser)


def _retry(wait: int) -> tuple[Header, ...]:
    return ((b"retry-after", b"%d" % wait),) if wait else ()


def _missing(email: str, password: str) -> tuple[Problem, ...]:
    return (
        *((Problem.EMAIL_MISSING,) if not email.strip() else ()),
        *((Problem.PASSWORD_MISSING,) if not password else ()),
    )


def _unfit(email: str, name: str, password: str) -> tuple[Problem, ...]:
    """Everything that is wrong with a form to sign up, at once."""
    found = []
    if not email.strip():
        found.append(Problem.EMAIL_MISSING)
    else:
        try:
            canonical(email)
        except BadAddress:
            found.append(Problem.EMAIL_MALFORMED)
    if not name.strip():
        found.append(Problem.NAME_MISSING)
    elif not NAME.fullmatch(name.strip()):
        found.append(Problem.NAME_TOO_LONG)
    if not password:
        found.append(Problem.PASSWORD_MISSING)
    elif len(normalized(password)) < MIN_LENGTH:
        found.append(Problem.PASSWORD_TOO_SHORT)
    elif len(normalized(password)) > MAX_LENGTH:
        found.append(Problem.PASSWORD_TOO_LONG)
    return tuple(found)
