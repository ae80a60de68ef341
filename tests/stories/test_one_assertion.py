"""One assertion of a client, fifty times at once at two nodes, of which one is killed: at most one success, ever.

What was believed once is refused from then on, by whichever node and after any restart, on both databases.
`WATCHWORD_TEST_ROUNDS` says how many rounds.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.server.assertions import BEARER, assertion, claims, shown
from tests.stories import raw
from tests.stories.at_once import AT_ONCE, Pair, Request, answers_of, pair
from tests.stories.grounds import GROUNDS
from watchword.jose.jwk import SigningKey

ROUNDS = int(os.environ.get("WATCHWORD_TEST_ROUNDS", "5"))
KEY = SigningKey.generate("ES256")

pytestmark = [pytest.mark.fault, pytest.mark.timeout(120 + 30 * ROUNDS)]


@dataclass(frozen=True)
class House:
    """Two nodes of one deployment, and a client with a key. The first node is the one that is killed."""

    pair: Pair
    client_id: str

    def authenticating(self) -> dict[str, str]:
        """A form with an assertion that nobody has seen, to authenticate by."""
        text = assertion(
            KEY, claims(self.client_id, self.pair.doors[0].issuer, int(time.time()), exp=int(time.time()) + 240)
        )
        return {"grant_type": "client_credentials", **shown(text)}

    def granting(self) -> dict[str, str]:
        """A form with one that is the grant."""
        own = claims(self.client_id, self.pair.doors[0].issuer, int(time.time()), exp=int(time.time()) + 240)
        return {"grant_type": BEARER, "assertion": assertion(KEY, own, typ="JWT")}

    def once(self, form: dict[str, str]) -> str:
        """At the second node; the error, if it is one."""
        answer = self.pair.doors[1].http.post(self.pair.url(1, "/token"), data=form)
        return str(answer.json().get("error", ""))

    def issued(self) -> object:
        """How many tokens the client got, by the audit trail of all nodes."""
        sql = "SELECT count(*) FROM audit WHERE action = 'token.issue' AND actor = $1"
        return self.pair.ground.value(sql, f"client:{self.client_id}")


def sending(form: dict[str, str]) -> Request:
    """It as a whole."""
    return lambda door: raw.token_by_form(door, form)


@pytest.fixture(params=sorted(GROUNDS))
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """On each database, both nodes ready."""
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [KEY.public_jwk()]}))
    with pair(tmp_path, request.param) as nodes:
        nodes.site.cli("api", "add", "https://orders.example", "--scope", "orders:read")
        signs = (
            "--auth-method",
            "private_key_jwt",
            "--jwks",
            str(keys),
            "--access",
            "https://orders.example=orders:read",
        )
        grants = ("--grant", "client_credentials", "--grant", BEARER)
        client_id = str(nodes.site.cli("client", "add", "Keyed", *signs, *grants)["client_id"])
        yield House(nodes, client_id)


@pytest.mark.parametrize(
    ("form", "error"), [(House.authenticating, "invalid_client"), (House.granting, "invalid_grant")]
)
def test_of_fifty_at_once_at_two_nodes_one_is_believed(
    house: House, form: Callable[[House], dict[str, str]], error: str
) -> None:
    """Exactly one answer has a token, every other says no more than that it was refused."""
    for number in range(ROUNDS):
        sent = form(house)
        answers = answers_of(house.pair.at_once(sending(sent)))
        assert len(answers) == 2 * AT_ONCE
        lost = [one for one in answers if one.status != 200]
        assert len(lost) == 2 * AT_ONCE - 1
        assert {str(one.document["error"]) for one in lost} == {error}
        assert house.issued() == number + 1
        assert house.once(sent) == error


def test_a_node_that_is_killed_meanwhile_believes_it_no_second_time(house: House) -> None:
    """Nor does any other, to those who ask again after its restart; where the winner's answer was lost, nobody wins."""
    unanswered = 0
    for part in range(ROUNDS):
        sent = house.authenticating()
        answers, again = house.pair.killed_meanwhile(sending(sent), part)
        unanswered += 2 * AT_ONCE - len(answers)
        assert sum(one.status == 200 for one in (*answers, *again)) <= 1
        assert house.once(sent) == "invalid_client"
        assert house.once(house.authenticating()) == ""
    assert unanswered > 0, "every kill came after the last answer"


def test_an_assertion_stays_spent_across_a_restart_of_everything(house: House) -> None:
    """Nothing of it lives in a process."""
    sent, unused = house.authenticating(), house.authenticating()
    assert house.once(sent) == ""
    house.pair.crash()
    assert house.once(sent) == "invalid_client"
    assert house.once(unused) == ""
