"""What is changed to make a mutant: mutmut's operators, and what they leave out.

An operator takes a node of the syntax tree and yields what may stand in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import libcst as cst
from mutmut.mutation.mutators import mutation_operators

Node = cst.CSTNode

_TRUE: Final = cst.Name("True")
_FALSE: Final = cst.Name("False")
_NOTHING: Final = cst.Tuple(())
_SWAPS: Final = {"min": "max", "max": "min", "all": "any", "any": "all"}
_STRING_SWAPS: Final = {"big": "little", "little": "big"}
_CODECS: Final = frozenset(("ascii", "utf-8"))
# Without their arguments they only raise TypeError, which says nothing about the tests.
_PLAIN_CALLS: Final = frozenset(("len", "isinstance"))


def variants(node: Node) -> Iterator[Node]:
    """All that may stand in the place of this one node."""
    if isinstance(node, cst.Call) and isinstance(node.func, cst.Name) and node.func.value in _PLAIN_CALLS:
        return
    for kind, operator in (*mutation_operators, *_OPERATORS):
        if isinstance(node, kind):
            yield from (variant for variant in operator(node) if not _teaches_nothing(node, variant))


def _teaches_nothing(node: Node, variant: Node) -> bool:
    return _is_the_same_codec(node, variant) or _is_as_false(node, variant) or _is_endless(variant)


def _is_endless(variant: Node) -> bool:
    """A power without its modulus, of numbers of 255 bits: the one that waits for it ends first."""
    if not isinstance(variant, cst.Call) or not _is_name(variant.func, "pow"):
        return False
    return len(variant.args) < 3 or _is_name(variant.args[2].value, "None")


def _is_as_false(node: Node, variant: Node) -> bool:
    """None where an argument was False: the other mutants of it say True, or nothing."""
    if not isinstance(node, cst.Call) or not isinstance(variant, cst.Call) or len(node.args) != len(variant.args):
        return False
    pairs = zip(node.args, variant.args, strict=True)
    return any(_is_name(one.value, "False") and _is_name(other.value, "None") for one, other in pairs)


def _is_name(node: Node, name: str) -> bool:
    return isinstance(node, cst.Name) and node.value == name


def _is_the_same_codec(node: Node, variant: Node) -> bool:
    """Python does not mind how a codec's name is written."""
    texts = [one.evaluated_value for one in (node, variant) if isinstance(one, cst.SimpleString)]
    return len(texts) == 2 and texts[0] in _CODECS and texts[0] == str(texts[1]).lower()


def _number_below(node: cst.Integer) -> Iterator[Node]:
    yield cst.parse_expression(str(node.evaluated_value - 1))


def _shorter_string(node: cst.SimpleString) -> Iterator[Node]:
    value = node.evaluated_value
    if value in _STRING_SWAPS:
        yield node.with_changes(value=repr(_STRING_SWAPS[str(value)]))
    if isinstance(value, bytes) and len(value) > 1:  # alphabets; names are changed enough by mutmut
        yield from (node.with_changes(value=repr(part)) for part in (value[1:], value[:-1]))


def _swapped_name(node: cst.Name) -> Iterator[Node]:
    if node.value in _SWAPS:
        yield node.with_changes(value=_SWAPS[node.value])


def _decided(node: cst.If | cst.CompIf) -> Iterator[Node]:
    yield from (node.with_changes(test=constant) for constant in (_TRUE, _FALSE))


def _no_loop(node: cst.While) -> Iterator[Node]:
    yield node.with_changes(test=_FALSE)


def _always(node: cst.Return) -> Iterator[Node]:
    if isinstance(node.value, cst.Comparison | cst.BooleanOperation | cst.UnaryOperation):
        yield node.with_changes(value=_TRUE)


def _one_operand(node: cst.BooleanOperation) -> Iterator[Node]:
    yield from (node.left, node.right)


def _one_comparison(node: cst.Comparison) -> Iterator[Node]:
    if len(node.comparisons) > 1:
        yield node.with_changes(comparisons=node.comparisons[:-1])
        yield node.with_changes(left=node.comparisons[0].comparator, comparisons=node.comparisons[1:])


def _one_element_less(node: cst.Tuple | cst.List | cst.Set | cst.Dict) -> Iterator[Node]:
    for place in range(len(node.elements)):
        rest: Sequence[Any] = [*node.elements[:place], *node.elements[place + 1 :]]
        if isinstance(node, cst.Set) and not rest:
            continue
        if isinstance(node, cst.Tuple) and len(rest) == 1:
            rest = [rest[0].with_changes(comma=cst.Comma())]
        yield node.with_changes(elements=rest)


def _wider_slice(node: cst.Slice) -> Iterator[Node]:
    if node.lower is not None:
        yield node.with_changes(lower=None)
    if node.upper is not None:
        yield node.with_changes(upper=None)


def _unwrapped(node: cst.Call) -> Iterator[Node]:
    if isinstance(node.func, cst.Attribute):
        yield node.func.value
    elif node.args and not node.args[0].star and node.args[0].keyword is None:
        yield _standing_alone(node.args[0].value)


def _standing_alone(value: cst.BaseExpression) -> cst.BaseExpression:
    """A generator in the parentheses that it needs wherever it is not a call's only argument."""
    if not isinstance(value, cst.GeneratorExp) or value.lpar:
        return value
    return value.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])


def _deaf(node: cst.ExceptHandler) -> Iterator[Node]:
    yield node.with_changes(type=_NOTHING, whitespace_after_except=cst.SimpleWhitespace(" "))


def _undecorated(node: cst.FunctionDef | cst.ClassDef) -> Iterator[Node]:
    for place in range(len(node.decorators)):
        yield node.with_changes(decorators=[*node.decorators[:place], *node.decorators[place + 1 :]])


def _left_out(node: cst.SimpleStatementLine) -> Iterator[Node]:
    statement = node.body[0]
    if isinstance(
        statement, cst.Expr | cst.Raise | cst.Return | cst.Continue | cst.Break | cst.Del | cst.AugAssign
    ) or (isinstance(statement, cst.Assign | cst.AnnAssign) and _goes_into_an_object(statement)):
        yield node.with_changes(body=[cst.Pass()])


def _goes_into_an_object(statement: cst.Assign | cst.AnnAssign) -> bool:
    targets = [statement.target] if isinstance(statement, cst.AnnAssign) else [one.target for one in statement.targets]
    return any(isinstance(target, cst.Attribute | cst.Subscript) for target in targets)


_OPERATORS: Final[tuple[tuple[Any, Callable[[Any], Iterator[Node]]], ...]] = (
    (cst.Integer, _number_below),
    (cst.SimpleString, _shorter_string),
    (cst.Name, _swapped_name),
    (cst.If, _decided),
    (cst.CompIf, _decided),
    (cst.While, _no_loop),
    (cst.Return, _always),
    (cst.BooleanOperation, _one_operand),
    (cst.Comparison, _one_comparison),
    (cst.Tuple, _one_element_less),
    (cst.List, _one_element_less),
    (cst.Set, _one_element_less),
    (cst.Dict, _one_element_less),
    (cst.Slice, _wider_slice),
    (cst.Call, _unwrapped),
    (cst.ExceptHandler, _deaf),
    (cst.FunctionDef, _undecorated),
    (cst.ClassDef, _undecorated),
    (cst.SimpleStatementLine, _left_out),
)
