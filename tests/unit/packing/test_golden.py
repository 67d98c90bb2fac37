from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.tree import DecisionTreeRegressor

from model_artifact.coercion import Problem, RowCoercer
from model_artifact.signature import Feature, Output, Rule, Signature
from modelport.packing import PackRefused
from modelport.packing.answers import Answers
from modelport.packing.dtypes import dtype_of
from modelport.packing.golden import drawn_rows, golden_of, with_examples
from modelport.packing.sample import Sample, read_sample

ANY = DecisionTreeRegressor()


def sample_of(table: pd.DataFrame) -> Sample:
    return read_sample(ANY, table, {})


def signature_of(sample: Sample, *rules: Rule, **constraints: Any) -> Signature:
    inputs = tuple(
        Feature(name, dtype_of(column), nullable=bool(column.isna().any()), **constraints.get(name, {}))
        for name, column in sample.table.items()
        if isinstance(name, str)
    )
    return Signature("other", "frame", inputs, (Output("prediction", "float64"),), rules=rules)


def tables() -> st.SearchStrategy[pd.DataFrame]:
    columns = {
        "float": st.floats(-1e9, 1e9) | st.none(),
        "int": st.integers(-(2**31), 2**31 - 1),
        "flag": st.booleans(),
        "text": st.text(max_size=12) | st.none(),
        "code": st.sampled_from(["a", "b"]),
    }
    row = st.fixed_dictionaries(columns)
    return st.lists(row, min_size=2, max_size=30).map(
        lambda rows: pd.DataFrame(rows).astype({"float": "float64", "text": "str"})
    )


@settings(deadline=None, max_examples=50)
@given(tables())
def test_every_drawn_row_is_one_that_the_service_takes(table: pd.DataFrame) -> None:
    sample = sample_of(table)
    signature = signature_of(sample)
    rows = drawn_rows(sample, signature)
    problems: list[Problem] = []
    for row in rows:
        RowCoercer(signature).row(list(row), 0, problems)
    assert rows
    assert not problems
    assert drawn_rows(sample, signature) == rows
    pd.testing.assert_series_equal(sample.build(rows).table.dtypes, sample.table.dtypes)


def test_constraints_and_rules_hold_in_drawn_rows() -> None:
    generator = np.random.default_rng(0)
    table = pd.DataFrame({"low": generator.uniform(0, 10, 200), "high": generator.uniform(0, 10, 200)})
    sample = sample_of(table)
    signature = signature_of(sample, Rule("low < high", "low is below high"), low={"ge": 2})
    for low, high in drawn_rows(sample, signature):
        assert 2 <= low < high


def test_constraints_that_nothing_meets_are_refused() -> None:
    sample = sample_of(pd.DataFrame({"age": [1.0, 2.0]}))
    with pytest.raises(PackRefused, match=r"no row can be drawn.*failed on age: a value >= 100"):
        drawn_rows(sample, signature_of(sample, age={"ge": 100}))


def test_whole_numbers_stay_whole_and_codes_stay_known() -> None:
    table = pd.DataFrame({"code": [10, 20, 40] * 5, "count": range(0, 150, 10)})
    for code, count in drawn_rows(sample_of(table), signature_of(sample_of(table))):
        assert code in {10, 20, 40}
        assert isinstance(count, int)
        assert 0 <= count <= 140


def test_free_text_is_drawn_from_words_that_several_texts_share() -> None:
    texts = [f"the parcel of customer{index} Smith{chr(97 + index)} came late" for index in range(20)]
    sample = sample_of(pd.DataFrame({"text": texts}))
    words = {word for (text,) in drawn_rows(sample, signature_of(sample)) for word in text.split()}
    assert words <= {"the", "parcel", "of", "came", "late", "customer"}


def test_close_calls_are_not_golden() -> None:
    scores = np.array([[0.5, 0.5], [0.9, 0.1], [0.50001, 0.49999], [0.2, 0.8]])
    golden = golden_of([[0], [1], [2], [3]], Answers(np.array([0, 0, 0, 1]), scores))
    assert golden.inputs == ((1,), (3,))
    assert [answer.prediction for answer in golden.outputs] == [0, 1]


def test_when_every_row_is_a_close_call_one_is_kept() -> None:
    assert len(golden_of([[0], [1]], Answers(np.array([0, 0]), np.full((2, 2), 0.5))).inputs) == 1


def test_examples_are_typical_values() -> None:
    table = pd.DataFrame(
        {
            "age": [1, 2, 100],
            "fare": [0.5, 1.25, 90.0],
            "port": ["S", "S", "S"],
            "note": ["one of its kind", "another kind", "third"],
            "given": [1.0, 2.0, 3.0],
        }
    )
    sample = sample_of(table)
    signature = signature_of(sample, given={"example": 9.5})
    examples = [feature.example for feature in with_examples(signature, sample, [7, 7.5, "C", "words", 1.0]).inputs]
    assert examples == [2, 1.25, "S", "words", 9.5]


def test_where_typical_values_break_a_rule_the_examples_are_a_drawn_row() -> None:
    sample = sample_of(pd.DataFrame({"low": [5.0, 5.0], "high": [1.0, 1.0]}))
    signature = signature_of(sample, Rule("low < high", "low is below high"))
    assert [item.example for item in with_examples(signature, sample, [1.0, 2.0]).inputs] == [1.0, 2.0]
