"""Nothing secret reaches the log: by its name, by its looks, and in the output of a real server."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from tests.server.web.served import EMAIL, ORIGIN, PASSWORD, Served, basic, bearer
from tests.stories.processes import until
from watchword_server.adapters.logs.redaction import MASK, redacted, redacted_member
from watchword_server.adapters.logs.setup import configure

JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"
REFRESH = "wwr_uC9DzT4wOpJva4jyGUZ6Q1ELryyf9PdNNir2u3gIOV4"
SECRET = "wws_Os5er6z9qzyF5-xdaEDmIOSs6GmW0WzHcjbOK6KNu0c"
API_KEY = "ww_Xk29bTqa_Os5er6z9qzyF5-xdaEDmIOSs6GmW0WzHcjbOK6KNu0c"
PEM = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----"


@pytest.mark.parametrize(
    "name",
    [
        *("password", "Password", "new_password", "passphrase", "token", "access_token", "refresh_token", "id_token"),
        *(
            "client_secret",
            "authorization",
            "Authorization",
            "proxy-authorization",
            "cookie",
            "set-cookie",
            "credentials",
        ),
        *("client_assertion", "master_key", "private_key", "api_key", "sealed_successor"),
    ],
)
def test_a_secret_name_hides_its_value(name: str) -> None:
    """Whatever the value looks like, and how deep it stands."""
    assert redacted_member(name, "harmless") == MASK
    assert redacted({"outer": [{name: {"inner": "harmless"}}]}) == {"outer": [{name: MASK}]}


@pytest.mark.parametrize(
    "secret", [JWT, JWT.rpartition(".")[0] + ".", JWT[:30], REFRESH, SECRET, API_KEY, PEM, "$argon2id$v=19$m=19456$x"]
)
@pytest.mark.parametrize("around", ["{}", "before {} after", "({})", '"{}"', "x={}&y=1", "a:{},b"])
def test_what_looks_like_a_secret_is_masked(secret: str, around: str) -> None:
    """Also in a sentence, a key of a map, bytes, and an object's own text."""
    for value in (around.format(secret), [around.format(secret)], around.format(secret).encode(), ValueError(secret)):
        assert secret not in str(redacted(value))
        assert secret[10:] not in str(redacted(value))


@pytest.mark.parametrize(
    "text",
    [
        *(
            "Basic dXNlcjpwYXNzd29yZA==",
            "bearer abcdefghijkl",
            "client_secret=hunter2hunter2",
            "?access_token=hunter2hunter2",
        ),
        *(
            '{"password": "hunter2hunter2"}',
            "{'client_secret': 'hunter2hunter2'}",
            "smtp://user:hunter2hunter2@mail.example",
        ),
        "__Host-watchword-access=hunter2hunter2; x=1",
    ],
)
def test_what_stands_beside_a_telling_word_is_masked(text: str) -> None:
    """Headers, forms, JSON, URLs and cookies as text."""
    found = redacted(text)
    assert MASK in found
    assert not any(secret in found for secret in ("hunter2", "dXNlcjpwYXNzd29yZA", "abcdefghijkl"))


@pytest.mark.parametrize(
    "value", ["plain text", "client_PdLc3DIwffq", "api_2ftRWzpwszzy4", "a.b.c", 7, 1.5, None, True, [1, "x"]]
)
def test_what_is_no_secret_stays(value: object) -> None:
    """A log that hides everything helps nobody."""
    assert redacted(value) == value


def test_what_is_too_deep_is_masked() -> None:
    """A value that contains itself ends too."""
    loop: list[object] = []
    loop.append(loop)
    assert MASK in str(redacted(loop))


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """A log of its own, and the logging of the tests as it was."""
    root, stream = logging.getLogger(), io.StringIO()
    before = root.handlers[:], root.level
    yield stream
    root.handlers[:], root.level = before
    for name in ("uvicorn", "alembic"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_a_line_is_one_json_object_with_the_facts_of_its_request(lines: io.StringIO) -> None:
    """Machines read it: time, level, event, who asked, and what was said beside it."""
    configure("info", "json", lambda: {"request_id": "r-1"}, lines)
    logging.getLogger("watchword_server.x").info("hello %s", "you", extra={"count": 3, "password": "p"})
    found = json.loads(lines.getvalue())
    assert {name: found[name] for name in ("event", "level", "request_id", "count", "password")} == {
        "event": "hello you",
        "level": "info",
        "request_id": "r-1",
        "count": 3,
        "password": MASK,
    }
    assert found["timestamp"].endswith("Z")


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_failure_shows_where_but_not_with_what(lines: io.StringIO, format: str) -> None:
    """The traceback is there, and a secret in the exception's text is not."""
    configure("info", format, dict, lines)  # type: ignore[arg-type]  # one of the two literals
    try:
        raise ValueError(f"cannot take {SECRET}")
    except ValueError:
        logging.getLogger("x").exception("broken with %s", JWT)
    text = lines.getvalue()
    assert "Traceback" in text
    assert "ValueError" in text
    assert SECRET not in text
    assert JWT not in text


def test_a_value_cannot_begin_a_line_of_its_own(lines: io.StringIO) -> None:
    """Else a stranger could write the log."""
    configure("info", "console", dict, lines)
    logging.getLogger("x").info("asked", extra={"agent": "a\n2026-01-01 info ready\r\x1b[2J"})
    assert lines.getvalue().count("\n") == 1
    assert "\x1b" not in lines.getvalue()


def until_said(server: Served, text: str) -> str:
    """The line of the server's output that has this text; waits for it."""
    until(lambda: text in server.program.said, 10)
    return next(line for line in server.program.lines if text in line)


def test_nothing_secret_is_in_the_output_of_a_server(behind_proxies: Served) -> None:
    """Every kind of request, good and bad, with requests logged: none of their secrets comes out again."""
    server, known = behind_proxies, behind_proxies.known
    page = {"origin": ORIGIN}
    tokens = server.sign_in().json()
    baked = server.sign_in(page, transport="cookie").headers.get_list("set-cookie")
    machine = server.token().json()["access_token"]
    server.http.post("/session/refresh", json={"client_id": known.spa, "refresh_token": tokens["refresh_token"]})
    server.http.post("/session/refresh", json={"client_id": known.spa, "refresh_token": "wwr_" + "x" * 43})
    server.sign_in(password="a wrong passphrase")
    server.http.post("/token", data={"grant_type": known.machine[1]}, auth=known.machine)
    server.http.post("/token", data={"grant_type": "client_credentials"}, auth=(known.machine[1], "x"))
    server.http.post(f"/token?client_secret={known.machine[1]}", auth=known.machine)
    server.http.get(f"/{known.machine[1]}/{machine}", headers={"user-agent": machine})
    server.http.get(f"/session?access_token={machine}", headers=bearer(machine))
    server.http.get("/session", headers={"cookie": baked[0].partition(";")[0]})
    server.http.post("/introspect", data={"token": machine}, headers={"authorization": basic(known.api)})
    server.http.post("/revoke", data={"token": machine}, auth=known.machine)
    server.http.get("/revocations", auth=known.api)
    server.http.delete("/session", headers=bearer(tokens["access_token"]))
    secrets = [PASSWORD, "a wrong passphrase", known.machine[1], known.api[1], machine, "x" * 43, basic(known.api)[6:]]
    secrets += [
        tokens["access_token"],
        tokens["refresh_token"],
        *(line.partition(";")[0].partition("=")[2] for line in baked),
    ]
    marker = server.http.get("/a-marker-at-the-end").headers["x-request-id"]
    until_said(server, marker)
    said = server.program.said
    assert len(said) > 1000
    assert [secret for secret in secrets if secret in said] == []
    assert EMAIL not in said


def test_a_server_logs_requests_when_it_shall(behind_proxies: Served) -> None:
    """One line each, with the request id, without the query."""
    marker = behind_proxies.http.get("/healthz?secret=1", headers={"x-request-id": "find-me"}).headers["x-request-id"]
    line = until_said(behind_proxies, marker)
    found = json.loads(line)
    assert (found["event"], found["method"], found["path"], found["status"]) == ("request", "GET", "/healthz", 200)
    assert "secret" not in line
