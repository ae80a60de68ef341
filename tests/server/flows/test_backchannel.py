"""Logout tokens reach the clients that want them, over real sockets, in the end; and who fails keeps nobody waiting."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

import pytest

from tests.server.flows.house import ALICE, BOB, BY, NOW, House
from tests.server.flows.relying import allowed, decrypted, identified, registered, verified
from tests.server.web.partying import listening
from tests.stories.processes import free_ports
from watchword.jose.jwe import DecryptionKey
from watchword_server.changes import Send
from watchword_server.flows import clients, revoking, users
from watchword_server.flows.backchannel import ACTOR, GIVEN_UP
from watchword_server.flows.endings import BACKCHANNEL
from watchword_server.flows.outbox import BATCH, CLAIM, FIRST_PAUSE, LANES, LONGEST_PAUSE, Outgoing, deliver
from watchword_server.flows.subjects import subject_for
from watchword_server.protocol.logout_token import EVENT, LIFETIME
from watchword_server.protocol.values import Client


@dataclass
class Mailbox:
    """A mailer that keeps what it is given."""

    messages: list[str] = field(default_factory=list)

    async def send(self, to: str, subject: str, text: str) -> None:
        """Keep it."""
        self.messages.append(to)


async def ended(house: House, client: Client, offline: bool = False) -> str:
    """A session that let the client in, and has ended; its `sid`."""
    grant = await allowed(house.issuer, client, offline=offline)
    assert grant.made_in is not None
    await revoking.session(house.issuer, BY, grant.made_in, NOW)
    return grant.made_in


def due(house: House) -> list[tuple[int | None, int, str]]:
    """What stands in the outbox: when it is due, how often it failed, why."""
    return house.rows("SELECT due_at, attempts, reason FROM outbox ORDER BY number")


def records(house: House) -> list[tuple[str, str, dict[str, object]]]:
    """What the audit trail says of logout tokens: outcome, target, details."""
    sql = "SELECT outcome, target, detail FROM audit WHERE action = 'logout.backchannel' AND actor = ? ORDER BY id"
    return [(outcome, target, json.loads(detail)) for outcome, target, detail in house.rows(sql, ACTOR)]


# What a client gets.


@pytest.mark.parametrize("alg", ["ES256", "RS256", "EdDSA"])
async def test_a_client_gets_a_token_signed_as_its_id_tokens_are(house: House, alg: str) -> None:
    """With a published key of its algorithm, though that may only be announced; §2.4, claim by claim."""
    with listening() as heard:
        client = await registered(house.issuer, backchannel_logout_uri=heard.uri, id_token_signed_response_alg=alg)
        sid = await ended(house, client)
        assert await deliver(house.issuer, Mailbox(), NOW) == 1
    header, claims = await verified(house.issuer, heard.tokens[0])
    assert (header["alg"], header["typ"]) == (alg, "logout+jwt")
    assert claims == {
        "iss": house.issuer.terms.issuer,
        "sub": await house.sub(),
        "aud": client.client_id,
        "iat": NOW,
        "exp": NOW + LIFETIME,
        "jti": claims["jti"],
        "events": {EVENT: {}},
        "sid": sid,
    }
    assert records(house) == [("ok", f"client:{client.client_id}", {"sid": sid, "attempt": 1})]
    assert due(house) == [(None, 0, "")]


async def test_a_client_knows_the_person_by_the_name_that_it_has(house: House) -> None:
    """A pairwise one gets the `sub` and the `sid` of its ID tokens, and never the real one."""
    with listening() as heard:
        client = await registered(house.issuer, backchannel_logout_uri=heard.uri, subject_type="pairwise")
        grant = await allowed(house.issuer, client)
        _, own = await verified(house.issuer, await identified(house.issuer, client, grant))
        await revoking.user(house.issuer, BY, ALICE, NOW)
        assert await deliver(house.issuer, Mailbox(), NOW) == 1
    _, claims = await verified(house.issuer, heard.tokens[0])
    assert (claims["sub"], claims["sid"]) == (own["sub"], own["sid"])
    assert claims["sub"] == await subject_for(house.issuer, client, grant.sub) != grant.sub


async def test_a_client_that_wants_its_id_tokens_encrypted_gets_this_one_so_too(house: House) -> None:
    """§2.4: nobody else may read who has left."""
    opens = DecryptionKey.generate("ECDH-ES")
    with listening() as heard:
        client = await registered(
            house.issuer,
            backchannel_logout_uri=heard.uri,
            id_token_encrypted_response_alg="ECDH-ES",
            id_token_encrypted_response_enc="A256GCM",
            jwks={"keys": [opens.public_jwk()]},
        )
        await ended(house, client)
        assert await deliver(house.issuer, Mailbox(), NOW) == 1
    header, inner = decrypted(heard.tokens[0], opens.private_jwk())
    assert (header["alg"], header["enc"]) == ("ECDH-ES", "A256GCM")
    header, claims = await verified(house.issuer, inner.decode())
    assert (header["typ"], claims["aud"]) == ("logout+jwt", client.client_id)


# When it does not take it.


@pytest.mark.parametrize("status", [400, 401, 404, 500, 501, 503, 302, 307, 201, 202])
async def test_whoever_does_not_say_that_it_was_taken_is_asked_again(house: House, status: int) -> None:
    """200 or 204 and nothing else (§2.8). What else it says is kept nowhere, and a redirect is not followed."""
    with listening() as heard:
        heard.answers = [status]
        client = await registered(house.issuer, backchannel_logout_uri=heard.uri)
        sid = await ended(house, client)
        assert await deliver(house.issuer, Mailbox(), NOW) == 0
        reason = f"{heard.uri.partition('?')[0]} answered {status}"
        assert due(house) == [(NOW + FIRST_PAUSE, 1, reason)]
        assert await deliver(house.issuer, Mailbox(), NOW + FIRST_PAUSE - 1) == 0
        assert await deliver(house.issuer, Mailbox(), NOW + FIRST_PAUSE) == 1
    first, second = [(await verified(house.issuer, token))[1] for token in heard.tokens]
    assert first["jti"] != second["jti"]
    assert (first["iat"], second["iat"]) == (NOW, NOW + FIRST_PAUSE), "each attempt has a token of its own"
    assert first["sid"] == second["sid"] == sid
    target = f"client:{client.client_id}"
    failed = {"sid": sid, "attempt": 1, "reason": reason}
    assert records(house) == [("failed", target, failed), ("ok", target, {"sid": sid, "attempt": 2})]


async def test_a_204_says_that_it_was_taken(house: House) -> None:
    """Some frameworks answer so (§2.8)."""
    with listening() as heard:
        heard.answers = [204]
        await ended(house, await registered(house.issuer, backchannel_logout_uri=heard.uri))
        assert await deliver(house.issuer, Mailbox(), NOW) == 1


async def test_who_is_away_for_a_while_hears_of_it_when_back(house: House) -> None:
    """Nobody listens; then somebody does, at the same place."""
    (port,) = free_ports()
    client = await registered(house.issuer, backchannel_logout_uri=f"http://127.0.0.1:{port}/told")
    sid = await ended(house, client)
    assert await deliver(house.issuer, Mailbox(), NOW) == 0
    with listening(port) as heard:
        assert await deliver(house.issuer, Mailbox(), NOW + FIRST_PAUSE) == 1
    assert (await verified(house.issuer, heard.tokens[0]))[1]["sid"] == sid


async def test_after_a_day_it_is_given_up_on_record(house: House) -> None:
    """Later and later until then; the last attempt is made when the day is over."""
    (port,) = free_ports()
    client = await registered(house.issuer, backchannel_logout_uri=f"http://127.0.0.1:{port}/told")
    sid, now, tries = await ended(house, client), NOW, 0
    while (at := due(house)[0][0]) is not None:
        assert await deliver(house.issuer, Mailbox(), at) == 0
        assert at - now <= LONGEST_PAUSE
        now, tries = at, tries + 1
    assert GIVEN_UP <= now - NOW <= GIVEN_UP + LONGEST_PAUSE
    *failed, last = records(house)
    assert {outcome for outcome, *_ in failed} == {"failed"}
    assert (last[0], last[2]["attempt"], last[2]["sid"]) == ("given up", tries, sid)
    assert tries == len(failed) + 1 < 45


async def test_who_does_not_want_it_any_more_is_not_asked(house: House) -> None:
    """Disabled, or changed meanwhile: it counts as done."""
    with listening() as heard:
        client = await registered(house.issuer, backchannel_logout_uri=heard.uri)
        await ended(house, client)
        await clients.disable(house.issuer, BY, client.client_id, NOW)
        await house.issuer.stores.journal.save(
            Send(BACKCHANNEL, {"client_id": "gone", "sub": "s", "sid": "s", "at": NOW}, NOW)
        )
        assert await deliver(house.issuer, Mailbox(), NOW) == 2
    assert heard.forms == []
    assert [at for at, *_ in due(house)] == [None, None]


async def test_only_what_an_operator_registered_may_be_in_allowed_networks(house: House) -> None:
    """The guarded fetcher is told who has named the URL."""
    asked = []

    class Watching:
        async def post(self, url: str, form: dict[str, str], *, by_operator: bool) -> None:
            asked.append(by_operator)

    issuer = replace(house.issuer, fetcher=Watching())
    for itself in (False, True):
        uri = "http://127.0.0.1:1/told"
        await ended(house, await registered(house.issuer, backchannel_logout_uri=uri, registered_itself=itself))
        await deliver(issuer, Mailbox(), NOW)
    assert asked == [True, False]


# Who waits for whom.


async def test_who_hangs_keeps_neither_mail_nor_other_clients_waiting(house: House) -> None:
    """More than a batch for the one that hangs, all due before the others; in real time."""
    with listening(hangs=True) as hanging, listening() as heard:
        slow = await registered(house.issuer, backchannel_logout_uri=hanging.uri)
        quick = await registered(house.issuer, backchannel_logout_uri=heard.uri)
        body = {"client_id": slow.client_id, "sub": await house.sub(), "sid": "s", "at": NOW}
        await house.issuer.stores.journal.save(*(Send(BACKCHANNEL, body, NOW - 9) for _ in range(BATCH - 10)))
        await ended(house, quick)
        await users.set_password(house.issuer, BY, BOB, "another Password 9", NOW)
        mailbox = Mailbox()
        outgoing, start = Outgoing(house.issuer, mailbox, time.time), time.monotonic()
        try:
            await outgoing.begin()
            while not (heard.forms and mailbox.messages and hanging.forms):
                assert time.monotonic() - start < 3, "waits for who hangs"
                await asyncio.sleep(0.01)
            assert await outgoing.begin() == 0, "one lane for each"
        finally:
            await outgoing.close()
    assert len(hanging.forms) == 1


async def test_where_one_message_fails_the_rest_of_its_client_waits(house: House) -> None:
    """However many there are, who is not there is asked once in a while, and all of it leaves when it is back."""
    (port,) = free_ports()
    client = await registered(house.issuer, backchannel_logout_uri=f"http://127.0.0.1:{port}/told")
    sids = {await ended(house, client) for _ in range(5)}
    assert await deliver(house.issuer, Mailbox(), NOW) == 0
    assert due(house)[1:] == [(NOW + FIRST_PAUSE, 0, "")] * 4
    with listening(port) as heard:
        assert await deliver(house.issuer, Mailbox(), NOW + FIRST_PAUSE) == 5
    assert {(await verified(house.issuer, token))[1]["sid"] for token in heard.tokens} == sids


async def test_many_clients_are_told_at_once_and_not_too_many(house: House) -> None:
    """A bound, and the others come after."""
    with ExitStack() as stack:
        slow = [stack.enter_context(listening(hangs=True)) for _ in range(LANES + 3)]
        for one in slow:
            await ended(house, await registered(house.issuer, backchannel_logout_uri=one.uri))
        outgoing = Outgoing(house.issuer, Mailbox(), lambda: NOW)
        try:
            assert await outgoing.begin() == LANES
            assert await outgoing.begin() == 0
            for one in slow:
                one.hangs.set()
            await outgoing.through()
            assert await outgoing.begin() == 3
            await outgoing.through()
        finally:
            await outgoing.close()
    assert [len(one.forms) for one in slow] == [1] * (LANES + 3)


async def test_of_two_nodes_one_tells(house: House) -> None:
    """Both look at the same outbox at the same moment, time and again; nobody hears anything twice."""
    with listening() as heard:
        client = await registered(house.issuer, backchannel_logout_uri=heard.uri)
        sids = {await ended(house, client) for _ in range(20)}
        async with house.another_process() as other:
            for _ in range(3):
                await asyncio.gather(*(deliver(one.issuer, Mailbox(), NOW) for one in (house, other)))
    said = [(await verified(house.issuer, token))[1]["sid"] for token in heard.tokens]
    assert len(said) == len(sids)
    assert set(said) == sids


async def test_what_a_node_had_claimed_when_it_died_is_told_by_another(house: House) -> None:
    """When its claim is over, and not before."""
    with listening(hangs=True) as hanging:
        await ended(house, await registered(house.issuer, backchannel_logout_uri=hanging.uri))
        dying = Outgoing(house.issuer, Mailbox(), lambda: NOW)
        await dying.begin()
        while not hanging.forms:
            await asyncio.sleep(0.01)
        await dying.close()
        hanging.hangs.set()
        async with house.another_process() as other:
            assert await deliver(other.issuer, Mailbox(), NOW + CLAIM - 1) == 0
            assert await deliver(other.issuer, Mailbox(), NOW + CLAIM) == 1
    assert len(hanging.forms) == 2
