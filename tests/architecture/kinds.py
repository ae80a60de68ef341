"""Which kinds of JWT are made where, and taken where, read from the source: every such place names its Kind.

A signature says nothing of what was signed, so the `typ` decides (RFC 8725 §3.11). Here every call that signs or
encrypts a JWT is found, and every call that reads one; a place whose kinds cannot be read off it is a fault.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from watchword.jose.kinds import Kind
from watchword.log import TYPES
from watchword.policy import ACCESS_TOKEN, Policy
from watchword_server.flows import hints
from watchword_server.protocol import client_assertion, foreign_token, request_object

TREES: Final = (("sdk/src", "watchword"), ("server/src", "watchword_server"))
JOSE: Final = "watchword.jose."
"""Where the calls below are defined, and are told their kinds by others."""

# fmt: off
MAKERS: Final[Mapping[str, int]] = {
    "watchword.jose.jws.signer":      1,
    "watchword.jose.jwe.encrypt":     3,
}
"""What makes a JWT, and which of its arguments is the kind."""
TAKERS: Final[Mapping[str, int]] = {
    "watchword.jose.jws.verify":      2,
    "watchword.jose.jws.read_header": 2,
    "watchword.jose.jwe.decrypt":     2,
    "watchword.policy.Policy":        4,
}
"""What reads a JWT, or says for others which may be read, and which of its arguments are the kinds."""
BY_ITSELF: Final = "watchword.policy.Policy"
"""Says ACCESS_TOKEN where it is not told otherwise."""
HANDED_ON: Final = MAKERS.keys() | TAKERS.keys() - {BY_ITSELF}
"""What must be called where it is named, or its kinds could come from anywhere."""
TABLES: Final[Mapping[str, frozenset[Kind]]] = {
    "watchword.log.TYPES":            frozenset(TYPES),
    "watchword.policy.ACCESS_TOKEN":  frozenset(kind for kind in Kind if kind in ACCESS_TOKEN),
    "Policy.types":                   frozenset(kind for kind in Kind if kind in ACCESS_TOKEN),
    f"{hints.__name__}.TYPES":        frozenset(kind for kind in Kind if kind.lower() in hints.TYPES),
    f"{client_assertion.__name__}.TYPES": frozenset(kind for kind in Kind if kind.lower() in client_assertion.TYPES),
    f"{client_assertion.__name__}.GRANT_TYPES": frozenset(
        kind for kind in Kind if kind.lower() in client_assertion.GRANT_TYPES),
    f"{foreign_token.__name__}.TYPES": frozenset(kind for kind in Kind if kind.lower() in foreign_token.TYPES),
    f"{request_object.__name__}.TYPES": frozenset(kind for kind in Kind if kind.lower() in request_object.TYPES),
}
"""Names that stand for kinds: tables of our own, read as they are at run time."""
# fmt: on
_KEYWORDS: Final = ("typ", "types")
_SCOPES: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)

Bound = Mapping[str, frozenset[Kind]]
"""Names that run over a table of kinds."""


FEED: Final = frozenset({Kind.FEED_SNAPSHOT, Kind.FEED_DELTA, Kind.FEED_HEARTBEAT})
MADE: Final = FEED | {Kind.CLIENT_TOKEN, Kind.DPOP_PROOF} | {Kind.ACCESS_TOKEN, Kind.ID_TOKEN, Kind.LOGOUT_TOKEN}
"""What Watchword signs today. tests/attacks/test_confusion.py presents an instance of every Kind, made or not."""

# fmt: off
TAKEN: Final[Mapping[str, Set[Kind]]] = {
    "watchword.log.unseal":                        FEED,
    "watchword.client_tokens._key_for":            {Kind.CLIENT_TOKEN},
    "watchword.dpop._key_of":                      {Kind.DPOP_PROOF},
    "watchword.policy.Opener.open":                {Kind.ACCESS_TOKEN},
    "watchword.policy._decrypted":                 {Kind.ACCESS_TOKEN},
    "watchword_server.flows.hints.hinted":        {Kind.ID_TOKEN},
    "watchword_server.flows.presented.presented":  {Kind.ACCESS_TOKEN},
    "watchword_server.protocol.client_assertion.opened": {Kind.CLIENT_ASSERTION, Kind.ID_TOKEN},
    "watchword_server.protocol.client_assertion.granting": {Kind.ID_TOKEN},
    "watchword_server.protocol.foreign_token.opened": {Kind.ACCESS_TOKEN, Kind.ID_TOKEN},
    "watchword_server.protocol.request_object.opened": {Kind.REQUEST_OBJECT, Kind.ID_TOKEN},
}
"""Who reads a JWT, and of which kinds. A new row needs an acceptor in tests/attacks/test_confusion.py."""
# fmt: on


@dataclass(frozen=True, slots=True)
class Place:
    """A call in the source, within a function or a method, and the kinds that it names."""

    where: str
    function: str
    kinds: frozenset[Kind]


@dataclass(frozen=True, slots=True)
class Findings:
    """What a module makes and takes, and what is wrong with how it says so."""

    makes: tuple[Place, ...]
    takes: tuple[Place, ...]
    faults: tuple[str, ...]


def modules(root: Path) -> Iterator[tuple[str, str]]:
    """Name and source of every module of both packages. FileNotFoundError when one of them is gone."""
    for folder, package in TREES:
        paths = sorted((root / folder / package).rglob("*.py"))
        if not paths:
            raise FileNotFoundError(f"no such package: {folder}/{package}")
        for path in paths:
            name = ".".join(path.relative_to(root / folder).with_suffix("").parts)
            yield name.removesuffix(".__init__"), path.read_text()


def findings(module: str, source: str) -> Findings:
    """What one module makes and takes."""
    return _Reader(module, ast.parse(source)).findings()


class _Reader:
    """Reads one module. Names are resolved as far as imports and definitions at the top of the module go."""

    def __init__(self, module: str, tree: ast.Module) -> None:
        self._module = module
        self._tree = tree
        self._names = {node.name: f"{module}.{node.name}" for node in tree.body if isinstance(node, ast.FunctionDef)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                self._names |= {alias.asname: alias.name for alias in node.names if alias.asname}
            elif isinstance(node, ast.ImportFrom) and node.module:
                self._names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}

    def findings(self) -> Findings:
        makes, takes, faults = list[Place](), list[Place](), list[str]()
        called = set[ast.AST]()
        for function, node, bound in self._calls(self._tree, self._module, {}):
            name = self._dotted(node.func)
            called.add(node.func)
            table = MAKERS if name in MAKERS else TAKERS
            if name not in table:
                faults += self._signs_past_the_signer(node)
                continue
            said = _argument(node, table[name])
            if said is None and name == BY_ITSELF:
                continue
            kinds = self._kinds(said, bound)
            if kinds:
                (makes if table is MAKERS else takes).append(Place(function, name, kinds))
            elif not self._module.startswith(JOSE):
                faults.append(f"{function}: {name} without a Kind")
        faults += [
            f"{self._module}: {name} is handed on, so nobody can tell for which Kind"
            for node in ast.walk(self._tree)
            if node not in called and (name := self._dotted(node)) in HANDED_ON
        ]
        return Findings(tuple(makes), tuple(takes), (*faults, *self._typed_by_hand()))

    def _signs_past_the_signer(self, call: ast.Call) -> list[str]:
        """A private key is used by `jws.signer` alone, which asks for the kind."""
        if isinstance(call.func, ast.Attribute) and call.func.attr == "sign" and not self._module.startswith(JOSE):
            return [f"{self._module}:{call.lineno}: signs past jws.signer"]
        return []

    def _typed_by_hand(self) -> Iterator[str]:
        """A `typ` is written down once, in Kind."""
        if self._module == Kind.__module__:
            return
        prose = {id(node.value) for node in ast.walk(self._tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Constant) and id(node) not in prose and str(node.value).lower().endswith("+jwt"):
                yield f"{self._module}:{node.lineno}: {node.value!r} by hand"

    def _calls(self, node: ast.AST, function: str, bound: Bound) -> Iterator[tuple[str, ast.Call, Bound]]:
        """Every call below a node, the function that it stands in, and the names that run over kinds there."""
        for child in ast.iter_child_nodes(node):
            inside = f"{function}.{child.name}" if isinstance(child, _SCOPES) else function
            running = self._running(child)
            known = {**bound, **running} if running else bound
            if isinstance(child, ast.Call):
                yield inside, child, known
            yield from self._calls(child, inside, known)

    def _running(self, node: ast.AST) -> Bound:
        """The names that the loops of a node run over a table of kinds with."""
        loops = [node] if isinstance(node, ast.For) else getattr(node, "generators", [])
        found = {}
        for loop in loops:
            match loop.target, loop.iter:
                case (
                    ast.Tuple(elts=[ast.Name(id=name), *_]),
                    ast.Call(func=ast.Attribute(value=table, attr="items")),
                ):
                    found[name] = self._named(self._dotted(table))
                case ast.Name(id=name), table:
                    found[name] = self._named(self._dotted(table))
        return found

    def _kinds(self, node: ast.AST | None, bound: Bound) -> frozenset[Kind]:
        """The kinds that an expression names; none when something in it is not known to be one."""
        match node:
            case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
                found = [self._kinds(part, bound) for part in parts]
                return frozenset().union(*found) if found and all(found) else frozenset()
            case ast.Name(id=name) if name in bound:
                return bound[name]
            case ast.Attribute(attr="types") if self._module == Policy.__module__:
                return TABLES["Policy.types"]
            case ast.Call(func=ast.Attribute(value=table, attr="keys"), args=[]):
                return self._kinds(table, bound)
            case ast.Name() | ast.Attribute():
                return self._named(self._dotted(node))
        return frozenset()

    def _named(self, name: str) -> frozenset[Kind]:
        if name in TABLES:
            return TABLES[name]
        owner, _, member = name.rpartition(".")
        is_kind = owner == f"{Kind.__module__}.Kind" and member in Kind.__members__
        return frozenset({Kind[member]}) if is_kind else frozenset()

    def _dotted(self, node: ast.AST) -> str:
        """The full name of what an expression refers to, as far as it can be told; else the empty string."""
        match node:
            case ast.Name(id=name):
                at_home = f"{self._module}.{name}"
                return self._names.get(name, at_home if at_home in TABLES else "")
            case ast.Attribute(value=value, attr=attr):
                owner = self._dotted(value)
                return f"{owner}.{attr}" if owner else ""
        return ""


def _argument(call: ast.Call, position: int) -> ast.expr | None:
    if position < len(call.args):
        return call.args[position]
    return next((word.value for word in call.keywords if word.arg in _KEYWORDS), None)
