"""Who may sign whom out, and where the browser goes after."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from watchword_server.protocol.logout import Ending, Hint, LogoutRequest, ending

AFTER = "https://app.example/after"
HINT = Hint("app", "ada", "s1")
ASK = LogoutRequest(hint=HINT, post_logout_redirect_uri=AFTER)
ASKED_FIRST = Ending(asks=True)


@pytest.mark.parametrize(
    ("ask", "sid", "sub", "expected"),
    [
        (ASK, "s1", "ada", Ending(False, AFTER)),
        (replace(ASK, client_id="app"), "s1", "ada", Ending(False, AFTER)),
        (replace(ASK, post_logout_redirect_uri=None), "s1", "ada", Ending(False)),
        (ASK, None, None, Ending(False, AFTER)),  # signed out already
        (replace(ASK, hint=replace(HINT, sid=None)), "s9", "ada", Ending(False, AFTER)),
        (replace(ASK, hint=None), "s1", "ada", ASKED_FIRST),
        (replace(ASK, hint=None, client_id="app"), "s1", "ada", ASKED_FIRST),
        (replace(ASK, client_id="other"), "s1", "ada", ASKED_FIRST),
        (ASK, "s2", "bob", ASKED_FIRST),
        (ASK, "s2", "ada", ASKED_FIRST),
        (replace(ASK, hint=replace(HINT, sid=None)), "s2", "bob", ASKED_FIRST),
        (LogoutRequest(), "s1", "ada", ASKED_FIRST),
        (LogoutRequest(), None, None, ASKED_FIRST),
    ],
)
def test_who_is_asked_first_and_where_it_goes_after(ask, sid, sub, expected):
    """Only a client that shows whom it speaks of signs that person out at once, and gets the browser back."""
    assert ending(ask, (AFTER,), sid, sub) == expected


@pytest.mark.parametrize("uri", ["https://evil.example", AFTER + "?foo=bar", AFTER + "/", AFTER.upper(), "//x", ""])
def test_nobody_is_sent_to_what_is_not_registered(uri):
    """Exact comparison, and the person is asked (§3)."""
    assert ending(replace(ASK, post_logout_redirect_uri=uri), (AFTER,), "s1", "ada") == ASKED_FIRST
    assert ending(ASK, (), "s1", "ada") == ASKED_FIRST
