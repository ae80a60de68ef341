"""Settings of token exchange: bounds, and other issuers whose tokens are taken."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.server.test_settings import ISSUER, given, refused, written
from watchword_server.main import open_issuer
from watchword_server.protocol.grants.token_exchange import Bounds

THEM = """
[[exchange.issuers]]
issuer = "https://ci.example"
clients = ["client_1", "client_2"]
scopes = ["read"]
"""
HERE = f'issuer = "{ISSUER}"\n'


def test_nobody_else_is_trusted_and_trees_are_bounded() -> None:
    """Unless an operator says otherwise."""
    found = given(ISSUER=ISSUER).exchange
    assert (found.issuers, found.depth, found.children) == ((), Bounds().depth, Bounds().children)
    assert given(ISSUER=ISSUER, EXCHANGE__DEPTH="2", EXCHANGE__CHILDREN="5").exchange.depth == 2


@pytest.mark.parametrize("keys", [
    'jwks_uri = "https://ci.example/jwks"',
    'jwks = {keys = [{kty = "EC", crv = "P-256", x = "a", y = "b", kid = "1"}]}',
])  # fmt: skip
def test_an_issuer_is_trusted_by_keys_that_are_given_or_lie_somewhere(tmp_path: Path, keys: str) -> None:
    """What it takes: whose tokens, who brings them, what they are worth."""
    (one,) = given(written(tmp_path, HERE + THEM + keys)).exchange.issuers
    assert (one.issuer, one.clients, one.scopes, one.audience) == (
        "https://ci.example", ("client_1", "client_2"), ("read",), None,
    )  # fmt: skip


@pytest.mark.parametrize(("more", "words"), [
    ("", "`jwks` or `jwks_uri`"),
    ('jwks_uri = "https://ci.example/jwks"\njwks = {keys = []}', "`jwks` or `jwks_uri`"),
    ("jwks = {}", "list `keys`"),
    ('jwks_uri = "http://ci.example/jwks"', "jwks_uri"),
    ('jwks_uri = "file:///etc/passwd"', "jwks_uri"),
    ('jwks_uri = "https://ci.example/jwks"\naudiense = "x"', "audiense"),
    ('jwks_uri = "https://ci.example/jwks"\n' + THEM + 'jwks_uri = "https://ci.example/2"', "twice"),
])  # fmt: skip
def test_what_would_trust_by_mistake_is_refused(tmp_path: Path, more: str, words: str) -> None:
    """With a sentence that names it."""
    assert words in refused(written(tmp_path, HERE + THEM + more))


@pytest.mark.parametrize(("was", "by", "words"), [
    ("https://ci.example", "http://ci.example", "issuer"),
    ("https://ci.example", "https://ci.example#x", "issuer"),
    ('clients = ["client_1", "client_2"]', "clients = []", "clients"),
    ('clients = ["client_1", "client_2"]', "", "clients"),
    ('scopes = ["read"]', "", "scopes"),
])  # fmt: skip
def test_an_issuer_that_is_not_wholly_described_is_refused(tmp_path: Path, was: str, by: str, words: str) -> None:
    """Nothing is guessed."""
    text = THEM.replace(was, by) + 'jwks_uri = "https://ci.example/jwks"'
    assert words in refused(written(tmp_path, HERE + text))


def test_a_deployment_trusts_whom_its_settings_name(tmp_path: Path) -> None:
    """And takes their tokens as its own issuer, where nothing else is said."""
    text = HERE + f'data = "{tmp_path / "data"}"\n' + THEM + 'jwks_uri = "https://ci.example/jwks"\n'

    async def trusted() -> tuple[str, tuple[str, ...]]:
        async with open_issuer(given(written(tmp_path, text))) as issuer:
            found = issuer.trusted.find("https://ci.example")
            assert found is not None
            assert issuer.trusted.find("https://ci.example/") is None
            return found.audience, found.scopes

    assert asyncio.run(trusted()) == (ISSUER, ("read",))
