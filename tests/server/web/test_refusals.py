"""The one door by which a failure becomes an answer."""

from __future__ import annotations

import json
import logging

import pytest

from watchword_server.flows.keyring import NoSigningKey
from watchword_server.ports import Busy, Conflict, KeyStoreError, Unavailable
from watchword_server.web.refusals import refusal


@pytest.mark.parametrize("kind", [Unavailable, Busy, Conflict, NoSigningKey, KeyStoreError])
def test_what_cannot_be_done_now_is_worth_another_try(kind, caplog):
    """503 and one sentence; where the master key lies and what is wrong with it is for the log alone."""
    with caplog.at_level(logging.WARNING):
        answer = refusal(kind("the master key /srv/master.key is missing"), {"headers": []})
    assert answer.status == 503
    body = json.loads(answer.body)
    assert body["error"] == "temporarily_unavailable"
    assert "master" not in body["error_description"]
    assert any("/srv/master.key" in str(record.__dict__) for record in caplog.records)
