"""That the table of what the issuer fetches is whole: whoever fetches something new finds it here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from tests.architecture.kinds import modules
from tests.attacks.catalogue import ROOT
from tests.attacks.fetching import PUBLISHED, TABLE

ASKING: Final = ("httpx2", "urllib.request", "http.client", "requests", "aiohttp", "httpx", "urllib3")
"""What could fetch a URL."""
OF_THEIR_OWN: Final = frozenset(f"watchword_server.cli.{name}" for name in ("children", "doctor", "replaying"))
"""Commands that ask the operator's own processes."""


def test_the_table_has_every_place_where_something_is_fetched() -> None:
    """Whoever fetches something new finds here that the list must be run against it."""
    used, followed = set(), set()
    for name, source in modules(ROOT):
        if not name.startswith("watchword_server.") or ("fetcher" not in source and "Place(" not in source):
            continue
        for function, call in calls(ast.parse(source)):
            where = f"{name.removeprefix('watchword_server.')}:{function}"
            if is_fetch(call):
                used.add(where)
            if isinstance(call.func, ast.Name) and call.func.id == "Place" and where.startswith("flows."):
                followed.add(where)
    assert used == {row.place for row in TABLE}
    assert followed == PUBLISHED
    assert sum(row.place == "flows.published:_look" for row in TABLE) == len(PUBLISHED)


def test_nothing_but_the_guarded_fetcher_asks_anybody_for_a_url() -> None:
    """No other module of the server loads what could, but for commands that ask the operator's own processes."""
    found = {
        name
        for name, source in modules(ROOT)
        if name.startswith("watchword_server.")
        and any(one in source for one in ASKING)
        and not imported(ast.parse(source)).isdisjoint(ASKING)
    }
    assert found == {"watchword_server.adapters.fetch", *OF_THEIR_OWN}


def calls(tree: ast.AST, function: str = "") -> Iterator[tuple[str, ast.Call]]:
    """Every call, with the function around it."""
    for node in ast.iter_child_nodes(tree):
        inner = node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else function
        if isinstance(node, ast.Call):
            yield inner, node
        yield from calls(node, inner)


def is_fetch(call: ast.Call) -> bool:
    """`issuer.fetcher.get(...)`, `self._fetcher.post(...)` and the like."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in ("get", "post"):
        return False
    whose = call.func.value
    name = whose.attr if isinstance(whose, ast.Attribute) else whose.id if isinstance(whose, ast.Name) else ""
    return "fetch" in name


def imported(tree: ast.AST) -> set[str]:
    """Every module that is imported, wherever that stands."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{one.name}" for one in node.names)}
    return found
