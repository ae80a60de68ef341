"""Who may sign whom out, where the browser goes after, and what a client is told."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from watchword_server.protocol.logout import Ending, Hint, LogoutRequest, ending, location, meant
from watchword_server.protocol.logout_token import EVENT, LIFETIME, claims

AFTER = "https://app.example/after"
HINT = Hint("app", "ada", "s1")
OFFLINE = replace(HINT, sid=None)
ASK = LogoutRequest(hint=HINT, post_logout_redirect_uri=AFTER)
ASKED_FIRST = Ending(asks=True)


@dataclass(frozen=True)
class Someone:
    """Signed in at a browser."""

    sid: str
    sub: str


ADA, ADA_AGAIN, BOB = Someone("s1", "ada"), Someone("s9", "ada"), Someone("s2", "bob")


@pytest.mark.parametrize(
    ("ask", "signed_in", "expected"),
    [
        (ASK, ADA, Ending(False, AFTER)),
        (replace(ASK, client_id="app"), ADA, Ending(False, AFTER)),
        (replace(ASK, post_logout_redirect_uri=None), ADA, Ending(False)),
        (replace(ASK, hint=OFFLINE), ADA_AGAIN, Ending(False, AFTER)),
        # Another session, or another person: asked first, and then the client gets its browser back.
        (ASK, BOB, Ending(True, AFTER)),
        (ASK, ADA_AGAIN, Ending(True, AFTER)),
        (replace(ASK, hint=OFFLINE), BOB, Ending(True, AFTER)),
        # Nobody has shown whom they speak of.
        (replace(ASK, hint=None), ADA, ASKED_FIRST),
        (replace(ASK, hint=None, client_id="app"), ADA, ASKED_FIRST),
        (replace(ASK, client_id="other"), ADA, ASKED_FIRST),
        (LogoutRequest(), ADA, ASKED_FIRST),
        # Nobody is signed in: there is nothing to ask.
        (ASK, None, Ending(False, AFTER)),
        (LogoutRequest(), None, Ending(False)),
        (replace(ASK, hint=None), None, Ending(False)),
        (replace(ASK, hint=None, client_id="app"), None, Ending(False)),
        (replace(ASK, client_id="other"), None, Ending(False)),
    ],
)
def test_who_is_asked_first_and_where_it_goes_after(ask, signed_in, expected):
    """Only a client that shows whom it speaks of signs that person out at once, and gets the browser back."""
    assert ending(ask, (AFTER,), signed_in) == expected


@pytest.mark.parametrize("signed_in", [ADA, BOB, None])
@pytest.mark.parametrize("uri", ["https://evil.example", AFTER + "?foo=bar", AFTER + "/", AFTER.upper(), "//x", ""])
def test_nobody_is_sent_to_what_is_not_registered(uri, signed_in):
    """Exact comparison, and the person is asked (§3), whoever is there."""
    nowhere = Ending(asks=signed_in is not None)
    assert ending(replace(ASK, post_logout_redirect_uri=uri), (AFTER,), signed_in) == nowhere
    assert ending(ASK, (), signed_in) == nowhere


@pytest.mark.parametrize(
    ("hint", "signed_in", "expected"),
    [
        (HINT, [BOB, ADA], ADA),
        (HINT, [ADA_AGAIN, ADA], ADA),
        (OFFLINE, [BOB, ADA_AGAIN], ADA_AGAIN),
        (replace(HINT, sid="s7"), [BOB, ADA], BOB),
        (None, [BOB, ADA], BOB),
        (HINT, [], None),
        (None, [], None),
    ],
)
def test_of_several_accounts_the_hinted_one_is_meant_or_the_one_in_use(hint, signed_in, expected):
    """The one in use stands first."""
    assert meant(hint, signed_in) == expected


@pytest.mark.parametrize(
    ("uri", "state", "expected"),
    [
        (AFTER, None, AFTER),
        (AFTER, "a b&c=d", AFTER + "?state=a+b%26c%3Dd"),
        (AFTER + "?tenant=7", "x", AFTER + "?tenant=7&state=x"),
        ("com.example.app:/after", "\r\nX: y", "com.example.app:/after?state=%0D%0AX%3A+y"),
    ],
)
def test_the_state_comes_back_and_nothing_else_is_added(uri, state, expected):
    """What is in the registered URI stays (§3)."""
    assert location(uri, state) == expected


def test_a_logout_token_says_that_and_no_more():
    """Back-Channel Logout §2.4: exactly these, and never a nonce."""
    assert claims("https://id.example", "app", "ada", "s1", "j1", 1_000) == {
        "iss": "https://id.example",
        "sub": "ada",
        "aud": "app",
        "iat": 1_000,
        "exp": 1_000 + LIFETIME,
        "jti": "j1",
        "events": {EVENT: {}},
        "sid": "s1",
    }
    assert EVENT == "http://schemas.openid.net/event/backchannel-logout"
    assert LIFETIME == 120
