"""`watchword grant`: who acts for whom."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from msgspec.structs import replace

from tests.stories.processes import Client, Site, User
from watchword_server.changes import Add, Change
from watchword_server.main import load_settings, open_issuer
from watchword_server.protocol.grants.token_exchange import GRANT_TYPE
from watchword_server.protocol.values import Grant

NOW = int(time.time())


async def _saved(site: Site, *changes: Change) -> None:
    async with open_issuer(load_settings(site.config, {})) as issuer:
        await issuer.stores.journal.save(*changes)


class Family:
    """A person's grant to an app, what two agents made of it, and another grant of hers."""

    def __init__(self, site: Site, programs: tuple[Client, Client, Client]) -> None:
        self.user: User = site.new_user()
        self.app, self.first, self.second = programs
        own = self.user.sub[:8]
        self.root = Grant(
            f"root-{own}", self.app.client_id, self.user.sub, site.audience, ("orders:read",), NOW, NOW + 900
        )  # fmt: skip
        self.child = self._below(self.root, f"child-{own}", self.first, {"sub": self.first.client_id}, NOW + 1)
        act = {"sub": self.second.client_id, "act": self.child.act}
        self.leaf = self._below(self.child, f"leaf-{own}", self.second, act, NOW + 2)
        self.hidden = self._below(self.root, f"hidden-{own}", self.second, None, NOW + 3)
        self.other = replace(self.root, gid=f"other-{own}", created_at=NOW + 4)
        grants = (self.root, self.child, self.leaf, self.hidden, self.other)
        asyncio.run(_saved(site, *map(Add, grants)))

    def _below(self, above: Grant, gid: str, by: Client, act: dict[str, object] | None, at: int) -> Grant:
        lineage = (above.gid, *above.lineage)
        return replace(
            above, gid=gid, client_id=by.client_id, parent=above.gid, lineage=lineage, act=act, created_at=at
        )


@pytest.fixture(scope="module")
def programs(site: Site) -> tuple[Client, Client, Client]:
    """An app, an agent that acts by it, and one that acts by that."""
    app = site.new_client("Shop")
    first = site.new_client("First agent", "--grant", GRANT_TYPE, "--acts-for", app.client_id)
    return app, first, site.new_client("Second agent", "--grant", GRANT_TYPE, "--acts-for", first.client_id)


@pytest.fixture(scope="module")
def family(site: Site, programs: tuple[Client, Client, Client]) -> Family:
    """One that nobody cuts."""
    return Family(site, programs)


def shape(branch: dict[str, Any]) -> tuple[str, list[Any]]:
    """Names, and what is below them."""
    return branch["gid"], [shape(one) for one in branch["children"]]


def test_a_person_sees_who_acts_for_them(site: Site, family: Family) -> None:
    """By address or `sub`; each grant below the one that it came of, the oldest first."""
    trees = site.cli("grant", "tree", family.user.email)["trees"]
    assert [shape(one) for one in trees] == [
        (family.root.gid, [(family.child.gid, [(family.leaf.gid, [])]), (family.hidden.gid, [])]),
        (family.other.gid, []),
    ]
    assert site.cli("grant", "tree", family.user.sub)["trees"] == trees
    assert trees[0]["client"] == "Shop"
    assert trees[0]["children"][0]["act"] == {"sub": family.first.client_id}


def test_a_grant_is_shown_with_what_came_of_it(site: Site, family: Family) -> None:
    """And without what it came of."""
    (tree,) = site.cli("grant", "tree", family.child.gid)["trees"]
    assert shape(tree) == (family.child.gid, [(family.leaf.gid, [])])


def test_a_client_is_shown_with_those_that_act_by_its_tokens(site: Site, family: Family) -> None:
    """Grants of which nothing came are not among them."""
    trees = site.cli("grant", "tree", family.app.client_id)["trees"]
    assert family.root.gid in [tree["gid"] for tree in trees]
    assert family.other.gid not in [tree["gid"] for tree in trees]


def test_people_see_a_tree(site: Site, family: Family) -> None:
    """Lines lead from each to what came of it; who hides that it acts is named so."""
    out = site.command("grant", "tree", family.user.email, "--config", str(site.config), cwd=site.folder).out
    lines = [line.partition(family.user.sub[:8])[0] for line in out.splitlines() if family.user.sub[:8] in line]
    assert [line.rpartition(" ")[0].rstrip() for line in lines] == [
        "Shop", "├─ First agent", "│  └─ Second agent", "└─ Second agent (impersonates)", "Shop",
    ]  # fmt: skip
    assert "5 in all." in out


def test_a_grant_shows_where_it_came_from(site: Site, family: Family) -> None:
    """All of its lineage, and how many came of it."""
    shown = site.cli("grant", "show", family.leaf.gid)
    assert (shown["parent"], shown["lineage"]) == (family.child.gid, [family.child.gid, family.root.gid])
    assert site.cli("grant", "show", family.root.gid)["children"] == 2


def test_what_is_nobody_is_not_found(site: Site) -> None:
    """No such grant, person or client."""
    for command in (("tree", "nothing"), ("tree", "nobody@example.com"), ("show", "nothing")):
        ran = site.run("grant", *command)
        assert (ran.code, ran.document["error"]) == (3, "not_found")


def test_a_cut_stands_in_the_tree(site: Site, programs: tuple[Client, Client, Client]) -> None:
    """With one entry in the log. Where a grant is named, what was cut is shown with its end; to the person no more."""
    family = Family(site, programs)
    (entry,) = site.cli("revoke", "grant", family.child.gid)["entries"]
    assert (entry["kind"], entry["id"]) == ("grant", family.child.gid)
    (tree,) = site.cli("grant", "tree", family.root.gid)["trees"]
    cut = tree["children"][0]
    assert tree["ended_at"] is None
    assert cut["ended_at"] == cut["children"][0]["ended_at"] is not None
    trees = site.cli("grant", "tree", family.user.email)["trees"]
    assert shape(trees[0]) == (family.root.gid, [(family.hidden.gid, [])])


def test_a_public_client_is_not_let_exchange(site: Site) -> None:
    """It has no way to show who it is."""
    ran = site.run("client", "add", "Page", "--public", "--grant", GRANT_TYPE)
    assert ran.code != 0
    assert "public client cannot exchange" in ran.err


def test_who_may_act_for_whom_can_be_changed(site: Site) -> None:
    """A list replaces the one before; an empty text ends it."""
    client = site.new_client("Agent", "--grant", GRANT_TYPE, "--acts-for", "a", "--impersonate")
    changed = site.cli("client", "set", client.client_id, "--acts-for", "b", "--acts-for", "c", "--no-impersonate")
    assert changed["metadata"]["acts_for"] == ["b", "c"]
    assert "impersonates" not in changed["metadata"]
    assert "acts_for" not in site.cli("client", "set", client.client_id, "--acts-for", "")["metadata"]
