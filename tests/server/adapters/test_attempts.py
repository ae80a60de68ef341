"""Failed sign-ins: each counted before it is tried, so that many at once gain nothing."""

from __future__ import annotations

from watchword_server.adapters.memory.attempts import Attempts
from watchword_server.people.throttle import FREE_FOR_ACCOUNT, FREE_FOR_ADDRESS

NOW = 1_800_000_000.0
ANN = ("account:ann", "address:192.0.2.1")


def test_an_account_waits_after_its_free_failures():
    """And longer after each further one; later it may try again."""
    attempts = Attempts()
    assert [attempts.begin(ANN, NOW) for _ in range(FREE_FOR_ACCOUNT)] == [0] * FREE_FOR_ACCOUNT
    pause = attempts.begin(ANN, NOW)
    assert pause > 0
    assert attempts.begin(ANN, NOW + pause) == 0
    assert attempts.begin(ANN, NOW + pause) > pause


def test_an_attempt_that_must_wait_is_not_counted():
    """Asking again too early does not make it longer."""
    attempts = Attempts()
    for _ in range(FREE_FOR_ACCOUNT):
        attempts.begin(ANN, NOW)
    pauses = {attempts.begin(ANN, NOW) for _ in range(100)}
    assert len(pauses) == 1


def test_an_address_waits_whatever_accounts_it_tries():
    """One password for many people is a guess as well; another address is free."""
    attempts = Attempts()
    for n in range(FREE_FOR_ADDRESS):
        assert attempts.begin((f"account:{n}", "address:a"), NOW) == 0
    assert attempts.begin(("account:new", "address:a"), NOW) > 0
    assert attempts.begin(("account:new", "address:b"), NOW) == 0


def test_success_clears_the_account_and_takes_back_one_from_the_address():
    """Else a good password would pay for the guesses of others at that address, or the other way round."""
    attempts = Attempts()
    for _ in range(FREE_FOR_ACCOUNT):
        attempts.begin(ANN, NOW)
    attempts.succeed(ANN)
    assert attempts.begin(ANN, NOW) == 0
    attempts.succeed(ANN)
    left = FREE_FOR_ADDRESS - (FREE_FOR_ACCOUNT - 1)
    assert [attempts.begin((f"account:{n}", ANN[1]), NOW) for n in range(left)] == [0] * left
    assert attempts.begin(("account:last", ANN[1]), NOW) > 0


def test_many_good_sign_ins_from_one_address_never_wait():
    """An office behind one address."""
    attempts = Attempts()
    for n in range(10 * FREE_FOR_ADDRESS):
        keys = (f"account:{n}", "address:office")
        assert attempts.begin(keys, NOW) == 0
        attempts.succeed(keys)


def test_memory_is_bounded_and_forgets_who_was_quiet_for_longest():
    """A flood of names cannot fill it, and does not free who keeps trying."""
    attempts = Attempts(remembered=100)
    for n in range(1000):
        attempts.begin((f"account:{n}",), NOW)
        if n < FREE_FOR_ACCOUNT or n % 50 == 0:
            attempts.begin(("account:ann",), NOW)
    assert attempts.begin(("account:ann",), NOW) > 0
    assert attempts.begin(("account:0",), NOW) == 0
