import json
import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from model_artifact.errors import ExpressionInvalid
from model_artifact.expressions import MAX_LENGTH, compile_expression

KNOWN = frozenset({"a", "b", "c", "t"})
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([10**4000, -(10**4000), 1e308, 5e-324])
)
ROWS = st.fixed_dictionaries(dict.fromkeys(sorted(KNOWN), SCALARS))
OPERATORS = ["+", "-", "*", "/", "//", "%", "**", "<", "<=", ">", ">=", "==", "!=", "in", "not in", "and", "or"]
SOURCES = st.recursive(
    st.sampled_from([*sorted(KNOWN), "0", "1", "2.5", "'x'", "None", "True", "1e999", "-3"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(OPERATORS), inner).map(lambda parts: f"({' '.join(parts)})"),
        inner.map(lambda text: f"({text} is None)"),
        inner.map(lambda text: f"(not {text})"),
        inner.map(lambda text: f"(-{text})"),
        st.tuples(inner, inner, inner).map("({0[0]} if {0[1]} else {0[2]})".format),
        st.tuples(st.sampled_from(["abs", "min", "max", "round", "len", "log", "sqrt", "exp"]), inner).map(
            "{0[0]}({0[1]})".format
        ),
        st.tuples(inner, inner).map("round({0[0]}, {0[1]})".format),
        st.tuples(inner, inner).map("({0[0]}, {0[1]})".format),
    ),
    max_leaves=10,
)


def evaluate(text: str, **values: Any) -> Any:
    return compile_expression(text, KNOWN)(values)


@given(st.text(max_size=40) | st.text("abt0123456789.+-*/%()[]{}<>=!'\" ,:|&^~@#\\\nisnotiforlambda", max_size=60))
@example("\0")
@example("'\\N{no such}'")
@example("'\\d'")
@example("1if a else b")
@example("\ud800")
@example("f'{a}'")
def test_any_text_compiles_or_is_refused(text: str) -> None:
    with suppress(ExpressionInvalid):
        expression = compile_expression(text, KNOWN)
        assert expression.names <= KNOWN
        expression({})


@given(SOURCES, ROWS)
def test_evaluation_gives_a_value_or_null_whatever_the_row_holds(source: str, row: dict[str, Any]) -> None:
    if len(source) > MAX_LENGTH:
        return
    answer = compile_expression(source, KNOWN)(row)
    assert answer is None or isinstance(answer, (bool, int, float, str, tuple))


@given(SOURCES, ROWS)
def test_evaluation_changes_nothing_and_repeats(source: str, row: dict[str, Any]) -> None:
    if len(source) > MAX_LENGTH:
        return
    expression, before = compile_expression(source, KNOWN), dict(row)
    first, second = expression(row), expression(row)
    assert row.keys() == before.keys()
    assert all(row[name] is before[name] for name in row)
    assert repr(first) == repr(second)


@pytest.mark.parametrize(
    "text",
    [
        "a.real",
        "a.__class__",
        "(1).__class__.__mro__",
        "a[0]",
        "t[::2]",
        "{1: a}",
        "{a}",
        "lambda: a",
        "[x for x in (1, 2)]",
        "{x for x in (1, 2)}",
        "{x: x for x in (1, 2)}",
        "max(x for x in (1, 2))",
        "(x := a)",
        "f'{a}'",
        "f'{a!r:>1000000000}'",
        "b'bytes'",
        "1j",
        "...",
        "a << 1000000000",
        "a >> b",
        "a | b",
        "a & b",
        "a ^ b",
        "~a",
        "a @ b",
        "*a",
        "(*a, b)",
        "max(*t)",
        "max(a, key=b)",
        "abs(**t)",
        "await a",
        "(yield a)",
        "a is b",
        "a is 1",
        "a is not True",
        "open('/etc/passwd')",
        "__import__('os')",
        "eval('1')",
        "abs.real(a)",
        "abs(a)(b)",
        "(abs)(a).real",
        "abs",
        "a = 1",
        "a; b",
        "import os",
        "",
        " ",
        "a b",
        "unknown",
        "abs()",
        "abs(a, b)",
        "round(a, 1, 2)",
        "len(t, t)",
        "log(a, b, c)",
        "sqrt(a, b)",
        "exp(a, b)",
        "max()",
    ],
)
def test_what_is_outside_the_language_is_refused(text: str) -> None:
    with pytest.raises(ExpressionInvalid):
        compile_expression(text, KNOWN)


def test_a_refusal_says_what_is_allowed() -> None:
    with pytest.raises(ExpressionInvalid, match=r"^'a\.real' is not allowed; use feature names, numbers, text,"):
        compile_expression("b + a.real", KNOWN)
    with pytest.raises(ExpressionInvalid, match=r"^unknown feature 'd'; known are a, b, c, t$"):
        compile_expression("d > 1", KNOWN)
    with pytest.raises(ExpressionInvalid, match=r"abs\(\) does not take 2 arguments"):
        compile_expression("abs(a, b)", KNOWN)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a + b * 2", 8.0),
        ("-a ** 2", -4.0),
        ("+a", 2),
        ("a / b", 2 / 3),
        ("7 // a", 3),
        ("7 % a", 1),
        ("t + 'z'", "xyz"),
        ("a < b < 4", True),
        ("a < b > 5", False),
        ("a == 2 and t != 'q'", True),
        ("a > 5 or t == 'xy'", True),
        ("not a", False),
        ("'x' in t", True),
        ("a in (1, 2)", True),
        ("a not in [1, 2]", False),
        ("t if a > b else 'no'", "no"),
        ("t if a < b else 'no'", "xy"),
        ("abs(-a) + min(a, b) + max((a, b)) + len(t)", 9),
        ("round(2.567, 1)", 2.6),
        ("round(b + 0.7)", 4),
        ("round(1234, -2)", 1200),
        ("log(exp(a))", 2.0),
        ("log(8, a)", 3.0),
        ("sqrt(a * a)", 2.0),
        ("True", True),
    ],
)
def test_the_language_computes_as_python_does(text: str, value: Any) -> None:
    assert evaluate(text, a=2, b=3, t="xy") == value


def test_an_expression_knows_what_it_reads() -> None:
    expression = compile_expression("a > b or a is None", KNOWN)
    assert (expression.text, expression.names) == ("a > b or a is None", {"a", "b"})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a", None),
        ("a + b", None),
        ("-a", None),
        ("not a", None),
        ("abs(a)", None),
        ("max(a, b)", None),
        ("a < b", None),
        ("a == a", None),
        ("a == None", None),
        ("b < 1 < a", False),
        ("b < 5 < a", None),
        ("a is None", True),
        ("a is not None", False),
        ("b is None", False),
        ("a + b is None", True),
        ("a is None or a > 1", True),
        ("a > 1 or a is None", True),
        ("a > 1 or b == 2", True),
        ("a > 1 or b == 3", None),
        ("a > 1 and b == 2", None),
        ("a > 1 and b == 3", False),
        ("b == 3 and a > 1", False),
        ("b if a else c", None),
        ("b if a is None else c", 2),
        ("a in (1, 2)", None),
        ("b in (a, 2)", True),
    ],
)
def test_null_makes_null_unless_it_does_not_matter(text: str, value: Any) -> None:
    assert evaluate(text, a=None, b=2, c=3) is value or evaluate(text, a=None, b=2, c=3) == value is not None
    assert evaluate(text, b=2, c=3) == value, "a feature that is left out is null"


@pytest.mark.parametrize(
    "text",
    [
        "1 / a",
        "1 // a",
        "1 % a",
        "sqrt(-1)",
        "log(a)",
        "exp(1e9)",
        "10.0 ** 400",
        "(-8) ** 0.5",
        "t + 1",
        "t < 1",
        "t * 3",
        "-t",
        "abs(t)",
        "1 in 2",
        "a < t",
        "round(1.5, 0.5)",
        "round(1e999)",
        "len(a)",
        "(1, 2) + (3, 4)",
    ],
)
def test_what_has_no_answer_is_null(text: str) -> None:
    assert evaluate(text, a=0, t="x") is None


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_keep_every_bit(left: float, right: float) -> None:
    assert json.dumps(evaluate("a + b", a=left, b=right)) == json.dumps(left + right)
    assert math.copysign(1, evaluate("a", a=left)) == math.copysign(1, left)


def test_names_that_are_no_identifiers_stand_in_backticks():
    known = frozenset({"mean radius", "q", "q0", "worst-area"})
    rule = compile_expression("`mean radius` < `worst-area` and q == q0", known)
    assert rule.names == known
    assert rule({"mean radius": 1, "worst-area": 2, "q": 3, "q0": 3}) is True
    assert rule({"mean radius": 3, "worst-area": 2, "q": 3, "q0": 3}) is False
    with pytest.raises(ExpressionInvalid, match="unknown feature 'mean radios'"):
        compile_expression("`mean radios` > 1", known)
