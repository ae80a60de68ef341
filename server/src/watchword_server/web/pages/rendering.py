"""`Pages`: a view becomes a document, in the language of who reads it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from jinja2 import DictLoader, Environment, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from watchword_server.web.asgi import Answer, Header
from watchword_server.web.pages import policy, safe, views
from watchword_server.web.pages.assets import assets, found
from watchword_server.web.pages.brand import Brand
from watchword_server.web.pages.views import View
from watchword_server.web.pages.words import Locale, catalogue

# fmt: off
TEMPLATES: Final[Mapping[type, str]] = {
    views.SignIn:         "sign-in.html",
    views.SignUp:         "sign-up.html",
    views.SelectAccount:  "select-account.html",
    views.Consent:        "consent.html",
    views.DeviceCode:     "device.html",
    views.DeviceConfirm:  "device-confirm.html",
    views.DeviceAnswered: "device-answered.html",
    views.SignOut:        "sign-out.html",
    views.SignedOut:      "signed-out.html",
    views.Failure:        "failure.html",
    views.FormPost:       "form-post.html",
    views.Account:        "account.html",
}
# fmt: on


class Pages:
    """All pages of one deployment. Raises UnfitBrand for a logo or colours that cannot be shown."""

    __slots__ = ("_assets", "_brand", "_host", "_path", "_templates")

    def __init__(self, brand: Brand, issuer: str) -> None:
        parts = urlsplit(issuer)
        self._brand = brand
        self._host, self._path = parts.netloc, parts.path
        self._assets = assets(brand, parts.path)
        self._templates = _environment()

    @property
    def brand(self) -> Brand:
        """The deployment's own name, logo, colours and links."""
        return self._brand

    def render(self, view: View, locale: Locale, request_id: str) -> bytes:
        """The document."""
        # Compiled when it is first asked for, and kept: a start does not wait for pages that nobody opens.
        template = self._templates.get_template(TEMPLATES[type(view)])
        return template.render(self._words(view, locale, request_id)).encode()

    def answer(self, view: View, locale: Locale, request_id: str, status: int = 200, *more: Header) -> Answer:
        """The document with all its headers."""
        language = (b"content-language", locale.tag.encode())
        return Answer(status, self.render(view, locale, request_id), (*policy.headers(view), language, *more))

    def asset(self, name: str) -> Answer | None:
        """What stands at `/assets/{name}`; None for nothing."""
        return found(self._assets, name)

    def _words(self, view: View, locale: Locale, request_id: str) -> dict[str, object]:
        form = getattr(view, "form", None)
        return {
            "view": view,
            "form": form,
            "brand": self._brand,
            "path": self._path,
            "host": self._host,
            "assets": {name.partition(".")[0]: asset.path for name, asset in self._assets.items()},
            "locale": locale,
            "languages": [] if form is None else [(each, _query(view, form, each)) for each in Locale],
            "onward": "" if form is None else _onward(form),
            "request_id": request_id,
            "translations": catalogue(locale),
        }


def _environment() -> Environment:
    folder = files(__package__) / "templates"
    sources = {file.name: file.read_text("utf-8") for file in folder.iterdir() if file.name.endswith(".html")}
    environment = Environment(
        loader=DictLoader(sources),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.i18n"],
    )
    environment.filters.update(_FILTERS)
    install: Any = environment  # the extension adds its methods at run time
    install.install_gettext_callables(_gettext, _ngettext, newstyle=True)
    return environment


@pass_context
def _gettext(context: Context, message: str) -> str:
    found: str = context["translations"].gettext(message)
    return found


@pass_context
def _ngettext(context: Context, one: str, many: str, count: int) -> str:
    found: str = context["translations"].ngettext(one, many, count)
    return found


def _query(view: View, form: views.Form, locale: Locale) -> str:
    """The same page in another language."""
    carried = view.carried if isinstance(view, views.SignOut | views.DeviceCode) else ()
    interaction = [("interaction", form.interaction)] if form.interaction is not None else []
    return "?" + urlencode([*carried, *interaction, ("ui_locales", locale.value)])


def _onward(form: views.Form) -> str:
    """What a link to the next page of the same interaction carries."""
    given = {"interaction": form.interaction, "ui_locales": form.chosen and form.chosen.value}
    query = urlencode({name: value for name, value in given.items() if value is not None})
    return query and f"?{query}"


def _shown(text: str) -> Markup:
    """Somebody's text within a sentence: its direction ends with it."""
    return Markup("<bdi>{}</bdi>").format(safe.plain(text))


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _minutes(seconds: int) -> int:
    """Whole minutes, at least one: an answer that is early would be wrong."""
    return max(1, -(-seconds // 60))


_FILTERS: Final = {
    "plain": safe.plain,
    "shown": _shown,
    "initials": safe.initials,
    "place": safe.place,
    "after_host": safe.after_host,
    "https": safe.https,
    "link": safe.link,
    "moment": _moment,
    "minutes": _minutes,
}
