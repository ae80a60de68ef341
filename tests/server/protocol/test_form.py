"""The form bodies of OAuth requests."""

from __future__ import annotations

import pytest

from watchword_server.protocol.errors import InvalidRequest, InvalidTarget
from watchword_server.protocol.form import MAX_FIELDS, fields


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", {}),
        (b"grant_type=client_credentials&scope=a+b", {"grant_type": "client_credentials", "scope": "a b"}),
        (b"scope=&grant_type=x", {"grant_type": "x"}),
        (b"name=%C3%A9", {"name": "\u00e9"}),
    ],
)
def test_a_form_is_read(body, expected):
    """An empty parameter counts as omitted (RFC 6749 §3.1)."""
    assert fields(body) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"grant_type=a&grant_type=b",
        b"grant_type=a&grant_type=",
        b"grant_type",
        b"&&",
        b"name=%ff",
        b"name=\xff",
        b'{"grant_type": "a"}',
        b"&".join(b"p%d=1" % number for number in range(MAX_FIELDS + 1)),
    ],
)
def test_what_is_no_plain_form_is_refused(body):
    """A parameter sent twice, other encodings and floods end in invalid_request (RFC 6749 §3.2)."""
    with pytest.raises(InvalidRequest):
        fields(body)


def test_a_token_is_for_one_api():
    """Who names several is told what to do instead (RFC 8707 §2)."""
    with pytest.raises(InvalidTarget, match="one after the other"):
        fields(b"resource=https://a.example&resource=https://b.example")
