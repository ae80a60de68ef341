"""Frozen settings, read once: flags, then `WATCHWORD_*` and `WATCHWORD_*_FILE`, then `watchword.toml`."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args
from urllib.parse import urlsplit

from msgspec import Meta, Struct, ValidationError, convert, field, json
from msgspec.structs import fields

PREFIX: Final = "WATCHWORD_"
FOR_TESTS: Final = ("WATCHWORD_TEST_", "WATCHWORD_VECTORS", "WATCHWORD_FACTS")
"""Variables of a developer's shell that say something to the tests and nothing to the program."""
FILE: Final = "_FILE"
DEFAULT_FILE: Final = Path("watchword.toml")
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
DAY: Final = 24 * 3600
CLOCKS: Final = 120
"""Seconds for which a key stays published beyond the life of its tokens."""
OLD_KEYS: Final = 12
"""Retired keys of one algorithm that may be published: with all algorithms at once, 55 of the 64 KiB others read."""
WORDS: Final = {
    "Expected": "must be",
    "`bool`": "true or false",
    "`int`": "a whole number",
    "`str`": "text",
    "`object`": "a table",
}
"""What people read for the words of `msgspec`."""

Network = IPv4Network | IPv6Network
Nested = dict[str, Any]


class SettingsError(Exception):
    """The settings are wrong; the message is one sentence that names the setting and how to mend it."""


class Secret:
    """Text that shows itself only when it is asked to: in no log, and in no traceback."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "Secret(...)"

    def reveal(self) -> str:
        """The text."""
        return self._text


class Networks(tuple[Network, ...]):
    """IP networks; a single address is one too."""


class Audiences(tuple[str, ...]):
    """URIs of APIs."""


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


def _networks(value: object) -> Networks:
    """A list of networks or addresses, or one text with commas."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple):
        raise ValueError("must be a list of networks such as 10.0.0.0/8")
    try:
        return Networks(ip_network(str(part).strip()) for part in parts if str(part).strip())
    except ValueError:
        raise ValueError("must be a list of networks such as 10.0.0.0/8") from None


def _audiences(value: object) -> Audiences:
    """A list of audiences, or one text with spaces: no audience has one."""
    parts = value.split() if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) and part.strip() for part in parts):
        raise ValueError('must be a list of audiences such as ["https://api.example.com"]')
    return Audiences(parts)


def _address(value: object) -> str:
    """`host:port`; an IPv6 host stands in brackets."""
    found = (
        re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})", value) if isinstance(value, str) else None
    )
    if found is None or int(found[2]) > 65535:
        raise ValueError("must be host:port, such as 127.0.0.1:8000 or [::1]:8000")
    return found[0]


def _command(value: object) -> tuple[str, ...]:
    """A program and its arguments, as a list; in a variable, as JSON. No shell reads it."""
    try:
        parts = json.decode(value, type=list[str]) if isinstance(value, str) else value
    except ValueError:
        parts = None  # the decoder's own sentence would say nothing to who is not used to JSON
    sound = isinstance(parts, list) and all(isinstance(part, str) and "\0" not in part for part in parts)
    if not isinstance(parts, list) or not sound or not any(parts[:1]):
        raise ValueError('must be a list of a program and its arguments, such as ["pass", "show", "watchword"]')
    return tuple(parts)


def _redis(url: str) -> bool:
    """Whether it names a Redis, and nothing else: options in a query could switch the check of certificates off."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    sound = parts.scheme in ("redis", "rediss") and bool(host) and url.isprintable() and " " not in url
    return sound and "?" not in url and "#" not in url and re.fullmatch(r"(/[0-9]{0,4})?", parts.path) is not None


def _is_safe(url: str) -> bool:
    """Whether nobody in between can change what it leads to: https, or this machine."""
    parts = urlsplit(url)
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    return is_safe and bool(parts.hostname) and "#" not in url and url.isprintable()


def _database(value: object) -> str:
    """The URL of a PostgreSQL database; what it says is never repeated, for it holds a password."""
    sentence = "must be a URL such as postgresql://user:password@host/name"
    try:
        parts = urlsplit(value) if isinstance(value, str) else None
        sound = parts is not None and parts.scheme in ("postgresql", "postgres") and parts.path.count("/") == 1
    except ValueError:
        sound = False
    if not sound or not isinstance(value, str) or not value.isprintable() or " " in value:
        raise ValueError(sentence)
    return value


# fmt: off
READERS: Final[dict[str, Callable[[object], object]]] = {
    "issuer":             _issuer,
    "listen":             _address,
    "database":           _database,
    "trusted_proxies":    _networks,
    "master_key_command": _command,
}
# fmt: on
"""What needs more than a type. They raise ValueError with what the value must be."""

Seconds = Annotated[int, Meta(ge=60, le=10 * 365 * DAY)]


class Part(Struct, frozen=True, forbid_unknown_fields=True):
    """What every table of the settings is: frozen, and without room for unknown keys."""


class Feed(Part, frozen=True):
    """Who reads the revocation feed."""

    public: bool = False


class Tokens(Part, frozen=True):
    """Lifetimes are seconds."""

    access_lifetime: Annotated[int, Meta(ge=60, le=DAY)] = 15 * 60
    refresh_lifetime: Seconds = 14 * DAY
    algorithm: Literal["ES256", "ES384", "ES512", "EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] = (
        "ES256"
    )


class Keys(Part, frozen=True):
    """Seconds for which a key signs, and for which it is published before: longer than others keep a key set."""

    rotate_every: Annotated[int, Meta(ge=10, le=10 * 365 * DAY)] = 90 * DAY
    publish_ahead: Annotated[int, Meta(ge=6, le=30 * DAY)] = 3600

    def __post_init__(self) -> None:
        if self.rotate_every < self.publish_ahead:
            raise ValueError(
                "needs a `rotate_every` of at least `publish_ahead`, for which the next key is published first:"
                " raise the one or lower the other"
            )


class Sessions(Part, frozen=True):
    """Seconds after which a sign-in ends, and what a person lets go on while they are away, however much it is used."""

    lifetime: Seconds = 30 * DAY
    offline_lifetime: Seconds = 365 * DAY


class AuditTrail(Part, frozen=True):
    """Seconds for which audit rows are kept."""

    retention: Seconds = 400 * DAY


class Passwords(Part, frozen=True):
    """How many sign-ins may wait for the password hash before more are answered with 503."""

    queue: Annotated[int, Meta(ge=1, le=10_000)] = 64


class Registration(Part, frozen=True):
    """Clients that register themselves: none, those with an initial access token, or all.

    `pkce` is theirs where they keep a secret; others always need it. `apis` are the audiences that they may ask for.
    """

    mode: Literal["off", "token", "open"] = "off"
    pkce: Literal["required", "optional"] = "required"
    apis: Audiences = Audiences()


class Clients(Part, frozen=True):
    """Whether a program may be a client by the address of what it says of itself, its metadata document."""

    metadata_documents: bool = True


class Dpop(Part, frozen=True):
    """Proofs of possession: whether a nonce of the issuer's is offered to clients, or has to be in every proof."""

    nonce: Literal["offered", "required"] = "offered"


class TrustedIssuer(Part, frozen=True):
    """Another issuer, whose JWTs some clients may exchange for tokens: for whom those must be, and what they are worth.

    Without an `audience` they are for this issuer. Its keys are given, or lie at an address.
    """

    issuer: str
    clients: Annotated[tuple[str, ...], Meta(min_length=1)]
    scopes: tuple[str, ...]
    audience: str | None = None
    jwks: dict[str, Any] | None = None
    jwks_uri: str | None = None

    def __post_init__(self) -> None:
        if (self.jwks is None) == (self.jwks_uri is None):
            raise ValueError("needs `jwks` or `jwks_uri`, and not both")
        if self.jwks is not None and not isinstance(self.jwks.get("keys"), list):
            raise ValueError("needs a `jwks` with a list `keys`")
        for name, url in (("issuer", self.issuer), ("jwks_uri", self.jwks_uri)):
            if url is not None and not _is_safe(url):
                raise ValueError(f"needs an `{name}` that begins with https://, without a fragment")


class Exchange(Part, frozen=True):
    """Token exchange: how many may follow one another, how many may come of one grant, and whose tokens are taken."""

    depth: Annotated[int, Meta(ge=1, le=32)] = 8
    children: Annotated[int, Meta(ge=1, le=1_000_000)] = 1000
    issuers: tuple[TrustedIssuer, ...] = ()

    def __post_init__(self) -> None:
        names = [one.issuer for one in self.issuers]
        if len(set(names)) != len(names):
            raise ValueError("lists an issuer twice")


class Fetch(Part, frozen=True):
    """Networks beside the public ones from which URLs that an operator registered are fetched, and no others."""

    allowed_networks: Networks = Networks()


class Smtp(Part, frozen=True):
    """The mail server; without a host nothing is sent. `tls`: STARTTLS, TLS from the start, or none."""

    host: str | None = None
    port: Annotated[int, Meta(ge=1, le=65535)] = 587
    username: str | None = None
    password: Secret | None = None
    sender: Annotated[str, Meta(pattern=r"^[^@\s]+@[^@\s]+\Z")] | None = field(default=None, name="from")
    tls: Literal["starttls", "implicit", "none"] = "starttls"

    def __post_init__(self) -> None:
        if self.host is not None and self.sender is None:
            raise ValueError("needs `from`, the address that messages come from")
        if self.tls == "none" and self.password is not None and self.host not in LOOPBACK:
            raise ValueError("would send its password unencrypted: set `tls`")


class Redis(Part, frozen=True):
    """A Redis or Valkey that all nodes share; without a URL each node limits sign-ins alone."""

    url: Secret | None = None

    def __post_init__(self) -> None:
        if self.url is not None and not _redis(self.url.reveal()):
            raise ValueError("must have a `url` such as redis://host:6379/0, or rediss://user:password@host for TLS")


class Pages(Part, frozen=True):
    """What makes the pages a deployment's own. Colours are #rrggbb, for day and for night; unset ones are ours."""

    name: Annotated[str, Meta(min_length=1, max_length=60)] = "Watchword"
    logo: Path | None = None
    color: str | None = None
    color_dark: str | None = None
    night: str | None = None
    night_dark: str | None = None
    help: str | None = None
    privacy: str | None = None
    terms: str | None = None
    sign_up: bool = False

    def __post_init__(self) -> None:
        for name in ("color", "color_dark", "night", "night_dark"):
            colour = getattr(self, name)
            if colour is not None and not re.fullmatch(r"#[0-9A-Fa-f]{6}", colour):
                raise ValueError(f"needs a `{name}` such as #0e6b5c")
        for name in ("help", "privacy", "terms"):
            link = getattr(self, name)
            if link is not None and not re.fullmatch(r"https://[!-~]+|mailto:[!-~]+@[!-~]+", link):
                raise ValueError(f"needs a `{name}` that begins with https:// or mailto:")


class Log(Part, frozen=True):
    """What is logged, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "console"
    requests: bool = False


class Tls(Part, frozen=True):
    """Files (PEM) for serving https without a proxy."""

    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("needs both `certificate` and `key`")


class Settings(Part, frozen=True):
    """Everything that an operator decides."""

    issuer: str
    listen: str = "127.0.0.1:8000"
    data: Path = Path("watchword-data")
    database: Secret | None = None
    trusted_proxies: Networks = Networks()
    cookie_domain: Annotated[str, Meta(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+\Z")] | None = None
    master_key: Secret | None = None
    master_key_command: tuple[str, ...] | None = None
    feed: Feed = Feed()
    tokens: Tokens = Tokens()
    keys: Keys = Keys()
    sessions: Sessions = Sessions()
    audit: AuditTrail = AuditTrail()
    passwords: Passwords = Passwords()
    registration: Registration = Registration()
    clients: Clients = Clients()
    dpop: Dpop = Dpop()
    exchange: Exchange = Exchange()
    fetch: Fetch = Fetch()
    smtp: Smtp = Smtp()
    redis: Redis = Redis()
    pages: Pages = Pages()
    log: Log = Log()
    tls: Tls = Tls()

    def __post_init__(self) -> None:
        host = urlsplit(self.issuer).hostname or ""
        if self.cookie_domain is not None and not f".{host}".endswith(f".{self.cookie_domain}"):
            raise ValueError(f"cookie_domain {self.cookie_domain} is not a domain of the issuer's host {host}")
        if self.master_key is not None and self.master_key_command is not None:
            raise ValueError("both master_key and master_key_command are set: keep one")
        least = -(-(self.tokens.access_lifetime + CLOCKS) // OLD_KEYS)
        if self.keys.rotate_every < least:
            raise ValueError(
                f"keys.rotate_every must be at least {least}, or the key set outgrows what others read of it: a key"
                " stays published for as long as its tokens live; raise it, or lower tokens.access_lifetime"
            )

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen at."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)


def load(config: Path | None, overrides: Mapping[str, object], environ: Mapping[str, str] = os.environ) -> Settings:
    """Read all sources. `config` None means `watchword.toml`, where there is one. Raises SettingsError."""
    given = _merged(_from_file(config), _merged(_from_environ(environ), dict(overrides)))
    _must_be_known(given)
    if "issuer" not in given:
        raise SettingsError(f"the setting issuer is missing: set it in {DEFAULT_FILE} or as {PREFIX}ISSUER")
    try:
        # Not strict: what comes from the environment is text.
        return convert(
            {name: _read(name, value) for name, value in given.items()}, Settings, strict=False, dec_hook=_typed
        )
    except ValidationError as error:
        raise SettingsError(_sentence(error)) from None


def _from_file(config: Path | None) -> Nested:
    path = config or DEFAULT_FILE
    if config is None and not path.exists():
        return {}
    import tomllib  # not above: where everything comes from the environment, nothing needs it

    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"{path} is not TOML: {error}") from None


def _from_environ(environ: Mapping[str, str]) -> Nested:
    """`WATCHWORD_SMTP__PORT=25` as {"smtp": {"port": "25"}}; an empty value counts as none."""
    known = {PREFIX + "__".join(path).upper(): path for path in KINDS}
    files = {PREFIX + "__".join(path).upper() + FILE: path for path, kind in KINDS.items() if Secret in get_args(kind)}
    found: Nested = {}
    for name, value in environ.items():
        if not name.startswith(PREFIX) or name.startswith(FOR_TESTS) or not value:
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


def _must_be_known(given: Nested, above: tuple[str, ...] = ()) -> None:
    """A misspelt setting must not be one that silently does nothing. Raises SettingsError."""
    tables = {path[:-1] for path in KINDS}
    for name, value in given.items():
        path = (*above, name)
        if path in tables and isinstance(value, dict):
            _must_be_known(value, path)
        elif path not in tables and path not in KINDS:
            known = {".".join(known[:length]) for known in KINDS for length in (1, 2)}
            raise SettingsError(f"unknown setting {'.'.join(path)}{_nearest('.'.join(path), sorted(known))}")


def _read(name: str, value: object) -> object:
    try:
        return READERS[name](value) if name in READERS else value
    except ValueError as error:
        raise SettingsError(f"setting {name}: {error}") from None


def _typed(kind: type, value: object) -> object:
    """A value of a type that is ours, or a path. Raises ValueError."""
    if isinstance(value, kind):
        return value
    if kind is Networks:
        return _networks(value)
    if kind is Audiences:
        return _audiences(value)
    if kind in (Path, Secret) and isinstance(value, str):
        return kind(value)
    raise ValueError("must be text")


def _paths(part: type[Part], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every setting as its path of names, with its type."""
    for found in fields(part):
        path = (*above, found.encode_name)
        if isinstance(found.type, type) and issubclass(found.type, Part):
            yield from _paths(found.type, path)
        else:
            yield path, found.type


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
    what, found, place = str(error).rpartition(" - at `$.")
    if not found:
        return str(error)
    name = place.removesuffix("`")
    if what.startswith("Invalid enum value"):
        what = f"must be one of {', '.join(get_args(KINDS[tuple(name.split('.'))]))}"
    for said, words in WORDS.items():
        what = what.replace(said, words)
    return f"setting {name}: {what.partition(', got ')[0]}"


def _nearest(name: str, known: list[str], prefix: str = "") -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {prefix}{close[0]}?" if close else f"; known are {', '.join(sorted(known))}"


KINDS: Final = dict(_paths(Settings))
"""Every setting by its path, with its type."""
