"""The small language of cross-field rules and computed defaults: arithmetic, comparison and logic over feature names.

An expression is Python syntax cut down to what cannot reach beyond its operands: no attributes, no indexing, no calls
but the listed functions. Numbers are computed as they come, except powers, which are computed in floating point so that
no operand can make one expensive.

Null: an expression whose value depends on a null feature is null, unless it asks with `is None`.
"""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from model_artifact.errors import ExpressionInvalid

MAX_LENGTH = 500

Values = Mapping[str, Any]
Evaluate = Callable[[Values], Any]

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: math.pow,
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
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "min": min,
    "max": max,
    "round": round,
    "len": len,
    "log": math.log,
    "sqrt": math.sqrt,
    "exp": math.exp,
}
_NULL_AWARE = (ast.Is, ast.IsNot)


class _Null(Exception):
    """A null operand: the whole expression is null."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression and the feature names it reads."""

    text: str
    names: frozenset[str]
    _run: Evaluate

    def __call__(self, values: Values) -> Any:
        """Evaluate over one row; null where an operand is null or the arithmetic has no answer (division by zero)."""
        try:
            return self._run(values)
        except (_Null, ArithmeticError, ValueError, TypeError):
            return None


def compile_expression(text: str, known: frozenset[str]) -> Expression:
    """Compile `text` over the feature names `known`.

    Raises:
        ExpressionInvalid: syntax, an unknown name, or anything outside the language.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionInvalid(f"expression is longer than {MAX_LENGTH} characters")
    try:
        tree = ast.parse(text, mode="eval")
        names: set[str] = set()
        run = _compile(tree.body, known, names)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ExpressionInvalid(f"expression {text!r} is not valid: {error}") from error
    return Expression(text, frozenset(names), run)


def _compile(node: ast.expr, known: frozenset[str], names: set[str]) -> Evaluate:  # noqa: C901 - one case a node
    def sub(child: ast.expr) -> Evaluate:
        return _compile(child, known, names)

    match node:
        case ast.Constant(value=value) if value is None or isinstance(value, (bool, int, float, str)):
            return lambda _: value
        case ast.Name(id=name):
            if name not in known:
                raise ExpressionInvalid(f"unknown feature {name!r}; known are {', '.join(sorted(known))}")
            names.add(name)
            return lambda values: values.get(name)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _apply(_BINARY[type(op)], sub(left), sub(right))
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
            return _apply(_UNARY[type(op)], sub(operand))
        case ast.BoolOp(op=op, values=children):
            return _logic(isinstance(op, ast.And), [sub(child) for child in children])
        case ast.Compare(left=left, ops=ops, comparators=rest) if all(type(op) in _COMPARE for op in ops):
            return _compare([type(op) for op in ops], [sub(left), *map(sub, rest)])
        case ast.IfExp(test=test, body=body, orelse=orelse):
            check, yes, no = sub(test), sub(body), sub(orelse)
            return lambda values: yes(values) if check(values) else no(values)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            return _apply(_FUNCTIONS[name], *map(sub, args))
        case ast.Tuple(elts=items) | ast.List(elts=items):
            parts = [sub(item) for item in items]
            return lambda values: tuple(part(values) for part in parts)
    raise ExpressionInvalid(
        f"{ast.unparse(node)!r} is not allowed; use feature names, numbers, text, + - * / // % **, comparisons, "
        f"and/or/not, 'x if y else z', and {', '.join(_FUNCTIONS)}"
    )


def _apply(function: Callable[..., Any], *operands: Evaluate) -> Evaluate:
    def run(values: Values) -> Any:
        arguments = [operand(values) for operand in operands]
        if any(argument is None for argument in arguments):
            raise _Null
        return function(*arguments)

    return run


def _compare(ops: list[type[ast.cmpop]], operands: list[Evaluate]) -> Evaluate:
    def run(values: Values) -> bool:
        items = [operand(values) for operand in operands]
        for op, left, right in zip(ops, items, items[1:], strict=False):
            if (left is None or right is None) and not issubclass(op, _NULL_AWARE):
                raise _Null
            if not _COMPARE[op](left, right):
                return False
        return True

    return run


def _logic(every: bool, operands: list[Evaluate]) -> Evaluate:
    def run(values: Values) -> bool:
        return (all if every else any)(operand(values) for operand in operands)

    return run
