"""Frozen settings, read once: flags, then `WATCHWORD_*` and `WATCHWORD_*_FILE`, then `watchword.toml`."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator

PREFIX: Final = "WATCHWORD_"
FILE: Final = "_FILE"
DEFAULT_FILE: Final = Path("watchword.toml")
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
DAY: Final = 24 * 3600

Network = IPv4Network | IPv6Network
Nested = dict[str, Any]


class SettingsError(Exception):
    """The settings are wrong; the message is one sentence that names the setting and how to mend it."""


def _issuer(value: object) -> str:
    """An https URL as it stands in `iss`; http only where nobody else can listen."""
    if not isinstance(value, str):
        raise ValueError("must be a URL")
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("is not a URL") from None
    # Tokens are compared with it letter by letter, so it has one spelling only (RFC 8414 §2).
    if not host or parts.query or parts.fragment or "?" in value or "#" in value or "@" in parts.netloc:
        raise ValueError("must be a URL with a host, and without user, query and fragment")
    if (
        value.endswith("/")
        or value != value.strip()
        or not value.startswith(f"{parts.scheme}://{parts.netloc.lower()}")
    ):
        raise ValueError("must be in lower case up to its path, without a space or a slash at its end")
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)*", parts.path):
        raise ValueError("may have a path of letters, digits and . _ ~ - only")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK):
        raise ValueError("must be https; http is only for localhost, 127.0.0.1 and [::1]")
    return value


def _networks(value: object) -> tuple[Network, ...]:
    """A list of networks or addresses, or one text with commas."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple):
        raise ValueError("must be a list of networks such as 10.0.0.0/8")
    try:
        return tuple(ip_network(str(part).strip()) for part in parts if str(part).strip())
    except ValueError:
        raise ValueError("must be a list of networks such as 10.0.0.0/8") from None


def _address(value: object) -> str:
    """`host:port`; an IPv6 host stands in brackets."""
    found = (
        re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})", value) if isinstance(value, str) else None
    )
    if found is None or int(found[2]) > 65535:
        raise ValueError("must be host:port, such as 127.0.0.1:8000 or [::1]:8000")
    return found[0]


Seconds = Annotated[int, Field(ge=60, le=10 * 365 * DAY)]


class Part(BaseModel):
    """What every table of the settings is: frozen, and without room for unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Feed(Part):
    """Who reads the revocation feed."""

    public: bool = False


class Tokens(Part):
    """Lifetimes are seconds."""

    access_lifetime: Annotated[int, Field(ge=60, le=DAY)] = 15 * 60
    refresh_lifetime: Seconds = 14 * DAY
    algorithm: Literal["ES256", "EdDSA", "RS256", "PS256"] = "ES256"


class Sessions(Part):
    """Seconds after which a sign-in ends, however much it is used."""

    lifetime: Seconds = 30 * DAY


class AuditTrail(Part):
    """Seconds for which audit rows are kept."""

    retention: Seconds = 400 * DAY


class Passwords(Part):
    """How many sign-ins may wait for the password hash before more are answered with 503."""

    queue: Annotated[int, Field(ge=1, le=10_000)] = 64


class Smtp(Part):
    """The mail server; without a host nothing is sent. `tls`: STARTTLS, TLS from the start, or none."""

    host: str | None = None
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    username: str | None = None
    password: SecretStr | None = None
    sender: Annotated[str | None, Field(alias="from", pattern=r"^[^@\s]+@[^@\s]+$")] = None
    tls: Literal["starttls", "implicit", "none"] = "starttls"

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.host is not None and self.sender is None:
            raise ValueError("needs `from`, the address that messages come from")
        if self.tls == "none" and self.password is not None and self.host not in LOOPBACK:
            raise ValueError("would send its password unencrypted: set `tls`")
        return self


class Log(Part):
    """What is logged, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "console"
    requests: bool = False


class Tls(Part):
    """Files (PEM) for serving https without a proxy."""

    certificate: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("needs both `certificate` and `key`")
        return self


class Settings(Part):
    """Everything that an operator decides."""

    issuer: Annotated[str, BeforeValidator(_issuer)]
    listen: Annotated[str, BeforeValidator(_address)] = "127.0.0.1:8000"
    data: Path = Path("watchword-data")
    trusted_proxies: Annotated[tuple[Network, ...], BeforeValidator(_networks)] = ()
    cookie_domain: Annotated[str | None, Field(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")] = None
    master_key: SecretStr | None = None
    feed: Feed = Feed()
    tokens: Tokens = Tokens()
    sessions: Sessions = Sessions()
    audit: AuditTrail = AuditTrail()
    passwords: Passwords = Passwords()
    smtp: Smtp = Smtp()
    log: Log = Log()
    tls: Tls = Tls()

    @model_validator(mode="after")
    def _cookies_reach_the_issuer(self) -> Self:
        host = urlsplit(self.issuer).hostname or ""
        if self.cookie_domain is not None and not f".{host}".endswith(f".{self.cookie_domain}"):
            raise ValueError(f"cookie_domain {self.cookie_domain} is not a domain of the issuer's host {host}")
        return self

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen at."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)


def load(config: Path | None, overrides: Mapping[str, object], environ: Mapping[str, str] = os.environ) -> Settings:
    """Read all sources. `config` None means `watchword.toml`, where there is one. Raises SettingsError."""
    given = _merged(_from_file(config), _merged(_from_environ(environ), dict(overrides)))
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        raise SettingsError(_sentence(error)) from None  # the error itself shows the values, and some are secret


def _from_file(config: Path | None) -> Nested:
    path = config or DEFAULT_FILE
    if config is None and not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"{path} is not TOML: {error}") from None


def _from_environ(environ: Mapping[str, str]) -> Nested:
    """`WATCHWORD_SMTP__PORT=25` as {"smtp": {"port": "25"}}; an empty value counts as none."""
    known = {PREFIX + "__".join(path).upper(): path for path, _ in _paths(Settings)}
    files = {PREFIX + "__".join(path).upper() + FILE: path for path, secret in _paths(Settings) if secret}
    found: Nested = {}
    for name, value in environ.items():
        if not name.startswith(PREFIX) or not value:
            continue
        path = known.get(name) or files.get(name)
        if path is None:
            names = [known_name.removeprefix(PREFIX) for known_name in (*known, *files)]
            raise SettingsError(f"unknown setting {name}{_nearest(name.removeprefix(PREFIX), names, PREFIX)}")
        if name in files and environ.get(name.removesuffix(FILE)):
            raise SettingsError(f"both {name} and {name.removesuffix(FILE)} are set: keep one")
        found = _merged(found, _nested(path, _content(name, value) if name in files else value))
    return found


def _content(name: str, path: str) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}: cannot read {path}: {getattr(error, 'strerror', 'not text')}") from None


def _paths(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Every setting as its path of names, and whether it is a secret."""
    for name, field in model.model_fields.items():
        path = (*above, field.alias or name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, Part):
            yield from _paths(field.annotation, path)
        else:
            yield path, "SecretStr" in str(field.annotation)


def _nested(path: tuple[str, ...], value: object) -> Nested:
    first, *rest = path
    return {first: _nested(tuple(rest), value) if rest else value}


def _merged(below: Nested, above: Nested) -> Nested:
    """Both, table by table; what stands above wins."""
    both = {**below, **above}
    for name in below.keys() & above.keys():
        if isinstance(below[name], dict) and isinstance(above[name], dict):
            both[name] = _merged(below[name], above[name])
    return both


def _sentence(error: ValidationError) -> str:
    """What is wrong first, without the value: it may be a secret."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    name = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        names = {".".join(path[:length]) for path, _ in _paths(Settings) for length in (1, 2)}
        return f"unknown setting {name}{_nearest(name, sorted(names))}"
    if first["type"] == "missing":
        return (
            f"the setting {name} is missing: set it in {DEFAULT_FILE} or as {PREFIX}{name.upper().replace('.', '__')}"
        )
    return f"setting {name}: {first['msg'].removeprefix('Value error, ')}".replace("setting : ", "")


def _nearest(name: str, known: list[str], prefix: str = "") -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {prefix}{close[0]}?" if close else f"; known are {', '.join(sorted(known))}"
