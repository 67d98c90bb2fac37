import json
import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_artifact.coercion import GOT_LENGTH, Problem, RowCoercer, compile_feature, integer_bounds, show
from model_artifact.dtypes import ValueRefused
from model_artifact.signature import Dtype, Feature, Output, Rule, Signature

TEXT = st.text(max_size=6)
VALUES: dict[Dtype, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "string": TEXT,
    "float64": st.floats(allow_nan=False, allow_infinity=False),
    "float32": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "int8": st.integers(*integer_bounds("int8")),
    "uint64": st.integers(*integer_bounds("uint64")),
    "any": st.booleans() | st.integers() | TEXT,
}
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(TEXT, children, max_size=4),
    max_leaves=6,
)


def signature(*inputs: Feature, rules: tuple[Rule, ...] = ()) -> Signature:
    return Signature("other", "frame", inputs, (Output("prediction", "any"),), rules=rules)


CUSTOMER = signature(
    Feature("age", "int64", ge=0, lt=150),
    Feature("income", "float64", nullable=True, default=1000.0),
    Feature("plan", "string", categories=("gold", "basic")),
    Feature("active", "bool", default=False),
    Feature("ratio", "float64", nullable=True, computed="income / age"),
    Feature("score", "float64", nullable=True, computed="ratio * 2"),
    rules=(Rule("age >= 18 or plan == 'basic'", "only adults have gold"),),
)


def coerce(value: Any, what: Signature = CUSTOMER, index: int = 0) -> tuple[list[Any], list[Problem]]:
    problems: list[Problem] = []
    return RowCoercer(what).row(value, index, problems), problems


def exact(row: list[Any]) -> list[Any]:
    return [(type(value), struct.pack("<d", value) if type(value) is float else value) for value in row]


@st.composite
def typed_rows(draw: st.DrawFn) -> tuple[Signature, list[Any]]:
    names = draw(st.lists(st.from_regex(r"[a-z][a-z ]{0,5}_", fullmatch=True), min_size=1, max_size=5, unique=True))
    features = [Feature(name, draw(st.sampled_from(sorted(VALUES))), nullable=draw(st.booleans())) for name in names]
    row = [draw(VALUES[item.dtype] | st.none() if item.nullable else VALUES[item.dtype]) for item in features]
    return signature(*features), row


@given(typed_rows(), st.randoms(use_true_random=False))
def test_a_good_row_passes_unchanged_by_position_and_by_name_in_any_order(
    case: tuple[Signature, list[Any]], random: Any
) -> None:
    what, row = case
    shuffled = list(zip(what.names, row, strict=True))
    random.shuffle(shuffled)
    for form in (row, tuple(row), dict(shuffled), json.loads(json.dumps(row))):
        found, problems = coerce(form, what)
        assert problems == []
        assert exact(found) == exact(row)


@given(ANY_JSON)
def test_no_body_crashes_and_every_problem_is_fit_to_be_shown(body: Any) -> None:
    _, problems = coerce(body, index=7)
    for problem in problems:
        assert problem.row == 7
        assert problem.expected
        assert 0 < len(problem.got) <= GOT_LENGTH
        assert problem.field is None or len(problem.field) <= GOT_LENGTH
        json.dumps(problem.as_json(), ensure_ascii=False).encode()


@given(ANY_JSON)
def test_what_is_shown_of_a_value_is_short(value: Any) -> None:
    assert 0 < len(show(value)) <= GOT_LENGTH
    show(value).encode()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "null"),
        ("é", '"é"'),
        (True, "true"),
        (1.5, "1.5"),
        (math.inf, "Infinity"),
        ({"secret": "payload"}, "an object of 1 key"),
        ([1, 2], "an array of 2 values"),
        ((), "an array of 0 values"),
        ("x" * 62, f'"{"x" * 62}"'),
        ("x" * 63, f'"{"x" * 60}...'),
        (object(), "object"),
        ("\ud800", '"?"'),
    ],
)
def test_values_are_shown_as_json(value: Any, shown: str) -> None:
    assert show(value) == shown


def test_a_number_too_long_to_write_is_shown_by_its_kind() -> None:
    assert show(10**5000) == "int"


def test_every_problem_of_a_bad_row_is_reported_at_once() -> None:
    _, problems = coerce({"age": "old", "plan": "silver", "active": 1, "agee": 3, "income": [1]}, index=4)
    known = "a known feature (age, income, plan, active, ratio, score)"
    assert problems == [
        Problem("agee", 4, known, "an unknown one"),
        Problem("age", 4, "a whole number", '"old"'),
        Problem("income", 4, "a number", "an array of 1 value"),
        Problem("plan", 4, 'one of "gold", "basic"', '"silver"'),
        Problem("active", 4, "true or false", "1"),
    ]
    assert problems[1].as_json() == {"field": "age", "row": 4, "expected": "a whole number", "got": '"old"'}


def test_missing_and_null_are_told_apart() -> None:
    _, problems = coerce({"age": None})
    assert problems == [
        Problem("age", 0, "a whole number, not null", "null"),
        Problem("plan", 0, "text", "nothing: it is missing"),
    ]


def test_problems_by_position_are_the_same_as_by_name() -> None:
    row = ["old", [1], "silver", 1, None, "x"]
    assert coerce(row)[1] == coerce(dict(zip(CUSTOMER.names, row, strict=True)))[1]
    assert len(coerce(row)[1]) == 5


@pytest.mark.parametrize(("row", "shown"), [([], "an array of 0 values"), ([1], "an array of 1 value"), (5, "5")])
def test_a_row_of_another_shape_is_refused_as_a_whole(row: Any, shown: str) -> None:
    expected = "an array of 6 values or an object of named features"
    assert coerce(row) == ([], [Problem(None, 0, expected, shown)])


def test_a_bare_value_is_a_row_of_one_feature() -> None:
    text = signature(Feature("text", "string"))
    assert coerce("hello", text) == (["hello"], [])
    assert coerce(None, text)[1] == [Problem("text", 0, "text, not null", "null")]
    assert coerce(["a", "b"], text)[1][0].expected == "an array of 1 value or an object of named features"


def test_many_unknown_names_do_not_make_a_long_answer() -> None:
    _, problems = coerce({f"{'x' * 1000}{number}": 0 for number in range(1000)})
    assert len(problems) == 20 + 2
    assert all(len(problem.field or "") <= GOT_LENGTH for problem in problems)


def test_only_the_first_of_many_names_are_listed() -> None:
    for count, ending in ((20, "f18, f19)"), (21, "f18, f19, ...)")):
        wide = signature(*(Feature(f"f{number}", "float64") for number in range(count)))
        assert coerce({"g": 1}, wide)[1][0].expected.endswith(ending)
    for count, ending in ((20, "18, 19"), (21, "18, 19, ...")):
        categories = signature(Feature("f", "int64", categories=tuple(range(count))))
        assert coerce([-1], categories)[1][0].expected.endswith(ending)


@pytest.mark.parametrize(
    ("age", "expected"), [(-1, "a value >= 0 and < 150"), (150, "a value >= 0 and < 150"), (0, None), (149, None)]
)
def test_bounds_are_exact(age: int, expected: str | None) -> None:
    _, problems = coerce({"age": age, "plan": "basic"})
    assert [problem.expected for problem in problems] == ([expected] if expected else [])


@given(st.integers(-5, 5), st.sampled_from(["ge", "gt", "le", "lt"]), st.integers(-5, 5))
def test_each_bound_means_what_it_is_called(value: int, bound: str, limit: int) -> None:
    holds = {"ge": value >= limit, "gt": value > limit, "le": value <= limit, "lt": value < limit}[bound]
    convert = compile_feature(Feature("x", "float64", **{bound: limit}))  # type: ignore[arg-type]
    if holds:
        assert convert(value) == value
    else:
        with pytest.raises(ValueRefused, match=f" {limit}$"):
            convert(value)


def test_null_needs_no_category_and_no_bound() -> None:
    convert = compile_feature(Feature("x", "int64", nullable=True, ge=1, categories=(1, 2)))
    assert convert(None) is None
    with pytest.raises(ValueRefused):
        convert(3)


def test_defaults_and_computed_ones_stand_in_for_what_is_left_out() -> None:
    assert coerce({"age": 50, "plan": "gold"}) == ([50, 1000.0, "gold", False, 20.0, 40.0], [])
    assert coerce({"age": 50, "plan": "gold", "ratio": 3, "active": True}) == (
        [50, 1000.0, "gold", True, 3.0, 6.0],
        [],
    )


def test_an_explicit_null_is_not_replaced() -> None:
    assert coerce({"age": 50, "plan": "gold", "income": None}) == ([50, None, "gold", False, None, None], [])


def test_computed_defaults_see_converted_values() -> None:
    what = signature(Feature("n", "int64"), Feature("half", "int64", computed="n // 2"))
    row, problems = coerce({"n": 7.0}, what)
    assert (exact(row), problems) == (exact([7, 3]), [])


def test_a_computed_default_is_checked_like_a_given_one() -> None:
    what = signature(Feature("n", "int64"), Feature("inverse", "float64", computed="1 / n", le=1))
    assert coerce({"n": 0}, what)[1] == [Problem("inverse", 0, "a number, not null", "null")]
    assert coerce({"n": 1}, what)[0] == [1, 1.0]


def test_nothing_is_computed_from_bad_values() -> None:
    what = signature(Feature("n", "int64"), Feature("twice", "int64", computed="n * 2"))
    assert [problem.field for problem in coerce({"n": "x" * 100}, what)[1]] == ["n"]


def test_a_broken_rule_names_its_fields_and_says_its_sentence() -> None:
    _, problems = coerce({"age": 17, "plan": "gold"}, index=2)
    shown = "values that break age >= 18 or plan == 'basic'"
    assert problems == [Problem("age, plan", 2, "only adults have gold", shown)]


def test_rules_hold_where_a_null_leaves_them_open() -> None:
    what = signature(
        Feature("low", "float64", nullable=True), Feature("high", "float64"), rules=(Rule("low <= high", "ordered"),)
    )
    assert coerce([None, 1], what)[1] == []
    assert coerce([2, 1], what)[1] == [Problem("high, low", 0, "ordered", "values that break low <= high")]


def test_rules_are_not_asked_about_bad_values() -> None:
    assert [problem.field for problem in coerce({"age": 200, "plan": "gold"})[1]] == ["age"]


@pytest.mark.parametrize(("rule", "broken"), [("n - 1", True), ("n", False), ("False", True), ("1 / 0", False)])
def test_a_rule_is_broken_by_whatever_is_not_true(rule: str, broken: bool) -> None:
    what = signature(Feature("n", "int64"), rules=(Rule(rule, "message"),))
    assert bool(coerce([1], what)[1]) == broken


def test_a_long_rule_is_shown_short() -> None:
    what = signature(Feature("n", "int64"), rules=(Rule("n > 1" + " and n > 1" * 40, "message"),))
    (problem,) = coerce([1], what)[1]
    assert len(problem.got) == GOT_LENGTH
    assert (problem.field, problem.expected) == ("n", "message")


def test_a_rule_that_reads_nothing_names_no_field() -> None:
    what = signature(Feature("n", "int64"), rules=(Rule("1 > 2", "never"),))
    assert coerce([1], what)[1][0].field is None


def test_problems_are_added_to_those_of_earlier_rows() -> None:
    coercer, problems = RowCoercer(CUSTOMER), []
    coercer.row({"age": 1}, 0, problems)
    coercer.row({"age": 17, "plan": "gold"}, 1, problems)
    assert [(problem.row, problem.field) for problem in problems] == [(0, "plan"), (1, "age, plan")]
