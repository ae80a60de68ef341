"""`watchword user` and `watchword init`."""

from __future__ import annotations

import pytest

from tests.stories.processes import Site, watchword

PASSWORD = "correct horse battery staple"


def test_a_person_is_added_listed_and_shown(site: Site):
    """The e-mail address is kept in its one spelling."""
    made = site.cli("user", "add", "Ada@Example.com", "--name", "Ada", "--password-stdin", stdin=PASSWORD)
    assert (made["email"], made["name"], made["roles"], made["disabled_at"]) == ("ada@example.com", "Ada", [], None)
    assert made in site.cli("user", "list")["users"]
    assert site.cli("user", "show", made["sub"]) == {**made, "sessions": []}
    assert site.cli("user", "show", "ADA@example.com")["sub"] == made["sub"]


def test_a_password_that_was_given_is_not_repeated(site: Site):
    """Only one that was made here is shown, for nobody else knows it."""
    given = site.run("user", "add", "given@example.com", "--password-stdin", stdin=PASSWORD)
    assert PASSWORD not in given.out + given.err
    assert len(site.cli("user", "add", "made@example.com", "--generate-password")["password"]) >= 20


@pytest.mark.parametrize(
    ("options", "stdin", "code", "said"),
    [
        (("--password-stdin",), "short", 1, "at least"),
        (("--password-stdin",), "", 2, "standard input"),
        (("--password-stdin",), "one line\nand another\n", 2, "one line"),
        (("--password-stdin", "--generate-password"), PASSWORD, 2, "not both"),
        ((), PASSWORD, 2, "--password-stdin"),
        (("--password-stdin", "--role", "no spaces"), PASSWORD, 1, "role"),
    ],
)
def test_a_person_without_a_good_password_is_not_added(
    site: Site, options: tuple[str, ...], stdin: str, code: int, said: str
):
    """And the sentence says what would do."""
    ran = site.run("user", "add", "refused@example.com", *options, stdin=stdin)
    assert ran.code == code
    assert said in ran.err
    assert site.run("user", "show", "refused@example.com").code == 3


def test_a_person_is_disabled_and_enabled(site: Site):
    """With a time, that the answer shows."""
    user = site.new_user()
    assert site.cli("user", "disable", user.email)["disabled_at"] > 0
    assert site.cli("user", "show", user.email)["disabled_at"] > 0
    assert site.cli("user", "enable", user.email)["disabled_at"] is None


def test_roles_are_replaced(site: Site):
    """None given means none."""
    user = site.new_user("", "clerk")
    assert site.cli("user", "show", user.email)["roles"] == ["clerk"]
    assert site.cli("user", "roles", user.email, "--role", "boss", "--role", "admin")["roles"] == ["admin", "boss"]
    assert site.cli("user", "roles", user.email)["roles"] == []


def test_a_password_is_replaced(site: Site):
    """By a given one, or by one that is made and shown."""
    user = site.new_user()
    assert "password" not in site.cli("user", "password", user.email, "--password-stdin", stdin=PASSWORD)
    assert site.cli("user", "password", user.email, "--generate-password")["password"]


def test_a_long_list_has_pages(site: Site):
    """`next` leads on until it is null."""
    for name in ("page-a", "page-b", "page-c"):
        site.new_user(f"{name}@example.com")
    seen: list[str] = []
    after = "page-"
    while after:
        page = site.cli("user", "list", "--limit", "2", "--after", after)
        seen += [user["email"] for user in page["users"]]
        after = page["next"]
    assert [email for email in seen if email.startswith("page-")] == [f"page-{name}@example.com" for name in "abc"]


def test_a_stranger_cannot_write_to_the_terminal(site: Site):
    """Names come from strangers; the table shows what a terminal would obey."""
    ran = watchword(
        "user", "add", "esc@example.com", "--generate-password", "--name", "\x1b[2Jgone", "--config", str(site.config)
    )
    assert ran.code == 0
    assert "\x1b" not in ran.out
    assert "\\x1b[2Jgone" in ran.out


def test_the_first_administrator_is_made_once(own: Site):
    """`init` is for a new deployment; later ones are made by those there are."""
    first = own.cli("init", "--email", "root@example.com", "--password-stdin", stdin=PASSWORD)
    assert first["roles"] == ["admin"]
    again = own.run("init", "--email", "other@example.com", "--password-stdin", stdin=PASSWORD)
    assert (again.code, again.document["error"]) == (4, "taken")
    assert "root@example.com" in again.err
    assert [user["email"] for user in own.cli("user", "list")["users"]] == ["root@example.com"]


def test_what_apps_may_be_told_of_a_person_is_set_claim_by_claim(site: Site):
    """Standard claims only, each in its form; an empty value takes one away."""
    made = site.cli("user", "add", "claims@example.com", "--generate-password")
    told = site.cli(
        "user", "profile", "claims@example.com", "name=Ada L", "given_name=Ada", "email_verified=true",
        "birthdate=1815-12-10", "address.country=GB", "address.locality=London", "phone_number=+44 20 7946 0000",
    )  # fmt: skip
    assert (told["name"], told["sub"]) == ("Ada L", made["sub"])
    profile = told["profile"]
    assert profile.pop("updated_at") > 0
    assert profile == {
        "given_name": "Ada",
        "email_verified": True,
        "birthdate": "1815-12-10",
        "address": {"country": "GB", "locality": "London"},
        "phone_number": "+44 20 7946 0000",
    }
    told = site.cli("user", "profile", made["sub"], "given_name=", "address.country=", "address.locality=")
    assert told["profile"].keys() == {"email_verified", "birthdate", "phone_number", "updated_at"}
    assert site.cli("user", "profile", "claims@example.com") == told


@pytest.mark.parametrize(
    ("claim", "code", "said"),
    [
        ("sub=other", 1, "no claim 'sub'"),
        ("email=other@example.com", 1, "no claim 'email'"),
        ("birthdate=yesterday", 1, "birthdate"),
        ("email_verified=yes", 1, "true or false"),
        ("picture=javascript:alert(1)", 1, "URL"),
        ("name=\x1b[31m", 1, "control"),
        ("nickname", 2, "CLAIM=VALUE"),
        ("=x", 2, "CLAIM=VALUE"),
    ],
)
def test_a_claim_that_makes_no_sense_is_refused(site: Site, claim: str, code: int, said: str):
    """With the reason, and nothing of the rest is done."""
    email = "unclaimed@example.com"
    if site.run("user", "show", email).code:
        site.cli("user", "add", email, "--generate-password")
    ran = site.run("user", "profile", email, "gender=x", claim)
    assert ran.code == code
    assert said in ran.err
    assert site.cli("user", "profile", email)["profile"] == {}
