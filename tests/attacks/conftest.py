"""The catalogue, and verifiers to be attacked: on fixed keys, and following an issuer."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.attacks.catalogue import Row, folder, rows
from tests.attacks.judges import ALGORITHMS, Judge
from tests.conftest import IN_CI
from tests.sdk.honest_issuer import AUDIENCE, CREDENTIALS, Issuer
from tests.sdk.minting import AUDIENCE as FIXED_AUDIENCE
from tests.sdk.minting import ISSUER as FIXED_ISSUER
from tests.sdk.minting import NOW, Mint, key
from tests.server.web.served import Served, served
from watchword import Verifier
from watchword.freshness import Clocks


@pytest.fixture(scope="session")
def catalogue() -> list[Row]:
    """Group A of the catalogue of attacks."""
    path = folder() / "attacks.md"
    if path.is_file():
        return rows(path.read_text(), "A")
    sentence = f"no catalogue of attacks in {path}: WATCHWORD_FACTS names the folder where attacks.md lies"
    if IN_CI:
        pytest.fail(sentence)
    pytest.skip(sentence)


@pytest.fixture(scope="module")
def target() -> Iterator[Issuer]:
    """An issuer that publishes the keys that the attacks know."""
    issuer = Issuer()
    issuer.published = [key(alg).public_jwk() for alg in ALGORITHMS]
    yield issuer
    issuer.stop()


@pytest.fixture(scope="module")
def judges(target: Issuer) -> Iterator[list[Judge]]:
    """Everyone who must give the same answer."""
    jwks = {"keys": [key(alg).public_jwk() for alg in ALGORITHMS]}
    clocks = Clocks(time.monotonic, lambda: float(NOW))
    offline = Verifier(issuer=FIXED_ISSUER, audience=FIXED_AUDIENCE, jwks=jwks, clocks=clocks)
    with Verifier(issuer=target.url, audience=AUDIENCE, credentials=CREDENTIALS) as online:
        yield [
            Judge("on fixed keys", offline, lambda: Mint()),
            Judge("following an issuer", online, lambda: Mint(target.url, AUDIENCE, int(time.time()))),
        ]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The real `watchword serve`."""
    with served(tmp_path_factory.mktemp("served")) as running:
        yield running
