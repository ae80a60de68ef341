"""The rule of token exchange: whose tokens, for what, who acts, and for how long."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from watchword_server.protocol.errors import (
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    UnacceptableToken,
    UnauthorizedClient,
)
from watchword_server.protocol.grants.token_exchange import (
    ACCESS_TOKEN,
    GRANT_TYPE,
    JWT,
    Bounds,
    Subject,
    came_by,
    decide,
    must_be_the_clients_own,
    must_have_room,
    wanted,
)
from watchword_server.protocol.values import Authentication, Client, ClientMetadata, Grant

NOW = 1_800_000_000
ORDERS, STOCK, BARE = "https://orders.example", "https://stock.example", "https://bare.example"
AGENT = Client(
    "agent", "Agent", "confidential", b"", frozenset({GRANT_TYPE}),
    {ORDERS: ("read", "write"), STOCK: ("read", "count"), BARE: ()}, NOW,
    metadata=ClientMetadata(acts_for=("app",)),
)  # fmt: skip
SIGNED_IN = Authentication(sid="s-1", auth_time=NOW - 60, amr=("pwd",), acr="1")
ROOT = Grant(
    "g-1", "app", "alice", ORDERS, ("read", "pay"), NOW - 600, NOW + 900, sid="s-1", authentication=SIGNED_IN
)  # fmt: skip
HERS = Subject(name="alice-at-app", grant=ROOT, scope=("read", "pay"), expires_at=NOW + 300)
FORM = {"grant_type": GRANT_TYPE, "subject_token": "t", "subject_token_type": ACCESS_TOKEN}


def got(subject: Subject = HERS, client: Client = AGENT, bounds: Bounds | None = None, **form: str) -> Grant:
    """What a client gets for a token."""
    return decide(client, subject, wanted(client, {**FORM, **form}), bounds or Bounds(), "g-2", NOW)


def trusted(**metadata: object) -> Client:
    """The agent, as the operator described it."""
    return replace(AGENT, metadata=replace(AGENT.metadata, **metadata))


def test_a_child_is_of_its_parents_tree_session_and_sign_in():
    """What ends one of those ends the child."""
    child = got()
    assert (child.gid, child.client_id, child.sub) == ("g-2", "agent", "alice")
    assert (child.parent, child.lineage, child.sid) == ("g-1", ("g-1",), "s-1")
    assert (child.audience, child.scope, child.act) == (ORDERS, ("read",), {"sub": "agent"})
    assert child.authentication == SIGNED_IN


@pytest.mark.parametrize(("form", "refusal"), [
    ({"subject_token": ""}, InvalidRequest),
    ({"subject_token_type": ""}, InvalidRequest),
    ({"subject_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}, InvalidRequest),
    ({"subject_token_type": "urn:ietf:params:oauth:token-type:id_token"}, InvalidRequest),
    ({"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}, InvalidRequest),
    ({"requested_token_type": "urn:ietf:params:oauth:token-type:id_token"}, InvalidRequest),
    ({"actor_token": "t"}, InvalidRequest),
    ({"actor_token_type": ACCESS_TOKEN}, InvalidRequest),
    ({"actor_token": "t", "actor_token_type": "urn:ietf:params:oauth:token-type:saml2"}, InvalidRequest),
    ({"resource": ORDERS, "audience": STOCK}, InvalidTarget),
])  # fmt: skip
def test_a_request_that_is_not_whole_is_refused(form, refusal):
    """RFC 8693 §2.1; and no token of another kind comes of one (§2.2)."""
    with pytest.raises(refusal):
        wanted(AGENT, {name: value for name, value in {**FORM, **form}.items() if value})


def test_a_request_says_what_kind_of_token_it_wants():
    """Our access tokens are JWTs, so both words are good."""
    assert wanted(AGENT, FORM).issued_token_type == ACCESS_TOKEN
    assert wanted(AGENT, {**FORM, "requested_token_type": JWT}).issued_token_type == JWT
    assert wanted(AGENT, {**FORM, "resource": STOCK, "audience": STOCK}).audience == STOCK


@pytest.mark.parametrize("client", [
    replace(AGENT, kind="public", secret_hash=None),
    replace(AGENT, grant_types=frozenset({"client_credentials"})),
])  # fmt: skip
def test_only_a_client_that_has_shown_who_it_is_may_exchange_and_only_if_let(client):
    """RFC 8693 §5: else whoever finds a token could."""
    with pytest.raises(UnauthorizedClient):
        wanted(client, FORM)


@pytest.mark.parametrize(("of", "acts_for", "may"), [
    ("app", ("app",), True),
    ("app", ("other", "app"), True),
    ("app", ("*",), True),
    ("app", (), False),
    ("app", ("other",), False),
    ("app", ("ap",), False),
    ("agent", (), True),
])  # fmt: skip
def test_whose_tokens_a_client_may_exchange_follows_from_the_token(of, acts_for, may):
    """By the client that the token was made for; its own always."""
    subject, client = replace(HERS, grant=replace(ROOT, client_id=of)), trusted(acts_for=acts_for)
    if may:
        assert got(subject, client).client_id == "agent"
        return
    with pytest.raises(UnacceptableToken):
        got(subject, client)


def test_a_token_in_a_chain_is_its_last_clients():
    """Who may act for the first may not take what the second made of it."""
    second = replace(HERS, grant=replace(ROOT, client_id="second", lineage=("g-0",)), via=("app",))
    with pytest.raises(UnacceptableToken):
        got(second)
    assert got(second, trusted(acts_for=("second",))).lineage == ("g-1", "g-0")


@pytest.mark.parametrize(("may_act", "fits"), [
    ({"sub": "agent"}, True),
    ({"sub": "agent", "client_id": "agent"}, True),
    ({"sub": "other"}, False),
    ({"client_id": "agent"}, False),
    ({"sub": "agent", "iss": "https://elsewhere.example"}, False),
    ({"sub": ["agent"]}, False),
    ({}, False),
])  # fmt: skip
def test_a_token_that_says_who_may_act_is_obeyed(may_act, fits):
    """RFC 8693 §4.4: all that identifies the actor fits, or nobody acts."""
    subject = replace(HERS, may_act=may_act)
    if fits:
        assert got(subject).act == {"sub": "agent"}
        return
    with pytest.raises(UnacceptableToken):
        got(subject)


@pytest.mark.parametrize(("form", "found"), [
    ({}, (ORDERS, ("read",))),
    ({"scope": "read"}, (ORDERS, ("read",))),
    ({"scope": "read write"}, InvalidScope),
    ({"scope": "write"}, InvalidScope),
    ({"scope": "pay"}, InvalidScope),
    ({"resource": STOCK}, (STOCK, ("read",))),
    ({"audience": STOCK, "scope": "read"}, (STOCK, ("read",))),
    ({"resource": STOCK, "scope": "count"}, InvalidScope),
    ({"resource": BARE}, (BARE, ())),
    ({"resource": BARE, "scope": "read"}, InvalidScope),
    ({"resource": "https://nowhere.example"}, InvalidTarget),
    ({"resource": f"{STOCK}/"}, (STOCK, ("read",))),
    ({"resource": f"{STOCK}/", "audience": STOCK}, (STOCK, ("read",))),
    ({"resource": f"{ORDERS}/x"}, InvalidTarget),
    ({"resource": "orders"}, InvalidTarget),
    ({"scope": "read  read"}, InvalidScope),
])  # fmt: skip
def test_scopes_are_what_both_the_token_and_the_client_may_have(form, found):
    """At the API that was asked for, else at the token's own; never more than the token has."""
    if isinstance(found, tuple):
        child = got(**form)
        assert (child.audience, child.scope) == found
        return
    with pytest.raises(found):
        got(**form)


def test_a_token_without_a_scope_that_the_client_may_have_is_worth_nothing():
    """Else a token for nothing would be one for everything to an API that does not look."""
    with pytest.raises(InvalidScope):
        got(replace(HERS, scope=("pay",)))
    with pytest.raises(InvalidScope):
        got(replace(HERS, scope=()))


def test_who_a_person_is_is_not_told_to_who_acts_for_them():
    """Also where an API has a scope by that name: userinfo is for whom they have let in."""
    hers, nosy = replace(HERS, scope=("openid", "read")), replace(AGENT, access={ORDERS: ("read", "openid")})
    assert got(hers, nosy).scope == ("read",)
    with pytest.raises(InvalidScope):
        got(hers, nosy, scope="openid read")


def test_an_api_that_the_client_has_no_access_to_has_to_be_named():
    """The token's own is out of its reach, and it may use several others."""
    elsewhere = replace(HERS, grant=replace(ROOT, audience="https://mail.example"))
    with pytest.raises(InvalidTarget):
        got(elsewhere)
    assert got(elsewhere, resource=STOCK).audience == STOCK
    assert got(elsewhere, replace(AGENT, access={STOCK: ("read",)})).audience == STOCK


CHAIN = {"sub": "second", "act": {"sub": "first"}}


@pytest.mark.parametrize(("before", "impersonates", "form", "after"), [
    (None, False, {}, {"sub": "agent"}),
    (CHAIN, False, {}, {"sub": "agent", "act": CHAIN}),
    ({"sub": "agent", "act": CHAIN}, False, {}, {"sub": "agent", "act": CHAIN}),
    ({"sub": "agent", "iss": "https://elsewhere.example"}, False, {},
     {"sub": "agent", "act": {"sub": "agent", "iss": "https://elsewhere.example"}}),
    (None, True, {}, None),
    (CHAIN, True, {}, CHAIN),
    (None, True, {"actor_token": "t", "actor_token_type": ACCESS_TOKEN}, {"sub": "agent"}),
    (CHAIN, True, {"actor_token": "t", "actor_token_type": ACCESS_TOKEN}, {"sub": "agent", "act": CHAIN}),
])  # fmt: skip
def test_who_acts_is_said_with_all_who_acted_before(before, impersonates, form, after):
    """RFC 8693 §4.1. Only who may impersonate leaves itself out, and nobody leaves out another."""
    assert got(replace(HERS, act=before), trusted(impersonates=impersonates), **form).act == after


@pytest.mark.parametrize(("client_id", "sub"), [("agent", "alice"), ("other", "agent"), ("other", "other")])
def test_an_actor_token_is_the_clients_own_about_itself(client_id, sub):
    """It could else act in the name of whoever's token it has got hold of."""
    must_be_the_clients_own(AGENT, "agent", "agent")
    with pytest.raises(UnacceptableToken):
        must_be_the_clients_own(AGENT, client_id, sub)


@pytest.mark.parametrize(("token", "grant", "until"), [(300, 900, 300), (900, 300, 300), (1, 900, 1)])
def test_a_child_outlives_neither_the_token_nor_its_grant(token, grant, until):
    """Else exchanging would be refreshing, without a refresh token."""
    subject = replace(HERS, expires_at=NOW + token, grant=replace(ROOT, expires_at=NOW + grant))
    assert got(subject).expires_at == NOW + until


@pytest.mark.parametrize("subject", [
    replace(HERS, grant=replace(ROOT, ended_at=NOW)),
    replace(HERS, grant=replace(ROOT, expires_at=NOW)),
    replace(HERS, expires_at=NOW),
])  # fmt: skip
def test_nothing_comes_of_what_has_ended(subject):
    """On its last second too (RFC 7519 §4.1.4)."""
    with pytest.raises(UnacceptableToken):
        got(subject)


def test_a_chain_has_an_end():
    """By lineage, and by those who acted before a token of another issuer came here."""
    deep = replace(HERS, grant=replace(ROOT, lineage=("g-0",)))
    assert len(got(deep, bounds=Bounds(depth=2)).lineage) == 2
    with pytest.raises(InvalidRequest, match="no more than 1 "):
        got(deep, bounds=Bounds(depth=1))
    with pytest.raises(InvalidRequest, match="no more than 2 "):
        got(replace(HERS, act=CHAIN), bounds=Bounds(depth=2))


def test_a_grant_has_so_many_children():
    """And the refusal says how many."""
    must_have_room(2, Bounds(children=3))
    with pytest.raises(InvalidRequest, match="no more than 3 "):
        must_have_room(3, Bounds(children=3))


@pytest.mark.parametrize(("of", "via", "found"), [
    ("app", (), ("app",)),
    ("second", ("app",), ("second", "app")),
    ("agent", ("app",), ("app",)),
    ("second", ("agent", "app"), ("second", "app")),
])  # fmt: skip
def test_a_token_names_the_clients_that_it_came_through(of, via, found):
    """Each once, the nearest first; its own is named already."""
    assert came_by(AGENT, replace(HERS, grant=replace(ROOT, client_id=of), via=via)) == found
