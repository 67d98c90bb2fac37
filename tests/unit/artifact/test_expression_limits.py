"""No expression is expensive: to compile, in memory or in depth."""

import tracemalloc

import pytest

from model_artifact.errors import ExpressionInvalid
from model_artifact.expressions import MAX_LENGTH, MAX_TEXT, compile_expression

KNOWN = frozenset({"a", "t"})

BOMBS = [
    "'a' * 1000000000",
    "1000000000 * 'a'",
    "(1, 2) * 1000000000",
    "[a] * a",
    "t * a",
    "'%1000000000d' % a",
    "'%s%s' % (t, t)",
    "9 ** 9 ** 9 ** 9",
    "a ** a ** a",
    "round(a, -1000000000)",
    "round(7, -a)",
    "round(a, -a)",
    " + ".join(["t"] * 90),
    "*".join(["a"] * 90),
    "exp(exp(exp(a)))",
]


@pytest.mark.parametrize("text", BOMBS)
def test_no_expression_is_expensive(text: str) -> None:
    expression = compile_expression(text, KNOWN)
    row = {"a": 10**9, "t": "t" * 1_000_000}
    tracemalloc.start()
    try:
        expression(row)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


def test_text_is_joined_up_to_its_limit() -> None:
    half = "x" * (MAX_TEXT // 2)
    assert compile_expression("t + t", KNOWN)({"t": half}) == half + half
    assert MAX_TEXT == 10_000
    assert compile_expression("t + t + 'y'", KNOWN)({"t": half}) is None


@pytest.mark.parametrize(
    "text",
    [
        "(" * 201 + "a" + ")" * 201,
        "-" * 400 + "a",
        "not " * 110 + "a",
        "[" * 150 + "]" * 150,
        "abs(" * 80 + "a" + ")" * 80 + "+1" * 50,
        "+".join(["a"] * 240),
    ],
)
def test_deep_nesting_is_refused_before_it_can_exhaust_the_stack(text: str) -> None:
    with pytest.raises(ExpressionInvalid):
        compile_expression(text, KNOWN)


def test_a_long_sum_is_not_too_deep() -> None:
    assert compile_expression("+".join(["a"] * 98), KNOWN)({"a": 1}) == 98
    with pytest.raises(ExpressionInvalid, match="nested deeper than 100 levels"):
        compile_expression("+".join(["a"] * 99), KNOWN)


def test_an_overlong_expression_is_refused() -> None:
    compile_expression("a" + " " * (MAX_LENGTH - 1), KNOWN)
    with pytest.raises(ExpressionInvalid, match="longer than 500 characters"):
        compile_expression("a" + " " * MAX_LENGTH, KNOWN)
