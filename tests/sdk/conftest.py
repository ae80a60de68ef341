"""What the SDK's tests share: an issuer on a socket, clocks, and verifiers that are closed at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.sdk.honest_issuer import AUDIENCE, CREDENTIALS, Clock, Issuer
from watchword import Verifier
from watchword.freshness import Clocks


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """An honest issuer."""
    running = Issuer()
    yield running
    running.stop()


@pytest.fixture
def clock() -> Clock:
    """Clocks that a test may move."""
    return Clock()


@pytest.fixture
def verifier_of(clock: Clock) -> Iterator[Callable[..., Verifier]]:
    """Makes verifiers that follow an issuer, and closes them."""
    made: list[Verifier] = []

    def make(issuer: Issuer, **changes: object) -> Verifier:
        settings: dict[str, object] = {
            "issuer": issuer.url,
            "audience": AUDIENCE,
            "credentials": CREDENTIALS,
            "clocks": Clocks(clock.monotonic, clock.wall),
        }
        made.append(Verifier(**{**settings, **changes}))  # type: ignore[arg-type]  # a bag of settings
        return made[-1]

    yield make
    for verifier in made:
        verifier.close()


@pytest.fixture
def verifier(issuer: Issuer, verifier_of: Callable[..., Verifier]) -> Verifier:
    """A verifier that follows the issuer."""
    return verifier_of(issuer)
