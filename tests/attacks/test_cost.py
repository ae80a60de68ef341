"""A refused token costs no more than a good one."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Final

import pytest

from tests.attacks import claims, envelope
from tests.attacks.costs import too_dear
from tests.attacks.judges import Judge
from tests.sdk.minting import CLAIMS, Mint, header, key, sealed
from watchword.jose.b64 import b64url
from watchword.jose.jws import MAX_HEADER
from watchword.policy import MAX_TOKEN

HEADER_ROOM, CLAIMS_ROOM = MAX_HEADER * 3 // 4 - 130, 11_400
"""Bytes that fit into a header, and into the claims of a token that is still read."""


def filled(piece: bytes, room: int, before: bytes = b'"x": [', after: bytes = b"]") -> bytes:
    """As many pieces as there is room for."""
    count = (room - len(before) - len(after)) // (len(piece) + 1)
    return before + b",".join([piece] * count) + after


def numbered(room: int) -> bytes:
    """As many members as there is room for, no two alike."""
    return b",".join(b'"%d":0' % number for number in range(room // 9))


def nasty(room: int) -> Mapping[str, bytes]:
    """Members that are dear to read, of any size."""
    return {
        "nothing more": b'"x": 1',
        "objects": filled(b"{}", room),
        "objects of one": filled(b'{"a":1}', room),
        "integers": filled(b"1", room),
        "fractions": filled(b"1.1e9", room),
        "long fractions": filled(b"1." + b"3" * 300 + b"e-300", room),
        "one integer": b'"x": ' + b"9" * (room - 5),
        "one member, often": filled(b'"a": 1', room, b"", b""),
        "many members": numbered(room),
        "closed lists": b'"x": ' + b"[" * (room // 2 - 3) + b"]" * (room // 2 - 3),
        "open lists": b'"x": ' + b"[" * (room - 5),
        "brackets in a text": b'"x": [' + b"[]," * 30 + b'"' + b"[{" * (room // 2 - 60) + b'"]',
        "escapes": filled(b"\\u0041" * 20, room, b'"x": "', b'"'),
        "white space": b" " * (room - 6) + b'"x": 1',
    }  # fmt: skip


def members(of: Mapping[str, object], more: bytes) -> bytes:
    """An object with these members too."""
    own = json.dumps(dict(of), separators=(",", ":")).encode()
    return own[:-1] + b"," + more + b"}" if more else own


def unsigned(alg: str, head: bytes, body: bytes) -> str:
    """A token over exact bytes, under a signature of the right kind that is not its own."""
    return f"{b64url(head)}.{b64url(body)}.{b64url(key(alg).sign(b'something else'))}"


def good(mint: Mint, alg: str, number: int, more: bytes = b"") -> str:
    """One of many good tokens: each is met for the first time, or it would cost next to nothing."""
    return sealed(json.dumps(header(alg)).encode(), members(mint.claims(jti=f"{number}"), more), alg)


PAD: Final = b"x" * CLAIMS_ROOM
Tokens = Mapping[str, str]


def forged(mint: Mint, alg: str) -> Tokens:
    """What somebody without a key can make: good to look at."""
    return {
        name: unsigned(alg, json.dumps(header(alg)).encode(), members(mint.claims(), more))
        for name, more in {"small": b"", "large": b'"x": "' + PAD + b'"'}.items()
    }


def dressed_up(mint: Mint, alg: str) -> Tokens:
    """What somebody without a key can make: dear to look at."""
    body = json.dumps(mint.claims()).encode()
    return {name: unsigned(alg, members(header(alg), more), body) for name, more in nasty(HEADER_ROOM).items()}


def never_checked(mint: Mint) -> Tokens:
    """What is refused before any signature is looked at."""
    body = json.dumps(mint.claims()).encode()
    strangers = {name: members(header(kid="stranger"), more) for name, more in nasty(HEADER_ROOM).items()}
    return {
        **{f"unknown kid, {name}": unsigned("ES256", head, body) for name, head in strangers.items()},
        "unknown kid, large": unsigned("ES256", json.dumps(header(kid="x")).encode(), body + b" " * CLAIMS_ROOM),
        "another type": unsigned("ES256", json.dumps(header(typ="JWT")).encode(), body),
        "another alg": unsigned("ES256", json.dumps(header(alg="none")).encode(), body),
        "dots": "." * MAX_TOKEN,
        "pairs of dots": "a." * (MAX_TOKEN // 2),
        "no dots": "a" * MAX_TOKEN,
        "not ASCII": "é" * MAX_TOKEN,
        "no base64": "!" * (MAX_TOKEN - 4) + ".a.b",
        "a header too long": "a" * (MAX_TOKEN - 4) + ".a.b",
        "a megabyte": "a" * 1_000_000,
        "a megabyte of dots": "." * 1_000_000,
        "a megabyte of token": mint.token(body=mint.claims(x="x" * 1_000_000)),
    }


def signed(mint: Mint, alg: str) -> Tokens:
    """What only the issuer can make, and should not."""
    head = json.dumps(header(alg)).encode()
    dear = {name: sealed(head, members(mint.claims(aud="x"), more), alg) for name, more in nasty(CLAIMS_ROOM).items()}
    return {name: text for name, text in dear.items() if len(text) <= MAX_TOKEN}


@pytest.mark.parametrize("where", [0, 1], ids=["on fixed keys", "following an issuer"])
@pytest.mark.parametrize("alg", ["ES256", "RS256"])
def test_a_refused_token_costs_no_more_than_a_good_one(alg: str, where: int, judges: list[Judge]) -> None:
    """Forged: than the same token truly signed. Dressed up: than a good one of the longest that is read.

    Refused before its signature: than the smallest good one. Truly signed: than the dearest good one.
    """
    judge = judges[where]
    mint = judge.mint()
    refused = {
        "forged: small": (forged(mint, alg)["small"], "small"),
        "forged: large": (forged(mint, alg)["large"], "large"),
        **{f"dressed up: {name}": (text, "large") for name, text in dressed_up(mint, alg).items()},
        **{f"unchecked: {name}": (text, "small") for name, text in never_checked(mint).items()},
    }
    accepted = {
        "small": lambda number: good(mint, alg, number),
        "large": lambda number: good(mint, alg, number, b'"x": "' + PAD + b'"'),
        "dearest": lambda number: good(mint, alg, number, filled(b"{}", CLAIMS_ROOM)),
    }
    if where == 0:  # what is signed costs the same everywhere
        refused |= {f"signed: {name}": (text, "dearest") for name, text in signed(mint, alg).items()}
    assert too_dear(judge, refused, accepted) == {}


def test_no_attack_of_the_catalogue_takes_longer_than_a_blink(judges: list[Judge]) -> None:
    """Ten milliseconds at the very most, however it is made: nothing grows out of bounds."""
    slow = {}
    for attack in [*envelope.ATTACKS, *claims.ATTACKS]:
        text, spent = attack.forge(judges[0].mint()), []
        for _ in range(3):
            began = time.thread_time()
            judges[0].blocking(text)
            spent.append(time.thread_time() - began)
        if min(spent) > 0.01:
            slow[str(attack)] = min(spent)
    assert slow == {}


def test_what_is_dear_here_is_as_dear_as_it_gets() -> None:
    """The tokens of this file fill what is read of a token to the brim, or they would show little."""
    assert len(members(header(), nasty(HEADER_ROOM)["integers"])) * 4 / 3 == pytest.approx(MAX_HEADER, rel=0.05)
    assert len(signed(Mint(), "RS256")["one integer"]) == pytest.approx(MAX_TOKEN, rel=0.05)
    assert len(signed(Mint(), "RS256")) >= len(nasty(CLAIMS_ROOM)) - 1
    assert set(CLAIMS) > {"aud"}
