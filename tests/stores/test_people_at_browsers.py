"""Codes, consents, requests that wait, sessions at browsers: what the pages and the authorization endpoint stand on."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.stores.people_and_programs import (
    AT_BROWSER,
    CODE,
    CONSENT,
    EVERYTHING,
    GRANT,
    INTERACTION,
    INVITATION,
    NOW,
    OF_OPENID,
    OPENID_CLIENT,
    OPENID_GRANT,
    PERSON,
    PUSHED,
    SALT,
    SESSION,
    USER,
)
from watchword_server.changes import (
    Add,
    Advance,
    EndGrant,
    EndGrantsBetween,
    EndSession,
    Finish,
    Forget,
    MoveBrowser,
    Reauthenticate,
    Remember,
    ReplaceClient,
    SetProfile,
    SpendCode,
    TakePushed,
    UseInvitation,
)
from watchword_server.ports import Conflict, Party
from watchword_server.protocol.grants.authorization_code import Redeemable


@pytest.fixture
async def filled(stores):
    """Stores with one of everything."""
    await stores.journal.save(*EVERYTHING, *OF_OPENID)
    return stores


async def test_every_record_comes_back_as_it_was_saved(filled):
    """With all that is kept as JSON."""
    assert await filled.users.find(PERSON.sub) == PERSON
    assert await filled.clients.find(OPENID_CLIENT.client_id) == OPENID_CLIENT
    assert await filled.sessions.find(AT_BROWSER.sid) == AT_BROWSER
    assert await filled.grants.find(OPENID_GRANT.gid) == OPENID_GRANT
    assert await filled.requests.interaction(INTERACTION.hash) == INTERACTION
    assert await filled.requests.pushed(PUSHED.hash) == PUSHED
    assert await filled.secrets.find("salt") == SALT


async def test_what_is_not_there_is_none(stores):
    """As everywhere."""
    assert await stores.codes.redeemable(b"x") is None
    assert await stores.consents.find("a", "b", "c") is None
    assert await stores.requests.interaction(b"x") is None
    assert await stores.requests.pushed(b"x") is None
    assert await stores.secrets.find("x") is None


async def test_a_code_comes_with_all_that_it_leads_to(filled):
    """Of one moment: the grant, the session in which it was made, and the person."""
    assert await filled.codes.redeemable(CODE.hash) == Redeemable(CODE, OPENID_GRANT, AT_BROWSER, USER)


async def test_a_code_that_leads_nowhere_is_found_all_the_same(filled):
    """Its grant may have been purged."""
    lost = replace(CODE, hash=b"l" * 32, gid="nowhere")
    await filled.journal.save(Add(lost))
    assert await filled.codes.redeemable(lost.hash) == Redeemable(lost, None, None, None)


async def test_a_code_is_spent_once(filled):
    """The second one is told that it came too late."""
    await filled.journal.save(SpendCode(CODE.hash, NOW + 1))
    assert (await filled.codes.redeemable(CODE.hash)).code.spent_at == NOW + 1
    with pytest.raises(Conflict):
        await filled.journal.save(SpendCode(CODE.hash, NOW + 2))


async def test_a_code_of_a_grant_that_has_ended_is_not_spent(filled):
    """Whoever signs out meanwhile has signed out."""
    await filled.journal.save(EndGrant(OPENID_GRANT.gid, NOW))
    with pytest.raises(Conflict):
        await filled.journal.save(SpendCode(CODE.hash, NOW))


async def test_a_consent_is_remembered_replaced_and_forgotten(filled):
    """One a person, client and API; the latest counts."""
    key = (CONSENT.sub, CONSENT.client_id, CONSENT.audience)
    await filled.journal.save(Remember(CONSENT))
    assert await filled.consents.find(*key) == CONSENT
    less = replace(CONSENT, scope=(), granted_at=NOW + 5)
    await filled.journal.save(Remember(less))
    assert await filled.consents.find(*key) == less
    assert list(await filled.consents.of(USER.sub)) == [less]
    await filled.journal.save(Forget(USER.sub, "another"))
    assert await filled.consents.find(*key) == less
    await filled.journal.save(Forget(USER.sub, CONSENT.client_id))
    assert list(await filled.consents.of(USER.sub)) == []


async def test_a_request_advances_and_is_answered_once(filled):
    """A form that is sent twice has one answer."""
    await filled.journal.save(Advance(INTERACTION.hash, "sid-1", "sid-2"))
    found = await filled.requests.interaction(INTERACTION.hash)
    assert found == replace(INTERACTION, signed_in="sid-1", selected="sid-2")
    await filled.journal.save(Finish(INTERACTION.hash))
    for late in (Finish(INTERACTION.hash), Advance(INTERACTION.hash, None, None)):
        with pytest.raises(Conflict):
            await filled.journal.save(late)


async def test_a_pushed_request_is_used_once(filled):
    """RFC 9126 §7.3."""
    await filled.journal.save(TakePushed(PUSHED.hash))
    assert await filled.requests.pushed(PUSHED.hash) is None
    with pytest.raises(Conflict):
        await filled.journal.save(TakePushed(PUSHED.hash))


async def test_an_invitation_is_good_for_so_many_clients_and_so_long(filled):
    """Whichever comes first."""
    with pytest.raises(Conflict):
        await filled.journal.save(UseInvitation(INVITATION.hash, INVITATION.expires_at))
    for _ in range(INVITATION.uses_left):
        await filled.journal.save(UseInvitation(INVITATION.hash, NOW))
    with pytest.raises(Conflict):
        await filled.journal.save(UseInvitation(INVITATION.hash, NOW))
    with pytest.raises(Conflict):
        await filled.journal.save(UseInvitation(b"unknown", NOW))
    assert await filled.invitations.find(INVITATION.hash) == replace(INVITATION, uses_left=0)
    assert await filled.invitations.find(b"unknown") is None


async def test_a_browser_finds_its_sessions_also_under_a_new_secret(filled):
    """With the requests that wait for it; those of other browsers, and sessions of none, stay where they are."""
    assert list(await filled.sessions.at(AT_BROWSER.browser)) == [AT_BROWSER]
    await filled.journal.save(MoveBrowser(AT_BROWSER.browser, b"n" * 32))
    assert list(await filled.sessions.at(AT_BROWSER.browser)) == []
    assert [one.sid for one in await filled.sessions.at(b"n" * 32)] == [AT_BROWSER.sid]
    assert (await filled.requests.interaction(INTERACTION.hash)).browser == b"n" * 32
    assert (await filled.sessions.find(SESSION.sid)).browser is None


async def test_a_session_that_has_ended_is_at_no_browser(filled):
    """And nobody signs in again in it."""
    await filled.journal.save(EndSession(AT_BROWSER.sid, NOW))
    assert list(await filled.sessions.at(AT_BROWSER.browser)) == []
    with pytest.raises(Conflict):
        await filled.journal.save(Reauthenticate(AT_BROWSER.sid, NOW, ("pwd",)))


async def test_signing_in_again_is_noted(filled):
    """A later time, and how."""
    await filled.journal.save(Reauthenticate(AT_BROWSER.sid, NOW + 9, ("pwd", "otp")))
    found = await filled.sessions.find(AT_BROWSER.sid)
    assert (found.auth_time, found.amr, found.created_at) == (NOW + 9, ("pwd", "otp"), NOW)


async def test_grants_are_found_by_whose_they_are(filled):
    """Those that live."""
    assert {one.gid for one in await filled.grants.of(USER.sub, NOW)} == {GRANT.gid, OPENID_GRANT.gid}
    assert list(await filled.grants.of(USER.sub, OPENID_GRANT.expires_at)) == []
    await filled.journal.save(EndGrantsBetween(USER.sub, "app", NOW))
    assert [one.gid for one in await filled.grants.of(USER.sub, NOW)] == [GRANT.gid]


async def test_who_was_let_in_by_a_session_is_known_until_it_ends(filled):
    """Whatever became of the grants, however many one client got, and whether they outlive the session."""
    another = replace(OPENID_GRANT, gid="gid-3", sid="sid-2")
    older = replace(OPENID_GRANT, gid="gid-4", made_in="sid-3", client_id="web")
    elsewhere = replace(AT_BROWSER, sid="sid-3", browser=None)
    await filled.journal.save(Add(another), Add(elsewhere), Add(older))
    await filled.journal.save(EndGrantsBetween(USER.sub, "app", NOW))
    here, there = Party("sid-2", USER.sub, "app"), Party("sid-3", USER.sub, "web")
    assert list(await filled.grants.parties("sid-2")) == [here]
    assert list(await filled.grants.parties_of(USER.sub)) == [here, there]
    assert list(await filled.grants.parties("nobody's")) == list(await filled.grants.parties_of("nobody")) == []
    await filled.journal.save(EndSession("sid-2", NOW))
    assert list(await filled.grants.parties("sid-2")) == []
    assert list(await filled.grants.parties_of(USER.sub)) == [there]


async def test_a_grant_that_was_made_in_a_session_may_outlive_it(filled):
    """Only what is bound to it by its `sid` ends with it."""
    await filled.journal.save(EndSession("sid-2", NOW))
    assert (await filled.grants.find(OPENID_GRANT.gid)).ended_at is None


async def test_a_client_and_a_person_are_replaced_but_for_what_they_are(filled):
    """Neither id, secret nor state can be changed that way; both move the state that others keep."""
    before = (await filled.log.head()).state
    other = replace(OPENID_CLIENT, name="New", redirect_uris=("https://n/cb",), secret_hash=b"evil", disabled_at=NOW)
    await filled.journal.save(ReplaceClient(other))
    found = await filled.clients.find(OPENID_CLIENT.client_id)
    assert found == replace(OPENID_CLIENT, name="New", redirect_uris=("https://n/cb",))
    await filled.journal.save(SetProfile(PERSON.sub, "Cho Lee", {"given_name": "Cho"}))
    assert await filled.users.find(PERSON.sub) == replace(PERSON, name="Cho Lee", profile={"given_name": "Cho"})
    assert (await filled.log.head()).state > before


async def test_what_has_expired_is_purged_but_a_code_that_may_come_back(filled):
    """A code that was spent is remembered for a day."""
    await filled.journal.purge(NOW + 3000, 0)
    assert await filled.requests.interaction(INTERACTION.hash) is None
    assert await filled.requests.pushed(PUSHED.hash) is None
    assert await filled.codes.redeemable(CODE.hash) is not None
    with pytest.raises(Conflict):
        await filled.journal.save(UseInvitation(INVITATION.hash, NOW))
    await filled.journal.purge(CODE.expires_at + 86_401, 0)
    assert await filled.codes.redeemable(CODE.hash) is None
