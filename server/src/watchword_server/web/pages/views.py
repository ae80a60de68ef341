"""What each page says. Text of clients and people is given as it is; the templates make it safe."""

from __future__ import annotations

from msgspec import Struct

from watchword_server.web.pages.problems import Problem, Reason
from watchword_server.web.pages.words import Locale


class Form(Struct, frozen=True, kw_only=True):
    """What every form carries, and where its answer may lead."""

    csrf: str
    interaction: str | None = None
    chosen: Locale | None = None
    """The language picked on a page: forms send it as `ui_locales`, so that it lasts from page to page."""
    redirect_uri: str | None = None
    """Where the browser may be sent after the form, validated: `form-action` holds after redirects, too."""


class Asking(Struct, frozen=True, kw_only=True):
    """The client that asks. `logo` is a path on this server, of our own copy."""

    name: str
    logo: str | None = None
    home: str | None = None
    """Its `client_uri`; shown only if it is https."""
    policy_uri: str | None = None
    tos_uri: str | None = None
    is_stranger: bool = False
    """Whether it registered itself, so that nobody here has looked at its name."""
    document: str | None = None
    """Where it says who it is, for a client by its metadata document: then its host is its `name`."""
    calls_itself: str = ""
    """What such a client would be called."""


class Person(Struct, frozen=True):
    """Who is signed in."""

    name: str
    email: str


class SignIn(Struct, frozen=True, kw_only=True):
    """`/login`. `can_sign_up` shows the way to `/sign-up`; `again`: known already, but has to prove it."""

    form: Form
    client: Asking | None = None
    email: str = ""
    problems: tuple[Problem, ...] = ()
    wait: int = 0
    """Seconds until the next attempt counts, with TOO_OFTEN."""
    again: bool = False
    can_sign_up: bool = False
    for_device: bool = False
    """Whether it is on the way to `/device/confirm`."""


class SignUp(Struct, frozen=True, kw_only=True):
    """`/sign-up`."""

    form: Form
    client: Asking | None = None
    email: str = ""
    name: str = ""
    problems: tuple[Problem, ...] = ()
    wait: int = 0


class Choice(Struct, frozen=True, kw_only=True):
    """An account that was used in this browser. `key` is what the form sends for it."""

    key: str
    name: str
    email: str
    is_signed_in: bool = True


class SelectAccount(Struct, frozen=True, kw_only=True):
    """`/select-account`."""

    form: Form
    client: Asking | None = None
    choices: tuple[Choice, ...] = ()
    problems: tuple[Problem, ...] = ()


class Asked(Struct, frozen=True, kw_only=True):
    """A scope that is asked for. `api` names the API it is for, None for those of OpenID Connect."""

    scope: str
    api: str | None = None
    must_stay: bool = False
    """Shown without a checkbox: without it there is nothing to allow."""
    is_ticked: bool = True


class Consent(Struct, frozen=True, kw_only=True):
    """`/consent`."""

    form: Form
    client: Asking
    person: Person
    scopes: tuple[Asked, ...]
    remember: bool = True
    can_remember: bool = True
    """Whether not to be asked again may be chosen at all."""
    used_at: str | None = None
    """What it may use: the host of the API, or its whole audience where that has none."""
    can_switch: bool = True
    problems: tuple[Problem, ...] = ()


class DeviceCode(Struct, frozen=True, kw_only=True):
    """`/device`: the code that a device shows."""

    form: Form
    user_code: str = ""
    """What was typed before, or came with the link."""
    problems: tuple[Problem, ...] = ()
    wait: int = 0

    @property
    def carried(self) -> tuple[tuple[str, str], ...]:
        """What the same page in another language needs."""
        return (("user_code", self.user_code),) if self.user_code else ()


class DeviceConfirm(Struct, frozen=True, kw_only=True):
    """`/device/confirm`: whether this is the device before the person. `age` is the seconds since it asked."""

    form: Form
    client: Asking
    person: Person
    user_code: str
    address: str
    agent: str
    """What the device calls itself: text of its own."""
    at: int
    age: int
    scopes: tuple[Asked, ...]
    is_elsewhere: bool = False
    """Whether it asked from another network than the person's."""
    problems: tuple[Problem, ...] = ()


class DeviceAnswered(Struct, frozen=True, kw_only=True):
    """What became of the device."""

    client: Asking
    allowed: bool
    outlasts: bool = False
    """Whether it goes on after the person has signed out here."""


class SignOut(Struct, frozen=True, kw_only=True):
    """`/logout` before it happens. `apps` are the names of those that use the session."""

    form: Form
    person: Person | None = None
    client: Asking | None = None
    apps: tuple[str, ...] = ()
    accounts: int = 1
    """How many are signed in at this browser: with more than one, `answer=all` is offered."""
    carried: tuple[tuple[str, str], ...] = ()
    """Parameters of the request that the form sends again: `state`, `post_logout_redirect_uri`, ..."""
    problems: tuple[Problem, ...] = ()


class Ended(Struct, frozen=True, kw_only=True):
    """An app that was signed out of. `is_told`: it has been, or will be, told through its back channel."""

    name: str
    is_told: bool = False


class SignedOut(Struct, frozen=True, kw_only=True):
    """What ended. `onward` is a validated address to go on to, `chosen` the language picked before."""

    apps: tuple[Ended, ...] = ()
    onward: str | None = None
    chosen: Locale | None = None


class Failure(Struct, frozen=True, kw_only=True):
    """A page that stops. `at` is seconds since 1970; the client is named as it named itself."""

    reason: Reason
    at: int
    client_id: str | None = None
    wait: int = 0
    """Seconds after which it is worth another try, where that is known."""
    home: str | None = None
    """The `client_uri` of a client that is known; shown only if it is https."""


class FormPost(Struct, frozen=True, kw_only=True):
    """An authorization response that the browser posts (OAuth 2.0 Form Post Response Mode). `redirect_uri` is valid."""

    redirect_uri: str
    fields: tuple[tuple[str, str], ...]
    client: Asking | None = None


class App(Struct, frozen=True, kw_only=True):
    """An app with access. Times are seconds since 1970."""

    client_id: str
    name: str
    host: str | None = None
    logo: str | None = None
    scopes: tuple[Asked, ...] = ()
    since: int = 0
    used: int | None = None
    is_stranger: bool = False


class Account(Struct, frozen=True, kw_only=True):
    """`/account`. `ended` is the name of an app whose access was just taken back."""

    form: Form
    person: Person
    apps: tuple[App, ...] = ()
    ended: str | None = None
    problems: tuple[Problem, ...] = ()


View = (
    SignIn
    | SignUp
    | SelectAccount
    | Consent
    | DeviceCode
    | DeviceConfirm
    | DeviceAnswered
    | SignOut
    | SignedOut
    | Failure
    | FormPost
    | Account
)
