"""Every forged token meets the whole verifier, blocking and awaited, on fixed keys and following an issuer."""

from __future__ import annotations

import pytest

from tests.attacks import claims, envelope
from tests.attacks.attack import Attack
from tests.attacks.judges import Judge
from watchword import Principal


@pytest.mark.parametrize("attack", [*envelope.ATTACKS, *envelope.NO_TOKENS, *claims.ATTACKS], ids=str)
async def test_a_forged_token_is_refused(attack: Attack, judges: list[Judge]) -> None:
    """With the same class by everybody and every time, and nothing else ever comes out."""
    for judge in judges:
        assert await judge.verdicts(attack.forge(judge.mint())) == [attack.refusal] * 3, judge.name


async def test_what_was_forged_is_good_as_it_was(judges: list[Judge]) -> None:
    """The tokens that the attacks begin with are accepted, or all of this would show nothing."""
    for judge in judges:
        for alg in ("ES256", "RS256", "EdDSA"):
            first, *others = await judge.verdicts(judge.mint().token(alg=alg))
            assert isinstance(first, Principal)
            assert all(other is first for other in others)
