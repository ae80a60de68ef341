"""Every module of the FAPI 2.0 plan against the real server, and each with a planted fault."""

from __future__ import annotations

import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import pytest

from tests.stories.oidf import shaking
from tests.stories.oidf.case import begin
from tests.stories.oidf.certificates import certificates
from tests.stories.oidf.facts import Facts
from tests.stories.oidf.plan_fapi2 import FAPI2, NAME
from tests.stories.oidf.proof import Stage, notices, passes
from tests.stories.oidf.runs.fapi2 import with_request
from tests.stories.oidf.wire import Fault, Got, Sent

APPLICABLE = {name: module for name, module in FAPI2.modules.items() if not module.elsewhere}
LONG = 10
"""Seconds: what lets more of them pass is not for every day."""


def test_every_module_of_the_plan_is_here(facts: dict[str, Facts]) -> None:
    """In its order, and no other."""
    assert list(FAPI2.modules) == list(facts)


def test_few_modules_are_of_other_ecosystems() -> None:
    """These, and no other; whoever adds one says so here."""
    assert {name.removeprefix(NAME) for name in FAPI2.modules.keys() - APPLICABLE.keys()} == {
        "australia-connectid-ensure-invalid-purpose-fails",
        "australia-connectid-test-claims-parameter-idtoken-identity-claims",
        "brazil-ensure-bad-payment-signature-fails",
        "ensure-server-handles-non-matching-intent-id",
        "test-essential-acr-sca-claim",
    }


def test_no_form_is_sent_on(stage: Stage) -> None:
    """What a person types is the issuer's alone: no browser is told to post it elsewhere (§5.3.2.2, RFC 9700 §4.12)."""
    answers: list[int] = []

    def hear(_: Sent, came: Got) -> Got:
        answers.append(came.status)
        return came

    with_request()(begin(stage.provider, FAPI2.variant, Fault("", got=hear)))
    redirects = {status for status in answers if 300 <= status < 400}
    assert redirects
    assert redirects <= {302, 303}


def test_a_careless_server_is_seen_to_be_one(tmp_path: Path) -> None:
    """What asks for TLS would hear of old versions and weak suites, were they taken."""
    context = certificates(tmp_path).identity()
    context.set_ciphers("ECDHE-ECDSA-AES256-SHA:@SECLEVEL=0")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as beside:
        beside.submit(shake_hands, context, listening)
        heard = shaking.asked(listening.getsockname()[1])
    assert heard.weak is not None
    assert heard.tls12 is None
    assert heard.either == shaking.Agreed("TLSv1.2", "ECDHE-ECDSA-AES256-SHA")


def shake_hands(context: ssl.SSLContext, listening: socket.socket) -> None:
    """With everybody who comes, as often as `shaking` asks."""
    for _ in range(len(fields(shaking.Heard))):
        connection, _ = listening.accept()
        with suppress(OSError), context.wrap_socket(connection, server_side=True):
            pass


@pytest.mark.parametrize(
    "module",
    [
        pytest.param(name, id=name, marks=[pytest.mark.fault] if module.waits > LONG else [])
        for name, module in APPLICABLE.items()
    ],
)
def test_a_module_passes(stage: Stage, module: str, facts: dict[str, Facts]) -> None:
    """It asserts what its row lists; whatever else the facts list has an excuse."""
    passes(stage, module, facts)


@pytest.mark.parametrize("module", APPLICABLE)
@pytest.mark.fault
def test_a_module_notices_its_fault(stage: Stage, module: str) -> None:
    """A module that cannot fail shows nothing."""
    notices(stage, module)
