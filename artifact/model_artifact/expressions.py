"""The small language of cross-field rules and computed defaults: arithmetic, comparison and logic over feature names.

An expression is Python syntax cut down to what cannot reach beyond its operands: no attributes, no indexing, no calls
but the listed functions. A feature whose name is no identifier stands in backticks: `mean radius` > 0.

Nothing in it can be made expensive: powers are computed in floating point, text is only ever joined, up to a limit, and
the nesting of an expression is bounded.

Null: an expression whose value depends on a null feature is null, unless it asks with `is None`; so is one whose
arithmetic has no answer, such as a division by zero. `and` and `or` know three values: `x or true` is true even where x
is null, as in SQL.
"""

import ast
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from model_artifact.errors import ExpressionInvalid

MAX_LENGTH = 500
MAX_DEPTH = 100
MAX_TEXT = 10_000
"""Longest text that `+` may join."""

Values = Mapping[str, Any]
Evaluate = Callable[[Values], Any]


def _numbers_only(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def run(left: Any, right: Any) -> Any:
        if not isinstance(left, (int, float)) or not isinstance(right, (int, float)):
            raise TypeError
        return function(left, right)

    return run


def _add(left: Any, right: Any) -> Any:
    if isinstance(left, str) and isinstance(right, str) and len(left) + len(right) <= MAX_TEXT:
        return left + right
    return _numbers_only(operator.add)(left, right)


def _round(number: float, digits: int | None = None) -> float:
    within_reason = None if digits is None else max(-400, min(digits, 400))  # more change nothing but the time
    return round(number, within_reason)


_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: _add,
    ast.Sub: _numbers_only(operator.sub),
    ast.Mult: _numbers_only(operator.mul),
    ast.Div: _numbers_only(operator.truediv),
    ast.FloorDiv: _numbers_only(operator.floordiv),
    ast.Mod: _numbers_only(operator.mod),
    ast.Pow: _numbers_only(math.pow),
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}
_FUNCTIONS: dict[str, tuple[Callable[..., Any], range]] = {
    "abs": (abs, range(1, 2)),
    "min": (min, range(1, MAX_LENGTH)),
    "max": (max, range(1, MAX_LENGTH)),
    "round": (_round, range(1, 3)),
    "len": (len, range(1, 2)),
    "log": (math.log, range(1, 3)),
    "sqrt": (math.sqrt, range(1, 2)),
    "exp": (math.exp, range(1, 2)),
}
"""Name to function and the numbers of arguments that it takes."""

_QUOTED = re.compile(r"`([^`]*)`")
_NULL_AWARE = (ast.Is, ast.IsNot)
_NO_ANSWER = (ArithmeticError, ValueError, TypeError)


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression and the feature names it reads."""

    text: str
    names: frozenset[str]
    _run: Evaluate

    def __call__(self, values: Values) -> Any:
        """Evaluate over one row; null where an operand is null or the arithmetic has no answer."""
        return self._run(values)


def compile_expression(text: str, known: frozenset[str]) -> Expression:
    """Compile `text` over the feature names `known`.

    Raises:
        ExpressionInvalid: syntax, an unknown name, or anything outside the language.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionInvalid(f"it is longer than {MAX_LENGTH} characters")
    names: set[str] = set()
    plain, quoted = _unquoted(text)
    try:
        tree = ast.parse(plain, mode="eval")
        if _depth(tree) > MAX_DEPTH:
            raise ExpressionInvalid(f"it is nested deeper than {MAX_DEPTH} levels")
        run = _compile(tree.body, _Features(known, quoted), names)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ExpressionInvalid(f"it cannot be read: {error}") from error
    return Expression(text, frozenset(names), run)


@dataclass(frozen=True, slots=True)
class _Features:
    """Feature names, and the identifiers that stand in for the quoted ones."""

    known: frozenset[str]
    quoted: Mapping[str, str]

    def resolve(self, identifier: str) -> str:
        name = self.quoted.get(identifier, identifier)
        if name not in self.known:
            raise ExpressionInvalid(f"unknown feature {name!r}; known are {', '.join(sorted(self.known)[:20])}")
        return name


def _unquoted(text: str) -> tuple[str, dict[str, str]]:
    """Put an identifier that occurs nowhere else in the place of each name in backticks."""
    stem = "q"
    while stem in text:
        stem += "_"
    quoted: dict[str, str] = {}

    def stand_in(match: re.Match[str]) -> str:
        identifier = f"{stem}{len(quoted)}"
        quoted[identifier] = match[1]
        return identifier

    return _QUOTED.sub(stand_in, text), quoted


def _depth(tree: ast.AST) -> int:
    depth, level = 0, [tree]
    while level:
        depth, level = depth + 1, [child for node in level for child in ast.iter_child_nodes(node)]
    return depth


def _compile(node: ast.expr, features: _Features, names: set[str]) -> Evaluate:  # noqa: C901 - one case a node
    def sub(child: ast.expr) -> Evaluate:
        return _compile(child, features, names)

    match node:
        case ast.Constant(value=value) if value is None or isinstance(value, (bool, int, float, str)):
            return lambda _: value
        case ast.Name(id=identifier):
            name = features.resolve(identifier)
            names.add(name)
            return lambda values: values.get(name)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _apply(_BINARY[type(op)], sub(left), sub(right))
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
            return _apply(_UNARY[type(op)], sub(operand))
        case ast.BoolOp(op=op, values=children):
            return _logic(isinstance(op, ast.And), [sub(child) for child in children])
        case ast.Compare(left=left, ops=ops, comparators=rest) if all(map(_is_comparable, ops, rest)):
            return _compare([type(op) for op in ops], [sub(left), *map(sub, rest)])
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return _choose(sub(test), sub(body), sub(orelse))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            function, counts = _FUNCTIONS[name]
            if len(args) not in counts:
                raise ExpressionInvalid(f"{name}() does not take {len(args)} arguments")
            return _apply(function, *map(sub, args))
        case ast.Tuple(elts=items) | ast.List(elts=items):
            parts = [sub(item) for item in items]
            return lambda values: tuple(part(values) for part in parts)
    raise ExpressionInvalid(
        f"{ast.unparse(node)!r} is not allowed; use feature names, numbers, text, + - * / // % **, comparisons, "
        f"'is None', and/or/not, 'x if y else z', and {', '.join(_FUNCTIONS)}"
    )


def _is_comparable(op: ast.cmpop, right: ast.expr) -> bool:
    return not isinstance(op, _NULL_AWARE) or (isinstance(right, ast.Constant) and right.value is None)


def _apply(function: Callable[..., Any], *operands: Evaluate) -> Evaluate:
    def run(values: Values) -> Any:
        arguments = [operand(values) for operand in operands]
        if any(argument is None for argument in arguments):
            return None
        try:
            return function(*arguments)
        except _NO_ANSWER:
            return None

    return run


def _compare(ops: list[type[ast.cmpop]], operands: list[Evaluate]) -> Evaluate:
    def run(values: Values) -> bool | None:
        items = [operand(values) for operand in operands]
        pairs = zip(ops, items, items[1:], strict=False)
        return _three_valued((_holds(op, left, right) for op, left, right in pairs), decided_by=False)

    return run


def _holds(op: type[ast.cmpop], left: Any, right: Any) -> bool | None:
    if (left is None or right is None) and op not in _NULL_AWARE:
        return None
    try:
        return bool(_COMPARE[op](left, right))
    except _NO_ANSWER:
        return None


def _logic(every: bool, operands: list[Evaluate]) -> Evaluate:
    return lambda values: _three_valued((operand(values) for operand in operands), decided_by=not every)


def _three_valued(items: Iterable[Any], *, decided_by: bool) -> bool | None:
    """`or` when decided by true, `and` when decided by false; null where only a null could still decide."""
    unknown = False
    for item in items:
        if item is None:
            unknown = True
        elif bool(item) is decided_by:
            return decided_by
    return None if unknown else not decided_by


def _choose(test: Evaluate, yes: Evaluate, no: Evaluate) -> Evaluate:
    def run(values: Values) -> Any:
        answer = test(values)
        if answer is None:
            return None
        return yes(values) if answer else no(values)

    return run
