"""The mutants of a module: where each one differs, and its whole source text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from tests.mutants.operators import variants
from tests.mutants.verdicts import Name

_STUB: Final = cst.SimpleStatementSuite([cst.Pass()])
_CONTEXT: Final = 60
"""Characters of a long statement that are shown before and after what changes."""


@dataclass(frozen=True)
class Mutant:
    """One change. Its name holds neither a line nor a number, so that it survives unrelated edits."""

    module: str
    where: str
    """The function or class around it, dotted; empty at the module's top."""
    before: str
    """The statement that is changed, without the block under it."""
    after: str
    turn: int
    """Which of several changes of the same words in the same function, from 1."""
    lines: tuple[int, int] = field(compare=False)
    place: cst.CSTNode = field(compare=False, repr=False)
    variant: cst.CSTNode = field(compare=False, repr=False)
    tree: cst.Module = field(compare=False, repr=False)

    @property
    def name(self) -> Name:
        """What identifies it from one edition of the source to the next."""
        return self.module, self.where, self.before, self.after, self.turn

    @property
    def source(self) -> str:
        """The module's text with this one change."""
        return str(_replaced(self.tree, self.place, self.variant).code)


@dataclass(frozen=True)
class _Spot:
    """A node that is looked at, with the statement and the names around it."""

    node: cst.CSTNode
    statement: cst.CSTNode
    where: tuple[str, ...]


def mutants(module: str, text: str) -> list[Mutant]:
    """All mutants of one module, in the order of its text."""
    wrapper = MetadataWrapper(cst.parse_module(text))
    positions = wrapper.resolve(PositionProvider)
    found: list[Mutant] = []
    turns: Counter[tuple[str, str, str]] = Counter()
    made: set[tuple[cst.CSTNode, str]] = set()
    for spot in _spots(wrapper.module, wrapper.module, ()):
        span = positions[spot.statement]
        for variant in variants(spot.node):
            before, after = _statements(wrapper.module, spot, variant)
            if before == after or (spot.statement, after) in made:
                continue  # no change, or one that another operator has made
            made.add((spot.statement, after))
            words = (".".join(spot.where), *_shortened(before, after))
            turns[words] += 1
            lines = (span.start.line, span.end.line)
            found.append(Mutant(module, *words, turns[words], lines, spot.node, variant, wrapper.module))
    return found


def _spots(node: cst.CSTNode, statement: cst.CSTNode, where: tuple[str, ...]) -> Iterator[_Spot]:
    if isinstance(node, cst.BaseStatement | cst.ExceptHandler | cst.MatchCase):
        statement = node
    yield _Spot(node, statement, where)
    if isinstance(node, cst.FunctionDef | cst.ClassDef):
        where = (*where, node.name.value)
    for child in _that_decide(node):
        yield from _spots(child, statement, where)


def _that_decide(node: cst.CSTNode) -> Sequence[cst.CSTNode]:
    """The parts of a node that run, and that make a difference to anybody but a reader."""
    if isinstance(node, cst.Raise):  # the first argument of a refusal is its text, for the log
        return [arg.value for arg in node.exc.args[1:]] if isinstance(node.exc, cst.Call) else []
    return [child for child in node.children if not _is_silent(child) and not _is_a_mere_type(child, node)]


def _is_silent(node: cst.CSTNode) -> bool:
    """Imports, docstrings, names that are assigned to, and what only a type checker reads."""
    match node:
        case cst.AssignTarget(target=cst.Name() | cst.Tuple() | cst.Attribute()):
            return True
        case cst.SimpleStatementLine(body=[only]):
            return _is_silent(only)
        case cst.Import() | cst.ImportFrom() | cst.Expr(value=cst.SimpleString() | cst.Ellipsis()):
            return True
        case cst.Assign(
            value=cst.Call(func=cst.Name("TypeVar")) | cst.Subscript(value=cst.Name("Callable" | "Mapping"))
        ):
            return True
        case cst.ClassDef(bases=[cst.Arg(value=cst.Name("Protocol"))]):
            return True
        case cst.If(test=cst.Name("TYPE_CHECKING")):
            return True
        case cst.Assign(targets=[cst.AssignTarget(target=cst.Name("__all__"))]):
            return True
    return False


def _is_a_mere_type(node: cst.CSTNode, parent: cst.CSTNode) -> bool:
    """An annotation, unless it says bounds: those of a Struct's field are msgspec's to check."""
    if not isinstance(node, cst.Annotation):
        return False
    return not isinstance(parent, cst.AnnAssign) or not any(isinstance(part, cst.Call) for part in _all(node))


def _all(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    yield node
    for child in node.children:
        yield from _all(child)


def _replaced(tree: Any, place: cst.CSTNode, variant: cst.CSTNode) -> Any:
    # Any: deep_replace promises back what it was given, or the variant where that was the very place.
    return variant if tree is place else tree.deep_replace(place, variant)


def _statements(tree: cst.Module, spot: _Spot, variant: cst.CSTNode) -> tuple[str, str]:
    """The statement before and after, each in one line."""
    if spot.node is spot.statement:
        heads = _without_block(spot.node), _without_block(variant)
    else:
        head = _without_block(spot.statement)
        heads = head, _replaced(head, spot.node, variant)
    return _in_one_line(tree.code_for_node(heads[0])), _in_one_line(tree.code_for_node(heads[1]))


def _without_block(node: cst.CSTNode) -> cst.CSTNode:
    bare: dict[str, Any] = {"leading_lines": ()} if hasattr(node, "leading_lines") else {}
    if isinstance(getattr(node, "body", None), cst.BaseSuite):
        bare["body"] = _STUB
    if getattr(node, "orelse", None) is not None:
        bare["orelse"] = None
    if isinstance(node, cst.Match):
        bare["cases"] = [case.with_changes(body=_STUB, leading_lines=()) for case in node.cases]
    return node.with_changes(**bare)


def _in_one_line(code: str) -> str:
    return " ".join(line.strip() for line in code.strip().splitlines()).removesuffix(": pass")


def _shortened(before: str, after: str) -> tuple[str, str]:
    """Both, with what they share at length left out."""
    first = _shared(before, after)
    last = _shared(before[first:][::-1], after[first:][::-1])
    front = before[:first] if first <= _CONTEXT else "… " + before[first - _CONTEXT : first]
    end = len(before) - last
    back = before[end:] if last <= _CONTEXT else before[end : end + _CONTEXT] + " …"
    return front + before[first:end] + back, front + after[first : len(after) - last] + back


def _shared(one: str, other: str) -> int:
    """Characters that both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))
