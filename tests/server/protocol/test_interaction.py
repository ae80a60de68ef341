"""What a person has to do before an answer goes out."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from watchword_server.protocol.authorization import Addressee, AuthorizationRequest
from watchword_server.protocol.errors import ConsentRequired, LoginRequired, SelectionRequired
from watchword_server.protocol.interaction import Standing, Step, next_step

NOW = 1_800_000_000
ASK = AuthorizationRequest(to=Addressee("app", "https://app.example/cb"), scope=("openid", "email"))
NOBODY = Standing()
ADA = Standing(sub="ada", signed_in_at=NOW - 100, consented=frozenset({"openid", "email"}))
NEW = replace(ADA, signed_in_at=NOW, is_new=True)
OURS = Standing(sub="ada", signed_in_at=NOW - 100, trusted=True)


def asking(**what: object) -> AuthorizationRequest:
    """A request with something more."""
    return replace(ASK, **what)


def prompting(*prompts: str) -> AuthorizationRequest:
    """A request with prompts."""
    return replace(ASK, prompt=frozenset(prompts))


OFFLINE = asking(scope=("openid", "offline_access"))

CASES = [
    (ASK, NOBODY, Step.SIGN_IN),
    (ASK, ADA, Step.ANSWER),
    (ASK, replace(ADA, consented=frozenset({"openid"})), Step.CONSENT),
    (ASK, replace(ADA, consented=frozenset(), has_answered=True), Step.ANSWER),
    (ASK, OURS, Step.ANSWER),
    (prompting("login"), ADA, Step.SIGN_IN),
    (prompting("login"), NEW, Step.ANSWER),
    (prompting("consent"), ADA, Step.CONSENT),
    (prompting("consent"), OURS, Step.CONSENT),
    (prompting("consent"), replace(ADA, has_answered=True), Step.ANSWER),
    (prompting("login", "consent"), ADA, Step.SIGN_IN),
    (prompting("login", "consent"), NEW, Step.CONSENT),
    (prompting("create"), NOBODY, Step.SIGN_UP),
    (prompting("create"), ADA, Step.SIGN_UP),
    (prompting("create"), NEW, Step.ANSWER),
    (prompting("select_account"), ADA, Step.SELECT_ACCOUNT),
    (prompting("select_account"), replace(ADA, has_selected=True), Step.ANSWER),
    (prompting("select_account"), NEW, Step.ANSWER),
    (prompting("select_account"), NOBODY, Step.SIGN_IN),
    (asking(max_age=100), ADA, Step.ANSWER),
    (asking(max_age=99), ADA, Step.SIGN_IN),
    (asking(max_age=0), ADA, Step.SIGN_IN),
    (asking(max_age=0), replace(NEW, signed_in_at=NOW - 5), Step.ANSWER),
    (ASK, replace(ADA, hinted="ada"), Step.ANSWER),
    (ASK, replace(ADA, hinted="bob"), Step.SELECT_ACCOUNT),
    (ASK, replace(NEW, hinted="bob"), Step.SELECT_ACCOUNT),
    (ASK, replace(NOBODY, hinted="bob"), Step.SIGN_IN),
    (OFFLINE, OURS, Step.CONSENT),
    (OFFLINE, replace(OURS, consented=frozenset({"offline_access"})), Step.ANSWER),
    (OFFLINE, ADA, Step.CONSENT),
    (ASK, replace(NOBODY, is_new=True), Step.SIGN_IN),
]


@pytest.mark.parametrize(("ask", "standing", "step"), CASES)
def test_the_next_thing_to_do(ask, standing, step):
    """OpenID Connect Core §3.1.2.3 and §3.1.2.4: one after the other, and nothing that was done is asked for again."""
    assert next_step(ask, standing, NOW) is step


REFUSALS = {
    Step.SIGN_IN: LoginRequired,
    Step.SIGN_UP: LoginRequired,
    Step.SELECT_ACCOUNT: SelectionRequired,
    Step.CONSENT: ConsentRequired,
}


@pytest.mark.parametrize(("ask", "standing", "step"), [case for case in CASES if not case[0].prompt])
def test_with_prompt_none_nothing_is_shown(ask, standing, step):
    """What would have to be shown is an error by its own code (§3.1.2.6)."""
    silent = replace(ask, prompt=frozenset({"none"}))
    if step is Step.ANSWER:
        assert next_step(silent, standing, NOW) is step
    else:
        with pytest.raises(REFUSALS[step]):
            next_step(silent, standing, NOW)
