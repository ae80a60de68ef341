"""Settings: where they come from, which wins, and one clear sentence for each that is wrong."""

from __future__ import annotations

import json
from ipaddress import ip_network
from pathlib import Path
from typing import get_args

import pytest

from watchword.jose.jwk import SigningKey
from watchword.wire.metadata import MAX_DOCUMENT
from watchword_server.flows.key_life import MOST_PUBLISHED
from watchword_server.protocol.registration import ALGORITHMS
from watchword_server.revocation.deaths import SLACK
from watchword_server.settings import CLOCKS, KINDS, OLD_KEYS, Settings, SettingsError, load

ISSUER = "https://id.example.com"
MASTER = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I"


def given(file: Path | None = None, flags: dict[str, object] | None = None, **environ: str) -> Settings:
    """Settings from these sources and no others."""
    found = {f"WATCHWORD_{name}": value for name, value in environ.items()}
    return load(file, flags or {}, {"PATH": "/bin", **found})


def written(tmp_path: Path, text: str) -> Path:
    """A settings file."""
    path = tmp_path / "settings.toml"
    path.write_text(text)
    return path


def refused(file: Path | None = None, flags: dict[str, object] | None = None, **environ: str) -> str:
    """The sentence that such settings are refused with."""
    with pytest.raises(SettingsError) as error:
        given(file, flags, **environ)
    sentence = str(error.value)
    assert sentence
    assert "\n" not in sentence
    return sentence


def test_the_defaults_are_safe() -> None:
    """Only the issuer has to be said."""
    found = given(ISSUER=ISSUER)
    assert found.listen == "127.0.0.1:8000"
    assert (found.trusted_proxies, found.cookie_domain, found.feed.public) == ((), None, False)
    assert (found.tokens.access_lifetime, found.tokens.algorithm) == (900, "ES256")


def test_nobody_registers_itself_as_it_comes(tmp_path: Path) -> None:
    """The APIs that strangers may ask for are a list, in a variable with spaces."""
    found = given(ISSUER=ISSUER).registration
    assert (found.mode, found.pkce, found.apis) == ("off", "required", ())
    apis = ("https://orders.example", "urn:example:stock")
    found = given(ISSUER=ISSUER, REGISTRATION__MODE="open", REGISTRATION__APIS=" ".join(apis)).registration
    assert (found.mode, found.apis) == ("open", apis)
    file = written(tmp_path, f'issuer = "{ISSUER}"\n[registration]\napis = ["{apis[0]}"]\n')
    assert given(file).registration.apis == apis[:1]
    assert "one of off, token, open" in refused(ISSUER=ISSUER, REGISTRATION__MODE="on")
    assert "list of audiences" in refused(written(tmp_path, f'issuer = "{ISSUER}"\n[registration]\napis = [1]\n'))


def test_nonces_are_offered_unless_they_are_required(tmp_path: Path) -> None:
    """RFC 9449 §8: not at all is no choice."""
    assert given(ISSUER=ISSUER).dpop.nonce == "offered"
    assert given(written(tmp_path, f'issuer = "{ISSUER}"\n[dpop]\nnonce = "required"\n')).dpop.nonce == "required"
    assert "one of offered, required" in refused(ISSUER=ISSUER, DPOP__NONCE="off")


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    """Value by value, also within one table."""
    file = written(tmp_path, f'issuer = "{ISSUER}"\nlisten = "[::1]:1"\n[log]\nlevel = "debug"\nrequests = true\n')
    found = given(file, {"log": {"format": "json"}, "listen": "127.0.0.1:3"}, LOG__LEVEL="error", LISTEN="127.0.0.1:2")
    assert found.listen == "127.0.0.1:3"
    assert (found.log.level, found.log.format, found.log.requests) == ("error", "json", True)


def test_every_setting_can_come_from_the_environment() -> None:
    """Nested ones with two underscores; an empty one counts as none."""
    found = given(
        ISSUER=ISSUER,
        TRUSTED_PROXIES="10.0.0.0/8, ::1",
        FETCH__ALLOWED_NETWORKS="10.1.0.0/16, fd00::/8",
        FEED__PUBLIC="true",
        TOKENS__ACCESS_LIFETIME="60",
        SMTP__HOST="mail.example.com",
        SMTP__FROM="id@example.com",
        SMTP__PORT="25",
        DATA="/srv/data",
        COOKIE_DOMAIN="",
    )
    assert found.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::1"))
    assert found.fetch.allowed_networks == (ip_network("10.1.0.0/16"), ip_network("fd00::/8"))
    assert (found.feed.public, found.tokens.access_lifetime) == (True, 60)
    assert (found.smtp.host, found.smtp.sender, found.smtp.port) == ("mail.example.com", "id@example.com", 25)
    assert (found.data, found.cookie_domain) == (Path("/srv/data"), None)


def test_networks_may_stand_in_a_table(tmp_path: Path) -> None:
    """And nobody is allowed any where nobody says so."""
    text = f'issuer = "{ISSUER}"\n[fetch]\nallowed_networks = ["10.1.0.0/16"]'
    assert given(written(tmp_path, text)).fetch.allowed_networks == (ip_network("10.1.0.0/16"),)
    assert given(ISSUER=ISSUER).fetch.allowed_networks == ()


def test_a_deployment_may_choose_what_an_api_may_choose() -> None:
    """The two lists are one."""
    assert get_args(KINDS["tokens", "algorithm"]) == ALGORITHMS
    assert [given(ISSUER=ISSUER, TOKENS__ALGORITHM=alg).tokens.algorithm for alg in ALGORITHMS] == [*ALGORITHMS]


def test_the_file_beside_the_process_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`watchword.toml`, where there is one; one that is named must be there."""
    (tmp_path / "watchword.toml").write_text(f'issuer = "{ISSUER}"\ntrusted_proxies = ["10.0.0.0/8"]')
    monkeypatch.chdir(tmp_path)
    assert given().trusted_proxies == (ip_network("10.0.0.0/8"),)
    assert "cannot read" in refused(tmp_path / "missing.toml")


def test_a_secret_can_stand_in_a_file(tmp_path: Path) -> None:
    """`_FILE` is for secrets; the line's end does not count."""
    file = tmp_path / "secret"
    file.write_text(MASTER + "\n")
    smtp = {"SMTP__HOST": "m.example", "SMTP__FROM": "a@b.example", "SMTP__PASSWORD_FILE": str(file)}
    found = given(ISSUER=ISSUER, MASTER_KEY_FILE=str(file), **smtp)
    assert found.master_key is not None
    assert found.master_key.reveal() == MASTER
    assert found.smtp.password is not None
    assert found.smtp.password.reveal() == MASTER
    assert MASTER not in repr(found)
    both = refused(ISSUER=ISSUER, MASTER_KEY_FILE=str(file), MASTER_KEY=MASTER)
    assert "WATCHWORD_MASTER_KEY_FILE" in both
    assert MASTER not in both
    assert "WATCHWORD_MASTER_KEY_FILE" in refused(ISSUER=ISSUER, MASTER_KEY_FILE=str(tmp_path / "no"))


def test_a_master_key_comes_from_one_place_only(tmp_path: Path) -> None:
    """Which of two is meant cannot be guessed."""
    file = written(tmp_path, f'issuer = "{ISSUER}"\nmaster_key_command = ["pass", "show", "watch word"]')
    assert given(file).master_key_command == ("pass", "show", "watch word")
    assert given(ISSUER=ISSUER, MASTER_KEY_COMMAND='["vault", "a b", ""]').master_key_command == ("vault", "a b", "")
    assert given(ISSUER=ISSUER).master_key_command is None
    key = tmp_path / "key"
    key.write_text(MASTER)
    for other in ({"MASTER_KEY": MASTER}, {"MASTER_KEY_FILE": str(key)}):
        sentence = refused(file, **other)
        assert sentence == "both master_key and master_key_command are set: keep one"


@pytest.mark.parametrize(
    "value", ["vault", '"vault"', "[]", '[""]', "[1]", '["a", null]', '["a\\u0000"]', "{}", "[", "\ud800"]
)
def test_a_command_is_a_list(value: str) -> None:
    """No shell reads it, so a text would be guesswork."""
    sentence = refused(ISSUER=ISSUER, MASTER_KEY_COMMAND=value)
    assert sentence.startswith("setting master_key_command: must be a list of a program and its arguments")


@pytest.mark.parametrize("value", ['"vault show"', "[]", '[""]', "[1]", '["a", 1]', '["a\\u0000"]', "1", "{x = 1}"])
def test_a_command_in_a_file_is_a_list_too(tmp_path: Path, value: str) -> None:
    """Of texts."""
    file = written(tmp_path, f'issuer = "{ISSUER}"\nmaster_key_command = {value}')
    assert "setting master_key_command" in refused(file)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ISSUR", "unknown setting WATCHWORD_ISSUR; did you mean WATCHWORD_ISSUER?"),
        ("TOKENS__ACCES_LIFETIME", "did you mean WATCHWORD_TOKENS__ACCESS_LIFETIME?"),
        ("LISTEN_FILE", "did you mean WATCHWORD_LISTEN?"),
        ("SMTP_PORT", "did you mean WATCHWORD_SMTP__PORT?"),
        ("XYZ", "known are "),
    ],
)
def test_an_unknown_variable_is_an_error(name: str, said: str) -> None:
    """A misspelt setting must not be one that silently does nothing."""
    assert said in refused(ISSUER=ISSUER, **{name: "1"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("isuer = 'x'", "unknown setting isuer; did you mean issuer?"),
        ("[tokens]\nlifetime = 1", "unknown setting tokens.lifetime; did you mean"),
        ("[token]\naccess_lifetime = 900", "unknown setting token; did you mean tokens"),
        ("issuer = ", "is not TOML"),
        ("[listen]\nport = 1", "setting listen: must be host:port"),
        ("tokens = 900", "setting tokens: must be a table"),
        ("data = 3", "setting data: must be text"),
    ],
)
def test_a_wrong_file_is_an_error(tmp_path: Path, text: str, said: str) -> None:
    """It names the key and the nearest that there is."""
    file = written(tmp_path, text)
    assert said in refused(file, {"issuer": ISSUER} if "issuer =" not in text else {})


def test_an_issuer_is_needed() -> None:
    """And the sentence says where to set it."""
    assert refused() == "the setting issuer is missing: set it in watchword.toml or as WATCHWORD_ISSUER"


GOOD_ISSUERS = ["https://id.example.com", "https://id.example.com:8443/a/b", "http://localhost:8000"]
GOOD_ISSUERS += ["http://127.0.0.1:1", "http://[::1]:8000", "https://xn--bcher-kva.example"]
BAD_ISSUERS = [
    "http://id.example.com",
    "http://localhost.example.com",
    "http://127.0.0.1.example.com",
    "ftp://localhost",
]
BAD_ISSUERS += [
    "https://id.example.com/",
    "https://id.example.com?x",
    "https://id.example.com#",
    "https://u@id.example.com",
]
BAD_ISSUERS += [
    "https://ID.example.com",
    "HTTPS://id.example.com",
    "id.example.com",
    "https://",
    "https://a:99999",
    "https://[::1",
]
BAD_ISSUERS += [
    "https://id.example.com/a//b",
    "https://id.example.com/ü",
    "https://id.example.com\n",
    "http://127.0.0.2",
    " ",
]


@pytest.mark.parametrize("issuer", GOOD_ISSUERS)
def test_an_issuer_is_https_or_loopback(issuer: str) -> None:
    """RFC 8414 §2; http only where nobody else can listen."""
    assert given(ISSUER=issuer).issuer == issuer


@pytest.mark.parametrize("issuer", BAD_ISSUERS)
def test_another_issuer_is_refused(issuer: str) -> None:
    """It has one spelling only, for tokens are compared with it letter by letter."""
    assert refused(ISSUER=issuer).startswith("setting issuer: ")


BAD_REDIS = (
    "r.example:6379",
    "http://r.example",
    "redis://",
    "redis://r.example/name",
    "redis://r.example/0/1",
    "redis://r.example:99999",
    "unix:///run/redis.sock",
    "rediss://r.example?ssl_cert_reqs=none",
    "rediss://r.example?",
    "redis://r.example#0",
    "redis://r.exa mple",
    "redis://r.example\n",
)
# fmt: off
BAD_VALUES = [
    ({"LISTEN": "8000"},                       "setting listen: must be host:port"),
    ({"LISTEN": "localhost:99999"},            "setting listen: must be host:port"),
    ({"LISTEN": "::1:8000"},                   "setting listen: must be host:port"),
    ({"TRUSTED_PROXIES": "10.0.0.0/33"},       "setting trusted_proxies: must be a list of networks"),
    ({"TRUSTED_PROXIES": "10.0.0.1/8"},        "setting trusted_proxies: must be a list of networks"),
    ({"COOKIE_DOMAIN": "other.example"},       "cookie_domain other.example is not a domain of the issuer's host"),
    ({"COOKIE_DOMAIN": ".example.com"},        "setting cookie_domain: "),
    ({"COOKIE_DOMAIN": "d.example.com"},       "cookie_domain d.example.com is not a domain"),
    ({"COOKIE_DOMAIN": "example.com\n"},       "setting cookie_domain: "),
    ({"TOKENS__ACCESS_LIFETIME": "59"},        "setting tokens.access_lifetime: "),
    ({"TOKENS__ACCESS_LIFETIME": "86401"},     "setting tokens.access_lifetime: "),
    ({"TOKENS__ACCESS_LIFETIME": "15m"},       "setting tokens.access_lifetime: must be a whole number"),
    ({"FETCH__ALLOWED_NETWORKS": "10.0.0.1/8"}, "setting fetch.allowed_networks: must be a list of networks"),
    ({"TOKENS__ALGORITHM": "none"},            "setting tokens.algorithm: "),
    ({"TOKENS__ALGORITHM": "HS256"},           "setting tokens.algorithm: "),
    ({"KEYS__ROTATE_EVERY": "9"},              "setting keys.rotate_every: must be a whole number >= 10"),
    ({"KEYS__PUBLISH_AHEAD": "5"},             "setting keys.publish_ahead: must be a whole number >= 6"),
    ({"KEYS__ROTATE_EVERY": "3599"},           "setting keys: needs a `rotate_every` of at least `publish_ahead`"),
    ({"PASSWORDS__QUEUE": "0"},                "setting passwords.queue: "),
    ({"LOG__LEVEL": "loud"},                   "setting log.level: must be one of debug, info, warning, error"),
    ({"LOG__REQUESTS": "perhaps"},             "setting log.requests: must be true or false"),
    ({"TLS__CERTIFICATE": "/x.pem"},           "setting tls: needs both `certificate` and `key`"),
    ({"SMTP__HOST": "mail.example"},           "setting smtp: needs `from`"),
    ({"SMTP__FROM": "no address"},             "setting smtp.from: "),
    ({"SMTP__FROM": "a@b.example\n"},          "setting smtp.from: "),
    ({"PAGES__NAME": "N" * 61},                "setting pages.name: "),
    ({"PAGES__COLOR": "red"},                  "setting pages: needs a `color` such as #0e6b5c"),
    ({"PAGES__COLOR_DARK": "#12345"},          "setting pages: needs a `color_dark` such as #0e6b5c"),
    ({"PAGES__NIGHT": "#1234567"},             "setting pages: needs a `night` such as #0e6b5c"),
    ({"PAGES__NIGHT_DARK": "#123456\n"},       "setting pages: needs a `night_dark` such as #0e6b5c"),
    ({"PAGES__HELP": "javascript:alert(1)"},   "setting pages: needs a `help` that begins with https:// or mailto:"),
    ({"PAGES__PRIVACY": "http://a.example"},   "setting pages: needs a `privacy` that begins with"),
    ({"PAGES__TERMS": "https://a.example/ x"}, "setting pages: needs a `terms` that begins with"),
    *[({"REDIS__URL": url}, "setting redis: must have a `url` such as redis://host:6379/0") for url in BAD_REDIS],
]
# fmt: on


@pytest.mark.parametrize(("environ", "said"), BAD_VALUES)
def test_a_wrong_value_is_refused(environ: dict[str, str], said: str) -> None:
    """With the setting's name and what it must be."""
    assert refused(ISSUER=ISSUER, **environ).startswith(said)


def test_keys_may_change_as_often_as_a_key_set_can_hold_them() -> None:
    """A key stays published for as long as its tokens live; the sentence says what to raise, and to what."""
    day = {"TOKENS__ACCESS_LIFETIME": "86400", "KEYS__PUBLISH_AHEAD": "6"}
    sentence = refused(ISSUER=ISSUER, **day, KEYS__ROTATE_EVERY="7209")
    assert sentence.startswith("keys.rotate_every must be at least 7210, or the key set outgrows")
    assert "lower tokens.access_lifetime" in sentence
    found = given(ISSUER=ISSUER, **day, KEYS__ROTATE_EVERY="7210")
    assert found.keys.rotate_every * OLD_KEYS >= found.tokens.access_lifetime + SLACK > 7209 * OLD_KEYS
    assert CLOCKS == SLACK


def test_at_the_limit_a_key_set_of_all_algorithms_fits_into_what_others_read() -> None:
    """For each of them the retired ones, one that is about to go, the one that signs and the one that waits.

    And a set that has grown beyond, under settings of another day, still takes the first keys of all of them.
    """
    once = sum(len(json.dumps(SigningKey.generate(alg).public_jwk())) for alg in ALGORITHMS)
    assert once * (OLD_KEYS + 3) < MOST_PUBLISHED
    assert MOST_PUBLISHED + 2 * once < MAX_DOCUMENT


def test_a_secret_is_not_in_a_refusal() -> None:
    """Wherever the fault lies."""
    smtp = {"SMTP__HOST": "mail.example", "SMTP__FROM": "a@b.example", "SMTP__TLS": "none"}
    sentence = refused(ISSUER=ISSUER, SMTP__PASSWORD="hunter2hunter2", **smtp)
    assert "unencrypted" in sentence
    assert "hunter2" not in sentence
    assert refused(flags={"issuer": ISSUER, "master_key": 20202020}) == "setting master_key: must be text"


@pytest.mark.parametrize("url", ["redis://r", "rediss://u:p%40@r.example:6380/15", "redis://:p@[::1]/0", "redis://r/"])
def test_redis_is_named_by_a_url(url: str) -> None:
    """With TLS or without, a user or none; it is a secret, since a password may stand in it."""
    found = given(ISSUER=ISSUER, REDIS__URL=url).redis.url
    assert found is not None
    assert found.reveal() == url
    assert url not in repr(found)
    assert given(ISSUER=ISSUER).redis.url is None


def test_the_url_of_redis_is_not_in_its_refusal() -> None:
    """Nor is its password."""
    assert "hunter2" not in refused(ISSUER=ISSUER, REDIS__URL="http://:hunter2@r")


def test_pages_are_made_ones_own_by_a_few_settings(tmp_path: Path) -> None:
    """Without any of them they are ours, and nobody can sign up."""
    text = f'issuer = "{ISSUER}"\n[pages]\nname = "Halyard"\nlogo = "logo.svg"\ncolor = "#0E6b5c"\nsign_up = true\n'
    found = given(written(tmp_path, text + 'help = "mailto:help@halyard.example"\n')).pages
    assert (found.name, found.logo, found.color, found.sign_up) == ("Halyard", Path("logo.svg"), "#0E6b5c", True)
    assert found.help == "mailto:help@halyard.example"
    ours = given(ISSUER=ISSUER).pages
    assert (ours.name, ours.logo, ours.color, ours.sign_up) == ("Watchword", None, None, False)


def test_settings_cannot_be_changed() -> None:
    """Read once, and then the same for everybody."""
    with pytest.raises(AttributeError, match="immutable"):
        given(ISSUER=ISSUER).issuer = "https://evil.example"


def test_what_a_developers_shell_says_to_the_tests_is_no_setting(tmp_path: Path) -> None:
    """The vectors' folder and the tests' own variables must not stop `make run`."""
    tests = {"WATCHWORD_VECTORS": "/v", "WATCHWORD_FACTS": "/f", "WATCHWORD_TEST_ROUNDS": "9"}
    environ = {"WATCHWORD_ISSUER": "http://localhost:8000", **tests}
    assert load(None, {"data": tmp_path}, environ).issuer == "http://localhost:8000"


GOOD_DATABASES = (
    "postgresql://user:password@host/name",
    "postgres://user:p%40ss@10.0.0.1:5433/name?sslmode=verify-full&sslrootcert=/etc/ca.pem",
    "postgresql://user:password@one:5432,two:5432/name",
    "postgresql:///name?host=/run/postgresql",
)


@pytest.mark.parametrize("url", GOOD_DATABASES)
def test_a_database_is_a_url(url: str) -> None:
    """It is a secret, since a password stands in it."""
    found = given(ISSUER=ISSUER, DATABASE=url).database
    assert found is not None
    assert found.reveal() == url
    assert url not in repr(found)


BAD_DATABASES = ("host/name", "mysql://u:secret@h/n", "postgresql://u:secret@h", "postgresql://u:se cret@h/n")


@pytest.mark.parametrize("url", BAD_DATABASES)
def test_what_names_no_database_is_refused_without_repeating_it(url: str) -> None:
    """What is wrong with it may be its password."""
    sentence = refused(ISSUER=ISSUER, DATABASE=url)
    assert sentence == "setting database: must be a URL such as postgresql://user:password@host/name"
