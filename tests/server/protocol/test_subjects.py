"""Pairwise subjects."""

from __future__ import annotations

import pytest

from watchword_server.protocol.subjects import pairwise, sector

SALT = b"s" * 32


def test_a_person_is_the_same_within_a_sector_and_another_in_each():
    """OpenID Connect Core §8.1."""
    here = pairwise("ada", "app.example", SALT)
    assert here == pairwise("ada", "app.example", SALT)
    others = {
        pairwise("bob", "app.example", SALT),
        pairwise("ada", "other.example", SALT),
        pairwise("ada", "app.example", b"t" * 32),
        pairwise("eada", "app.exampl", SALT),  # the same letters, cut elsewhere
        "ada",
    }
    assert here not in others
    assert len(others) == 5
    assert len(here) == 43


@pytest.mark.parametrize(
    ("uris", "expected"),
    [
        (["https://app.example/a", "https://app.example:8443/b"], "app.example"),
        (["https://app.example/a", "https://www.app.example/a"], None),
        ([], None),
    ],
)
def test_a_sector_is_the_host_of_all_redirect_uris(uris, expected):
    """With several hosts, or none, it has to be said (§8.1)."""
    assert sector(uris) == expected
