"""Every page in every state that matters, in three languages and two brands."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from watchword_server.web.pages.brand import Brand, logo
from watchword_server.web.pages.problems import Problem, Reason
from watchword_server.web.pages.views import (
    Account,
    App,
    Asked,
    Asking,
    Choice,
    Consent,
    DeviceAnswered,
    DeviceCode,
    DeviceConfirm,
    Ended,
    Failure,
    Form,
    FormPost,
    Person,
    SelectAccount,
    SignedOut,
    SignIn,
    SignOut,
    SignUp,
    View,
)
from watchword_server.web.pages.words import Locale

NOVEMBER: Final = 1_795_167_712
LONG: Final = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 2
FORM: Final = Form(csrf="c", interaction="i", redirect_uri="https://berthplanner.example/callback")
PLANNER: Final = Asking(
    name="Berth Planner",
    home="https://berthplanner.example",
    policy_uri="https://berthplanner.example/privacy",
    tos_uri="https://berthplanner.example/terms",
)
STRANGER: Final = Asking(name=LONG, home="javascript:alert(1)", is_stranger=True)
AGENT: Final = Asking(
    name="pilot.example",
    document="https://pilot.example/oauth/client.json",
    calls_itself="Pilot for desktop",
    is_stranger=True,
)
INES: Final = Person("Ines Carvalho", "ines@carvalho-freight.example")
LONG_PERSON: Final = Person(LONG, f"{'a' * 64}@{'b' * 60}.{'c' * 60}.example")
STANDARD: Final = (
    Asked(scope="openid", must_stay=True),
    Asked(scope="profile"),
    Asked(scope="email"),
    Asked(scope="address", is_ticked=False),
    Asked(scope="phone"),
    Asked(scope="offline_access"),
)
OF_APIS: Final = (
    Asked(scope="shipments:read", api="Fairlead Shipments"),
    Asked(scope="x" * 100, api=LONG),
)
APPS: Final = (
    App(client_id="1", name="Fairlead Dispatch", host="dispatch.fairlead.example", scopes=STANDARD[:3],
        since=NOVEMBER - 9_000_000, used=NOVEMBER),
    App(client_id="2", name="Berth Planner", host="berthplanner.example", scopes=(*STANDARD, *OF_APIS[:1]),
        since=NOVEMBER, is_stranger=True),
)  # fmt: skip
LONG_APP: Final = App(client_id="3", name=LONG, host="a." * 60 + "example", scopes=OF_APIS, since=1, used=NOVEMBER)
PEOPLE: Final = (
    Choice(key="1", name="Ines Carvalho", email="ines@carvalho-freight.example"),
    Choice(key="2", name="Porto Pilots’ office", email="desk@portopilots.example"),
    Choice(key="3", name="王小明", email="ines+test@carvalho-freight.example", is_signed_in=False),
)
OURS: Final = Brand(name="Fairlead")
HALYARD: Final = Brand(
    name="Halyard Bank",
    logo=logo((Path(__file__).parent / "halyard.svg").read_bytes()),
    color="#0e6b5c",
    color_dark="#3fbfa6",
    night="#0a2e36",
    night_dark="#123a43",
    help="https://halyard.example/help",
    privacy="https://halyard.example/privacy",
    terms="https://halyard.example/terms",
)


class Sample(Struct, frozen=True):
    """A page. `opens` is the id of what a click opens on it."""

    view: View
    locale: Locale = Locale.ENGLISH
    brand: Brand = OURS
    opens: str | None = None


SIGN_IN: Final = SignIn(form=FORM, client=PLANNER, can_sign_up=True)
CONSENT: Final = Consent(form=FORM, client=PLANNER, person=INES, scopes=(*STANDARD, *OF_APIS[:1]))
ACCOUNT: Final = Account(form=Form(csrf="c"), person=INES, apps=APPS)
CLI: Final = Asking(name="Fairlead CLI", home="https://fairlead.example/cli")
DEVICE: Final = DeviceConfirm(
    form=Form(csrf="c", interaction="i"),
    client=CLI,
    person=INES,
    user_code="WDJB-MJHT",
    address="203.0.113.24",
    agent="fairlead/4.2 (build-07; Linux)",
    at=NOVEMBER,
    age=40,
    scopes=(STANDARD[0], STANDARD[5], Asked(scope="shipments:read", api="Fairlead Shipments")),
)
SIGN_UP_WRONG: Final = SignUp(
    form=FORM,
    client=PLANNER,
    name="Ines",
    email="ines@carvalho",
    problems=(Problem.EMAIL_MALFORMED, Problem.PASSWORD_TOO_SHORT),
)

PLAIN: Final[dict[str, View]] = {
    "sign-in": SIGN_IN,
    "sign-in-wrong": replace(SIGN_IN, email=INES.email, problems=(Problem.MISMATCH,)),
    "sign-in-too-often": replace(SIGN_IN, email=INES.email, problems=(Problem.TOO_OFTEN,), wait=240),
    "sign-in-again": replace(SIGN_IN, email=INES.email, again=True, can_sign_up=False),
    "sign-up": SignUp(form=FORM, client=PLANNER),
    "sign-up-wrong": SIGN_UP_WRONG,
    "select-account": SelectAccount(form=FORM, client=PLANNER, choices=PEOPLE),
    "consent": CONSENT,
    "consent-agent": replace(
        CONSENT,
        form=replace(FORM, redirect_uri="http://127.0.0.1:51763/callback"),
        client=AGENT,
        can_remember=False,
        used_at="mcp.fairlead.example",
    ),
    "sign-in-agent": replace(SIGN_IN, client=AGENT),
    "consent-stranger": replace(
        CONSENT,
        client=replace(STRANGER, name="Watchword Security"),
        form=replace(FORM, redirect_uri="http://localhost:49152/callback"),
    ),
    "device": DeviceCode(form=Form(csrf="c")),
    "device-wrong": DeviceCode(form=Form(csrf="c"), user_code="WDJB-MJHT", problems=(Problem.CODE_UNKNOWN,)),
    "device-confirm": replace(DEVICE, is_elsewhere=True),
    "device-allowed": DeviceAnswered(client=CLI, allowed=True),
    "device-denied": DeviceAnswered(client=CLI, allowed=False),
    "sign-in-for-device": replace(SIGN_IN, client=CLI, form=DEVICE.form, for_device=True),
    "sign-out": SignOut(form=FORM, client=PLANNER, person=INES, apps=("Fairlead Dispatch", "Berth Planner", "Rates")),
    "sign-out-one": SignOut(form=Form(csrf="c"), person=INES, apps=("Berth Planner",), accounts=2),
    "signed-out": SignedOut(apps=(Ended(name="Fairlead Dispatch", is_told=True), Ended(name="Berth Planner"))),
    "form-post": FormPost(
        redirect_uri="https://berthplanner.example/callback", fields=(("code", "x"),), client=PLANNER
    ),
    "account": ACCOUNT,
    **{f"stopped-{reason.value}".replace("_", "-"): Failure(reason=reason, at=NOVEMBER) for reason in Reason},
}
ODD: Final[dict[str, View]] = {
    "sign-in-own": SignIn(form=Form(csrf="c")),
    "sign-in-stale": SignIn(form=FORM, client=PLANNER, problems=(Problem.STALE,)),
    "sign-up-own": SignUp(form=Form(csrf="c")),
    "select-account-none": SelectAccount(form=FORM),
    "consent-app": replace(CONSENT, form=replace(FORM, redirect_uri="com.example.planner:/callback"), can_switch=False),
    "device-malformed": DeviceCode(form=Form(csrf="c"), user_code="WDJB", problems=(Problem.CODE_MALFORMED,)),
    "device-too-often": DeviceCode(form=Form(csrf="c"), user_code="WDJB-MJHT", problems=(Problem.TOO_OFTEN,), wait=240),
    "device-confirm-stranger": replace(DEVICE, client=replace(STRANGER, name="Watchword Security"), age=190),
    "device-allowed-for-long": DeviceAnswered(client=CLI, allowed=True, outlasts=True),
    "sign-out-nothing": SignOut(form=Form(csrf="c")),
    "signed-out-onward": SignedOut(onward="https://berthplanner.example/bye"),
    "stopped-client": Failure(
        reason=Reason.UNREGISTERED_REDIRECT, at=NOVEMBER, client_id="berth-planner", home="https://berthplanner.example"
    ),
    "account-empty": replace(ACCOUNT, apps=()),
    "account-ended": replace(ACCOUNT, apps=APPS[:1], ended="Berth Planner"),
}
LONG_ONES: Final[dict[str, View]] = {
    "long-sign-in": replace(SIGN_IN, client=STRANGER, email=LONG_PERSON.email, problems=(Problem.MISMATCH,)),
    "long-sign-up": SignUp(form=FORM, client=STRANGER, name=LONG, problems=(Problem.NAME_TOO_LONG,)),
    "long-select-account": SelectAccount(
        form=FORM, client=STRANGER, choices=(Choice(key="1", name=LONG_PERSON.name, email=LONG_PERSON.email),)
    ),
    "long-consent": Consent(
        form=replace(FORM, redirect_uri=f"https://{'a' * 60}.{'b' * 60}.{'c' * 60}.example:8443/callback"),
        client=STRANGER,
        person=LONG_PERSON,
        scopes=(*STANDARD[:2], *OF_APIS),
    ),
    "long-consent-agent": Consent(
        form=FORM,
        client=Asking(
            name="a." * 60 + "example", document=f"https://{'a.' * 60}example:8443/{'b' * 130}", calls_itself=LONG
        ),
        person=LONG_PERSON,
        scopes=OF_APIS,
        used_at="c." * 60 + "example:8443",
    ),
    "long-device-confirm": replace(
        DEVICE,
        client=STRANGER,
        person=LONG_PERSON,
        address="2001:db8:1111:2222:3333:4444:5555:6666",
        agent=LONG,
        scopes=(*STANDARD[:2], *OF_APIS),
        is_elsewhere=True,
    ),
    "long-device-answered": DeviceAnswered(client=STRANGER, allowed=True),
    "long-sign-out": SignOut(form=FORM, client=STRANGER, apps=(LONG,)),
    "long-signed-out": SignedOut(
        apps=(Ended(name=LONG, is_told=True),), onward=f"https://{'a' * 60}.{'b' * 60}.example"
    ),
    "long-stopped": Failure(reason=Reason.UNKNOWN_CLIENT, at=NOVEMBER, client_id="y" * 300),
    "long-account": replace(ACCOUNT, person=LONG_PERSON, apps=(LONG_APP, *APPS)),
}
SAMPLES: Final[dict[str, Sample]] = {
    **{name: Sample(view) for name, view in {**PLAIN, **ODD, **LONG_ONES}.items()},
    **{
        f"{name}-{tag.value}": Sample(view, tag)
        for tag in (Locale.SPANISH, Locale.CHINESE)
        for name, view in PLAIN.items()
    },
    **{
        f"halyard-{name}": Sample(PLAIN[name], brand=HALYARD)
        for name in ("sign-in", "consent", "device-confirm", "account", "signed-out")
    },
    "open-languages": Sample(SIGN_IN, opens="languages"),
    "open-question": Sample(ACCOUNT, opens="end-2"),
    "open-question-long": Sample(LONG_ONES["long-account"], opens="end-1"),
    "open-me": Sample(ACCOUNT, opens="me"),
}
