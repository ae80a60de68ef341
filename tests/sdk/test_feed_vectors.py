"""The vectors of docs/feed.md: this implementation passes them, and the format has not changed unnoticed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.vectors.make_feed_vectors import files
from watchword.errors import Gap, InvalidFeed
from watchword.freshness import Moment, Progress
from watchword.jose.b64 import b64url
from watchword.jose.jwk import key_set
from watchword.log import Entry, genesis, is_page, link, unseal
from watchword.revocations import Pages, RevocationSet

FOLDER = Path(__file__).parents[1] / "vectors" / "feed"


def load(name: str) -> dict[str, Any]:
    vectors: dict[str, Any] = json.loads((FOLDER / name).read_text())
    return vectors


def cases(name: str, members: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in load(name)[members]]


def test_the_files_are_what_the_script_makes() -> None:
    """A changed format shows as a changed file."""
    assert {path.name: path.read_text() for path in FOLDER.glob("*.json")} == files()


def test_the_chain_runs_through_every_entry() -> None:
    """SHA-256 over the head before and the entry's lines."""
    vectors = load("chain.json")
    head = genesis(vectors["log"])
    assert b64url(head) == vectors["genesis"]
    for row in vectors["links"]:
        head = link(head, Entry(*row["entry"]))
        assert b64url(head) == row["head"]


@pytest.mark.parametrize("case", cases("messages.json", "cases"))
def test_a_message_opens_or_is_refused(case: dict[str, Any]) -> None:
    """Signature, type, issuer, members, the chain inside."""
    vectors = load("messages.json")
    keys = key_set(vectors["jwks"])
    if case["valid"]:
        assert unseal(case["message"].encode(), keys, vectors["issuer"]).iss == vectors["issuer"]
    else:
        with pytest.raises(InvalidFeed):
            unseal(case["message"].encode(), keys, vectors["issuer"])


def outcome(known: RevocationSet, message: str, vectors: dict[str, Any]) -> str:
    try:
        known.apply(unseal(message.encode(), key_set(vectors["jwks"]), vectors["issuer"]))
    except Gap:
        return "gap"
    except InvalidFeed:
        return "refused"
    return "applied"


@pytest.mark.parametrize("run", cases("runs.json", "runs"))
def test_a_run_ends_where_it_should(run: dict[str, Any]) -> None:
    """Message by message, then token by token."""
    known, vectors = RevocationSet(), load("runs.json")
    for step in run["steps"]:
        assert outcome(known, step["message"], vectors) == step["expect"]
        assert (known.seq, known.log) == (step["seq"], step["log"])
    for row in run["tokens"]:
        assert known.kills(**row["token"]) == row["dead_by"]


def taken(known: RevocationSet, answer: dict[str, Any], vectors: dict[str, Any]) -> str:
    pages = Pages(known)
    try:
        for text in answer["messages"]:
            message = unseal(text.encode(), key_set(vectors["jwks"]), vectors["issuer"])
            if is_page(message):
                pages.take(message)
                continue
            if message.nonce != answer["nonce"]:
                return "refused"
            known.apply(pages.closed(message))
            return "applied"
    except InvalidFeed:
        return "refused"
    return "cut"


@pytest.mark.parametrize("answer", cases("answers.json", "answers"))
def test_an_answer_in_pages_counts_when_it_is_whole(answer: dict[str, Any]) -> None:
    """Page by page, and the delta at the end."""
    known = RevocationSet()
    assert taken(known, answer, load("answers.json")) == answer["expect"]
    assert known.seq == answer["seq"]
    for row in answer["tokens"]:
        assert known.kills(**row["token"]) == row["dead_by"]


@pytest.mark.parametrize("case", cases("freshness.json", "cases"))
def test_an_age_is_as_it_should_be(case: dict[str, Any]) -> None:
    """The arithmetic of freshness."""
    progress = Progress(10.0)
    progress.answered(Moment(*case["asked"]), case["signed"], Moment(*case["answered"]))
    for heard in case["heard"]:
        progress.heard(heard["signed"], Moment(*heard["arrived"]))
    assert progress.age(Moment(*case["now"])) == pytest.approx(case["age"], abs=1e-6)
