"""What is known of a person beside name and address, as standard claims (OpenID Connect Core §5.1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Final
from urllib.parse import urlsplit

LONGEST: Final = 200
"""Characters of a line of text."""
_LINE: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,200}")
_LINES: Final = re.compile(r"[^\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]{1,500}")
_URL: Final = re.compile(r"https?://[!-~]{1,2000}")
_BIRTHDATE: Final = re.compile(r"([0-9]{4})(?:-([0-9]{2})-([0-9]{2}))?")
_ZONE: Final = re.compile(r"[A-Za-z0-9_+-]{1,40}(/[A-Za-z0-9_+-]{1,40}){0,3}")
_LOCALE: Final = re.compile(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8}){0,7}")
_PHONE: Final = re.compile(r"\+[0-9][0-9 ().-]{3,28}[0-9](;ext=[0-9]{1,10})?")
ADDRESS: Final = "address."
"""What the members of the address begin with, as they are said."""


class BadProfile(ValueError):
    """A claim that no profile can have; the message says why."""


def changed(profile: Mapping[str, object], said: Mapping[str, str], now: int) -> dict[str, object]:
    """The profile with what was said: `name` of a claim to its text, `address.locality` and the like for the address.

    An empty text takes the claim away. Another phone number is not verified, unless that is said too. `updated_at` is
    set to `now` (seconds). Raises BadProfile.
    """
    values = {name: _value(name, text) for name, text in said.items()}
    found = dict(profile)
    if "phone_number" in values and values["phone_number"] != found.get("phone_number"):
        found.pop("phone_number_verified", None)
    for name, value in values.items():
        if not name.startswith(ADDRESS):
            _put(found, name, value)
    _put(found, "address", _address(found.get("address"), values))
    return {**found, "updated_at": now}


def line(text: str) -> str:
    """A text on one line."""
    if not _LINE.fullmatch(text):
        raise BadProfile(f"has 1 to {LONGEST} characters, none of them a control character")
    return text


def _value(name: str, text: str) -> object:
    read = _CLAIMS.get(name)
    if read is None:
        raise BadProfile(f"no claim {name!r} is set here; it may be {', '.join(_CLAIMS)}")
    if not text:
        return None
    try:
        return read(text)
    except BadProfile as error:
        raise BadProfile(f"{name} {error}") from None


def _address(before: object, values: Mapping[str, object]) -> object:
    found: dict[str, object] = dict(before) if isinstance(before, dict) else {}
    for name, value in values.items():
        if name.startswith(ADDRESS):
            _put(found, name.removeprefix(ADDRESS), value)
    return found or None


def _put(claims: dict[str, object], name: str, value: object) -> None:
    if value is None:
        claims.pop(name, None)
    else:
        claims[name] = value


def _lines(text: str) -> str:
    if not _LINES.fullmatch(text):
        raise BadProfile("has 1 to 500 characters; of control characters, only new lines")
    return text


def _url(text: str) -> str:
    try:
        host = urlsplit(text).hostname if _URL.fullmatch(text) else None
    except ValueError:
        host = None
    if not host:
        raise BadProfile("is an http or https URL")
    return text


def _birthdate(text: str) -> str:
    """A day, a day of a year that is not told (0000), or a year."""
    found = _BIRTHDATE.fullmatch(text)
    if found is None:
        raise BadProfile("is YYYY-MM-DD, 0000-MM-DD or YYYY")
    year, month, day = int(found[1]), int(found[2] or 1), int(found[3] or 1)
    try:
        date(year or 2000, month, day)  # 2000 has a 29th of February
    except ValueError:
        raise BadProfile("is no day that there was") from None
    return text


def _bool(text: str) -> bool:
    if text not in ("true", "false"):
        raise BadProfile("is true or false")
    return text == "true"


def _formed(form: re.Pattern[str], words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not form.fullmatch(text):
            raise BadProfile(f"is {words}")
        return text

    return read


# fmt: off
_CLAIMS: Final[Mapping[str, Callable[[str], object]]] = {
    "family_name":            line,
    "given_name":             line,
    "middle_name":            line,
    "nickname":               line,
    "preferred_username":     line,
    "profile":                _url,
    "picture":                _url,
    "website":                _url,
    "gender":                 line,
    "birthdate":              _birthdate,
    "zoneinfo":               _formed(_ZONE, "a time zone such as Europe/Paris"),
    "locale":                 _formed(_LOCALE, "a language such as en-US"),
    "email_verified":         _bool,
    "phone_number":           _formed(_PHONE, "a number such as +1 555 0100 or +15550100;ext=12"),
    "phone_number_verified":  _bool,
    "address.formatted":      _lines,
    "address.street_address": _lines,
    "address.locality":       line,
    "address.region":         line,
    "address.postal_code":    line,
    "address.country":        line,
}
# fmt: on
