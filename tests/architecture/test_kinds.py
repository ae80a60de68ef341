"""Every JWT that is made or taken says of which Kind it is, and none of them is missing from the matrix."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture.kinds import FEED, MADE, TAKEN, Findings, findings, modules
from watchword.jose.kinds import Kind

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def everything() -> dict[str, Findings]:
    """What every module of both packages makes and takes."""
    return {name: findings(name, source) for name, source in modules(ROOT)}


def test_every_place_that_makes_or_takes_a_token_names_its_kind(everything: dict[str, Findings]) -> None:
    """Nothing signs past `jws.signer`, and no `typ` is written by hand (RFC 8725 §3.11)."""
    assert [fault for found in everything.values() for fault in found.faults] == []


def test_exactly_these_kinds_are_made(everything: dict[str, Findings]) -> None:
    """Whoever signs a further kind must say so here, where it is seen that the matrix has it."""
    made = {kind for found in everything.values() for place in found.makes for kind in place.kinds}
    assert made == MADE


def test_exactly_these_places_take_a_token(everything: dict[str, Findings]) -> None:
    """Whoever reads a JWT is in the table, with all that it accepts."""
    taken: dict[str, set[Kind]] = {}
    for place in (place for found in everything.values() for place in found.takes):
        taken.setdefault(place.where, set()).update(place.kinds)
    assert taken == TAKEN


IMPORTS = """
from watchword import log
from watchword.jose import jwe, jws
from watchword.jose.jws import signer as sealing
from watchword.jose.kinds import Kind
from watchword.jose.kinds import Kind as Sort
from watchword.policy import Policy
"""


@pytest.mark.parametrize(("line", "fault"), [
    ("jws.signer(key, 'at+jwt')", "without a Kind"),
    ("jws.signer(key, 'JWT')", "without a Kind"),
    ("jws.signer(key, typ)", "without a Kind"),
    ("jws.signer(key, typ=typ)", "without a Kind"),
    ("jws.signer(key)", "without a Kind"),
    ("sealing(key, typ)", "without a Kind"),
    ("jws.signer(key, Kind.NOTHING)", "without a Kind"),
    ("{typ: jws.signer(key, typ) for typ in KINDS}", "without a Kind"),
    ("{typ: jws.signer(key, typ) for typ, _ in other.TYPES.items()}", "without a Kind"),
    ("jwe.encrypt(b'', key, 'A128GCM', typ)", "without a Kind"),
    ("jws.verify(token, keys, ('logout',), 5)", "without a Kind"),
    ("jws.verify(token, keys, (Kind.ACCESS_TOKEN, 'x'), 5)", "without a Kind"),
    ("jws.verify(token, keys, (), 5)", "without a Kind"),
    ("jwe.decrypt(token, keys, types, 5)", "without a Kind"),
    ("jws.verify(token, keys, self.types, 5)", "without a Kind"),
    ("Policy(issuer, audience, types=('jwt',))", "without a Kind"),
    ("make = jws.signer", "handed on"),
    ("partial(sealing, key)", "handed on"),
    ("key.sign(b'')", "past jws.signer"),
    ("self._key.sign(message)", "past jws.signer"),
    ("TYP = 'Logout+JWT'", "by hand"),
    ("header['typ'] == 'application/at+jwt'", "by hand"),
])  # fmt: skip
def test_a_planted_fault_is_found(line: str, fault: str) -> None:
    """Each way to make or take a token without saying what it is."""
    faults = findings("watchword_server.flows.gossip", f"{IMPORTS}\ndef f(key):\n    {line}\n").faults
    assert any(fault in each for each in faults), faults
    assert findings("watchword_server.flows.gossip", IMPORTS).faults == ()


@pytest.mark.parametrize(("line", "makes", "takes"), [
    ("jws.signer(key, Kind.ID_TOKEN)", {Kind.ID_TOKEN}, set()),
    ("sealing(key, typ=Sort.LOGOUT_TOKEN)", {Kind.LOGOUT_TOKEN}, set()),
    ("{m: jws.signer(key, kind) for kind, m in log.TYPES.items()}", FEED, set()),
    ("[jws.signer(key, kind) for kind in log.TYPES]", FEED, set()),
    ("jwe.encrypt(b'', key, 'A128GCM', Kind.ACCESS_TOKEN)", {Kind.ACCESS_TOKEN}, set()),
    ("jws.verify(t, keys, (Kind.ID_TOKEN, Kind.DPOP_PROOF), 5)", set(), {Kind.ID_TOKEN, Kind.DPOP_PROOF}),
    ("jws.verify(t, keys, types=[Sort.ID_TOKEN], limit=5)", set(), {Kind.ID_TOKEN}),
    ("jws.read_header(t, keys, log.TYPES.keys())", set(), FEED),
    ("Policy(issuer, audience, types={Kind.ID_TOKEN})", set(), {Kind.ID_TOKEN}),
])  # fmt: skip
def test_a_place_that_names_its_kind_is_read(line: str, makes: set[Kind], takes: set[Kind]) -> None:
    """By any name that its imports give it."""
    found = findings("watchword_server.flows.gossip", f"{IMPORTS}\nclass C:\n    def f(self, key):\n        {line}\n")
    assert found.faults == ()
    assert {kind for place in found.makes for kind in place.kinds} == makes
    assert {kind for place in found.takes for kind in place.kinds} == takes
    assert {place.where for place in (*found.makes, *found.takes)} == {"watchword_server.flows.gossip.C.f"}


def test_a_package_that_is_gone_is_not_a_pass(tmp_path: Path) -> None:
    """A renamed package must not leave the test with nothing to look at."""
    with pytest.raises(FileNotFoundError, match="no such package"):
        list(modules(tmp_path))
